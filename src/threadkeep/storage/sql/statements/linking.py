"""Statements that note what messages follow which an earlier version has kept: it had `parent_id`, and no `forks`.

They go through a user's messages in the order of (rev, n), as those do that bring an index up to date. Who has noted
how far is in `linked_rev` and `linked_n`, so that it can be cut off anywhere, and done twice.
"""

from functools import cached_property

from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base


class Linking(Base):
    """See the module."""

    @cached_property
    def unlinked(self) -> Query:
        """Up to where it is known what the user's messages follow, if that is not everything."""
        fields = {"rev": "o.rev", "linkedRev": "o.linked_rev", "linkedN": "o.linked_n"}
        return self.dialect.answer(f"""
SELECT {self.dialect.object(fields)} AS answer
FROM {self.owners} AS o
WHERE o.user_id = :user AND o.linked_rev < o.rev
""")

    @cached_property
    def to_link(self) -> Query:
        """How many messages come next, at most `:limit`, and the last of them."""
        last = "FROM listed AS l ORDER BY l.rev DESC, l.n DESC LIMIT 1"
        part = self.dialect.object(
            {
                "count": "(SELECT count(*) FROM listed)",
                "rev": f"coalesce((SELECT l.rev {last}), 0)",
                "n": f"coalesce((SELECT l.n {last}), 0)",
            }
        )
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT m.rev, m.n
    FROM {self.messages} AS m
    WHERE m.user_id = :user
      AND m.rev > :linked_rev
      AND m.rev <= :until
      AND (m.rev > :next_rev OR m.n > :linked_n)
    ORDER BY m.rev, m.n
    LIMIT :limit
  )
SELECT {part} AS answer
""")

    @cached_property
    def touch_unlinked(self) -> Query:
        """Stamp those of the part that are found to follow another one than was said, so that devices hear of it."""
        return self.dialect.write(f"""
UPDATE {self.messages} AS m
SET rev = {self.next_rev}
WHERE m.user_id = :user
  AND m.rev > :linked_rev
  AND m.rev <= :last_rev
  AND (m.rev > :next_rev OR m.n > :linked_n)
  AND (m.rev < :last_rev OR m.n <= :last_n)
  AND m.parent_id IS NOT NULL
  AND m.seq > 2
  AND EXISTS (
    SELECT 1
    FROM {self.messages} AS p
    WHERE p.user_id = :user AND p.id = m.parent_id AND {_IS_PARENT}
  )
  AND {self._has_no_fork}
""")

    @cached_property
    def link(self) -> Query:
        """Note what those follow that this batch has stamped."""
        values = {"user_id": ":user", "conversation_id": "m.conversation_id", "seq": "m.seq", "follows": "p.seq"}
        return self.dialect.write(f"""
{self.insert(self.forks, values)}
FROM {self.owners} AS o
JOIN {self.messages} AS m ON m.user_id = :user AND m.rev = o.rev + 1
{self.dialect.look_up("messages", "p", "p.user_id = :user AND p.id = m.parent_id")}
WHERE o.user_id = :user AND {_IS_PARENT} AND {self._has_no_fork}
""")

    @cached_property
    def linked(self) -> Query:
        """Note up to where that is done, unless somebody else has gone on from there."""
        return self.dialect.write(f"""
UPDATE {self.owners} AS o
SET linked_rev = :reached_rev, linked_n = :reached_n
WHERE o.user_id = :user AND o.linked_rev = :linked_rev AND o.linked_n = :linked_n
""")

    @property
    def _has_no_fork(self) -> str:
        return f"{self.fork_at('m.seq', 'm.conversation_id')} IS NULL"


_IS_PARENT = "p.conversation_id = m.conversation_id AND p.seq < m.seq - 1"
"""Whether a message follows one that is not the one before it. What it cannot follow is left out."""
