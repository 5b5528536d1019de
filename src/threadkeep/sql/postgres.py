"""Executor for Postgres, through asyncpg: a pool of connections, and each batch that writes in one transaction.

The owner's row is locked first, so that the writers of one user come one after the other. A connection on which
anything failed is closed, and the server undoes what was begun there.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from threadkeep.errors import Unavailable
from threadkeep.sql import postgres_statements as statements_of_postgres
from threadkeep.sql.dialect import Dialect
from threadkeep.sql.executor import Query, Row, Statement
from threadkeep.sql.migrations import Migration
from threadkeep.sql.postgres_url import PostgresUrl, SslMode

BATCH_SECONDS = 30
"""How long a batch may take, a migration as well."""
CLOSE_SECONDS = 10

_log = logging.getLogger("threadkeep")
_Connection = Any  # asyncpg's own types know a connection of the pool only by a proxy

_TABLE = re.compile(r"\b(FROM|JOIN|INTO|UPDATE) (owners|conversations|messages|words)\b")
# Of no session, and so good behind any pooler.
_LIMITS = "; ".join(
    f"SET LOCAL {name} = '{BATCH_SECONDS}s'" for name in ("statement_timeout", "idle_in_transaction_session_timeout")
)
_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS}"
_WRITING_ON_ONE_SNAPSHOT = f"BEGIN ISOLATION LEVEL REPEATABLE READ; {_LIMITS}"
_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"

_MIGRATIONS = "threadkeep_migrations"
_LOCK_OF_MIGRATIONS = 0x7468726561640001  # any number that others are not likely to have chosen


class PostgresExecutor:
    """A pool of connections to one database, whose tables are in one schema."""

    dialect: Dialect = statements_of_postgres
    bookmark: str | None = None

    def __init__(self, pool: "asyncpg.Pool[Any]", url: PostgresUrl) -> None:
        self._pool = pool
        self._pool_seconds = url.pool_seconds
        self._has_pooler = url.has_pooler
        self._schema = _quoted(url.schema)
        self._texts: dict[Query, str] = {}

    async def run(self, *statements: Statement) -> list[list[Row]]:
        async with self.connection() as connection:
            if any(statement.query.writes for statement in statements):
                return await self._write(connection, statements)
            if len(statements) > 1 or self._has_pooler:
                async with _transaction(connection, _READING):
                    return [await self._fetch(connection, statement) for statement in statements]
            return [await self._fetch(connection, statements[0])]

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one database."""

    async def close(self) -> None:
        """Close the connections, once what is running on them is done, or has taken too long."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _write(self, connection: _Connection, statements: Sequence[Statement]) -> list[list[Row]]:
        first, user = statements[0], _user_of(statements)
        if first.query is statements_of_postgres.ENSURE_OWNER:
            async with _transaction(connection, _WRITING):
                return [await self._fetch(connection, statement) for statement in statements]
        lock = statements_of_postgres.LOCK_OWNER(user=user)
        # Without an owner there is nothing to lock, and nothing to write either. That must be so for all of the batch.
        async with _transaction(connection, _WRITING):
            if await self._fetch(connection, lock):
                return [await self._fetch(connection, statement) for statement in statements]
        async with _transaction(connection, _WRITING_ON_ONE_SNAPSHOT):
            await self._fetch(connection, lock)
            return [await self._fetch(connection, statement) for statement in statements]

    async def _fetch(self, connection: _Connection, statement: Statement) -> list[Row]:
        query, values = statement
        text = self._texts.get(query)
        if text is None:
            text = self._texts[query] = _TABLE.sub(rf"\1 {self._schema}.\2", query.numbered)
        return [dict(row) for row in await connection.fetch(text, *values)]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[_Connection]:
        """A connection of the pool. Raises Unavailable for whatever is not a defect of ours."""
        async with _translating(), self._pool.acquire(timeout=self._pool_seconds) as connection:
            try:
                async with asyncio.timeout(BATCH_SECONDS):
                    yield connection
            except BaseException:
                connection.terminate()
                raise


async def open_pool(url: PostgresUrl, migrations: tuple[Migration, ...]) -> PostgresExecutor:
    """Connect, and bring the schema to the newest version.

    Raises Unavailable where that cannot be: the database cannot be reached, refuses the user, lacks something, or is of
    a newer version.
    """
    for warning in url.warnings:
        _log.warning(warning)
    async with _translating():
        pool = asyncpg.create_pool(
            host=url.host,
            port=url.port,
            user=url.user,
            password=url.password,
            database=url.database,
            ssl=_tls(url),
            timeout=url.connect_seconds,
            min_size=0,
            max_size=url.connections_max,
            reset=_keep,
            statement_cache_size=0 if url.has_pooler else 100,
        )
        await pool
    executor = PostgresExecutor(pool, url)
    try:
        async with executor.connection() as connection:
            await _migrate(connection, url.schema, migrations)
    except BaseException:
        pool.terminate()
        raise
    return executor


async def _keep(_: _Connection) -> None:
    """What a connection needs before others may have it: nothing, since nothing of ours outlives its transaction."""


@asynccontextmanager
async def _transaction(connection: _Connection, begin: str) -> AsyncIterator[None]:
    """A transaction. If it fails, so does the connection, which undoes it."""
    await connection.execute(begin)
    yield
    await connection.execute("COMMIT")


async def _migrate(connection: _Connection, schema: str, migrations: tuple[Migration, ...]) -> None:
    """Bring a schema to the newest version, whoever does so at the same time."""
    names = {migration.name for migration in migrations}
    async with _transaction(connection, _READING):
        if await connection.fetchval("SHOW server_encoding") != "UTF8":
            raise Unavailable("DATABASE_URL names a database that is not in UTF8. Create one with ENCODING 'UTF8'.")
        applied = await _applied(connection, schema)
    _refuse_newer(schema, applied, names)
    if applied == names:
        return
    async with _transaction(connection, _WRITING):
        await connection.fetchval("SELECT pg_advisory_xact_lock($1)", _LOCK_OF_MIGRATIONS)
        applied = await _applied(connection, schema)
        _refuse_newer(schema, applied, names)
        if not await connection.fetch("SELECT 1 FROM pg_namespace AS n WHERE n.nspname = $1", schema):
            await connection.execute(f"CREATE SCHEMA {_quoted(schema)}")
        records = f"{_quoted(schema)}.{_MIGRATIONS}"
        await connection.execute(f"CREATE TABLE IF NOT EXISTS {records} (name text NOT NULL PRIMARY KEY)")
        await connection.execute(f"SET LOCAL search_path = {_quoted(schema)}")
        for migration in migrations:
            if migration.name not in applied:
                for text in migration.statements:
                    await connection.execute(text)
                await connection.execute(f"INSERT INTO {records} (name) VALUES ($1)", migration.name)  # noqa: S608


async def _applied(connection: _Connection, schema: str) -> set[str]:
    # Asked of the catalog itself: `to_regclass` may answer as it did before another process had created the table.
    table = "SELECT 1 FROM pg_tables AS t WHERE t.schemaname = $1 AND t.tablename = $2"
    if not await connection.fetch(table, schema, _MIGRATIONS):
        return set()
    names = f"SELECT a.name FROM {_quoted(schema)}.{_MIGRATIONS} AS a"  # noqa: S608 what is not constant is quoted
    rows = await connection.fetch(names)
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


def _tls(url: PostgresUrl) -> SslMode | ssl.SSLContext:
    """What asyncpg is told about TLS. Where certificates are checked, that is done here."""
    checks = url.ssl_mode in ("verify-ca", "verify-full") or (url.ssl_mode == "require" and url.ssl_root_certificate)
    if not checks:
        return url.ssl_mode
    try:
        context = ssl.create_default_context(cafile=url.ssl_root_certificate)
    except OSError as error:
        raise Unavailable("DATABASE_URL: the file of sslrootcert cannot be read, or is no certificate.") from error
    context.check_hostname = url.ssl_mode == "verify-full"
    return context


@asynccontextmanager
async def _translating() -> AsyncIterator[None]:
    """Turn errors of the driver, the network and the server into Unavailable. What is left is a defect of ours."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        raise Unavailable(sentence) from error


