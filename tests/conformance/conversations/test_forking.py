"""Forking to a new conversation: the path up to a message, copied in one piece, on every back end."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from support.backends import Backend
from support.records import all_messages, conversation, edit, message, message_edit, message_records, new_message, plain
from threadkeep.conversations.forking import fork_conversation
from threadkeep.conversations.models import Conversation, NewFork
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def begun(store: Store, *texts: str, **fields: Any) -> tuple[str, list[str]]:
    """A conversation with these messages, one after the other, and their ids."""
    sent = [new_message(text, id=new_id()) for text in texts]
    record = conversation(*sent, **fields)
    await store.create_conversation(record)
    return record.id, [str(each.id) for each in sent]


async def fork(store: Store, conversation_id: str, message_id: str | None = None, **fields: Any) -> Conversation:
    forked, is_new = await fork_conversation(store, conversation_id, NewFork(message_id=message_id, **fields))
    assert is_new
    return forked


async def texts(store: Store, conversation_id: str) -> list[str]:
    return [plain(each.content)[0]["text"] for each in await all_messages(store, conversation_id)]


async def found(store: Store, text: str) -> list[tuple[str, int | None]]:
    """The conversation, and the place in it, of each hit."""
    hits = (await store.search(SearchQuery(text=text))).hits
    return sorted((hit.conversation.id, hit.message.seq if hit.message else None) for hit in hits)


async def test_a_fork_is_the_path_up_to_a_message_with_all_that_was_said_of_it(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "question", "answer", title="A title", model="m", metadata={"a": 1})
    sent = message("again", id=new_id(), siblingOf=ids[1], role="assistant", model="n", tokenCount=3, metadata={"b": 1})
    developer = message("for developers", id=new_id(), role="developer")
    await store.append_messages(id_, [sent, developer])
    await store.append_messages(id_, [message("not in it")])
    await store.update_message(id_, sent.id, message_edit({"vote": "up"}))
    await store.update_conversation(id_, edit(is_archived=True))
    original, messages = await store.get_conversation(id_), await all_messages(store, id_)

    forked = await fork(store, id_, developer.id)
    assert plain(forked) == {
        **plain(original),
        "id": forked.id,
        "messageCount": 3,
        "isArchived": False,
        "version": 1,
        "createdAt": forked.created_at,
        "updatedAt": forked.created_at,
        "leafId": forked.leaf_id,
        "forkedFrom": {"conversationId": id_, "messageId": developer.id, "seq": 4, "at": forked.created_at},
    }
    copies = await all_messages(store, forked.id)
    assert forked.leaf_id == copies[-1].id
    assert not {each.id for each in copies} & {each.id for each in messages}
    expected = [messages[0], messages[2], messages[3]]
    assert [plain(each) for each in copies] == [
        {
            **plain(before),
            "id": copy.id,
            "conversationId": forked.id,
            "seq": seq,
            "follows": seq - 1,
            "version": 1,
        }
        for seq, (copy, before) in enumerate(zip(copies, expected, strict=True), start=1)
    ]
    assert plain(await store.get_conversation(id_)) == plain(original)
    assert plain(await all_messages(store, id_)) == plain(messages)
    assert plain(await store.get_conversation(forked.id)) == plain(forked)
    assert plain((await store.list_conversations()).conversations) == [plain(forked)]


async def test_without_a_message_the_active_path_is_forked(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "one", "two", "three")
    await store.select_leaf(id_, ids[1], descend=False)
    forked = await fork(store, id_, title="Forked")
    assert await texts(store, forked.id) == ["one", "two"]
    assert (forked.title, forked.title_source) == ("Forked", "user")
    assert forked.forked_from is not None
    assert forked.forked_from.message_id == ids[1]
    again = await fork(store, forked.id)
    assert again.forked_from is not None
    assert again.forked_from.conversation_id == forked.id


async def test_a_fork_is_found_by_its_words_as_if_it_had_been_appended(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "an aardvark", "a bittern", "a heron", title="Animals")
    forked = await fork(store, id_, ids[1])
    assert await found(store, "aardvark") == sorted([(id_, 1), (forked.id, 1)])
    assert await found(store, "bittern") == sorted([(id_, 2), (forked.id, 2)])
    assert await found(store, "heron") == [(id_, 3)]
    assert await found(store, "animals") == sorted([(id_, None), (forked.id, None)], key=str)
    named = await fork(store, id_, ids[0], title="Zoology")
    assert await found(store, "zoology") == [(named.id, None)]
    assert await found(store, "animals") == sorted([(id_, None), (forked.id, None)], key=str)
    untitled, _ = await begun(store)
    await store.append_messages(untitled, [message("a wagtail", role="assistant")])
    plainly = await fork(store, untitled)
    assert plainly.title_source == "default"
    assert await found(store, "wagtail") == sorted([(untitled, 1), (plainly.id, 1)])
    await store.append_messages(plainly.id, [message("a title")])
    assert (await store.get_conversation(plainly.id)).title == "a title"


async def test_the_same_fork_again_is_the_same_conversation(backend: Backend) -> None:
    stores = [await backend.store("ada"), await backend.store("ada")]
    id_, ids = await begun(stores[0], "one", "two")
    new = NewFork(id=new_id(), message_id=ids[1])
    both = await asyncio.gather(*(fork_conversation(store, id_, new) for store in stores))
    assert sorted(is_new for _, is_new in both) == [False, True]
    assert plain(both[0][0]) == plain(both[1][0])
    for other in (
        replace(new, message_id=ids[0]),
        replace(new, message_id=None),
        replace(new, title="Another"),
        replace(new, id=id_),
    ):
        with pytest.raises(Conflict) as taken:
            await fork_conversation(stores[0], id_, other)
        assert taken.value.details == {"reason": "exists"}
    await stores[0].append_messages(str(new.id), [message("three")])
    await stores[0].delete_conversation(id_)
    again, is_new = await fork_conversation(stores[0], id_, new)
    assert (again.message_count, is_new) == (3, False)
    await stores[0].delete_conversation(str(new.id))
    with pytest.raises(Conflict) as deleted:
        await fork_conversation(stores[0], id_, new)
    assert deleted.value.details == {"reason": "deleted"}


async def test_what_is_not_there_cannot_be_forked(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "one", "two")
    elsewhere, theirs = await begun(store, "elsewhere")
    await store.delete_branch(id_, ids[1])
    for conversation_id, message_id in ((new_id(), None), (id_, new_id()), (id_, theirs[0]), (id_, ids[1])):
        with pytest.raises(NotFound):
            await fork(store, conversation_id, message_id)
    await store.delete_branch(id_, ids[0])
    empty, _ = await begun(store)
    for nothing in (id_, empty):
        with pytest.raises(Invalid, match=r"^messageId: "):
            await fork(store, nothing)
    await store.delete_conversation(elsewhere)
    with pytest.raises(NotFound):
        await fork(store, elsewhere, theirs[0])
    stranger = await backend.store()
    with pytest.raises(NotFound):
        await fork(stranger, empty)
    assert len((await store.list_conversations()).conversations) == 2


async def test_a_fork_stays_when_the_original_is_purged_and_goes_like_any_other(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "an aardvark", "a bittern", title="Animals")
    forked = await fork(store, id_, ids[1])
    await store.delete_conversation(id_)
    await backend.purge(user_id, 2**52)
    assert plain(await store.get_conversation(forked.id)) == plain(forked)
    assert await texts(store, forked.id) == ["an aardvark", "a bittern"]
    assert await found(store, "aardvark") == [(forked.id, 1)]
    await store.delete_conversation(forked.id)
    await backend.purge(user_id, 2**52)
    assert await found(store, "aardvark") == []
    await backend.check(user_id)


async def test_a_copy_is_a_message_like_any_other(backend: Backend) -> None:
    store = await backend.store()
    id_, ids = await begun(store, "question", "answer")
    await store.append_messages(id_, [message("again", siblingOf=ids[1], metadata={"a": 1.5})])
    forked = await fork(store, id_)
    copies = await all_messages(store, forked.id)
    # Sent again as it is read, it is a repeat.
    sent = [
        new_message(id=each.id, role=each.role, content=plain(each.content), metadata=plain(each.metadata))
        for each in copies
    ]
    assert (await store.append_messages(forked.id, message_records(sent)))[1] is False
    await store.append_messages(forked.id, [message("edited", siblingOf=copies[0].id)])
    assert [each.follows for each in await all_messages(store, forked.id)] == [0, 1, 0]
    assert (await store.get_conversation(id_)).message_count == 3


async def test_devices_hear_of_a_fork(backend: Backend) -> None:
    store = await backend.store()
    id_, _ = await begun(store, "one", "two")
    before = await store.changes()
    forked = await fork(store, id_)
    changes = await store.changes(before.next)
    assert plain(changes.conversations) == [plain(forked)]
    assert plain(changes.messages) == plain(await all_messages(store, forked.id))


async def test_a_path_of_many_pages_is_forked(backend: Backend) -> None:
    store = await backend.store()
    id_, _ = await begun(store, *(f"message {number}" for number in range(450)))
    large = await fork(store, id_)
    assert await texts(store, large.id) == [f"message {number}" for number in range(450)]
