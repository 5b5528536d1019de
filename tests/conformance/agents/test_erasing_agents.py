"""Erasing what agents keep, with everything else of a user: it is counted, it is gone, and names are free again."""

import pytest

from support.backends import Backend
from threadkeep.conformance.helpers import blobs, journals, tasks, threads
from threadkeep.conformance.tasks import states
from threadkeep.conformance.threads import LARGE, chain, ids
from threadkeep.conversations.models import Erased
from threadkeep.errors import NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def test_an_erasure_takes_the_journals_along_and_counts_them(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store, state = await backend.store(user_id), await backend.state(user_id)
    for key in ("one", "two", "three"):
        await journals.put(state, key)
        await journals.append(state, ("x", 1), "x" * 1_000_000, key=key)
    await state.delete_journal(journals.SPACE, "three")
    assert await store.erase() == Erased(0, 0, 2)
    assert (await state.list_journals(journals.SPACE)).journals == []
    await journals.put(state, "one")
    await journals.append(state, ("x", "anew"), key="one")
    await backend.sweep(store)
    assert await journals.contents(state, "one") == ["anew"]
    assert await store.erase() == Erased(0, 0, 1)
    await backend.sweep(store)
    assert await store.erase() == Erased(0, 0)


async def test_an_erasure_takes_the_tasks_along_and_counts_them(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store, state = await backend.store(user_id), await backend.state(user_id)
    await tasks.running(state, "a", "b", payload="x" * 1_500_000)
    await tasks.running(state, "c", lane="other")
    await tasks.change(state, "c", "reserve", attempt="a1", settlementId="s", settlement="x" * 1_500_000)
    await tasks.change_lane(state, "close", lane="third")
    assert await store.erase() == Erased(0, 0, tasks=3)
    assert await tasks.listed(state) == []
    assert not await state.has_open_tasks(tasks.QUEUE)
    _, task, is_new = await tasks.admit(state, "a", lane="third", payload="anew")
    assert (is_new, task.seq) == (True, 1)
    await backend.sweep(store)
    assert await states(state) == {"a": "queued"}
    assert journals.plain((await tasks.get(state, "a")).payload) == "anew"
    assert await store.erase() == Erased(0, 0, tasks=1)
    await backend.sweep(store)
    assert await store.erase() == Erased(0, 0)


# Guards


async def test_an_erasure_takes_all_blobs_and_says_how_many(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store, state = await backend.store(user_id), await backend.state(user_id)
    await blobs.put(state, b"1", "one")
    await blobs.put(state, bytes(range(256)) * 10_000, "two")
    await blobs.put(state, b"3", "three")
    await state.delete_blob(blobs.SPACE, "three")
    assert await store.erase() == Erased(0, 0, blobs=2)
    with pytest.raises(NotFound):
        await state.get_blob(blobs.SPACE, "two")
    await blobs.put(state, b"anew", "two")
    await backend.sweep(store)
    assert await blobs.content_of(state, "two") == b"anew"
    assert await store.erase() == Erased(0, 0, blobs=1)


async def test_an_erasure_takes_the_threads_along_and_counts_them(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store, state = await backend.store(user_id), await backend.state(user_id)
    for name in ("one", "two", "three"):
        await chain(state, 2, thread=name, values={("large", "1"): LARGE})
    await state.delete_thread("three")
    assert await store.erase() == Erased(0, 0, threads=2)
    assert (await state.list_threads()).threads == []
    assert await ids(state, None) == []
    await threads.put(state, "0001", thread="one", stored={"large": "1"})
    await backend.sweep(store)
    assert await ids(state, None) == ["0001"]
    assert (await threads.page(state, "one")).values == []
    assert await store.erase() == Erased(0, 0, threads=1)
    await backend.sweep(store)
    assert await store.erase() == Erased(0, 0)
