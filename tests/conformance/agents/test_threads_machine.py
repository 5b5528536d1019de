"""Threads by chance: whatever is done to them in whatever order, every back end does as the memory store does."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import stores
from support.backends import NATIVE, Backend, shared_by_all_tests
from support.threads import copy, deltas, page, pages, plain, prune, put, valued, write
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.errors import ThreadkeepError

pytestmark = pytest.mark.anyio

THREADS = st.sampled_from(["one", "two"])
NAMESPACES = st.sampled_from(["", "child"])
IDS = st.sampled_from(["1", "2", "3", "4", "5"])
CHANNELS = st.sampled_from(["a", "b"])
VERSIONS = st.sampled_from(["1", "2"])
VALUES = st.dictionaries(st.tuples(CHANNELS, VERSIONS), st.integers(0, 9), max_size=2)
COUNTED = st.lists(CHANNELS, max_size=2, unique=True)
EPOCHS = st.sampled_from([0, 0, 0, 1])
PARENTS = st.one_of(st.none(), IDS)
STEPS = st.one_of(
    st.tuples(
        *(st.just("put"), THREADS, NAMESPACES, IDS, PARENTS, VALUES, EPOCHS),
        st.dictionaries(CHANNELS, st.one_of(st.none(), VERSIONS), max_size=2),
        st.sampled_from(["r1", "r2"]),
        COUNTED,
    ),
    st.tuples(
        *(st.just("write"), THREADS, NAMESPACES, IDS, EPOCHS, st.sampled_from(["t1", "t2"])),
        st.lists(st.tuples(st.integers(-1, 2), CHANNELS, st.integers(0, 9)), max_size=3),
    ),
    st.tuples(st.just("claim"), THREADS, st.sampled_from(["x", "y"])),
    st.tuples(st.just("copy"), THREADS, EPOCHS),
    st.tuples(st.just("prune"), THREADS, st.sampled_from(["latest", "latest", "none"])),
    st.tuples(st.just("delete"), THREADS),
    st.tuples(st.just("runs"), st.sampled_from([["r1"], ["r1", "r2"]])),
    st.tuples(st.just("deltas"), THREADS, NAMESPACES, st.one_of(st.none(), IDS)),
    st.tuples(st.just("list"), NAMESPACES, st.one_of(st.none(), IDS), st.integers(1, 3)),
)


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


# Each example is a new user's, in a back end that is opened once for all tests.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=30))
async def test_every_back_end_does_as_the_memory_store_does(backend: Backend, steps: list[tuple[Any, ...]]) -> None:
    model, store = stores.new_memory().open_state_store("ada"), await backend.state()
    for step in steps:
        assert await outcome(store, step) == await outcome(model, step), step
    assert await all_of(store) == await all_of(model)