def sentence_for(error: Exception) -> str | None:
    """What to tell about an error; None where it is a defect. The error's own words are not for everybody."""
    return next((sentence for kinds, sentence in _SENTENCES if isinstance(error, kinds)), None)


_UNREACHABLE = "Postgres could not be reached, or was too busy. Try again."
_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "Postgres refuses the user or the password of DATABASE_URL.",
    ),
    ((asyncpg.InvalidCatalogNameError,), "There is no such database in Postgres. Create it, or correct DATABASE_URL."),
    (
        (asyncpg.InsufficientPrivilegeError,),
        "Postgres lets the user of DATABASE_URL not do this. Grant it USAGE and CREATE on the schema.",
    ),
    (
        (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError),
        "The schema has tables of something else under our names. Name another in DATABASE_URL: ?schema=threadkeep",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError),
        "The Postgres database lacks its tables. Start again: what is missing is created at the start.",
    ),
    ((asyncpg.ReservedNameError,), "Postgres keeps names that begin with pg_. Name another schema in DATABASE_URL."),
    (
        (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError),
        "A pooler stands before Postgres that keeps no prepared statements. Add pgbouncer=true to DATABASE_URL.",
    ),
    ((asyncpg.DiskFullError,), "The disk of Postgres is full. Make room, and try again."),
    ((asyncpg.ReadOnlySQLTransactionError,), "Postgres takes no writes now. Try again, or name the primary."),
    ((asyncpg.TooManyConnectionsError,), "Postgres has too many connections. Try again, or lower connection_limit."),
    (
        (
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,  # it is shut down, or starts, or a statement took too long
            asyncpg.InsufficientResourcesError,
            asyncpg.TransactionRollbackError,
            asyncpg.ObjectNotInPrerequisiteStateError,  # a lock was not given in time
            asyncpg.PostgresSystemError,
            asyncpg.InvalidTransactionStateError,  # it has lain idle for too long
            asyncpg.InternalClientError,  # what answers is no Postgres, or it went away in the middle of an answer
            asyncpg.InterfaceError,
            OSError,
        ),
        _UNREACHABLE,
    ),
)
