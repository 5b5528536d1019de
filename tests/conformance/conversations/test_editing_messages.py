"""One message: reading it, and editing its metadata."""

import asyncio
from typing import Any

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, edit, message, message_edit, messages, new_message, plain
from threadkeep.clock import now
from threadkeep.conversations.models import MESSAGE_BYTES_MAX, Message
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound, Stale, TooLarge
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def kept(store: Store, *sent: MessageRecord, **fields: Any) -> tuple[str, list[Message]]:
    """A conversation with these messages, or with one."""
    record = conversation(**fields)
    await store.create_conversation(record)
    await store.append_messages(record.id, list(sent) or [message("Hello")])
    return record.id, await all_messages(store, record.id)


async def test_a_message_is_got_as_it_is_listed(backend: Backend) -> None:
    store = await backend.store()
    sent = [message("one", metadata={"a": 1.50}), message("two", role="developer", parentId=new_id(), tokenCount=3)]
    conversation_id, listed = await kept(store, *sent)
    assert [plain(await store.get_message(conversation_id, each.id)) for each in sent] == plain(listed)
    assert [each.version for each in listed] == [1, 1]


async def test_an_edit_changes_metadata_and_version_and_nothing_else(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (other, before) = await kept(store, message("other"), message("Hello", metadata={"a": 1}))
    around = plain(await store.get_conversation(conversation_id))
    edited = await store.update_message(conversation_id, before.id, message_edit({"vote": "up"}))
    assert plain(edited) == {**plain(before), "metadata": {"a": 1, "vote": "up"}, "version": 2}
    assert plain(await store.get_message(conversation_id, before.id)) == plain(edited)
    assert plain(await all_messages(store, conversation_id)) == [plain(other), plain(edited)]
    assert plain(await store.get_conversation(conversation_id)) == around


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        (None, {"b": 2}, {"b": 2}),
        (None, {"a": {"b": None}}, {"a": {}}),
        (None, None, None),
        ({"a": 1}, None, None),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3, None]}, {"a": [3, None]}),
        ({"a": None}, {"b": 1}, {"a": None, "b": 1}),
        ({'é\n"': 1}, {'é\n"': None, "b": "\u0000"}, {"b": "\u0000"}),
        ({"n": 10**30}, {"m": 1.50}, {"n": 10**30, "m": 1.50}),
        ({}, {}, {}),
    ],
)
async def test_metadata_merges(backend: Backend, target: Any, patch: Any, result: Any) -> None:
    store = await backend.store()
    fields = {} if target is None else {"metadata": target}
    conversation_id, (before,) = await kept(store, message("Hello", **fields))
    edited = await store.update_message(conversation_id, before.id, message_edit(patch))
    assert (plain(edited.metadata), edited.version) == (result, 2)


async def test_names_in_metadata_are_the_same_however_they_are_written(backend: Backend) -> None:
    store = await backend.store()
    written = new_message(id=new_id())
    written.metadata = type(written.content)(b' { "\\u0061" : "\\u00e9" , "b": 1, "b": 2 } ')
    record = conversation(written)
    await store.create_conversation(record)
    edited = await store.update_message(record.id, str(written.id), message_edit({"a": None, "b": None, "c": 1.0}))
    assert bytes(edited.metadata) == b'{"c":1.0}'


async def test_an_empty_edit_changes_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    since = (await store.changes()).next
    assert plain(await store.update_message(conversation_id, before.id, message_edit())) == plain(before)
    assert (await store.changes(since)).messages == []


