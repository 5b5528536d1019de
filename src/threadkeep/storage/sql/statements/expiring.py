"""Statements that delete many conversations at once, by when messages were last appended to them.

`updated_at` says when that was, since nothing else moves it. `expires_from` is later where a conversation was imported
or restored: whoever brought it back is not to lose it at once.
"""

from functools import cached_property

from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base


class Expiring(Base):
    """See the module."""

    @cached_property
    def delete_older(self) -> Query:
        """Delete a part of those last appended to before a time, oldest first, so that they can be restored."""
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key("conversations", "c")}
SET rev = {self.next_rev}, deleted_at = :now, version = version + 1
WHERE c.user_id = :user AND c.n IN (
  SELECT d.n FROM ({self._older}) AS d ORDER BY d.updated_at, d.n LIMIT :limit
)
""")

    @cached_property
    def deleted_now(self) -> Query:
        """How many that were: they bear the next rev, which no other of the batch does."""
        changed = self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.rev = o.rev + 1")
        return self.dialect.read(f"""
SELECT count(*) AS value
FROM {self.owners} AS o
{changed}
WHERE o.user_id = :user
""")

    @cached_property
    def oldest_append(self) -> Query:
        """When messages were last appended to the oldest of those that may expire."""
        return self.dialect.read(f"""
SELECT min(d.updated_at) AS value
FROM ({self._older}) AS d
""")

    @cached_property
    def users_to_expire(self) -> Query:
        """Find those of the next users after one who have something that expires, and the last who was looked at."""
        # Not EXISTS, for which a planner may read all that anybody has.
        due = " OR ".join(
            f"""(
        :{wanted} = 1 AND (
          SELECT 1
          FROM {self.conversations} AS c
          WHERE {self._is_older("u.user_id", value)}
          ORDER BY c.updated_at
          LIMIT 1
        ) IS NOT NULL
      )"""
            for wanted, value in _BY_ARCHIVING.items()
        )
        part = self.dialect.object(
            {
                "users": self.dialect.subquery(
                    f"SELECT {self.dialect.list_of('u.user_id')} FROM looked_at AS u WHERE {due}"
                ),
                "last": "(SELECT max(u.user_id) FROM looked_at AS u)",
            }
        )
        return self.dialect.answer(f"""
WITH
  looked_at AS (
    SELECT o.user_id
    FROM {self.owners} AS o
    WHERE o.user_id > :after
    ORDER BY o.user_id
    LIMIT :limit
  )
SELECT {part} AS answer
""")

    @property
    def _older(self) -> str:
        """The oldest of both kinds, each by the index that has it in order."""
        return "\n  UNION ALL\n".join(
            f"""
    SELECT {wanted}.n, {wanted}.updated_at
    FROM (
      SELECT c.n, c.updated_at
      FROM {self.conversations} AS c
      WHERE :{wanted} = 1 AND {self._is_older(":user", value)}
      ORDER BY c.updated_at, c.id
      LIMIT :limit
    ) AS {wanted}"""
            for wanted, value in _BY_ARCHIVING.items()
        )

    def _is_older(self, user: str, is_archived: str) -> str:
        return f"""c.user_id = {user}
        AND c.is_archived = {is_archived}
        AND c.deleted_at IS NULL
        AND c.updated_at < :before
        AND coalesce(c.expires_from, 0) < :expires_before
        AND CASE WHEN :spares_pinned = 1 THEN NOT ({self.dialect.is_pinned("c.metadata")}) ELSE TRUE END"""


_BY_ARCHIVING = {"active": "FALSE", "archived": "TRUE"}
"""Which conversations a parameter asks for."""
