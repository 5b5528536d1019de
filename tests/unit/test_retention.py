"""Erasing and purging: how long what is deleted is kept, how much goes at once, and that what is cut off goes on."""

from collections.abc import Iterable
from typing import Any

import pytest

from support.records import conversation, new_message
from threadkeep.clock import now
from threadkeep.conversations import retention
from threadkeep.conversations.models import Deleted, Erased
from threadkeep.conversations.retention import (
    DAY_MILLISECONDS,
    delete_conversations,
    erase,
    expire,
    expire_database,
    keep_up,
    keep_up_store,
    purge,
    purge_users,
)
from threadkeep.conversations.store import UsersToExpire
from threadkeep.errors import NotFound, Unavailable
from threadkeep.settings import Settings
from threadkeep.storage.memory.store import MemoryDatabase, MemoryStore

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody else go first between the parts: there is nobody."""
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)


class Slow:
    """A store with so many parts to sweep, and to tidy. The call that removes the last of them says so."""

    def __init__(
        self, parts: int, earliest: int | None = None, *, fails_after: int | None = None, untidy: int = 0
    ) -> None:
        self.parts = parts
        self.untidy = untidy
        self.earliest = earliest
        self.fails_after = fails_after
        self.until: list[int] = []
        self.erased = 0
        self.swept = 0

    async def erase(self) -> Erased:
        self.erased += 1
        return Erased(3, 7)

    async def purge(self, until: int) -> int | None:
        self.until.append(until)
        return self.earliest

    async def sweep(self) -> bool:
        if self.swept == self.fails_after:
            raise Unavailable("Try again.")
        self.swept += 1
        self.parts -= 1
        return self.parts > 0

    async def tidy(self) -> bool:
        assert self.parts <= 0 or self.swept >= retention.PARTS_MAX
        self.untidy -= 1
        return self.untidy > 0


class Old:
    """A store with so many parts that expire, and then this oldest append."""

    def __init__(self, parts: int, oldest: int | None = None, *, fails: bool = False) -> None:
        self.parts = parts
        self.oldest = oldest
        self.fails = fails
        self.asked: list[tuple[int, frozenset[str]]] = []

    async def expire(self, before: int, spares: frozenset[str]) -> bool:
        if self.fails:
            raise Unavailable("Try again.")
        self.asked.append((before, spares))
        self.parts -= 1
        return self.parts > 0

    async def oldest_append(self, spares: frozenset[str]) -> int | None:
        return self.oldest


class Users:
    """A database of these users, who are looked at two at a time."""

    def __init__(self, **stores: Old) -> None:
        self.stores = stores

    async def users_to_expire(self, before: int, spares: frozenset[str], after: str, limit: int) -> UsersToExpire:
        looked_at = sorted(name for name in self.stores if name > after)[:2]
        due = [name for name in looked_at if self.stores[name].parts > 0]
        return UsersToExpire(due, looked_at[-1] if looked_at else None)

    def open_store(self, user_id: str) -> Any:
        return self.stores[user_id]


def at(time: int) -> retention.Clock:
    return lambda: time


# Erasing


@pytest.mark.parametrize(
    ("parts", "is_complete", "left"),
    [
        (1, True, 0),
        (retention.PARTS_MAX, True, 0),
        (retention.PARTS_MAX + 1, False, 1),
        (1_000, False, 1_000 - retention.PARTS_MAX),
    ],
)
async def test_an_erasure_is_complete_once_nothing_is_left_to_remove(parts: int, is_complete: bool, left: int) -> None:
    store = Slow(parts)
    assert await erase(store) == (Erased(3, 7), is_complete)
    assert (store.erased, store.parts) == (1, left)


async def test_an_erasure_of_nothing_looks_once_whether_something_is_left() -> None:
    store = Slow(0)
    assert (await erase(store))[1] is True
    assert store.swept == 1


async def test_an_erasure_that_is_cut_off_goes_on_when_it_is_asked_for_again() -> None:
    store = Slow(10, fails_after=4)
    with pytest.raises(Unavailable):
        await erase(store)
    assert (store.erased, store.parts) == (1, 6)
    store.fails_after = None
    assert (await erase(store))[1] is True
    assert (store.swept, store.parts) == (10, 0)


async def test_an_erasure_too_large_for_one_time_is_complete_the_second_time() -> None:
    store = Slow(retention.PARTS_MAX + 3)
    assert [(await erase(store))[1] for _ in range(2)] == [False, True]


async def test_an_erasure_is_complete_though_its_words_are_still_to_be_merged_away() -> None:
    store = Slow(1, untidy=retention.PARTS_MAX + 1)
    assert (await erase(store))[1] is True
    assert store.untidy == 1


# Purging one user


@pytest.mark.parametrize("days", [1, 30, 36_500])
async def test_what_was_deleted_so_many_days_ago_is_purged(days: int) -> None:
    store = Slow(1)
    await purge(store, days, at(NOW))
    assert store.until == [NOW - days * 86_400_000]


@pytest.mark.parametrize(("after", "is_gone"), [(-1, False), (0, True), (1, True)])
async def test_what_is_deleted_can_be_restored_until_the_millisecond_it_is_purged(after: int, is_gone: bool) -> None:
    database, record = MemoryDatabase(), conversation(new_message())
    store = MemoryStore(database, "ada", at(NOW))
    await store.create_conversation(record)
    await store.delete_conversation(record.id)
    due = NOW + 7 * DAY_MILLISECONDS
    time = await purge(store, 7, at(due + after))
    assert time == (None if is_gone else due)
    if is_gone:
        with pytest.raises(NotFound):
            await store.restore_conversation(record.id)
    else:
        assert (await store.restore_conversation(record.id)).deleted_at is None


async def test_the_next_time_is_when_the_next_deletion_is_old_enough() -> None:
    ticks = iter(range(NOW, NOW + 1_000))
    store = MemoryStore(MemoryDatabase(), "ada", lambda: next(ticks))
    records = [conversation() for _ in range(3)]
    times = []
    for record in records:
        await store.create_conversation(record)
        await store.delete_conversation(record.id)
        times.append(next(ticks) - 1)
    time: int | None = times[0] + DAY_MILLISECONDS
    for due in (times[1] + DAY_MILLISECONDS, times[2] + DAY_MILLISECONDS, None):
        assert time is not None
        assert await purge(store, 1, at(time - 1)) == time  # a moment too early
        time = await purge(store, 1, at(time))
        assert time == due


async def test_with_nothing_deleted_there_is_no_next_time() -> None:
    assert await purge(Slow(1), 30, at(NOW)) is None


@pytest.mark.parametrize("earliest", [None, NOW - 5])
async def test_with_something_left_to_remove_the_next_time_is_now(earliest: int | None) -> None:
    store = Slow(retention.PARTS_MAX + 1, earliest)
    assert await purge(store, 30, at(NOW)) == NOW
    assert await purge(store, 30, at(NOW)) == (None if earliest is None else earliest + 30 * DAY_MILLISECONDS)
    assert store.parts == 0


async def test_with_words_left_in_the_index_the_next_time_is_now() -> None:
    store = Slow(1, untidy=retention.PARTS_MAX + 1)
    assert await purge(store, 30, at(NOW)) == NOW
    assert await purge(store, 30, at(NOW)) is None


async def test_a_purge_that_is_cut_off_goes_on_the_next_time() -> None:
    store = Slow(10, fails_after=4)
    with pytest.raises(Unavailable):
        await purge(store, 30, at(NOW))
    store.fails_after = None
    assert await purge(store, 30, at(NOW + 1)) is None
    assert (store.swept, store.parts) == (10, 0)


async def test_the_time_is_asked_once_so_that_nothing_falls_in_between() -> None:
    ticks = iter([NOW])
    store = Slow(retention.PARTS_MAX + 1)
    assert await purge(store, 1, lambda: next(ticks)) == NOW


# Purging several users at once


async def purge_all(stores: dict[str, Slow], user_ids: Iterable[str] | None = None) -> list[str]:
    """Purge these users; answer whose stores were opened."""
    opened = []

    async def open_store(user_id: str) -> Slow:
        opened.append(user_id)
        return stores[user_id]

    await purge_users(stores if user_ids is None else user_ids, open_store, 30, at(NOW))
    return opened


async def test_each_user_is_purged_and_swept() -> None:
    stores = {"ada": Slow(2), "bob": Slow(1), "eve": Slow(0)}
    assert await purge_all(stores) == ["ada", "bob", "eve"]
    for store in stores.values():
        assert store.until == [NOW - 30 * DAY_MILLISECONDS]
    assert [store.swept for store in stores.values()] == [2, 1, 1]


async def test_what_is_removed_at_once_is_shared_by_all_users() -> None:
    stores = {"ada": Slow(retention.PARTS_MAX - 3), "bob": Slow(2), "eve": Slow(5), "zoe": Slow(1)}
    assert await purge_all(stores) == ["ada", "bob", "eve"]
    assert [store.parts for store in stores.values()] == [0, 0, 4, 1]
    assert sum(store.swept for store in stores.values()) == retention.PARTS_MAX
    # Who was left over comes the next time, and who was not done goes on.
    assert await purge_all(stores, ["eve", "zoe"]) == ["eve", "zoe"]
    assert [store.parts for store in stores.values()] == [0, 0, 0, 0]


async def test_one_user_with_too_much_takes_all_of_a_time_and_is_done_in_the_end() -> None:
    stores = {"ada": Slow(2 * retention.PARTS_MAX + 1), "bob": Slow(1)}
    assert [await purge_all(stores) for _ in range(3)] == [["ada"], ["ada"], ["ada", "bob"]]
    assert [store.parts for store in stores.values()] == [0, 0]


async def test_one_user_with_whom_it_fails_keeps_nobody_else_from_it() -> None:
    stores = {"ada": Slow(2), "bob": Slow(3, fails_after=1), "eve": Slow(1)}
    with pytest.raises(ExceptionGroup) as raised:
        await purge_all(stores)
    assert [type(error) for error in raised.value.exceptions] == [Unavailable]
    assert [store.parts for store in stores.values()] == [0, 2, 0]
    stores["bob"].fails_after = None
    await purge_all(stores, ["bob"])
    assert stores["bob"].parts == 0


# What expires

SPARED = frozenset({"pinned"})


@pytest.mark.parametrize(
    ("parts", "oldest", "next_look"),
    [
        (0, None, None),
        (1, None, None),
        (1, NOW, NOW + 7 * DAY_MILLISECONDS),
        (1, NOW - 7 * DAY_MILLISECONDS - 1, NOW + DAY_MILLISECONDS),  # it was restored
        (retention.DELETED_PARTS_MAX, NOW, NOW + 7 * DAY_MILLISECONDS),
        (retention.DELETED_PARTS_MAX + 1, NOW, NOW),
    ],
)
async def test_what_expires_goes_in_parts_and_the_next_look_is_when_something_is_due(
    parts: int, oldest: int | None, next_look: int | None
) -> None:
    store = Old(parts, oldest)
    assert await expire(store, 7, SPARED, at(NOW)) == next_look  # type: ignore[arg-type]
    assert set(store.asked) == {(NOW - 7 * DAY_MILLISECONDS, SPARED)}
    assert len(store.asked) == min(max(parts, 1), retention.DELETED_PARTS_MAX)


async def test_everybody_is_looked_at_and_as_many_parts_go_as_may_be_at_once() -> None:
    users = Users(ada=Old(1), bob=Old(0), eve=Old(3), zoe=Old(2))
    assert await expire_database(users, 7, SPARED, at(NOW))  # type: ignore[arg-type]
    assert {name: len(store.asked) for name, store in users.stores.items()} == {"ada": 1, "bob": 0, "eve": 3, "zoe": 2}
    users = Users(ada=Old(1), bob=Old(1_000), eve=Old(1))
    assert not await expire_database(users, 7, SPARED, at(NOW))  # type: ignore[arg-type]
    assert [len(store.asked) for store in users.stores.values()] == [1, retention.DELETED_PARTS_MAX - 1, 0]
    users = Users(ada=Old(retention.DELETED_PARTS_MAX), bob=Old(1))
    assert not await expire_database(users, 7, SPARED, at(NOW))  # type: ignore[arg-type]
    assert [len(store.asked) for store in users.stores.values()] == [retention.DELETED_PARTS_MAX, 0]


async def test_a_user_for_whom_nothing_can_expire_stops_no_other() -> None:
    users = Users(ada=Old(1, fails=True), bob=Old(1), eve=Old(2))
    with pytest.raises(ExceptionGroup) as raised:
        await expire_database(users, 7, SPARED, at(NOW))  # type: ignore[arg-type]
    assert len(raised.value.exceptions) == 1
    assert [len(store.asked) for store in users.stores.values()] == [0, 1, 2]


@pytest.mark.parametrize("days", [None, 1])
async def test_the_upkeep_deletes_what_is_old_if_the_settings_say_so(days: int | None) -> None:
    database = MemoryDatabase()
    settings = Settings(expire_days=days, expire_spares=frozenset({"pinned"}), retention_days=30)
    old, pinned, new = (conversation(new_message(), metadata={"pinned": number == 1}) for number in range(3))
    long_ago = MemoryStore(database, "ada", at(now() - 2 * DAY_MILLISECONDS))
    for record in (old, pinned):
        await long_ago.create_conversation(record)
    store = MemoryStore(database, "ada")
    await store.create_conversation(new)
    left = [new.id, pinned.id] if days else [new.id, pinned.id, old.id]
    told: list[str] = []
    for _ in range(2):
        assert await keep_up(database, settings, told.append)
        assert told == (["ada"] if days else [])
        assert [row.id for row in (await store.list_conversations()).conversations] == left
    await store.restore_conversation(old.id)
    assert await keep_up(database, settings)
    assert len((await store.list_conversations()).conversations) == 3


async def test_a_failure_to_delete_what_is_old_does_not_stop_the_purge(monkeypatch: pytest.MonkeyPatch) -> None:
    database = MemoryDatabase()
    record = conversation(new_message())
    long_ago = MemoryStore(database, "ada", at(1))
    await long_ago.create_conversation(record)
    await long_ago.delete_conversation(record.id)

    async def fail(self: MemoryDatabase, *arguments: Any) -> UsersToExpire:
        raise Unavailable("Try again.")

    monkeypatch.setattr(MemoryDatabase, "users_to_expire", fail)
    with pytest.raises(Unavailable):
        await keep_up(database, Settings(expire_days=1))
    with pytest.raises(NotFound):
        await MemoryStore(database, "ada").restore_conversation(record.id)


async def test_the_upkeep_of_one_user_comes_back_for_whatever_is_due_first() -> None:
    database = MemoryDatabase()
    store = MemoryStore(database, "ada", at(NOW))
    records = [conversation(new_message()) for _ in range(2)]
    for record in records:
        await store.create_conversation(record)
    days = DAY_MILLISECONDS
    assert await keep_up_store(store, Settings(), at(NOW)) is None
    assert await keep_up_store(store, Settings(expire_days=9), at(NOW)) == NOW + 9 * days
    await store.delete_conversation(records[0].id)
    assert await keep_up_store(store, Settings(expire_days=9), at(NOW)) == NOW + 9 * days
    assert await keep_up_store(store, Settings(expire_days=90), at(NOW)) == NOW + 30 * days
    later = MemoryStore(database, "ada", at(NOW + 10 * days))
    assert await keep_up_store(later, Settings(expire_days=9), at(NOW + 10 * days)) == NOW + 30 * days
    assert (await later.list_conversations()).conversations == []


async def test_a_request_deletes_as_many_parts_as_may_be_at_once() -> None:
    parts = [Deleted(2, is_complete=False)] * (retention.DELETED_PARTS_MAX + 1) + [Deleted(1, is_complete=True)]

    class Store:
        async def delete_conversations(self, before: int, *, is_archived: bool | None) -> Deleted:
            assert (before, is_archived) == (7, None)
            return parts.pop(0)

    store: Any = Store()
    first = await delete_conversations(store, 7, None)
    assert first == Deleted(2 * retention.DELETED_PARTS_MAX, is_complete=False)
    assert await delete_conversations(store, 7, None) == Deleted(3, is_complete=True)
