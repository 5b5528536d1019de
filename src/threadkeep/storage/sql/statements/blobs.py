"""Statements about blobs, whose bytes stand in pieces, in base64: no driver of ours hands over bytes as they are.

Whoever inserts the row of a blob keeps it. All after that goes by `group_id`, which no other batch has.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import BLOB, PIECE, named, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned

_NAMED = "b.user_id = :user AND b.space = :space AND b.key = :key AND b.deleted_at IS NULL"
_LIVE = f"{_NAMED} AND (b.expires_at IS NULL OR b.expires_at > :now)"


class Blobs(Base):
    """See the module."""

    @cached_property
    def retire_expired_blob(self) -> Query:
        """Delete a blob that has expired, so that its key is free: it is swept later."""
        return self.dialect.write(f"""
UPDATE {self.blobs} AS b
SET deleted_at = :now
WHERE {_NAMED} AND b.expires_at <= :now
""")

    @cached_property
    def insert_blob(self) -> Query:
        """Keep what is known of a blob, unless its key is taken."""
        given = {column.name: self.dialect.parameter(column) for column in BLOB}
        return self.dialect.write(f"""
{self.insert(self.blobs, {"user_id": ":user", **given, "created_at": ":now"})}
FROM {self.owners} AS o
WHERE o.user_id = :user
ON CONFLICT (user_id, space, key) WHERE deleted_at IS NULL DO NOTHING
""")

    @cached_property
    def insert_piece_of_blob(self) -> Query:
        """Keep a part of the bytes of a blob that this batch has inserted."""
        given = {column.name: self.dialect.parameter(column) for column in PIECE}
        return self.dialect.write(f"""
{self.insert(self.pieces, {"user_id": ":user", **given})}
FROM {self.blobs} AS b
WHERE {_NAMED} AND b.group_id = :group_id
""")

    @cached_property
    def blob(self) -> Query:
        """Get what is known of a blob, and where its bytes are."""
        columns = shown(BLOB) + named(BLOB, "group_id")
        return self.dialect.answer(f"""
SELECT {self.dialect.document(columns, "b")} AS answer
FROM {self.blobs} AS b
WHERE {_LIVE}
""")

    @cached_property
    def pieces_of_blob(self) -> Query:
        """Get the bytes of a blob, in order."""
        return self.dialect.read(f"""
SELECT p.data
FROM {self.pieces} AS p
WHERE p.user_id = :user
  AND p.group_id = (SELECT b.group_id FROM {self.blobs} AS b WHERE {_LIVE})
ORDER BY p.part
""")

    @cached_property
    def retire_blob(self) -> Query:
        """Delete a blob: its key is free, and it is swept later."""
        return self.dialect.write(f"""
UPDATE {self.blobs} AS b
SET deleted_at = :now
WHERE {_NAMED}
""")

    @cached_property
    def retire_all_blobs(self) -> Query:
        """Delete all blobs of a user."""
        return self.dialect.write(f"""
UPDATE {self.blobs} AS b
SET deleted_at = :now
WHERE b.user_id = :user AND b.deleted_at IS NULL
""")

    @cached_property
    def retire_expired_blobs(self) -> Query:
        """Delete blobs whose time has come."""
        return self.dialect.write(f"""
UPDATE {self.blobs} AS b
SET deleted_at = :now
WHERE b.user_id = :user AND b.deleted_at IS NULL AND b.expires_at <= :now
""")

    @cached_property
    def earliest_expiry_of_blobs(self) -> Query:
        """When the first blob expires."""
        return self.dialect.read(f"""
SELECT min(b.expires_at) AS value
FROM {self.blobs} AS b
WHERE b.user_id = :user AND b.deleted_at IS NULL AND b.expires_at > 0
""")

    @cached_property
    def sweep_blobs(self) -> tuple[Query, ...]:
        """Overwrite and remove a part of what is deleted, blob by blob: which part is the same for each of these."""
        zeros = self.dialect.zeros
        is_of_them = self.dialect.is_among("p.group_id", self._swept("group_id"))
        of_pieces = f"WHERE p.user_id = :user AND {is_of_them}"
        of_blobs = f"WHERE r.user_id = :user AND r.n IN ({self._swept('n')})"
        table = self.dialect.by_key("blobs", "r")
        texts = [f"\nDELETE FROM {self.pieces} AS p\n{of_pieces}\n", f"\nDELETE FROM {table}\n{of_blobs}\n"]
        if zeros is not None:
            texts[:0] = [
                f"\nUPDATE {self.pieces} AS p\nSET\n  {assigned(PIECE, zeros)}\n{of_pieces}\n",
                f"\nUPDATE {table}\nSET\n  {assigned(BLOB, zeros)}\n{of_blobs}\n",
            ]
        return tuple(map(self.dialect.write, texts))

    @cached_property
    def retired_blob(self) -> Query:
        """Whether any blob is still to be swept: no row where none is."""
        return self.dialect.read(f"""
SELECT 1 AS value
FROM {self.blobs} AS b
WHERE b.user_id = :user AND b.deleted_at > 0
LIMIT 1
""")

    def _swept(self, column: str) -> str:
        """Those that were deleted first, as many as are swept at once."""
        return f"""
  SELECT s.{column}
  FROM (
    SELECT
      l.n,
      l.group_id,
      row_number() OVER sweeping AS position,
      sum(l.size) OVER sweeping AS bytes
    FROM (
      SELECT b.n, b.group_id, b.size, b.deleted_at
      FROM {self.blobs} AS b
      WHERE b.user_id = :user AND b.deleted_at > 0
      ORDER BY b.deleted_at, b.n
      LIMIT :limit
    ) AS l
    WINDOW sweeping AS (ORDER BY l.deleted_at, l.n)
  ) AS s
  WHERE s.position = 1 OR s.bytes <= :bytes
"""
