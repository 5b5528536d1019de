"""Drafts as they are written, over what sends an answer while it is made: readers, and producers that stream."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from asking import API, ask, send, someone
from drafting import NDJSON, PATIENCE_SECONDS, Reader, add, begin, following, new_draft, settle, text_of, texts, write

from support.backends import SERVER, WORKERS, Backend, shared_by_all_tests

pytestmark = pytest.mark.anyio

SAID = "".join(chr(0x1F600 + index % 60) + chr(97 + index % 26) for index in range(60))


@pytest.fixture(params=[SERVER, *WORKERS])
def running(request: pytest.FixtureRequest) -> Backend:
    """Whatever sends an answer while it is made."""
    return shared_by_all_tests(request)


async def test_parts_come_as_they_are_written_and_the_message_last(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"]) as events:
        assert await anext(events) == {"event": "caught-up", "data": {"next": 0}}
        await write(client, draft, 0, [begin("a")], [add("b"), {"event": {"type": "ping"}}])
        first, second = await anext(events), await anext(events)
        assert (first["event"], first["id"], first["data"]["ops"]) == ("part", "0", [begin("a")])
        assert (second["id"], second["data"]["ops"][1]) == ("1", {"event": {"type": "ping"}})
        await settle(client, draft)
        last = await anext(events)
        assert (last["event"], last["id"], last["data"]["draft"]["state"]) == ("settled", "end", "complete")
        assert text_of(last["data"]["message"]["content"]) == "ab"
        assert [event async for event in events] == []
    path = f"/api/drafts/{draft['id']}/events"
    assert (await ask(client, "GET", path, headers={"Last-Event-ID": "end"})).status_code == 204
    # Whoever has missed the end is told at once.
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"], last="1") as events:
        assert [event["event"] async for event in events] == ["settled"]


async def test_whoever_comes_later_has_what_is_there_as_one_event(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"], "?folded=true") as events:
        first = await anext(events)
        assert first == {"event": "content", "data": {"content": [], "next": 0}}
    await write(client, draft, 0, [begin("a")], [add("b")])
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"], "?folded=true") as events:
        first, second = await anext(events), await anext(events)
        assert (first["id"], first["data"]) == ("1", {"content": [begin("ab")["set"]], "next": 2})
        assert second["event"] == "caught-up"
        await write(client, draft, 2, [add("c")])
        third = await anext(events)
        assert (third["id"], third["data"]["ops"]) == ("2", [add("c")])
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"], "?from=1") as events:
        assert [(await anext(events))["id"] for _ in range(2)] == ["1", "2"]


async def test_ten_readers_who_come_again_at_random_end_with_the_same_text(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    chance = random.Random(7)

    async def read(reader: Reader) -> str:
        while reader.outcome is None:
            await reader.read(chance.randint(1, 40), chance.choice(("", "?folded=true")))
        assert reader.text == SAID or reader.outcome is not None
        return text_of(reader.outcome["message"]["content"])

    readers = [Reader(client, draft["id"]) for _ in range(10)]
    async with asyncio.timeout(4 * PATIENCE_SECONDS):
        reading = [asyncio.create_task(read(reader)) for reader in readers]
        await write(client, draft, 0, [begin()])
        for part, start in enumerate(range(0, len(SAID), 4), start=1):
            await write(client, draft, part, [add(character) for character in SAID[start : start + 4]])
        async with following(client, draft["id"]) as events:  # so that it is not over before anybody has read
            async for event in events:
                if event["event"] == "caught-up":
                    break
        await settle(client, draft)
        assert await asyncio.gather(*reading) == [SAID] * len(readers)
    assert all(SAID.startswith(reader.text) for reader in readers)


async def test_a_reader_who_reads_nothing_holds_up_nobody(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    path = f"/api/drafts/{draft['id']}/events"
    async with asyncio.timeout(2 * PATIENCE_SECONDS), client.stream("GET", path, timeout=PATIENCE_SECONDS):
        await write(client, draft, 0, [begin()])
        for part in range(1, 6):
            await write(client, draft, part, [add("x" * 100_000)])
        reader = Reader(client, draft["id"])
        await asyncio.gather(reader.read(), settle(client, draft))
        assert reader.outcome is not None
        assert len(text_of(reader.outcome["message"]["content"])) == 500_000


async def test_readers_hear_when_the_lease_of_a_producer_is_over(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client, leaseSeconds=1)
    await write(client, draft, 0, [begin("a")])
    reader = Reader(client, draft["id"])
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await reader.read()
    assert time.monotonic() - began < 10
    assert reader.outcome is not None
    assert reader.outcome["draft"]["state"] == "interrupted"
    assert reader.outcome["message"]["metadata"] == {"stream": {"state": "interrupted"}}


async def test_readers_of_a_draft_whose_conversation_is_deleted_are_told(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    async with asyncio.timeout(PATIENCE_SECONDS), following(client, draft["id"]) as events:
        await anext(events)
        await ask(client, "DELETE", f"{API}/{draft['conversationId']}")
        last = await anext(events)
        assert (last["event"], last["data"]["code"]) == ("expired", "not_found")
        assert [event async for event in events] == []


async def slowly(*values: Any, seconds: float = 0.5) -> AsyncIterator[bytes]:
    """Lines, with a pause between them."""
    for value in values:
        yield json.dumps(value).encode() + b"\n"
        await asyncio.sleep(seconds)


async def stream(client: httpx.AsyncClient, draft: dict[str, Any], content: AsyncIterator[bytes]) -> httpx.Response:
    path = f"/api/drafts/{draft['id']}/stream?fence=1"
    return await client.post(path, content=content, headers=NDJSON, timeout=PATIENCE_SECONDS)


async def test_what_a_producer_streams_is_read_before_it_has_ended(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    ended: list[float] = []

    async def produce() -> None:
        answer = await stream(client, draft, slowly(begin("a"), add("b"), add("c"), add("d"), {"settle": "complete"}))
        ended.append(time.monotonic())
        assert answer.status_code == 201, answer.text

    async with asyncio.timeout(PATIENCE_SECONDS):
        producing = asyncio.create_task(produce())
        async with following(client, draft["id"]) as events:
            async for event in events:
                if event["event"] == "part":
                    break
            came = time.monotonic()
            states = [each["data"]["draft"]["state"] async for each in events if each["event"] == "settled"]
        await producing
    assert came < ended[0] - 0.5
    assert states in (["complete"], [])  # an answer may end before
    assert await texts(client, draft["conversationId"]) == ["What is a monad?", "abcd"]


async def test_many_lines_are_few_parts(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)
    values = [begin(), *(add(character) for character in SAID)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await stream(client, draft, slowly(*values, seconds=0.01))
    assert answer.status_code == 200
    assert 1 < answer.json()["next"] < len(values) / 2
    folded = (await ask(client, "GET", f"/api/drafts/{draft['id']}?folded=true")).json()
    assert text_of(folded["content"]) == SAID


async def test_a_producer_whose_connection_is_cut_can_be_taken_over(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)

    async def cut() -> AsyncIterator[bytes]:
        async for line in slowly(begin("a"), add("b")):
            yield line
        raise ConnectionError

    with pytest.raises((ConnectionError, httpx.HTTPError)):
        await stream(client, draft, cut())
    taken = (await ask(client, "POST", f"/api/drafts/{draft['id']}/take")).json()
    assert taken["fence"] == 2
    folded = (await ask(client, "GET", f"/api/drafts/{draft['id']}?folded=true")).json()
    came = text_of(folded["content"])
    assert "ab".startswith(came)
    assert came
    rest = [add(character) for character in "abc"[len(came) :]]
    path = f"/api/drafts/{draft['id']}/stream?fence=2&from={folded['draft']['next']}"
    body = b"".join(json.dumps(value).encode() + b"\n" for value in [*rest, {"settle": "complete"}])
    ended = await ask(client, "POST", path, content=body, headers=NDJSON)
    assert ended.status_code == 201, ended.text
    assert await texts(client, draft["conversationId"]) == ["What is a monad?", "abc"]


async def test_a_producer_that_streams_is_stopped(running: Backend) -> None:
    client = someone(running)
    draft = await new_draft(client)

    async def stop() -> None:
        async with following(client, draft["id"]) as events:
            async for event in events:
                if event["event"] == "part":
                    break
        await send(client, "POST", f"/api/drafts/{draft['id']}/stop", {})

    values = [begin("a"), *(add("b") for _ in range(20)), {"settle": "complete"}]
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        stopping = asyncio.create_task(stop())
        with suppress(httpx.HTTPError):  # where the answer was there before the lines had ended
            await stream(client, draft, slowly(*values, seconds=0.2))
        await stopping
    kept = await texts(client, draft["conversationId"])
    assert len(kept) == 2
    assert len(kept[1]) < 21
    read = (await ask(client, "GET", f"/api/drafts/{draft['id']}")).json()
    assert read["draft"]["state"] == "interrupted"