async def test_what_is_not_there_can_neither_be_got_nor_edited(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    other_id, _ = await kept(store)
    deleted_id, (deleted,) = await kept(store)
    await store.delete_conversation(deleted_id)
    for wrong, wrong_message, says in (
        (conversation_id, new_id(), "There is no message"),
        (other_id, before.id, "There is no message"),
        (new_id(), before.id, "There is no conversation"),
        (deleted_id, deleted.id, "There is no conversation"),
    ):
        for attempt in (
            store.get_message(wrong, wrong_message),
            *(store.update_message(wrong, wrong_message, message_edit(patch)) for patch in ({"a": 1}, None)),
            store.update_message(wrong, wrong_message, message_edit({"a": 1}), expected_version=1),
            store.update_message(wrong, wrong_message, message_edit()),
        ):
            with pytest.raises(NotFound, match=says):
                await attempt
    assert (await store.get_message(conversation_id, before.id)).version == 1
    await store.restore_conversation(deleted_id)
    assert plain(await store.get_message(deleted_id, deleted.id)) == plain(deleted)


@pytest.mark.parametrize("expected", [0, 1, 3, 10**15 - 1])
async def test_an_edit_of_another_version_is_stale_and_shows_the_message_there_is(
    backend: Backend, expected: int
) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    now_there = await store.update_message(conversation_id, before.id, message_edit({"a": 1}))
    for patch in (message_edit({"a": 2}), message_edit(None), message_edit()):
        with pytest.raises(Stale) as caught:
            await store.update_message(conversation_id, before.id, patch, expected_version=expected)
        assert caught.value.details is not None
        assert plain(caught.value.details["message"]) == plain(now_there)
    assert plain(await store.get_message(conversation_id, before.id)) == plain(now_there)
    edited = await store.update_message(conversation_id, before.id, message_edit({"a": 2}), expected_version=2)
    assert (edited.version, plain(edited.metadata)) == (3, {"a": 2})


async def test_of_two_edits_of_one_version_at_once_one_wins(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    results = await asyncio.gather(
        *(
            store.update_message(conversation_id, before.id, message_edit({"by": name}), expected_version=1)
            for name in "ABCD"
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Message", "Stale", "Stale", "Stale"]


async def test_edits_of_different_metadata_at_once_are_all_kept(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store, message("Hello", metadata={"first": 1.50}))
    edits = [message_edit({f"key {number}": {"of": number}}) for number in range(8)]
    await asyncio.gather(*(store.update_message(conversation_id, before.id, each) for each in edits))
    edited = await store.get_message(conversation_id, before.id)
    assert plain(edited.metadata) == {"first": 1.50, **{f"key {number}": {"of": number} for number in range(8)}}
    assert edited.version == 9


async def test_an_edit_and_appends_at_once_are_all_kept(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    await asyncio.gather(
        *(store.append_messages(conversation_id, messages(2)) for _ in range(3)),
        store.update_message(conversation_id, before.id, message_edit({"a": 1})),
        store.update_conversation(conversation_id, edit(title="T"), expected_version=1),
    )
    listed = await all_messages(store, conversation_id)
    assert [each.seq for each in listed] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.version for each in listed] == [2, 1, 1, 1, 1, 1, 1]


async def test_the_last_edit_wins_by_the_time_it_was_made(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    time = now()

    async def edited(by: str, edited_at: int | None, expected: int | None = None) -> tuple[Any, int]:
        changes = message_edit({"by": by}, edited_at)
        message = await store.update_message(conversation_id, before.id, changes, expected_version=expected)
        return plain(message.metadata)["by"], message.version

    assert await edited("later", time - 1_000) == ("later", 2)
    assert await edited("earlier", time - 2_000) == ("later", 2)
    assert await edited("as late", time - 1_000) == ("as late", 3)
    assert await edited("of the version", time - 3_000, expected=3) == ("of the version", 4)
    assert await edited("earlier still", time - 2_000) == ("of the version", 4)
    assert await edited("by arrival", None) == ("by arrival", 5)
    assert await edited("ahead", now() + 3_600_000) == ("ahead", 6)
    await asyncio.sleep(0.005)
    assert await edited("after", None) == ("after", 7)


async def test_an_edit_that_loses_changes_nothing_and_is_not_measured(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store, message("Hello", metadata={"a": "x" * 10_000}))
    won = await store.update_message(conversation_id, before.id, message_edit({"b": 1}, edited_at=5))
    since = (await store.changes()).next
    lost = await store.update_message(conversation_id, before.id, message_edit({"c": "x" * 10_000}, edited_at=4))
    assert plain(lost) == plain(won)
    assert (await store.changes(since)).messages == []


async def test_metadata_that_would_grow_too_large_is_refused_and_stays(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store, message("Hello", metadata={"a": "x" * 10_000}))
    with pytest.raises(TooLarge, match="Metadata may have 16384 bytes") as caught:
        await store.update_message(conversation_id, before.id, message_edit({"b": "ü" * 4_000}))
    assert caught.value.details == {"path": "metadata"}
    assert plain(await store.get_message(conversation_id, before.id)) == plain(before)
    replaced = await store.update_message(conversation_id, before.id, message_edit({"a": None, "b": "ü" * 4_000}))
    assert plain(replaced.metadata) == {"b": "ü" * 4_000}


async def test_a_message_that_would_grow_too_large_is_refused_and_stays(backend: Backend) -> None:
    store = await backend.store()
    text = "x" * (MESSAGE_BYTES_MAX - len('[{"type":"text","text":""}]') - len('{"a":1}'))
    conversation_id, (before,) = await kept(store, message(text, metadata={"a": 1}))
    with pytest.raises(TooLarge, match="1500000 bytes as JSON; this one has 1500001") as caught:
        await store.update_message(conversation_id, before.id, message_edit({"a": 10}))
    assert caught.value.details == {"path": "metadata"}
    assert (await store.get_message(conversation_id, before.id)).version == 1
    await store.update_message(conversation_id, before.id, message_edit({"a": 2}))
    await store.update_message(conversation_id, before.id, message_edit(None))
    edited = await store.update_message(conversation_id, before.id, message_edit({"b": 3}))
    assert (plain(edited.metadata), edited.version, edited.content) == ({"b": 3}, 4, before.content)


async def test_pages_are_cut_by_what_metadata_has_become(backend: Backend) -> None:
    store = await backend.store()
    # Sixty messages of 16,000 bytes are a page of under 1,000,000; with their metadata, they are more.
    conversation_id, listed = await kept(store, *(message("x" * 15_000) for _ in range(60)))
    assert len((await store.list_messages(conversation_id, limit=200)).messages) == 60
    for each in listed:
        await store.update_message(conversation_id, each.id, message_edit({"a": "x" * 15_000}))
    assert len((await store.list_messages(conversation_id, limit=200)).messages) == 33
    for each in listed:
        await store.update_message(conversation_id, each.id, message_edit(None))
    assert len((await store.list_messages(conversation_id, limit=200)).messages) == 60


async def test_an_edited_message_comes_again_in_the_changes(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (first, _) = await kept(store, *messages(2))
    since = (await store.changes()).next
    edited = await store.update_message(conversation_id, first.id, message_edit({"vote": "up"}))
    changes = await store.changes(since)
    assert (changes.conversations, plain(changes.messages)) == ([], [plain(edited)])
    assert (await store.changes(changes.next)).messages == []
    everything = await store.changes("0")
    assert [(each.seq, each.version) for each in everything.messages] == [(2, 1), (1, 2)]


async def test_the_original_sent_again_is_a_repeat_and_undoes_nothing(backend: Backend) -> None:
    store = await backend.store()
    sent = new_message("Hello", metadata={"a": 1})
    record = conversation(sent, new_message("Hi", role="assistant"))
    await store.create_conversation(record)
    edited = await store.update_message(record.id, str(sent.id), message_edit({"a": 2, "vote": "up"}))
    _, is_new = await store.create_conversation(record)
    assert not is_new
    appended, is_new = await store.append_messages(record.id, record.messages)
    assert ([each.seq for each in appended.messages], is_new) == ([1, 2], False)
    appended, is_new = await store.put_conversation(conversation(sent, new_message("more"), id=record.id))
    assert ([each.seq for each in appended.messages], is_new) == ([1, 3], False)
    assert plain(await store.get_message(record.id, str(sent.id))) == plain(edited)
    with pytest.raises(Conflict) as caught:
        await store.append_messages(record.id, [message("other", id=sent.id)])
    assert caught.value.details == {"ids": [sent.id]}


async def test_an_edited_message_is_found_and_goes_with_its_conversation(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, (before,) = await kept(store)
    edited = await store.update_message(conversation_id, before.id, message_edit({"a": "secret"}))
    await store.delete_conversation(conversation_id)
    with pytest.raises(NotFound):
        await store.get_message(conversation_id, before.id)
    since = (await store.changes()).next
    await store.restore_conversation(conversation_id)
    assert plain((await store.changes(since)).messages) == [plain(edited)]
    await store.erase()
    with pytest.raises(NotFound):
        await store.get_message(conversation_id, before.id)
