"""The client that blocks is made of the one that does not, and is no older than that."""

from collections.abc import Callable

import httpx
import pytest

from threadkeep.client import Client
from threadkeep.client.sync.transport import Transport
from threadkeep.errors import Invalid, Unavailable
from tools.sync_client import TARGET, sources, translated


@pytest.mark.parametrize("name", sources())
def test_the_client_that_blocks_is_the_other_word_by_word(name: str) -> None:
    assert (TARGET / name).read_text() == translated(sources()[name]), "run scripts/lock"


def test_nothing_of_the_other_is_left_in_it() -> None:
    by_hand = {"__init__.py", "waiting.py"}
    assert {path.name for path in TARGET.glob("*.py")} == {*sources(), *by_hand}
    for path in map(TARGET.joinpath, sources()):
        words = {"async", "await", "Async", "anyio", "asyncio", "RemoteStore"}
        assert {word for word in words if word in path.read_text().replace("/api/", "")} == set(), path


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Client, list[float]]:
    """A client of what answers so, and how long it has waited each time."""
    waited: list[float] = []
    client = Client("https://kept.example", transport=httpx.MockTransport(answer))
    client._transport._sleep = waited.append
    return client, waited


def test_it_waits_as_long_as_the_server_says_and_gives_up() -> None:
    busy = {"error": {"code": "unavailable", "message": "Try again."}}
    client, waited = client_of(lambda request: httpx.Response(503, json=busy, headers={"Retry-After": "7"}))
    with pytest.raises(Unavailable, match="Try again"):
        client.conversations.get("a")
    assert waited == [7, 7, 7]
    with pytest.raises(Unavailable, match="Try again"):
        client.conversations.update("a", title="Once")
    assert waited == [7, 7, 7]


def test_what_cannot_be_reached_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    client, waited = client_of(answer)
    with pytest.raises(Unavailable, match=r"Threadkeep at https://kept\.example could not be reached"):
        client.conversations.get("a")
    assert waited == [0.1, 0.2, 0.4]


def test_something_else_that_answers_is_unavailable_and_an_error_that_nobody_knows_a_defect() -> None:
    client, _ = client_of(lambda request: httpx.Response(200, text="<html>Sign in</html>"))
    with pytest.raises(Unavailable, match="Something that is not Threadkeep answered 200"):
        client.conversations.get("a")
    error = {"code": "internal", "message": "Report it.", "details": {"requestId": "x"}}
    client, _ = client_of(lambda request: httpx.Response(500, json={"error": error}))
    with pytest.raises(RuntimeError, match=r"Threadkeep answered 500 internal: Report it\."):
        list(client.export_documents())


def test_a_bookmark_is_sent_back() -> None:
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("X-D1-Bookmark"))
        return httpx.Response(204, headers={"X-D1-Bookmark": "one"})

    client, _ = client_of(answer)
    client.conversations.delete("a")
    client.conversations.delete("a")
    assert sent == [None, "one"]
    assert isinstance(client._transport, Transport)


def test_it_has_to_be_said_which_server_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THREADKEEP_URL", raising=False)
    with pytest.raises(Invalid, match="THREADKEEP_URL"):
        Client()
