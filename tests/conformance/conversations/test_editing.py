"""Editing, deleting and restoring a conversation."""

import asyncio
from typing import Any

import pytest

from support.backends import Backend
from support.records import conversation, edit, message, messages, new_message, plain
from threadkeep.clock import now
from threadkeep.conversations.store import Store
from threadkeep.errors import NotFound, Stale, TooLarge
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def conversation_in(store: Store, **fields: Any) -> str:
    record = conversation(**fields)
    await store.create_conversation(record)
    return record.id


async def test_an_edit_changes_what_it_names_and_counts_as_a_version(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, model="m", metadata={"a": 1})
    before = plain(await store.get_conversation(conversation_id))
    after = plain(await store.update_conversation(conversation_id, edit(title="New", is_archived=True)))
    assert after == {**before, "title": "New", "titleSource": "user", "isArchived": True, "version": 2}
    assert plain(await store.get_conversation(conversation_id)) == after


async def test_null_clears(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, title="T", model="m", metadata={"a": 1})
    await store.update_conversation(conversation_id, edit(is_archived=True))
    cleared = await store.update_conversation(
        conversation_id, edit(title=None, model=None, metadata=None, is_archived=None)
    )
    assert (cleared.title, cleared.title_source) == ("New conversation", "default")
    assert (cleared.model, plain(cleared.metadata), cleared.is_archived) == (None, {}, False)
    appended, _ = await store.append_messages(conversation_id, [message("Words")])
    assert appended.conversation.title == "Words"


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3, None]}, {"a": [3, None]}),
        ({"a": "text"}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": None}, {"b": 1}, {"a": None, "b": 1}),
        ({'é\n"': 1}, {'é\n"': None, "b": "\u0000"}, {"b": "\u0000"}),
        ({"": 1, "$": 2, "a.b": 3}, {"": None, "$": 5, "a": {"b": 6}}, {"$": 5, "a.b": 3, "a": {"b": 6}}),
        ({}, {}, {}),
    ],
)
async def test_metadata_merges(backend: Backend, target: object, patch: object, result: object) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, metadata=target)
    merged = await store.update_conversation(conversation_id, edit(metadata=patch))
    assert plain(merged.metadata) == result


async def test_metadata_that_would_grow_too_large_is_refused_and_stays(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, metadata={"a": "x" * 10_000})
    with pytest.raises(TooLarge) as caught:
        await store.update_conversation(conversation_id, edit(title="T", metadata={"b": "ü" * 4_000}))
    assert caught.value.details == {"path": "metadata"}
    kept = await store.get_conversation(conversation_id)
    assert (kept.version, kept.title, plain(kept.metadata)) == (1, "New conversation", {"a": "x" * 10_000})
    replaced = await store.update_conversation(conversation_id, edit(metadata={"a": None, "b": "ü" * 4_000}))
    assert plain(replaced.metadata) == {"b": "ü" * 4_000}


async def test_metadata_that_does_not_apply_is_not_measured(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, metadata={"a": "x" * 10_000})
    await store.update_conversation(conversation_id, edit(metadata={"b": 1}, edited_at=5))
    late = await store.update_conversation(conversation_id, edit(title="T", metadata={"c": "x" * 10_000}, edited_at=4))
    assert (late.title, plain(late.metadata)) == ("T", {"a": "x" * 10_000, "b": 1})


async def test_an_empty_edit_changes_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, title="T")
    before = plain(await store.get_conversation(conversation_id))
    assert plain(await store.update_conversation(conversation_id, edit())) == before


