"""LangGraph's checkpointer: whom it asks, from how many threads and event loops, and for whom."""

import asyncio
import datetime as dt
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, StateSnapshot

from support.graphs import State, build, builder, plain
from support.in_process import SERVICE_KEY, over_memory
from threadkeep.adapters.langgraph import StaleWriteOwner, ThreadkeepSaver
from threadkeep.client import transport
from threadkeep.client.states import connect
from threadkeep.errors import Invalid, Unavailable
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.storage.sql.agents import threads

THREAD = "thread"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "USER"):
        monkeypatch.delenv(f"THREADKEEP_{name}", raising=False)


def config_of(user: str = "alice", thread: str = THREAD) -> Any:
    return {"configurable": {"thread_id": thread, "user_id": user}}


def by_config(config: Any) -> str:
    found: str = config["configurable"]["user_id"]
    return found


def put(saver: ThreadkeepSaver, config: Any, **metadata: Any) -> Any:
    checkpoint = empty_checkpoint()
    return saver.put(config, checkpoint, {"source": "loop", "step": 0, "parents": {}, **metadata}, {})


def test_a_graph_that_nobody_awaits_goes_on_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "agents.sqlite"
    with ThreadkeepSaver(file, user="alice") as saver:
        asked = build(saver).invoke({"topic": "monads"}, config_of())
        assert asked["__interrupt__"][0].value == {"which": ["a memory", "a book"]}
    with ThreadkeepSaver(str(file), user="alice") as saver:
        graph = build(saver)
        done = graph.invoke(Command(resume="both"), config_of())
        assert plain(graph.get_state(config_of()).values) == plain(done)
        assert [state.metadata["step"] for state in graph.get_state_history(config_of()) if state.metadata] == [
            *range(5, -2, -1)
        ]
    with ThreadkeepSaver(file, user="bob") as saver:
        assert saver.get_tuple(config_of()) is None


def test_a_graph_within_a_graph_asks_and_goes_on_as_in_memory(tmp_path: Path) -> None:
    results = []
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        for each in (InMemorySaver(), saver):
            outer = StateGraph(State)
            outer.add_node("inner", builder().compile(checkpointer=True))
            outer.add_edge(START, "inner")
            graph = outer.compile(checkpointer=each)
            graph.invoke({"topic": "monads"}, config_of(), durability="exit")
            (task,) = graph.get_state(config_of(), subgraphs=True).tasks
            assert isinstance(task.state, StateSnapshot)
            asked = task.state.values["found"], task.state.next, [interrupt.value for interrupt in task.interrupts]
            done = graph.invoke(Command(resume="both"), config_of())
            results.append((asked, plain(done), graph.get_state(config_of()).next))
        namespaces = {found.config["configurable"]["checkpoint_ns"] for found in saver.list(config_of())}
        assert namespaces == {"", "inner"}
        listed = saver.list({"configurable": {"thread_id": THREAD, "checkpoint_ns": "inner"}})
        assert {found.config["configurable"]["checkpoint_ns"] for found in listed} == {"inner"}
    assert results[0] == results[1]


def test_all_that_is_awaited_can_be_called_without(tmp_path: Path) -> None:
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        first = put(saver, config_of(), run_id="one")
        saver.put_writes(first, [("notes", ["a"])], "task")
        second = put(saver, first, run_id="two")
        history = saver.get_delta_channel_history(config=second, channels=["notes"])
        assert history == {"notes": {"writes": [("task", "notes", ["a"])]}}
        saver.copy_thread(THREAD, "copy")
        assert [found.config for found in saver.list(config_of())] == [second, first]
        assert len(list(saver.list(None, limit=3))) == 3
        saver.delete_for_runs(["one"])
        assert [found.config for found in saver.list(config_of())] == [second]
        saver.prune(["copy"])
        assert len(list(saver.list(config_of(thread="copy")))) == 1
        saver.prune_idle(dt.timedelta(days=-1), strategy="delete")
        assert list(saver.list(None)) == []
        mine = saver.claim_write_ownership(THREAD)
        with pytest.raises(StaleWriteOwner):
            put(saver, config_of())
        put(mine, config_of())
        saver.delete_thread(THREAD)
        assert saver.get_tuple(config_of()) is None


