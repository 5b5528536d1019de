"""Statements that erase and purge.

Both mark what has to go by a `deleted_at` of 0, or of minus what it was: nothing reads it from then on. Sweeping
removes it in parts. It is given conversations and messages by their `n`, and looks again at what they are: another
sweep may have been faster, and its rows' `n` given to new ones, which may even be marked by now.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned


class Erasing(Base):
    """See the module."""

    @cached_property
    def count_all(self) -> Query:
        """How much there is to erase."""
        purged = f"""(
    SELECT coalesce(sum(k.to_seq - k.from_seq + 1), 0)
    FROM {self.cuts} AS k
    WHERE k.user_id = :user AND k.deleted_at = 0
  )"""
        messages = self.dialect.integer(f"coalesce(sum(c.message_count), 0) - {purged}")
        journals = f"(SELECT count(*) FROM {self.journals} AS j WHERE j.user_id = :user AND j.deleted_at IS NULL)"
        blobs = f"(SELECT count(*) FROM {self.blobs} AS b WHERE b.user_id = :user AND b.deleted_at IS NULL)"
        threads = f"(SELECT count(*) FROM {self.threads} AS t WHERE t.user_id = :user AND t.deleted_at IS NULL)"
        tasks = f"(SELECT count(*) FROM {self.tasks} AS t WHERE t.user_id = :user AND t.deleted_at IS NULL)"
        of_agents = {"journals": journals, "blobs": blobs, "threads": threads, "tasks": tasks}
        counts = {"conversations": "count(*)", "messages": messages, **of_agents}
        return self.dialect.answer(f"""
SELECT {self.dialect.object(counts)} AS answer
FROM {self.conversations} AS c
WHERE c.user_id = :user
""")

    @cached_property
    def begin_epoch(self) -> Query:
        """Let every cursor of the changes expire."""
        return self.dialect.write(f"""
UPDATE {self.owners} AS o
SET epoch = :epoch
WHERE o.user_id = :user
""")

    @cached_property
    def mark_all(self) -> Query:
        """Mark everything."""
        return self.dialect.write(f"""
UPDATE {self.conversations} AS c
SET deleted_at = -abs(coalesce(deleted_at, 0))
WHERE c.user_id = :user
""")

    @cached_property
    def raise_floor(self) -> Query:
        """Let cursors expire that have not heard of what is due; before that is marked.

        Without the sum, Postgres may look for the greatest `rev` among all that is deleted.
        """
        due = (
            f"""coalesce((
  SELECT max(d.rev + 0)
  FROM {table} AS d
  WHERE d.user_id = :user AND d.deleted_at > 0 AND d.deleted_at <= :until
), 0)"""
            for table in (self.conversations, self.cuts)
        )
        return self.dialect.write(f"""
UPDATE {self.owners} AS o
SET floor = {self.dialect.greatest("floor", *due)}
WHERE o.user_id = :user
""")

    @cached_property
    def mark_due(self) -> tuple[Query, ...]:
        """Mark what was deleted by then: conversations, and branches."""
        return tuple(
            self.dialect.write(f"""
UPDATE {table} AS d
SET deleted_at = -deleted_at
WHERE d.user_id = :user AND d.deleted_at > 0 AND d.deleted_at <= :until
""")
            for table in (self.conversations, self.cuts)
        )

    @cached_property
    def earliest_deletion(self) -> Query:
        """When the first of what is deleted was."""
        return self._first_deletion("deleted_at > 0", "deleted_at > 0")

    @cached_property
    def sweepable(self) -> Query:
        """Choose a part of what is marked."""
        part = self.dialect.object(
            {
                "conversations": self.dialect.subquery(f"SELECT {self.dialect.list_of('k.n')} FROM marked AS k"),
                "messages": self.dialect.subquery(
                    f"SELECT {self.dialect.list_of('s.n')} FROM sized AS s WHERE s.position = 1 OR s.bytes <= :bytes"
                ),
            }
        )
        in_branch = (
            "m.user_id = :user AND m.conversation_id = b.conversation_id AND m.seq >= b.from_seq AND m.seq <= b.to_seq"
        )
        return self.dialect.answer(f"""
