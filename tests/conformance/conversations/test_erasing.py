"""Erasing a user, and purging what was deleted long ago: gone for that user, and for nobody else."""

from typing import Any

import pytest

from support.backends import Backend
from support.records import conversation, edit, message, message_records, messages, new_message, plain
from support.replica import Replica, everything_in
from threadkeep.conversations.models import Tombstone
from threadkeep.conversations.records import ConversationRecord, SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, CursorExpired, Invalid, NotFound

pytestmark = pytest.mark.anyio


async def erase(backend: Backend, store: Store) -> Any:
    erased = plain(await store.erase())
    await backend.sweep(store)
    return {"conversations": erased["conversations"], "messages": erased["messages"]}


async def keep(store: Store, *texts: str, **fields: Any) -> ConversationRecord:
    record = conversation(*(new_message(text) for text in texts), **fields)
    await store.create_conversation(record)
    return record


async def deleted_at(store: Store, conversation_id: str) -> int:
    """Delete a conversation, and answer when that was."""
    since = (await store.changes()).next
    await store.delete_conversation(conversation_id)
    (tombstone,) = (await store.changes(since)).conversations
    assert isinstance(tombstone, Tombstone)
    return tombstone.deleted_at


async def assert_nothing_is_left(store: Store, record: ConversationRecord) -> None:
    with pytest.raises(NotFound):
        await store.get_conversation(record.id)
    with pytest.raises(NotFound):
        await store.list_messages(record.id)
    with pytest.raises(NotFound):
        await store.append_messages(record.id, [message()])
    with pytest.raises(NotFound):
        await store.update_conversation(record.id, edit(title="Again"))
    with pytest.raises(NotFound):
        await store.restore_conversation(record.id)
    with pytest.raises(NotFound):
        await store.delete_conversation(record.id)
    with pytest.raises(Invalid):
        await store.list_conversations(cursor=record.id)
    for archived in (False, True):
        assert record.id not in {row.id for row in (await store.list_conversations(is_archived=archived)).conversations}
    changes = await store.changes("0", limit=500)
    assert record.id not in {row.id for row in changes.conversations}
    assert record.id not in {row.conversation_id for row in changes.messages}


async def test_after_an_erasure_nothing_is_left(backend: Backend) -> None:
    store = await backend.store()
    record = await keep(store, "an aardvark", "a badger", title="Armadillo", metadata={"a": 1})
    gone = await keep(store, "a capybara")
    await store.delete_conversation(gone.id)
    archived = await keep(store)
    await store.update_conversation(archived.id, edit(is_archived=True))
    assert await erase(backend, store) == {"conversations": 3, "messages": 3}
    for kept in (record, gone, archived):
        await assert_nothing_is_left(store, kept)
    for word in ("aardvark", "badger", "armadillo", "capybara"):
        assert (await store.search(SearchQuery(text=word))).hits == []
    assert await everything_in(store) == ({}, {})
    changes = await store.changes("0")
    assert (changes.conversations, changes.messages, changes.has_more) == ([], [], False)


async def test_erasing_nothing_is_a_receipt_of_nothing(backend: Backend) -> None:
    store = await backend.store()
    assert await erase(backend, store) == {"conversations": 0, "messages": 0}
    await keep(store, "one")
    assert await erase(backend, store) == {"conversations": 1, "messages": 1}
    assert await erase(backend, store) == {"conversations": 0, "messages": 0}


async def test_an_erasure_ends_every_cursor_of_the_changes(backend: Backend) -> None:
    store = await backend.store()
    at_first = (await store.changes()).next
    await keep(store, "one", "two")
    half_way = (await store.changes("0", limit=1)).next
    at_last = (await store.changes()).next
    await erase(backend, store)
    for cursor in (half_way, at_last):
        with pytest.raises(CursorExpired):
            await store.changes(cursor)
    # Nothing had been kept there, so nothing is missed.
    assert (await store.changes(at_first)).conversations == []
    now = (await store.changes()).next
    record = await keep(store, "three")
    assert [row.id for row in (await store.changes(now)).conversations] == [record.id]
    for cursor in (half_way, at_last):
        with pytest.raises(CursorExpired):
            await store.changes(cursor)


