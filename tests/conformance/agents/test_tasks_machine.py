"""Tasks by chance: whatever is done to them in whatever order, every back end does as the memory store does."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import stores
from support.backends import NATIVE, Backend, shared_by_all_tests
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.conformance.helpers.journals import append, put
from threadkeep.conformance.helpers.tasks import QUEUE, absorb, admit, change, change_lane, listed, renew, shown
from threadkeep.errors import ThreadkeepError

pytestmark = pytest.mark.anyio

IDS = st.sampled_from(["t1", "t2", "t3", "t4"])
LANES = st.sampled_from(["one", "two"])
ATTEMPTS = st.sampled_from(["a1", "a2"])
TARGETS = st.sampled_from(["x", None])
KINDS = st.sampled_from(["k", None])
REQUESTS = st.sampled_from(["p", "q", None])
HOLDERS = st.sampled_from(["h1", "h2"])
LEASES = st.sampled_from([0, 1, 10**15])
ERRORS = st.sampled_from(["why", None])
ENDS = st.sampled_from(["s1", "s2"])
NOTES = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([1, None, {"c": 1}, {"c": None}, "x"]), max_size=2)
WANTED = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([1, None, True, "x"]), max_size=1)


def some(**fields: Any) -> Any:
    """Any of these fields, or none."""
    return st.fixed_dictionaries({}, optional=fields)


def all_of(**fields: Any) -> Any:
    """All of these fields."""
    return st.fixed_dictionaries(fields)


CHANGES: dict[str, Any] = {
    "ready": all_of(),
    "claim": all_of(
        attempt=ATTEMPTS,
        holder=HOLDERS,
        leaseUntil=LEASES,
        restart=st.booleans(),
        timeoutAt=st.sampled_from([5, 6, None]),
        attemptsMax=st.sampled_from([3, None]),
    ),
    "applied": all_of(attempt=ATTEMPTS, attemptsMax=st.sampled_from([4, None]), timeoutAt=st.sampled_from([7, None])),
    "recover": all_of(attempt=ATTEMPTS),
    "replace": all_of(attempt=ATTEMPTS, nextAttempt=ATTEMPTS, holder=st.sampled_from(["h3", None])),
    "requeue": all_of(attempt=ATTEMPTS, unlessApplied=st.booleans()),
    "settle": all_of(attempt=ATTEMPTS, error=ERRORS),
    "drop": all_of(error=ERRORS),
    "reserve": all_of(attempt=ATTEMPTS, settlementId=ENDS, settlement=st.integers(0, 1), error=ERRORS),
    "finalize": all_of(attempt=ATTEMPTS, settlementId=ENDS, error=ERRORS),
    "join": all_of(host=IDS, attempt=ATTEMPTS),
    "leave": all_of(host=IDS, attempt=ATTEMPTS),
    "note": all_of(attempt=ATTEMPTS, note=NOTES, **{"if": WANTED}),
}
CHANGE = st.one_of(
    *(st.tuples(st.just("change"), IDS, st.just(do), fields, REQUESTS) for do, fields in CHANGES.items())
)
STEPS = st.one_of(
    st.tuples(
        st.just("admit"),
        IDS,
        LANES,
        some(ready=st.booleans(), payload=st.integers(0, 1), kind=KINDS, target=TARGETS, timeout_at=st.just(9)),
    ),
    CHANGE,
    CHANGE,
    CHANGE,
    st.tuples(st.just("absorb"), IDS, ATTEMPTS, TARGETS, REQUESTS),
    st.tuples(st.just("renew"), st.lists(IDS, max_size=3), HOLDERS, LEASES),
    st.tuples(st.just("lane"), LANES, st.sampled_from(["abort", "close", "open"])),
    st.tuples(st.just("clear"), LANES, KINDS),
    st.tuples(
        st.just("append"),
        LANES,
        st.fixed_dictionaries(
            {"task": IDS, "attempt": ATTEMPTS},
            optional={"joined": st.lists(IDS, max_size=2)},
        ),
        st.one_of(st.none(), st.tuples(ENDS, st.integers(0, 1))),
    ),
)
VIEWS = ("runnable", "unready", "running", "expired", "settling", "open")
# What leads to states that chance alone seldom finds.
BEGINNINGS: list[list[tuple[Any, ...]]] = [
    [],
    [
        *(("admit", f"t{place}", "one", {"target": "x"}) for place in (1, 2, 3)),
        ("change", "t1", "claim", {"attempt": "a1", "holder": "h1", "leaseUntil": 1}, None),
    ],
    [
        *(("admit", f"t{place}", "one", {"kind": "k", "payload": 0}) for place in (1, 2, 3)),
        ("change", "t1", "claim", {"attempt": "a1", "holder": "h1", "leaseUntil": 1}, None),
        ("absorb", "t1", "a1", None, "p"),
        ("change", "t2", "join", {"host": "t1", "attempt": "a1"}, None),
    ],
    [
        *(("admit", f"t{place}", "one", {"kind": "k"}) for place in (1, 2)),
        ("change", "t1", "drop", {"error": "why"}, None),
        ("change", "t2", "drop", {}, None),
        ("lane", "one", "close"),
    ],
]


async def take(store: StateStore, step: tuple[Any, ...]) -> Any:  # noqa: PLR0911 one for each kind
    """Take a step; return what came of it, as far as it does not depend on clocks and ids."""
    match step:
        case "admit", id_, lane, fields:
            kind, task, is_new = await admit(store, id_, lane=lane, **fields)
            return kind, shown(task), is_new
        case "change", id_, do, fields, request:
            changed = await change(store, id_, do, request=request, **fields)
            return changed.applied, changed.task and shown(changed.task)
        case "absorb", id_, attempt, target, request:
            return await absorb(store, id_, attempt, target, request)
        case "renew", ids, holder, until:
            return sorted(await renew(store, *ids, holder=holder, until=until))
        case "lane", lane, do:
            changed_lane = await change_lane(store, do, lane)
            return changed_lane.closed_at is not None, changed_lane.aborted
        case "clear", lane, keep:
            return (await change_lane(store, "clear", lane, keep)).closed_at
        case "append", lane, guard, end:
            settling = {} if end is None else {"settlementId": end[0], "settlement": end[1]}
            return await append(store, "x", key=lane, guard={"queue": QUEUE, **guard, **settling})
    raise AssertionError(step)


async def outcome(store: StateStore, step: tuple[Any, ...]) -> Any:
    try:
        return await take(store, step)
    except ThreadkeepError as error:
        return type(error), error.message, error.details


async def everything(store: StateStore) -> list[Any]:
    found: list[Any] = [shown(task) for task in (await store.list_tasks(QUEUE, TaskQuery())).tasks]
    found += [await listed(store, view) for view in VIEWS]
    found += [await listed(store, "lane", lane=lane) for lane in ("one", "two")]
    found += [await listed(store, "joined", host=id_) for id_ in ("t1", "t2", "t3")]
    return [*found, await store.has_open_tasks(QUEUE)]


@pytest.fixture(params=[name for name in NATIVE if name != "memory"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end whose store can be opened in this process, but for the model itself."""
    return shared_by_all_tests(request)


# Each example is a new user's, in a back end that is opened once for all tests.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(beginning=st.sampled_from(BEGINNINGS), steps=st.lists(STEPS, max_size=30))
async def test_every_back_end_does_as_the_memory_store_does(
    backend: Backend, beginning: list[tuple[Any, ...]], steps: list[tuple[Any, ...]]
) -> None:
    model, store = stores.new_memory().open_store("ada").state, await backend.state()
    for each in (model, store):
        await put(each, "one", lane="one")
        await put(each, "two")
    for step in [*beginning, *steps]:
        assert await outcome(store, step) == await outcome(model, step), step
    assert await everything(store) == await everything(model)
