"""Connections to Postgres through asyncpg: a pool of them, for a server that lives long."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

import asyncpg

from threadkeep.errors import Unavailable
from threadkeep.signals import Signals
from threadkeep.storage.base import Place
from threadkeep.storage.postgres.connection import PostgresFailed, Prepared
from threadkeep.storage.postgres.executor import PostgresExecutor, migrate
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.url import PostgresUrl, SslMode, parse_url
from threadkeep.storage.sql.database import SharedSqlDatabase
from threadkeep.storage.sql.executor import Row
from threadkeep.storage.sql.migrate import Migration

CLOSE_SECONDS = 10
HEARD_SECONDS = 10
"""How often it is tried whether the connection that listens is still one."""

_TOLD_SECONDS = 5
_UNTOLD_MAX = 10_000
_EVERYBODY = ""
"""In the place of a user: of whom was written is no longer known."""

_TELL = "SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told"

_log = logging.getLogger("threadkeep")


class Pool:
    """The connections of one process."""

    def __init__(self, pool: "asyncpg.Pool[Any]", seconds: int) -> None:
        """`seconds`: how long to wait for a connection that is free."""
        self._pool = pool
        self._seconds = seconds

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["_Connection"]:
        """See `Connections.acquire`."""
        async with _translating(), self._pool.acquire(timeout=self._seconds) as connection:
            yield _Connection(connection)

    async def close(self) -> None:
        """See `Connections.close`."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


class _Connection:
    """One of the pool, as long as somebody has it. What asyncpg raises is translated where the pool gives it out."""

    def __init__(self, connection: Any) -> None:  # asyncpg's own types know a connection of the pool only by a proxy
        self._connection = connection
        self.terminate = connection.terminate

    async def run(
        self, statements: Sequence[Prepared], *, begin: Sequence[str] = (), commits: bool = False
    ) -> list[list[Row]]:
        """See `Connection.run`. Each statement is a round trip, and so are the beginning and the end."""
        if begin:
            await self._connection.execute("; ".join(begin))
        rows = [[dict(row) for row in await self._connection.fetch(text, *values)] for text, values in statements]
        if commits:
            await self._connection.execute("COMMIT")
        return rows


class PostgresDatabase(SharedSqlDatabase):
    """The database of a server, whose processes tell each other by LISTEN and NOTIFY, each on one connection."""

    def __init__(self, executor: PostgresExecutor, url: PostgresUrl) -> None:
        super().__init__(executor)
        self._url = url
        self._channel = "threadkeep_" + sha256(url.schema.encode()).hexdigest()[:16]
        self._untold: set[str] = set()
        self._is_due = asyncio.Event()

    async def hear(self, signals: Signals) -> None:
        """Listen on a connection, until it is lost. Behind a pooler of transactions nobody can."""
        if self._url.has_pooler:
            signals.go_deaf()
            return
        signals.carry = self._carry
        connection = await asyncpg.connect(**_options(self._url))
        try:
            await self._listen(connection, signals)
        finally:
            connection.terminate()

    def _carry(self, user: str) -> None:
        """Have other processes told of a write to a user, as soon as that can be."""
        self._untold.add(user)
        if len(self._untold) > _UNTOLD_MAX:
            self._untold = {_EVERYBODY}
        self._is_due.set()

    async def _listen(self, connection: Any, signals: Signals) -> None:
        own = connection.get_server_pid()

        def heard(_: Any, sender: int, __: str, user: str) -> None:
            if sender != own and user == _EVERYBODY:
                signals.wake_all()
            elif sender != own:
                signals.wake(user)

        await connection.add_listener(self._channel, heard)
        connection.add_termination_listener(lambda _: self._is_due.set())
        signals.begin_to_hear()
        while True:
            told, self._untold = self._untold, set()
            try:
                await connection.fetch(_TELL, self._channel, list(told), timeout=_TOLD_SECONDS)
            except BaseException:
                self._untold |= told
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARD_SECONDS):
                    await self._is_due.wait()
            self._is_due.clear()


async def connect(place: Place) -> PostgresDatabase:
    """The database that DATABASE_URL names, as long as the process lives. See `Backend.connect`."""
    url = parse_url(place.settings.database_url or "")
    return PostgresDatabase(await open_pool(url, MIGRATIONS), url)


def _options(url: PostgresUrl) -> dict[str, Any]:
    """How a connection is made."""
    return {
        "host": url.host,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "database": url.database,
        "ssl": _tls(url),
        "timeout": url.connect_seconds,
    }


async def open_pool(url: PostgresUrl, migrations: tuple[Migration, ...]) -> PostgresExecutor:
    """Connect, and bring the schema to the newest version.

    Raises Unavailable where that cannot be: the database cannot be reached, refuses the user, lacks something, or is of
    a newer version.
    """
    for warning in url.warnings:
        _log.warning(warning)
    pool = asyncpg.create_pool(
        **_options(url),
        min_size=0,
        max_size=url.connections_max,
        reset=_keep,
        statement_cache_size=0 if url.has_pooler else 100,
    )
    await pool
    executor = PostgresExecutor(Pool(pool, url.pool_seconds), url.schema, parts_reads=url.has_pooler)
    try:
        await migrate(executor, url.schema, migrations)
    except BaseException:
        pool.terminate()
        raise
    return executor


async def _keep(_: Any) -> None:
    """What a connection needs before others may have it: nothing, since nothing of ours outlives its transaction."""


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
    """Turn what asyncpg and the network raise into PostgresFailed."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise translated(error) from error


def translated(error: Exception) -> PostgresFailed:
    """What asyncpg or the network raised, as every driver tells it."""
    return PostgresFailed(str(error), getattr(error, "sqlstate", None))
