"""Connections to Postgres through the sockets of Workers. Runs only inside workerd.

A socket belongs to the request that has opened it, and ends with it. So there is no pool: each request connects once,
when it first asks. Where that is far, Hyperdrive stands between, which has one.

Nothing here holds up the interpreter while it waits. Sockets of Python's own do, by switching stacks, and many of them
at once have brought Pyodide down.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import js
from pyodide.ffi import JsException, to_js
from workers import import_from_javascript

from threadkeep.errors import Unavailable
from threadkeep.storage.base import Place
from threadkeep.storage.postgres.connection import PostgresFailed
from threadkeep.storage.postgres.executor import PostgresExecutor, migrate
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.url import PostgresUrl, parse_url
from threadkeep.storage.postgres.wire import WireConnection
from threadkeep.storage.sql.database import SqlDatabase
from threadkeep.storage.sql.migrate import Migration

_log = logging.getLogger("threadkeep")

_TOO_MANY_CONNECTIONS = "53300"
_WAIT_SECONDS = 0.05
_NONCE_BYTES = 18  # as many as libpq takes

# What this isolate knows to be at the newest schema, by the URL. Plain texts may outlive the request that found out.
_migrated: set[str] = set()


class Socket:
    """A `Stream` over a socket of Workers."""

    def __init__(self, connect: Any, url: PostgresUrl) -> None:
        """`connect` is that of `cloudflare:sockets`."""
        transport = "off" if url.ssl_mode in ("disable", "allow") else "starttls"
        try:
            self._use(connect(_object(hostname=url.host, port=url.port), _object(secureTransport=transport)))
        except JsException as error:
            raise PostgresFailed(str(error)) from error

    def _use(self, socket: Any) -> None:
        self._socket = socket
        self._reader = socket.readable.getReader()
        self._writer = socket.writable.getWriter()

    async def read(self) -> bytes:
        """See `Stream.read`."""
        try:
            result = await self._reader.read()
        except JsException as error:
            raise PostgresFailed(str(error)) from error
        return b"" if result.done else result.value.to_bytes()

    def write(self, data: bytes) -> None:
        """See `Stream.write`. What does not go out is missed by whoever reads the answer."""
        self._writer.write(to_js(data)).catch(_ignore())

    async def start_tls(self) -> None:
        """See `Stream.start_tls`. Workers trust the authorities that browsers trust, and no others."""
        self._reader.releaseLock()
        self._writer.releaseLock()
        try:
            self._use(self._socket.startTls())
        except JsException as error:
            raise PostgresFailed(str(error)) from error

    def close(self) -> None:
        """See `Stream.close`."""
        self._socket.close().catch(_ignore())


class _OfRequest:
    """The connection of one request, opened when it is first needed."""

    def __init__(self, connect: Any, url: PostgresUrl) -> None:
        self._connect = connect
        self._url = url
        self._idle: list[WireConnection] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[WireConnection]:
        """See `Connections.acquire`."""
        connection = self._idle.pop() if self._idle else await self._open()
        yield connection
        self._idle.append(connection)  # only if nothing was raised: what failed is closed

    async def close(self) -> None:
        """See `Connections.close`."""
        while self._idle:
            self._idle.pop().terminate()

    async def _open(self) -> WireConnection:
        """A new connection. Where the server has too many, that is tried again for as long as a pool would be."""
        deadline = asyncio.get_running_loop().time() + self._url.pool_seconds
        while True:
            try:
                return await self._open_once()
            except PostgresFailed as failure:
                is_late = asyncio.get_running_loop().time() > deadline
                if failure.sqlstate != _TOO_MANY_CONNECTIONS or is_late:
                    raise
            await asyncio.sleep(_WAIT_SECONDS)

    async def _open_once(self) -> WireConnection:
        stream = Socket(self._connect, self._url)
        connection = WireConnection(stream)
        try:
            async with asyncio.timeout(self._url.connect_seconds):
                await connection.open(self._url, secrets.token_urlsafe(_NONCE_BYTES), _derive_key)
        except TimeoutError as error:
            stream.close()
            raise PostgresFailed("it took too long to connect") from error
        except BaseException:
            stream.close()
            raise
        return connection


async def connect(place: Place) -> SqlDatabase:
    """The database that DATABASE_URL names, for one request. See `Backend.connect`."""
    connect_socket = import_from_javascript("cloudflare:sockets").connect
    return SqlDatabase(await open_for_request(connect_socket, place.settings.database_url or "", MIGRATIONS))


async def open_for_request(connect: Any, text: str, migrations: tuple[Migration, ...]) -> PostgresExecutor:
    """A database as one request sees it, its schema at the newest version.

    `connect` is that of `cloudflare:sockets`, and `text` the URL. Raises Unavailable where the URL is wrong, or the
    database cannot be used.
    """
    url = parse_url(text)
    if url.host.startswith("/"):
        raise Unavailable("DATABASE_URL names the folder of a socket, which a Worker cannot open. Name a host.")
    if url.ssl_root_certificate is not None:
        raise Unavailable("DATABASE_URL has a sslrootcert, and a Worker has no files. Use Hyperdrive, which takes it.")
    executor = PostgresExecutor(_OfRequest(connect, url), url.schema)
    if text not in _migrated:
        for warning in url.warnings:
            _log.warning(warning)
        await migrate(executor, url.schema, migrations)
        _migrated.add(text)
    return executor


async def _derive_key(password: bytes, salt: bytes, iterations: int) -> bytes:
    """See `DeriveKey`. Pyodide has no OpenSSL to do it with; the platform has."""
    subtle = js.crypto.subtle
    key = await subtle.importKey("raw", to_js(password), "PBKDF2", False, to_js(["deriveBits"]))
    how = _object(name="PBKDF2", hash="SHA-256", iterations=iterations)
    how.salt = to_js(salt)
    return (await subtle.deriveBits(how, key, 256)).to_bytes()  # type: ignore[no-any-return]


def _object(**values: Any) -> Any:
    """An object of JavaScript."""
    return js.JSON.parse(json.dumps(values))


def _ignore() -> Any:
    """A function of JavaScript's own that does nothing."""
    return js.Function.prototype
