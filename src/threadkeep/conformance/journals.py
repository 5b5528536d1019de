"""Journals: what each write does, what is refused and why, and that what comes back is what was sent."""

from typing import Any

import pytest
from msgspec import Raw

from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, patch, plain, put, raw, read, read_all
from threadkeep.errors import Conflict, CursorExpired, Invalid, NotFound, Stale, ThreadkeepError, TooLarge

pytestmark = pytest.mark.anyio

VALUES = [
    b"null",
    b"0",
    b'""',
    b"[1e400,1.10,123456789012345678901234567890,-0.0,1E2]",
    b'{"a":1,"a":2,"":{}}',
    b'"\\u0000\\u2028 \\ud83d\\ude00 \xc3\xa9 \\\\ \\" </script>"',
    b"[" * 90 + b"]" * 90,
]


async def refused(call: Any) -> tuple[str, Any]:
    """The code of an error and its reason, of a call that has to raise."""
    with pytest.raises(ThreadkeepError) as caught:
        await call
    return caught.value.code, (caught.value.details or {}).get("reason")


async def claim(store: StateStore, name: str = "writer", key: str = KEY) -> dict[str, Any]:
    """Claim a journal; return what the producer's appends have in common."""
    journal = await service.acquire_producer(store, SPACE, key, NewProducer(producer=name), request=None)
    return {"id": name, "incarnation": journal.incarnation, "epoch": journal.epoch}


async def test_a_journal_comes_back_as_it_was_put(backend: Backend) -> None:
    store = await backend.state()
    journal, is_new = await put(store, head={"a": [1]}, kind="run", status="active", sort="2026", expires_in=3_600)
    assert is_new
    assert (journal.space, journal.key) == (SPACE, KEY)
    assert (journal.version, journal.generation, journal.next_seq, journal.epoch) == (1, 0, 0, 0)
    assert (journal.kind, journal.status, journal.sort) == ("run", "active", "2026")
    assert (journal.producer, journal.closed_at) == (None, None)
    assert journal.expires_at == journal.created_at + 3_600_000
    kept = await store.get_journal(SPACE, KEY)
    assert plain(kept.head) == {"a": [1]}
    assert kept.incarnation == journal.incarnation


@pytest.mark.parametrize("key", ["a/b", '["it\'s", "quoted"]', "%2F?#", "é漢😀", "k" * 512, "...", "~"])
async def test_a_key_is_any_text_without_control_characters(backend: Backend, key: str) -> None:
    store = await backend.state()
    await put(store, key)
    await append(store, 1, key=key)
    assert await contents(store, key) == [1]
    assert [journal.key for journal in (await store.list_journals(SPACE)).journals] == [key]
    await store.delete_journal(SPACE, key)
    assert (await store.list_journals(SPACE)).journals == []


@pytest.mark.parametrize("key", ["", "a\n", "\x00", "\x7f", ".", "..", "k" * 513, "é" * 257])
async def test_a_key_that_cannot_be_one_is_refused(backend: Backend, key: str) -> None:
    store = await backend.state()
    with pytest.raises(Invalid) as caught:
        await put(store, key or "\x01")
    assert caught.value.path == "key"


@pytest.mark.parametrize("value", VALUES)
async def test_an_entry_and_a_head_come_back_to_the_letter(backend: Backend, value: bytes) -> None:
    store = await backend.state()
    await put(store, head=Raw(value))
    await append(store, Raw(value))
    page = await read(store, with_head=True)
    assert bytes(raw(page.journal.head)) == bytes(page.entries[0].data) == value


