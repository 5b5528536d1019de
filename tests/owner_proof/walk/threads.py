"""The part of the walk that is about threads. Everybody has those of these names."""

from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import msgspec

from owner_proof.walk.steps import Step, after_all, not_too_many, requests, state
from owner_proof.walk.sweeping import Choosing, purge
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    ValueRecord,
    WriteRecord,
    WritesRecord,
)
from threadkeep.storage.sql.agents import SqlStateStore
from threadkeep.storage.sql.agents import threads as sql_threads
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Row, Statement

LONG = "long " * 24
"""What is kept in pieces, while as little as this is."""


def of_threads(act: Callable[[SqlStateStore], Awaitable[Any]], page_bytes: int = 100) -> Step:
    """Do something with threads, while what is longer than some texts is kept in pieces, and a page is as short."""

    async def step(store: SqlStore) -> Any:
        with mock.patch.multiple(sql_threads, WHOLE_BYTES_MAX=100, PAGE_BYTES_MAX=page_bytes):
            return await act(store.state)

    return step


def put_checkpoint(thread: str, id_: str, parent: str | None = None, **fields: Any) -> Step:
    """Put a checkpoint. `values` are by channel and version, `run` is its run."""
    values = [
        ValueRecord(channel=channel, version=version, type="t", data=data)
        for (channel, version), data in fields.pop("values", {}).items()
    ]
    run_id, step = fields.pop("run", None), fields.pop("step", 1)
    given = {"ns": "", "type": "t", "data": f"data {id_}", "run_id": run_id, "metadata": [f'"step":{step}'], **fields}
    given["stored"] = {value.channel: value.version for value in values} | given.get("stored", {})
    record = CheckpointRecord(id=id_, parent=parent, values=values, **given)
    return of_threads(lambda store: store.put_checkpoint(thread, record))


def put_writes(thread: str, checkpoint: str, *writes: tuple[int, str, str], task: str = "task", **fields: Any) -> Step:
    """Put writes: each an idx, a channel and data."""
    records = [
        WriteRecord(task=task, path="path", idx=idx, channel=channel, type="t", data=data)
        for idx, channel, data in writes
    ]
    given = {"ns": "", "task": task, "path": "path", **fields}
    record = WritesRecord(checkpoint=checkpoint, writes=records, **given)
    return of_threads(lambda store: store.put_writes(thread, record))


def claim_thread(thread: str) -> Step:
    request = f"r{next(requests)}"
    return state(lambda store: store.claim_thread(thread, request=request))


def list_threads(**query: Any) -> Step:
    async def step(store: SqlStore) -> Any:
        pages = [await store.state.list_threads(**query)]
        while pages[-1].next_cursor:
            pages.append(await store.state.list_threads(**{**query, "cursor": pages[-1].next_cursor}))
            not_too_many(pages)
        return pages

    return step


def checkpoints(thread: str | None = None, **query: Any) -> Step:
    """List checkpoints page by page, and once more with pages that are too small for most of it."""

    async def act(store: SqlStateStore) -> Any:
        pages = [await store.list_checkpoints(CheckpointQuery(thread=thread, **query))]
        while pages[-1].next_cursor:
            asked = CheckpointQuery(thread=thread, **{**query, "cursor": pages[-1].next_cursor})
            pages.append(await store.list_checkpoints(asked))
            not_too_many(pages)
        return pages

    return after_all(of_threads(act), of_threads(act, 10))


def deltas(thread: str, *channels: str, **query: Any) -> Step:
    """Find what channels became, page by page, and once more with pages that are too small for most of it."""

    async def act(store: SqlStateStore) -> Any:
        asked = DeltaQuery(channels=list(channels), **query)
        pages = [await store.checkpoint_deltas(thread, asked)]
        while pages[-1].next_cursor:
            asked = DeltaQuery(ns=asked.ns, cursor=pages[-1].next_cursor)
            pages.append(await store.checkpoint_deltas(thread, asked))
            not_too_many(pages)
        return pages

    return after_all(of_threads(act), of_threads(act, 10))


def threads_limited(what: str, rows: int = 500, size: int = 4_000_000) -> Any:
    """While this lasts, so many rows and bytes make a part."""
    return mock.patch.multiple(sql_threads, **{f"{what}_MAX": rows, f"{what}_BYTES_MAX": size})


