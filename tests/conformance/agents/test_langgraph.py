"""LangGraph's checkpointer over every back end, beyond what LangGraph's own kit tests: see scripts/suites."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, _DeltaSnapshot
from langgraph.types import Command, Interrupt, Send

from support.backends import Backend
from support.graphs import Graph, build, plain
from threadkeep.adapters.langgraph import StaleWriteOwner, ThreadkeepSaver
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.errors import Invalid, Stale, TooLarge

pytestmark = pytest.mark.anyio

THREAD = "a thread/with 'quotes'"


class Colour(enum.StrEnum):
    RED = "red"


class Point(pydantic.BaseModel):
    x: int


@dataclasses.dataclass
class Pair:
    one: Any
    other: Any


SERIALIZER = JsonPlusSerializer(allowed_msgpack_modules=[(__name__, "Colour"), (__name__, "Point"), (__name__, "Pair")])


def serialized(value: Any) -> Any:
    """A value as the serializer gives it back: of a tuple in a list it makes a list."""
    return SERIALIZER.loads_typed(SERIALIZER.dumps_typed(value))


def over(store: StateStore, **options: Any) -> ThreadkeepSaver:
    """The checkpointer of one user, over a store."""
    return ThreadkeepSaver(lambda _user: store, user="anybody", serde=SERIALIZER, **options)


def config_of(thread: str = THREAD, ns: str = "", checkpoint: str | None = None) -> Any:
    named = {} if checkpoint is None else {"checkpoint_id": checkpoint}
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, **named}}


async def put(
    saver: ThreadkeepSaver,
    config: Any,
    values: dict[str, Any] | None = None,
    *,
    new: set[str] | None = None,
    versions: dict[str, Any] | None = None,
    **metadata: Any,
) -> Any:
    """Put a checkpoint with these values, of which all are new unless it is said which; return its config."""
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6(clock_seq=-1))
    checkpoint["channel_values"] = values or {}
    checkpoint["channel_versions"] = versions if versions is not None else dict.fromkeys(values or {}, "1")
    fresh = {name: version for name, version in checkpoint["channel_versions"].items() if new is None or name in new}
    return await saver.aput(config, checkpoint, {"source": "loop", "step": 0, "parents": {}, **metadata}, fresh)


async def kept(saver: ThreadkeepSaver, config: Any) -> CheckpointTuple:
    found = await saver.aget_tuple(config)
    assert found is not None
    return found


# What is kept.

OBJECTS = {
    "none": None,
    "numbers": [True, -1, 2**63, 1.5, float("inf")],
    "text": "half a \ud83d character, \0 and é" * 20,
    "bytes": b"\x00\xff" * 1000,
    "bytearray": bytearray(b"\x00"),
    "collections": {"tuple": (1, 2), "set": {1}, "frozen": frozenset({2})},
    "times": [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.timedelta(1), dt.date(2026, 1, 2)],
    "ids": [uuid.UUID(int=1), decimal.Decimal("1.10")],
    "messages": [HumanMessage("Hello", id="1"), AIMessage([{"type": "text", "text": "Hi"}], id="2")],
    "send": Send("node", {"a": 1}),
    "interrupt": (Interrupt(value={"why": 1}, id="x"),),
    "snapshot": _DeltaSnapshot([1, 2]),
    "model": Point(x=1),
    "dataclass": Pair(1, (2,)),
    "enum": Colour.RED,
    "short": "x" * 200,
    "long": "x" * 201,
    "large": ["é" * 700_000, "x" * 900_000],
    "empty": "",
}


async def test_whatever_the_serializer_takes_comes_back(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of(), OBJECTS)
    await saver.aput_writes(config, [*OBJECTS.items()], "task")
    found = await kept(saver, config)
    for channel, value in ((channel, value) for _, channel, value in found.pending_writes or []):
        expected = serialized(OBJECTS[channel])
        assert found.checkpoint["channel_values"][channel] == value == expected
        assert type(found.checkpoint["channel_values"][channel]) is type(value) is type(expected)
    assert len(found.pending_writes or []) == len(found.checkpoint["channel_values"]) == len(OBJECTS)


async def test_small_plain_values_stand_in_the_checkpoint_and_others_once_for_each_version(backend: Backend) -> None:
    store = await backend.state()
    saver = over(store)
    values = {
        "number": 1,
        "short": "x" * 200,
        "flag": True,
        "none": None,
        "long": "x" * 201,
        "list": [1],
        "enum": Colour.RED,
    }
    first = await put(saver, config_of(), values)
    second = await put(
        saver, first, {**values, "list": [1, 2]}, new={"list"}, versions=dict.fromkeys(values, "1") | {"list": "2"}
    )
    page = await service.list_checkpoints(store, THREAD)
    apart = {"long": "1", "list": "1", "enum": "1"}
    inline = dict.fromkeys(["number", "short", "flag", "none"])
    assert [checkpoint.stored for checkpoint in page.checkpoints] == [
        {**inline, **apart, "list": "2"},
        {**inline, **apart},
    ]
    assert sorted((value.channel, value.version) for value in page.values) == [
        ("enum", "1"),
        ("list", "1"),
        ("list", "2"),
        ("long", "1"),
    ]
    assert (await kept(saver, first)).checkpoint["channel_values"] == values
    assert (await kept(saver, second)).checkpoint["channel_values"] == {**values, "list": [1, 2]}


async def test_a_value_whose_channel_has_no_version_is_not_lost(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of(), {"channel": ["x"]}, versions={})
    assert (await kept(saver, config)).checkpoint["channel_values"] == {"channel": ["x"]}


async def test_many_writes_of_one_task_are_all_kept_in_order(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of())
    writes = [("channel", index) for index in range(1_234)]
    await saver.aput_writes(config, writes, "task")
    await saver.aput_writes(config, [], "another task")
    assert [write[2] for write in (await kept(saver, config)).pending_writes or []] == list(range(1_234))


async def test_writes_that_are_large_together_are_all_kept(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of())
    writes = [("channel", bytes([index]) * 2_200_000) for index in range(3)]
    await saver.aput_writes(config, writes, "task")
    assert [write[1:] for write in (await kept(saver, config)).pending_writes or []] == writes


async def test_writes_come_by_path_and_task_and_special_ones_replace(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of())
    await saver.aput_writes(config, [("b", 1), ("a", 2)], "2", "~pull, one")
    await saver.aput_writes(config, [("a", 3), (RESUME, "old"), (ERROR, "old"), (INTERRUPT, "old")], "1", "~pull, two")
    await saver.aput_writes(config, [("a", 4)], "9")
    await saver.aput_writes(config, [("a", "again"), (RESUME, "new")], "1", "~pull, two")
    assert (await kept(saver, config)).pending_writes == [
        ("9", "a", 4),
        ("2", "b", 1),
        ("2", "a", 2),
        ("1", RESUME, "new"),
        ("1", INTERRUPT, "old"),
        ("1", ERROR, "old"),
        ("1", "a", 3),
    ]


async def test_a_list_has_several_pages_and_is_as_long_as_it_is_asked_for(backend: Backend) -> None:
    saver = over(await backend.state())
    config, ids = config_of(), []
    for step in range(105):
        config = await put(
            saver, config, {"n": step}, step=step, odd=step % 2 == 1, **{"a.b": {"y": [step], "x": None}}
        )
        ids.append(config["configurable"]["checkpoint_id"])
    newest = ids[::-1]

    async def listed(**query: Any) -> list[str]:
        return [found.checkpoint["id"] async for found in saver.alist(query.pop("config", config_of()), **query)]

    assert await listed() == await listed(config=config_of(checkpoint="")) == newest
    assert (await kept(saver, config_of(checkpoint=""))).checkpoint["id"] == newest[0]
    assert await listed(limit=103) == newest[:103]
    assert await listed(limit=0) == await listed(limit=-1) == []
    assert await listed(limit=2, before=config_of(checkpoint=ids[50])) == [ids[49], ids[48]]
    assert await listed(filter={"odd": True, "source": "loop"}) == ids[103::-2]
    assert await listed(filter={"a.b": {"x": None, "y": [7]}}) == [ids[7]]
    assert await listed(filter={"step": "7"}) == []
    assert await listed(config=None, filter={"step": 7}) == [ids[7]]
    assert await listed(config=config_of(checkpoint=ids[3])) == [ids[3]]
    assert await listed(config=config_of(ns="other")) == []


async def test_a_thread_expires_after_its_last_checkpoint(backend: Backend) -> None:
    store = await backend.state()
    await put(over(store, expires_in=dt.timedelta(days=90)), config_of())
    (thread,) = (await store.list_threads()).threads
    assert thread.expires_at == thread.updated_at + 90 * 86_400_000


async def test_versions_of_two_branches_differ(backend: Backend) -> None:
    saver = over(await backend.state())
    one, other = saver.get_next_version(None, None), saver.get_next_version(None, None)
    assert one != other
    assert (
        max(one, other)
        < saver.get_next_version(one, None)
        < saver.get_next_version(saver.get_next_version(one, None), None)
    )


# What channels became.


async def chain(saver: ThreadkeepSaver, *steps: dict[str, Any], ns: str = "") -> list[Any]:
    """Checkpoints one after the other, each with the values of its step, and its number as a write to `a` and `b`."""
    config, configs = config_of(ns=ns), []
    for number, values in enumerate(steps):
        config = await put(saver, config, values, versions=dict.fromkeys(values, str(number)))
        await saver.aput_writes(config, [("a", number), ("b", -number)], f"task {number}")
        configs.append(config)
    return configs


async def history(saver: ThreadkeepSaver, config: Any, *channels: str) -> dict[str, tuple[Any, list[Any]]]:
    found = await saver.aget_delta_channel_history(config=config, channels=list(channels))
    return {name: (entry.get("seed", "none"), [write[2] for write in entry["writes"]]) for name, entry in found.items()}


async def test_the_writes_since_the_nearest_value_come_oldest_first(backend: Backend) -> None:
    saver = over(await backend.state())
    configs = await chain(
        saver, {"a": _DeltaSnapshot([0])}, {}, {"a": _DeltaSnapshot([9]), "b": "plain"}, {}, {}, ns="ns"
    )
    assert await history(saver, configs[-1], "a", "b") == {"a": (_DeltaSnapshot([9]), [2, 3]), "b": ("plain", [-2, -3])}
    assert await history(saver, config_of(ns="ns"), "a") == {"a": (_DeltaSnapshot([9]), [2, 3])}
    assert await history(saver, configs[2], "a", "b") == {"a": (_DeltaSnapshot([0]), [0, 1]), "b": ("none", [0, -1])}
    assert await history(saver, configs[0], "a") == {"a": ("none", [])}
    assert await history(saver, configs[-1], "c") == {"c": ("none", [])}
    assert await history(saver, configs[-1]) == {}
    assert await history(saver, config_of("nothing"), "a") == {"a": ("none", [])}


async def test_parallel_writes_come_by_path_and_a_fork_sees_only_its_own_branch(backend: Backend) -> None:
    saver = over(await backend.state())
    first = await put(saver, config_of())
    await saver.aput_writes(first, [("a", "second")], "0", "~pull, 2")
    await saver.aput_writes(first, [("a", "first")], "9", "~pull, 1")
    await saver.aput_writes(first, [("a", "input")], "5")
    one, other = await put(saver, first), await put(saver, first)
    await saver.aput_writes(one, [("a", "of one")], "1")
    head = await put(saver, other)
    assert await history(saver, head, "a") == {"a": ("none", ["input", "first", "second"])}
    assert await history(saver, await put(saver, one), "a") == {"a": ("none", ["input", "first", "second", "of one"])}


async def test_a_long_history_comes_in_pages(backend: Backend) -> None:
    saver = over(await backend.state())
    config = await put(saver, config_of(), {"a": ["seed"]})
    for number in range(4):
        await saver.aput_writes(config, [("a", f"{number}" * 700_000)], "task")
        config = await put(saver, config)
    (seed, writes) = (await history(saver, config, "a"))["a"]
    assert seed == ["seed"]
    assert [write[0] for write in writes] == ["0", "1", "2", "3"]
    assert {len(write) for write in writes} == {700_000}


# A real graph.


def told(saver: Any) -> tuple[Graph, list[str]]:
    """A graph, and what its nodes tell."""
    nodes: list[str] = []
    return build(saver, nodes.append), nodes


async def seen(graph: Graph, config: Any) -> list[Any]:
    """The history of a graph."""
    return [
        (plain(state.values), sorted(state.next), (state.metadata or {})["step"])
        async for state in graph.aget_state_history(config)
    ]


async def test_a_graph_with_a_question_is_as_it_is_in_memory(backend: Backend) -> None:
    results = []
    for saver in (InMemorySaver(), over(await backend.state())):
        graph, nodes = told(saver)
        asked = await graph.ainvoke({"topic": "monads"}, config_of(), durability="sync")
        (question,) = asked.pop("__interrupt__")
        assert (await graph.aget_state(config_of())).next == ("ask",)
        done = await graph.ainvoke(Command(resume="both"), config_of(), durability="sync")
        again = await graph.ainvoke({"topic": "more"}, config_of(), durability="sync")
        again.pop("__interrupt__")
        states = await seen(graph, config_of())
        results.append((question.value, plain(asked), plain(done), plain(again), states, sorted(nodes)))
    assert results[0] == results[1]


async def test_pruning_changes_no_value_however_often(backend: Backend) -> None:
    saver = over(await backend.state())
    graph = build(saver)
    for topic in ("one", "two"):
        await graph.ainvoke({"topic": topic}, config_of())
        await graph.ainvoke(Command(resume="both"), config_of())
    await graph.ainvoke({"topic": "three"}, config_of())
    before = await graph.aget_state(config_of())
    await saver.acopy_thread(THREAD, "copy")
    counts = []
    for _ in range(2):
        await saver.aprune([THREAD])
        after = await graph.aget_state(config_of())
        assert (after.values, after.next, after.tasks) == (before.values, before.next, before.tasks)
        counts.append(len([found async for found in saver.alist(config_of())]))
    assert counts[0] == counts[1] < len([found async for found in saver.alist(config_of("copy"))])
    expected = plain(await graph.ainvoke(Command(resume="both"), config_of("copy")))
    assert plain(await graph.ainvoke(Command(resume="both"), config_of())) == expected
    await saver.aprune([THREAD], strategy="delete")
    assert await saver.aget_tuple(config_of()) is None
    assert plain((await graph.aget_state(config_of("copy"))).values) == expected


async def test_what_nobody_has_written_to_for_some_time_is_pruned(backend: Backend) -> None:
    saver = over(await backend.state())
    for _ in range(3):
        await put(saver, config_of(), {"a": [1]})
    await saver.aprune_idle(dt.timedelta(days=1))
    assert len([found async for found in saver.alist(config_of())]) == 3
    await saver.aprune_idle(dt.timedelta(days=-1))
    assert len([found async for found in saver.alist(config_of())]) == 1
    await saver.aprune_idle(dt.timedelta(days=-1), strategy="delete")
    assert await saver.aget_tuple(config_of()) is None


async def test_the_checkpoints_of_a_run_are_deleted(backend: Backend) -> None:
    saver = over(await backend.state())
    config = config_of()
    for number, run in enumerate(["one", "two", "one"]):
        config = await put(saver, config, {"a": [run]}, versions={"a": number}, run_id=run)
    await saver.adelete_for_runs(["one", "three"])
    (left,) = [found async for found in saver.alist(config_of())]
    assert left.checkpoint["channel_values"] == {"a": ["two"]}


# Who writes.


async def test_who_has_lost_a_thread_is_told_so_and_writes_nothing(backend: Backend) -> None:
    saver = over(await backend.state())
    first = await saver.aclaim_write_ownership(THREAD)
    begun = await put(first, config_of(), {"a": 1})
    second = await saver.aclaim_write_ownership(THREAD)
    mine = await put(second, begun, {"a": 2})
    await second.aput_writes(mine, [("a", "mine"), (RESUME, "mine")], "task")
    attempts: list[Callable[[], Any]] = [
        lambda: put(first, begun, {"a": 3}),
        lambda: first.aput_writes(mine, [("a", "theirs")], "another task"),
        lambda: first.aput_writes(mine, [("a", "theirs"), (RESUME, "theirs")], "task"),
        lambda: put(saver, begun, {"a": 3}),
    ]
    for attempt in attempts * 2:
        with pytest.raises(StaleWriteOwner) as caught:
            await attempt()
        assert caught.value.is_stale_write_owner_error
        assert isinstance(caught.value, Stale)
    found = await kept(saver, config_of())
    assert found.config == mine
    assert found.pending_writes == [("task", RESUME, "mine"), ("task", "a", "mine")]
    assert len([each async for each in saver.alist(config_of())]) == 2
    await second.aput_writes(mine, [("a", "mine")], "task")  # a repeat, and no refusal


async def test_a_claim_is_on_one_thread_and_a_copy_into_it_needs_it(backend: Backend) -> None:
    saver = over(await backend.state())
    await put(saver, config_of("source"), {"a": 1})
    owner = await saver.aclaim_write_ownership(THREAD)
    both = await owner.aclaim_write_ownership("other")
    await put(both, config_of("other"), {"a": 1})
    await put(both, config_of("free"), {"a": 1})
    with pytest.raises(StaleWriteOwner):
        await saver.acopy_thread("source", THREAD)
    await both.acopy_thread("source", THREAD)
    assert (await kept(saver, config_of())).checkpoint["channel_values"] == {"a": 1}


async def test_a_graph_whose_thread_is_taken_over_stops(backend: Backend) -> None:
    saver = over(await backend.state())
    graph = build(await saver.aclaim_write_ownership(THREAD))
    await graph.ainvoke({"topic": "monads"}, config_of())
    other = build(await saver.aclaim_write_ownership(THREAD))
    with pytest.raises(StaleWriteOwner):
        await graph.ainvoke(Command(resume="mine"), config_of(), durability="sync")
    done = await other.ainvoke(Command(resume="both"), config_of(), durability="sync")
    assert done["answer"] == "both"


# What is refused.


async def test_what_cannot_be_kept_is_refused_and_nothing_is_lost(backend: Backend) -> None:
    saver = over(await backend.state())
    first = await put(saver, config_of(), {"a": [1]}, note="half \ud83d \0 é")
    for metadata, said in (({"x": object()}, "JSON"), ({"x": float("nan")}, "JSON"), ({"x": {1, 2}}, "JSON")):
        with pytest.raises(ValueError, match=said):
            await put(saver, first, {"a": [2]}, **metadata)
    with pytest.raises(TooLarge):
        await put(saver, first, {"a": [2]}, x="x" * 70_000)
    for thread in ("", "a\nb", "x" * 513):
        with pytest.raises(Invalid):
            await put(saver, config_of(thread), {"a": [2]})
    with pytest.raises(ValueError, match="'keep_everything', and has to be one of keep_latest, delete"):
        await saver.aprune([THREAD], strategy="keep_everything")
    found = await kept(saver, config_of())
    assert found.config == first
    assert found.metadata["note"] == "half ?  é"  # type: ignore[typeddict-item]
    assert [each.config async for each in saver.alist(config_of(), filter={"note": "half \ud83d  é"})] == [first]
