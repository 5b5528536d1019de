"""Statements of branches: what a message follows, paths, and what was deleted of them.

Between two rows of `forks`, every message follows the one before it. So a path is a few ranges of `seq`: from its end
down to the last fork, then on from what that follows. Each step of a recursion is a range, and not a message.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, DRAFT, MESSAGE, Column, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base

_FOLLOWS_IN_PART = "CASE WHEN m.seq = r.lo THEN r.follows ELSE m.seq - 1 END"
"""What a message follows, by the part of a path that it is in: to look each up takes as long as all else."""


def _on_path(alias: str) -> list[Column]:
    """What readers get of a message of a path; what it follows is known already."""
    return [
        column._replace(shown_as=f"{alias}.follows") if column.name == "follows" else column
        for column in shown(MESSAGE)
    ]


class Branches(Base):
    """See the module."""

    @cached_property
    def fork_at_leaf(self) -> Query:
        """Say what the first of new messages follows, where that is a leaf which is not the last message.

        It comes before the conversation is told how many messages it has. `:links` are those that say what they follow.
        """
        values = {"user_id": ":user", "conversation_id": ":conversation", "seq": "m.seq", "follows": "c.leaf_seq"}
        first = "m.user_id = :user AND m.conversation_id = :conversation AND m.seq = c.message_count + 1"
        return self.dialect.write(f"""
{self.insert(self.forks, values)}
FROM {self.owners} AS o
JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
JOIN {self.messages} AS m ON {first}
WHERE o.user_id = :user
  AND c.leaf_seq < c.message_count
  AND m.rev > o.rev
  AND NOT EXISTS (SELECT 1 FROM {self.dialect.each(":links", "link")} WHERE link.value ->> 'id' = m.id)
""")

    @cached_property
    def fork_at_links(self) -> Query:
        """Say what new messages follow that name it, where that is not the message before them."""
        sibling = self._parent_of("other.seq")
        parent = f"CASE link.value ->> 'how' WHEN 'root' THEN 0 WHEN 'parent' THEN other.seq ELSE {sibling} END"
        return self.dialect.write(f"""
{self.insert(self.forks, {"user_id": ":user", "conversation_id": ":conversation", "seq": "m.seq", "follows": parent})}
FROM {self.owners} AS o
CROSS JOIN {self.dialect.each(":links", "link")}
{self.dialect.look_up("messages", "m", "m.user_id = :user AND m.id = link.value ->> 'id'")}
LEFT JOIN {self.messages} AS other ON other.user_id = :user AND other.id = link.value ->> 'of'
WHERE o.user_id = :user
  AND m.conversation_id = :conversation
  AND m.rev > o.rev
  AND m.seq - 1 <> {parent}
""")

    @cached_property
    def list_path_before(self) -> Query:
        """A page of a path, backward."""
        return self._page_of_path(self._path_before)

    @cached_property
    def list_path_after(self) -> Query:
        """A page of a path, forward."""
        return self._page_of_path(self._path_after)

    @cached_property
    def list_large_path_before(self) -> Query:
        """As many messages of a path as fit into a page, backward."""
        return self._page_of_large_path(self._path_before)

    @cached_property
    def list_large_path_after(self) -> Query:
        """As many messages of a path as fit into a page, forward."""
        return self._page_of_large_path(self._path_after)

    @cached_property
    def list_siblings(self) -> Query:
        """The messages that follow what `:message` follows, the newest first."""
        leaf = f"""(
      SELECT l.id
      FROM {self.messages} AS l
      WHERE l.user_id = :user AND l.conversation_id = :conversation AND l.seq = s.last
    )"""
        on_path = "SELECT 1 FROM runs AS r WHERE s.seq >= r.lo AND s.seq <= r.hi"
        top = "top AS (SELECT g.leaf AS seq FROM target AS g)"
        path = f"{top},\n  {self._runs('t.seq > 0', 'r.follows > 0', 'r.taken')}"
        sibling = self.dialect.object(
            {
                "id": "m.id",
                "seq": "m.seq",
                "role": "coalesce(m.sent_role, m.role)",
                "createdAt": "m.created_at",
                "preview": self.dialect.beginning("m.content", ":previewed"),
                "leafId": leaf,
                "messageCount": "s.total",
                "isCurrent": self.dialect.is_true(f"EXISTS ({on_path})"),
            }
        )
        place = "m.user_id = :user AND m.conversation_id = :conversation AND m.seq = s.seq"
        answer = self.dialect.object(
            {
                "follows": "t.follows",
                "siblings": self.dialect.subquery(f"""
    SELECT {self.dialect.list_of(sibling)}
    FROM listed AS s
    {self.dialect.look_up("messages", "m", place)}
  """),
            }
        )
        return self.dialect.answer(f"""