def copy_thread(thread: str, source: str, parts: int | None = None, epoch: int = 0, **limits: int) -> Step:
    """Copy so many parts, or all."""

    async def step(store: SqlStore) -> Any:
        answers: list[bool] = []
        with threads_limited("_COPIED", **limits):
            while not answers or (answers[-1] and len(answers) != parts):
                answers.append(await store.state.copy_thread(thread, source, epoch=epoch))
                not_too_many(answers)
        return answers

    return step


def removing(act: Callable[[SqlStateStore], Awaitable[bool]], limit: int = 1_000) -> Step:
    """Prune threads or delete runs, so many of everything at once."""

    async def step(store: SqlStore) -> Any:
        answers: list[bool] = []
        names = ("_THREADS_MAX", "_CHECKPOINTS_MAX", "_VALUES_MAX")
        with mock.patch.multiple(sql_threads, **dict.fromkeys(names, limit)):
            while not answers or answers[-1]:
                answers.append(await act(store.state))
                not_too_many(answers)
        return answers

    return step


def prune(*threads: str, before: int | None = None, keeps_latest: bool = True, limit: int = 1_000) -> Step:
    record = PruneRecord(
        threads=list(threads) if before is None else None, updated_before=before, keeps_latest=keeps_latest
    )
    return removing(lambda store: store.prune_threads(record), limit)


def delete_runs(*runs: str, limit: int = 1_000) -> Step:
    return removing(lambda store: store.delete_runs(list(runs)), limit)


def delete_thread(thread: str) -> Step:
    return state(lambda store: store.delete_thread(thread))


def sweep_threads(parts: int = 9, **limits: int) -> Step:
    """Sweep so many parts of threads alone."""

    async def step(store: SqlStore) -> Any:
        answers = [True]
        with threads_limited("_SWEPT", **limits):
            while answers[-1] and len(answers) <= parts:
                answers.append(await sql_threads.sweep_threads(store._executor, store._user_id))
        return answers

    return step


async def sweep_any_of_threads(store: SqlStore) -> Any:
    """Sweep what is chosen from all there is, as if the `n` of what was to be swept were given to anything else."""
    return await sql_threads.sweep_threads(_ChoosingOfThreads(store._executor), store._user_id)


class _ChoosingOfThreads(Choosing):
    async def run(self, *batch: Statement) -> list[list[Row]]:
        if batch[0].query is not self.statements.sweepable_of_threads:
            return await self._executor.run(*batch)
        places = {table: [*range(1, 1000)] for table in ("checkpoints", "checkpoint_values", "checkpoint_writes")}
        return [[{"answer": msgspec.json.encode(places).decode()}]]


LATE = 400_000_000_000_000


def _threads_held(thread: str, words: str, ids: tuple[str, ...], **fields: Any) -> list[Step]:
    """A thread of a chain of checkpoints, each of which has values and writes."""
    steps = []
    for before, id_ in zip((None, *ids), ids, strict=False):
        values = {("a", id_): f"{words} {id_}", ("b", "1"): words, ("large", "1"): LONG}
        stored = {"inline": None} if id_ == ids[0] else {}
        steps += [
            put_checkpoint(thread, id_, before, values=values, stored=stored, run=words[:4], **fields),
            put_writes(thread, id_, (0, "a", words), (1, "x", LONG), (-1, "b", words), ns=fields.get("ns", "")),
        ]
    return steps


# What others have of what `THREADS` is about: more, of the same names.
THREADS_HELD: list[Step] = [
    *_threads_held("mine", "held", ("1", "2", "3", "4", "5", "8")),
    *_threads_held("mine", "held", ("1", "2"), ns="child"),
    *_threads_held("taken", "mine", ("1", "2", "9")),
    *_threads_held("gone", "held", ("1", "2")),
    delete_thread("gone"),
    *_threads_held("gone", "held", ("1", "2", "3")),
    *_threads_held("copy", "held", ("0", "7")),
    *_threads_held("second", "held", ("2", "3")),
    put_checkpoint("expired", "1", expires_in=5),
    put_checkpoint("late", "1", expires_in=LATE),
    put_checkpoint("runs", "6", run="r1", values={("a", "1"): "held"}),
    claim_thread("runs"),
]