async def test_a_large_entry_comes_back_to_the_letter(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    # Two, three and four bytes each, so that some would be cut within a character.
    large = ["é" * 700_000 + "x", "漢" * 900_000, "😀" * 400_000 + "y", '\\"' * 440_000]
    for text in large[:2]:
        await append(store, "small", text, "small")
    await append(store, large[2], large[3])
    found = [plain(entry.data) for entry in await read_all(store)]
    assert found == ["small", large[0], "small", "small", large[1], "small", large[2], large[3]]
    newest = await read(store, newest=True, limit=2, before=7)
    assert [plain(entry.data) for entry in newest.entries] == [large[2]]
    assert newest.more
    assert (await store.pop_entry(SPACE, KEY)) is not None
    popped = await store.pop_entry(SPACE, KEY)
    assert popped is not None
    assert plain(popped.data) == large[2]


async def test_what_is_over_a_limit_is_refused_and_says_where(backend: Backend) -> None:
    store = await backend.state()
    assert store.bookmark is None
    await put(store)
    with pytest.raises(TooLarge) as caught:
        await append(store, *range(1_001))
    assert caught.value.details == {"path": "entries"}
    await append(store, *range(1_000))
    for request in ("", "a b", "x" * 65, "é"):
        with pytest.raises(Invalid) as wrong:
            await append(store, 1, request=request)
        assert wrong.value.path == "idempotency-key"
    for fields, path in (({"status": "a\n"}, "status"), ({"sort": "x" * 513}, "sort"), ({"remove": [""]}, "remove[0]")):
        with pytest.raises(Invalid) as wrong:
            await append(store, **fields)
        assert wrong.value.path == path
    with pytest.raises(Invalid) as wrong:
        await append(store, ("\x00", 1))
    assert wrong.value.path == "entries[0].id"
    assert (await store.get_journal(SPACE, KEY)).version == 2


async def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    store = await backend.state()
    for call in (
        store.get_journal(SPACE, KEY),
        patch(store, head={}),
        append(store, 1),
        read(store),
        store.pop_entry(SPACE, KEY),
        store.acquire_producer(SPACE, KEY, "p", request="r"),
    ):
        with pytest.raises(NotFound):
            await call
    await store.delete_journal(SPACE, KEY)


async def test_users_and_spaces_have_journals_of_their_own(backend: Backend) -> None:
    one, other = await backend.state(), await backend.state()
    await put(one, head="one")
    await put(one, head="elsewhere", space="other")
    assert (await put(other, head="other"))[1]
    await other.delete_journal(SPACE, KEY)
    assert plain((await one.get_journal(SPACE, KEY)).head) == "one"
    assert plain((await one.get_journal("other", KEY)).head) == "elsewhere"


async def test_a_creation_that_is_repeated_changes_nothing(backend: Backend) -> None:
    store = await backend.state()
    await put(store, head=1)
    await append(store, "kept")
    journal, is_new = await put(store, head=1, status="other")
    assert not is_new
    assert journal.version == 2
    assert await refused(put(store, head=2)) == ("conflict", "conflict")
    await put(store, "named", head=1, identity="me")
    assert plain((await put(store, "named", head=2, identity="me"))[0].head) == 1
    assert await refused(put(store, "named", head=1, identity="you")) == ("conflict", "conflict")


async def test_saving_keeps_the_entries_and_replacing_drops_them(backend: Backend) -> None:
    store = await backend.state()
    first, _ = await put(store, mode="save", head=1)
    await append(store, "kept")
    saved, is_new = await put(store, mode="save", head=2, kind="k", status="s", sort="x")
    assert (is_new, saved.version, saved.incarnation, plain(saved.head)) == (False, 3, first.incarnation, 2)
    assert (saved.kind, saved.status, saved.sort) == ("k", "s", "x")
    assert await contents(store) == ["kept"]
    replaced, is_new = await put(store, mode="replace", head=3)
    assert (is_new, replaced.version, plain(replaced.head)) == (True, 1, 3)
    assert replaced.incarnation != first.incarnation
    assert await contents(store) == []


async def test_a_write_for_another_version_is_stale_and_says_which_it_is(backend: Backend) -> None:
    store = await backend.state()
    with pytest.raises(Stale) as caught:
        await put(store, mode="save", expected=3)
    assert caught.value.details == {"reason": "stale", "version": 0}
    assert await refused(append(store, 1, create=True, expected=3)) == ("stale", "stale")
    await put(store, mode="save", expected=0)
    for call in (
        put(store, mode="save", expected=0),
        patch(store, head={}, expected=2),
        append(store, 1, expected=2),
        append(store, 1, create=True, expected=0),
        store.delete_journal(SPACE, KEY, expected=2),
    ):
        with pytest.raises(Stale) as caught:
            await call
        assert caught.value.details == {"reason": "stale", "version": 1}
    await put(store, mode="save", expected=1)
    await patch(store, head={}, expected=2)
    await append(store, 1, expected=3)
    assert (await store.get_journal(SPACE, KEY)).version == 4
    await store.delete_journal(SPACE, KEY, expected=4)
    with pytest.raises(Invalid):
        await put(store, mode="replace", expected=1)


async def test_a_write_that_is_sent_again_at_once_is_done_once(backend: Backend) -> None:
    store = await backend.state()
    assert (await put(store, mode="replace", request="put"))[1]
    first = (await store.get_journal(SPACE, KEY)).incarnation
    again, is_new = await put(store, mode="replace", request="put")
    assert (again.incarnation, is_new) == (first, False)
    await put(store, mode="save", head={"n": 1}, request="save")
    assert (await put(store, mode="save", head={"n": 1}, request="save"))[0].version == 2
    assert (await patch(store, head={"m": 1}, request="patch")).version == 3
    assert (await patch(store, head={"m": 1}, request="patch")).version == 3
    assert await append(store, "a", "b", request="append") == await _with(append(store, "a", "b", request="append"))
    assert await contents(store) == ["a", "b"]
    for _ in range(2):
        assert (await store.acquire_producer(SPACE, KEY, "p", request="claim")).epoch == 1


async def _with(call: Any) -> Any:
    """What a repeat says, as if it were new."""
    outcome, is_new = await call
    assert not is_new
    return outcome, True


async def test_a_patch_is_merged_into_the_head_and_sets_labels(backend: Backend) -> None:
    store = await backend.state()
    await put(store, head={"a": {"b": 1, "c": 2}, "d": [1], "e": 1.50}, status="open", sort="1")
    patched = await patch(store, head={"a": {"b": None, "x": {"y": None}}, "d": None, "f": "é"}, sort="2")
    assert plain(patched.head) == {"a": {"c": 2, "x": {}}, "e": 1.5, "f": "é"}
    assert (patched.status, patched.sort) == ("open", "2")
    patched = await patch(store, status=None, status_is="open")
    assert (patched.status, plain(patched.head)) == (None, plain((await store.get_journal(SPACE, KEY)).head))
    with pytest.raises(Stale) as caught:
        await patch(store, status="x", status_is="open")
    assert caught.value.details == {"reason": "status", "status": None}
    await put(store, "list", head=[1])
    assert plain((await patch(store, "list", status="x")).head) == [1]
    assert plain((await patch(store, "list", head={"a": 1})).head) == {"a": 1}
    with pytest.raises(Invalid):
        await patch(store, head=[1])


async def test_a_head_has_a_limit_and_a_patch_over_it_changes_nothing(backend: Backend) -> None:
    store = await backend.state()
    with pytest.raises(TooLarge):
        await put(store, head="x" * 1_000_000)
    await put(store, head={"a": "x" * 600_000})
    with pytest.raises(TooLarge):
        await patch(store, head={"b": "x" * 600_000}, status="set")
    assert (await store.get_journal(SPACE, KEY)).version == 1
    await patch(store, head={"a": "x" * 999_000})


async def test_entries_are_counted_from_0_and_no_seq_is_given_again(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    appended, is_new = await append(store, "a", "b")
    assert (appended.first, appended.last, appended.version, is_new) == (0, 1, 2, True)
    assert await store.pop_entry(SPACE, KEY) is not None
    appended, _ = await append(store, "c")
    assert (appended.first, appended.last) == (2, 2)
    assert [entry.seq for entry in await read_all(store)] == [0, 2]
    nothing, _ = await append(store, head={"only": "the head"})
    assert (nothing.first, nothing.last, nothing.version) == (None, None, 5)


async def test_an_append_may_create_the_journal(backend: Backend) -> None:
    store = await backend.state()
    appended, is_new = await append(store, "a", create=True, head=1, status="s", sort="x", expires_in=60)
    assert (appended.first, appended.version, is_new) == (0, 1, True)
    await append(store, "b", create=True)
    journal = await store.get_journal(SPACE, KEY)
    assert (journal.version, journal.next_seq, journal.status, journal.sort) == (2, 2, "s", "x")
    assert journal.expires_at is not None
    assert 60_000 <= journal.expires_at - journal.created_at < 120_000
    assert plain(journal.head) == 1


async def test_ids_make_a_repeat_safe(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    sent, _ = await append(store, ("x", 1), ("y", 2))
    repeated, is_new = await append(store, ("x", 1), ("y", 2))
    assert (repeated.first, repeated.last, is_new) == (sent.first, sent.last, False)
    assert await refused(append(store, ("x", 3))) == ("conflict", "conflict")
    assert await refused(append(store, ("x", 1), ("z", 2))) == ("conflict", "conflict")
    assert await refused(append(store, ("x", 1), 2)) == ("conflict", "conflict")
    assert await contents(store) == [1, 2]
    with pytest.raises(Invalid):
        await append(store, ("z", 1), ("z", 1))


async def test_removing_comes_before_appending(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, ("a", 1), ("b", 2), ("c", 3), ("d", 4))
    await append(store, ("b", "new"), ("e", 5), remove=["b", "d", "never was"])
    assert [(entry.seq, entry.id, plain(entry.data)) for entry in await read_all(store)] == [
        (0, "a", 1),
        (2, "c", 3),
        (4, "b", "new"),
        (5, "e", 5),
    ]
    await append(store, ("c", "again"), cut=2)
    assert await contents(store) == [1, "again"]
    assert (await store.get_journal(SPACE, KEY)).generation == 2
    await append(store, cut=0)
    assert await contents(store) == []


async def test_a_place_can_be_named(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    placed, _ = await append(store, "five", "six", at=5)
    assert (placed.first, placed.last) == (5, 6)
    repeated, is_new = await append(store, "five", "six", at=5)
    assert (repeated.first, repeated.last, is_new) == (5, 6, False)
    for call in (append(store, "other", "six", at=5), append(store, "x", "y", at=4), append(store, "six", at=6)):
        assert await refused(call) == ("conflict", "conflict")
    await append(store, "two", at=2)
    assert (await append(store, "next"))[0].first == 7
    assert await contents(store) == ["two", "five", "six", "next"]
    with pytest.raises(Invalid):
        await append(store, "x", at=1, cut=0)


async def test_only_the_last_who_claimed_it_may_append_and_in_order(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    assert await refused(append(store, 1, producer=Producer(id="p", incarnation="x", epoch=0, seq=0))) == (
        "stale",
        "fenced",
    )
    first = await claim(store)
    await append(store, "a", "b", producer=Producer(**first, seq=0))
    with pytest.raises(Stale) as caught:
        await append(store, "z", producer=Producer(**first, seq=2))
    assert caught.value.details == {"reason": "gap", "nextProducerSeq": 1}
    repeated, is_new = await append(store, "a", "b", producer=Producer(**first, seq=0))
    assert (repeated.first, repeated.last, is_new) == (0, 1, False)
    assert await refused(append(store, "a", producer=Producer(**first, seq=0))) == ("conflict", "conflict")
    assert await refused(append(store, "anybody")) == ("stale", "fenced")
    assert await refused(store.pop_entry(SPACE, KEY)) == ("stale", "fenced")
    second = await claim(store, "second")
    assert second["epoch"] == 2
    assert await refused(append(store, "late", producer=Producer(**first, seq=1))) == ("stale", "fenced")
    await append(store, "c", producer=Producer(**second, seq=0))
    await put(store, mode="replace")
    assert await refused(append(store, "gone", producer=Producer(**second, seq=1))) == ("stale", "fenced")
    with pytest.raises(Invalid):
        await append(store, producer=Producer(**second, seq=1))
    with pytest.raises(Invalid):
        await append(store, 1, create=True, producer=Producer(**second, seq=1))


async def test_nothing_is_appended_to_what_is_closed_but_a_repeat_is_known(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, ("last", 1), close=True)
    assert (await store.get_journal(SPACE, KEY)).closed_at is not None
    assert not (await append(store, ("last", 1)))[1]
    assert await refused(append(store, 2)) == ("conflict", "closed")
    assert await refused(store.pop_entry(SPACE, KEY)) == ("conflict", "closed")
    with pytest.raises(Conflict):
        await append(store, close=True)


async def test_refusals_come_in_the_order_of_the_contract(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, ("x", 1))
    producer = await claim(store)
    await append(store, "p", producer=Producer(**producer, seq=0), close=True)
    stale: dict[str, Any] = {"expected": 9}
    other = Producer(**producer | {"epoch": 9}, seq=7)
    assert await refused(append(store, ("x", 2), producer=other, **stale)) == ("stale", "fenced")
    assert await refused(append(store, ("x", 2), producer=Producer(**producer, seq=0), **stale)) == (
        "conflict",
        "conflict",
    )
    assert await refused(append(store, ("x", 2), producer=Producer(**producer, seq=7), **stale)) == ("stale", "gap")
    following = Producer(**producer, seq=1)
    assert await refused(append(store, ("x", 2), producer=following, at=0, **stale)) == ("conflict", "conflict")
    assert await refused(append(store, ("x", 2), producer=following, **stale)) == ("conflict", "conflict")
    assert await refused(append(store, "new", producer=following, **stale)) == ("conflict", "closed")


async def test_the_last_entry_is_popped_and_then_none_is_left(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, 1, ("two", 2))
    popped = await store.pop_entry(SPACE, KEY)
    assert popped is not None
    assert (popped.seq, popped.id, plain(popped.data)) == (1, "two", 2)
    assert await store.pop_entry(SPACE, KEY) is not None
    before = await store.get_journal(SPACE, KEY)
    assert await store.pop_entry(SPACE, KEY) is None
    after = await store.get_journal(SPACE, KEY)
    assert (after.version, after.generation) == (before.version, before.generation) == (4, 2)
    await append(store, ("two", "other"))
    assert await contents(store) == ["other"]


async def test_pages_lead_through_all_entries_and_on_to_what_comes_later(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, *range(7))
    assert [plain(entry.data) for entry in await read_all(store, limit=3)] == list(range(7))
    page = await read(store, after=4, limit=2)
    assert ([entry.seq for entry in page.entries], page.more) == ([5, 6], False)
    empty = await read(store, cursor=page.next_cursor)
    assert (empty.entries, empty.more) == ([], False)
    await append(store, "later")
    assert [plain(entry.data) for entry in (await read(store, cursor=empty.next_cursor)).entries] == ["later"]
    newest = await read(store, newest=True, limit=2)
    assert ([entry.seq for entry in newest.entries], newest.more) == ([6, 7], True)
    between = await read(store, after=1, before=4)
    assert ([entry.seq for entry in between.entries], between.more) == ([2, 3], False)


async def test_a_cursor_expires_when_entries_are_removed_or_the_journal_is_another(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, 1, 2)
    cursor = (await read(store, limit=1)).next_cursor
    await append(store, 3)
    assert len((await read(store, cursor=cursor)).entries) == 2
    await append(store, cut=2)
    with pytest.raises(CursorExpired):
        await read(store, cursor=cursor)
    cursor = (await read(store)).next_cursor
    await put(store, mode="replace")
    with pytest.raises(CursorExpired):
        await read(store, cursor=cursor)
    for forged in ("~", "~WyJlIl0", cursor + "x", cursor.removeprefix("~"), "0"):
        with pytest.raises(Invalid):
            await read(store, cursor=forged)


async def test_a_page_is_cut_where_it_would_be_large(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await append(store, *("x" * 400_000 for _ in range(5)))
    page = await read(store)
    assert (len(page.entries), page.more) == (2, True)
    assert [entry.seq for entry in (await read(store, newest=True)).entries] == [3, 4]
    assert len(await read_all(store)) == 5


async def test_journals_are_listed_by_sort_and_key_and_status(backend: Backend) -> None:
    store = await backend.state()
    for key, sort, status in (("a", "1", "x"), ("b", "2", "y"), ("c", "2", "x"), ("é", "", None), ("d", "", "x")):
        await put(store, key, sort=sort, status=status, head=key)
    await put(store, "elsewhere", space="other")
    page = await store.list_journals(SPACE)
    assert [plain(journal.head) for journal in page.journals] == ["c", "b", "a", "é", "d"]
    assert page.next_cursor is None
    found, cursor = [], None
    while True:
        page = await store.list_journals(SPACE, status="x", limit=1, cursor=cursor)
        found += [journal.key for journal in page.journals]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == ["c", "a", "d"]
    with pytest.raises(Invalid):
        await store.list_journals(SPACE, cursor="~forged")


async def test_a_page_of_journals_with_large_heads_is_cut(backend: Backend) -> None:
    store = await backend.state()
    for key in "abc":
        await put(store, key, head="x" * 600_000)
    page = await store.list_journals(SPACE)
    assert [journal.key for journal in page.journals] == ["c"]
    assert [journal.key for journal in (await store.list_journals(SPACE, cursor=page.next_cursor)).journals] == ["b"]


async def test_what_was_deleted_can_be_created_anew(backend: Backend) -> None:
    store = await backend.state()
    await put(store, head=1)
    await append(store, ("x", 1))
    await store.delete_journal(SPACE, KEY)
    await store.delete_journal(SPACE, KEY)
    with pytest.raises(NotFound):
        await store.get_journal(SPACE, KEY)
    assert (await put(store, head=2))[1]
    appended, is_new = await append(store, ("x", 2))
    assert (appended.first, is_new) == (0, True)


async def test_a_page_may_begin_beyond_an_entry_and_may_be_one_entry(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    await put(store, "other")
    await append(store, ("elsewhere", "other"), key="other")
    await append(store, "first", ("a", "a"), ("large", "é" * 1_000_000), ("b", "b"), "last")

    async def found(**query: Any) -> tuple[list[Any], bool]:
        page = await read(store, **query)
        return [plain(entry.data)[:5] for entry in page.entries], page.more

    assert await found(only="b") == (["b"], False)
    assert await found(only="b", newest=True) == (["b"], False)
    assert await found(only="large") == (["é" * 5], False)
    assert await found(beyond="a") == (["é" * 5], True)
    assert await found(beyond="large") == (["b", "last"], False)
    assert await found(beyond="b", newest=True) == (["é" * 5], True)
    assert await found(beyond="large", newest=True, limit=1) == (["a"], True)
    assert await found(beyond="b", before=4) == ([], False)
    for unknown in ("c", "elsewhere"):
        for query in ({"only": unknown}, {"beyond": unknown}, {"beyond": unknown, "newest": True}):
            assert await found(**query) == ([], False)
    page = await read(store, beyond="a", limit=1)
    assert [plain(entry.data)[:5] for entry in (await read(store, cursor=page.next_cursor)).entries] == ["b", "last"]
    page = await read(store, only="c")
    assert plain((await read(store, cursor=page.next_cursor)).entries[0].data) == "first"


async def test_what_is_moved_here_keeps_its_time_and_nothing_older_comes_over_it(backend: Backend) -> None:
    store = await backend.state()
    await append(store, ("a", 1), create=True, updated_at=5_000)
    moved = await store.get_journal(SPACE, KEY)
    assert (moved.updated_at, moved.created_at > 5_000) == (5_000, True)
    await append(store, ("a", 2), cut=0, create=True, updated_at=5_000)  # of the same time, it may go on
    with pytest.raises(Stale) as caught:
        await append(store, ("a", 3), cut=0, create=True, updated_at=4_999)
    assert caught.value.details == {"reason": "older", "updatedAt": 5_000}
    await append(store, ("a", 4), cut=0, create=True, updated_at=7_000, head={"h": 1})
    assert await contents(store) == [4]
    assert (await store.get_journal(SPACE, KEY)).updated_at == 7_000
    await append(store, 5)
    assert (await store.get_journal(SPACE, KEY)).updated_at > 1_700_000_000_000


async def test_journals_are_listed_in_the_order_in_which_they_were_written(backend: Backend) -> None:
    store = await backend.state()
    for key, time in (("b", 2_000), ("c", 1_000), ("a", 2_000), ("z", 500), ("y", 9_000)):
        await append(store, 1, key=key, create=True, updated_at=time, head=key)
    await store.delete_journal(SPACE, "z")
    assert [journal.key for journal in (await store.list_journals(SPACE, order="updated")).journals] == list("caby")
    found, cursor = [], None
    while True:
        page = await store.list_journals(SPACE, order="updated", cursor=cursor, limit=1)
        found += [(journal.key, plain(journal.head)) for journal in page.journals]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        if len(found) == 2:
            await append(store, 1, key="c")  # it is met again, at the end
    assert found == [(key, key) for key in "cabyc"]
    with pytest.raises(Invalid):
        await store.list_journals(
            SPACE, order="updated", cursor=(await store.list_journals(SPACE, limit=1)).next_cursor
        )
