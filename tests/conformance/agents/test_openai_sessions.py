"""Sessions of the OpenAI Agents SDK over every store: what its own tests ask, and what they cannot know of ours."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession
from agents.memory import OpenAIResponsesCompactionSession, SessionSettings
from cryptography.fernet import InvalidToken
from msgspec import Raw

from support.backends import Backend
from threadkeep.adapters import openai_agents
from threadkeep.adapters.openai_agents import SPACE, ThreadkeepSession
from threadkeep.adapters.openai_agents_encrypted import EncryptedThreadkeepSession
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import EntryPage, NewEntries, NewEntry
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.store import StateStore
from threadkeep.errors import Invalid, Stale, Unavailable

pytestmark = pytest.mark.anyio

KEY = 'alice/1 "of" [ours]'


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def numbered(*numbers: int) -> list[Any]:
    return [user(str(number)) for number in numbers]


class Meddling:
    """A store in which somebody else writes just before or after what it is asked for, once."""

    def __init__(self, store: StateStore, name: str, other: Any, *, before: bool = True) -> None:
        self._store = store
        self._name = name
        self._other = other
        self._before = before

    def __getattr__(self, name: str) -> Any:
        wanted = getattr(self._store, name)
        if name != self._name:
            return wanted

        async def with_another(*args: Any, **options: Any) -> Any:
            self._name = ""
            if self._before:
                await self._other()
                return await wanted(*args, **options)
            answer = await wanted(*args, **options)
            await self._other()
            return answer

        return with_another


async def test_items_come_back_in_order_and_as_they_were(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    assert await session.get_items() == []
    strange = [
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": 'é漢😀 \x00 "\\ </script>',
            "b": None,
            "a": [1.5, 10**30],
        },
        {"half": "\ud800", "number": float("inf")},
        {"$json": "1"},
        {"$json": 1},
    ]
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    strange.append({"deep": deep, "text": "[" * 200})
    await session.add_items(strange)
    await session.add_items([])
    await session.add_items(numbered(1))
    items = await session.get_items()
    assert items == [*strange, *numbered(1)]
    assert list(items[0]) == ["type", "call_id", "output", "b", "a"]
    with pytest.raises(TypeError):
        await session.add_items([object()])
    assert len(await session.get_items()) == 6


async def test_a_limit_is_that_of_the_call_or_that_of_the_session(backend: Backend) -> None:
    store = await backend.state()
    session = ThreadkeepSession(KEY, store, session_settings={"limit": 2})
    await session.add_items(numbered(*range(5)))
    assert await session.get_items() == numbered(3, 4)
    assert await session.get_items(0) == []
    assert await session.get_items(3) == numbered(2, 3, 4)
    assert await session.get_items(-1) == await session.get_items(2**31 - 1) == numbered(*range(5))
    session.session_settings = SessionSettings(limit=None)
    assert await session.get_items() == numbered(*range(5))


async def test_many_and_large_items_go_in_parts_and_come_in_pages(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    items = [*numbered(*range(2_500)), *(user(letter * 1_500_000) for letter in "abcd")]
    await session.add_items(items)
    assert await session.get_items() == items
    assert await session.get_items(1_200) == items[-1_200:]


async def test_sessions_and_users_have_items_of_their_own(backend: Backend) -> None:
    store, another = await backend.state(), await backend.state()
    one, two, other = ThreadkeepSession("1", store), ThreadkeepSession("2", store), ThreadkeepSession("1", another)
    for number, session in enumerate((one, two, other)):
        await session.add_items(numbered(number))
    await two.clear_session()
    assert await one.get_items() == numbered(0)
    assert await two.get_items() == []
    assert await other.get_items() == numbered(2)
    await two.clear_session()


async def test_popping_takes_the_newest_each_once_however_many_pop(backend: Backend) -> None:
    store = await backend.state()
    sessions = [ThreadkeepSession(KEY, store) for _ in range(8)]
    assert await sessions[0].pop_item() is None
    await sessions[0].add_items(numbered(*range(6)))
    assert await sessions[0].pop_item() == user("5")
    popped = await asyncio.gather(*(session.pop_item() for session in sessions))
    assert sorted(item["content"] for item in popped if item) == ["0", "1", "2", "3", "4"]
    assert popped.count(None) == 3
    assert await sessions[0].get_items() == []


async def test_writers_at_once_each_keep_what_they_add(backend: Backend) -> None:
    store = await backend.state()
    sessions = [ThreadkeepSession(KEY, store) for _ in range(8)]
    await asyncio.gather(*(session.add_items(numbered(n, n)) for n, session in enumerate(sessions)))
    items = [item["content"] for item in await sessions[0].get_items()]
    assert sorted(items) == sorted(2 * [str(n) for n in range(8)])
    assert items[::2] == items[1::2]


async def test_what_is_popped_is_the_newest_even_where_another_writes_meanwhile(backend: Backend) -> None:
    store = await backend.state()
    other = ThreadkeepSession(KEY, store)
    await other.add_items(numbered(1))
    meddling = Meddling(store, "append_entries", lambda: other.add_items(numbered(2)))
    assert await ThreadkeepSession(KEY, meddling).pop_item() == user("2")
    assert await other.get_items() == numbered(1)
    meddling = Meddling(store, "append_entries", other.clear_session)
    assert await ThreadkeepSession(KEY, meddling).pop_item() is None


async def test_an_item_that_does_not_pass_is_not_popped(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    await session.add_items(numbered(1, 2))
    entered, release, at = threading.Event(), threading.Event(), threading.get_ident()

    def refuse(item: Any) -> None:
        entered.set()
        assert release.wait(10)
        raise ValueError(item["content"], threading.get_ident() == at)

    popping = asyncio.create_task(session._pop_item_with_validation(refuse))
    assert await asyncio.to_thread(entered.wait, 10)
    await session.add_items(numbered(3))  # the loop goes on
    release.set()
    with pytest.raises(ValueError, match="2") as caught:
        await popping
    assert caught.value.args == ("2", False)
    assert await session.get_items() == numbered(1, 2, 3)
    assert await session._pop_item_with_validation(lambda item: None) == user("3")


async def test_a_reader_sees_one_moment_even_where_another_removes_meanwhile(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_agents, "ENTRIES_MAX", 3)
    store = await backend.state()
    other = ThreadkeepSession(KEY, store)
    await other.add_items(numbered(*range(8)))
    meddling = Meddling(store, "read_entries", lambda: other._atomic_replace_items(numbered(9)), before=False)
    assert await ThreadkeepSession(KEY, meddling).get_items() == numbered(9)
    await other.add_items(numbered(*range(8)))
    meddling = Meddling(store, "read_entries", lambda: other.add_items(numbered(8)), before=False)
    assert await ThreadkeepSession(KEY, meddling).get_items() == numbered(9, *range(8))


async def test_a_write_ends_before_its_caller_is_cancelled(backend: Backend) -> None:
    store = await backend.state()
    other = ThreadkeepSession(KEY, store)
    release = asyncio.Event()

    async def cancelled(fails: bool) -> None:
        async def wait() -> None:
            release.set()
            await asyncio.sleep(0)
            adding.cancel()
            await asyncio.sleep(0)
            adding.cancel()
            if fails:
                raise Unavailable("It fails.")

        adding = asyncio.create_task(
            ThreadkeepSession(KEY, Meddling(store, "append_entries", wait)).add_items(numbered(1))
        )
        with pytest.raises(asyncio.CancelledError):
            await adding

    await cancelled(fails=False)
    assert await other.get_items() == numbered(1)
    await cancelled(fails=True)
    assert await other.get_items() == numbered(1)


async def test_the_newest_items_are_replaced_at_once_if_they_still_are_the_newest(backend: Backend) -> None:
    store = await backend.state()
    session, other = ThreadkeepSession(KEY, store), ThreadkeepSession(KEY, store)
    empty = await session._get_compaction_snapshot(3)
    assert empty is not None
    assert (empty.items, empty.complete) == ([], True)
    assert not await empty.replace_suffix(0, numbered(1))
    await session.add_items(numbered(*range(4)))
    for limit, complete in ((3, False), (4, True), (5, True)):
        snapshot = await session._get_compaction_snapshot(limit)
        assert snapshot is not None
        assert (snapshot.items, snapshot.complete) == (numbered(*range(4))[-limit:], complete)
    assert not await snapshot.replace_suffix(4, numbered(1))
    assert not await snapshot.replace_suffix(0, numbered(*range(1_001)))
    assert await snapshot.replace_suffix(1, numbered(8, 9))
    assert await session.get_items() == numbered(0, 8, 9)
    assert not await snapshot.replace_suffix(0, [])
    for meanwhile in (other.add_items(numbered(10)), other.pop_item(), other.clear_session()):
        snapshot = await session._get_compaction_snapshot(9)
        assert snapshot is not None
        await meanwhile
        assert not await snapshot.replace_suffix(0, numbered(99))
    await other.add_items(numbered(1))
    snapshot = await session._get_compaction_snapshot(9)
    assert snapshot is not None
    await other.clear_session()
    await other.add_items(numbered(2))  # another journal, at the same version
    assert not await snapshot.replace_suffix(0, numbered(99))
    assert await session.get_items() == numbered(2)


async def test_a_replacement_loses_nothing_that_comes_in_its_last_moment(backend: Backend) -> None:
    store = await backend.state()
    other = ThreadkeepSession(KEY, store)
    await other.add_items(numbered(1))
    session = ThreadkeepSession(KEY, Meddling(store, "append_entries", lambda: other.add_items(numbered(2))))
    snapshot = await session._get_compaction_snapshot(9)
    assert snapshot is not None
    assert not await snapshot.replace_suffix(0, [])
    assert await other.get_items() == numbered(1, 2)


async def test_the_oldest_items_go_with_a_replacement_where_they_are_to_be_pruned(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    await session.add_items(numbered(0, 1, 2, 0, 4))
    snapshot = await session._get_compaction_snapshot(2, prune_prefix=lambda item: item in numbered(0, 1, 4))
    assert snapshot is not None
    assert await snapshot.replace_suffix(1, numbered(9))
    assert await session.get_items() == numbered(2, 0, 9)


async def test_all_items_are_replaced_at_once(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    assert await session._atomic_replace_items(numbered(1))
    assert await session._atomic_replace_items(numbered(2, 3))
    assert await session.get_items() == numbered(2, 3)
    assert not await session._atomic_replace_items(numbered(*range(1_001)))
    assert await session._atomic_replace_items([])
    assert await session.get_items() == []


class Shouting(ThreadkeepSession):
    """A session that keeps items in a way of its own."""

    async def add_items(self, items: list[Any]) -> None:
        await super().add_items([{**item, "content": item["content"].upper()} for item in items])


async def test_a_subclass_with_ways_of_its_own_is_not_gone_around(backend: Backend) -> None:
    session = Shouting(KEY, await backend.state())
    await session.add_items([user("a")])
    assert await session._get_compaction_snapshot(9) is None
    assert not await session._atomic_replace_items([user("b")])
    assert await session.get_items() == [user("A")]
    await OpenAIResponsesCompactionSession(KEY, session)._replace_underlying_session_items(
        output_items=[user("c")], previous_items=[user("A")]
    )
    assert await session.get_items() == [user("C")]


async def test_entries_that_others_have_appended_are_items_too(backend: Backend) -> None:
    store = await backend.state()
    session = ThreadkeepSession(KEY, store)
    entries = [NewEntry(data=Raw(b'{"role":"user","content":"0"}')), NewEntry(id="x", data=Raw(b'{"content":1}'))]
    await service.append_entries(store, SPACE, KEY, NewEntries(entries=entries, create=True), request=None)
    assert await session.get_items() == [user("0"), {"content": 1}]
    page: EntryPage = await store.read_entries(SPACE, KEY, EntryQuery())
    assert [entry.id for entry in page.entries] == [None, "x"]
    snapshot = await session._get_compaction_snapshot(1, prune_prefix=lambda item: True)
    assert snapshot is not None
    assert await snapshot.replace_suffix(0, numbered(9))
    assert await session.get_items() == numbered(0, 9)


# Encrypted


def encrypted(session: Any, key: str = "a key", ttl: int = 600) -> EncryptedThreadkeepSession:
    return EncryptedThreadkeepSession(KEY, session, key, ttl=ttl)


async def test_what_another_key_has_encrypted_is_not_popped(backend: Backend) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    right, wrong = encrypted(session), encrypted(session, "another key")
    await right.add_items(numbered(1, 2))
    kept = await session.get_items()
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await wrong.pop_item()
    assert await session.get_items() == kept
    assert await right.pop_item() == user("2")
    await session.add_items([user("plain"), {"__enc__": 1}])
    assert await right.pop_item() == user("1")
    assert await right.pop_item() is None
    assert await session.get_items() == []


@pytest.mark.parametrize("clears", [False, True])
async def test_what_others_do_while_a_key_is_tried_is_kept(backend: Backend, *, clears: bool) -> None:
    store = await backend.state()
    right = encrypted(ThreadkeepSession(KEY, store))
    await right.add_items(numbered(1))
    other = right.clear_session if clears else lambda: right.add_items(numbered(2))
    meddling = ThreadkeepSession(KEY, Meddling(store, "read_entries", other, before=False))
    with pytest.raises(InvalidToken):
        await encrypted(meddling, "another key").pop_item()
    assert await right.get_items() == ([] if clears else numbered(1, 2))


async def test_what_has_expired_goes_with_the_newest_that_is_readable(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ThreadkeepSession(KEY, await backend.state())
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: 1_000)
    await encrypted(session, ttl=10).add_items(numbered(1))
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: 1_020)
    assert await encrypted(session, ttl=60).get_items() == numbered(1)
    assert await encrypted(session, ttl=10).pop_item() is None
    assert await session.get_items() == []


async def test_other_sessions_are_popped_in_their_own_way(backend: Backend) -> None:
    for session in (SQLiteSession(KEY), Shouting(KEY, await backend.state())):
        await session.add_items([user("plain")])
        assert await encrypted(session).pop_item() is None
        assert await session.get_items() == []


# Where they are kept


async def test_sessions_of_one_place_share_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THREADKEEP_USER", raising=False)
    file = tmp_path / "agents.sqlite"
    one, two = ThreadkeepSession("1", file), ThreadkeepSession("2", str(file))
    assert one._connections is two._connections
    assert ThreadkeepSession("1", file, key="k")._connections is not one._connections
    await one.add_items(numbered(1))
    await two.add_items(numbered(2))
    assert await ThreadkeepSession("1", file, user="alice").get_items() == []
    await two.clear_session()
    await one.close()
    assert await ThreadkeepSession("1", file).get_items() == numbered(1)
    assert await two.get_items() == []
    await two.close()
    with pytest.raises(ValueError, match="SQLiteSession"):
        ThreadkeepSession("1", ":memory:")


async def test_a_place_that_is_not_said_or_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THREADKEEP_URL", raising=False)
    with pytest.raises(Invalid, match="THREADKEEP_URL"):
        await ThreadkeepSession("1").get_items()
    with pytest.raises(Unavailable):
        await ThreadkeepSession("1", tmp_path / "none" / "agents.sqlite").get_items()
    with pytest.raises(Invalid, match="key"):
        await ThreadkeepSession("a\n", tmp_path / "agents.sqlite").add_items(numbered(1))
    await ThreadkeepSession("1", tmp_path / "agents.sqlite").close()


async def test_a_replacement_whose_answer_is_lost_is_not_done_twice(backend: Backend) -> None:
    store = await backend.state()
    other = ThreadkeepSession(KEY, store)
    await other.add_items(numbered(1))

    async def lose() -> None:
        await other.add_items(numbered(2))
        raise Stale("Another has written since.", {"reason": "stale"})  # what a retry is told

    session = ThreadkeepSession(KEY, Meddling(store, "append_entries", lose, before=False))
    assert await session._atomic_replace_items(numbered(9))
    assert await other.get_items() == numbered(9, 2)
    session = ThreadkeepSession(KEY, Meddling(store, "append_entries", lambda: other.add_items(numbered(3))))
    assert await session._atomic_replace_items(numbered(8))
    assert await other.get_items() == numbered(8)