WITH
  marked AS (
    SELECT c.n, c.id
    FROM {self.conversations} AS c
    WHERE c.user_id = :user AND c.deleted_at <= 0
    ORDER BY c.n
    LIMIT :conversation_limit
  ),
  of_conversations AS (
    SELECT m.n, m.bytes, k.n AS conversation_n, m.seq
    FROM marked AS k
    {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.conversation_id = k.id")}
    LIMIT :limit
  ),
  of_branches AS (
    SELECT m.n, m.bytes, 0 AS conversation_n, m.n AS seq
    FROM (
      SELECT cut.conversation_id, cut.from_seq, cut.to_seq
      FROM {self.cuts} AS cut
      WHERE cut.user_id = :user AND cut.deleted_at < 0
    ) AS b
    {self.dialect.look_up("messages", "m", in_branch)}
    LIMIT :limit
  ),
  listed AS (
    SELECT a.n, a.bytes, a.conversation_n, a.seq FROM of_conversations AS a
    UNION
    SELECT b.n, b.bytes, b.conversation_n, b.seq FROM of_branches AS b
  ),
  sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM listed AS i
    WINDOW sweeping AS (ORDER BY i.conversation_n, i.seq)
  )
SELECT {part} AS answer
""")

    @cached_property
    def unindex_swept(self) -> tuple[Query, ...]:
        """Take a part out of the index."""
        return tuple(self.dialect.unindexing(f"{self._swept_messages()} UNION ALL {self._swept_conversations('-c.n')}"))

    @cached_property
    def overwrite(self) -> tuple[Query, ...]:
        """Overwrite what users wrote, where the product would leave what is only deleted in its file."""
        if self.dialect.zeros is None:
            return ()
        zeros = self.dialect.zeros
        return (
            self.dialect.write(f"""
UPDATE {self.dialect.by_key("messages", "m")}
SET
  {assigned(MESSAGE, zeros)}
WHERE m.user_id = :user AND m.n {self.dialect.among(self._swept_messages())}
"""),
            self.dialect.write(f"""
UPDATE {self.dialect.by_key("conversations", "c")}
SET
  {assigned(CONVERSATION, zeros)}
WHERE c.user_id = :user AND c.n {self.dialect.among(self._swept_conversations("c.n"))}
"""),
        )

    @cached_property
    def settle_cuts(self) -> Query:
        """Note of which purged branches nothing is left."""
        return self.dialect.write(f"""
UPDATE {self.cuts} AS k
SET deleted_at = 0
WHERE k.user_id = :user
  AND k.deleted_at < 0
  AND NOT EXISTS (
    SELECT 1
    FROM {self.messages} AS m
    WHERE m.user_id = :user AND m.conversation_id = k.conversation_id AND m.seq >= k.from_seq AND m.seq <= k.to_seq
  )
""")

    @cached_property
    def remove_branches(self) -> tuple[Query, ...]:
        """Remove what is said of the branches of conversations in a part, none of whose messages is shown any more."""
        return tuple(
            self.dialect.write(f"""
DELETE FROM {table} AS b
WHERE b.user_id = :user AND {self.dialect.is_among("b.conversation_id", self._swept_conversations("c.id"))}
""")
            for table in (self.forks, self.cuts)
        )

    @cached_property
    def remove_messages(self) -> Query:
        """Remove a part."""
        return self.dialect.write(f"""
DELETE FROM {self.dialect.by_key("messages", "m")}
WHERE m.user_id = :user AND m.n {self.dialect.among(self._swept_messages())}
""")

    @cached_property
    def remove_conversations(self) -> Query:
        """Remove conversations. Each stays as long as it has messages."""
        return self.dialect.write(f"""
