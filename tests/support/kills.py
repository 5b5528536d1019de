"""What must be there after a service was killed while many wrote the state of an agent to it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.conformance.helpers import tasks
from threadkeep.conformance.helpers.journals import append, plain, put, read_all
from threadkeep.errors import ThreadkeepError

SPACE = "tests"
SHARED, PRODUCED = "shared", "produced"
APPENDERS = 12
APPENDS_BEFORE = 150
"""So many appends are acknowledged when it is killed, and as many claims as leases are taken over."""
WORKERS = 6
TAKEN_OVER = 6
"""So many leases are taken over afterwards, each of which all workers try to take."""
NOT_ANSWERED = (ThreadkeepError, RuntimeError)
"""What the client raises for a service that is being killed."""


@dataclass
class Told:
    """What those who wrote were told, and what they were not."""

    entries: dict[str, int] = field(default_factory=dict)
    """The places of entries, by their ids, in the journal that many append to."""
    unanswered: list[str] = field(default_factory=list)
    """The entries that were sent, of which nobody knows whether they are kept."""
    producer: dict[str, Any] = field(default_factory=dict)
    produced: int = 0
    """How many appends of the producer were acknowledged."""
    claims: dict[str, list[str]] = field(default_factory=dict)
    """The workers who were told that they have a task, by its id."""
    unanswered_claims: list[tuple[str, str]] = field(default_factory=list)
    """The claims, by task and worker, of which nobody knows."""


async def write_until_killed(store: StateStore, kill: Callable[[], None]) -> Told:
    """Write as many do, until the service is killed in the middle of it; return what they were told."""
    told = Told()
    for key in (SHARED, PRODUCED):
        await put(store, key)
    journal = await service.acquire_producer(store, SPACE, PRODUCED, NewProducer(producer="one"), request=None)
    told.producer = {"id": "one", "incarnation": journal.incarnation, "epoch": journal.epoch}
    is_busy = asyncio.Event()

    def look() -> None:
        if len(told.entries) >= APPENDS_BEFORE and len(told.claims) >= TAKEN_OVER:
            is_busy.set()

    async def append_alone(client: int) -> None:
        for number in itertools.count():
            id_ = f"client {client}, entry {number}"
            try:
                appended, _ = await append(store, (id_, id_), key=SHARED)
            except NOT_ANSWERED:
                told.unanswered.append(id_)
                return
            assert appended.first is not None
            told.entries[id_] = appended.first
            look()

    async def produce() -> None:
        while True:
            try:
                await _produce(store, told)
            except NOT_ANSWERED:
                return
            told.produced += 1

    async def work(worker: str) -> None:
        for number in itertools.count():
            id_ = f"task {number}"
            try:
                await tasks.admit(store, id_, lane=id_)
                claim = await tasks.claim(store, id_, worker, holder=worker, lease=1)
            except NOT_ANSWERED:
                told.unanswered_claims.append((id_, worker))
                return
            if claim.applied:
                told.claims.setdefault(id_, []).append(worker)
                look()

    async def kill_while_they_are_busy() -> None:
        await is_busy.wait()
        await asyncio.to_thread(kill)

    clients: list[Awaitable[None]] = [append_alone(client) for client in range(APPENDERS)]
    workers = [work(f"worker {number}") for number in range(WORKERS)]
    await asyncio.gather(kill_while_they_are_busy(), produce(), *clients, *workers)
    assert len(told.unanswered) == APPENDERS
    assert len(told.unanswered_claims) == WORKERS
    return told


async def check_what_was_told(store: StateStore, told: Told) -> None:
    """Once it serves again, nothing acknowledged is lost, and nothing is there twice, even if it is sent again."""
    await _check_entries(store, told)
    await _check_produced(store, told)
    await _check_claims(store, told)
    await _check_leases(store)


async def _check_entries(store: StateStore, told: Told) -> None:
    kept = await read_all(store, SHARED)
    places = {entry.id: entry.seq for entry in kept}
    assert [*places.values()] == [*range(len(kept))]
    assert told.entries.items() <= places.items()
    assert places.keys() <= told.entries.keys() | {*told.unanswered}
    for id_ in told.unanswered:
        await append(store, (id_, id_), key=SHARED)
    kept = await read_all(store, SHARED)
    assert [entry.seq for entry in kept] == [*range(len(told.entries) + APPENDERS)]
    assert {plain(entry.data) for entry in kept} == told.entries.keys() | {*told.unanswered}


async def _check_produced(store: StateStore, told: Told) -> None:
    before = [plain(entry.data) for entry in await read_all(store, PRODUCED)]
    assert before == [*range(len(before))]
    assert told.produced <= len(before) <= told.produced + 1
    for _ in range(3):  # the first was sent before, and not answered
        await _produce(store, told)
        told.produced += 1
    assert [plain(entry.data) for entry in await read_all(store, PRODUCED)] == [*range(told.produced)]


async def _check_claims(store: StateStore, told: Told) -> None:
    page = await tasks.service.list_tasks(store, tasks.QUEUE, TaskQuery(view="all", limit=1_000))
    kept = {task.id: task for task in page.tasks}
    assert [task.seq for task in page.tasks] == [*range(1, len(kept) + 1)]
    for id_, workers in told.claims.items():
        assert [kept[id_].attempt] == workers
    for id_, worker in told.unanswered_claims:
        await tasks.admit(store, id_, lane=id_)
        claim = await tasks.claim(store, id_, worker, holder=worker, lease=1)
        assert claim.applied == (id_ not in kept or kept[id_].state == "queued")
        kept[id_] = await tasks.get(store, id_)
    assert {(task.state, task.attempts) for task in kept.values()} == {("running", 1)}


async def _check_leases(store: StateStore) -> None:
    expired = await tasks.listed(store, "expired", limit=TAKEN_OVER)
    assert len(expired) == TAKEN_OVER
    before = {id_: (await tasks.get(store, id_)).attempt for id_ in expired}

    async def take(id_: str, taker: str) -> str | None:
        as_mine = {"nextAttempt": taker, "holder": taker, "leaseUntil": 10**15}
        changed = await tasks.change(store, id_, "replace", attempt=before[id_], **as_mine)
        return taker if changed.applied else None

    takers = [f"taker {number}" for number in range(WORKERS)]
    for id_ in expired:
        (winner,) = filter(None, await asyncio.gather(*(take(id_, taker) for taker in takers)))
        task = await tasks.get(store, id_)
        assert (task.attempt, task.attempts) == (winner, 2)
        assert not (await tasks.change(store, id_, "settle", attempt=before[id_])).applied
        assert (await tasks.change(store, id_, "settle", attempt=winner)).applied


async def _produce(store: StateStore, told: Told) -> None:
    producer = Producer(**told.producer, seq=told.produced)
    await append(store, told.produced, key=PRODUCED, producer=producer)
