"""Executors for SQLite in this process, through apsw, with D1's limits set, so that what passes here passes there.

`SqliteExecutor` is one connection, and works in the thread that calls it: for `:memory:`, scripts and tests.
`SqliteFile` is what a server has: one connection that writes and several that read, each call in a thread beside the
event loop. Other processes may have the same file open.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any

import apsw

from threadkeep.errors import Unavailable
from threadkeep.signals import Signals
from threadkeep.storage.base import Place
from threadkeep.storage.sql.database import SharedSqlDatabase
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sql.migrate import Migration, migrate, refuse_others
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.migrations import MIGRATIONS

# Source: workerd's sqlite.c++ and https://developers.cloudflare.com/d1/platform/limits/
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: 2_000_000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 32,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 5,
}
BATCH_SECONDS = 30
"""How long a batch may take beside the event loop, from when it is asked for: with its wait for those before it."""

LOOK_SECONDS = 0.1
"""How often it is looked whether another process has written, while somebody waits for that."""

_BUSY_MILLISECONDS = 10_000
_TIDY_MILLISECONDS = 500
_TRY_AGAIN_SECONDS = 0.01
_READERS = 4
"""How many read at once in one process; apsw lets go of Python's lock while SQLite works."""


class SqliteExecutor:
    """One connection to a SQLite file, or to `:memory:`."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, path: str, *, is_reader: bool = False) -> None:
        """Open or create the file; a reader changes nothing in it. Raises Unavailable where that is not possible."""
        self._path = os.path.abspath(path)
        try:
            self._connection = apsw.Connection(path)
        except apsw.Error as error:
            raise _cannot_be_opened(error) from error
        try:
            self._connection.set_busy_timeout(_BUSY_MILLISECONDS)
            for limit, value in _LIMITS.items():
                self._connection.limit(limit, value)
            for pragma in _PRAGMAS_OF_READERS if is_reader else _PRAGMAS:
                self._set(pragma)
        except apsw.Error as error:
            self._connection.close()
            raise _cannot_be_opened(error) from error
        self._connection.row_trace = _as_row

    async def run(self, *statements: Statement) -> list[list[Row]]:
        return self.run_now(statements)

    def run_now(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """`run`, in the thread that calls it."""
        writes = any(statement.query.writes for statement in statements)
        try:
            if len(statements) == 1 and not writes:
                return self.run_within(statements)  # one alone sees one state of the file as it is
            with self._transaction("BEGIN IMMEDIATE" if writes else "BEGIN"):
                return self.run_within(statements)
        except _UNAVAILABLE as error:
            raise Unavailable(f"SQLite could not do this: {error}. Try again.") from error

    def run_within(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run the statements in the transaction that the connection is in."""
        execute = self._connection.execute
        results: list[list[Any]] = [execute(query.numbered, values).fetchall() for query, values in statements]
        return results

    def look_now(self, migrations: tuple[Migration, ...]) -> None:
        """Raises Unavailable where the file is no database, or not one for these migrations. It changes nothing."""
        try:
            asyncio.run(refuse_others(_Within(self), migrations))
        except apsw.Error as error:
            raise _cannot_be_opened(error) from error

    def migrate_now(self, migrations: tuple[Migration, ...]) -> None:
        """Bring the file to the newest schema. However many processes do so at once, one does it and all see it.

        Raises Unavailable where the file cannot be written, or is not one for these migrations.
        """
        try:
            if self._connection.readonly("main"):
                raise Unavailable("The SQLite file is read-only. Check SQLITE_PATH, and the owner of the file.")
            with self._transaction("BEGIN IMMEDIATE"):
                asyncio.run(refuse_others(_Within(self), migrations))
                asyncio.run(migrate(_Within(self), migrations))
        except _UNAVAILABLE as error:
            raise _cannot_be_opened(error) from error

    def version_now(self) -> int:
        """A number that is another one when somebody else has written to the file: no row is read for it."""
        version: int = self._connection.pragma("data_version")
        return version

    def try_to_write_now(self) -> None:
        """See `SharedExecutor.try_to_write`. It waits for nobody: whoever is writing just now is proof enough.

        What does not fit into the cache goes to the log of writes, as it would before a commit. There is no commit, so
        that the next to write overwrites it.
        """
        try:
            with closing(apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
                for text in _TRIAL:
                    connection.execute(text)
        except apsw.BusyError:
            return
        except apsw.Error as error:
            raise Unavailable(f"The SQLite file cannot be written: {error}. Check SQLITE_PATH and its disk.") from error

    def empty_log_now(self) -> None:
        """Write what is in the log of writes to the file, and empty the log, unless somebody is at it just now."""
        self._connection.set_busy_timeout(_TIDY_MILLISECONDS)  # others may not write meanwhile
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except _UNAVAILABLE as error:
            raise Unavailable(f"SQLite could not do this: {error}. Try again.") from error
        finally:
            self._connection.set_busy_timeout(_BUSY_MILLISECONDS)

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one file."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # on a full disk SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def _set(self, pragma: str) -> None:
        deadline = time.monotonic() + _BUSY_MILLISECONDS / 1000
        while True:
            try:
                self._connection.execute(f"PRAGMA {pragma}")
            except apsw.BusyError:  # SQLite does not wait where several make a file one of readers and a writer at once
                if time.monotonic() > deadline:
                    raise
                time.sleep(_TRY_AGAIN_SECONDS)
            else:
                return


class SqliteFile:
    """A SQLite file that many tasks read and write at once. Made by `open`."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, writer: SqliteExecutor, readers: list[SqliteExecutor]) -> None:
        self._writer = writer
        self._readers = readers
        self._free: SimpleQueue[SqliteExecutor] = SimpleQueue()
        for reader in readers:
            self._free.put(reader)
        # One thread writes: who waits for it waits here, in order, and not for a lock that SQLite hands out by chance.
        self._writing = ThreadPoolExecutor(1, "sqlite-writer")
        self._reading = ThreadPoolExecutor(len(readers), "sqlite-reader")

    @classmethod
    async def open(cls, path: str, migrations: tuple[Migration, ...]) -> "SqliteFile":
        """Open or create the file, at the newest schema.

        Raises Unavailable where that is not possible, and where the schema is of a newer version or of something else.
        """
        return await asyncio.to_thread(cls._opened, path, migrations)

    async def run(self, *statements: Statement) -> list[list[Row]]:
        writes = any(statement.query.writes for statement in statements)
        threads, work = (self._writing, self._writer.run_now) if writes else (self._reading, self._read)
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(threads, work, statements)
        except TimeoutError as error:
            raise Unavailable("SQLite was too busy to do this in time. Try again.") from error

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one file."""

    async def try_to_write(self) -> None:
        await asyncio.to_thread(self._writer.try_to_write_now)

    async def version(self) -> int:
        """A number that is another one when another process has written: what this one writes does not move it."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._writer.version_now)

    async def empty_log(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writing, self._writer.empty_log_now)

    async def close(self) -> None:
        """Finish what is running, and close the connections."""
        await asyncio.to_thread(self._close)

    @classmethod
    def _opened(cls, path: str, migrations: tuple[Migration, ...]) -> "SqliteFile":
        opened: list[SqliteExecutor] = []
        try:
            opened.append(SqliteExecutor(path, is_reader=True))
            opened[0].look_now(migrations)  # before one that writes makes it a file of readers and a writer at once
            opened.append(SqliteExecutor(path))
            opened[1].migrate_now(migrations)
            opened.extend(SqliteExecutor(path, is_reader=True) for _ in range(_READERS - 1))
        except BaseException:
            for connection in opened:
                connection.close()
            raise
        return cls(opened[1], [opened[0], *opened[2:]])

    def _read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        reader = self._free.get()
        try:
            return reader.run_now(statements)
        finally:
            self._free.put(reader)

    def _close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        for connection in (*self._readers, self._writer):  # the last one out empties the log of writes
            connection.close()


class SqliteDatabase(SharedSqlDatabase):
    """The file of a server, whose processes hear of each other by it."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self._file = file

    async def hear(self, signals: Signals) -> None:
        """Look now and then whether another process has written, once for all who wait; of whom, nobody knows."""
        version = await self._file.version()
        signals.begin_to_hear()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if signals.anybody_waits:
                seen = await self._file.version()
                if seen != version:
                    version = seen
                    signals.wake_all()


async def connect(place: Place) -> SqliteDatabase:
    """The file, as long as the process lives. See `Backend.connect`."""
    return SqliteDatabase(await SqliteFile.open(place.settings.sqlite_path or "", MIGRATIONS))


class _Within:
    """Runs statements in the transaction that a connection is in."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, executor: SqliteExecutor) -> None:
        self._executor = executor

    async def run(self, *statements: Statement) -> list[list[Row]]:
        return self._executor.run_within(statements)

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one file."""


# Readers and a writer at once; what is committed is on the disk; and what is deleted is overwritten.
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
_PRAGMAS_OF_READERS = ("query_only = ON",)

# As much as a message and its words, and twenty times what the cache holds.
_TRIAL = (
    "PRAGMA cache_size = 3",
    "BEGIN IMMEDIATE",
    "INSERT INTO schema_migrations (name) VALUES (hex(zeroblob(100000)))",
)

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
