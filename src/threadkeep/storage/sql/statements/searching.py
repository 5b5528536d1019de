"""The statement that searches."""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base
from threadkeep.storage.sql.statements.reading import CONVERSATION_BYTES


class Searching(Base):
    """See the module."""

    @cached_property
    def search(self) -> Query:
        """A page of hits.

        The index is asked for words behind the owner's mark, so no row of anybody else's is read; that every row is
        joined with the owner's all the same is what the promise rests on.
        """
        page = self.dialect.object(
            {
                "rows": self.dialect.list_of(
                    self.dialect.object(
                        {
                            "position": "s.position",
                            "conversation": self.dialect.document(shown(CONVERSATION), "c"),
                            "message": self.or_null(self.dialect.document(shown(MESSAGE), "m"), "m"),
                        }
                    )
                ),
                "more": self.dialect.is_true("count(*) < (SELECT count(*) FROM listed)"),
            }
        )
        role = self.dialect.text(":role")
        return self.dialect.answer(f"""
WITH
  {self.dialect.found()},
  hits AS (
    SELECT f.score, m.created_at AS time, m.n, m.bytes, c.id AS conversation_id
    FROM scored AS f
    {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = f.n")}
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = m.conversation_id")}
    WHERE c.deleted_at IS NULL
      AND m.role = coalesce(CASE {role} WHEN 'developer' THEN 'system' ELSE {role} END, m.role)
      AND ({role} IS NULL OR m.role <> 'system' OR coalesce(m.sent_role, m.role) = {role})
      AND m.created_at >= :since
      AND m.created_at < :until
    UNION ALL
    SELECT f.score, c.created_at AS time, -c.n, 0 AS bytes, c.id AS conversation_id
    FROM scored AS f
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.n = -f.n")}
    WHERE c.deleted_at IS NULL AND {role} IS NULL AND c.created_at >= :since AND c.created_at < :until
  ),
  listed AS (
    SELECT h.score, h.time, h.n, h.bytes, h.conversation_id
    FROM hits AS h
    ORDER BY h.score, h.time DESC, h.n DESC
    LIMIT :limit + 1 OFFSET :skip
  ),
  sized AS (
    SELECT
      l.n,
      l.conversation_id,
      row_number() OVER best AS position,
      sum(l.bytes + {CONVERSATION_BYTES}) OVER best AS bytes
    FROM listed AS l
    WINDOW best AS (ORDER BY l.score, l.time DESC, l.n DESC)
  )
SELECT {page} AS answer
FROM sized AS s
{self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = s.conversation_id")}
LEFT JOIN {self.messages} AS m ON m.user_id = :user AND m.n = s.n
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")
