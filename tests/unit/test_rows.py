"""Rows: that any text comes back as it was, in whatever form it is kept."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from support import stores
from threadkeep.agents.journals.models import Row, RowsReport
from threadkeep.agents.journals.rows import OPAQUE, keep_rows, parts_of, rows_of
from threadkeep.agents.store import StateStore
from threadkeep.conformance.helpers.journals import SPACE, append, contents, plain, put
from threadkeep.errors import Invalid, ThreadkeepError, TooLarge, Unavailable

pytestmark = pytest.mark.anyio

SESSION = '{"version":3,"entries":[{"id":"a","text":"é"},{"id":"b","n":1e400}],"leafId":"b"}'
AS_HEADS = ["{}", "[]", "null", "1.10", '"text"', '{"a":{"entries":[]}}', '{"entries":{}}', '{"entries":[1]}']
AS_HEADS += ['{"entries":[{"id":"a"},{"id":"a"}]}', '{"entries":[{"id":""}]}', '{"entries":[{"text":"no id"}]}']
AS_TEXTS = ["", "{", "not JSON", "[1,]", '{"entries":null}', '{"$json":null}', '{"$json":"x"}', r'"\ud83d"']
AS_TEXTS += ["[" * 101 + "]" * 101, '{"a":"' + "x" * 1_000_000 + '"}', '{"entries":[],"a":"' + "x" * 1_000_000 + '"}']
AS_TEXTS += ['{"$head":1,"$entries":[]}', '{"$head":{"entries":null},"$entries":[{"data":1}]}']
AS_TEXTS += ['{"$head":1,"$entries":[{"id":"","data":1}]}', '{"$head":1,"$entries":{}}']


@pytest.fixture
def state() -> StateStore:
    return stores.new_memory().open_store("alice").state


async def given(*lines: bytes | ThreadkeepError) -> AsyncIterator[bytes | ThreadkeepError]:
    for line in lines:
        yield line


async def send(state: StateStore, *rows: tuple[str, str, int]) -> RowsReport:
    return await keep_rows(state, SPACE, given(*(msgspec.json.encode(Row(*row)) for row in rows)))


async def rows(state: StateStore, after: str | None = None) -> list[tuple[str, str, int]]:
    text = b"".join([piece async for piece in await rows_of(state, SPACE, after)])
    found = [msgspec.json.decode(line, type=Row) for line in text.splitlines()]
    return [(row.id, row.data, row.updated_at) for row in found]


@pytest.mark.parametrize("data", [SESSION, '{"entries":[]}', *AS_HEADS, *AS_TEXTS])
async def test_any_text_comes_back_as_it_was(state: StateStore, data: str) -> None:
    assert await send(state, ("s", data, 1_000)) == RowsReport(1, 0, 0, [])
    assert await rows(state) == [("s", data, 1_000)]
    assert await send(state, ("s", data, 1_000)) == RowsReport(0, 1, 0, [])


def test_a_session_becomes_a_head_and_entries_and_anything_else_a_head_or_a_text() -> None:
    parts = parts_of(SESSION)
    assert plain(parts.head) == {"version": 3, "entries": None, "leafId": "b"}
    assert [entry.id for entry in parts.entries] == ["a", "b"]
    assert bytes(parts.entries[1].data) == b'{"id":"b","n":1e400}'
    assert [(bytes(parts_of(text).head), parts_of(text).entries) for text in AS_HEADS] == [
        (text.encode(), []) for text in AS_HEADS
    ]
    assert {bytes(parts_of(text).head) for text in AS_TEXTS} == {bytes(OPAQUE)}


async def test_a_long_session_is_kept_in_several_writes_and_read_in_several_pages(state: StateStore) -> None:
    entries = [{"id": f"{number}", "text": "x" * 1_000} for number in range(2_500)]
    data = msgspec.json.encode({"entries": entries, "leafId": "2499"}).decode()
    assert (await send(state, ("long", data, 5))).kept == 1
    assert await rows(state) == [("long", data, 5)]


async def test_an_entry_that_our_json_cannot_say_is_written_as_the_client_said_it(state: StateStore) -> None:
    texts = [r'{"id":"a","text":"\ud83d"}', '{"id":"b","deep":' + "[" * 200 + "]" * 200 + "}"]
    kept = [{"$json": texts[0]}, {"$json": texts[1]}, {"$json": "1", "id": "c"}, {"$json": None}]
    said = ",".join([*texts, '{"$json":"1","id":"c"}', '{"$json":null}'])
    await put(state, "cut", head={"entries": None, "leafId": "b"})
    await append(state, *(("abcd"[index], data) for index, data in enumerate(kept)), key="cut")
    ((_, data, _),) = await rows(state)
    assert data == f'{{"entries":[{said}],"leafId":"b"}}'


async def test_a_journal_of_another_form_is_written_with_its_ids_and_read_back(state: StateStore) -> None:
    await put(state, "run", head={"a": 1})
    await append(state, ("id", "one"), {"two": 2}, key="run", updated_at=0x7FFFFFFFFFFF)
    ((key, data, time),) = await rows(state)
    assert msgspec.json.decode(data) == {
        "$head": {"a": 1},
        "$entries": [{"data": "one", "id": "id"}, {"id": None, "data": {"two": 2}}],
    }
    other = stores.new_memory().open_store("bob").state
    assert (await send(other, (key, data, time))).kept == 1
    assert await rows(other) == [(key, data, time)]
    assert plain((await other.get_journal(SPACE, "run")).head) == {"a": 1}
    assert await contents(other, "run") == ["one", {"two": 2}]


async def test_only_what_is_newer_comes_over_what_is_there(state: StateStore) -> None:
    await send(state, ("a", '{"v":1}', 1_000), ("b", '{"v":1}', 1_000))
    report = await send(
        state, ("a", '{"v":0}', 999), ("b", '{"v":2}', 1_001), ("c", SESSION, 7), ("b", '{ "v": 2 }', 1_001)
    )
    assert report == RowsReport(kept=2, same=1, older=1, skipped=[])
    assert await rows(state) == [("c", SESSION, 7), ("a", '{"v":1}', 1_000), ("b", '{"v":2}', 1_001)]
    assert await rows(state, "7,c") == [("a", '{"v":1}', 1_000), ("b", '{"v":2}', 1_001)]
    assert await rows(state, "1000,a") == [("b", '{"v":2}', 1_001)]
    assert (await send(state, ("a", '{"v":9}', 1_000))).kept == 1  # of the same time, and something else
    assert await rows(state, "1001,b") == []


async def test_two_texts_that_are_no_json_are_not_taken_for_one(state: StateStore) -> None:
    await send(state, ("a", "not JSON", 1_000))
    assert (await send(state, ("a", "nor this", 1_000))).kept == 1
    assert await rows(state) == [("a", "nor this", 1_000)]


async def test_more_than_a_page_of_rows_comes_in_order(state: StateStore) -> None:
    sent = [(f"{number:03d}", f"{number}", 1_000 + number) for number in range(250)]
    assert (await send(state, *sent)).kept == 250
    assert await rows(state) == sent
    assert await rows(state, "1120,120") == sent[121:]


async def test_a_write_that_was_cut_off_is_done_again(state: StateStore) -> None:
    await append(state, ("a", {"id": "a", "text": "é"}), key="s", create=True, head={"entries": None}, updated_at=1_000)
    assert (await send(state, ("s", SESSION, 1_000))).kept == 1
    assert await rows(state) == [("s", SESSION, 1_000)]


async def test_a_wrong_row_is_skipped_with_the_reason_and_stops_no_other(state: StateStore) -> None:
    good = msgspec.json.encode(Row("good", "1", 1))
    await put(state, "claimed")
    await state.acquire_producer(SPACE, "claimed", "p", request="r")
    wrong: list[bytes | ThreadkeepError] = [
        b"{",
        b'{"id": "x", "data": {}, "updated_at": 1}',
        b'{"id": "x", "data": "1"}',
        b'{"id": "x", "data": "1", "updated_at": -1}',
        b'{"id": "x\\u0000", "data": "1", "updated_at": 1}',
        b'{"id": "rows", "data": "1", "updated_at": 1}',
        b'{"id": "claimed", "data": "1", "updated_at": 9007199254740990}',
        b'{"id": "x", "data": "\\ud83d", "updated_at": 1}',
        TooLarge("too long"),
    ]
    report = await keep_rows(state, SPACE, given(*wrong, good))
    assert (report.kept, [each.index for each in report.skipped]) == (1, list(range(len(wrong))))
    codes = ["invalid"] * 6 + ["stale", "invalid", "too_large"]
    assert [each.error.code for each in report.skipped] == codes


@pytest.mark.parametrize("after", ["", "1", "x,a", "-5,a", "1.5,a", f"{2**60},a"])
async def test_a_place_that_is_none_is_refused(state: StateStore, after: str) -> None:
    with pytest.raises(Invalid) as caught:
        await rows_of(state, SPACE, after)
    assert caught.value.path == "after"


@pytest.mark.parametrize("how", ["cut", "deleted"])
async def test_a_journal_that_is_changed_while_it_is_read_cuts_the_rows_off(state: StateStore, how: str) -> None:
    await append(state, *("x" * 900_000 for _ in range(3)), key="s", create=True)
    pieces = await rows_of(state, SPACE)
    seen: list[Any] = [await anext(pieces), await anext(pieces)]
    await (append(state, key="s", cut=0) if how == "cut" else state.delete_journal(SPACE, "s"))
    with pytest.raises(Unavailable):
        seen += [piece async for piece in pieces]
    assert not seen[-1].endswith(b"\n")


async def test_a_journal_that_was_cut_before_it_is_read_is_cut_off_as_well(state: StateStore) -> None:
    await append(state, 1, 2, key="s", create=True)
    pieces = await rows_of(state, SPACE)
    await append(state, key="s", cut=1)
    with pytest.raises(Unavailable):
        [piece async for piece in pieces]


async def test_what_is_written_meanwhile_is_not_overwritten(state: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await append(state, 1, key="s", create=True, updated_at=5)
    get_journal = state.get_journal

    async def then_written(space: str, key: str) -> Any:
        journal = await get_journal(space, key)
        await append(state, 2, key=key)
        return journal

    monkeypatch.setattr(state, "get_journal", then_written)
    assert await send(state, ("s", "1", 6)) == RowsReport(0, 0, 1, [])


async def test_where_the_store_cannot_be_reached_nothing_is_said_of_the_rest(state: StateStore) -> None:
    with pytest.raises(Unavailable):
        await keep_rows(state, SPACE, given(Unavailable("not now")))
