"""Server-Sent Events, as a server of ours sends them."""

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

from threadkeep.client.transport import Transport, lines


class Event(Struct):
    """An event."""

    name: str
    data: bytes


async def events(transport: Transport, path: str, query: dict[str, Any]) -> AsyncIterator[Event]:
    """The events of one answer, until it ends. Raises BrokenOff where the connection does."""
    async with transport.stream(path, query=query, headers={"Accept": "text/event-stream"}) as response:
        fields: dict[bytes, bytes] = {}
        async for line in lines(response):
            name, _, value = line.partition(b": ")
            if line and name:
                fields[name] = value
            elif b"data" in fields:
                yield Event(fields.get(b"event", b"message").decode(), fields[b"data"])
                fields = {}
