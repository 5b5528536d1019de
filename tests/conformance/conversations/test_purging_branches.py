"""Purging deleted branches: after their time they are gone for good, like conversations, on every back end."""

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, message, new_message, plain
from threadkeep.conversations.models import MessagePage
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import CursorExpired, Invalid, NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

LATER = 2**52


async def begun(store: Store, *texts: str) -> tuple[str, list[str]]:
    """A conversation with these messages, one after the other, and their ids."""
    sent = [new_message(text, id=new_id()) for text in texts]
    record = conversation(*sent, title="Animals")
    await store.create_conversation(record)
    return record.id, [str(each.id) for each in sent]


async def append(store: Store, conversation_id: str, text: str, **fields: object) -> str:
    sent = message(text, **fields)
    await store.append_messages(conversation_id, [sent])
    return sent.id


def texts(page: MessagePage) -> list[str]:
    return [plain(each.content)[0]["text"] for each in page.messages]


async def test_a_branch_that_was_deleted_long_ago_is_gone_and_its_ids_are_free(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, (question, answer) = await begun(store, "an aardvark", "a bittern")
    again = await append(store, id_, "a heron", siblingOf=answer)
    last = await append(store, id_, "a wagtail")
    await store.delete_branch(id_, again)
    before, place = await store.get_conversation(id_), (await store.changes()).next
    await backend.purge(user_id, LATER)
    assert plain(await store.get_conversation(id_)) == plain(before)
    assert texts(await store.list_messages(id_)) == ["an aardvark", "a bittern"]
    assert [each.seq for each in await all_messages(store, id_)] == [1, 2]
    assert len((await store.list_branches(id_, answer)).siblings) == 1
    for word, hits in (("bittern", 1), ("heron", 0), ("wagtail", 0)):
        assert len((await store.search(SearchQuery(text=word))).hits) == hits
    for gone in (again, last):
        for ask in (store.restore_branch, store.delete_branch, store.list_branches, store.get_message):
            with pytest.raises(NotFound):
                await ask(id_, gone)
        with pytest.raises(Invalid):
            await append(store, id_, "lost", parentId=gone)
    # What was told after the deletion still holds; what was not has expired.
    changes = await store.changes(place)
    assert (changes.conversations, changes.messages, changes.removed) == ([], [], [])
    everything = await store.changes("0")
    assert ([each.seq for each in everything.messages], everything.removed) == ([1, 2], [])
    # Their ids are free, and their places are not given again.
    assert await append(store, id_, "an owl", id=again) == again
    page = await store.list_messages(id_)
    assert [(each.id, each.seq, each.follows) for each in page.messages[1:]] == [(answer, 2, 1), (again, 5, 2)]
    assert (await store.get_conversation(id_)).message_count == 5
    assert (await store.select_leaf(id_, question)).leaf_id == again
    await backend.check(user_id)


async def test_places_at_the_end_are_not_given_again(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "one", "two", "three")
    await store.delete_branch(id_, ids[0])
    await backend.purge(user_id, LATER)
    assert texts(await store.list_messages(id_)) == []
    assert (await store.get_conversation(id_)).leaf_id is None
    await store.append_messages(id_, [message("four"), message("five")])
    await append(store, id_, "six", isRoot=True)
    kept = await all_messages(store, id_)
    assert [(each.seq, each.follows) for each in kept] == [(4, 0), (5, 4), (6, 0)]
    page = await store.list_messages(id_)
    assert plain(page.branches) == [{"follows": 0, "seqs": [4, 6], "current": 6}]
    assert [each.seq for each in (await store.list_branches(id_, kept[0].id)).siblings] == [4, 6]


async def test_a_cursor_from_before_a_purged_deletion_has_expired(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "one", "two")
    place = (await store.changes("0")).next
    await store.delete_branch(id_, ids[1])
    assert [each.from_seq for each in (await store.changes(place)).removed] == [2]
    await backend.purge(user_id, LATER)
    with pytest.raises(CursorExpired):
        await store.changes(place)


async def test_what_is_not_due_yet_stays_and_is_told_when_it_is(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "one", "two", "three")
    assert await backend.purge(user_id, 1) is None
    await store.delete_branch(id_, ids[2])
    earliest = await backend.purge(user_id, 1)
    assert earliest is not None
    await store.delete_branch(id_, ids[1])
    assert await backend.purge(user_id, earliest - 1) == earliest
    await store.restore_branch(id_, ids[1])
    assert (await store.restore_branch(id_, ids[2])).leaf_id == ids[2]
    assert await backend.purge(user_id, LATER) is None
    assert texts(await store.list_messages(id_)) == ["one", "two", "three"]


async def test_a_purge_that_is_cut_off_goes_on(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "one", *(f"heron {number}" for number in range(700)))
    await store.delete_branch(id_, ids[1])
    other, others = await begun(store, "bittern", "heron")
    await store.delete_branch(other, others[1])
    await store.delete_conversation(other)
    for _ in range(4):
        await backend.purge(user_id, LATER, parts=1)
        assert [each.seq for each in await all_messages(store, id_)] == [1]
        assert (await store.search(SearchQuery(text="heron"))).hits == []
    assert await backend.purge(user_id, LATER) is None
    assert await append(store, id_, "again", id=ids[1]) == ids[1]
    again = conversation(*(new_message(f"new {number}") for number in range(3)), id=other)
    await store.create_conversation(again)
    assert [each.follows for each in await all_messages(store, other)] == [0, 1, 2]
    await backend.check(user_id)


async def test_a_conversation_under_an_id_whose_branches_were_purged_begins_without_any(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    store = await backend.store(user_id)
    id_, ids = await begun(store, "one", "two")
    await append(store, id_, "two again", siblingOf=ids[1])
    await store.delete_branch(id_, ids[1])
    await backend.purge(user_id, LATER)
    assert (await store.erase()).messages == 2
    await backend.sweep(store)
    await store.create_conversation(conversation(*(new_message(f"new {number}") for number in range(3)), id=id_))
    assert [each.follows for each in await all_messages(store, id_)] == [0, 1, 2]


async def test_nobody_else_s_branches_are_purged(backend: Backend) -> None:
    users = [f"user-{new_id()}" for _ in range(2)]
    ids = [new_id(), new_id()]
    for user_id in users:
        store = await backend.store(user_id)
        await store.create_conversation(conversation(*(new_message("text", id=each) for each in ids), id="shared"))
        await store.delete_branch("shared", ids[1])
    await backend.purge(users[0], LATER)
    first, second = [await backend.store(user_id) for user_id in users]
    with pytest.raises(NotFound):
        await first.restore_branch("shared", ids[1])
    assert (await second.restore_branch("shared", ids[1])).leaf_id == ids[1]
