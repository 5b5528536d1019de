"""Statements that index words, and that bring what an earlier version has indexed into the index of this one."""

from functools import cached_property

from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE, named
from threadkeep.storage.sql.dialect import Tidying
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base


class Indexing(Base):
    """See the module."""

    @cached_property
    def index(self) -> tuple[Query, ...]:
        """Index the words of messages and titles that bear the next rev; after whatever may have given a title."""
        return tuple(self.dialect.indexing())

    @cached_property
    def unindex_title(self) -> tuple[Query, ...]:
        """Take the words of a title out of the index that an edit has replaced; after that edit."""
        return tuple(
            self.dialect.unindexing(f"""
  SELECT -c.n
  FROM {self.owners} AS o
  JOIN {self.conversations} AS c ON c.user_id = :user AND c.id = :conversation
  WHERE o.user_id = :user AND c.rev = o.rev + 1 AND c.title = :title AND c.title_source = :title_source
""")
        )

    @cached_property
    def to_index_again(self) -> Query:
        """Some of what only the index of the version before has, with what it says.

        `places` is everything of the user among the first rows of that index, so that whatever is in no use any more
        goes, too.
        """
        message = self.dialect.document(named(MESSAGE, "id", "content"), "m")
        title = self.dialect.document(named(CONVERSATION, "id", "title"), "c")
        part = self.dialect.object(
            {
                "places": self.dialect.subquery(f"SELECT {self.dialect.list_of('s.n')} FROM sized AS s"),
                "messages": self.dialect.subquery(f"""
    SELECT {self.dialect.list_of(message)}
    FROM sized AS s
    {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = s.n")}
  """),
                "titles": self.dialect.subquery(f"""
    SELECT {self.dialect.list_of(title)}
    FROM sized AS s
    {self.dialect.look_up("conversations", "c", "c.user_id = :user AND c.n = -s.n")}
  """),
            }
        )
        return self.dialect.answer(f"""
WITH
  first_rows AS (
    SELECT l.n, l.user_id
    FROM {self.dialect.table_of_index_before} AS l
    ORDER BY l.n
    LIMIT :limit
  ),
  listed AS (
    SELECT f.n, coalesce(m.bytes, 0) AS bytes
    FROM first_rows AS f
    LEFT JOIN {self.messages} AS m ON m.user_id = :user AND m.n = f.n
    WHERE f.user_id = :user
  ),
  totalled AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.n)
  ),
  sized AS (
    SELECT t.n FROM totalled AS t WHERE t.position = 1 OR t.bytes <= :bytes
  )
SELECT {part} AS answer
""")

    @cached_property
    def index_again(self) -> tuple[Query, ...]:
        """Index those in `:words` and `:titles`, as `index` is given them, and take `:places` out of the one before."""
        return tuple(self.dialect.indexing_again())

    @cached_property
    def behind(self) -> Query:
        """Up to where the user's messages are indexed as they are now, if that is not everything."""
        fields = {"rev": "o.rev", "indexedRev": "o.indexed_rev", "indexedN": "o.indexed_n"}
        return self.dialect.answer(f"""
SELECT {self.dialect.object(fields)} AS answer
FROM {self.owners} AS o
WHERE o.user_id = :user AND o.indexed_rev < o.rev
""")

    @cached_property
    def to_catch_up(self) -> Query:
        """Some of the messages that come next: after `:indexed_rev`, and, in `:next_rev`, after `:indexed_n`."""
        message = self.dialect.object(
            {"rev": "s.rev", "n": "s.n", "message": self.dialect.document(named(MESSAGE, "id", "content"), "m")}
        )
        part = self.dialect.object(
            {"rows": self.dialect.list_of(message), "count": "(SELECT count(*) FROM listed)"},
        )
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT m.rev, m.n, m.bytes
    FROM {self.messages} AS m
    WHERE m.user_id = :user
      AND m.rev > :indexed_rev
      AND m.rev <= :until
      AND (m.rev > :next_rev OR m.n > :indexed_n)
    ORDER BY m.rev, m.n
    LIMIT :limit
  ),
  totalled AS (
    SELECT l.rev, l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.rev, l.n)
  ),
  sized AS (
    SELECT t.rev, t.n FROM totalled AS t WHERE t.position = 1 OR t.bytes <= :bytes
  )
SELECT {part} AS answer
FROM sized AS s
{self.dialect.look_up("messages", "m", "m.user_id = :user AND m.n = s.n")}
""")

    @cached_property
    def index_messages(self) -> tuple[Query, ...]:
        """Index messages by `:words`, an array of [id, words], whatever of them is indexed already."""
        places = f"""
  SELECT m.n
  FROM {self.dialect.each(":words", "given")}
  {self.dialect.look_up("messages", "m", "m.user_id = :user AND m.id = given.value ->> 0")}
"""
        return (*self.dialect.unindexing(places), self.dialect.indexing_messages())

    @cached_property
    def caught_up(self) -> Query:
        """Note up to where that is done, unless somebody else has gone on from there."""
        return self.dialect.write(f"""
UPDATE {self.owners} AS o
SET indexed_rev = :reached_rev, indexed_n = :reached_n
WHERE o.user_id = :user AND o.indexed_rev = :indexed_rev AND o.indexed_n = :indexed_n
""")

    @cached_property
    def tidying(self) -> Tidying | None:
        """Removes from the index for good what was taken out of it, a part at a time."""
        return self.dialect.tidying()

    @cached_property
    def users_to_purge(self) -> Query:
        """Find users for whom there is something to purge, or to index again. The one statement that is about no user.

        Of the index of the version before, the first rows are looked at, as by `to_index_again`. The state of agents
        stands in brackets, each kind in its own: a Durable Object unites at most five selections at once.
        """
        return self.dialect.read(f"""
SELECT DISTINCT u.user_id AS value
FROM (
  SELECT c.user_id FROM {self.conversations} AS c WHERE c.deleted_at <= :until
  UNION ALL
  SELECT f.user_id
  FROM (SELECT l.user_id FROM {self.dialect.table_of_index_before} AS l ORDER BY l.n LIMIT :limit) AS f
  UNION ALL
  SELECT k.user_id FROM {self.cuts} AS k WHERE k.deleted_at <> 0 AND k.deleted_at <= :until
  UNION ALL
  SELECT i.user_id
  FROM (
    SELECT b.user_id
    FROM (SELECT o.user_id FROM {self.owners} AS o WHERE o.indexed_rev < o.rev LIMIT :limit) AS b
    UNION ALL
    SELECT e.user_id
    FROM (SELECT o.user_id FROM {self.owners} AS o WHERE o.linked_rev < o.rev LIMIT :limit) AS e
  ) AS i
  UNION ALL
  SELECT a.user_id FROM ({self._state_to_purge}) AS a
) AS u
LIMIT :limit
""")

    @property
    def _state_to_purge(self) -> str:
        """Whose agents have something to sweep, or that has expired. On Workers, a query joins no more than five."""
        deleted, expired = "k.deleted_at > 0", "k.deleted_at IS NULL AND k.expires_at <= :now"
        tables: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
            *(((table, deleted), (table, expired)) for table in (self.journals, self.blobs, self.threads)),
            ((self.tasks, deleted), (self.lanes, deleted)),
        )
        kinds = (
            f"""
    SELECT k.user_id
    FROM (
      SELECT k.user_id FROM {first} AS k WHERE {first_condition}
      UNION ALL
      SELECT k.user_id FROM {second} AS k WHERE {second_condition}
    ) AS k"""
            for (first, first_condition), (second, second_condition) in tables
        )
        return "\n    UNION ALL".join(kinds) + "\n  "
