"""How our client reads Server-Sent Events: in whatever pieces they come, and again where the connection broke."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from support.python_client import KINDS, Awaited
from threadkeep.client import AsyncClient, Client
from threadkeep.errors import CursorExpired, NotFound

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]

PAGE = '{"conversations":[],"messages":[],"next":"%s","hasMore":false}'


class Pieces(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body in pieces, after which the connection may break."""

    def __init__(self, text: str, *, breaks: bool = False) -> None:
        self._text = text
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        for character in self._text:
            yield character.encode()
        if self._breaks:
            raise httpx.ReadError("The connection broke.")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def client_of(kind: str, *streams: Pieces) -> tuple[Any, list[str]]:
    """A client of something that has no changes but those of its streams, and where it was asked to go on from."""
    asked: list[str] = []
    left = list(streams)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/changes"):
            return httpx.Response(200, text=PAGE % request.url.params["since"])
        asked.append(request.url.params["since"])
        if left:
            return httpx.Response(200, stream=left.pop(0))
        return httpx.Response(404, json={"error": {"code": "not_found", "message": "There is no such path."}})

    transport = httpx.MockTransport(answer)
    if kind == "async":
        return AsyncClient("https://kept.example", transport=transport), asked
    return Awaited(Client("https://kept.example", transport=transport)), asked


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("api", "sync"):
        monkeypatch.setattr(f"threadkeep.client.{module}.changes._PAUSE_SECONDS", 0)


async def test_events_come_whole_and_go_on_where_the_connection_broke(kind: str) -> None:
    changes = "retry: 1000\n\n:\n\nevent: changes\nid: %s\ndata: " + PAGE + "\n\n"
    client, asked = client_of(
        kind, Pieces(changes % ("a", "a") + ":\n\n", breaks=True), Pieces(changes % ("b", "b") + "event: changes\nid")
    )
    followed = client.changes("0", follow=True).__aiter__()
    assert [(await anext(followed)).next, (await anext(followed)).next] == ["a", "b"]
    with pytest.raises(NotFound, match="There is no such path"):
        await anext(followed)
    assert asked == ["0", "a", "b"]


async def test_a_cursor_that_has_expired_ends_it(kind: str) -> None:
    expired = 'event: expired\nid: \ndata: {"code":"cursor_expired","message":"Start again with since=0."}\n\n'
    client, _ = client_of(kind, Pieces(expired))
    with pytest.raises(CursorExpired, match="Start again"):
        await anext(client.changes("0", follow=True).__aiter__())


async def test_it_is_closed_with_its_connections(kind: str) -> None:
    client, _ = client_of(kind)
    async with client as entered:
        assert [page async for page in entered.changes("0")] == []
    await (client.aclose() if kind == "async" else client.close())
    with pytest.raises(RuntimeError, match="closed"):
        await anext(client.changes("0").__aiter__())
