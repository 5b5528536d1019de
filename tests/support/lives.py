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
from support.journals import SPACE, append, patch, put, raw, read_all
from threadkeep.agents.journals import service as journals
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.agents.store import StateStore
from threadkeep.client import RemoteState
from threadkeep.client.transport import Transport

Life = Callable[[StateStore], Awaitable[Any]]
Told = list[Any]

TURNS = 4
_OF_ONE_LIFE = ("incarnation", "createdAt", "updatedAt", "closedAt", "expiresAt")


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
        "told": [_plain(answer[0] if isinstance(answer, tuple) else answer) for answer in told],
        "journals": [_plain(journal) for journal in page.journals],
        "entries": {
            journal.key: [_plain(entry) for entry in await read_all(store, journal.key)] for journal in page.journals
        },
    }


def _plain(value: Any) -> Any:
    """A value as JSON says it, without what no two lives have in common."""
    said = msgspec.json.decode(raw(value))
    return {name: said[name] for name in said if name not in _OF_ONE_LIFE} if isinstance(said, dict) else said


LIVES: dict[str, Life] = {"journals": live_with_journals}


@asynccontextmanager
async def asking(url: str, user_id: str) -> AsyncIterator[StateStore]:
    """The state of a user over HTTP, by a client that does not wait before it asks again."""

    async def at_once(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    async with httpx.AsyncClient(base_url=url, headers=as_user(user_id), timeout=60) as client:
        yield RemoteState(Transport(client, at_once))
