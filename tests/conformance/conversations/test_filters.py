"""Lists of both kinds of conversations, and of those that a filter leaves."""

import asyncio
from typing import Any

import msgspec
import pytest

from support.backends import Backend
from support.records import conversation, edit, message, plain
from threadkeep.clock import now
from threadkeep.conversations.models import LOOKED_AT_MAX
from threadkeep.conversations.records import ConversationFilter
from threadkeep.conversations.store import Store
from threadkeep.errors import Invalid
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def keep(store: Store, *many: dict[str, Any]) -> list[str]:
    """Create conversations, the first first; return their ids."""
    records = [conversation(**fields) for fields in many]
    for record in records:
        await store.create_conversation(record)
    return [record.id for record in records]


async def pages_of(store: Store, limit: int = 100, **options: Any) -> list[list[str]]:
    """Every page of a list, by ids."""
    pages, cursor = [], None
    while True:
        page = await store.list_conversations(cursor=cursor, limit=limit, **options)
        pages.append([row.id for row in page.conversations])
        assert len(pages[-1]) <= limit
        assert page.next_cursor != cursor or cursor is None
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def found(store: Store, limit: int = 100, *, is_archived: bool | None = None, **filters: Any) -> set[str]:
    """What a filter leaves, of all pages. None comes twice."""
    only = ConversationFilter(**filters)
    listed = [id_ for page in await pages_of(store, limit, is_archived=is_archived, only=only) for id_ in page]
    assert len(listed) == len(set(listed))
    return set(listed)


async def in_order(store: Store, ids: list[str]) -> list[str]:
    """Ids as a list has them."""
    rows = [await store.get_conversation(id_) for id_ in ids]
    return [row.id for row in sorted(rows, key=lambda row: (row.updated_at, row.id), reverse=True)]


async def test_a_list_of_both_kinds_has_them_in_one_order(backend: Backend) -> None:
    store = await backend.store()
    ids = await keep(store, *[{}] * 7)
    for id_ in ids[1::2]:
        await store.update_conversation(id_, edit(is_archived=True))
    await store.append_messages(ids[2], [message()])
    await store.delete_conversation(ids[4])
    left = await in_order(store, [id_ for id_ in ids if id_ != ids[4]])
    for limit in (1, 2, 5, 100):
        pages = await pages_of(store, limit, is_archived=None)
        assert [id_ for page in pages for id_ in page] == left
        assert all(len(page) == limit for page in pages[:-1])
    assert [row.id for row in (await store.list_conversations(is_archived=None, cursor=left[2])).conversations] == left[
        3:
    ]
    first, second = [
        await store.list_conversations(is_archived=None, limit=3, cursor=cursor) for cursor in (None, left[2])
    ]
    assert plain(first)["changes"] == (await store.changes()).next
    assert "changes" not in plain(second)


async def test_a_cursor_that_leads_nowhere_is_refused_with_a_filter_as_well(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, {})
    for cursor in (new_id(), "nonsense"):
        for options in ({"is_archived": None}, {"only": ConversationFilter(model="m")}):
            with pytest.raises(Invalid):
                await store.list_conversations(cursor=cursor, **options)  # type: ignore[arg-type]


async def test_filters_leave_what_matches_all_of_them(backend: Backend) -> None:
    store = await backend.store()
    plain_, modelled, archived, both = await keep(
        store, {}, {"model": "m"}, {"model": "m"}, {"model": "m", "metadata": {"project": "p1"}}
    )
    await store.update_conversation(archived, edit(is_archived=True))
    assert await found(store, model="m") == {modelled, archived, both}
    assert await found(store, model="m", is_archived=False) == {modelled, both}
    assert await found(store, model="m", is_archived=True) == {archived}
    assert await found(store, model="M") == set()
    assert await found(store, model="m", metadata=("project", "p1")) == {both}
    assert await found(store, 1) == {plain_, modelled, archived, both}


async def test_times_of_creation_are_exclusive_on_both_sides(backend: Backend) -> None:
    store = await backend.store()
    (id_,) = await keep(store, {})
    await store.append_messages(id_, [message()])
    time = (await store.get_conversation(id_)).created_at
    assert await found(store, created_after=time - 1) == {id_}
    assert await found(store, created_after=time) == set()
    assert await found(store, created_before=time + 1) == {id_}
    assert await found(store, created_before=time) == set()
    assert await found(store, created_after=time - 1, created_before=time + 1) == {id_}
    assert await found(store, created_after=0, created_before=2**53 - 1) == {id_}
    assert await found(store, created_after=2**53 - 1) == set()


