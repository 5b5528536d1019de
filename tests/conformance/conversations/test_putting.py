"""Putting a conversation: it is created, or what is new of its messages is appended."""

import asyncio

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, edit, message, new_message, plain
from support.replica import Replica, everything_in
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound, Stale
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def ids_in(store: Store, conversation_id: str) -> list[str]:
    return [kept.id for kept in await all_messages(store, conversation_id)]


async def found(store: Store, text: str) -> list[str | None]:
    """What a search finds: the ids of messages, and None for a title."""
    page = await store.search(SearchQuery(text=text))
    return [hit.message.id if hit.message else None for hit in page.hits]


async def test_a_new_conversation_is_what_creating_it_makes(backend: Backend) -> None:
    put, created = await backend.store(), await backend.store()
    record = conversation(new_message("Hi"), new_message("Hello", role="assistant"), model="m", metadata={"a": 1})
    appended, is_new = await put.put_conversation(record)
    other, _ = await created.create_conversation(record)
    assert is_new
    assert [(receipt.id, receipt.seq) for receipt in appended.messages] == [
        (sent.id, seq) for seq, sent in enumerate(record.messages, start=1)
    ]
    times = dict.fromkeys(("userId", "createdAt", "updatedAt"))
    assert plain(appended.conversation) | times == plain(other) | times
    assert appended.conversation.created_at == appended.conversation.updated_at == appended.messages[0].created_at
    assert (appended.conversation.title, appended.conversation.title_source) == ("Hi", "first_message")
    assert plain(await put.get_conversation(record.id)) == plain(appended.conversation)
    assert await ids_in(put, record.id) == [sent.id for sent in record.messages]


async def test_the_same_again_is_a_repeat(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("Hi"), title="T", metadata={"a": 1})
    first, is_new = await store.put_conversation(record)
    since = (await store.changes()).next
    assert is_new
    for _ in range(2):
        again, is_new = await store.put_conversation(record)
        assert not is_new
        assert plain(again) == plain(first)
    changes = await store.changes(since)
    assert (changes.conversations, changes.messages) == ([], [])


async def test_it_is_one_creation_whether_posted_or_put(backend: Backend) -> None:
    store = await backend.store()
    sent = new_message("Hi")
    record = conversation(sent, title="T", metadata={"a": 1})
    posted, _ = await store.create_conversation(record)
    put, is_new = await store.put_conversation(record)
    assert (is_new, plain(put.conversation)) == (False, plain(posted))

    sent = new_message("Hi")
    record = conversation(sent, title="T", metadata={"a": 1})
    put, _ = await store.put_conversation(record)
    posted, is_new = await store.create_conversation(record)
    assert (is_new, plain(put.conversation)) == (False, plain(posted))
    await store.put_conversation(conversation(sent, new_message("More"), id=record.id, title="Other"))
    posted, is_new = await store.create_conversation(record)  # as it was created
    assert (is_new, posted.message_count, posted.title) == (False, 2, "T")


async def test_more_messages_are_appended_and_all_else_stays(backend: Backend) -> None:
    store = await backend.store()
    first, second, third = new_message("One"), new_message("Two"), new_message("Three", role="assistant")
    record = conversation(first, title="Kept", model="m", metadata={"a": 1})
    before, _ = await store.create_conversation(record)
    other = conversation(first, second, third, id=record.id, title="Other", model="n", metadata={"b": 2})
    appended, is_new = await store.put_conversation(other)
    assert not is_new
    assert [(receipt.id, receipt.seq) for receipt in appended.messages] == [
        (first.id, 1),
        (second.id, 2),
        (third.id, 3),
    ]
    after = plain(appended.conversation)
    assert after == {**plain(before), "messageCount": 3, "updatedAt": after["updatedAt"], "leafId": third.id}
    assert after["updatedAt"] == appended.messages[2].created_at >= before.updated_at
    # Only what is new has to be sent.
    appended, _ = await store.put_conversation(conversation(new_message("Four"), id=record.id))
    assert [receipt.seq for receipt in appended.messages] == [4]
    assert await found(store, "kept") == [None]
    assert await found(store, "other") == []
    assert await found(store, "three") == [third.id]


async def test_a_conversation_that_waits_for_a_title_takes_it_from_a_message_and_not_from_what_is_put(
    backend: Backend,
) -> None:
    store = await backend.store()
    record = conversation(new_message("Be terse.", role="system"))
    await store.create_conversation(record)
    appended, _ = await store.put_conversation(conversation(new_message("Hi there"), id=record.id, title="Another"))
    assert (appended.conversation.title, appended.conversation.title_source) == ("Hi there", "first_message")
    assert len(await found(store, "there")) == 2
    assert await found(store, "another") == []


@pytest.mark.parametrize("title", ["Travel plans", None])
async def test_the_title_of_what_is_put_is_found_once_however_often_it_is_put(
    backend: Backend, title: str | None
) -> None:
    store = await backend.store()
    sent = [new_message("Travel plans")]
    record = conversation(*sent, title=title)
    await store.put_conversation(record)
    for number in range(3):
        sent.append(new_message(f"More of it {number}"))
        await store.put_conversation(conversation(*sent, id=record.id, title=title))
    assert sorted(await found(store, "travel plans"), key=str) == sorted([None, sent[0].id], key=str)
    await store.update_conversation(record.id, edit(title="Renamed"))
    await store.put_conversation(conversation(*sent, new_message("Last"), id=record.id, title=title))
    assert await found(store, "travel plans") == [sent[0].id]
    assert await found(store, "renamed") == [None]


