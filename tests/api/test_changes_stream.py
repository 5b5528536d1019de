"""The changes as Server-Sent Events, over HTTP: they come as they happen, and go on where they left off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from asking import ask, check_refusal, send, someone

from support.backends import SERVER, WORKERS, Backend, shared_by_all_tests

pytestmark = pytest.mark.anyio

API = "/api/conversations"
STREAM = f"{API}/changes/stream"
PATIENCE_SECONDS = 30


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, query: str = "", last: str | None = None
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a stream, one after the other, without comments."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", f"{STREAM}{query}", headers=headers, timeout=PATIENCE_SECONDS) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        yield events_of(response)


async def events_of(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line and not line.startswith(":"):
            fields[name] = json.loads(value) if name == "data" else value
        elif fields:
            if "data" in fields:
                yield fields
            fields = {}


async def create(client: httpx.AsyncClient, text: str = "first") -> str:
    created = await send(client, "POST", API, {"messages": [message(text)]})
    conversation_id: str = created.json()["id"]
    return conversation_id


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


@pytest.fixture(params=[SERVER, *WORKERS])
def running(request: pytest.FixtureRequest) -> Backend:
    """Whatever sends an answer while it is made."""
    return shared_by_all_tests(request)


async def test_changes_come_as_they_happen_and_go_on_where_they_left_off(running: Backend) -> None:
    client = someone(running)
    conversation_id = await create(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, "?since=0&limit=1") as events:
        first, second = await anext(events), await anext(events)
        assert [row["id"] for row in first["data"]["conversations"]] == [conversation_id]
        assert [row["seq"] for row in second["data"]["messages"]] == [1]
        assert (first["event"], first["id"], first["data"]["hasMore"]) == ("changes", first["data"]["next"], True)
        await send(client, "POST", f"{API}/{conversation_id}/messages", {"messages": [message("second")]})
        third = await anext(events)
    await ask(client, "DELETE", f"{API}/{conversation_id}")
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, "?since=0", last=third["id"]) as events:
        assert [set(row) for row in (await anext(events))["data"]["conversations"]] == [{"id", "deletedAt"}]
    page = (await ask(client, "GET", f"{API}/changes?since={second['id']}")).json()
    assert [set(row) for row in page["conversations"]] == [{"id", "deletedAt"}]


async def test_without_a_cursor_only_what_comes_from_now_on_is_sent(running: Backend) -> None:
    client = someone(running)
    await create(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client) as events:
        first = await anext(events)
        assert (first["data"]["conversations"], first["data"]["messages"]) == ([], [])
        added = await create(client, "second")
        assert [row["id"] for row in (await anext(events))["data"]["conversations"]] == [added]


async def test_after_an_erasure_whoever_follows_is_told_to_begin_anew(running: Backend) -> None:
    client = someone(running)
    await create(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, "?since=0") as events:
        last = (await anext(events))["id"]
        user_id = client.headers["x-user-id"]
        assert (await ask(client, "DELETE", f"/api/me?confirm={user_id}")).status_code == 200
        expired = await anext(events)
        assert (expired["event"], expired["id"], expired["data"]["code"]) == ("expired", "", "cursor_expired")
        assert [event async for event in events] == []
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, last=last) as events:
        assert [event["event"] async for event in events] == ["expired"]


async def test_many_devices_hear_of_an_append_and_one_that_does_not_read_holds_up_nobody(running: Backend) -> None:
    client = someone(running)
    conversation_id = await create(client)
    async with asyncio.timeout(2 * PATIENCE_SECONDS), client.stream("GET", f"{STREAM}?since=0", timeout=60):

        async def hear(ready: asyncio.Semaphore) -> str:
            async with following(client) as events:
                await anext(events)
                ready.release()
                text: str = (await anext(events))["data"]["messages"][0]["content"][0]["text"]
                return text

        ready = asyncio.Semaphore(0)
        devices = [asyncio.create_task(hear(ready)) for _ in range(10)]
        for _ in devices:
            await ready.acquire()
        await send(client, "POST", f"{API}/{conversation_id}/messages", {"messages": [message("heard")]})
        assert await asyncio.gather(*devices) == ["heard"] * len(devices)


@pytest.mark.front_door
async def test_what_cannot_be_followed_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    conversation_id = await create(client)
    await create(client)
    listed = (await ask(client, "GET", f"{API}?limit=1")).json()["nextCursor"]
    nonsense_of_all_kinds = ("x", "~", "~WyJl", "~WyJqIiwiYSIsImIiXQ", "a" * 5_000, "1, 2", "\xfc", "null", "-1")
    for nonsense in (*nonsense_of_all_kinds, listed, conversation_id):
        with subtests.test(nonsense[:20]):
            headers = {"Last-Event-ID": nonsense.encode("latin-1")}
            check_refusal(await ask(client, "GET", STREAM, headers=headers), at="last-event-id")
    for query, at in (("since=x", "since"), ("limit=0", "limit"), ("cursor=0", "cursor")):
        with subtests.test(query):
            check_refusal(await ask(client, "GET", f"{STREAM}?{query}"), at=at)
    with subtests.test("HEAD"):
        assert (await ask(client, "HEAD", STREAM)).status_code == 200
    with subtests.test("POST"):
        check_refusal(await send(client, "POST", STREAM, {}), "method_not_allowed")


async def test_an_id_that_came_last_wins_over_where_the_address_begins(running: Backend) -> None:
    client = someone(running)
    await create(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, "?since=0") as events:
        last = (await anext(events))["id"]
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, "?since=0", last=last) as events:
        added = await create(client, "second")
        assert [row["id"] for row in (await anext(events))["data"]["conversations"]] == [added]
