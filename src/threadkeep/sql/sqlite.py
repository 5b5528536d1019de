"""Executor for SQLite through Python's own sqlite3, with D1's limits set, so that what passes here passes there."""

import sqlite3

from threadkeep.errors import Unavailable
from threadkeep.sql.executor import Row, Statement

# Source: workerd's sqlite.c++ and https://developers.cloudflare.com/d1/platform/limits/
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2_000_000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
}
_BUSY_SECONDS = 10


class SqliteExecutor:
    """One connection to a SQLite file, or to `:memory:`."""

    bookmark: str | None = None

    def __init__(self, path: str) -> None:
        """Open or create the file. Raises Unavailable where that is not possible."""
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
        except sqlite3.Error as error:
            raise _cannot_be_opened(error) from error
        try:
            for limit, value in _LIMITS.items():
                self._connection.setlimit(limit, value)
            # Readers and a writer at once; and what is committed is on the disk.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            self._connection.close()
            raise _cannot_be_opened(error) from error
        self._connection.row_factory = sqlite3.Row

    async def run(self, *statements: Statement) -> list[list[Row]]:
        writes = any(statement.query.writes for statement in statements)
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                results = [
                    [dict(row) for row in self._connection.execute(query.numbered, values)]
                    for query, values in statements
                ]
            except BaseException:
                if self._connection.in_transaction:  # on a full disk SQLite has rolled back already
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise  # a statement of ours is wrong
            raise Unavailable(f"SQLite could not do this: {error}. Try again.") from error
        return results

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _cannot_be_opened(error: sqlite3.Error) -> Unavailable:
    return Unavailable(f"The SQLite file cannot be opened: {error}. Check SQLITE_PATH.")
