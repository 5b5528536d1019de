"""Pages of conversations and of messages."""

import asyncio
import json
import re

import pytest

from support.backends import Backend
from support.examples import examples
from support.records import conversation, edit, message, messages, new_message, plain
from threadkeep.conversations.models import Message
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Invalid, NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def conversation_of(store: Store, count: int) -> str:
    record = conversation()
    await store.create_conversation(record)
    if count:
        await store.append_messages(record.id, messages(count))
    return record.id


async def all_conversations(store: Store, limit: int, **options: bool) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.list_conversations(cursor=cursor, limit=limit, **options)
        assert len(page.conversations) <= limit
        found += [row.id for row in page.conversations]
        assert page.next_cursor != cursor or cursor is None
        cursor = page.next_cursor
        if cursor is None:
            return found


async def all_backward(store: Store, conversation_id: str, limit: int) -> list[Message]:
    found: list[Message] = []
    cursor = None
    while True:
        page = await store.list_messages(conversation_id, cursor=cursor, limit=limit)
        assert len(page.messages) <= limit
        found = page.messages + found
        assert page.next_cursor != cursor or cursor is None
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_nothing_is_an_empty_page(backend: Backend) -> None:
    store = await backend.store()
    page = plain(await store.list_conversations())
    assert (page["conversations"], page["nextCursor"]) == ([], None)
    conversation_id = await conversation_of(store, 0)
    for options in ({}, {"after": 0}):
        page = plain(await store.list_messages(conversation_id, **options))
        assert page == {"messages": [], "nextCursor": None, "branches": [], "drafts": []}


@pytest.mark.parametrize("limit", [1, 3, 7, 20])
async def test_pages_of_conversations_hold_each_once_latest_first(backend: Backend, limit: int) -> None:
    store = await backend.store()
    ids = []
    for _ in range(7):
        ids.append(await conversation_of(store, 1))
        await asyncio.sleep(0.002)
    assert await all_conversations(store, limit) == ids[::-1]


async def test_conversations_of_one_millisecond_are_ordered_by_id(backend: Backend) -> None:
    store = await backend.store()
    await asyncio.gather(*(store.create_conversation(conversation()) for _ in range(20)))
    rows = (await store.list_conversations(limit=100)).conversations
    assert [(row.updated_at, row.id) for row in rows] == sorted(
        ((row.updated_at, row.id) for row in rows), reverse=True
    )
    assert await all_conversations(store, 3) == [row.id for row in rows]


async def test_an_append_while_paging_moves_only_its_own_conversation(backend: Backend) -> None:
    store = await backend.store()
    ids = []
    for _ in range(6):
        ids.append(await conversation_of(store, 1))
        await asyncio.sleep(0.002)
    first = await store.list_conversations(limit=2)
    await store.append_messages(ids[0], messages(1))
    second = await store.list_conversations(limit=2, cursor=first.next_cursor)
    third = await store.list_conversations(limit=2, cursor=second.next_cursor)
    seen = [row.id for page in (first, second, third) for row in page.conversations]
    assert seen == [ids[5], ids[4], ids[3], ids[2], ids[1]]
    assert third.next_cursor is None


