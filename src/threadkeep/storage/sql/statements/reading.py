"""Statements that read conversations, pages of messages, and changes."""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, DRAFT, MESSAGE, Column, named, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base

_LISTED = tuple(column.name for column in CONVERSATION if column.is_shown)
CONVERSATION_BYTES = 20_000
"""As much as a conversation may take in a page, which is counted for each."""

DRAFT_BYTES = 1_000
_DRAFT_CHANGE = named(DRAFT, "id", "conversation_id", "state", "started_at")


class Reading(Base):
    """See the module."""

    @cached_property
    def get_owner(self) -> Query:
        """Where a user's changes are."""
        return self.dialect.answer(f"""
SELECT {self._owner_fields} AS answer
FROM {self.owners} AS o
WHERE o.user_id = :user
""")

    @cached_property
    def get_conversation(self) -> Query:
        """A conversation, or its tombstone."""
        return self.dialect.answer(f"""
SELECT {self.dialect.document(shown(CONVERSATION), "c")} AS answer
FROM {self.conversations} AS c
WHERE c.user_id = :user AND c.id = :conversation AND coalesce(c.deleted_at, 1) > 0
""")

    @cached_property
    def conversation_exists(self) -> Query:
        """Whether a cursor that is an id leads anywhere."""
        return self.dialect.read(f"""
SELECT 1 AS value
FROM {self.conversations} AS c
WHERE c.user_id = :user AND c.id = :conversation AND coalesce(c.deleted_at, 1) > 0
""")

    @cached_property
    def message_exists(self) -> Query:
        """Whether a cursor that is an id, or the end of a path, leads anywhere."""
        return self.dialect.read(f"""
SELECT 1 AS value
FROM {self.messages} AS m
WHERE m.user_id = :user
  AND m.conversation_id = :conversation
  AND m.id = :message
  AND {self.is_kept("m.seq")}
""")

    @cached_property
    def list_conversations(self) -> Query:
        """A page of conversations. One more than the limit is read, to know whether there is a next page."""
        columns = ", ".join(f"c.{name}" for name in _LISTED)
        rows = self.dialect.list_of(self.dialect.document(shown(CONVERSATION), "l"))
        return self.dialect.answer(f"""
SELECT {self.dialect.object({"owner": self._owner, "rows": rows})} AS answer
FROM (
  SELECT {columns}
  FROM {self.conversations} AS c
  WHERE c.user_id = :user
    AND c.is_archived = {self.dialect.boolean(":is_archived")}
    AND c.deleted_at IS NULL
    AND (c.updated_at, c.id) < ({self._place_before})
  ORDER BY c.updated_at DESC, c.id DESC
  LIMIT :limit + 1
) AS l
""")

    @cached_property
    def list_filtered(self) -> Query:
        """A page of those conversations that a filter leaves, and where it stopped looking.

        It looks at `:looked` rows at most, of both kinds by the index that has each in order. Of metadata it tells what
        cannot match: it finds what is written there, at whatever place.
        """
        live = "\n    UNION ALL\n".join(
            f"""    SELECT {wanted}.n, {wanted}.updated_at, {wanted}.id
    FROM (
      SELECT c.n, c.updated_at, c.id
      FROM {self.conversations} AS c
      WHERE :{wanted} = 1
        AND c.user_id = :user
        AND c.is_archived = {value}
        AND c.deleted_at IS NULL
        AND c.updated_at > :created_after
        AND (c.updated_at, c.id) < ({self._place_before})
      ORDER BY c.updated_at DESC, c.id DESC
      LIMIT :looked
    ) AS {wanted}"""
            for wanted, value in (("active", "FALSE"), ("archived", "TRUE"))
        )
        columns = ", ".join(f"c.{name}" for name in _LISTED)
        model, text = self.dialect.text(":model"), self.dialect.text(":metadata_text")
        rows = self.dialect.list_of(self.dialect.document(shown(CONVERSATION), "l"))
        last = self.dialect.object({"updated_at": "k.updated_at", "id": "k.id"})
        page = self.dialect.object(
            {
                "owner": self._owner,
                "rows": self.dialect.subquery(f"SELECT {rows} FROM matching AS l"),
                "looked": "(SELECT count(*) FROM looked_at AS k)",
                "last": self.dialect.subquery(f"SELECT {last} FROM looked_at AS k ORDER BY k.updated_at, k.id LIMIT 1"),
            }
        )
        return self.dialect.answer(f"""
WITH
  live AS (
{live}
  ),
  looked_at AS (
    SELECT l.n, l.updated_at, l.id
    FROM live AS l
    ORDER BY l.updated_at DESC, l.id DESC
    LIMIT :looked
  ),
  matching AS (
    SELECT {columns}
    FROM looked_at AS k
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.n = k.n")}
    WHERE ({model} IS NULL OR c.model = {model})
      AND c.created_at > :created_after
      AND c.created_at < :created_before
      AND (
        {text} IS NULL
        OR {self.dialect.contains("c.metadata", ":metadata_text")}
        OR {self.dialect.contains("c.metadata", ":metadata_literal")}
      )
    ORDER BY k.updated_at DESC, k.id DESC
    LIMIT :limit + 1
  )
SELECT {page} AS answer
""")

    # Of the two statements for a page, the first gives NULL where the messages are too large for one: to find out how
    # many are not is slower.

    @cached_property
    def list_messages_before(self) -> Query:
        """A page of messages, backward."""
        return self._page(self._messages_before)

    @cached_property
    def list_messages_after(self) -> Query:
        """A page of messages, forward."""
        return self._page(self._messages_after)

    @cached_property
    def list_large_messages_before(self) -> Query:
        """As many messages as fit into a page, backward."""
        return self._page_of_large(self._messages_before)

    @cached_property
    def list_large_messages_after(self) -> Query:
        """As many messages as fit into a page, forward."""
        return self._page_of_large(self._messages_after)

    @cached_property
    def changes(self) -> Query:
        """A page of changes in order of (rev, kind, n), with conversations of kind 0, messages 1, cuts 2, drafts 3.

        A cut is told by where it begins: all those of one rev are of one conversation.
        """
        removed = self.dialect.object(
            {
                "conversationId": "k.conversation_id",
                "fromSeq": "k.from_seq",
                "toSeq": "k.to_seq",
                "deletedAt": "k.deleted_at",
            }
        )
        page = self.dialect.object(
            {
                "owner": self._owner,
                "rows": self.dialect.list_of(
                    self.dialect.object(
                        {
                            "rev": "s.rev",
                            "kind": "s.kind",
                            "n": "s.n",
                            "conversation": self.or_null(self.dialect.document(shown(CONVERSATION), "c"), "c"),
                            "message": self.or_null(self.dialect.document(shown(MESSAGE), "m"), "m"),
                            "removed": f"CASE WHEN k.rev IS NULL THEN NULL ELSE {removed} END",
                            "draft": self.or_null(self.dialect.document(_DRAFT_CHANGE, "d"), "d"),
                        }
                    )
                ),
                "more": self.dialect.is_true("count(*) < (SELECT count(*) FROM listed)"),
            }
        )
        conversation = "c.user_id = :user AND c.id = m.conversation_id"
        return self.dialect.answer(f"""
WITH
  changed_conversations AS (
    SELECT c.rev, 0 AS kind, c.n, {CONVERSATION_BYTES} AS bytes, NULL AS cut_in
    FROM {self.conversations} AS c
    WHERE c.user_id = :user
      AND c.rev >= :rev
      AND (c.rev, 0, c.n) > (:rev, :kind, :n)
      AND coalesce(c.deleted_at, 1) > 0
    ORDER BY c.rev, c.n
    LIMIT :limit + 1
  ),
  changed_messages AS (
    SELECT m.rev, 1 AS kind, m.n, m.bytes, NULL AS cut_in
    FROM {self.messages} AS m
    {self.dialect.look_up("conversations", "c", conversation)}
    WHERE m.user_id = :user
      AND m.rev >= :rev
      AND (m.rev, 1, m.n) > (:rev, :kind, :n)
      AND c.deleted_at IS NULL
      AND {self.is_kept("m.seq", "m.conversation_id")}
    ORDER BY m.rev, m.n
    LIMIT :limit + 1
  ),
  changed_cuts AS (
    SELECT k.rev, 2 AS kind, k.from_seq AS n, 0 AS bytes, k.conversation_id AS cut_in
    FROM {self.cuts} AS k
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = k.conversation_id")}
    WHERE k.user_id = :user
      AND k.rev >= :rev
      AND (k.rev, 2, k.from_seq) > (:rev, :kind, :n)
      AND k.deleted_at > 0
      AND c.deleted_at IS NULL
    ORDER BY k.rev, k.from_seq
    LIMIT :limit + 1
  ),
  changed_drafts AS (
    SELECT d.rev, 3 AS kind, d.n, {DRAFT_BYTES} AS bytes, NULL AS cut_in
    FROM {self.drafts} AS d
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = d.conversation_id")}
    WHERE d.user_id = :user
      AND d.rev >= :rev
      AND (d.rev, 3, d.n) > (:rev, :kind, :n)
      AND c.deleted_at IS NULL
    ORDER BY d.rev, d.n
    LIMIT :limit + 1
  ),
  changed AS (
    SELECT a.rev, a.kind, a.n, a.bytes, a.cut_in FROM changed_conversations AS a
    UNION ALL
    SELECT b.rev, b.kind, b.n, b.bytes, b.cut_in FROM changed_messages AS b
    UNION ALL
    SELECT g.rev, g.kind, g.n, g.bytes, g.cut_in FROM changed_cuts AS g
    UNION ALL
    SELECT e.rev, e.kind, e.n, e.bytes, e.cut_in FROM changed_drafts AS e
  ),
  listed AS (
    SELECT l.rev, l.kind, l.n, l.bytes, l.cut_in
    FROM changed AS l
    ORDER BY l.rev, l.kind, l.n
    LIMIT :limit + 1
  ),
  sized AS (
    SELECT l.rev, l.kind, l.n, l.cut_in, row_number() OVER oldest AS position, sum(l.bytes) OVER oldest AS bytes
    FROM listed AS l
    WINDOW oldest AS (ORDER BY l.rev, l.kind, l.n)
  )
SELECT {page} AS answer
FROM sized AS s
LEFT JOIN {self.conversations} AS c ON c.user_id = :user AND c.n = s.n AND s.kind = 0
LEFT JOIN {self.messages} AS m ON m.user_id = :user AND m.n = s.n AND s.kind = 1
LEFT JOIN {self.cuts} AS k ON k.user_id = :user AND k.conversation_id = s.cut_in AND k.from_seq = s.n
LEFT JOIN {self.drafts} AS d ON d.user_id = :user AND d.n = s.n AND s.kind = 3
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

    @property
    def _place_before(self) -> str:
        """The place in the list that a page comes after."""
        return f"""
      coalesce(
        {self.dialect.integer(":updated_at")},
        (SELECT f.updated_at FROM {self.conversations} AS f WHERE f.user_id = :user AND f.id = :before_id)
      ),
      :before_id
    """

    @property
    def _owner_fields(self) -> str:
        return self.dialect.object({"epoch": "o.epoch", "rev": "o.rev", "floor": "o.floor"})

    @property
    def _owner(self) -> str:
        return self.dialect.subquery(f"""
    SELECT {self._owner_fields} FROM {self.owners} AS o WHERE o.user_id = :user
  """)

    @property
    def _messages_before(self) -> str:
        return f"""listed AS (
    SELECT m.n, m.bytes, -m.seq AS place
    FROM {self.messages} AS m
    WHERE m.user_id = :user
      AND m.conversation_id = :conversation
      AND m.seq < coalesce(
        {self.dialect.integer(":seq")},
        (
          SELECT f.seq
          FROM {self.messages} AS f
          WHERE f.user_id = :user AND f.conversation_id = :conversation AND f.id = :message
        )
      )
      AND {self.is_kept_on_page("m.seq")}
    ORDER BY m.seq DESC
    LIMIT :limit + 1
  )"""

    @property
    def _messages_after(self) -> str:
        return f"""listed AS (
    SELECT m.n, m.bytes, m.seq AS place
    FROM {self.messages} AS m
    WHERE m.user_id = :user
      AND m.conversation_id = :conversation
      AND m.seq > :seq
      AND {self.is_kept_on_page("m.seq")}
    ORDER BY m.seq
    LIMIT :limit + 1
  )"""

    @property
    def _beside_messages(self) -> dict[str, str]:
        return {"drafts": "w.drafts"}

    @property
    def _on_page(self) -> list[Column]:
        """What readers get of a message of a page: whether the conversation has a fork at all is asked once for all."""
        fork = f"SELECT 1 FROM {self.forks} AS f WHERE f.user_id = :user AND f.conversation_id = :conversation"
        return [
            column._replace(shown_as=f"CASE WHEN EXISTS ({fork}) THEN {column.shown_as} ELSE {{alias}}.seq - 1 END")
            if column.name == "follows"
            else column
            for column in shown(MESSAGE)
        ]

    def _page(self, listed: str) -> Query:
        return self.dialect.answer(f"""
WITH
  {listed},
  {self.open_drafts_of_page}
SELECT CASE WHEN (SELECT sum(l.bytes) FROM listed AS l) > :page_bytes THEN NULL ELSE (
  SELECT {self.dialect.message_rows(self._on_page, "m", "count(*) > :limit", self._beside_messages)}
  FROM listed AS l
  {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = l.n")}
) END AS answer
FROM {self.conversations} AS c
CROSS JOIN open_drafts AS w
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")

    def _page_of_large(self, listed: str) -> Query:
        """`place` orders rows as they are read."""
        more = "count(*) < (SELECT count(*) FROM listed)"
        return self.dialect.answer(f"""
WITH
  {listed},
  {self.open_drafts_of_page},
  sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.place)
  )
SELECT (
  SELECT {self.dialect.message_rows(shown(MESSAGE), "m", more, self._beside_messages)}
  FROM sized AS s
  {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = s.n")}
  WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
) AS answer
FROM {self.conversations} AS c
CROSS JOIN open_drafts AS w
WHERE c.user_id = :user AND c.id = :conversation AND c.deleted_at IS NULL
""")