def test_one_checkpointer_serves_several_event_loops_and_threads(tmp_path: Path) -> None:
    saver = ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice")

    async def awaited(number: int) -> int:
        graph = build(saver)
        await asyncio.gather(
            *(graph.ainvoke({"topic": "x"}, config_of(thread=f"{number} {each}")) for each in range(3))
        )
        return len([found async for found in saver.alist(None)])

    counts = [asyncio.run(awaited(number)) for number in range(2)]
    put(saver, config_of())
    threads = [threading.Thread(target=put, args=(saver, config_of(thread=f"thread {each}"))) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [12, 24]
    assert len(list(saver.list(None))) == 24 + 1 + 8
    saver.close()
    assert len(list(saver.list(None))) == 24 + 1 + 8  # it opens again
    asyncio.run(saver.aclose())


@pytest.mark.parametrize(
    "delete",
    [
        lambda saver: saver.delete_thread(THREAD),
        lambda saver: saver.delete_for_runs(["run"]),
        lambda saver: saver.prune([THREAD], strategy="delete"),
        lambda saver: saver.prune_idle(dt.timedelta(days=-1), strategy="delete"),
    ],
)
def test_what_is_deleted_in_a_file_is_overwritten_before_the_call_returns(tmp_path: Path, delete: Any) -> None:
    def kept() -> bool:
        return any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())

    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        put(saver, config_of(), note="secret", run_id="run")
        assert kept()
        delete(saver)
        assert not kept()


def test_a_file_is_closed_for_those_who_await_and_for_those_who_do_not(tmp_path: Path) -> None:
    log = tmp_path / "agents.sqlite-wal"  # which is there as long as anybody has the file open

    async def ask() -> None:
        async with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
            await saver.aget_tuple(config_of())
            assert log.exists()
        assert not log.exists()
        async with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
            saver.get_tuple(config_of())
            assert log.exists()
        assert not log.exists()

    asyncio.run(ask())
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        saver.get_tuple(config_of())
        assert log.exists()
    assert not log.exists()


def test_a_serializer_may_be_the_apps_own(tmp_path: Path) -> None:
    class Mine(JsonPlusSerializer):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            kind, data = super().dumps_typed(obj)
            return f"my {kind}", data

        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            return super().loads_typed((data[0].removeprefix("my "), data[1]))

    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice", serde=Mine()) as saver:
        done = build(saver).invoke({"topic": "monads"}, config_of())
        assert plain(build(saver).get_state(config_of()).values)["topic"] == done["topic"]
    with (
        ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as other,
        pytest.raises(NotImplementedError, match="my msgpack"),
    ):
        other.get_tuple(config_of())


def test_what_is_done_in_parts_is_done_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_COPIED_MAX": 3, "_CHECKPOINTS_MAX": 2, "_THREADS_MAX": 2}.items():
        monkeypatch.setattr(threads, name, value)
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        config = config_of()
        for number in range(8):
            config = put(saver, config, run_id=f"run {number % 2}")
            saver.put_writes(config, [("notes", [number])], "task")
        saver.copy_thread(THREAD, "copy")
        assert len(list(saver.list(config_of(thread="copy")))) == 8
        saver.delete_for_runs(["run 0"])
        assert len(list(saver.list(None))) == 8
        saver.prune([THREAD, "copy"])
        assert len(list(saver.list(None))) == 2
        for number in range(5):
            put(saver, config_of(thread=f"{number}"))
        saver.prune_idle(dt.timedelta(days=-1), strategy="delete")
        assert list(saver.list(None)) == []


class Lossy(httpx.AsyncBaseTransport):
    """Counts what is asked, and loses every third answer, after the server has done it."""

    def __init__(self, under: httpx.AsyncBaseTransport, *, loses: int = 3) -> None:
        self._under = under
        self._loses = loses
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        response = await self._under.handle_async_request(request)
        if self._loses and self.asked % self._loses == 0:
            raise httpx.ReadError("The connection broke.")
        return response


@pytest.mark.anyio
async def test_answers_that_are_lost_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0)
    results = []
    for under in (over_memory(MemoryDatabase()), Lossy(over_memory(MemoryDatabase()))):
        states = await connect("http://threadkeep", key=SERVICE_KEY, transport=under)
        saver = await ThreadkeepSaver(states.of, user="alice").aclaim_write_ownership(THREAD)
        graph = build(saver)
        for topic in ("one", "two"):
            await graph.ainvoke({"topic": topic}, config_of())
            await graph.ainvoke(Command(resume="both"), config_of())
        await saver.acopy_thread(THREAD, "copy")
        await saver.aprune([THREAD])
        listed = [found async for found in saver.alist(None)]
        found = [
            (found.config["configurable"]["thread_id"], found.metadata, len(found.pending_writes or []))
            for found in listed
        ]
        results.append((plain((await graph.aget_state(config_of())).values), found))
    assert isinstance(under, Lossy)
    assert under.asked > 40
    assert results[0] == results[1]