async def test_one_without_messages_is_created_or_answered_as_it_is(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(title="T")
    appended, is_new = await store.put_conversation(record)
    assert (is_new, appended.messages, appended.conversation.message_count) == (True, [], 0)
    await store.append_messages(record.id, [message()])
    for expected in (None, 0, 7):
        appended, is_new = await store.put_conversation(record, expected_message_count=expected)
        assert (is_new, appended.messages, appended.conversation.message_count) == (False, [], 1)


async def test_other_content_under_the_id_of_a_message_is_a_conflict_and_nothing_is_kept(backend: Backend) -> None:
    store = await backend.store()
    taken, elsewhere = new_message("A"), new_message("B")
    record = conversation(taken)
    await store.create_conversation(record)
    await store.create_conversation(conversation(elsewhere))
    before = plain(await store.get_conversation(record.id))
    for sent in (new_message("C", id=taken.id), elsewhere):
        for id_ in (record.id, new_id()):
            with pytest.raises(Conflict) as caught:
                await store.put_conversation(conversation(new_message("D"), sent, id=id_), expected_message_count=9)
            assert caught.value.details == {"ids": [sent.id]}
            if id_ != record.id:
                with pytest.raises(NotFound):
                    await store.get_conversation(id_)
    assert plain(await store.get_conversation(record.id)) == before
    assert await ids_in(store, record.id) == [taken.id]
    assert await found(store, "d") == []


async def test_a_count_that_is_not_so_is_stale_unless_all_is_known(backend: Backend) -> None:
    store = await backend.store()
    first, second = new_message("A"), new_message("B")
    record = conversation(first)
    for expected in (1, 2**53 - 1):
        with pytest.raises(Stale) as caught:
            await store.put_conversation(record, expected_message_count=expected)
        assert caught.value.details == {"messageCount": 0}
    with pytest.raises(NotFound):
        await store.get_conversation(record.id)
    _, is_new = await store.put_conversation(record, expected_message_count=0)
    assert is_new
    both = conversation(first, second, id=record.id)
    for expected in (0, 2, 2**53 - 1):
        with pytest.raises(Stale) as caught:
            await store.put_conversation(both, expected_message_count=expected)
        assert caught.value.details == {"messageCount": 1}
    appended, _ = await store.put_conversation(both, expected_message_count=1)
    assert appended.conversation.message_count == 2
    again, _ = await store.put_conversation(both, expected_message_count=1)  # a repeat
    assert plain(again) == plain(appended)


async def test_a_deleted_one_is_a_conflict_that_says_so(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("A"))
    await store.create_conversation(record)
    await store.delete_conversation(record.id)
    for sent in (record, conversation(new_message("B"), id=record.id)):
        for expected in (None, 0, 1):
            with pytest.raises(Conflict, match=r"is deleted\. Restore it, or") as caught:
                await store.put_conversation(sent, expected_message_count=expected)
            assert caught.value.details == {"reason": "deleted"}
    await store.restore_conversation(record.id)
    assert (await store.put_conversation(record))[0].conversation.message_count == 1


async def test_what_is_erased_or_another_users_is_free(backend: Backend) -> None:
    store = await backend.store()
    record = conversation(new_message("A"))
    await store.create_conversation(record)
    _, is_new = await (await backend.store()).put_conversation(record)
    assert is_new
    await store.erase()
    await backend.sweep(store)
    _, is_new = await store.put_conversation(conversation(new_message("B"), id=record.id))
    assert is_new


async def test_creating_one_with_another_message_says_what_to_do(backend: Backend) -> None:
    store = await backend.store()
    first, second = new_message("A"), new_message("B")
    record = conversation(first)
    await store.create_conversation(record)
    both = conversation(first, second, id=record.id)
    what_to_do = r"exists already.* Append to it what is new, or send all of it by PUT"
    with pytest.raises(Conflict, match=what_to_do) as caught:
        await store.create_conversation(both)
    assert caught.value.details == {"reason": "exists"}
    appended, _ = await store.put_conversation(both)
    assert appended.conversation.message_count == 2


async def test_of_many_who_put_at_once_one_creates_and_every_message_is_kept_once(backend: Backend) -> None:
    store = await backend.store()
    id_, shared = new_id(), new_message("shared")
    records = [conversation(shared, new_message(f"own {number}"), id=id_) for number in range(8)]
    outcomes = await asyncio.gather(*(store.put_conversation(record) for record in records))
    assert sorted(is_new for _, is_new in outcomes) == [False] * 7 + [True]
    kept = await all_messages(store, id_)
    assert [row.seq for row in kept] == [*range(1, 10)]
    assert kept[0].id == shared.id
    assert {row.id for row in kept} == {message.id for record in records for message in record.messages}


async def test_who_follows_the_changes_hears_of_what_is_put(backend: Backend) -> None:
    store = await backend.store()
    device, sent, id_ = Replica(), [new_message("0")], new_id()
    for number in range(1, 4):
        await store.put_conversation(conversation(*sent, id=id_, title="T"))
        await device.follow(store, 2)
        device.assert_equals(*await everything_in(store))
        sent.append(new_message(str(number)))
