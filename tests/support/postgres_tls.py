"""TLS before Postgres, which the one of the tests is built without: a port that ends it, as a load balancer does."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from support.postgres import server

CERTIFICATES = Path(__file__).parent / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
"""Vouches for the server, under the name localhost."""
STRANGER = CERTIFICATES / "stranger.pem"
"""Vouches for nobody here."""

_REQUEST = bytes.fromhex("00000008 04d2162f")


@contextlib.asynccontextmanager
async def tls_only(**parameters: object) -> AsyncIterator[str]:
    """The URL of the server, as localhost, through a port that lets in nobody without TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    carriers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # who does not trust us has gone
            if await reader.readexactly(8) == _REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                answers, asks = await asyncio.open_connection("127.0.0.1", server().port)
                both = [asyncio.create_task(_carry(*way)) for way in ((reader, asks), (answers, writer))]
                carriers.update(both)
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                asks.close()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield server().url(**parameters).replace(f"@127.0.0.1:{server().port}/", f"@localhost:{port}/")
    finally:
        listener.close()
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)  # whichever end has gone, the other goes too


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65_536):
        writer.write(part)
