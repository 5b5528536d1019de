"""Following the changes, as another device does to stay in step."""

import asyncio
import random

import pytest

from support.backends import Backend
from support.examples import examples
from support.records import conversation, edit, message, messages, new_message, plain
from support.replica import Replica, everything_in
from threadkeep.conversations.models import Conversation, Tombstone
from threadkeep.conversations.store import Store
from threadkeep.errors import CursorExpired, Invalid, NotFound

pytestmark = pytest.mark.anyio


async def conversation_of(store: Store, count: int) -> str:
    record = conversation(*(new_message(f"message {number}") for number in range(count)))
    await store.create_conversation(record)
    return record.id


async def test_from_the_beginning_everything_comes(backend: Backend) -> None:
    store = await backend.store()
    ids = [await conversation_of(store, 3), await conversation_of(store, 0)]
    changes = await store.changes("0")
    assert [row.id for row in changes.conversations] == ids
    assert [(row.conversation_id, row.seq) for row in changes.messages] == [(ids[0], 1), (ids[0], 2), (ids[0], 3)]
    assert plain(changes.conversations[0]) == plain(await store.get_conversation(ids[0]))
    assert plain(changes.messages) == plain((await store.list_messages(ids[0])).messages)
    assert not changes.has_more
    again = await store.changes(changes.next)
    assert (again.conversations, again.messages, again.has_more) == ([], [], False)


async def test_without_a_cursor_only_the_current_one_comes(backend: Backend) -> None:
    store = await backend.store()
    await conversation_of(store, 3)
    now = await store.changes()
    assert (now.conversations, now.messages, now.has_more) == ([], [], False)
    later = await conversation_of(store, 1)
    changes = await store.changes(now.next)
    assert [row.id for row in changes.conversations] == [later]
    assert len(changes.messages) == 1


async def test_who_has_nothing_can_begin_to_follow(backend: Backend) -> None:
    store = await backend.store()
    cursors = [(await store.changes(since)).next for since in (None, "0")]
    conversation_id = await conversation_of(store, 1)
    for cursor in cursors:
        assert [row.id for row in (await store.changes(cursor)).conversations] == [conversation_id]


async def test_an_append_brings_its_messages_and_the_conversation_as_it_is_now(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 2)
    cursor = (await store.changes()).next
    for _ in range(2):
        await store.append_messages(conversation_id, messages(2))
    changes = await store.changes(cursor)
    (kept,) = changes.conversations
    assert isinstance(kept, Conversation)
    assert kept.message_count == 6
    assert [row.seq for row in changes.messages] == [3, 4, 5, 6]


async def test_an_edit_brings_the_conversation_alone(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 2)
    cursor = (await store.changes()).next
    edited = await store.update_conversation(conversation_id, edit(title="T", is_archived=True))
    changes = await store.changes(cursor)
    assert plain(changes.conversations) == [plain(edited)]
    assert changes.messages == []


async def test_a_delete_brings_a_tombstone_and_a_restore_brings_everything_back(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 2)
    cursor = (await store.changes()).next
    await store.delete_conversation(conversation_id)
    deleted = await store.changes(cursor)
    (tombstone,) = deleted.conversations
    assert isinstance(tombstone, Tombstone)
    assert set(plain(tombstone)) == {"id", "deletedAt"}
    assert tombstone.id == conversation_id
    assert deleted.messages == []
    from_the_beginning = await store.changes("0")
    assert plain(from_the_beginning.conversations) == [plain(tombstone)]
    assert from_the_beginning.messages == []
    await store.restore_conversation(conversation_id)
    restored = await store.changes(deleted.next)
    assert [row.id for row in restored.conversations] == [conversation_id]
    assert [row.seq for row in restored.messages] == [1, 2]


