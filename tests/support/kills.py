"""What must be there after a service was killed while many wrote the state of an agent to it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from support.journals import append, plain, put, read_all
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.errors import ThreadkeepError

SPACE = "tests"
SHARED, PRODUCED = "shared", "produced"
APPENDERS = 12
APPENDS_BEFORE = 150
"""So many appends are acknowledged when it is killed."""
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


async def write_until_killed(store: StateStore, kill: Callable[[], None]) -> Told:
    """Write as many do, until the service is killed in the middle of it; return what they were told."""
    told = Told()
    for key in (SHARED, PRODUCED):
        await put(store, key)
    journal = await service.acquire_producer(store, SPACE, PRODUCED, NewProducer(producer="one"), request=None)
    told.producer = {"id": "one", "incarnation": journal.incarnation, "epoch": journal.epoch}
    is_busy = asyncio.Event()

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
            if len(told.entries) == APPENDS_BEFORE:
                is_busy.set()

    async def produce() -> None:
        while True:
            try:
                await _produce(store, told)
            except NOT_ANSWERED:
                return
            told.produced += 1

    async def kill_while_they_are_busy() -> None:
        await is_busy.wait()
        await asyncio.to_thread(kill)

    clients: list[Awaitable[None]] = [append_alone(client) for client in range(APPENDERS)]
    await asyncio.gather(kill_while_they_are_busy(), produce(), *clients)
    assert len(told.unanswered) == APPENDERS
    return told


async def check_what_was_told(store: StateStore, told: Told) -> None:
    """Once it serves again, nothing acknowledged is lost, and nothing is there twice, even if it is sent again."""
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

    before = [plain(entry.data) for entry in await read_all(store, PRODUCED)]
    assert before == [*range(len(before))]
    assert told.produced <= len(before) <= told.produced + 1
    for _ in range(3):  # the first was sent before, and not answered
        await _produce(store, told)
        told.produced += 1
    assert [plain(entry.data) for entry in await read_all(store, PRODUCED)] == [*range(told.produced)]


async def _produce(store: StateStore, told: Told) -> None:
    producer = Producer(**told.producer, seq=told.produced)
    await append(store, told.produced, key=PRODUCED, producer=producer)
