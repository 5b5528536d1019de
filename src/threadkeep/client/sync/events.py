# Made by `scripts/lock` of client/api/events.py; a test fails when it is stale.

"""Server-Sent Events, as a server of ours sends them."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from threadkeep.client.sync.transport import Transport, lines


class Event(Struct):
    """An event."""

    name: str
    data: bytes


def events(transport: Transport, path: str, query: dict[str, Any]) -> Iterator[Event]:
    """The events of one answer, until it ends. Raises BrokenOff where the connection does."""
    with transport.stream(path, query=query, headers={"Accept": "text/event-stream"}) as response:
        fields: dict[bytes, bytes] = {}
        for line in lines(response):
            name, _, value = line.partition(b": ")
            if line and name:
                fields[name] = value
            elif b"data" in fields:
                yield Event(fields.get(b"event", b"message").decode(), fields[b"data"])
                fields = {}
