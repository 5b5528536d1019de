"""What expires, by the clock of whoever asks: it is gone at once, and is swept like what was deleted."""

from collections.abc import Callable

import pytest

from support import stores
from threadkeep.conformance.helpers import threads
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, put
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import NotFound
from threadkeep.storage.memory.store import MemoryStore
from threadkeep.storage.sql.conversations import SqlStore, users_to_purge

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def open_at(request: pytest.FixtureRequest) -> Callable[[int], DatabaseStore]:
    """Opens the store of a user at a time."""
    if request.param == "memory":
        database = stores.new_memory()
        return lambda time: MemoryStore(database, "ada", lambda: time)
    executor = await stores.open_sqlite(":memory:")
    return lambda time: SqlStore(executor, "ada", lambda: time)


async def test_a_journal_that_has_expired_is_gone_and_its_key_is_free(open_at: Callable[[int], DatabaseStore]) -> None:
    await put(open_at(1_000).state, expires_in=1)
    await append(open_at(1_999).state, "old")
    later = open_at(2_000).state
    for call in (later.get_journal(SPACE, KEY), append(later, 1), contents(later)):
        with pytest.raises(NotFound):
            await call
    assert (await later.list_journals(SPACE)).journals == []
    assert (await put(later))[1]
    assert await contents(later) == []
    await append(later, "renewed", expires_in=10)
    assert await contents(open_at(11_999).state) == ["renewed"]
    assert (await append(open_at(12_000).state, "anew", create=True))[0].first == 0
    assert await contents(open_at(99_000).state) == ["anew"]


async def test_a_thread_that_has_expired_is_gone_and_its_name_is_free(open_at: Callable[[int], DatabaseStore]) -> None:
    await threads.put(open_at(1_000).state, "1", expires_in=1)
    assert await threads.ids(open_at(1_999).state) == ["1"]
    later = open_at(2_000).state
    assert await threads.ids(later) == []
    assert (await later.list_threads()).threads == []
    await threads.put(later, "2")
    assert await threads.ids(open_at(99_000).state) == ["2"]


async def test_purging_takes_what_has_expired_and_says_when_the_next_does() -> None:
    executor = await stores.open_sqlite(":memory:")
    store = SqlStore(executor, "ada", lambda: 5_000)
    await put(store.state, "first", expires_in=1)
    await put(store.state, "second", expires_in=9)
    later = SqlStore(executor, "ada", lambda: 6_000)
    assert await users_to_purge(executor, 0, 9, lambda: 5_999) == []
    assert await users_to_purge(executor, 0, 9, lambda: 6_000) == ["ada"]
    # As if it had been deleted so long before it expires that it is due then.
    assert await later.purge(100) == 14_000 - 6_000 + 100
    while await later.sweep():
        pass
    (rows,) = await executor.run(executor.statements.count_all(user="ada"))
    assert '"journals":1' in rows[0]["answer"]
    assert await users_to_purge(executor, 0, 9, lambda: 6_000) == []