# What the walker does with threads.
THREADS: list[Step] = [
    put_checkpoint("mine", "1", values={("a", "1"): "a1", ("b", "1"): "b1", ("large", "1"): LONG}, run="r1"),
    put_checkpoint("mine", "1", values={("a", "1"): "late", ("c", "1"): "c1"}, run="r1", data=LONG),
    put_checkpoint("mine", "1", values={("large", "1"): LONG}, run="r1", stored={"inline": None, "a": "1"}),
    put_checkpoint("mine", "2", "1", stored={"a": "1"}, step=2, data=LONG),
    put_writes("mine", "2", (0, "a", "w0"), (1, "b", LONG), (-1, "e", LONG)),
    put_writes("mine", "2", (0, "a", "late"), (1, "b", LONG), (2, "a", "w2"), (-1, "e", LONG + "last")),
    put_writes("mine", "2", (0, "z", "other"), task="another"),
    put_writes("mine", "1", (0, "a", "w1"), (-2, "b", "x"), task="another"),
    put_checkpoint("mine", "3", "2", stored={"a": "1"}, values={("b", "3"): "b3"}, step=3, run="r2"),
    put_checkpoint("mine", "4", "3", stored={"b": "3"}, step=4, counted=["a", "b"], run="r3"),
    put_checkpoint("mine", "1", ns="child", values={("a", "1"): "child"}, run="r1"),
    put_writes("mine", "3", (0, "a", "w3"), (1, "b", "w3")),
    put_writes("absent", "1", (0, "a", "w")),
    put_checkpoint("taken", "1", epoch=4),
    list_threads(),
    list_threads(limit=1),
    checkpoints("mine", ns=""),
    checkpoints("mine", ns="", limit=1),
    checkpoints("mine", ns="", id="2"),
    checkpoints("mine", ns="child"),
    checkpoints("mine"),
    checkpoints("mine", before="3", limit=1),
    checkpoints("mine", filter=['"step":3']),
    checkpoints(),
    checkpoints(limit=2, filter=['"step":1']),
    checkpoints(id="1"),
    checkpoints(id="2"),
    checkpoints("taken"),
    checkpoints("taken", ns=""),
    checkpoints("gone", ns="", id="1"),
    deltas("mine", "a", "b", "inline", "large"),
    deltas("mine", "a", "inline", id="2"),
    deltas("mine", "b", id="3"),
    deltas("taken", "a"),
    deltas("gone", "a", id="2"),
    deltas("mine", "a", id="8"),
    copy_thread("copy", "mine", 2, rows=2, size=20),
    checkpoints("copy"),
    copy_thread("copy", "mine"),
    checkpoints("copy"),
    copy_thread("second", "copy"),
    copy_thread("second", "taken"),
    copy_thread("second", "copy", epoch=3),
    checkpoints("second", ns=""),
    claim_thread("copy"),
    put_checkpoint("copy", "5"),
    put_checkpoint("copy", "5", "4", epoch=1, values={("b", "5"): "b5"}),
    put_writes("copy", "5", (0, "a", "fenced")),
    prune("mine", "taken", limit=1),
    checkpoints("mine"),
    deltas("mine", "a", "b"),
    prune("mine"),
    delete_runs("held", "mine", "r2"),
    checkpoints("copy"),
    delete_runs("r1", limit=1),
    checkpoints(),
    deltas("copy", "a", "b"),
    prune(before=LATE * 2, limit=2),
    checkpoints(),
    prune("second", keeps_latest=False),
    checkpoints("second"),
    put_checkpoint("gone", "1", values={("a", "1"): "a", ("large", "1"): LONG}, data=LONG),
    put_writes("gone", "1", (0, "a", LONG)),
    delete_thread("gone"),
    delete_thread("taken"),
    put_checkpoint("gone", "1", stored={"a": "1"}),
    sweep_any_of_threads,
    sweep_threads(2, rows=1, size=1),
    checkpoints(),
    put_checkpoint("expired", "1", expires_in=2),
    checkpoints("expired"),
    put_checkpoint("expired", "2", expires_in=1),
    checkpoints("expired"),
    copy_thread("third", "expired"),
    copy_thread("fourth", "runs"),
    put_checkpoint("late", "1", expires_in=LATE),
    put_checkpoint("soon", "1", expires_in=3),
    list_threads(),
    purge(),
    list_threads(),
    sweep_threads(),
    list_threads(),
    checkpoints(),
    prune(before=LATE * 2, keeps_latest=False, limit=1),
    list_threads(),
    put_checkpoint("mine", "1", values={("a", "1"): "to be erased"}),
]

LATER_THREADS: list[Step] = [
    put_checkpoint("mine", "1", values={("a", "1"): "later", ("large", "1"): LONG}),
    put_writes("mine", "1", (0, "a", "later"), (1, "b", LONG)),
]
