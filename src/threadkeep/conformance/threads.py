"""Threads: checkpoints with their values and writes, what is refused, and that what comes back is what was sent."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from threadkeep.agents.threads import service
from threadkeep.agents.threads.models import CopyThread, DeleteRuns, NewCheckpoint, NewValue, NewWrites, PruneThreads
from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.threads import (
    THREAD,
    copy,
    delete_runs,
    deltas,
    encoded,
    ids,
    latest,
    page,
    pages,
    plain,
    prune,
    put,
    valued,
    write,
    written,
)
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, TooLarge

pytestmark = pytest.mark.anyio

LARGE = "x" * 1_000_000
COUNTERS = "counters_since_delta_snapshot"


async def test_a_checkpoint_comes_back_as_it_was_put(backend: Backend) -> None:
    store = await backend.state()
    metadata = {"source": "loop", "step": 3, "parents": {"b": 1.5, "a": [None, True]}, 'a"\u0000': "\u2028é😀"}
    thread = await put(
        store,
        "1",
        "0",
        values={("messages", "1.2"): ["hi"], ("é", "v"): None},
        stored={"inline": None},
        metadata=metadata,
        expires_in=60,
    )
    assert (thread.thread, thread.epoch, thread.created_at) == (THREAD, 0, thread.updated_at)
    assert thread.expires_at == thread.created_at + 60_000
    found = await page(store)
    (checkpoint,) = found.checkpoints
    assert (checkpoint.thread, checkpoint.ns, checkpoint.id, checkpoint.parent) == (THREAD, "", "1", "0")
    assert (checkpoint.type, plain(checkpoint)) == ("json", "checkpoint 1")
    assert checkpoint.stored == {"messages": "1.2", "é": "v", "inline": None}
    assert _decoded(checkpoint.metadata) == metadata
    assert checkpoint.writes == []
    assert valued(found) == {("messages", "1.2"): ["hi"], ("é", "v"): None}
    assert {(value.thread, value.ns, value.type) for value in found.values} == {(THREAD, "", "json")}
    assert found.next_cursor is None


def _decoded(raw: Any) -> Any:
    return msgspec.json.decode(raw)


@pytest.mark.parametrize("name", ["a/b", '["it\'s", "quoted"]', "%2F?#", "é漢😀", "k" * 512, "...", "~"])
async def test_a_name_is_any_text_without_control_characters(backend: Backend, name: str) -> None:
    store = await backend.state()
    await put(
        store, name, "parent", thread=name, ns=name, values={(name, name): 1}, metadata={name: name, "run_id": name}
    )
    await write(store, name, (name, 2), task=name, path=name, thread=name, ns=name)
    for query in ({}, {"ns": name}, {"ns": name, "id": name}, {"filter": {name: name}}):
        found = await page(store, name, **query)
        assert [(each.ns, each.id, each.parent, written(each.writes)) for each in found.checkpoints] == [
            (name, name, "parent", [(name, 2)])
        ]
        assert valued(found) == {(name, name): 1}
    assert [thread.thread for thread in (await store.list_threads()).threads] == [name]
    await delete_runs(store, name)
    assert await ids(store, name) == []
    await store.delete_thread(name)
    assert (await store.list_threads()).threads == []


@pytest.mark.parametrize("name", ["", "a\n", "\x00", "\x7f", "k" * 513, "é" * 257])
async def test_a_name_that_cannot_be_one_is_refused_and_says_where(backend: Backend, name: str) -> None:
    store = await backend.state()

    def value(**names: str) -> Any:
        new = NewValue(**{"channel": "a", "version": "1", "type": "json", "data": "", **names})
        return service.put_checkpoint(store, THREAD, NewCheckpoint(id="1", type="json", data="", values=[new]))

    calls = {
        "thread": lambda: put(store, "1", thread=name),
        "id": lambda: put(store, name, "parent"),
        "type": lambda: put(store, "1", type=name),
        "stored": lambda: put(store, "1", stored={"a": name}),
        "parent": lambda: put(store, "1", name or "\x00"),
        "values[0].channel": lambda: value(channel=name),
        "values[0].version": lambda: value(version=name),
        "values[0].type": lambda: value(type=name),
        "task": lambda: write(store, "1", task=name),
        "checkpoint": lambda: write(store, name),
        "writes[0].channel": lambda: write(store, "1", (name, 1)),
        "threads[0]": lambda: prune(store, name),
        "runs[0]": lambda: delete_runs(store, name),
        "channels[0]": lambda: deltas(store, name),
        "source": lambda: copy(store, "copy", name),
        "before": lambda: page(store, before=name),
    }
    if name:
        calls |= {
            "ns": lambda: put(store, "1", ns=name),
            "path": lambda: write(store, "1", path=name),
        }
    for path, call in calls.items():
        with pytest.raises(Invalid) as caught:
            await call()
        assert caught.value.path == path
    assert (await store.list_threads()).threads == []


async def test_what_is_malformed_is_refused_and_says_where(backend: Backend) -> None:
    store = await backend.state()
    for data in ("a", "YQ", "YQ==\n", "Y Q=", "YQ=", "é===", "\ud800"):
        with pytest.raises(Invalid) as caught:
            await put(store, "1", data=data)
        assert caught.value.path == "data"
    for metadata in ([], "text", None):
        with pytest.raises(Invalid) as caught:
            await put(store, "1", metadata=metadata)
        assert caught.value.path == "metadata"
    with pytest.raises(Invalid) as caught:
        await service.list_checkpoints(store, filter=Raw(b"{"))
    assert caught.value.path == "filter"
    with pytest.raises(Invalid) as caught:
        await put(store, "1", "1")
    assert caught.value.path == "parent"
    with pytest.raises(Invalid) as caught:
        await copy(store, THREAD)
    assert caught.value.path == "source"
    for fields in ({}, {"threads": ["a"], "updated_before": 1}):
        with pytest.raises(Invalid) as caught:
            await service.prune_threads(store, PruneThreads(keep="latest", **fields))
        assert caught.value.path == "threads"
    for request in ("", "a b", "x" * 65):
        with pytest.raises(Invalid) as caught:
            await service.claim_thread(store, THREAD, request=request)
        assert caught.value.path == "idempotency-key"
    for cursor in ("", "~", "x", "~WyJ0Il0", "~bnVsbA"):
        for call in (store.list_threads(cursor=cursor), page(store, cursor=cursor), deltas_page(store, cursor)):
            with pytest.raises(Invalid):
                await call
    assert (await store.list_threads()).threads == []


async def deltas_page(store: Any, cursor: str) -> Any:
    return await service.checkpoint_deltas(store, THREAD, channels=["a"], cursor=cursor)


async def test_what_is_over_a_limit_is_refused_and_says_where(backend: Backend) -> None:
    store = await backend.state()
    many = [str(number) for number in range(1_001)]
    calls = {
        "values": lambda: put(store, "1", values={(name, "1"): 1 for name in many}),
        "stored": lambda: put(store, "1", stored=dict.fromkeys(many)),
        "metadata": lambda: put(store, "1", metadata={"a": "x" * 65_530}),
        "writes": lambda: write(store, "1", *((name, 1) for name in many)),
        "threads": lambda: prune(store, *many),
        "runs": lambda: delete_runs(store, *many),
        "channels": lambda: deltas(store, *many[:101]),
        "filter": lambda: page(store, filter={"a": "x" * 65_530}),
    }
    for path, call in calls.items():
        with pytest.raises(TooLarge) as caught:
            await call()
        assert caught.value.details == {"path": path}
    with pytest.raises(TooLarge) as caught:
        await put(store, "1", stored={f"{name:0>500}": None for name in many[:600]})
    assert caught.value.details == {"path": "stored"}
    assert (await store.list_threads()).threads == []
    await put(store, "1", metadata={"a": "x" * 65_528}, values={(name, "1"): 1 for name in many[:1_000]})
    await write(store, "1", *((name, 1) for name in many[:1_000]))
    found = await page(store)
    assert (len(found.values), len(found.checkpoints[0].writes)) == (1_000, 1_000)


async def test_large_values_come_back_to_the_byte(backend: Backend) -> None:
    store = await backend.state()
    await put(
        store, "1", values={("small", "1"): 1, ("large", "1"): LARGE, ("other", "1"): LARGE + "o"}, **encoded(LARGE)
    )
    await write(store, "1", ("small", 1), ("large", LARGE + "w"), (-1, "last", LARGE + "1"))
    await write(store, "1", ("small", 2), ("large", "late"), (-1, "last", LARGE + "2"))
    await put(store, "2", "1", stored={"large": "1"})
    await put(store, "0")
    first, second, third = await pages(store)
    assert [each.id for part in (first, second, third) for each in part.checkpoints] == ["2", "1", "0"]
    assert valued(first) == {("large", "1"): LARGE}
    assert valued(second) == {("small", "1"): 1, ("large", "1"): LARGE, ("other", "1"): LARGE + "o"}
    (checkpoint,) = second.checkpoints
    assert plain(checkpoint) == LARGE
    assert written(checkpoint.writes) == [("last", LARGE + "2"), ("small", 1), ("large", LARGE + "w")]
    await put(store, "1", values={("large", "1"): "not the first"}, **encoded(LARGE + "again"))
    found = await page(store, id="1")
    assert plain(found.checkpoints[0]) == LARGE + "again"
    assert valued(found) == {("large", "1"): LARGE}
    assert await copy(store, "copy") >= 1
    await store.delete_thread(THREAD)
    found = await page(store, "copy", id="1")
    assert plain(found.checkpoints[0]) == LARGE + "again"
    assert valued(found) == {("large", "1"): LARGE}
    assert written(found.checkpoints[0].writes) == written(checkpoint.writes)


async def test_a_checkpoint_that_is_put_again_takes_the_place_of_the_first(backend: Backend) -> None:
    store = await backend.state()
    await put(store, "1", values={("a", "1"): "first"}, metadata={"step": 1, "run_id": "r"})
    await write(store, "1", ("a", 1))
    await put(store, "1", "0", values={("a", "1"): "second", ("b", "1"): 2}, metadata={"step": 2}, **encoded("again"))
    found = await page(store)
    (checkpoint,) = found.checkpoints
    assert (plain(checkpoint), checkpoint.parent, _decoded(checkpoint.metadata)) == ("again", "0", {"step": 2})
    assert valued(found) == {("a", "1"): "first", ("b", "1"): 2}
    assert written(checkpoint.writes) == [("a", 1)]
    await delete_runs(store, "r")
    assert await ids(store) == ["1"]


async def test_of_writes_the_first_stays_or_of_a_negative_idx_the_last(backend: Backend) -> None:
    store = await backend.state()
    await write(store, "1", ("b", 1), ("a", 2), (-1, "error", "first"), task="t2", path="p")
    await write(store, "1", ("other", 3), (1, "a", 4), (2, "c", 5), (-1, "error", "last"), task="t2", path="p")
    await write(store, "1", ("z", 6), task="t1", path="p")
    await write(store, "1", ("y", 7), task="t3")
    await write(store, "1", ("x", 8), task="t3", path="o")
    await write(store, "1", (5, "twice", "first"), (5, "twice", "last"), (-9, "twice", "first"), (-9, "twice", "last"))
    await write(store, "1", ("elsewhere", 8), ns="other")
    await write(store, "2", ("elsewhere", 8))
    await put(store, "1")
    assert written((await page(store, id="1")).checkpoints[0].writes) == [
        ("y", 7),
        ("twice", "last"),
        ("twice", "first"),
        ("z", 6),
        ("error", "last"),
        ("b", 1),
        ("a", 2),
        ("c", 5),
    ]


async def test_checkpoints_are_listed_by_id_thread_and_namespace(backend: Backend) -> None:
    store = await backend.state()
    for thread in ("t1", "t2"):
        for ns in ("", "child"):
            for id_ in ("1", "2", "3"):
                await put(
                    store, id_, thread=thread, ns=ns, metadata={"step": int(id_), "ns": ns, "x": {"b": 1, "a": 2}}
                )

    async def listed(thread: str | None, **query: Any) -> list[str]:
        found = [each for part in await pages(store, thread, **query) for each in part.checkpoints]
        return [f"{each.id} {each.thread} {each.ns}".strip() for each in found]

    for limit in (1, 2, 5, 100):
        assert await listed("t1", ns="", limit=limit) == ["3 t1", "2 t1", "1 t1"]
        assert await listed("t1", limit=limit) == ["3 t1 child", "3 t1", "2 t1 child", "2 t1", "1 t1 child", "1 t1"]
        assert await listed(None, before="2", limit=limit) == ["1 t2 child", "1 t2", "1 t1 child", "1 t1"]
        assert await listed(None, filter={"step": 2}, limit=limit) == ["2 t2 child", "2 t2", "2 t1 child", "2 t1"]
    assert await listed("t1", ns="child", before="3", limit=1) == ["2 t1 child", "1 t1 child"]
    assert await listed("t1", ns="child", id="2") == ["2 t1 child"]
    assert await listed("t1", id="2") == ["2 t1 child", "2 t1"]
    assert await listed(None, id="2", filter={"ns": "child"}) == ["2 t2 child", "2 t1 child"]
    assert await listed("t1", ns="child", id="2", before="2") == []
    assert await listed("t1", ns="absent") == await listed("absent") == await listed(None, id="absent") == []
    assert await listed("t1", ns="", filter={"step": 2, "x": {"a": 2, "b": 1}}) == ["2 t1"]
    for nothing in ({"step": 2, "x": {"a": 2}}, {"step": "2"}, {"step": 2.0}, {"x": 1}, {"absent": None}):
        assert await listed("t1", filter=nothing) == []
    assert len(await listed(None, filter={})) == 12


async def test_a_value_is_on_a_page_once_and_a_page_is_cut_where_it_would_be_large(backend: Backend) -> None:
    store = await backend.state()
    await put(store, "1", values={("a", "1"): "x" * 300_000})
    for number in range(2, 7):
        await put(store, str(number), str(number - 1), stored={"a": "1"}, values={(f"b{number}", "1"): "y" * 150_000})
    found = await pages(store)
    assert [[each.id for each in part.checkpoints] for part in found] == [["6", "5"], ["4", "3"], ["2", "1"]]
    assert [sorted(valued(part)) for part in found] == [
        [("a", "1"), ("b5", "1"), ("b6", "1")],
        [("a", "1"), ("b3", "1"), ("b4", "1")],
        [("a", "1"), ("b2", "1")],
    ]


async def put_after(store: Any, time: int, thread: str) -> int:
    """Put a checkpoint later than that; return when it was."""
    while (kept := await put(store, "1", thread=thread)).updated_at <= time:
        pass
    return kept.updated_at


async def test_threads_are_listed_last_written_first(backend: Backend) -> None:
    store = await backend.state()
    time = 0
    for name in ("a", "b", "c", "d", "b"):
        time = await put_after(store, time, name)
    while (await service.claim_thread(store, "e", request=None)).updated_at <= time:
        pass
    found, cursor = [], None
    while True:
        part = await store.list_threads(limit=2, cursor=cursor)
        found += part.threads
        cursor = part.next_cursor
        if cursor is None:
            break
    assert [thread.thread for thread in found] == ["e", "b", "d", "c", "a"]
    assert [thread.epoch > 0 for thread in found] == [True, False, False, False, False]
    assert (await store.list_threads(limit=5)).next_cursor is None


async def test_who_claims_a_thread_fences_all_others(backend: Backend) -> None:
    store = await backend.state()
    await put(store, "1")
    first = await service.claim_thread(store, THREAD, request="first")
    assert (await service.claim_thread(store, THREAD, request="first")).epoch == first.epoch == 1
    await put(store, "2", epoch=1)
    second = await service.claim_thread(store, THREAD, request="second")
    assert second.epoch == 2
    await put(store, "other", thread="other")
    for epoch in (0, 1, 3, 2**53 - 1):
        for call in (
            put(store, "3", epoch=epoch, values={("a", "1"): 1}, expires_in=60),
            write(store, "2", ("a", 1), epoch=epoch),
            copy(store, THREAD, "other", epoch=epoch),
        ):
            with pytest.raises(Stale) as caught:
                await call
            assert caught.value.details == {"reason": "fenced"}
    await write(store, "2", ("a", 2), epoch=2)
    checkpoint = await latest(store)
    assert (checkpoint.id, written(checkpoint.writes)) == ("2", [("a", 2)])
    assert (await page(store)).values == []
    assert (await store.list_threads()).threads[0].expires_at is None
    with pytest.raises(Stale):
        await put(store, "1", thread="absent", epoch=1)
    assert {thread.thread for thread in (await store.list_threads()).threads} == {THREAD, "other"}
    await store.delete_thread(THREAD)
    with pytest.raises(Stale):
        await put(store, "3", epoch=2)


async def test_of_many_who_claim_at_once_each_has_an_epoch_and_the_last_one_writes(backend: Backend) -> None:
    store = await backend.state()
    claims = await asyncio.gather(*(service.claim_thread(store, THREAD, request=None) for _ in range(10)))
    assert sorted(claim.epoch for claim in claims) == list(range(1, 11))

    async def attempt(epoch: int) -> bool:
        try:
            await put(store, str(epoch), epoch=epoch)
        except Stale:
            return False
        return True

    assert await asyncio.gather(*(attempt(epoch) for epoch in range(12))) == [epoch == 10 for epoch in range(12)]


async def chain(store: Any, length: int, *, thread: str = THREAD, ns: str = "", **first: Any) -> None:
    """A chain of checkpoints, of which the first has a snapshot of a channel, and each has a write to it."""
    for number in range(1, length + 1):
        fields = first if number == 1 else {}
        metadata = {"step": number, **({} if number == 1 else {COUNTERS: {"delta": [number, number]}})}
        parent = None if number == 1 else f"{number - 1:04}"
        values = {("plain", f"{number}"): number, **fields.get("values", {})}
        stored = fields.get("stored", {})
        await put(store, f"{number:04}", parent, thread=thread, ns=ns, metadata=metadata, values=values, stored=stored)
        await write(store, f"{number:04}", ("delta", number), ("plain", -number), thread=thread, ns=ns)


async def test_deltas_are_the_nearest_value_and_all_writes_since(backend: Backend) -> None:
    store = await backend.state()
    await chain(store, 6, values={("delta", "1"): "seed"}, stored={"inline": None})
    assert await deltas(store, "delta", "plain", "inline", "absent") == {
        "delta": ("seed", [1, 2, 3, 4, 5]),
        "plain": (5, [-5]),
        "inline": ("checkpoint 0001", []),
        "absent": (None, []),
    }
    assert await deltas(store, "delta", id="0003") == {"delta": ("seed", [1, 2])}
    assert await deltas(store, "delta", id="0001") == await deltas(store, "delta", id="9") == {"delta": (None, [])}
    assert (
        await deltas(store, "delta", thread="absent") == await deltas(store, "delta", ns="x") == {"delta": (None, [])}
    )
    assert await deltas(store) == {}
    await put(store, "0007", "0002", stored={"delta": "never sent"})
    await put(store, "0008", "0007")
    assert await deltas(store, "delta") == {"delta": ("seed", [1, 2])}
    for task, path in (("t2", "a"), ("t1", "b"), ("t3", "")):
        await write(store, "0007", ("delta", task), task=task, path=path)
    assert await deltas(store, "delta") == {"delta": ("seed", [1, 2, "t3", "t2", "t1"])}
    await put(store, "0010", "0009")  # its parent is not there
    assert await deltas(store, "delta") == {"delta": (None, [])}


async def test_deltas_that_are_large_or_go_far_back_come_on_several_pages(backend: Backend) -> None:
    store = await backend.state()
    await put(store, "1", values={("a", "1"): LARGE + "seed", ("b", "1"): 0})
    await write(store, "1", ("a", LARGE + "1"), ("b", 1))
    for number in range(2, 6):
        await put(store, str(number), str(number - 1))
        await write(store, str(number), ("a", "x" * 300_000), ("b", number))
    first = await service.checkpoint_deltas(store, THREAD, channels=["a", "b"])
    assert [len(each.writes) for each in first.channels] == [2, 2]
    assert await deltas(store, "a", "b") == {
        "a": (LARGE + "seed", [LARGE + "1", *["x" * 300_000] * 3]),
        "b": (0, [1, 2, 3, 4]),
    }


@pytest.mark.parametrize(("length", "size"), [(2, 0), (3, 0), (7, 600_000)])
async def test_parents_that_go_in_a_circle_are_told_and_not_followed_for_ever(
    backend: Backend, length: int, size: int
) -> None:
    store = await backend.state()
    await put(store, "z", "0")
    for number in range(length):
        stored = {"inline": None} if number == 0 else {}
        await put(store, f"{number}", f"{(number + 1) % length}", values={("plain", "1"): number}, stored=stored)
        await write(store, f"{number}", ("delta", "x" * size))
    assert await deltas(store, "plain", "inline") == {"plain": (0, []), "inline": ("checkpoint 0", [])}
    with pytest.raises(Conflict) as caught:
        await deltas(store, "delta", "inline")
    assert caught.value.details == {"reason": "circular"}
    await put(store, "0")
    assert (await deltas(store, "delta"))["delta"][0] is None
    await put(store, "0", "1")
    assert await prune(store) == 1
    assert await ids(store) == ["z"]


async def test_pruning_keeps_the_latest_of_each_namespace_and_what_it_needs(backend: Backend) -> None:
    store = await backend.state()
    for ns in ("", "child"):
        await chain(store, 4, ns=ns)
    await put(store, "0005", "0004", ns="child", values={("plain", "5"): 5})
    await write(store, "0005", ("plain", 5), ns="child")
    await put(store, "1", thread="other")
    await put(store, "2", thread="other")
    before = await deltas(store, "delta", "plain")
    await prune(store, THREAD, "absent")
    assert await ids(store, ns="child") == ["0005"]
    found = await page(store, ns="child")
    assert (valued(found), written(found.checkpoints[0].writes)) == ({("plain", "5"): 5}, [("plain", 5)])
    # Nothing has a value of `delta`, so all of its writes are needed.
    assert await ids(store, ns="") == ["0004", "0003", "0002", "0001"]
    assert await deltas(store, "delta", "plain") == before
    assert await ids(store, "other") == ["2", "1"]
    await prune(store, THREAD, "other")
    assert await ids(store, "other") == ["2"]
    assert await deltas(store, "delta", "plain") == before
    await prune(store, THREAD, keep="none")
    assert [thread.thread for thread in (await store.list_threads()).threads] == ["other"]


@pytest.mark.parametrize("stored", [{"values": {("delta", "1"): "seed"}}, {"stored": {"delta": None}}])
async def test_pruning_keeps_ancestors_up_to_the_nearest_value_of_a_delta_channel(
    backend: Backend, stored: dict[str, Any]
) -> None:
    store = await backend.state()
    await put(store, "0000")
    await chain(store, 2)
    await put(store, "0003", "0002", metadata={COUNTERS: {"delta": [0, 0]}}, **stored)
    await write(store, "0003", ("delta", 3))
    for number in range(4, 8):
        await put(store, f"{number:04}", f"{number - 1:04}", metadata={COUNTERS: {"delta": [1, 1], "x": [1, 1]}})
        await write(store, f"{number:04}", ("delta", number))
    await put(store, "0008", "0007", metadata={COUNTERS: {"delta": [1, 1]}}, values={("a", "1"): 1})
    before = await deltas(store, "delta")
    for _ in range(2):
        await prune(store)
        assert await ids(store) == ["0008", "0007", "0006", "0005", "0004", "0003"]
        assert await deltas(store, "delta") == before
    assert before["delta"][1] == [3, 4, 5, 6, 7]
    await put(store, "0009", "0008", metadata={COUNTERS: {"delta": [0, 0]}}, values={("delta", "9"): 9})
    await prune(store)
    found = await page(store)
    assert ([each.id for each in found.checkpoints], valued(found)) == (["0009"], {("delta", "9"): 9})


async def test_threads_that_nobody_wrote_to_since_a_time_are_pruned(backend: Backend) -> None:
    store = await backend.state()
    for name in ("a", "b"):
        for id_ in ("1", "2"):
            old = await put(store, id_, thread=name)
    await put_after(store, old.updated_at, "new")
    await put(store, "2", thread="new")
    assert await prune(store, updated_before=old.updated_at + 1) >= 1
    assert [await ids(store, name) for name in ("a", "b", "new")] == [["2"], ["2"], ["2", "1"]]
    await prune(store, updated_before=old.updated_at + 1, keep="none")
    assert [thread.thread for thread in (await store.list_threads()).threads] == ["new"]
    assert await service.prune_threads(store, PruneThreads(threads=[], keep="none")) == service.Progress(more=False)
    assert await service.delete_runs(store, DeleteRuns(runs=[])) == service.Progress(more=False)
    assert await ids(store, "new") == ["2", "1"]


async def test_runs_are_deleted_with_what_nothing_else_needs(backend: Backend) -> None:
    store = await backend.state()
    for thread in ("t1", "t2"):
        for ns in ("", "child"):
            await put(
                store, "1", thread=thread, ns=ns, metadata={"run_id": "r1"}, values={("a", "1"): 1, ("b", "1"): 1}
            )
            await put(store, "2", "1", thread=thread, ns=ns, metadata={"run_id": "r2"}, stored={"b": "1"})
            await put(store, "3", "2", thread=thread, ns=ns, metadata={"run_id": 3, "step": 1})
            await write(store, "1", ("a", 1), thread=thread, ns=ns)
            await write(store, "2", ("a", 2), thread=thread, ns=ns)
    await delete_runs(store, "r1", "absent")
    assert await ids(store, "t1") == ["3", "3", "2", "2"]
    assert await ids(store, None) == ["3"] * 4 + ["2"] * 4
    found = await page(store, "t2", ns="child")
    assert valued(found) == {("b", "1"): 1}
    # What was removed does not come back with a checkpoint that names it.
    await put(store, "4", thread="t1", stored={"a": "1", "b": "1"})
    await put(store, "1", thread="t1")
    assert valued(await page(store, "t1", id="4", ns="")) == {("b", "1"): 1}
    assert (await page(store, "t1", id="1", ns="")).checkpoints[0].writes == []
    await delete_runs(store, "r2", "3")
    assert await ids(store, "t2") == ["3", "3"]


async def test_a_copy_has_all_of_its_source_and_goes_its_own_way(backend: Backend) -> None:
    store = await backend.state()
    for ns in ("", "child"):
        await chain(store, 3, ns=ns, values={("delta", "1"): "seed"})
    await copy(store, "copy")
    for ns in ("", "child"):
        source, copied = await page(store, ns=ns), await page(store, "copy", ns=ns)
        assert [_like(each) for each in copied.checkpoints] == [_like(each) for each in source.checkpoints]
        assert valued(copied) == valued(source)
        assert await deltas(store, "delta", thread="copy", ns=ns) == {"delta": ("seed", [1, 2])}
    await put(store, "0004", "0003", thread="copy")
    await put(store, "0005", "0003")
    assert (await ids(store, "copy", ns=""))[0] == "0004"
    await write(store, "0003", (-1, "x", "kept"), thread="copy")
    await write(store, "0003", (-1, "x", "not copied"))
    await copy(store, "copy")
    assert await ids(store, "copy", ns="") == ["0005", "0004", "0003", "0002", "0001"]
    assert ("x", "kept") in written((await page(store, "copy", ns="", id="0003")).checkpoints[0].writes)
    await store.delete_thread(THREAD)
    assert len(await ids(store, "copy")) == 8
    with pytest.raises(NotFound):
        await service.copy_thread(store, "other", CopyThread(source=THREAD))
    assert [thread.thread for thread in (await store.list_threads()).threads] == ["copy"]


def _like(checkpoint: Any) -> Any:
    return (checkpoint.ns, checkpoint.id, checkpoint.parent, plain(checkpoint), written(checkpoint.writes)), bytes(
        checkpoint.metadata
    )


async def test_what_was_deleted_can_be_created_anew(backend: Backend) -> None:
    store = await backend.state()
    await chain(store, 3)
    await service.claim_thread(store, THREAD, request="claim")
    await store.delete_thread(THREAD)
    await store.delete_thread(THREAD)
    assert await ids(store) == await ids(store, None) == []
    await put(store, "0001", stored={"plain": "1"})
    assert await ids(store, None) == ["0001"]
    found = await page(store)
    assert (found.values, found.checkpoints[0].writes) == ([], [])
    assert (await service.claim_thread(store, THREAD, request="claim")).epoch == 1


async def test_users_have_threads_of_their_own(backend: Backend) -> None:
    one, other = await backend.state(), await backend.state()
    await chain(one, 3)
    await service.claim_thread(one, THREAD, request=None)
    await put(other, "0002", metadata={"run_id": "r"})
    await other.delete_thread("absent")
    await delete_runs(other, "r")
    await prune(other)
    await other.delete_thread(THREAD)
    with pytest.raises(NotFound):
        await copy(other, "copy")
    assert await ids(other, None) == []
    assert await ids(one, None) == ["0003", "0002", "0001"]


async def test_checkpoints_that_many_put_at_once_are_all_kept(backend: Backend) -> None:
    store = await backend.state()
    await asyncio.gather(*(put(store, str(n), values={("a", "1"): 1}) for n in range(8) for _ in range(2)))
    await asyncio.gather(*(write(store, "7", (n % 4, "a", n)) for n in range(8)))
    assert await ids(store) == [str(n) for n in reversed(range(8))]
    assert len((await latest(store)).writes) == 4
    assert len((await page(store)).values) == 1


async def test_nothing_is_written_where_there_is_nothing_to_write(backend: Backend) -> None:
    store = await backend.state()
    await service.put_writes(store, THREAD, NewWrites(checkpoint="1", task="t", writes=[]))
    assert await ids(store) == []
