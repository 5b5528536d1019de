"""The wire driver without workerd: its bytes over sockets of this process, and its keys from OpenSSL."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from threadkeep.ids import new_id
from threadkeep.storage.postgres.connection import PostgresFailed
from threadkeep.storage.postgres.url import parse_url
from threadkeep.storage.postgres.wire import WireConnection


class NetworkStream:
    """A `Stream` over asyncio. Whatever certificates it trusts have to be good for the name, as in a Worker."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, trusted: ssl.SSLContext | None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._name = name
        self._trusted = trusted

    async def read(self) -> bytes:
        try:
            return await self._reader.read(65_536)
        except OSError as error:
            raise PostgresFailed(str(error)) from error

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def start_tls(self) -> None:
        try:
            context = self._trusted or ssl.create_default_context()
            await self._writer.start_tls(context, server_hostname=self._name)
        except OSError as error:
            raise PostgresFailed(str(error)) from error

    def close(self) -> None:
        self._writer.transport.abort()


async def derive_key(password: bytes, salt: bytes, iterations: int) -> bytes:
    """See `DeriveKey`."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


async def connect(text: str, trusted: ssl.SSLContext | None = None) -> WireConnection:
    """A connection that is signed in. Raises PostgresFailed."""
    url = parse_url(text)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    stream = NetworkStream(reader, writer, url.host, trusted)
    connection = WireConnection(stream)
    try:
        await connection.open(url, new_id(), derive_key)
    except BaseException:
        stream.close()
        raise
    return connection


class OneEach:
    """Connections that are used once, as far as a test needs them."""

    def __init__(self, text: str) -> None:
        self._text = text

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[WireConnection]:
        connection = await connect(self._text)
        yield connection
        connection.terminate()

    async def close(self) -> None:
        """There is none left open."""