@pytest.mark.parametrize(
    ("kept", "matching", "others"),
    [
        ("p1", ["p1"], ["p", "p11", "P1", '"p1"', ""]),
        ("", [""], ["null", '""']),
        (1, ["1"], ["1.0", "01", "+1", "true", "10"]),
        (12, ["12"], ["1", "2"]),
        (-1.5, ["-1.5"], ["1.5", "-1.50"]),
        (True, ["true"], ["True", "1", "tru"]),
        (False, ["false"], ["0", ""]),
        ("true", ["true"], ["false"]),
        (None, [], ["null", "", "None"]),
        ([1], [], ["1", "[1]"]),
        ({"a": 1}, [], ['{"a":1}', "1"]),
        ('say "hi", \\ and é\n\u0000', ['say "hi", \\ and é\n\u0000'], ["hi", 'say \\"hi\\"']),
        ("x" * 300, ["x" * 300], ["x" * 299]),
    ],
)
async def test_metadata_is_compared_as_text(
    backend: Backend, kept: Any, matching: list[str], others: list[str]
) -> None:
    store = await backend.store()
    (id_, *_) = await keep(store, {"metadata": {"key": kept, "z": "\u0000"}}, {"metadata": {"other": kept}}, {})
    assert {text for text in [*matching, *others] if await found(store, metadata=("key", text))} == set(matching)
    for text in matching:
        assert await found(store, metadata=("key", text)) == {id_}


@pytest.mark.parametrize("key", ["a.b", 'say "hi"', "\\", "é", "$.x", "", " ", "x" * 300, "[0]", "a:1"])
async def test_a_name_in_metadata_is_any_text(backend: Backend, key: str) -> None:
    store = await backend.store()
    # Deeper, it is another name.
    kept, *_ = await keep(store, {"metadata": {key: "v"}}, {"metadata": {"deep": {key: "v"}, "b": "v"}})
    assert await found(store, metadata=(key, "v")) == {kept}
    assert await found(store, metadata=(key + "x", "v")) == set()


async def test_metadata_that_was_merged_is_found_as_it_is_now(backend: Backend) -> None:
    store = await backend.store()
    (id_,) = await keep(store, {"metadata": {"a": "é", "b": 1}})
    await store.update_conversation(id_, edit(metadata={"b": 1.50, "c": 'q"\u0001'}))
    for name, value in (("a", "é"), ("b", "1.5"), ("c", 'q"\u0001')):
        assert await found(store, metadata=(name, value)) == {id_}
    assert await found(store, metadata=("b", "1")) == set()


async def test_a_page_of_a_filter_looks_at_1000_conversations_and_says_that_there_are_more(backend: Backend) -> None:
    store = await backend.store()
    client = backend.client_of((await store.get_conversation((await keep(store, {}))[0])).user_id)
    documents = [
        {
            "version": 1,
            "conversation": {
                "createdAt": f"2020-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z",
                "isArchived": number % 2 == 0,
                "metadata": {"number": number},
                "messages": [],
            },
        }
        for number in range(LOOKED_AT_MAX + 10)
    ]
    lines = b"\n".join(msgspec.json.encode(document) for document in documents)
    sent = await client.post("/api/import", content=lines, headers={"content-type": "application/x-ndjson"})
    assert len(sent.raise_for_status().json()["imported"]) == LOOKED_AT_MAX + 10

    async def counts(**options: Any) -> list[int]:
        return [len(page) for page in await pages_of(store, **options)]

    # The one that is newer than the others is looked at first; 0 to 10 come after the first thousand.
    assert await counts(is_archived=None, only=ConversationFilter(metadata=("number", "3"))) == [0, 1]
    assert await counts(is_archived=None, only=ConversationFilter(metadata=("number", "1000"))) == [1, 0]
    assert await counts(is_archived=False, only=ConversationFilter(metadata=("number", "3"))) == [1]
    assert await counts(is_archived=None, only=ConversationFilter(model="none")) == [0, 0]
    assert sum(await counts(is_archived=None)) == LOOKED_AT_MAX + 11
    assert sum(await counts(is_archived=None, only=ConversationFilter(created_before=now() * 2))) == LOOKED_AT_MAX + 11
    recent = ConversationFilter(created_after=1_600_000_000_000)  # nothing older is looked at
    assert await counts(is_archived=None, only=recent) == [1]


async def test_large_conversations_make_shorter_pages_of_a_filter(backend: Backend) -> None:
    store = await backend.store()
    records = [conversation(model="m", metadata={"a": "\\" * 8_000}, title='"' * 300) for _ in range(70)]
    await asyncio.gather(*(store.create_conversation(record) for record in records))
    pages = await pages_of(store, only=ConversationFilter(model="m"))
    assert 1 < len(pages[0]) < 70
    assert sorted(id_ for page in pages for id_ in page) == sorted(record.id for record in records)