WITH RECURSIVE
  target AS (
    SELECT {self._parent_of("m.seq")} AS follows, coalesce(c.leaf_seq, c.message_count) AS leaf
    FROM {self.messages} AS m
    JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
    WHERE m.user_id = :user
      AND m.conversation_id = :conversation
      AND m.id = :message
      AND {self.is_kept("m.seq")}
  ),
  children AS (
    SELECT f.seq
    FROM target AS t
    JOIN {self.forks} AS f ON f.user_id = :user AND f.conversation_id = :conversation AND f.follows = t.follows
    WHERE {self.is_kept("f.seq")}
    UNION ALL
    SELECT t.follows + 1
    FROM target AS t
    JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation AND c.message_count > t.follows
    WHERE {self._is_no_fork("t.follows + 1")} AND {self.is_kept("t.follows + 1")}
  ),
  newest AS (
    SELECT s.seq FROM children AS s ORDER BY s.seq DESC LIMIT :limit
  ),
  {self._below_each("SELECT s.seq AS lo FROM newest AS s")},
  listed AS (
    SELECT b.top AS seq, max(b.hi) AS last, sum(b.hi - b.lo + 1) AS total FROM below AS b GROUP BY b.top
  ),
  {path}
SELECT {answer} AS answer
FROM {self.conversations} AS c
JOIN target AS t ON t.follows >= 0
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    @cached_property
    def select_leaf(self) -> Query:
        """Have the active path end with `:message`, or with what was said last below it."""
        leaf = f"""(
    SELECT CASE WHEN :descend = 1 THEN (
      WITH RECURSIVE {self._below("m.seq")} SELECT max(b.hi) FROM below AS b
    ) ELSE m.seq END
    FROM {self.messages} AS m
    WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = :message AND {self.is_kept("m.seq")}
  )"""
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET rev = {self.next_rev}, leaf_seq = nullif(chosen.leaf, message_count)
FROM (SELECT {leaf} AS leaf) AS chosen
WHERE c.user_id = :user
  AND c.id = :conversation
  AND c.deleted_at IS NULL
  AND {self.is_expected_leaf}
  AND coalesce(c.leaf_seq, c.message_count) <> chosen.leaf
