"""The life of an agent: what one asks of each kind of state, one thing after another, and what is there at the end.

Two lives of the same kind have the same end, whatever happens on the way to whoever keeps the state.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import msgspec

from support.in_process import as_user
from threadkeep.agents.journals import service as journals
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.agents.threads import service as service_of_threads
from threadkeep.client import RemoteState
from threadkeep.client.transport import Transport
from threadkeep.conformance.helpers import blobs, tasks, threads
from threadkeep.conformance.helpers.journals import SPACE, append, patch, put, raw, read_all

Life = Callable[[StateStore], Awaitable[Any]]
Told = list[Any]

TURNS = 4
_OF_ONE_LIFE = (
    *("incarnation", "createdAt", "updatedAt", "closedAt", "expiresAt", "acceptedAt", "readyAt", "startedAt"),
    *("appliedAt", "recoveryAt", "abortAt", "settledAt", "notedAt"),
)


async def live_with_journals(store: StateStore) -> Any:
    """A session that grows, is compacted and edited, and a run whose producer is replaced."""
    told: Told = []
    await put(store, "session", head={"turns": 0}, kind="session", status="active", sort="1")
    for turn in range(TURNS):
        entries = [(f"{turn}/{part}", {"turn": turn, "part": part}) for part in range(3)]
        told.append(await append(store, *entries, key="session", head={"turns": turn + 1}))
        told.append(await patch(store, "session", head={"note": turn}, sort=f"{turn}"))
    version = (await store.get_journal(SPACE, "session")).version
    told.append(await append(store, ("compacted", "…"), key="session", cut=6, expected=version))
    told.append(await append(store, ("more", 1), key="session", remove=["0/1", "0/2"]))
    await put(store, "session", mode="save", head={"saved": True}, status="idle", expected=version + 2)

    await put(store, "run", mode="replace", head="first")
    await put(store, "run", mode="replace", head="second")
    for name in ("a", "b"):
        journal = await journals.acquire_producer(store, SPACE, "run", NewProducer(producer=name), request=None)
        producer = {"id": name, "epoch": journal.epoch, "incarnation": journal.incarnation}
        for seq in range(TURNS):
            sent = {"producer": Producer(**producer, seq=seq), "close": (name, seq) == ("b", TURNS - 1)}
            told.append(await append(store, [name, seq], "end of an append", key="run", **sent))
    for at in range(3):
        told.append(await append(store, at, key="events", at=at, create=True))
    await put(store, "gone", head="x")
    await store.delete_journal(SPACE, "gone")

    page = await store.list_journals(SPACE)
    return {
        "told": [_plain(answer) for answer in told],
        "journals": [_plain(journal) for journal in page.journals],
        "entries": {
            journal.key: [_plain(entry) for entry in await read_all(store, journal.key)] for journal in page.journals
        },
    }


async def live_with_tasks(store: StateStore) -> Any:
    """A worker that takes tasks one after another, loses a lease, and has tasks join another."""
    told: Told = []
    for number in range(TURNS):
        told.append(await tasks.admit(store, f"t{number}", payload=number, ready=number != 1))
    told.append(await tasks.change(store, "t1", "ready"))
    told.append(await tasks.claim(store, "t0", "a", lease=1))
    told.append(await tasks.listed(store, "expired"))
    as_next = {"nextAttempt": "b", "holder": "h2", "leaseUntil": 1}
    told.append(await tasks.change(store, "t0", "replace", attempt="a", **as_next))
    told.append(await tasks.change(store, "t0", "settle", attempt="a"))
    told.append(await tasks.renew(store, "t0", holder="h2"))
    told.append(await tasks.change(store, "t0", "note", attempt="b", note={"step": 1}))
    told.append(await tasks.absorb(store, "t0", "b"))
    told.append(await tasks.change(store, "t1", "join", host="t0", attempt="b"))
    told.append(await tasks.change(store, "t2", "leave", host="t0", attempt="b"))
    end = {"attempt": "b", "settlementId": "s"}
    told.append(await tasks.change(store, "t0", "reserve", **end, settlement={"end": True}, error="failed"))
    told.append(await tasks.change(store, "t0", "finalize", **end))
    told.append(await tasks.claim(store, "t2", "c"))
    told.append(await tasks.change(store, "t2", "requeue", attempt="c"))
    told.append(await tasks.change(store, "t2", "drop", error="dropped"))
    told.append(await tasks.change_lane(store, "abort"))
    told.append(await tasks.claim(store, "t3", "d"))
    told.append(await tasks.change(store, "t3", "settle", attempt="d"))
    for do, keep in (("close", None), ("clear", None), ("close", None), ("open", None)):
        await tasks.change_lane(store, do, keep=keep)
    told.append(await tasks.admit(store, "last"))
    page = await tasks.service.list_tasks(store, tasks.QUEUE, TaskQuery(view="all", limit=100))
    return {"told": [_plain(answer) for answer in told], "tasks": [_plain(task) for task in page.tasks]}


async def live_with_blobs(store: StateStore) -> Any:
    """Files that are put, put again, and deleted."""
    keys = [f"file {number}" for number in range(2 * TURNS)]
    told: Told = [await blobs.put(store, bytes([number]) * 1_000, key) for number, key in enumerate(keys)]
    for key in keys[::2]:
        await store.delete_blob(blobs.SPACE, key)
    told += [await blobs.put(store, b"anew", key) for key in keys[::4]]
    kept = [key for number, key in enumerate(keys) if number % 2 or number % 4 == 0]
    return {"told": [_plain(answer) for answer in told], "kept": [await blobs.content_of(store, key) for key in kept]}


async def live_with_threads(store: StateStore) -> Any:
    """A thread that another writer takes over, which is copied and pruned, and of which a run is deleted."""
    told: Told = []
    parent = None
    for claim in range(2):
        thread = await service_of_threads.claim_thread(store, threads.THREAD, request=None)
        told.append(thread.epoch)
        for step in range(3):
            id_ = f"{claim}{step}"
            values = {("channel", id_): step, ("other", f"{claim}"): claim}
            fields = {"epoch": thread.epoch, "metadata": {"step": step, "run_id": f"run {claim}"}}
            await threads.put(store, id_, parent, values=values, **fields)
            await threads.write(store, id_, ("channel", step), (-1, "error", "x"), epoch=thread.epoch)
            parent = id_
    await threads.copy(store, "copy")
    await threads.copy(store, "pruned")
    await threads.prune(store, "pruned")
    await threads.copy(store, "gone")
    await store.delete_thread("gone")
    await threads.delete_runs(store, "run 0")
    pages = [await threads.page(store, name, limit=100) for name in (threads.THREAD, "copy", "pruned", "gone")]
    return {"told": told, "threads": [_plain(page) for page in pages]}


def _plain(value: Any) -> Any:
    """A value as JSON says it, without what no two lives have in common: times, and what is said to be new."""
    return _without_times(msgspec.json.decode(raw(value)))


def _without_times(said: Any) -> Any:
    if isinstance(said, list):
        return [_without_times(each) for each in said if not isinstance(each, bool)]
    if isinstance(said, dict):
        return {name: _without_times(said[name]) for name in said if name not in _OF_ONE_LIFE}
    return said


LIVES: dict[str, Life] = {
    "journals": live_with_journals,
    "tasks": live_with_tasks,
    "blobs": live_with_blobs,
    "threads": live_with_threads,
}


@asynccontextmanager
async def asking(url: str, user_id: str) -> AsyncIterator[StateStore]:
    """The state of a user over HTTP, by a client that does not wait before it asks again."""

    async def at_once(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    async with httpx.AsyncClient(base_url=url, headers=as_user(user_id), timeout=60) as client:
        yield RemoteState(Transport(client, at_once))
