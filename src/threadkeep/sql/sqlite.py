"""Executor for SQLite in this process, through apsw, with D1's limits set, so that what passes here passes there."""

from typing import Any

import apsw

from threadkeep.errors import Unavailable
from threadkeep.sql import statements as sqlite_statements
from threadkeep.sql.dialect import Dialect
from threadkeep.sql.executor import Row, Statement

# Source: workerd's sqlite.c++ and https://developers.cloudflare.com/d1/platform/limits/
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: 2_000_000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
}
_BUSY_MILLISECONDS = 10_000


class SqliteExecutor:
    """One connection to a SQLite file, or to `:memory:`."""

    dialect: Dialect = sqlite_statements
    bookmark: str | None = None

    def __init__(self, path: str) -> None:
        """Open or create the file. Raises Unavailable where that is not possible."""
        try:
            self._connection = apsw.Connection(path)
        except apsw.Error as error:
            raise _cannot_be_opened(error) from error
        try:
            self._connection.set_busy_timeout(_BUSY_MILLISECONDS)
            for limit, value in _LIMITS.items():
                self._connection.limit(limit, value)
            # Readers and a writer at once; what is committed is on the disk; and what is deleted is overwritten.
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        except apsw.Error as error:
            self._connection.close()
            raise _cannot_be_opened(error) from error
        self._connection.row_trace = _as_row

    async def run(self, *statements: Statement) -> list[list[Row]]:
        writes = any(statement.query.writes for statement in statements)
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                results: list[list[Any]] = [
                    self._connection.execute(query.numbered, values).fetchall() for query, values in statements
                ]
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # on a full disk SQLite has rolled back already
                    self._connection.execute("ROLLBACK")
                raise
        except _UNAVAILABLE as error:
            raise Unavailable(f"SQLite could not do this: {error}. Try again.") from error
        return results

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one file."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


# Of the file, the disk and who else is at it. What is left is wrong with a statement of ours, or with the file itself.
_UNAVAILABLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
    apsw.ProtocolError,
)


def _as_row(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.get_description(), values, strict=True)}


def _cannot_be_opened(error: apsw.Error) -> Unavailable:
    return Unavailable(f"The SQLite file cannot be opened: {error}. Check SQLITE_PATH.")
