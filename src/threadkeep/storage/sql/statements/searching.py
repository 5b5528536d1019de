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
        """A page of hits."""
        return self._page_of_hits(
            f"{self._listed_hits('hits')},\n  {self._paths_of_hits('listed')}",
            "LEFT JOIN paths AS p ON p.conversation_id = s.conversation_id AND s.seq >= p.lo AND s.seq <= p.hi",
        )

    @cached_property
    def search_active(self) -> Query:
        """A page of those hits that are on the active path of their conversation, or titles."""
        on_path = "p.conversation_id = h.conversation_id AND h.seq >= p.lo AND h.seq <= p.hi"
        return self._page_of_hits(
            f"""{self._paths_of_hits("hits")},
  active AS (
    SELECT h.score, h.time, h.n, h.seq, h.bytes, h.conversation_id
    FROM hits AS h
    LEFT JOIN paths AS p ON {on_path}
    WHERE h.seq = 0 OR p.lo IS NOT NULL
  ),
  {self._listed_hits("active")}""",
            "LEFT JOIN paths AS p ON p.conversation_id = s.conversation_id AND s.seq >= p.lo AND s.seq <= p.hi",
        )

    def _page_of_hits(self, choosing: str, on_path: str) -> Query:
        """A page of hits, of which `choosing` makes `listed` and `paths`.

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
                            "isActive": self.dialect.is_true("m.n IS NULL OR p.lo IS NOT NULL"),
                            "nextSeq": f"CASE WHEN m.n IS NULL THEN NULL ELSE {self._next_of_hit} END",
                        }
                    )
                ),
                "more": self.dialect.is_true("count(*) < (SELECT count(*) FROM listed)"),
            }
        )
        role, within = self.dialect.text(":role"), self.dialect.text(":within")
        return self.dialect.answer(f"""
WITH RECURSIVE
  {self.dialect.found()},
  hits AS (
    SELECT f.score, m.created_at AS time, m.n, m.seq, m.bytes, c.id AS conversation_id
    FROM scored AS f
    {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = f.n")}
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.id = m.conversation_id")}
    WHERE c.deleted_at IS NULL
      AND m.role = coalesce(CASE {role} WHEN 'developer' THEN 'system' ELSE {role} END, m.role)
      AND ({role} IS NULL OR m.role <> 'system' OR coalesce(m.sent_role, m.role) = {role})
      AND m.created_at >= :since
      AND m.created_at < :until
      AND ({within} IS NULL OR c.id = {within})
      AND {self.is_kept("m.seq", "c.id")}
    UNION ALL
    SELECT f.score, c.created_at AS time, -c.n, 0 AS seq, 0 AS bytes, c.id AS conversation_id
    FROM scored AS f
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.n = -f.n")}
    WHERE c.deleted_at IS NULL
      AND {role} IS NULL
      AND {within} IS NULL
      AND c.created_at >= :since
      AND c.created_at < :until
  ),
  {choosing},
  sized AS (
    SELECT
      l.n,
      l.seq,
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
{on_path}
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
HAVING {within} IS NULL OR (
  SELECT count(*)
  FROM {self.conversations} AS named
  WHERE named.user_id = :user AND named.id = {within} AND named.deleted_at IS NULL
) > 0
""")

    def _listed_hits(self, hits: str) -> str:
        return f"""listed AS (
    SELECT h.score, h.time, h.n, h.seq, h.bytes, h.conversation_id
    FROM {hits} AS h
    ORDER BY h.score, h.time DESC, h.n DESC
    LIMIT :limit + 1 OFFSET :skip
  )"""

    def _paths_of_hits(self, hits: str) -> str:
        """The active paths of the conversations of hits, as ranges, from the leaf down to the first hit.

        `above` is where the path goes on above a range, 0 where it ends.
        """
        conversation = "c.user_id = :user AND c.id = h.conversation_id"
        zero = self.dialect.integer("0")
        return f"""paths (conversation_id, hi, lo, follows, above, least) AS (
    SELECT t.id, t.hi, {self.last_fork("seq", "t.hi", "1", "t.id")},
      {self.last_fork("follows", "t.hi", "0", "t.id")}, {zero}, t.least
    FROM (
      SELECT c.id, coalesce(c.leaf_seq, c.message_count) AS hi, min(h.seq) AS least
      FROM {hits} AS h
      {self.dialect.look_up("conversations", "c", conversation)}
      WHERE h.seq > 0
      GROUP BY c.id, c.leaf_seq, c.message_count
    ) AS t
    WHERE t.hi > 0
    UNION ALL
    SELECT r.conversation_id, r.follows, {self.last_fork("seq", "r.follows", "1", "r.conversation_id")},
      {self.last_fork("follows", "r.follows", "0", "r.conversation_id")}, r.lo, r.least
    FROM paths AS r
    WHERE r.follows >= r.least
  )"""

    @property
    def _next_of_hit(self) -> str:
        """The `seq` of what follows the hit `m`: on the active path `p`, or else the newest."""
        here = "fork.user_id = :user AND fork.conversation_id = m.conversation_id"
        return f"""CASE
    WHEN m.seq < p.hi THEN m.seq + 1
    WHEN p.above > 0 THEN p.above
    WHEN p.lo IS NOT NULL THEN NULL
    ELSE coalesce((
      SELECT max(fork.seq)
      FROM {self.forks} AS fork
      WHERE {here} AND fork.follows = m.seq AND {self.is_kept("fork.seq", "m.conversation_id")}
    ), CASE
      WHEN m.seq < c.message_count
        AND {self.is_kept("(m.seq + 1)", "m.conversation_id")}
        AND {self.fork_at("m.seq + 1", "m.conversation_id")} IS NULL
      THEN m.seq + 1
    END)
  END"""
