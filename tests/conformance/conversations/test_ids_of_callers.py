"""Ids that callers bring: any that `ids.py` takes, compared to the letter."""

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, edit, message, new_message, plain
from threadkeep.conversations import cursors
from threadkeep.conversations.cursors import AfterConversation, AfterMessage, BeforeMessage
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

IDS = [
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400-E29B-41D4-A716-446655440000",
    "01arz3ndektsv4rrffq69g5fav",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "V1StGXR8_Z5jdHi6B-myT",
    "-1StGXR8_Z5jdHi6B-my_",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "run--9f6f5b1e-6b4b-4b0e-8f5c-4f6f5b1e6b4b-0",
    "C024BE91L:1355517523.000005",
    "alice@example.com",
    "...",
    ".a",
    "a",
    "A",
    "0",
    "00",
    "null",
    "true",
    "1e3",
    "_",
    "-",
    "@",
    ":",
    "Search",
    "x" * 128,
    "x" * 127 + "X",
]


async def test_any_id_names_a_conversation_and_a_message_of_its_own(backend: Backend) -> None:
    store = await backend.store()
    for id_ in IDS:
        child = new_message("child", parentId=id_)
        record = conversation(new_message(f"word of {id_}", id=id_), child, id=id_, title=f"title {id_}")
        created, is_new = await store.create_conversation(record)
        assert (created.id, is_new) == (id_, True)
        assert (await store.create_conversation(record))[1] is False
    for id_ in IDS:
        assert (await store.get_conversation(id_)).title == f"title {id_}"
        kept, child = await all_messages(store, id_)
        assert (kept.id, kept.conversation_id, child.parent_id) == (id_, id_, id_)
        assert plain(kept.content) == [{"type": "text", "text": f"word of {id_}"}]
        appended, is_new = await store.append_messages(id_, [message("more")])
        assert (appended.messages[0].seq, is_new) == (3, True)
        assert (await store.update_conversation(id_, edit(title=f"new {id_}"))).title == f"new {id_}"
    listed = await store.list_conversations(limit=100)
    assert sorted(row.id for row in listed.conversations) == sorted(IDS)
    changes = await store.changes("0", limit=500)
    assert sorted(row.id for row in changes.conversations) == sorted(IDS)
    assert {row.id for row in changes.messages} > {*IDS}
    hits = (await store.search(SearchQuery(text="word"), limit=100)).hits
    assert sorted(hit.message.id for hit in hits if hit.message) == sorted(IDS)
    for id_ in IDS:
        await store.delete_conversation(id_)
        with pytest.raises(NotFound, match=id_):
            await store.get_conversation(id_)
        await store.restore_conversation(id_)


async def test_ids_that_differ_in_case_alone_are_two(backend: Backend) -> None:
    store = await backend.store()
    lower, upper = conversation(new_message("a", id="m"), id="c"), conversation(new_message("b", id="M"), id="C")
    await store.create_conversation(lower)
    with pytest.raises(NotFound):
        await store.get_conversation("C")
    assert (await store.create_conversation(upper))[1]
    assert [row.id for row in await all_messages(store, "c")] == ["m"]
    assert [row.id for row in await all_messages(store, "C")] == ["M"]
    with pytest.raises(Conflict) as caught:
        await store.append_messages("c", [message("a", id="M"), message("a", id="m")])
    assert caught.value.details == {"ids": ["M"]}
    with pytest.raises(Invalid):
        await store.list_messages("c", cursor="M")
    await store.delete_conversation("c")
    assert (await store.get_conversation("C")).message_count == 1


async def test_conversations_of_one_millisecond_are_ordered_by_their_letters(backend: Backend) -> None:
    store = await backend.store()
    ids = ["a", "B", "_", "-", "1", "Z", "z", "@", ":", ".x", "aa", "A", "00", "0"]
    for id_ in ids:
        await store.create_conversation(conversation(id=id_))
    rows = (await store.list_conversations(limit=100)).conversations
    places = [(row.updated_at, row.id) for row in rows]
    assert places == sorted(places, reverse=True)  # by code points, as every back end compares
    cursor, found = None, []
    while True:
        page = await store.list_conversations(cursor=cursor, limit=1)
        found += [row.id for row in page.conversations]
        cursor = page.next_cursor
        if cursor is None:
            break
        assert cursor.startswith("~")
    assert found == [row.id for row in rows]


async def test_a_list_goes_on_from_any_id(backend: Backend) -> None:
    store = await backend.store()
    for id_ in IDS[:6]:
        await store.create_conversation(conversation(id=id_))
    everything = [row.id for row in (await store.list_conversations()).conversations]
    for place, id_ in enumerate(everything):
        page = await store.list_conversations(cursor=id_)
        assert [row.id for row in page.conversations] == everything[place + 1 :]
    await store.append_messages(IDS[0], [message(id=id_) for id_ in IDS])
    for place, id_ in enumerate(IDS):
        messages = await store.list_messages(IDS[0], cursor=id_, limit=200)
        assert [row.id for row in messages.messages] == IDS[:place]


