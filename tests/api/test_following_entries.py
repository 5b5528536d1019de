"""Entries as Server-Sent Events, over HTTP: they come while they are appended, and go on where they left off."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from asking import ask, check_refusal, send, someone

from support.backends import SERVER, WORKERS, Backend, shared_by_all_tests

pytestmark = pytest.mark.anyio

JOURNAL = "/api/journals/runs/followed"
ENTRIES = f"{JOURNAL}/entries"
EVENTS = {"Accept": "text/event-stream"}


async def events_of(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of an answer, one after the other; a comment is an empty one."""
    fields: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line and not line.startswith(":"):
            fields[name] = json.loads(value) if name == "data" else value
        elif not line:
            yield fields
            fields = {}


async def append(client: httpx.AsyncClient, *data: Any, **fields: Any) -> None:
    body = {"entries": [{"data": each} for each in data], **fields}
    assert (await send(client, "POST", ENTRIES, body)).status_code == 201


async def test_a_closed_journal_is_sent_whole_and_whoever_comes_again_is_told_to_stop(backend: Backend) -> None:
    client = someone(backend)
    await append(client, *range(150), "line\nline", create=True)
    await append(client, "x" * 1_200_000, {"last": "é"}, close=True)
    response = await ask(client, "GET", ENTRIES, headers=EVENTS)
    assert response.headers["content-type"] == "text/event-stream"
    first, *events, end = [each async for each in events_of(response)]
    assert first == {"retry": "1000"}
    assert [event["data"]["data"] for event in events] == [
        *range(150),
        "line\nline",
        "x" * 1_200_000,
        {"last": "é"},
    ]
    assert [event["data"]["seq"] for event in events] == list(range(153))
    assert (end["event"], end["data"]["nextSeq"]) == ("closed", 153)
    later = await ask(client, "GET", ENTRIES, headers={**EVENTS, "Last-Event-ID": events[-3]["id"]})
    assert [event["data"].get("seq") for event in [each async for each in events_of(later)][1:]] == [151, 152, None]
    over = await ask(client, "GET", ENTRIES, headers={**EVENTS, "Last-Event-ID": events[-1]["id"]})
    assert over.status_code == 204
    page = (await ask(client, "GET", f"{ENTRIES}?cursor={events[150]['id']}")).json()
    assert [entry["seq"] for entry in page["entries"]] == [151]
    await send(client, "PUT", JOURNAL, {"mode": "replace"})
    expired = await ask(client, "GET", ENTRIES, headers={**EVENTS, "Last-Event-ID": events[-1]["id"]})
    assert [each.get("event") async for each in events_of(expired)] == [None, "expired"]


@pytest.fixture(params=[SERVER, *WORKERS])
def running(request: pytest.FixtureRequest) -> Backend:
    """Whatever sends an answer while it is made."""
    return shared_by_all_tests(request)


async def test_events_come_while_entries_are_appended(running: Backend) -> None:
    client = someone(running)
    await append(client, 0, create=True)
    async with client.stream("GET", ENTRIES, headers=EVENTS, timeout=60) as response:
        events = events_of(response)
        assert await anext(events) == {"retry": "1000"}
        last = (await anext(events))["id"]
        for number in (1, 2):
            await append(client, number)
            async with asyncio.timeout(30):
                while not (event := await anext(events)):
                    pass  # nothing new when the store was asked
            assert event["data"]["data"] == number
            last = event["id"]
    # It has gone away in the middle; what it missed is there when it comes again.
    await append(client, 3, close=True)
    again = await ask(client, "GET", ENTRIES, headers={**EVENTS, "Last-Event-ID": last})
    assert [each.get("data", {}).get("data") async for each in events_of(again)] == [None, 3, None]


@pytest.mark.front_door
async def test_what_cannot_be_followed_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    check_refusal(await ask(client, "GET", ENTRIES, headers=EVENTS), "not_found")
    await append(client, 0, create=True, close=True)
    for nonsense in ("0", "x", "~", "~WyJl", "~WyJqIiwiYSIsImIiXQ", "a" * 5_000):
        with subtests.test(nonsense[:20]):
            headers = {**EVENTS, "Last-Event-ID": nonsense}
            check_refusal(await ask(client, "GET", ENTRIES, headers=headers), at="last-event-id")
    for query, at in (("before=3", "before"), ("newest=true", "newest"), ("head=true", "head"), ("cursor=x", "cursor")):
        with subtests.test(query):
            check_refusal(await ask(client, "GET", f"{ENTRIES}?{query}", headers=EVENTS), at=at)
