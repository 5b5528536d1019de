"""The store over HTTP: it does what the store behind it does, and tells what is something else."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest

from owner_proof.walk import WALK, walk
from support.in_process import VARIABLES, ApiTransport, as_user
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, ThreadkeepError, Unavailable
from threadkeep.http.api import connect
from threadkeep.models import Conversation
from threadkeep.store import Store
from threadkeep.stores.memory import MemoryDatabase, MemoryStore
from threadkeep.stores.remote import RemoteStore

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
}


def store(answer: Callable[[httpx.Request], httpx.Response]) -> RemoteStore:
    return RemoteStore(httpx.AsyncClient(base_url="https://kept.example", transport=httpx.MockTransport(answer)))


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


def in_memory() -> MemoryStore:
    ticks = count(1_700_000_000_000)
    database = MemoryDatabase()
    store = MemoryStore(database, "ada", lambda: next(ticks))
    database.owners["ada"].epoch = "0E000000000000000000000000"
    return store


async def test_a_walk_over_http_is_the_walk_of_the_store_behind_it() -> None:
    behind = in_memory()

    async def open_store(user_id: str) -> MemoryStore:
        return behind

    api = connect({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, lambda binding: False, offered=("memory",))
    transport = ApiTransport(api, open_store)
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=transport, headers=as_user("ada")) as client:
        remote: Store = RemoteStore(client)
        assert await walk(remote, WALK) == await walk(in_memory(), WALK)
