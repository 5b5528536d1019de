"""What may stand between us and Postgres: a network that stops or breaks, and a pooler that parts transactions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from support.postgres import server

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_IDLE = b"Z\0\0\0\5I"


@dataclass
class Proxy:
    """A port that leads to the server of the tests."""

    port: int = 0
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, nothing comes through any more, and nobody is told."""
    breaks_after: bytes | None = None
    """The connection breaks once this has been sent and done, before anybody hears of it. It happens once."""
    parts_transactions: bool = False
    """Whether each transaction gets another connection than the one before, as behind a transaction pooler."""
    round_trips: int = 0
    """How often the server has said that it is ready for more."""
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    _breaks: bool = False

    def url(self, schema: str, **parameters: object) -> str:
        """The URL of a schema, through this port."""
        url = server().url(schema=schema, sslmode="disable", **parameters)
        return url.replace(f":{server().port}/", f":{self.port}/")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what a client and the server say, until one of them ends."""
        behind = [await asyncio.open_connection("127.0.0.1", server().port) for _ in range(1 + self.parts_transactions)]
        ends = [writer, *(to for _, to in behind)]
        self.connections |= set(ends)
        try:
            try:
                first = await reader.readexactly(4)
            except asyncio.IncompleteReadError:  # who connected while nothing came through has given up
                return
            start = first + await reader.readexactly(int.from_bytes(first) - 4)
            for _, to in behind:
                to.write(start)
            for answers, _ in behind[1:]:
                while (await _message(answers))[:1] != b"Z":
                    pass
            carriers = [asyncio.create_task(one) for one in (self._answer(writer, behind), self._ask(reader, behind))]
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)  # whichever end has gone, the other goes too
        finally:
            for end in ends:
                end.close()

    async def _ask(self, reader: asyncio.StreamReader, behind: list[Ends]) -> None:
        while asked := await reader.read(1_000_000):
            await self.flows.wait()
            self._breaks = self.breaks_after is not None and self.breaks_after in asked
            behind[0][1].write(asked)

    async def _answer(self, writer: asyncio.StreamWriter, behind: list[Ends]) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # the server has gone
            while said := await _message(behind[0][0]):
                await self.flows.wait()
                self.round_trips += said[:1] == b"Z"
                if self._breaks:
                    if said[:1] == b"Z":
                        self._breaks, self.breaks_after = False, None
                        return
                    continue
                if said == _IDLE:  # whoever comes next is served by another
                    behind.append(behind.pop(0))
                writer.write(said)


@contextlib.asynccontextmanager
async def proxy(**how: bool | bytes) -> AsyncIterator[Proxy]:
    """A proxy that listens on loopback."""
    made = Proxy(**how)  # type: ignore[arg-type]
    made.flows.set()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        for connection in made.connections:
            connection.close()


async def _message(answers: asyncio.StreamReader) -> bytes:
    """The next that the server says."""
    head = await answers.readexactly(5)
    return head + await answers.readexactly(int.from_bytes(head[1:]) - 4)
