"""The store over HTTP: it does what the store behind it does, and tells what is something else."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from owner_proof.walk.conversations import WALK
from owner_proof.walk.steps import walk
from support.in_process import VARIABLES, ApiTransport, as_user
from threadkeep.client import RemoteStore
from threadkeep.client.transport import Transport
from threadkeep.conversations.models import Conversation, Deleted, Erased
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, ThreadkeepError, Unavailable
from threadkeep.http.api import connect
from threadkeep.storage.memory.store import MemoryDatabase, MemoryStore

pytestmark = pytest.mark.anyio

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
CONVERSATION = {
    "id": ID,
    "userId": "ada",
    "title": "Mine",
    "titleSource": "user",
    "model": None,
    "createdAt": 1,
    "updatedAt": 2,
    "messageCount": 0,
    "isArchived": False,
    "metadata": {},
    "version": 4,
    "deletedAt": None,
    "leafId": None,
    "forkedFrom": None,
}


def store(answer: Callable[[httpx.Request], httpx.Response], user_id: str = "ada") -> RemoteStore:
    client = httpx.AsyncClient(base_url="https://kept.example", transport=httpx.MockTransport(answer))
    return RemoteStore(Transport(client, at_once), user_id)


async def at_once(seconds: float) -> None:
    """Wait for nothing."""


def fails(status: int, code: str, **more: Any) -> RemoteStore:
    error = {"code": code, "message": "Do something else.", **more}
    return store(lambda request: httpx.Response(status, json={"error": error}))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(404, "not_found", NotFound), (409, "conflict", Conflict), (503, "unavailable", Unavailable)],
)
async def test_an_error_of_the_other_side_is_raised_here(status: int, code: str, kind: type[ThreadkeepError]) -> None:
    with pytest.raises(kind) as raised:
        await fails(status, code).get_conversation(ID)
    assert (raised.value.message, raised.value.details) == ("Do something else.", None)


async def test_the_details_of_an_error_come_along() -> None:
    with pytest.raises(Conflict) as conflict:
        await fails(409, "conflict", details={"ids": [ID]}).get_conversation(ID)
    assert conflict.value.details == {"ids": [ID]}
    with pytest.raises(Invalid) as invalid:
        await fails(400, "invalid", details={"path": "cursor"}).list_conversations(cursor="x")
    assert (invalid.value.path, invalid.value.details) == ("cursor", {"path": "cursor"})
    with pytest.raises(Stale) as stale:
        await fails(412, "stale", details={"conversation": CONVERSATION}).get_conversation(ID)
    assert stale.value.details is not None
    assert isinstance(stale.value.details["conversation"], Conversation)
    assert stale.value.details["conversation"].version == 4


async def test_an_error_that_nobody_knows_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="Threadkeep answered 500 internal: Do something else"):
        await fails(500, "internal", details={"requestId": "x"}).get_conversation(ID)


@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", "", "[]", '{"error":"no"}', '{"detail":"Not Found"}'])
async def test_something_else_that_fails_is_unavailable(body: str) -> None:
    with pytest.raises(Unavailable, match="Something that is not Threadkeep answered 502"):
        await store(lambda request: httpx.Response(502, text=body)).get_conversation(ID)


@pytest.mark.parametrize("status", [200, 302])
async def test_something_else_that_answers_is_unavailable(status: int) -> None:
    with pytest.raises(Unavailable, match=f"Something that is not Threadkeep answered {status}"):
        await store(lambda request: httpx.Response(status, text="<html>Sign in</html>")).get_conversation(ID)


async def test_a_delete_that_was_only_sent_elsewhere_did_not_happen() -> None:
    with pytest.raises(Unavailable):
        await store(lambda request: httpx.Response(302, headers={"Location": "/sign-in"})).delete_conversation(ID)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_what_cannot_be_reached_is_unavailable(error: type[httpx.TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no")

    with pytest.raises(Unavailable, match=r"Threadkeep at https://kept\.example could not be reached") as raised:
        await store(answer).get_conversation(ID)
    assert isinstance(raised.value.__cause__, error)


async def test_a_bookmark_is_sent_back_until_there_is_a_newer_one() -> None:
    sent: list[str | None] = []
    new = iter(["one", None, "two", None])

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("X-D1-Bookmark"))
        bookmark = next(new)
        return httpx.Response(
            200, headers={"X-D1-Bookmark": bookmark} if bookmark else {}, text=json.dumps(CONVERSATION)
        )

    remote = store(answer)
    for expected in ("one", "one", "two", "two"):
        await remote.get_conversation(ID)
        assert remote.bookmark == expected
    assert sent == [None, "one", "one", "two"]


@pytest.mark.parametrize(
    ("user_id", "query"),
    [
        ("ada", "confirm=ada"),
        ("17", "confirm=17"),
        ("a b", "confirm=a%20b"),
        ("a+b@c.example", "confirm=a%2Bb%40c.example"),
        ("a/b?c=d&e#f;g", "confirm=a%2Fb%3Fc%3Dd%26e%23f%3Bg"),
        ("100%", "confirm=100%25"),
        ("a%2Fb", "confirm=a%252Fb"),
        ("\u540d\u524d", "confirm=%E5%90%8D%E5%89%8D"),
    ],
)
async def test_an_erasure_confirms_the_user_whose_everything_it_is(user_id: str, query: str) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        receipt = {"conversations": 2, "messages": 5, "userId": user_id, "isComplete": True}
        return httpx.Response(200, json=receipt)

    assert await store(answer, user_id).erase() == Erased(2, 5)
    (request,) = sent
    assert (request.method, request.url.path, request.read()) == ("DELETE", "/api/me", b"")
    # The same to whoever reads it, whether or not the client escapes what may stand as it is.
    assert parse_qsl(request.url.query.decode(), strict_parsing=True) == parse_qsl(query) == [("confirm", user_id)]


async def test_an_erasure_that_is_not_complete_is_asked_for_again_and_counted_once() -> None:
    receipts = iter([(False, 9), (False, 5), (True, 2)])

    def answer(request: httpx.Request) -> httpx.Response:
        is_complete, messages = next(receipts)
        receipt = {"conversations": 2, "messages": messages, "userId": "ada", "isComplete": is_complete}
        return httpx.Response(200 if is_complete else 202, json=receipt)

    remote = store(answer)
    assert await remote.erase() == Erased(2, 9)
    assert list(receipts) == []


async def test_many_are_deleted_by_one_request_with_the_users_own_id() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202, json={"conversations": 10_000, "isComplete": False})

    remote = store(answer, "ada & co")
    for is_archived, archived in ((None, "any"), (True, "true"), (False, "false")):
        assert await remote.delete_conversations(7, is_archived=is_archived) == Deleted(10_000, is_complete=False)
        request = sent.pop()
        assert (request.method, request.url.path, request.read()) == ("DELETE", "/api/conversations", b"")
        expected = {"before": "7", "archived": archived, "confirm": "ada & co"}
        assert dict(parse_qsl(request.url.query.decode(), strict_parsing=True)) == expected


async def test_an_erasure_that_is_refused_is_refused_here() -> None:
    with pytest.raises(Invalid) as raised:
        await fails(400, "invalid", details={"path": "confirm"}).erase()
    assert raised.value.path == "confirm"


def test_a_server_that_is_elsewhere_is_no_store_that_anybody_else_keeps_up() -> None:
    assert not {"purge", "sweep"} & set(dir(RemoteStore))


def in_memory() -> MemoryStore:
    ticks = count(1_700_000_000_000)
    store = MemoryStore(
        MemoryDatabase(), "ada", lambda: next(ticks), (f"0N{number:024d}" for number in count()).__next__
    )
    store._owner.epoch = "0E000000000000000000000000"
    return store


async def test_a_walk_over_http_is_the_walk_of_the_store_behind_it() -> None:
    behind = in_memory()

    async def open_store(user_id: str) -> MemoryStore:
        return behind

    api = connect({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, lambda binding: False, "server")
    transport = ApiTransport(api, open_store)
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=transport, headers=as_user("ada")) as client:
        remote: Store = RemoteStore(client, "ada")
        assert await walk(remote, WALK) == await walk(in_memory(), WALK)