""")

    @cached_property
    def cut_branch(self) -> Query:
        """Delete a message and all below it, so that it can be restored."""
        values = {
            "user_id": ":user",
            "conversation_id": ":conversation",
            "from_seq": "b.lo",
            "to_seq": "b.hi",
            "rev": "o.rev + 1",
            "deleted_at": ":now",
        }
        below = self._below(self._branch_to_cut)
        insert = self.insert(self.cuts, values).replace("\nSELECT", f"\nWITH RECURSIVE {below}\nSELECT", 1)
        return self.dialect.write(f"""
{insert}
FROM {self.owners} AS o
CROSS JOIN below AS b
WHERE o.user_id = :user AND NOT EXISTS (SELECT 1 FROM {self._drafts_below})
""")

    @cached_property
    def leave_cut_branch(self) -> Query:
        """Move the active path out of a branch that this batch has deleted, to what was said last beside or above."""
        cut = f"""(
    SELECT min(k.from_seq)
    FROM {self.cuts} AS k
    WHERE k.user_id = :user AND k.conversation_id = :conversation AND k.rev = {self.next_rev}
  )"""
        last = f"(WITH RECURSIVE {self._below(self._parent_of(cut))} SELECT max(b.hi) FROM below AS b)"
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET
  rev = {self.next_rev},
  leaf_seq = CASE
    WHEN {self.is_kept("coalesce(leaf_seq, message_count)")} THEN leaf_seq
    ELSE {last}
  END
WHERE c.user_id = :user AND c.id = :conversation AND {cut} > 0
""")

    @cached_property
    def cut_verdict(self) -> Query:
        """Tell what a deletion came to, before the counter follows."""
        deleted = f"""(
    SELECT coalesce(sum(k.to_seq - k.from_seq + 1), 0)
    FROM {self.cuts} AS k
    WHERE k.user_id = :user AND k.conversation_id = :conversation AND k.rev = {self.next_rev}
  )"""
        verdict = self.dialect.object(
            {
                "deleted": deleted,
                "isThere": self.dialect.is_true(f"{self._seq_of_message} IS NOT NULL"),
                "drafts": self.dialect.subquery(
                    f"WITH RECURSIVE {self._below(self._branch_to_cut)} "
                    f"SELECT {self.dialect.list_of(self.dialect.document(DRAFT, 'd'))} FROM {self._drafts_below}"
                ),
                "conversation": self.dialect.document(shown(CONVERSATION), "c"),
            }
        )
        return self._of_conversation(verdict)

    @cached_property
    def restore_verdict(self) -> Query:
        """Tell, before a restoration, what decides whether it can be."""
        verdict = self.dialect.object(
            {
                "isThere": self.dialect.is_true(f"{self._seq_of_message} IS NOT NULL"),
                "isDeleted": self.dialect.is_true(f"{self._first_of_cut} IS NOT NULL"),
                "hasParent": self.dialect.is_true(f"coalesce({self._has_parent}, FALSE)"),
            }
        )
        return self._of_conversation(verdict)

    @cached_property
    def touch_messages_of_cut(self) -> Query:
        """Stamp the messages of a branch that is about to be restored: who follows the changes has dropped them."""
        cut = f"""
    SELECT 1
    FROM {self.cuts} AS k
    WHERE k.user_id = :user
      AND k.conversation_id = :conversation
      AND k.rev = {self._rev_of_cut}
      AND m.seq BETWEEN k.from_seq AND k.to_seq
  """
        return self.dialect.write(f"""
UPDATE {self.messages} AS m
SET rev = {self.next_rev}
WHERE m.user_id = :user
  AND m.conversation_id = :conversation
  AND m.seq >= {self._first_of_cut}
  AND EXISTS ({cut})
  AND {self._has_parent}
  AND EXISTS ({self._live_conversation})
""")

    @cached_property
    def touch_conversation_of_cut(self) -> Query:
        """Stamp the conversation of a branch that is about to be restored.

        Where the active path ends with what the branch follows, as it does after the deletion, it goes on into it.
        """
        last = f"""(
    SELECT max(whole.to_seq)
    FROM {self.cuts} AS whole
    WHERE whole.user_id = :user AND whole.conversation_id = :conversation AND whole.rev = {self._rev_of_cut}
  )"""
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET
  rev = {self.next_rev},
  leaf_seq = CASE
    WHEN coalesce(leaf_seq, message_count) = {self._parent_of(self._first_of_cut)} THEN nullif({last}, message_count)
    ELSE leaf_seq
  END
WHERE c.user_id = :user
  AND c.id = :conversation
  AND c.deleted_at IS NULL
  AND {self._rev_of_cut} > 0
  AND {self._has_parent}
""")

    @cached_property
    def restore_branch(self) -> Query:
        """Undo the deletion of a branch; all of it, whichever of its messages is named."""
        return self.dialect.write(f"""
