"""Deleting many conversations at once: those that are old, because somebody asks for it or because they expire."""

import asyncio
from typing import Any

import msgspec
import pytest

from support.backends import Backend
from support.records import conversation, edit, message, new_message, plain
from support.replica import Replica, everything_in
from threadkeep.clock import now
from threadkeep.conversations.models import DELETED_MAX, Conversation, Tombstone
from threadkeep.conversations.store import Store
from threadkeep.errors import NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

EVER = 2**53 - 1
PINNED = {"pinned": True}


async def keep(store: Store, **fields: Any) -> Conversation:
    return (await store.create_conversation(conversation(new_message(), **fields)))[0]


async def archived(store: Store, **fields: Any) -> Conversation:
    kept = await keep(store, **fields)
    return await store.update_conversation(kept.id, edit(is_archived=True))


async def later(store: Store) -> Conversation:
    """Keep a conversation whose time is later than that of all before."""
    last = (await store.list_conversations(is_archived=None, limit=1)).conversations[0]
    while True:
        kept = await keep(store)
        if kept.updated_at > last.updated_at:
            return kept
        await store.delete_conversation(kept.id)


async def listed(store: Store) -> set[str]:
    return {row.id for row in (await store.list_conversations(is_archived=None, limit=100)).conversations}


async def import_old(backend: Backend, user_id: str, count: int) -> None:
    document = {"createdAt": "2020-01-01T00:00:00Z", "messages": []}
    lines = b"\n".join([msgspec.json.encode({"version": 1, "conversation": document})] * count)
    sent = await backend.client_of(user_id).post(
        "/api/import", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert len(sent.raise_for_status().json()["imported"]) == count


def user() -> str:
    return f"user-{new_id()}"


async def deleted(store: Store, before: int, **options: Any) -> tuple[int, bool]:
    answer = await store.delete_conversations(before, **options)
    return answer.conversations, answer.is_complete


# Because somebody asks for it


async def test_those_older_than_a_time_are_deleted_and_can_be_restored(backend: Backend) -> None:
    store = await backend.store()
    first, appended, other = await keep(store), await keep(store), await archived(store)
    new = await later(store)
    await store.append_messages(appended.id, [message()])
    assert await deleted(store, new.updated_at) == (1, True)
    assert await listed(store) == {appended.id, other.id, new.id}
    with pytest.raises(NotFound):
        await store.append_messages(first.id, [message()])
    assert await deleted(store, new.updated_at) == (0, True)
    restored = await store.restore_conversation(first.id)
    assert plain(restored) == plain(first) | {"version": first.version + 2}
    assert len((await store.list_messages(first.id)).messages) == 1
    assert await deleted(store, new.updated_at) == (1, True)  # what was restored is as old as it was


@pytest.mark.parametrize(("is_archived", "left"), [(False, "b"), (True, "a"), (None, "")])
async def test_archived_ones_are_deleted_if_they_are_asked_for(
    backend: Backend, is_archived: bool | None, left: str
) -> None:
    store = await backend.store()
    ids = {"a": (await keep(store)).id, "b": (await archived(store)).id}
    assert await deleted(store, EVER, is_archived=is_archived) == (2 - len(left), True)
    assert await listed(store) == {ids[name] for name in left}
    assert await deleted(store, EVER, is_archived=is_archived) == (0, True)


async def test_nothing_is_older_than_the_beginning_and_there_may_be_nothing(backend: Backend) -> None:
    store = await backend.store()
    assert await deleted(store, EVER) == (0, True)
    kept = await keep(store)
    for before in (0, kept.updated_at):
        assert await deleted(store, before, is_archived=None) == (0, True)
    assert await deleted(store, kept.updated_at + 1) == (1, True)


async def test_many_are_deleted_in_parts_and_whoever_follows_hears_of_each(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = await keep(store)
    await import_old(backend, user_id, DELETED_MAX + 3)
    replica = Replica()
    await replica.follow(store, 500)
    counts, is_complete = [], False
    while not is_complete:
        count, is_complete = await deleted(store, kept.updated_at)
        counts.append(count)
    assert counts in ([DELETED_MAX, 3], [DELETED_MAX + 3])  # a server goes on by itself
    assert await listed(store) == {kept.id}
    await replica.follow(store, 500)
    replica.assert_equals(*await everything_in(store))


async def test_two_who_delete_at_once_count_each_conversation_once(backend: Backend) -> None:
    store = await backend.store()
    for _ in range(20):
        await keep(store)
    counts = await asyncio.gather(*(deleted(store, EVER) for _ in range(4)))
    assert sum(count for count, _ in counts) == 20
    assert await listed(store) == set()


async def test_nobody_elses_are_deleted(backend: Backend) -> None:
    alice, bob = await backend.store(), await backend.store()
    kept, _ = await keep(alice), await keep(bob)
    assert await deleted(bob, EVER, is_archived=None) == (1, True)
    assert await listed(alice) == {kept.id}


# Because they expire


async def test_what_was_last_appended_to_before_a_time_expires_and_can_be_restored(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    edited, appended = await keep(store), await keep(store)
    new = await later(store)
    await store.append_messages(appended.id, [message()])
    edited = await store.update_conversation(edited.id, edit(title="Edited later", metadata={"a": 1}))
    since = (await store.changes()).next
    assert await backend.expire(user_id, new.updated_at) == (False, new.updated_at)
    (tombstone,) = (await store.changes(since)).conversations
    assert isinstance(tombstone, Tombstone)
    assert tombstone.id == edited.id
    assert await listed(store) == {appended.id, new.id}
    assert await backend.expire(user_id, new.updated_at) == (False, new.updated_at)
    restored = await store.restore_conversation(edited.id)
    assert plain(restored) == plain(edited) | {"version": edited.version + 2}
    # It was restored since then, so it stays; and `updatedAt` is what it was.
    assert await backend.expire(user_id, new.updated_at) == (False, edited.updated_at)
    assert await listed(store) == {appended.id, new.id, edited.id}
    assert await backend.expire(user_id, EVER - 1) == (False, None)
    assert await listed(store) == set()


async def test_what_is_imported_expires_by_when_that_was(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    before = (await keep(store)).created_at
    await import_old(backend, user_id, 2)
    _, oldest = await backend.expire(user_id, before)
    assert oldest == 1_577_836_800_000
    assert len(await listed(store)) == 3
    await backend.expire(user_id, now() + 3_600_000)
    assert await listed(store) == set()


@pytest.mark.parametrize(
    ("spares", "left"),
    [
        ((), ""),
        (("archived",), "bd"),
        (("pinned",), "cd"),
        (("archived", "pinned"), "bcd"),
        (("pinned", "other"), "cd"),
    ],
)
async def test_archived_and_pinned_ones_are_spared_if_the_settings_say_so(
    backend: Backend, spares: tuple[str, ...], left: str
) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = {
        "a": await keep(store),
        "b": await archived(store),
        "c": await keep(store, metadata=PINNED),
        "d": await archived(store, metadata=PINNED),
    }
    assert await backend.expire(user_id, EVER - 1, *spares) == (False, None)
    assert await listed(store) == {kept[name].id for name in left}


@pytest.mark.parametrize(
    ("metadata", "is_pinned"),
    [
        ({"pinned": True, "note": "\u0000 \\u0000 \\"}, True),
        ({"note": '"pinned":true', "deep": {"pinned": True}}, False),
        ({"pinned": "true"}, False),
        ({"pinned": 1}, False),
        ({"pinned": [True]}, False),
        ({"pinned": None}, False),
        ({"pinned": False}, False),
        ({"Pinned": True}, False),
    ],
)
async def test_only_what_is_true_pins(backend: Backend, metadata: dict[str, Any], is_pinned: bool) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = await keep(store, metadata=metadata)
    await backend.expire(user_id, EVER - 1, "pinned")
    assert await listed(store) == ({kept.id} if is_pinned else set())


async def test_a_conversation_that_is_no_longer_pinned_expires(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = await keep(store, metadata=PINNED)
    await store.update_conversation(kept.id, edit(metadata={"pinned": None}))
    await backend.expire(user_id, EVER - 1, "pinned")
    assert await listed(store) == set()


async def test_what_expires_goes_in_parts(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    await import_old(backend, user_id, DELETED_MAX + 1)
    assert (await backend.expire(user_id, EVER - 1))[0]
    assert len(await listed(store)) == 1
    assert await backend.expire(user_id, EVER - 1) == (False, None)


async def test_an_append_at_the_same_time_is_kept_or_finds_no_conversation(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = [await keep(store) for _ in range(10)]
    new = await later(store)

    async def append(conversation_id: str) -> bool:
        try:
            await store.append_messages(conversation_id, [message()])
        except NotFound:
            return False
        return True

    outcomes = await asyncio.gather(
        *(append(row.id) for row in kept[:5]),
        backend.expire(user_id, new.updated_at),
        *(append(row.id) for row in kept[5:]),
        backend.expire(user_id, new.updated_at),
    )
    appended = [outcome for outcome in outcomes if isinstance(outcome, bool)]
    assert await listed(store) == {row.id for row, was in zip(kept, appended, strict=True) if was} | {new.id}
    for row, was in zip(kept, appended, strict=True):
        if was:
            assert len((await store.list_messages(row.id)).messages) == 2


async def test_what_has_expired_is_purged_like_anything_deleted(backend: Backend) -> None:
    user_id = user()
    store = await backend.store(user_id)
    kept = await keep(store)
    await backend.expire(user_id, EVER - 1)
    await backend.purge(user_id, EVER - 1)
    with pytest.raises(NotFound):
        await store.restore_conversation(kept.id)
    await backend.check(user_id)
    assert await backend.expire(user_id, EVER - 1) == (False, None)
