"""Server-Sent Events: what is sent, how often the store is asked, and when an answer ends."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from support.in_process import VARIABLES, as_user, no_stream
from threadkeep.agents.store import StateStore
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, put
from threadkeep.conversations.store import DatabaseStore
from threadkeep.http import events
from threadkeep.http.api import connect
from threadkeep.http.events import Found, event, following, listening, wants_events
from threadkeep.http.messages import Request, Response
from threadkeep.signals import Listener, Signals
from threadkeep.storage.memory.store import MemoryDatabase

pytestmark = pytest.mark.anyio

PATH = "/api/journals/tests/a%2Fjournal%20%22of%22%20%5Bours%5D/entries"


async def no_body() -> bytes:
    return b""


def request_of(**headers: str) -> Request:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", PATH, "", given.get, no_body, no_stream)


def asking(*answers: Found) -> Callable[[], Awaitable[Found]]:
    rest = iter(answers)

    async def ask() -> Found:
        return next(rest, Found())

    return ask


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("text/event-stream", True),
        ("application/json;q=0.5, Text/Event-Stream;q=0.9", True),
        ("*/*", False),
        ("text/*", False),
        ("", False),
    ],
)
def test_events_are_for_those_who_say_so(accept: str, *, wants: bool) -> None:
    assert wants_events(request_of(accept=accept)) is wants
    assert not wants_events(request_of())


def test_an_event_is_one_line_of_data() -> None:
    assert event(b'{"a":\r\n"b"}', id_="~x", name="n") == b'event: n\nid: ~x\ndata: {"a":  "b"}\n\n'
    assert event(b"1") == b"data: 1\n\n"
    assert event(b"1", id_="") == b"id: \ndata: 1\n\n"


async def test_the_store_is_asked_less_often_while_nothing_comes_and_more_often_again() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    ask = asking(Found(), Found(), Found(), Found([b"2"]), Found([b"3"], has_more=True), Found([b"4"], is_last=True))
    sent = [piece async for piece in following(Found([b"1"]), ask, pause=pause)]
    assert sent == [b"retry: 1000\n\n", b"1", b":\n\n", b":\n\n", b":\n\n", b"2", b"3", b"4"]
    assert pauses == [0.25, 0.5, 1.0, 1.0, 0.25]


async def test_an_answer_ends_after_a_minute_or_after_so_many_questions() -> None:
    time = 0.0

    async def pause(seconds: float) -> None:
        nonlocal time
        time += 7

    sent = [piece async for piece in following(Found(), asking(), lambda: time, pause)]
    assert (len(sent), time) == (1 + 10, 63)  # the minute is over within the ninth pause
    full = asking(*[Found([b"x"], has_more=True)] * 100)
    sent = [piece async for piece in following(Found([b"x"], has_more=True), full)]
    assert sent[1:] == [b"x"] * events.QUESTIONS_MAX


@pytest.mark.parametrize(("is_quiet", "lasts"), [(True, 300), (False, 900)])
async def test_with_signals_an_answer_ends_when_it_was_quiet_for_long_or_has_lasted_long_enough(
    monkeypatch: pytest.MonkeyPatch, *, is_quiet: bool, lasts: int
) -> None:
    signals, time, questions = Signals(), 0.0, 0

    async def wait(user: str, seconds: float, since: int) -> bool:
        nonlocal time
        time += seconds
        return not is_quiet

    async def ask() -> Found:
        nonlocal questions
        questions += 1
        return Found([b"x"], has_more=questions == 1)

    monkeypatch.setattr(signals, "wait", wait)
    signals.costs = is_quiet
    sent = [piece async for piece in listening(Found(), ask, Listener(signals, "alice"), lambda: time)]
    assert time == lasts
    if is_quiet:
        assert sent == [b"retry: 1000\n\n", *[events.HEARTBEAT] * 20, b"retry: 60000\n\n"]
        assert questions == 0
    else:
        assert sent == [b"retry: 1000\n\n", *[b"x"] * 60]
        assert questions == 60


async def test_where_it_costs_nothing_to_wait_a_quiet_answer_lasts_as_long_as_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signals, time = Signals(), 0.0

    async def wait(user: str, seconds: float, since: int) -> bool:
        nonlocal time
        time += seconds
        return False

    monkeypatch.setattr(signals, "wait", wait)
    sent = [piece async for piece in listening(Found(), asking(), Listener(signals, "alice"), lambda: time)]
    assert time == events.LISTENING_SECONDS_MAX
    assert sent == [b"retry: 1000\n\n", *[events.HEARTBEAT] * 60]


async def test_who_follows_something_that_has_a_deadline_asks_then_without_a_signal() -> None:
    signals = Signals()
    ask = asking(Found([b"over"], is_last=True))
    sent = [piece async for piece in listening(Found([b"1"], seconds=0.01), ask, Listener(signals, "alice"))]
    assert sent == [b"retry: 1000\n\n", b"1", b"over"]
    assert not signals.anybody_waits


# Journals, in memory


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> MemoryDatabase:
    monkeypatch.setattr(events, "PAUSES_SECONDS", (0.0,))
    return MemoryDatabase()


@pytest.fixture
def state(database: MemoryDatabase) -> StateStore:
    return database.open_store("alice").state


async def ask_for_events(database: MemoryDatabase, query: str = "", **headers: str) -> Response:
    async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
        return database.open_store(user_id)

    variables = {**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}
    api = connect(variables.get, lambda binding: False, "server")
    given = {name.lower(): value for name, value in as_user("alice").items()}
    given |= {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await api.handle(Request("GET", PATH, query, given.get, no_body, no_stream), open_store)


def parsed(piece: bytes) -> list[dict[str, Any]]:
    found = []
    for text in filter(None, piece.decode().split("\n\n")):
        fields = dict(line.partition(": ")[::2] for line in text.split("\n"))
        found.append({**fields, "data": msgspec.json.decode(fields["data"])} if "data" in fields else fields)
    return found


async def next_events(pieces: AsyncIterator[bytes]) -> list[dict[str, Any]]:
    """What comes next, but for comments."""
    while (piece := await anext(pieces)) == events.HEARTBEAT:
        pass
    return parsed(piece)


async def test_entries_come_as_they_are_appended_and_the_end_with_the_journal(
    database: MemoryDatabase, state: StateStore
) -> None:
    await put(state)
    await append(state, "one", ("id", {"two": "2\n"}))
    response = await ask_for_events(database)
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    assert not isinstance(response.body, bytes)
    async with aclosing(response.body) as pieces:  # type: ignore[type-var]
        assert await anext(pieces) == b"retry: 1000\n\n"
        first, second = await next_events(pieces)
        assert (first["data"]["seq"], first["data"]["data"]) == (0, "one")
        assert (second["data"]["id"], second["data"]["data"]) == ("id", {"two": "2\n"})
        assert await anext(pieces) == events.HEARTBEAT
        await append(state, "three", close=True)
        third, end = await next_events(pieces)
        assert third["data"]["data"] == "three"
        assert (end["event"], end["data"]["key"]) == ("closed", KEY)
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
    again = await ask_for_events(database, last_event_id=second["id"])
    assert not isinstance(again.body, bytes)
    assert [each.get("data", {}).get("data") for each in parsed(b"".join([piece async for piece in again.body]))] == [
        *(None, "three", None)
    ]
    over = await ask_for_events(database, last_event_id=third["id"])
    assert (over.status, over.body) == (204, b"")
    assert (await ask_for_events(database)).status == 200  # whoever begins is told that it is closed


@pytest.mark.parametrize("how", ["cut", "replace", "delete"])
async def test_whoever_follows_is_told_when_there_is_nothing_to_follow(
    database: MemoryDatabase, state: StateStore, how: str
) -> None:
    await put(state)
    await append(state, "one", "two")
    response = await ask_for_events(database)
    assert not isinstance(response.body, bytes)
    pieces = response.body
    await anext(pieces)
    *_, last = await next_events(pieces)
    if how == "cut":
        await append(state, cut=1)
    elif how == "replace":
        await put(state, mode="replace")
    else:
        await state.delete_journal(SPACE, KEY)
    (expired,) = await next_events(pieces)
    code = "not_found" if how == "delete" else "cursor_expired"
    assert (expired["event"], expired["id"], expired["data"]["code"]) == ("expired", "", code)
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    again = await ask_for_events(database, last_event_id=last["id"])
    if how == "delete":
        assert again.status == 404
        return
    assert not isinstance(again.body, bytes)
    assert [each.get("event") for each in parsed(b"".join([piece async for piece in again.body]))] == [None, "expired"]
    anew = await ask_for_events(database, last_event_id="")  # as a browser comes again after that
    assert anew.status == 200


async def test_a_deadline_that_passes_while_the_store_was_waited_for_is_heeded_at_once() -> None:
    clock = itertools.count(step=100)
    asked = asking(Found([b"2"], is_last=True))
    listener = Listener(Signals(), "alice")
    sent = [piece async for piece in listening(Found([b"1"], seconds=5), asked, listener, lambda: next(clock))]
    assert sent[1:] == [b"1", b"2"]