async def test_many_conversations_of_one_time_come_once_each_in_one_order(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    document = {"version": 1, "conversation": {"createdAt": "2024-05-18T02:40:00Z", "messages": []}}
    body = "\n".join([json.dumps(document)] * 117)
    sent = await client.post("/api/import", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert len(sent.json()["imported"]) == 117
    lists = []
    for limit in (7, 40, 100):
        found: list[str] = []
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = (await client.get("/api/conversations", params={"limit": limit, **cursor})).json()
            assert {row["updatedAt"] for row in page["conversations"]} == {1716000000000}
            found += [row["id"] for row in page["conversations"]]
            cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
        lists.append(found)
    assert len(set(lists[0])) == 117
    assert lists[0] == lists[1] == lists[2]


async def test_deleting_the_conversation_where_a_page_ended_skips_and_repeats_nothing(backend: Backend) -> None:
    store = await backend.store()
    ids = []
    for _ in range(6):
        ids.append(await conversation_of(store, 1))
        await asyncio.sleep(0.002)
    first = await store.list_conversations(limit=2)
    assert [row.id for row in first.conversations] == [ids[5], ids[4]]
    await store.delete_conversation(ids[4])
    await store.append_messages(ids[2], messages(1))
    second = await store.list_conversations(limit=10, cursor=first.next_cursor)
    assert [row.id for row in second.conversations] == [ids[3], ids[1], ids[0]]
    assert isinstance(first.changes, str)
    changes = plain(await store.changes(first.changes))
    assert [row["id"] for row in changes["conversations"]] == [ids[4], ids[2]]


async def test_archived_conversations_have_a_list_of_their_own(backend: Backend) -> None:
    store = await backend.store()
    kept, archived = await conversation_of(store, 1), await conversation_of(store, 1)
    await store.update_conversation(archived, edit(is_archived=True))
    assert await all_conversations(store, 10) == [kept]
    assert await all_conversations(store, 10, is_archived=True) == [archived]


async def test_the_id_of_a_conversation_serves_as_a_cursor(backend: Backend) -> None:
    store = await backend.store()
    ids = []
    for _ in range(3):
        ids.append(await conversation_of(store, 1))
        await asyncio.sleep(0.002)
    page = await store.list_conversations(cursor=ids[1])
    assert [row.id for row in page.conversations] == [ids[0]]


async def test_large_conversations_make_shorter_pages(backend: Backend) -> None:
    store = await backend.store()
    records = [conversation(metadata={"a": "\\" * 8_000}, title='"' * 300) for _ in range(70)]
    await asyncio.gather(*(store.create_conversation(record) for record in records))
    page = await store.list_conversations(limit=100)
    assert 1 < len(page.conversations) < 70
    assert sorted(await all_conversations(store, 100)) == sorted(record.id for record in records)


@pytest.mark.parametrize("limit", [1, 3, 10, 200])
async def test_the_newest_page_comes_first_and_each_is_in_order(backend: Backend, limit: int) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 10)
    first = await store.list_messages(conversation_id, limit=limit)
    assert [row.seq for row in first.messages] == [*range(max(1, 11 - limit), 11)]
    assert [row.seq for row in await all_backward(store, conversation_id, limit)] == [*range(1, 11)]


async def test_of_a_long_conversation_the_last_messages_come_first(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 120)
    page = await store.list_messages(conversation_id, limit=5)
    assert [plain(row.content)[0]["text"] for row in page.messages] == [
        f"message {number}" for number in range(116, 121)
    ]


@pytest.mark.parametrize("limit", [1, 3, 10, 200])
async def test_reading_forward_follows_a_seq_and_goes_on_by_cursor(backend: Backend, limit: int) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 10)
    page = await store.list_messages(conversation_id, after=2, limit=limit)
    seqs = [row.seq for row in page.messages]
    while page.next_cursor is not None:
        page = await store.list_messages(conversation_id, cursor=page.next_cursor, limit=limit)
        seqs += [row.seq for row in page.messages]
    assert seqs == [*range(3, 11)]
    for end in (10, 11, 2**53 - 1):
        assert (await store.list_messages(conversation_id, after=end)).messages == []


async def test_a_page_of_messages_has_only_those_of_its_conversation_that_are_beyond_its_cursor(
    backend: Backend,
) -> None:
    stores = [await backend.store(), await backend.store()]
    ids = [[await conversation_of(store, 4) for _ in range(2)] for store in stores]
    for store, conversations in zip(stores, ids, strict=True):
        for conversation_id in conversations:
            everything = (await store.list_messages(conversation_id)).messages
            for row in everything:
                after = await store.list_messages(conversation_id, after=row.seq)
                before = await store.list_messages(conversation_id, cursor=row.id)
                assert plain(after.messages) == plain(everything[row.seq :])
                assert plain(before.messages) == plain(everything[: row.seq - 1])
                assert (after.next_cursor, before.next_cursor) == (None, None)


async def test_a_page_of_conversations_has_only_those_of_its_list_that_are_beyond_its_cursor(backend: Backend) -> None:
    stores = [await backend.store(), await backend.store()]
    ids: list[list[str]] = [[], []]
    for _ in range(6):
        for store, conversations in zip(stores, ids, strict=True):
            conversations.append(await conversation_of(store, 0))
        await asyncio.sleep(0.002)
    for store, conversations in zip(stores, ids, strict=True):
        for conversation_id in conversations[::2]:
            await store.update_conversation(conversation_id, edit(is_archived=True))
        await store.delete_conversation(conversations[2])
        await store.delete_conversation(conversations[3])
        for is_archived in (False, True):
            listed = (await store.list_conversations(is_archived=is_archived)).conversations
            assert {row.id for row in listed} == {conversations[place] for place in ((1, 5), (0, 4))[is_archived]}
            for place, row in enumerate(listed, start=1):
                page = await store.list_conversations(is_archived=is_archived, cursor=row.id)
                assert plain(page.conversations) == plain(listed[place:])
                assert page.next_cursor is None


async def test_an_append_while_paging_back_repeats_and_skips_nothing(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 5)
    first = await store.list_messages(conversation_id, limit=2)
    await store.append_messages(conversation_id, messages(3))
    second = await store.list_messages(conversation_id, cursor=first.next_cursor, limit=2)
    assert [row.seq for row in second.messages] == [2, 3]


async def test_the_id_of_a_message_serves_as_a_cursor(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 5)
    fourth = (await store.list_messages(conversation_id)).messages[3].id
    page = await store.list_messages(conversation_id, cursor=fourth, limit=2)
    assert [row.seq for row in page.messages] == [2, 3]