# Cursors that were made before they began with `~`


def older(cursor: cursors.Cursor) -> str:
    """A cursor as it was made then."""
    return cursors.encode(cursor).removeprefix("~")


async def conversations_in_order(store: Store) -> list[str]:
    for number in range(4):
        await store.create_conversation(conversation(new_message(str(number)), id=f"c{number}"))
    return [row.id for row in (await store.list_conversations()).conversations]


async def test_an_older_cursor_is_taken(backend: Backend) -> None:
    store = await backend.store()
    ids = await conversations_in_order(store)
    after = await store.get_conversation(ids[1])
    for archived, rest in ((False, ids[2:]), (True, [])):
        cursor = older(AfterConversation(after.updated_at, after.id))
        page = await store.list_conversations(is_archived=archived, cursor=cursor)
        assert [row.id for row in page.conversations] == rest
    await store.append_messages("c0", [message(id=f"m{number}") for number in range(2, 6)])
    seqs = {
        older(BeforeMessage(3)): [1, 2],
        older(AfterMessage(3)): [4, 5],
        older(BeforeMessage(1)): [],
        older(AfterMessage(5)): [],
    }
    for cursor, expected in seqs.items():
        assert [row.seq for row in (await store.list_messages("c0", cursor=cursor)).messages] == expected
    hits = await store.search(SearchQuery(text='"0" '), limit=1)
    assert hits.next_cursor is not None
    rest = await store.search(SearchQuery(text='"0" '), cursor=hits.next_cursor)
    assert rest.hits != []
    assert plain(await store.search(SearchQuery(text='"0" '), cursor=hits.next_cursor.removeprefix("~"))) == plain(rest)
    since = (await store.changes()).next
    assert since.startswith("~")
    assert plain(await store.changes(since)) == plain(await store.changes(since.removeprefix("~")))


async def test_an_older_cursor_that_is_the_id_of_a_row_is_that_row(backend: Backend) -> None:
    store = await backend.store()
    ids = await conversations_in_order(store)
    after = await store.get_conversation(ids[0])
    id_ = older(AfterConversation(after.updated_at, after.id))
    await store.create_conversation(conversation(id=id_))
    everything = [row.id for row in (await store.list_conversations()).conversations]
    for cursor, place in ((id_, id_), (f"~{id_}", ids[0])):
        page = await store.list_conversations(cursor=cursor)
        assert [row.id for row in page.conversations] == everything[everything.index(place) + 1 :]

    forward, backward = older(AfterMessage(1)), older(BeforeMessage(1))
    await store.append_messages("c0", [message(id="m2"), message(id=forward), message(id=backward), message(id="m5")])
    for cursor, expected in {
        forward: [1, 2],
        backward: [1, 2, 3],
        f"~{forward}": [2, 3, 4, 5],
        f"~{backward}": [],
    }.items():
        assert [row.seq for row in (await store.list_messages("c0", cursor=cursor)).messages] == expected
    # In another conversation there is no such row.
    assert [row.seq for row in (await store.list_messages("c1", cursor=forward)).messages] == []


async def test_an_older_cursor_leads_through_messages_that_are_too_large_for_one_page(backend: Backend) -> None:
    store = await backend.store()
    await store.create_conversation(conversation(id="c"))
    for number in range(1, 5):
        await store.append_messages("c", [message("x" * 600_000, id=f"m{number}")])
    assert [row.seq for row in (await store.list_messages("c", cursor=older(AfterMessage(1)))).messages] == [2]
    assert [row.seq for row in (await store.list_messages("c", cursor=older(BeforeMessage(4)))).messages] == [3]
    await store.append_messages("c", [message("x", id=older(AfterMessage(1)))])
    page = await store.list_messages("c", cursor=older(AfterMessage(1)))
    assert [row.seq for row in page.messages] == [4]


async def test_what_is_the_id_of_no_row_and_no_cursor_is_refused(backend: Backend) -> None:
    store = await backend.store()
    await store.create_conversation(conversation(id="c"))
    for cursor in ("nowhere", "C", new_id(), "WyJ4IiwxXQ", "x" * 128, "~c", "~", "search"):
        with pytest.raises(Invalid):
            await store.list_conversations(cursor=cursor)
        with pytest.raises(Invalid):
            await store.list_messages("c", cursor=cursor)
    for cursor in ("nowhere", older(BeforeMessage(1))):
        with pytest.raises(NotFound):
            await store.list_messages("nowhere", cursor=cursor)