async def test_after_an_erasure_ids_are_free(backend: Backend) -> None:
    store = await backend.store()
    record = await keep(store, "one", title="Before")
    await erase(backend, store)
    again = conversation(new_message("two", id=record.messages[0].id), id=record.id, title="After")
    kept, is_new = await store.create_conversation(again)
    assert (is_new, kept.title, kept.message_count, kept.version) == (True, "After", 1, 1)
    assert [plain(row.content)[0]["text"] for row in (await store.list_messages(record.id)).messages] == ["two"]
    assert len((await store.search(SearchQuery(text="two"))).hits) == 1
    assert (await store.search(SearchQuery(text="one"))).hits == []


async def test_an_erasure_leaves_everybody_else_be(backend: Backend) -> None:
    store, other = await backend.store(), await backend.store()
    record = conversation(new_message("an aardvark"), title="Armadillo")
    follower = Replica()
    for owner in (store, other):
        await owner.create_conversation(record)
    await follower.follow(other)
    before = await everything_in(other)
    await erase(backend, store)
    assert await everything_in(other) == before
    await follower.follow(other)  # its cursor is as good as before
    follower.assert_equals(*before)
    assert len((await other.search(SearchQuery(text="aardvark"))).hits) == 1
    assert len((await other.search(SearchQuery(text="armadillo"))).hits) == 1


async def test_what_is_too_much_for_one_part_is_erased_in_several(backend: Backend) -> None:
    store = await backend.store()
    for _ in range(3):
        record = await keep(store)
        await store.append_messages(record.id, messages(600))
    for _ in range(110):
        await keep(store)
    assert await erase(backend, store) == {"conversations": 113, "messages": 1_800}
    assert await everything_in(store) == ({}, {})
    await assert_nothing_is_left(store, record)


async def later_than(time: int, store: Store, conversation_id: str) -> int:
    """Delete a conversation at a later millisecond than this, and answer when that was."""
    while (found := await deleted_at(store, conversation_id)) <= time:
        await store.restore_conversation(conversation_id)
    return found


async def test_what_was_deleted_until_then_is_purged_and_what_was_deleted_later_is_not(backend: Backend) -> None:
    store = await backend.store("border")
    first, second, third = [await keep(store, f"{name} and more") for name in ("aardvark", "badger", "capybara")]
    first_time = await deleted_at(store, first.id)
    second_time = await later_than(first_time, store, second.id)
    assert await backend.purge("border", first_time - 1) == first_time
    await store.restore_conversation(first.id)
    first_time = await deleted_at(store, first.id)
    await store.restore_conversation(second.id)
    second_time = await later_than(first_time, store, second.id)
    assert await backend.purge("border", first_time) == second_time
    await assert_nothing_is_left(store, first)
    await store.restore_conversation(second.id)
    assert [row.seq for row in (await store.list_messages(second.id)).messages] == [1]
    assert await backend.purge("border", await deleted_at(store, second.id)) is None
    await assert_nothing_is_left(store, second)
    found = await store.search(SearchQuery(text="more"))
    assert {hit.conversation.id for hit in found.hits} == {third.id}


async def test_what_is_purged_can_be_kept_anew(backend: Backend) -> None:
    store = await backend.store("anew")
    await keep(store, "stays")
    record = await keep(store, "one", title="Before")
    await backend.purge("anew", await deleted_at(store, record.id))
    again = conversation(new_message("two", id=record.messages[0].id), id=record.id, title="After")
    kept, is_new = await store.create_conversation(again)
    assert (is_new, kept.title, kept.message_count) == (True, "After", 1)


