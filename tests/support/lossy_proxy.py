"""A network that loses answers: a port that leads to a server, and keeps each third answer to itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class LossyProxy:
    """A port on loopback that leads to a server.

    The server does what it is asked. Its answer is on its way when the connection breaks, of which the client hears.
    """

    server: tuple[str, int]
    loses_each: int
    port: int = 0
    asked: int = 0
    """How many requests have come."""
    lost: int = 0
    """How many answers were lost."""
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what a client asks and what the server answers, until one of them ends, or an answer is lost."""
        answers, to_server = await asyncio.open_connection(*self.server)
        self._connections |= {writer, to_server}
        try:
            with contextlib.suppress(ConnectionError):
                asking = asyncio.create_task(self._ask(reader, to_server))
                answering = asyncio.create_task(self._answer(answers, writer))
                await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
                asking.cancel()
                answering.cancel()
                await asyncio.gather(asking, answering, return_exceptions=True)
        finally:
            writer.close()
            to_server.close()

    async def _ask(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1_000_000):
            to_server.write(asked)
            await to_server.drain()

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await answers.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.asked % self.loses_each == 0:
                self.lost += 1
                return
            writer.write(head)
            await self._carry_body(head.lower(), answers, writer)
            await writer.drain()

    async def _carry_body(self, head: bytes, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what follows a head: so many bytes, or chunks."""
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            length = 1
            while length > 0:
                line = await answers.readline()
                length = int(line, 16)
                writer.write(line + await answers.readexactly(length + 2))
            return
        _, _, rest = head.partition(b"\r\ncontent-length:")
        writer.write(await answers.readexactly(int(rest.partition(b"\r\n")[0] or 0)))

    def close(self) -> None:
        """End what is still under way."""
        for connection in self._connections:
            connection.close()


@contextlib.asynccontextmanager
async def lossy_proxy(url: str, loses_each: int = 3) -> AsyncIterator[LossyProxy]:
    """A proxy in front of the server at this URL."""
    target = urlsplit(url)
    assert target.hostname is not None
    assert target.port is not None
    made = LossyProxy((target.hostname, target.port), loses_each)
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=2**20)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        made.close()