@pytest.mark.anyio
async def test_each_call_is_one_request() -> None:
    counted = Lossy(over_memory(MemoryDatabase()), loses=0)
    states = await connect("http://threadkeep", key=SERVICE_KEY, transport=counted)
    saver = ThreadkeepSaver(states.of, user="alice")
    config, checkpoint = config_of(), empty_checkpoint()
    checkpoint["channel_values"] = {"a": ["x" * 300_000], "b": ["y" * 300_000]}
    checkpoint["channel_versions"] = {"a": "1", "b": "1"}
    metadata: Any = {"source": "loop", "step": 0, "parents": {}}
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: saver.aput(config, checkpoint, metadata, {"a": "1", "b": "1"}),
        lambda: saver.aput_writes({"configurable": {**place, "checkpoint_ns": ""}}, [("a", "x")] * 1_000, "task"),
        lambda: saver.aget_tuple(config),
        lambda: listed(saver),
        lambda: saver.aget_delta_channel_history(config=config, channels=["a", "b"]),
        lambda: saver.acopy_thread(THREAD, "copy"),
        lambda: saver.aprune([THREAD, "copy"]),
        lambda: saver.aclaim_write_ownership("another"),
        lambda: saver.adelete_for_runs(["one", "two"]),
        lambda: saver.adelete_thread(THREAD),
    ]
    place = {"thread_id": THREAD, "checkpoint_id": checkpoint["id"]}
    for number, call in enumerate(calls):
        before = counted.asked
        await call()
        assert counted.asked - before == 1, number


async def listed(saver: ThreadkeepSaver) -> list[Any]:
    return [found async for found in saver.alist(config_of())]


# Whose.


def test_the_user_is_found_in_the_config(tmp_path: Path) -> None:
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user=by_config) as saver:
        graph = build(saver)
        for user in ("alice", "bob"):
            graph.invoke({"topic": user}, config_of(user))
        for user in ("alice", "bob"):
            state = graph.get_state(config_of(user))
            assert state.values["topic"] == user
            assert state.parent_config is not None
            before = graph.get_state(state.parent_config)  # its config is one that the checkpointer made
            assert before.values["topic"] == user
            assert before.metadata is not None
            assert before.metadata["user_id"] == user  # type: ignore[typeddict-item] LangGraph puts it there
        saver.for_user("alice").delete_thread(THREAD)
        assert graph.get_state(config_of("alice")).values == {}
        assert graph.get_state(config_of("bob")).values["topic"] == "bob"
        assert {found.metadata["user_id"] for found in saver.for_user("bob").list(None)} == {"bob"}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "call",
    [
        lambda saver: saver.delete_thread(THREAD),
        lambda saver: saver.delete_for_runs(["run"]),
        lambda saver: saver.prune([THREAD]),
        lambda saver: saver.prune_idle(dt.timedelta(1)),
        lambda saver: saver.copy_thread(THREAD, "copy"),
        lambda saver: saver.claim_write_ownership(THREAD),
        lambda saver: next(saver.list(None)),
    ],
)
def test_without_a_config_the_user_has_to_be_said(tmp_path: Path, call: Any) -> None:
    with (
        ThreadkeepSaver(tmp_path / "agents.sqlite", user=by_config) as saver,
        pytest.raises(ValueError, match="Call `for_user` first"),
    ):
        call(saver)


@pytest.mark.parametrize("user", [None, "", 5])
def test_a_config_without_a_user_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: Any) -> None:
    monkeypatch.setenv("THREADKEEP_USER", "somebody else")
    with (
        ThreadkeepSaver(tmp_path / "agents.sqlite", user=by_config) as saver,
        pytest.raises(ValueError, match=r"The function of the checkpointer returned .* has to return a user's id"),
    ):
        saver.get_tuple(config_of(user))


def test_a_claim_is_not_carried_over_to_another_user(tmp_path: Path) -> None:
    with ThreadkeepSaver(tmp_path / "agents.sqlite", user="alice") as saver:
        mine = saver.claim_write_ownership(THREAD)
        put(mine.for_user("bob"), config_of())
        put(mine, config_of())


# Where.


def test_memory_is_no_place_for_a_checkpointer() -> None:
    with pytest.raises(ValueError, match="LangGraph's own InMemorySaver"):
        ThreadkeepSaver(":memory:", user="alice")


def test_it_has_to_be_said_which_server_to_ask() -> None:
    with ThreadkeepSaver(user="alice") as saver, pytest.raises(Invalid, match="set THREADKEEP_URL"):
        saver.get_tuple(config_of())


def test_a_place_that_cannot_be_used_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with ThreadkeepSaver(folder / "agents.sqlite", user="alice") as saver:
        with pytest.raises(Unavailable):
            put(saver, config_of())
        folder.mkdir()
        put(saver, config_of())


def test_all_who_wait_for_a_place_are_told_that_it_cannot_be_used(tmp_path: Path) -> None:
    async def ask() -> None:
        async with ThreadkeepSaver(tmp_path / "later" / "agents.sqlite", user="alice") as saver:
            asked = [saver.aget_tuple(config_of()) for _ in range(2)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(result) for result in results] == [Unavailable] * 2
            (tmp_path / "later").mkdir()
            assert await saver.aget_tuple(config_of()) is None

    asyncio.run(ask())