async def test_an_edit_does_not_move_updated_at(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    before = await store.get_conversation(conversation_id)
    await asyncio.sleep(0.005)
    assert (await store.update_conversation(conversation_id, edit(title="T"))).updated_at == before.updated_at


async def test_an_edit_of_the_expected_version_goes_through_though_somebody_appends(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    await store.append_messages(conversation_id, messages(2))
    edited = await store.update_conversation(conversation_id, edit(title="T"), expected_version=1)
    assert (edited.title, edited.version) == ("T", 2)


@pytest.mark.parametrize("expected", [0, 1, 3, 10**15 - 1])
async def test_an_edit_of_another_version_is_stale_and_shows_the_one_there_is(backend: Backend, expected: int) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    now_there = await store.update_conversation(conversation_id, edit(title="A"))
    with pytest.raises(Stale) as caught:
        await store.update_conversation(conversation_id, edit(title="B"), expected_version=expected)
    assert caught.value.details is not None
    assert plain(caught.value.details["conversation"]) == plain(now_there)
    assert plain(await store.get_conversation(conversation_id)) == plain(now_there)


async def test_of_two_edits_of_one_version_at_once_one_wins(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    results = await asyncio.gather(
        *(store.update_conversation(conversation_id, edit(title=title), expected_version=1) for title in "ABCD"),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Conversation", "Stale", "Stale", "Stale"]


async def test_the_last_edit_of_each_field_wins_by_the_time_it_was_made(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    time = now()
    await store.update_conversation(conversation_id, edit(title="later", edited_at=time - 1_000))
    late = await store.update_conversation(
        conversation_id, edit(title="earlier", model="m", metadata={"a": 1}, edited_at=time - 2_000)
    )
    assert (late.title, late.model, plain(late.metadata), late.version) == ("later", "m", {"a": 1}, 3)
    lost = await store.update_conversation(conversation_id, edit(title="earliest", edited_at=time - 3_000))
    assert (lost.title, lost.version) == ("later", 3)


async def test_an_edit_that_loses_in_one_field_does_not_open_it_to_others(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    await store.update_conversation(conversation_id, edit(title="at 3", edited_at=3))
    await store.update_conversation(conversation_id, edit(title="at 1", model="m", edited_at=1))
    kept = await store.update_conversation(conversation_id, edit(title="at 2", model="n", edited_at=2))
    assert (kept.title, kept.model) == ("at 3", "n")


async def test_an_edit_made_before_the_server_saw_the_conversation_still_counts(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store, title="as created")
    edited = await store.update_conversation(conversation_id, edit(title="renamed offline", edited_at=1_000))
    assert edited.title == "renamed offline"


async def test_an_edit_from_a_clock_that_is_ahead_counts_as_now(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    await store.update_conversation(conversation_id, edit(title="ahead", edited_at=now() + 3_600_000))
    await asyncio.sleep(0.005)
    assert (await store.update_conversation(conversation_id, edit(title="after"))).title == "after"


async def test_an_edit_of_the_expected_version_wins_over_any_time(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    await store.update_conversation(conversation_id, edit(title="A"))
    edited = await store.update_conversation(conversation_id, edit(title="B", edited_at=1_000), expected_version=2)
    assert (edited.title, edited.version) == ("B", 3)


async def test_a_deleted_conversation_is_gone_and_comes_back_whole(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("Hi"), new_message("Hello", role="assistant"), metadata={"a": 1})
    created, _ = await store.create_conversation(record)
    before = plain(await store.list_messages(record.id))
    await store.delete_conversation(record.id)
    with pytest.raises(NotFound):
        await store.get_conversation(record.id)
    with pytest.raises(NotFound):
        await store.update_conversation(record.id, edit(title="T"))
    assert (await store.list_conversations()).conversations == []
    assert (await store.list_conversations(is_archived=True)).conversations == []
    restored = await store.restore_conversation(record.id)
    assert plain(restored) == {**plain(created), "version": 3}
    assert plain(await store.list_messages(record.id)) == before


async def test_deleting_another_version_than_the_one_seen_is_stale_and_deletes_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    renamed = await store.update_conversation(conversation_id, edit(title="renamed since"))
    with pytest.raises(Stale) as caught:
        await store.delete_conversation(conversation_id, expected_version=1)
    assert caught.value.details is not None
    assert plain(caught.value.details["conversation"]) == plain(renamed)
    assert plain(await store.get_conversation(conversation_id)) == plain(renamed)
    for _ in range(2):
        await store.delete_conversation(conversation_id, expected_version=2)
    with pytest.raises(NotFound):
        await store.get_conversation(conversation_id)


async def test_deleting_and_restoring_again_changes_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_in(store)
    for _ in range(2):
        await store.delete_conversation(conversation_id)
    for _ in range(2):
        assert (await store.restore_conversation(conversation_id)).version == 3


async def test_what_never_was_cannot_be_got_edited_deleted_or_restored(backend: Backend) -> None:
    store = await backend.store()
    missing = new_id()
    for attempt in (
        store.get_conversation(missing),
        store.update_conversation(missing, edit(title="T")),
        store.update_conversation(missing, edit(title="T"), expected_version=1),
        store.delete_conversation(missing),
        store.restore_conversation(missing),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_edits_of_different_metadata_at_once_are_all_kept(backend: Backend) -> None:
    store = await backend.store()
    created, _ = await store.create_conversation(conversation(metadata={"first": 1.50}))
    edits = [edit(metadata={f"key {number}": {"of": number}}) for number in range(8)]
    await asyncio.gather(*(store.update_conversation(created.id, each) for each in edits))
    kept = await store.get_conversation(created.id)
    assert plain(kept.metadata) == {"first": 1.50, **{f"key {number}": {"of": number} for number in range(8)}}
    assert kept.version == 9