async def test_a_reader_from_before_a_purged_deletion_begins_again_and_others_do_not(backend: Backend) -> None:
    store = await backend.store("readers")
    records = [await keep(store, str(number)) for number in range(4)]
    before, between, after = Replica(), Replica(), Replica()
    await before.follow(store)
    first = await deleted_at(store, records[0].id)
    await between.follow(store)
    await keep(store, "later")
    await after.follow(store)
    await backend.purge("readers", first)
    with pytest.raises(CursorExpired):
        await store.changes(before.cursor)
    for replica in (between, after):
        await replica.follow(store, limit=1)
        replica.assert_equals(*await everything_in(store))
    fresh = Replica()
    await fresh.follow(store, limit=1)
    fresh.assert_equals(*await everything_in(store))


async def test_tombstones_above_the_floor_are_kept(backend: Backend) -> None:
    store = await backend.store("floor")
    first, second = await keep(store), await keep(store)
    time = await deleted_at(store, first.id)
    reader = Replica()
    await reader.follow(store)
    await later_than(time, store, second.id)
    await backend.purge("floor", time)
    assert [row.id for row in (await store.changes(reader.cursor)).conversations] == [second.id]
    assert [row.id for row in (await store.changes("0")).conversations] == [second.id]


async def test_a_reader_in_the_middle_begins_again_when_the_floor_rises_over_it(backend: Backend) -> None:
    store = await backend.store("middle")
    first, _ = await keep(store, "1"), await keep(store, "2")
    page = await store.changes("0", limit=1)
    await backend.purge("middle", await deleted_at(store, first.id))
    with pytest.raises(CursorExpired):
        await store.changes(page.next)


async def test_a_purge_of_everything_leaves_nobody(backend: Backend) -> None:
    store = await backend.store("nobody")
    record = await keep(store, "one")
    time = await deleted_at(store, record.id)
    cursor = (await store.changes()).next
    await backend.purge("nobody", time)
    with pytest.raises(CursorExpired):
        await store.changes(cursor)
    assert (await store.changes("0")).conversations == []


async def test_a_purge_with_nothing_to_do_changes_nothing(backend: Backend) -> None:
    store = await backend.store("idle")
    assert await backend.purge("idle", 2**52) is None
    await keep(store, "one")
    cursor = (await store.changes()).next
    before = await everything_in(store)
    assert await backend.purge("idle", 2**52) is None
    assert await everything_in(store) == before
    assert (await store.changes(cursor)).conversations == []


async def test_what_is_purged_is_gone_before_it_is_swept(backend: Backend) -> None:
    store = await backend.store("unswept")
    stays = await keep(store, "stays")
    record = await keep(store, *["an aardvark"] * 3, title="Armadillo")
    await backend.purge("unswept", await deleted_at(store, record.id), parts=0)
    await assert_nothing_is_left(store, record)
    await backend.purge("unswept", 0, parts=1)  # overwritten, and not removed
    await assert_nothing_is_left(store, record)
    for word in ("aardvark", "armadillo"):
        assert (await store.search(SearchQuery(text=word))).hits == []
    assert list((await everything_in(store))[0]) == [stays.id]
    await backend.purge("unswept", 0)
    await assert_nothing_is_left(store, record)
    assert list((await everything_in(store))[0]) == [stays.id]
    await store.create_conversation(record)


async def test_ids_are_taken_until_what_had_them_is_swept(backend: Backend) -> None:
    if backend.name == "memory":
        return  # there is nothing to sweep
    store = await backend.store("taken")
    record = await keep(store, "one")
    await backend.purge("taken", await deleted_at(store, record.id), parts=0)
    with pytest.raises(Conflict, match=r"is being removed for good.* Try again later, or"):
        await store.create_conversation(record)
    elsewhere = await keep(store)
    with pytest.raises(Conflict):
        await store.append_messages(elsewhere.id, message_records([new_message("two", id=record.messages[0].id)]))
    await backend.purge("taken", 0)
    await store.append_messages(elsewhere.id, message_records([new_message("two", id=record.messages[0].id)]))
    await store.create_conversation(conversation(id=record.id))