async def test_what_changed_nothing_is_no_change(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("a"))
    sent = [message("b")]
    await store.create_conversation(record)
    await store.append_messages(record.id, sent)
    cursor = (await store.changes()).next
    await store.create_conversation(record)
    await store.append_messages(record.id, sent)
    await store.update_conversation(record.id, edit())
    await store.restore_conversation(record.id)
    assert (await store.changes(cursor)).next == cursor


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
async def test_pages_leave_nothing_out_and_repeat_nothing(backend: Backend, limit: int) -> None:
    store = await backend.store()
    for count in (0, 5, 1, 3):
        await conversation_of(store, count)
    cursor, seen, pages = "0", [], 0
    while True:
        changes = await store.changes(cursor, limit=limit)
        rows = [*changes.conversations, *changes.messages]
        assert len(rows) <= limit
        seen += [row.id for row in rows]
        assert changes.next != cursor
        cursor = changes.next
        pages += 1
        if not changes.has_more:
            break
    assert len(seen) == len(set(seen)) == 13
    assert pages <= 13 // limit + 1


async def test_a_thousand_rows_of_one_write_page_safely(backend: Backend) -> None:
    store = await backend.store()
    await conversation_of(store, 1000)
    replica = Replica()
    assert await replica.follow(store, limit=300) == 4
    replica.assert_equals(*await everything_in(store))


async def test_large_messages_make_short_pages(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 0)
    for _ in range(4):
        await store.append_messages(conversation_id, [message("x" * 1_400_000)])
    replica = Replica()
    assert await replica.follow(store, limit=500) >= 4
    assert len(replica.messages) == 4


async def test_the_first_page_of_a_list_carries_a_cursor_that_reveals_what_moves_meanwhile(backend: Backend) -> None:
    store = await backend.store()
    ids = [await conversation_of(store, 1) for _ in range(4)]
    await asyncio.sleep(0.002)
    first = await store.list_conversations(limit=2)
    await store.append_messages(ids[0], messages(1))
    second = await store.list_conversations(limit=2, cursor=first.next_cursor)
    assert "changes" in plain(first)
    assert "changes" not in plain(second)
    assert isinstance(first.changes, str)
    missed = await store.changes(first.changes)
    assert [row.id for row in missed.conversations] == [ids[0]]


async def test_a_cursor_of_somebody_else_or_of_the_future_has_expired(backend: Backend) -> None:
    alice, bob = await backend.store(), await backend.store()
    await conversation_of(alice, 1)
    await conversation_of(bob, 1)
    with pytest.raises(CursorExpired):
        await bob.changes((await alice.changes()).next)


@pytest.mark.parametrize("since", ["", "1", "garbage", "W10", "é", "\x00", "0" * 500, "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
async def test_a_text_that_is_no_cursor_is_invalid(backend: Backend, since: str) -> None:
    store = await backend.store()
    for cursor in (since, (await store.list_conversations()).next_cursor or since):
        with pytest.raises(Invalid) as caught:
            await store.changes(cursor)
        assert caught.value.path == "since"


@pytest.mark.parametrize("limit", [1, 500])
async def test_a_device_that_only_follows_changes_holds_what_the_server_holds(backend: Backend, limit: int) -> None:
    store = await backend.store()
    chance = random.Random(limit)
    ids = [await conversation_of(store, 2) for _ in range(5)]
    replica = Replica()

    async def write(times: int) -> None:
        for _ in range(times):
            conversation_id = chance.choice(ids)
            action = chance.choice(["append", "rename", "archive", "delete", "restore", "create"])
            try:
                if action == "append":
                    await store.append_messages(conversation_id, messages(chance.randint(1, 3)))
                elif action == "rename":
                    await store.update_conversation(conversation_id, edit(title=f"T{chance.random()}"))
                elif action == "archive":
                    await store.update_conversation(conversation_id, edit(is_archived=chance.random() < 0.5))
                elif action == "delete":
                    await store.delete_conversation(conversation_id)
                elif action == "restore":
                    await store.restore_conversation(conversation_id)
                else:
                    await conversation_of(store, 1)
            except NotFound:  # another has deleted it
                await store.restore_conversation(conversation_id)

    for _ in range(max(2, examples(4)) if backend.is_worker else 4):
        # Three write while the device reads; and once they rest, it is in step.
        await asyncio.gather(write(10), write(10), write(10), replica.follow(store, limit))
        await replica.follow(store, limit)
        replica.assert_equals(*await everything_in(store))