DELETE FROM {self.dialect.by_key("conversations", "c")}
WHERE c.user_id = :user
  AND c.n {self.dialect.among(self._swept_conversations("c.n"))}
  AND NOT EXISTS (SELECT 1 FROM {self.messages} AS m WHERE m.user_id = :user AND m.conversation_id = c.id)
""")

    @cached_property
    def remove_owner(self) -> Query:
        """Forget a user who has nothing. The least rev is looked up in an index; for any, all may be read."""
        journal = f"SELECT 1 FROM {self.journals} AS j WHERE j.user_id = :user"
        blob = f"SELECT 1 FROM {self.blobs} AS b WHERE b.user_id = :user"
        thread = f"SELECT 1 FROM {self.threads} AS t WHERE t.user_id = :user"
        task = f"SELECT 1 FROM {self.tasks} AS t WHERE t.user_id = :user"
        lane = f"SELECT 1 FROM {self.lanes} AS l WHERE l.user_id = :user"
        return self.dialect.write(f"""
DELETE FROM {self.owners} AS o
WHERE o.user_id = :user
  AND (SELECT min(c.rev) FROM {self.conversations} AS c WHERE c.user_id = :user) IS NULL
  AND NOT EXISTS ({journal} AND j.deleted_at IS NULL)
  AND NOT EXISTS ({journal} AND j.deleted_at > 0)
  AND NOT EXISTS ({blob} AND b.deleted_at IS NULL)
  AND NOT EXISTS ({blob} AND b.deleted_at > 0)
  AND NOT EXISTS ({thread} AND t.deleted_at IS NULL)
  AND NOT EXISTS ({thread} AND t.deleted_at > 0)
  AND NOT EXISTS ({task} AND t.deleted_at IS NULL)
  AND NOT EXISTS ({task} AND t.deleted_at > 0)
  AND NOT EXISTS ({lane} AND l.deleted_at IS NULL)
  AND NOT EXISTS ({lane} AND l.deleted_at > 0)
""")

    @cached_property
    def marked(self) -> Query:
        """Whether anything is still marked: NULL where nothing is."""
        return self._first_deletion("deleted_at <= 0", "deleted_at < 0")

    def _first_deletion(self, of_conversations: str, of_branches: str) -> Query:
        return self.dialect.read(f"""
SELECT min(d.deleted_at) AS value
FROM (
  SELECT min(c.deleted_at) AS deleted_at FROM {self.conversations} AS c WHERE c.user_id = :user AND c.{of_conversations}
  UNION ALL
  SELECT min(k.deleted_at) FROM {self.cuts} AS k WHERE k.user_id = :user AND k.{of_branches}
) AS d
""")

    def _swept_messages(self, selected: str = "m.n") -> str:
        message = f"m.user_id = :user AND m.n = {self.dialect.integer('given.value')}"
        # None of these ranges reaches into another.
        marked = f"""(
    SELECT CASE WHEN cut.to_seq >= m.seq THEN cut.deleted_at END
    FROM {self.cuts} AS cut
    WHERE cut.user_id = :user AND cut.conversation_id = m.conversation_id AND cut.from_seq <= m.seq
    ORDER BY cut.from_seq DESC
    LIMIT 1
  )"""
        return f"""
  SELECT {selected}
  FROM {self.dialect.each(":messages", "given")}
  {self.dialect.look_up("messages", "m", message)}
  {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = m.conversation_id")}
  WHERE c.deleted_at <= 0 OR {marked} < 0
"""

    def _swept_conversations(self, place: str) -> str:
        conversation = f"c.user_id = :user AND c.n = {self.dialect.integer('given.value')}"
        return f"""
  SELECT {place}
  FROM {self.dialect.each(":conversations", "given")}
  {self.dialect.look_up("conversations", "c", conversation)}
  WHERE c.deleted_at <= 0
"""
