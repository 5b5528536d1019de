"""Journals by chance: whatever is done to them in whatever order, every back end does as the memory store does."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import stores
from support.backends import NATIVE, Backend, shared_by_all_tests
from threadkeep.agents.journals.models import Journal, Producer
from threadkeep.agents.store import StateStore
from threadkeep.conformance.helpers.journals import SPACE, append, patch, put, read
from threadkeep.errors import ThreadkeepError

pytestmark = pytest.mark.anyio

KEYS = st.sampled_from(["one", "two"])
SMALL = st.integers(0, 3)
IDS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["x", 1, None, {"n": 1}])
ENTRIES = st.lists(st.one_of(VALUES, st.tuples(IDS, VALUES)), max_size=3).filter(
    lambda entries: (
        len({each[0] for each in entries if isinstance(each, tuple)})
        == len([each for each in entries if isinstance(each, tuple)])
    )
)


def some(**fields: Any) -> Any:
    """Any of these fields, or none."""
    return st.fixed_dictionaries({}, optional=fields)


STEPS = st.one_of(
    st.tuples(
        st.just("put"),
        KEYS,
        some(
            mode=st.sampled_from(["create", "save"]),
            head=VALUES,
            identity=SMALL,
            status=st.sampled_from(["s", None]),
            expected=SMALL,
            request=st.sampled_from(["p", "q"]),
        ),
    ),
    st.tuples(st.just("replace"), KEYS, some(head=VALUES, request=st.sampled_from(["p", "q"]))),
    st.tuples(st.just("patch"), KEYS, some(head=st.sampled_from([{}, {"m": {"k": 1}}, {"n": None}]), expected=SMALL)),
    st.tuples(
        st.just("append"),
        KEYS,
        ENTRIES,
        some(
            cut=SMALL,
            remove=st.lists(IDS, max_size=2),
            head=VALUES,
            expected=SMALL,
            create=st.booleans(),
            request=st.sampled_from(["p", "q"]),
        ),
    ),
    st.tuples(st.just("place"), KEYS, ENTRIES, SMALL),
    st.tuples(st.just("close"), KEYS),
    st.tuples(st.just("claim"), KEYS, st.sampled_from(["first", "second"])),
    st.tuples(st.just("produce"), KEYS, st.sampled_from(["first", "second"]), SMALL, SMALL, VALUES),
    st.tuples(st.just("pop"), KEYS),
    st.tuples(st.just("delete"), KEYS, st.one_of(st.none(), SMALL)),
)


async def take(store: StateStore, step: tuple[Any, ...]) -> Any:  # noqa: PLR0911 one for each kind
    """Take a step; return what came of it, as far as it does not depend on clocks and ids."""
    what, key, *rest = step
    match what:
        case "put" | "replace":
            fields = {"mode": "replace", **rest[0]} if what == "replace" else rest[0]
            journal, is_new = await put(store, key, **fields)
            return shown(journal), is_new
        case "patch":
            return shown(await patch(store, key, **rest[0]))
        case "append":
            return await append(store, *rest[0], key=key, **rest[1])
        case "place":
            return await append(store, *rest[0], key=key, at=rest[1])
        case "close":
            return await append(store, key=key, close=True)
        case "claim":
            return shown(await store.acquire_producer(SPACE, key, rest[0], request=f"claim {rest[0]}"))
        case "produce":
            incarnation = (await store.get_journal(SPACE, key)).incarnation
            producer = Producer(id=rest[0], incarnation=incarnation, epoch=rest[1], seq=rest[2])
            return await append(store, rest[3], key=key, producer=producer)
        case "pop":
            entry = await store.pop_entry(SPACE, key)
            return entry and (entry.seq, entry.id, bytes(entry.data))
        case "delete":
            return await store.delete_journal(SPACE, key, expected=rest[0])


def shown(journal: Journal) -> dict[str, Any]:
    """A journal without what depends on clocks and ids."""
    document = msgspec.json.decode(msgspec.json.encode(journal))
    closed = document["closedAt"] is not None
    unequal = ("incarnation", "createdAt", "updatedAt", "closedAt")
    return {name: value for name, value in document.items() if name not in unequal} | {"isClosed": closed}


async def outcome(store: StateStore, step: tuple[Any, ...]) -> Any:
    try:
        return await take(store, step)
    except ThreadkeepError as error:
        return type(error), error.message, error.details


async def all_of(store: StateStore) -> list[Any]:
    found: list[Any] = [shown(journal) for journal in (await store.list_journals(SPACE)).journals]
    for key in ("one", "two"):
        with contextlib.suppress(ThreadkeepError):
            found.append([(each.seq, each.id, bytes(each.data)) for each in (await read(store, key)).entries])
    return found


@pytest.fixture(params=[name for name in NATIVE if name != "memory"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end whose store can be opened in this process, but for the model itself."""
    return shared_by_all_tests(request)


# Each example is a new user's, in a back end that is opened once for all tests.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=30))
async def test_every_back_end_does_as_the_memory_store_does(backend: Backend, steps: list[tuple[Any, ...]]) -> None:
    model, store = stores.new_memory().open_store("ada").state, await backend.state()
    for step in steps:
        assert await outcome(store, step) == await outcome(model, step), step
    assert await all_of(store) == await all_of(model)
