"""Who follows changes in a Worker: what that asks of the store, when it ends, and that nothing is left of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS, worker
from support.in_process import as_user
from threadkeep.http.events import PAUSES_SECONDS, QUESTIONS_MAX
from threadkeep.http.messages import STREAMS_OF_USER_MAX
from tools.local.worker import LocalWorker

pytestmark = pytest.mark.anyio

API = "/api/conversations"
STREAM = f"{API}/changes/stream"
JOURNAL = "/api/journals/runs/1"
EVENTS = {"Accept": "text/event-stream"}
LISTENERS = 50
WATCHED_SECONDS = 17  # more than from one heartbeat to the next
EVICTED_SECONDS = 12  # workerd has an object that nobody needs leave the memory after 10


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    """A Worker with an object for each user, whose streams tell every second that they are there, and end soon."""
    with worker("durable-object", tmp_path_factory.mktemp("followed")) as running:
        order = {"heartbeat": 1, "quiet": 4}
        httpx.post(f"{running.url}/quiet", json=order, headers=as_user("ada")).raise_for_status()
        yield running


@asynccontextmanager
async def client_of(running: LocalWorker, user: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=2 * LISTENERS)
    async with httpx.AsyncClient(
        base_url=running.url, timeout=REQUEST_SECONDS, headers=as_user(user), limits=limits
    ) as client:
        yield client


async def begun(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a stream, from the first event on."""
    assert response.status_code == 200
    lines = response.aiter_lines()
    async for line in lines:
        if line.startswith("data: "):
            break
    return lines


class Listeners(NamedTuple):
    """Who follows something of a user, and the object of this user."""

    in_object: int
    in_worker: int
    since: int
    """When it came into the memory."""


async def listeners(client: httpx.AsyncClient) -> Listeners:
    return Listeners(*(await client.post("/listeners", json={"user_id": client.headers["x-user-id"]})).json())


@pytest.mark.parametrize("store", WORKERS)
async def test_who_listens_asks_an_object_nothing_and_d1_now_and_then_while_nothing_happens(
    store: str, tmp_path: Any
) -> None:
    with worker(store, tmp_path, "counting_entry") as running:
        async with client_of(running, "ada") as client, AsyncExitStack() as streams:
            await client.post(API, json={})
            count = LISTENERS if store == "durable-object" else 5
            for _ in range(count):
                await begun(await streams.enter_async_context(client.stream("GET", STREAM)))
            counted = (await client.get("/counts")).json()
            assert counted.get("storage.exec", 0) + counted.get("d1.raw", 0) + counted.get("d1.all", 0) > 0
            began = time.monotonic()
            await asyncio.sleep(WATCHED_SECONDS)
            counted = (await client.get("/counts")).json()
            counted.pop("turns")
            if store == "durable-object":
                assert counted == {}
            else:
                asked = sum(number for name, number in counted.items() if name.startswith("d1."))
                assert 0 < asked <= count * (2 + (time.monotonic() - began) / PAUSES_SECONDS[-1])


async def test_an_object_hibernates_while_changes_are_followed_and_each_write_wakes_it(objects: LocalWorker) -> None:
    async with client_of(objects, "ada") as client, client.stream("GET", STREAM) as response:
        lines = await begun(response)
        before = await listeners(client)
        assert (before.in_object, before.in_worker) == (0, 1)
        for _ in range(2):
            await asyncio.sleep(EVICTED_SECONDS)
            created = (await client.post(API, json={})).json()["id"]
            async for line in lines:
                if line.startswith("data: "):
                    (changed,) = json.loads(line.removeprefix("data: "))["conversations"]
                    assert changed["id"] == created
                    break
            after = await listeners(client)
            assert (after.in_object, after.in_worker) == (0, 1)
            assert after.since > before.since
            before = after


async def test_what_keeps_an_object_awake_ends_when_it_was_quiet_for_long(objects: LocalWorker) -> None:
    async with client_of(objects, "eve") as client:
        await client.post(f"{JOURNAL}/entries", json={"create": True, "entries": [{"data": 1}]})
        began = time.monotonic()
        async with client.stream("GET", f"{JOURNAL}/entries", headers=EVENTS) as response:
            lines = [line async for line in await begun(response) if line]
        assert time.monotonic() - began > 3
        assert lines[-1] == "retry: 60000"
        before = await listeners(client)
        assert before.in_object == 0
        await asyncio.sleep(EVICTED_SECONDS)
        assert (await listeners(client)).since > before.since


async def test_an_object_is_awake_while_somebody_follows_a_journal_and_no_longer(objects: LocalWorker) -> None:
    """They go without a word, as whoever closes a page: so the object finds out when it tells that it is there."""
    async with client_of(objects, "grace") as client:
        await client.post(f"{JOURNAL}/entries", json={"create": True, "entries": [{"data": 1}]})
        async with AsyncExitStack() as streams:
            for _ in range(10):
                journal = client.stream("GET", f"{JOURNAL}/entries", headers=EVENTS)
                await begun(await streams.enter_async_context(journal))
            before = await listeners(client)
            assert before.in_object == 10
        await asyncio.sleep(EVICTED_SECONDS + 5)
        after = await listeners(client)
        assert after.in_object == 0
        assert after.since > before.since


async def test_of_those_who_followed_changes_and_went_nothing_is_left(objects: LocalWorker) -> None:
    async with client_of(objects, "heidi") as client:
        for _ in range(3):
            async with AsyncExitStack() as streams:
                for _ in range(LISTENERS // 5):
                    await begun(await streams.enter_async_context(client.stream("GET", STREAM)))
                assert (await listeners(client)).in_worker >= LISTENERS // 5
        async with asyncio.timeout(REQUEST_SECONDS):
            while (await listeners(client)).in_worker:  # noqa: ASYNC110 nobody tells of it
                await asyncio.sleep(0.5)
        log = objects.log_path.read_text()
        assert "Traceback" not in log
        assert "Error" not in log


async def test_a_stream_ends_before_its_worker_may_ask_the_object_no_more_and_nothing_is_missed(
    objects: LocalWorker,
) -> None:
    async with client_of(objects, "ivan") as client:
        ids = [(await client.post(API, json={})).json()["id"] for _ in range(QUESTIONS_MAX + 5)]
        heard: list[str] = []
        last, answers = "0", 0
        while len(heard) < len(ids):
            answers += 1
            async with client.stream("GET", f"{STREAM}?limit=1", headers={"Last-Event-ID": last}) as response:
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        last = line.removeprefix("id: ")
                    elif line.startswith("data: "):
                        heard += [row["id"] for row in json.loads(line.removeprefix("data: "))["conversations"]]
                    if len(heard) == len(ids):
                        break
        assert heard == ids
        assert answers == 2


async def test_an_object_refuses_one_stream_too_many_and_has_room_again_when_some_have_ended(
    objects: LocalWorker,
) -> None:
    async with client_of(objects, "greedy") as client, AsyncExitStack() as streams:

        async def follow() -> httpx.Response:
            return await streams.enter_async_context(client.stream("GET", STREAM))

        for response in await asyncio.gather(*(follow() for _ in range(STREAMS_OF_USER_MAX))):
            await begun(response)
        refused = await follow()
        error = (await refused.aread(), refused.json()["error"])[1]
        assert (refused.status_code, error["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
        assert error["message"].startswith(f"You have {STREAMS_OF_USER_MAX} streams open")
        assert (await client.get(API)).status_code == 200
        async with asyncio.timeout(REQUEST_SECONDS):
            while (await follow()).status_code == 429:  # noqa: ASYNC110 nobody tells of it
                await asyncio.sleep(0.5)
