"""Clocks that stand still or go back, on the stores that can be handed one, and a Worker's that goes back."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from support.backends import Backend, over_worker
from support.postgres import new_url
from support.records import conversation, edit, messages, new_message, plain
from support.stores import new_memory, open_postgres, open_sqlite
from threadkeep.clock import Clock, now
from threadkeep.conversations.models import Conversation
from threadkeep.conversations.store import Store
from threadkeep.storage.memory.store import MemoryStore
from threadkeep.storage.sql.conversations import SqlStore

pytestmark = pytest.mark.anyio

Open = Callable[[Clock], Store]
TIME = 1_800_000_000_000


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def open_store(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    if request.param == "memory":
        database = new_memory()
        yield lambda clock: MemoryStore(database, "u", clock)
    elif request.param == "postgres":
        executor = await open_postgres(new_url())
        yield lambda clock: SqlStore(executor, "u", clock)
        await executor.close()  # type: ignore[attr-defined]
    else:
        executor = await open_sqlite(":memory:")
        yield lambda clock: SqlStore(executor, "u", clock)
        executor.close()  # type: ignore[attr-defined]


async def test_updated_at_never_goes_back(open_store: Open) -> None:
    record = conversation()
    await open_store(lambda: 2_000).create_conversation(record)
    appended, _ = await open_store(lambda: 1_000).append_messages(record.id, messages(1))
    assert appended.conversation.updated_at == 2_000
    assert appended.messages[0].created_at == 1_000
    appended, _ = await open_store(lambda: 3_000).append_messages(record.id, messages(1))
    assert appended.conversation.updated_at == 3_000


async def test_the_order_of_messages_is_that_of_arrival_whatever_the_clock_says(open_store: Open) -> None:
    record = conversation(new_message("first"))
    await open_store(lambda: 9_000).create_conversation(record)
    for time in (5_000, 7_000, 1_000):
        await open_store(lambda time=time: time).append_messages(record.id, messages(1))  # type: ignore[misc]
    kept = (await open_store(lambda: 0).list_messages(record.id)).messages
    assert [(row.seq, row.created_at) for row in kept] == [(1, 9_000), (2, 5_000), (3, 7_000), (4, 1_000)]


async def test_an_edit_is_never_taken_as_later_than_now(open_store: Open) -> None:
    record = conversation()
    store = open_store(lambda: 1_000)
    await store.create_conversation(record)
    await store.update_conversation(record.id, edit(title="from a clock that is ahead", edited_at=999_999))
    edited = await open_store(lambda: 1_001).update_conversation(record.id, edit(title="later"))
    assert edited.title == "later"


async def test_an_edit_without_a_time_wins_by_arrival_whatever_the_clock_says(open_store: Open) -> None:
    record = conversation(metadata={"a": 1})
    await open_store(lambda: 1_000).create_conversation(record)
    await open_store(lambda: 9_000).update_conversation(record.id, edit(title="first", metadata={"b": 2}))
    edited = await open_store(lambda: 5_000).update_conversation(record.id, edit(title="second", metadata={"c": 3}))
    assert (edited.title, plain(edited.metadata)) == ("second", {"a": 1, "b": 2, "c": 3})
    late = await open_store(lambda: 9_999).update_conversation(record.id, edit(title="late", edited_at=8_000))
    assert late.title == "second"


async def test_deleting_again_keeps_the_time_of_the_first_time(open_store: Open) -> None:
    record = conversation()
    await open_store(lambda: 1_000).create_conversation(record)
    for time in (2_000, 3_000):
        await open_store(lambda time=time: time).delete_conversation(record.id)  # type: ignore[misc]
    restored = await open_store(lambda: 4_000).restore_conversation(record.id)
    assert (restored.created_at, restored.updated_at, restored.version, restored.deleted_at) == (1_000, 1_000, 3, None)


WRONG = 3 * 3_600_000
"""How far a clock was ahead, in milliseconds."""
FIRST = {"title": "first", "model": "a", "is_archived": True, "metadata": {"a": 1}}
SECOND = {"title": "second", "model": "b", "is_archived": False, "metadata": {"a": 2}}
THIRD = {"title": "third", "model": "c", "is_archived": True, "metadata": {"a": 3}}


def fields_of(row: Conversation) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("title", "model", "is_archived")} | {"metadata": plain(row.metadata)}


@pytest.mark.parametrize("made_before", [{}, {"edited_at": TIME + WRONG - 1}], ids=["by arrival", "with its time"])
async def test_what_was_edited_by_a_clock_that_was_ahead_keeps_no_later_edit_out(
    open_store: Open, made_before: dict[str, int]
) -> None:
    record = conversation()
    await open_store(lambda: TIME).create_conversation(record)
    await open_store(lambda: TIME + WRONG).update_conversation(record.id, edit(**FIRST, **made_before))
    store = open_store(lambda: TIME + 2_000)
    # A moment passes between an edit and its arrival.
    edited = await store.update_conversation(record.id, edit(**SECOND, edited_at=TIME + 1_900))
    assert fields_of(edited) == SECOND
    late = await store.update_conversation(record.id, edit(**THIRD, edited_at=TIME + 1_800))
    assert fields_of(late) == SECOND
    again = await store.update_conversation(record.id, edit(**THIRD, edited_at=TIME + 1_900))
    assert fields_of(again) == THIRD


async def test_an_edit_by_arrival_takes_the_time_of_a_wrong_clock_away(open_store: Open) -> None:
    record = conversation()
    await open_store(lambda: TIME).create_conversation(record)
    await open_store(lambda: TIME + WRONG).update_conversation(record.id, edit(**FIRST))
    await open_store(lambda: TIME + 1_000).update_conversation(record.id, edit(**SECOND))
    late = await open_store(lambda: TIME + WRONG + 1).update_conversation(
        record.id, edit(**THIRD, edited_at=TIME + 999)
    )
    assert fields_of(late) == SECOND
    edited = await open_store(lambda: TIME + 3_000).update_conversation(
        record.id, edit(**THIRD, edited_at=TIME + 2_000)
    )
    assert fields_of(edited) == THIRD


@pytest.mark.parametrize(("apart", "title"), [(60_000, "first"), (60_001, "second")])
async def test_clocks_of_servers_may_be_a_minute_apart(open_store: Open, apart: int, title: str) -> None:
    record = conversation()
    await open_store(lambda: TIME).create_conversation(record)
    await open_store(lambda: TIME + apart).update_conversation(record.id, edit(title="first"))
    edited = await open_store(lambda: TIME).update_conversation(record.id, edit(title="second", edited_at=TIME - 1))
    assert edited.title == title


@pytest.mark.parametrize("name", ["d1_worker", "durable_object_worker", "postgres_worker"])
async def test_a_worker_whose_clock_was_ahead_keeps_no_later_edit_out(
    request: pytest.FixtureRequest, name: str
) -> None:
    async with over_worker(request.getfixturevalue(name)) as backend:
        store = await backend.store()
        record = conversation()
        await store.create_conversation(record)
        await set_clock(backend, WRONG)
        try:
            await store.update_conversation(record.id, edit(**FIRST))
        finally:
            await set_clock(backend, 0)
        edited = await store.update_conversation(record.id, edit(**SECOND, edited_at=now() - 100))
        assert fields_of(edited) == SECOND


async def set_clock(backend: Backend, offset: int) -> None:
    (await backend.client.post("/clock", json={"offset": offset})).raise_for_status()