async def test_a_cursor_that_leads_nowhere_is_invalid(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, other = await conversation_of(store, 3), await conversation_of(store, 1)
    elsewhere = (await store.list_messages(other)).messages[0].id
    of_messages = (await store.list_messages(conversation_id, limit=1)).next_cursor
    of_conversations = (await store.list_conversations(limit=1)).next_cursor
    for cursor in ("garbage", "W10", "é", "AAAA", new_id(), of_messages):
        with pytest.raises(Invalid) as caught:
            await store.list_conversations(cursor=cursor)
        assert caught.value.path == "cursor"
    for cursor in ("garbage", "W10", "é", "AAAA", new_id(), elsewhere, of_conversations):
        with pytest.raises(Invalid) as caught:
            await store.list_messages(conversation_id, cursor=cursor)
        assert caught.value.path == "cursor"


async def test_messages_of_no_conversation_or_a_deleted_one_are_not_found(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 2)
    message_id = (await store.list_messages(conversation_id)).messages[1].id
    await store.delete_conversation(conversation_id)
    for missing in (conversation_id, new_id()):
        for options in ({}, {"after": 0}, {"cursor": message_id}):
            with pytest.raises(NotFound):
                await store.list_messages(missing, **options)


async def test_large_messages_are_stored_paged_followed_found_exported_and_erased(backend: Backend) -> None:
    count = examples(200, in_a_worker=backend.is_worker)  # of 1.4 MB each
    store = await backend.store("large")
    conversation_id = await conversation_of(store, 0)
    texts = [f"needle {number:03} " + "x" * 1_400_000 for number in range(count)]
    for number in range(0, count, 5):
        await store.append_messages(conversation_id, [message(text) for text in texts[number : number + 5]])
    rows = await all_backward(store, conversation_id, 200)
    assert [row.seq for row in rows] == [*range(1, count + 1)]
    assert [plain(row.content)[0]["text"][:11] for row in rows] == [text[:11] for text in texts]
    assert all(len(plain(row.content)[0]["text"]) == 1_400_011 for row in rows)

    changes = await store.changes("0", limit=500)
    followed = [row.seq for row in changes.messages]
    while changes.has_more:
        changes = await store.changes(changes.next, limit=500)
        followed += [row.seq for row in changes.messages]
    assert followed == [*range(1, count + 1)]

    found: list[int] = []
    cursor = None
    for _ in range(5):
        hits = await store.search(SearchQuery(text="needle", role="user"), cursor=cursor, limit=100)
        found += [hit.message.seq for hit in hits.hits if hit.message]
        cursor = hits.next_cursor
    assert len(found) == len(set(found)) == 5  # one fills a page
    assert cursor is not None

    exported = b""
    async with backend.client_of("large").stream("GET", f"/api/conversations/{conversation_id}/export") as response:
        async for piece in response.aiter_bytes():
            exported += piece.replace(b"x", b"")
    assert [int(number) for number in re.findall(rb'"needle ([0-9]{3}) "', exported)] == [*range(count)]

    assert (await store.erase()).messages == count
    await backend.sweep(store)
    assert (await store.list_conversations()).conversations == []


async def test_a_page_is_cut_by_its_bytes_in_both_directions(backend: Backend) -> None:
    store = await backend.store()
    conversation_id = await conversation_of(store, 0)
    for _ in range(2):
        await store.append_messages(conversation_id, [message("x" * 300_000) for _ in range(5)])
    back = await store.list_messages(conversation_id, limit=200)
    assert [row.seq for row in back.messages] == [8, 9, 10]
    forward = await store.list_messages(conversation_id, after=0, limit=200)
    assert [row.seq for row in forward.messages] == [1, 2, 3]
    assert back.next_cursor is not None
    assert forward.next_cursor is not None


async def test_a_conversation_of_thousands_of_messages_is_paged_deleted_and_restored_like_any_other(
    backend: Backend,
) -> None:
    store = await backend.store()
    count = examples(8_000)
    conversation_id = await conversation_of(store, 0)
    for start in range(0, count, 1_000):
        await store.append_messages(conversation_id, messages(min(1_000, count - start)))
    for _ in range(2):
        assert (await store.get_conversation(conversation_id)).message_count == count
        newest = await store.list_messages(conversation_id, limit=5)
        assert [row.seq for row in newest.messages] == [*range(count - 4, count + 1)]
        middle = await store.list_messages(conversation_id, after=count // 2, limit=3)
        assert [row.seq for row in middle.messages] == [count // 2 + 1, count // 2 + 2, count // 2 + 3]
        await store.delete_conversation(conversation_id)
        with pytest.raises(NotFound):
            await store.list_messages(conversation_id)
        await store.restore_conversation(conversation_id)
    assert len(await all_backward(store, conversation_id, 200)) == count


async def test_another_users_cursor_shows_nothing_of_theirs(backend: Backend) -> None:
    alice, bob = await backend.store(), await backend.store()
    for store in (alice, bob):
        for _ in range(3):
            await store.create_conversation(conversation(new_message("Hi")))
    of_alice = await alice.list_conversations(limit=1)
    page = await bob.list_conversations(cursor=of_alice.next_cursor)
    assert {row.user_id for row in page.conversations} <= {(await bob.list_conversations()).conversations[0].user_id}
    with pytest.raises(Invalid):
        await bob.list_conversations(cursor=of_alice.conversations[0].id)
