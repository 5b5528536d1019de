"""Threads by chance: whatever is done to them in whatever order, every back end does as the memory store does."""

import random
from typing import Any

import msgspec
import pytest

from support import stores
from support.backends import NATIVE, Backend, shared_by_all_tests
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.conformance.helpers.threads import copy, deltas, page, pages, plain, prune, put, valued, write
from threadkeep.errors import ThreadkeepError

pytestmark = pytest.mark.anyio

SEEDS = range(12)
STEPS = 60


def some_step(chance: random.Random) -> tuple[Any, ...]:  # noqa: PLR0911 one for each kind
    """A step by chance: a checkpoint or writes, more often than not."""
    pick = chance.choice
    thread, ns, id_, epoch = pick(["one", "one", "two"]), pick(["", "child"]), pick("12345"), pick([0, 0, 0, 1])

    def some(most: int) -> list[str]:
        return chance.sample("ab", chance.randint(0, most))

    what = pick(["put"] * 6 + ["write"] * 3 + ["deltas", "list"] * 2 + ["claim", "copy", "prune", "runs", "other"])
    match what:
        case "put":
            values = {(channel, pick("12")): chance.randint(0, 9) for channel in some(2)}
            stored = {channel: pick([None, "1", "2"]) for channel in some(1)}
            parent = pick([None, *"1234"])
            return ("put", thread, ns, id_, parent, values, epoch, stored, pick(["r1", "r2", "r3"]), some(2))
        case "write":
            writes = [(chance.randint(-1, 2), channel, chance.randint(0, 9)) for channel in some(2)]
            return ("write", thread, ns, id_, epoch, pick(["t1", "t2"]), writes)
        case "deltas":
            return ("deltas", thread, ns, pick([None, id_]))
        case "list":
            return ("list", ns, pick([None, id_]), chance.randint(1, 3))
        case "claim":
            return ("claim", "two", pick("xy"))
        case "copy":
            return ("copy", thread, epoch)
        case "prune":
            return ("prune", thread, "latest")
        case "runs":
            return ("runs", pick([["r1"], ["r1", "r2"]]))
        case _:
            return pick([("prune", thread, "none"), ("delete", thread)])


async def take(store: StateStore, step: tuple[Any, ...]) -> Any:  # noqa: PLR0911 one for each kind
    """Take a step; return what came of it, as far as it does not depend on clocks."""
    match step:
        case ["put", thread, ns, id_, parent, values, epoch, stored, run, counted]:
            metadata = {"run_id": run, service.COUNTERS: dict.fromkeys(counted, 1)}
            fields = {"ns": ns, "epoch": epoch, "stored": stored, "metadata": metadata}
            kept = await put(store, id_, None if parent == id_ else parent, thread=thread, values=values, **fields)
            return kept.epoch
        case ["write", thread, ns, id_, epoch, task, writes]:
            return (await write(store, id_, *writes, thread=thread, ns=ns, epoch=epoch, task=task)).epoch
        case ["claim", thread, request]:
            return (await service.claim_thread(store, thread, request=request)).epoch
        case ["copy", thread, epoch]:
            return await copy(store, thread, "two" if thread == "one" else "one", epoch=epoch)
        case ["prune", thread, keep]:
            return await prune(store, thread, keep=keep)
        case ["delete", thread]:
            return await service.delete_thread(store, thread)
        case ["runs", runs]:
            return await store.delete_runs(runs)
        case ["deltas", thread, ns, id_]:
            circle = await page(store, thread, ns=ns)
            if any((each.parent or "") >= each.id for each in circle.checkpoints):
                return None  # it may go round in a circle, page by page
            return await deltas(store, "a", "b", thread=thread, ns=ns, id=id_)
        case ["list", ns, before, limit]:
            found = await pages(store, "one", ns=ns, before=before, limit=limit)
            return [[(each.id, plain(each)) for each in part.checkpoints] for part in found]


async def outcome(store: StateStore, step: tuple[Any, ...]) -> Any:
    try:
        return await take(store, step)
    except ThreadkeepError as error:
        return type(error), error.message, error.details


async def all_of(store: StateStore) -> Any:
    found = await page(store, None)
    threads = (await store.list_threads()).threads
    return (
        [
            msgspec.to_builtins(msgspec.structs.replace(each, metadata=bytes(each.metadata)))
            for each in found.checkpoints
        ],
        [(value.thread, value.ns, key, plain(value)) for key, value in zip(valued(found), found.values, strict=False)],
        sorted((thread.thread, thread.epoch, thread.expires_at) for thread in threads),
    )


@pytest.fixture(params=[name for name in NATIVE if name != "memory"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end whose store can be opened in this process, but for the model itself."""
    return shared_by_all_tests(request)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_back_end_does_as_the_memory_store_does(backend: Backend, seed: int) -> None:
    chance = random.Random(seed)
    model, store = stores.new_memory().open_store("ada").state, await backend.state()
    for number in range(STEPS):
        step = some_step(chance)
        assert await outcome(store, step) == await outcome(model, step), (number, step)
        assert await all_of(store) == await all_of(model), (number, step)
