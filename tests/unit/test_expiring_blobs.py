"""Blobs that expire: they are gone at once, by the clock of whoever asks, and are swept like what was deleted."""

from collections.abc import Callable

import pytest

from support import stores
from threadkeep.conformance.helpers.blobs import KEY, SPACE, content_of, put
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import NotFound
from threadkeep.storage.memory.store import MemoryStore
from threadkeep.storage.sql.agents import blobs as sql_blobs
from threadkeep.storage.sql.agents import sweep_blobs
from threadkeep.storage.sql.conversations import SqlStore, users_to_purge
from threadkeep.storage.sql.executor import read

pytestmark = pytest.mark.anyio

LEFT = read("SELECT (SELECT count(*) FROM blobs) AS blobs, (SELECT count(*) FROM pieces) AS pieces")


@pytest.fixture(params=["memory", "sqlite"])
async def open_at(request: pytest.FixtureRequest) -> Callable[[int], DatabaseStore]:
    """Opens the store of a user at a time."""
    if request.param == "memory":
        database = stores.new_memory()
        return lambda time: MemoryStore(database, "ada", lambda: time)
    executor = await stores.open_sqlite(":memory:")
    return lambda time: SqlStore(executor, "ada", lambda: time)


async def test_a_blob_that_has_expired_is_gone_and_its_key_is_free(open_at: Callable[[int], DatabaseStore]) -> None:
    await put(open_at(1_000).state, b"old", expires_in=1)
    assert await content_of(open_at(1_999).state) == b"old"
    later = open_at(2_000).state
    for call in (later.get_blob(SPACE, KEY), later.find_blob(SPACE, KEY)):
        with pytest.raises(NotFound):
            await call
    assert (await put(later, b"new", expires_in=10))[1]
    assert await content_of(open_at(11_999).state) == b"new"
    assert (await put(open_at(12_000).state, b"new"))[1]
    assert await content_of(open_at(99_000).state) == b"new"


async def test_purging_takes_what_has_expired_and_says_when_the_next_does() -> None:
    executor = await stores.open_sqlite(":memory:")
    store = SqlStore(executor, "ada", lambda: 5_000)
    await put(store.state, key="first", expires_in=1)
    await put(store.state, key="second", expires_in=9)
    later = SqlStore(executor, "ada", lambda: 6_000)
    assert await users_to_purge(executor, 0, 9, lambda: 5_999) == []
    assert await users_to_purge(executor, 0, 9, lambda: 6_000) == ["ada"]
    # As if it had been deleted so long before it expires that it is due then.
    assert await later.purge(100) == 14_000 - 6_000 + 100
    while await later.sweep():
        pass
    assert (await executor.run(LEFT()))[0] == [{"blobs": 1, "pieces": 1}]
    assert await users_to_purge(executor, 0, 9, lambda: 6_000) == []


async def test_blobs_are_swept_in_parts_that_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = await stores.open_sqlite(":memory:")
    store = SqlStore(executor, "ada")
    monkeypatch.setattr(sql_blobs, "_SWEPT_BLOBS_MAX", 3)
    monkeypatch.setattr(sql_blobs, "_SWEPT_BYTES_MAX", 10)
    for number, size in enumerate((20, 4, 4, 4, 1, 1, 1, 1)):
        await put(store.state, b"x" * size, f"{number}")
        await store.state.delete_blob(SPACE, f"{number}")
    left = []
    while await sweep_blobs(executor, "ada"):
        left += (await executor.run(LEFT()))[0]
    # The first alone, two of eight bytes, three, which is as many as there may be, and the rest.
    assert left == [{"blobs": count, "pieces": count} for count in (7, 5, 2)]
    assert (await executor.run(LEFT()))[0] == [{"blobs": 0, "pieces": 0}]
