"""Executor for Postgres, over whichever driver: each batch that writes in one transaction.

The owner's row is locked first, so that the writers of one user come one after the other. A connection on which
anything failed is closed, and the server undoes what was begun there.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from threadkeep.errors import Unavailable
from threadkeep.storage.postgres.connection import (
    CANCELED,
    Connection,
    Connections,
    PostgresFailed,
    Prepared,
    sentence_for,
)
from threadkeep.storage.postgres.dialect import lock_owner_of, statements_of
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sql.migrate import Migration

BATCH_SECONDS = 30
"""How long a batch may take, a migration as well."""
SEARCH_SECONDS = 5
"""How long a search may take: less than others wait for a connection, so that they still get that of the search."""

_ATTEMPTS = 5
"""How often a batch that writes is tried, where the server undoes it for the sake of another writer."""

_UNDONE = ("40001", "40P01")  # serialization_failure and deadlock_detected: certainly nothing of it was kept


def _begin(mode: str, seconds: float) -> tuple[str, ...]:
    """What begins a transaction whose limits are of no session, and so good behind any pooler."""
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    return (f"BEGIN ISOLATION LEVEL {mode}", *(f"SET LOCAL {name} = '{seconds}s'" for name in limits))


_READ_ONLY = "REPEATABLE READ READ ONLY"
_WRITING = _begin("READ COMMITTED", BATCH_SECONDS)
_WRITING_ON_ONE_SNAPSHOT = _begin("REPEATABLE READ", BATCH_SECONDS)
_READING = _begin(_READ_ONLY, BATCH_SECONDS)
# The default tablespace of the database is where new rows go as well.
_TRYING = (*_WRITING, "SET LOCAL work_mem = '64kB'", "SET LOCAL temp_tablespaces = ''")
_TOO_MANY_ROWS = "SELECT count(*) AS n FROM generate_series(1, 10000)"
_SEARCH_TOOK_TOO_LONG = "The search took too long. Search for rarer words, or try again."

_MIGRATIONS = "threadkeep_migrations"
_LOCK_OF_MIGRATIONS = 0x7468726561640001  # any number that others are not likely to have chosen


class PostgresExecutor:
    """One database, whose tables are in one schema."""

    bookmark: str | None = None

    def __init__(self, connections: Connections, schema: str, *, parts_reads: bool = False) -> None:
        """`parts_reads`: whether a read of one statement would be parted over two connections, outside a transaction.

        So it is where a driver asks for it in two steps, and a pooler stands between.
        """
        self._connections = connections
        self._parts_reads = parts_reads
        self._schema = _quoted(schema)
        self.statements = statements_of(self._schema)
        self._lock_owner = lock_owner_of(self._schema)

    async def run(self, *statements: Statement) -> list[list[Row]]:
        if statements[0].query in (self.statements.search, self.statements.search_active):
            return await self._search(statements)
        if any(statement.query.writes for statement in statements):
            return await self._write(lambda connection: self._write_on(connection, statements))
        async with self.connection() as connection:
            begins = len(statements) > 1 or self._parts_reads
            return await connection.run(self._prepared(statements), begin=_READING if begins else (), commits=begins)

    async def run_on(self, read: Statement, write: Callable[[list[Row]], Sequence[Statement]]) -> list[list[Row]]:
        """See `ReadsFirst`."""
        return await self._write(lambda connection: self._write_what_follows(connection, read, write))

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one database."""

    async def try_to_write(self) -> None:
        """See `SharedExecutor.try_to_write`.

        To lock a row is written to the log, and leaves no older version of it. But what changes in place often has room
        where nothing else has; so some rows too many for the memory go to a file, while the statement runs.
        """
        lock = f"SELECT 1 AS locked FROM {self._schema}.{_MIGRATIONS} LIMIT 1 FOR UPDATE SKIP LOCKED"  # noqa: S608
        async with self.connection() as connection:
            await connection.run([(lock, ()), (_TOO_MANY_ROWS, ())], begin=_TRYING, commits=True)

    async def close(self) -> None:
        """Close the connections, once what is running on them is done, or has taken too long."""
        await self._connections.close()

    async def _search(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run a search, in a transaction: the server has to know its limit, or it would go on without us."""
        begin = _begin(_READ_ONLY, SEARCH_SECONDS)
        async with self.connection(searches=True) as connection:
            return await connection.run(self._prepared(statements), begin=begin, commits=True)

    async def _write(self, write: Callable[[Connection], Awaitable[list[list[Row]]]]) -> list[list[Row]]:
        """Write; begin again where the server has undone all of it for the sake of another writer."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._write_once(write)
            except Unavailable as error:
                if not _was_undone(error):
                    raise
        return await self._write_once(write)

    async def _write_once(self, write: Callable[[Connection], Awaitable[list[list[Row]]]]) -> list[list[Row]]:
        async with self.connection() as connection:
            return await write(connection)

    async def _write_on(self, connection: Connection, statements: Sequence[Statement]) -> list[list[Row]]:
        prepared = self._prepared(statements)
        if statements[0].query is self.statements.ensure_owner:
            return await connection.run(prepared, begin=_WRITING, commits=True)
        lock = self._lock(statements)
        (owners,) = await connection.run(lock, begin=_WRITING)
        if owners:
            return await connection.run(prepared, commits=True)
        # Without an owner there is nothing to lock, and nothing to write either. That must be so for all of the batch.
        await connection.run([], commits=True)
        _, *rows = await connection.run([*lock, *prepared], begin=_WRITING_ON_ONE_SNAPSHOT, commits=True)
        return rows

    async def _write_what_follows(
        self, connection: Connection, read: Statement, write: Callable[[list[Row]], Sequence[Statement]]
    ) -> list[list[Row]]:
        owners, rows = await connection.run([*self._lock([read]), *self._prepared([read])], begin=_WRITING)
        # Without an owner nothing is locked, and what was read may be somebody's who has come since.
        following = write(rows) if owners and rows else []
        return await connection.run(self._prepared(following), commits=True)

    def _lock(self, statements: Sequence[Statement]) -> list[Prepared]:
        """What keeps other writers of the user of these statements waiting, until the transaction ends."""
        return self._prepared([self._lock_owner(user=_user_of(statements))])

    def _prepared(self, statements: Sequence[Statement]) -> list[Prepared]:
        return [(query.numbered, values) for query, values in statements]

    @asynccontextmanager
    async def connection(self, *, searches: bool = False) -> AsyncIterator[Connection]:
        """A connection, for as long as a batch may take, or a search.

        Raises Unavailable for whatever is not a defect of ours.
        """
        async with _translating(searches=searches), self._connections.acquire() as connection:
            try:
                async with asyncio.timeout(SEARCH_SECONDS if searches else BATCH_SECONDS):
                    yield connection
            except TimeoutError as error:
                connection.terminate()
                raise PostgresFailed("it took too long", CANCELED) from error
            except BaseException:
                connection.terminate()
                raise


async def migrate(executor: PostgresExecutor, schema: str, migrations: tuple[Migration, ...]) -> None:
    """Bring a schema to the newest version, whoever does so at the same time.

    Raises Unavailable where that cannot be: the database lacks something, or is of a newer version.
    """
    names = {migration.name for migration in migrations}
    async with executor.connection() as connection:
        (encoding,) = await connection.run([("SHOW server_encoding", ())], begin=_READING)
        if encoding != [{"server_encoding": "UTF8"}]:
            raise Unavailable("DATABASE_URL names a database that is not in UTF8. Create one with ENCODING 'UTF8'.")
        applied = await _applied(connection, schema)
        await connection.run([], commits=True)
        _refuse_newer(schema, applied, names)
        if applied != names:
            await _apply(connection, schema, migrations)


async def _apply(connection: Connection, schema: str, migrations: tuple[Migration, ...]) -> None:
    await connection.run([("SELECT pg_advisory_xact_lock($1)", (_LOCK_OF_MIGRATIONS,))], begin=_WRITING)
    applied = await _applied(connection, schema)
    _refuse_newer(schema, applied, {migration.name for migration in migrations})
    (found,) = await connection.run([("SELECT 1 AS found FROM pg_namespace AS n WHERE n.nspname = $1", (schema,))])
    texts = [] if found else [f"CREATE SCHEMA {_quoted(schema)}"]
    records = f"{_quoted(schema)}.{_MIGRATIONS}"
    texts += [
        f"CREATE TABLE IF NOT EXISTS {records} (name text NOT NULL PRIMARY KEY)",
        f"SET LOCAL search_path = {_quoted(schema)}",
    ]
    statements: list[Prepared] = [(text, ()) for text in texts]
    for migration in migrations:
        if migration.name not in applied:
            statements += [(text, ()) for text in migration.statements]
            statements += [(f"INSERT INTO {records} (name) VALUES ($1)", (migration.name,))]  # noqa: S608
    await connection.run(statements, commits=True)


async def _applied(connection: Connection, schema: str) -> set[str]:
    # Asked of the catalog itself: `to_regclass` may answer as it did before another process had created the table.
    table = "SELECT 1 AS found FROM pg_tables AS t WHERE t.schemaname = $1 AND t.tablename = $2"
    (found,) = await connection.run([(table, (schema, _MIGRATIONS))])
    if not found:
        return set()
    names = f"SELECT a.name FROM {_quoted(schema)}.{_MIGRATIONS} AS a"  # noqa: S608 what is not constant is quoted
    (rows,) = await connection.run([(names, ())])
    return {row["name"] for row in rows}


def _refuse_newer(schema: str, applied: set[str], names: set[str]) -> None:
    if applied - names:
        raise Unavailable(
            f"The tables in the schema {schema!r} are of a newer version of Threadkeep, and are left as they are. "
            "Install that version, or name another schema in DATABASE_URL."
        )


def _user_of(statements: Sequence[Statement]) -> Any:
    return next(values[query.names.index("user")] for query, values in statements if "user" in query.names)


def _quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"'


def _was_undone(error: Unavailable) -> bool:
    """Whether the server has undone a transaction for the sake of another."""
    failure = error.__cause__
    return isinstance(failure, PostgresFailed) and failure.sqlstate in _UNDONE


@asynccontextmanager
async def _translating(*, searches: bool) -> AsyncIterator[None]:
    """Turn what a driver, the network and the server tell into Unavailable. What is left is a defect of ours."""
    try:
        yield
    except PostgresFailed as failure:
        took_too_long = failure.sqlstate == CANCELED
        sentence = _SEARCH_TOOK_TOO_LONG if searches and took_too_long else sentence_for(failure)
        if sentence is None:
            raise
        raise Unavailable(sentence) from failure