DELETE FROM {self.cuts} AS k
WHERE k.user_id = :user
  AND k.conversation_id = :conversation
  AND k.rev = {self._rev_of_cut}
  AND {self._has_parent}
  AND EXISTS ({self._live_conversation})
""")

    # What a message follows.

    def _parent_of(self, seq: str) -> str:
        """The `seq` of what a message follows."""
        return f"coalesce({self.fork_at(seq)}, {seq} - 1)"

    def _is_no_fork(self, seq: str) -> str:
        # As a value: what is to be joined, Postgres may look for in all that a user has.
        return f"{self.fork_at(seq)} IS NULL"

    # Paths, upward.

    def _runs(self, begins: str, goes_on: str, taken: str, *, by_message: bool = False) -> str:
        """The ranges of a path, from the end on that `top` has: `hi` and `lo` of each, and what `lo` follows."""
        if by_message:
            next_one = ("r.follows", self._parent_of("r.follows"))
        else:
            next_one = (self.last_fork("seq", "r.follows", "1"), self.last_fork("follows", "r.follows", "0"))
        return f"""runs (hi, lo, follows, taken) AS (
    SELECT
      t.seq,
      {self.last_fork("seq", "t.seq", "1")},
      {self.last_fork("follows", "t.seq", "0")},
      {self.dialect.integer("0")}
    FROM top AS t
    WHERE {begins} AND {self.is_kept("t.seq")}
    UNION ALL
    SELECT r.follows, {next_one[0]}, {next_one[1]}, {taken}
    FROM runs AS r
    WHERE r.follows > 0 AND {goes_on}
  )"""

    @property
    def _top(self) -> str:
        """Where a page begins to go up: at what the last one followed that was shown, at a message, or at the leaf."""

        def of_message(parameter: str, value: str) -> str:
            return f"""(
        SELECT {value}
        FROM {self.messages} AS m
        WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = {parameter}
      )"""

        # D1 binds numbers as doubles, and this one is told: 6.0 would be no integer.
        shown = self.dialect.integer(":seq")
        return f"""top AS (
    SELECT CAST(CASE
      WHEN {shown} >= 0 THEN {self._parent_of(shown)}
      WHEN :message <> '' THEN {of_message(":message", self._parent_of("m.seq"))}
      WHEN :branch <> '' AND {self.dialect.integer(":leaf")} IS NULL THEN {of_message(":branch", "m.seq")}
      ELSE coalesce({self.dialect.integer(":leaf")}, c.leaf_seq, c.message_count)
    END AS bigint) AS seq
    FROM {self.conversations} AS c
    WHERE c.user_id = :user AND c.id = :conversation
  )"""

    @property
    def _path_before(self) -> str:
        """Most pages are one range. Where the first is too short, it is message by message from there on: that takes
        one look for each, and a range two, which Postgres is slow at; and where forks are, they are many.
        """
        length = "r.taken + r.hi - r.lo + 1"
        place = "m.user_id = :user AND m.conversation_id = :conversation AND m.seq >= r.lo AND m.seq <= r.hi"
        # What is told has to be an integer: D1 binds numbers as doubles.
        return f"""{self._top},
  {self._runs("t.seq > 0", f"{length} <= :limit", length, by_message=True)},
  parts AS (
    SELECT
      r.hi,
      {self.dialect.greatest("r.lo", "r.hi - (:limit - r.taken)")} AS lo,
      CASE
        WHEN r.hi - (:limit - r.taken) <= r.lo THEN r.follows
        ELSE CAST(r.hi - (:limit - r.taken) - 1 AS bigint)
      END AS follows
    FROM runs AS r
  ),
  listed AS (
    SELECT m.n, m.bytes, -m.seq AS place, {_FOLLOWS_IN_PART} AS follows
    FROM parts AS r
    {self.dialect.look_up("messages", "m", place)}
  )"""

    @property
    def _path_after(self) -> str:
        """See `_path_before`. It passes all ranges down to where it begins."""
        place = "m.user_id = :user AND m.conversation_id = :conversation AND m.seq >= r.lo AND m.seq <= r.hi"
        return f"""{self._top},
  {self._runs("t.seq > :after", "r.follows > :after", "0")},
  begun AS (
    SELECT
      r.hi,
      {self.dialect.greatest("r.lo", ":after + 1")} AS lo,
      CASE WHEN r.lo > :after THEN r.follows ELSE CAST(:after AS bigint) END AS follows
    FROM runs AS r
  ),
  counted AS (
    SELECT
      b.hi,
      b.lo,
      b.follows,
      coalesce(sum(b.hi - b.lo + 1) OVER (ORDER BY b.hi ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS taken
    FROM begun AS b
  ),
  parts AS (
    SELECT
      CASE WHEN r.hi < r.lo + :limit - r.taken THEN r.hi ELSE r.lo + :limit - r.taken END AS hi,
      r.lo,
      r.follows
    FROM counted AS r
    WHERE r.taken <= :limit
  ),
  listed AS (
    SELECT m.n, m.bytes, m.seq AS place, {_FOLLOWS_IN_PART} AS follows
    FROM parts AS r
    {self.dialect.look_up("messages", "m", place)}
  )"""

    @property
    def _about_path(self) -> dict[str, str]:
        """What a page of a path says beside its messages: its end, and what follows the same as one of its messages.

        Rows of `forks` tell it, but for the one that follows by standing next. It may have children of others, which
        nobody looks for, and those on the page.
        """
        forks = "f.user_id = :user AND f.conversation_id = :conversation"
        next_one = "c.user_id = :user AND c.id = :conversation AND c.message_count > r.follows"
        pair = self.dialect.object({"follows": "s.follows", "seq": "s.seq"})
        children = self.dialect.subquery(f"""
    SELECT {self.dialect.list_of(pair)}
    FROM (
      SELECT f.follows, f.seq
      FROM parts AS r
      {self.dialect.look_up("forks", "f", f"{forks} AND f.follows >= r.lo AND f.follows < r.hi", by="f.follows")}
      UNION ALL
      SELECT f.follows, f.seq
      FROM parts AS r
      {self.dialect.look_up("forks", "f", f"{forks} AND f.follows = r.follows AND f.seq <> r.lo", by="f.follows")}
      UNION ALL
      SELECT r.follows, r.follows + 1
      FROM parts AS r
      JOIN {self.conversations} AS c ON {next_one}
      WHERE r.lo > r.follows + 1 AND {self._is_no_fork("r.follows + 1")}
    ) AS s
    WHERE {self.is_kept("s.seq")}
  """)
        return {"children": children, "top": "(SELECT t.seq FROM top AS t)", "drafts": "w.drafts"}

    def _page_of_path(self, listed: str) -> Query:
        rows = self.dialect.message_rows(_on_path("l"), "m", "count(*) > :limit", self._about_path)
        return self.dialect.answer(f"""
WITH RECURSIVE
  {listed},
  {self.open_drafts_of_page}
SELECT CASE WHEN (SELECT sum(l.bytes) FROM listed AS l) > :page_bytes THEN NULL ELSE (
  SELECT {rows}
  FROM listed AS l
  {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = l.n")}
) END AS answer
FROM {self.conversations} AS c
CROSS JOIN open_drafts AS w
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    def _page_of_large_path(self, listed: str) -> Query:
        more = "count(*) < (SELECT count(*) FROM listed)"
        return self.dialect.answer(f"""
WITH RECURSIVE
  {listed},
  {self.open_drafts_of_page},
  sized AS (
    SELECT l.n, l.follows, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.place)
  )
SELECT (
  SELECT {self.dialect.message_rows(_on_path("s"), "m", more, self._about_path)}
  FROM sized AS s
  {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = s.n")}
  WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
) AS answer
FROM {self.conversations} AS c
CROSS JOIN open_drafts AS w
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    # Branches, downward.

    def _run_end(self, seq: str) -> str:
        """Where the messages end that follow one another from here on, and are kept."""
        end = []
        for table, name, column in ((self.forks, "fork", "seq"), (self.cuts, "cut", "from_seq")):
            end.append(f"""coalesce((
        SELECT min({name}.{column})
        FROM {table} AS {name}
        WHERE {name}.user_id = :user AND {name}.conversation_id = :conversation AND {name}.{column} > {seq}
      ), next.seq)""")
        return f"""(
      SELECT {self.dialect.least(*end)} - 1
      FROM (
        SELECT c.message_count + 1 AS seq
        FROM {self.conversations} AS c
        WHERE c.user_id = :user AND c.id = :conversation
      ) AS next
    )"""

    def _below(self, top: str) -> str:
        """The ranges of a message and of all that was said below it, but for what is deleted."""
        return self._below_each(f"SELECT {top} AS lo")

    def _below_each(self, tops: str) -> str:
        """The same of each message that a query gives, as `top`."""
        place = "f.user_id = :user AND f.conversation_id = :conversation AND f.follows >= b.lo AND f.follows <= b.hi"
        return f"""below (top, lo, hi) AS (
    SELECT t.lo, t.lo, {self._run_end("t.lo")}
    FROM ({tops}) AS t
    WHERE t.lo >= 0
    UNION ALL
    SELECT b.top, f.seq, {self._run_end("f.seq")}
    FROM below AS b
    {self.dialect.look_up("forks", "f", place, by="f.follows")}
    WHERE {self.is_kept("f.seq")}
  )"""

    # Deletions.

    @property
    def _branch_to_cut(self) -> str:
        """Where the branch begins that `:message` names; NULL where it is not there."""
        return f"""(
    SELECT m.seq
    FROM {self.messages} AS m
    JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
    WHERE m.user_id = :user AND m.conversation_id = :conversation AND m.id = :message AND {self.is_kept("m.seq")}
  )"""

    @property
    def _drafts_below(self) -> str:
        """The open drafts `d` that follow a message of the branch `below`."""
        open_in_branch = "d.settled_at IS NULL AND d.follows >= r.lo AND d.follows <= r.hi"
        return f"""below AS r
    JOIN {self.drafts} AS d ON d.user_id = :user AND d.conversation_id = :conversation AND {open_in_branch}"""

    def _cut(self, column: str) -> str:
        """What the deletion says in which `:message` went; NULL where it did not."""
        return f"""(
    SELECT cut.{column}
    FROM {self.cuts} AS cut
    WHERE cut.user_id = :user
      AND cut.conversation_id = :conversation
      AND cut.from_seq <= {self._seq_of_message}
      AND cut.to_seq >= {self._seq_of_message}
      AND coalesce(cut.deleted_at, 0) > 0
  )"""

    @property
    def _rev_of_cut(self) -> str:
        return self._cut("rev")

    @property
    def _first_of_cut(self) -> str:
        """Where the branch begins with which `:message` was deleted; NULL where it was not."""
        return f"""(
    SELECT min(whole.from_seq)
    FROM {self.cuts} AS whole
    WHERE whole.user_id = :user AND whole.conversation_id = :conversation AND whole.rev = {self._rev_of_cut}
  )"""

    @property
    def _has_parent(self) -> str:
        """Whether that is there which the branch follows with which `:message` was deleted."""
        return self.is_kept(self._parent_of(self._first_of_cut))

    @property
    def _seq_of_message(self) -> str:
        return f"""(
    SELECT named.seq
    FROM {self.messages} AS named
    WHERE named.user_id = :user AND named.conversation_id = :conversation AND named.id = :message
  )"""

    @property
    def _live_conversation(self) -> str:
        return f"""
    SELECT 1
    FROM {self.conversations} AS c
    WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
  """

    def _of_conversation(self, answer: str) -> Query:
        return self.dialect.answer(f"""
SELECT {answer} AS answer
FROM {self.conversations} AS c
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")
