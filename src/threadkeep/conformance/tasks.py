"""Tasks: in which order they run, who may change them, and what is refused and why."""

from typing import Any

import pytest
from msgspec import Raw

from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks import service
from threadkeep.agents.tasks.models import LaneChange
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.journals import append, contents, plain, put, raw
from threadkeep.conformance.helpers.tasks import (
    LANE,
    QUEUE,
    absorb,
    admit,
    change,
    change_lane,
    claim,
    get,
    listed,
    renew,
    running,
    shown,
)
from threadkeep.errors import Conflict, Invalid, NotFound, ThreadkeepError, TooLarge

pytestmark = pytest.mark.anyio

VALUES = [
    b"null",
    b'""',
    b"[1e400,1.10,123456789012345678901234567890,-0.0,1E2]",
    b'{"a":1,"a":2,"":{}}',
    b'"\\u0000\\u2028 \\ud83d\\ude00 \xc3\xa9 \\\\ \\" </script>"',
    b"[" * 90 + b"]" * 90,
]


async def refused(call: Any) -> tuple[str, Any]:
    """The code of an error and its reason, of a call that has to raise."""
    with pytest.raises(ThreadkeepError) as caught:
        await call
    return caught.value.code, (caught.value.details or {}).get("reason")


async def states(store: StateStore) -> dict[str, str]:
    """The state of each task."""
    return {task.id: task.state for task in (await store.list_tasks(QUEUE, TaskQuery())).tasks}


async def joined(store: StateStore, host: str, *ids: str) -> None:
    """Have tasks join a running one, for good."""
    await absorb(store, host)
    for id_ in ids:
        assert (await change(store, id_, "join", host=host, attempt="a1")).applied


# Admission


async def test_a_task_comes_back_as_it_was_admitted(backend: Backend) -> None:
    store = await backend.state()
    kind, task, is_new = await admit(
        store, "t", payload={"a": [1]}, kind="direct", target="agent", accepted_at=17, attempts_max=3, timeout_at=99
    )
    assert (kind, is_new) == ("task", True)
    assert (task.queue, task.id, task.lane, task.seq) == (QUEUE, "t", LANE, 1)
    assert (task.kind, task.target, task.state) == ("direct", "agent", "queued")
    assert (task.accepted_at, task.attempts, task.attempts_max, task.timeout_at) == (17, 0, 3, 99)
    assert (task.attempt, task.holder, task.lease_until, task.host, task.error) == (None, None, 0, None, None)
    assert (task.started_at, task.applied_at, task.recovery_at, task.abort_at, task.settled_at) == (None,) * 5
    assert plain(task.payload) == {"a": [1]}
    assert (plain(task.note), task.note_revision, task.noted_at) == (None, 0, None)
    assert task.ready_at is not None
    assert shown(await get(store, "t")) == shown(task)
    assert await listed(store) == ["t"]
    _, second, _ = await admit(store, "u", ready=False)
    assert (second.seq, second.ready_at, second.attempts_max, second.timeout_at) == (2, None, 10, 0)
    assert second.accepted_at > 1_700_000_000_000


@pytest.mark.parametrize("name", ["a/b", '["it\'s", "quoted"]', "%2F?#", "é漢😀", "k" * 512, "...", "~"])
async def test_a_name_is_any_text_without_control_characters(backend: Backend, name: str) -> None:
    store = await backend.state()
    await admit(store, name, queue=name, lane=name, kind=name, target=name)
    await change(store, name, "claim", queue=name, attempt=name, holder=name, leaseUntil=1)
    task = await get(store, name, queue=name)
    assert (task.id, task.queue, task.lane, task.kind, task.target) == (name,) * 5
    assert (task.attempt, task.holder) == (name, name)
    assert await listed(store, "lane", queue=name, lane=name) == [name]


@pytest.mark.parametrize("name", ["", "a\n", "\x00", "\x7f", "k" * 513, "é" * 257])
async def test_a_name_that_cannot_be_one_is_refused(backend: Backend, name: str) -> None:
    store = await backend.state()
    claiming = {"attempt": "a", "holder": "h", "leaseUntil": 1}
    for call, path in (
        (admit(store, name), "id"),
        (admit(store, "t", lane=name), "lane"),
        (admit(store, "t", queue=name), "queue"),
        (admit(store, "t", kind=name or "\n"), "kind"),
        (admit(store, "t", target=name or "\n"), "target"),
        (get(store, name), "task"),
        (listed(store, "lane", lane=name), "lane"),
        (listed(store, "joined", host=name), "host"),
        (change(store, "t", "claim", **{**claiming, "attempt": name or "\n"}), "attempt"),
        (change(store, "t", "claim", **{**claiming, "holder": name or "\n"}), "holder"),
        (change(store, "t", "ready", request=name or ""), "idempotency-key"),
        (renew(store, "t", name), "tasks[1]"),
        (change_lane(store, "clear", keep=name or "\n"), "keep"),
        (change_lane(store, "abort", lane=name), "lane"),
        (absorb(store, name), "task"),
    ):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.path == path


@pytest.mark.parametrize("value", VALUES)
async def test_a_payload_and_a_settlement_come_back_to_the_letter(backend: Backend, value: bytes) -> None:
    store = await backend.state()
    await admit(store, "t", payload=Raw(value))
    await claim(store, "t")
    reserve = service.change_task
    settling = service.Reserve(attempt="a1", settlement_id="s", settlement=Raw(value))
    assert (await reserve(store, QUEUE, "t", settling, request=None)).applied
    task = await get(store, "t")
    assert bytes(raw(task.payload)) == bytes(raw(task.settlement)) == value


async def test_what_is_large_comes_back_to_the_letter_and_is_a_page_of_its_own(backend: Backend) -> None:
    store = await backend.state()
    large = ["x" * 949_000, "é" * 700_000 + "x", "漢" * 900_000, '\\"' * 440_000]
    for place, text in enumerate(["small", *large, "small"]):
        _, task, is_new = await admit(store, f"t{place}", lane=f"l{place}", payload=text)
        assert is_new
        assert plain(task.payload) == text
        assert not (await admit(store, f"t{place}", lane=f"l{place}", payload=text))[2]
    found: list[Any] = []
    after = 0
    while True:
        page = await store.list_tasks(QUEUE, TaskQuery(after=after))
        found += [plain(task.payload) for task in page.tasks]
        if not page.more:
            break
        after = page.tasks[-1].seq
    assert found == ["small", *large, "small"]
    for place in (2, 3):
        assert (await claim(store, f"t{place}")).applied
    # Of one both are large, and of the other only one.
    for place, settlement in ((2, large[2]), (3, "small")):
        reserving = {"attempt": "a1", "settlementId": "s", "settlement": settlement}
        changed = await change(store, f"t{place}", "reserve", **reserving)
        assert changed.applied
        task = await get(store, f"t{place}")
        assert (plain(task.payload), plain(task.settlement)) == (large[place - 1], settlement)
        assert (await change(store, f"t{place}", "reserve", **reserving)).applied
        assert not (await change(store, f"t{place}", "reserve", **{**reserving, "settlement": "other"})).applied
    assert await listed(store, "settling") == ["t2"]
    assert await listed(store, "settling", after=3) == ["t3"]


async def test_an_id_is_admitted_once(backend: Backend) -> None:
    store = await backend.state()
    await admit(store, "t", payload=1, kind="k", target="x")
    kind, task, is_new = await admit(store, "t", payload=1, kind="k", target="x", accepted_at=5, attempts_max=99)
    assert (kind, is_new, task.attempts_max) == ("task", False, 10)
    for other in ({"payload": 2}, {"kind": "other"}, {"target": "other"}, {"lane": "other"}, {"kind": None}):
        with pytest.raises(Conflict) as caught:
            await admit(store, "t", **{"payload": 1, "kind": "k", "target": "x", **other})
        assert caught.value.details == {"reason": "conflict"}
    assert (await admit(store, "t", queue="another", payload=2))[2]
    await claim(store, "t")
    await change(store, "t", "settle", attempt="a1")
    kind, task, is_new = await admit(store, "t", payload=1, kind="k", target="x")
    assert (kind, is_new, task.state) == ("task", False, "settled")


async def test_what_is_not_there_is_not_found_or_not_changed(backend: Backend) -> None:
    store = await backend.state()
    for _ in range(2):
        with pytest.raises(NotFound):
            await get(store, "t")
        for do, fields in CHANGES.items():
            changed = await change(store, "t", do, **fields)
            assert (changed.applied, changed.task) == (False, service.Changed(applied=False).task)
        assert await absorb(store, "t") == ([], False)
        assert await renew(store, "t") == []
        assert await listed(store) == []
        assert not await store.has_open_tasks(QUEUE)
        for do in ("abort", "open", "clear"):
            assert await change_lane(store, do, lane="none") == service.Lane("none", None, [])
        await admit(store, "other", queue="another")


CHANGES: dict[str, dict[str, Any]] = {
    "ready": {},
    "claim": {"attempt": "a1", "holder": "h1", "leaseUntil": 5},
    "applied": {"attempt": "a1"},
    "recover": {"attempt": "a1"},
    "replace": {"attempt": "a1", "nextAttempt": "a2"},
    "requeue": {"attempt": "a1"},
    "settle": {"attempt": "a1"},
    "drop": {},
    "reserve": {"attempt": "a1", "settlementId": "s", "settlement": 1},
    "finalize": {"attempt": "a1", "settlementId": "s"},
    "join": {"host": "h", "attempt": "a1"},
    "leave": {"host": "h", "attempt": "a1"},
    "note": {"attempt": "a1", "note": {}},
}
"""Each change, as it would be made of a task that `running` has left."""


async def test_users_have_tasks_of_their_own(backend: Backend) -> None:
    one, other = await backend.state(), await backend.state()
    await running(one, "t", "u")
    assert (await admit(other, "t"))[2]
    assert await listed(other, "runnable") == ["t"]
    for do, fields in CHANGES.items():
        await change(other, "u", do, **fields)
    await renew(other, "t", "u", until=7)
    await change_lane(other, "abort")
    await change(other, "t", "drop")
    await change_lane(other, "close")
    await change_lane(other, "clear")
    assert await states(one) == {"t": "running", "u": "queued"}
    task = await get(one, "t")
    assert (task.lease_until, task.abort_at) == (10**15, None)


# Order


async def test_of_a_lane_only_the_first_open_task_runs(backend: Backend) -> None:
    store = await backend.state()
    for id_ in ("a", "b", "c"):
        await admit(store, id_)
    await admit(store, "x", lane="other")
    assert await listed(store, "runnable") == ["a", "x"]
    assert not (await claim(store, "b")).applied
    assert (await claim(store, "a")).applied
    assert await listed(store, "runnable") == ["x"]
    assert not (await claim(store, "b", "a2")).applied
    await change(store, "a", "reserve", attempt="a1", settlementId="s", settlement=1)
    assert await listed(store, "runnable") == ["x"]
    assert await listed(store, "settling") == ["a"]
    assert await listed(store, "running") == []
    await change(store, "a", "finalize", attempt="a1", settlementId="s")
    assert await listed(store, "runnable") == ["b", "x"]
    assert (await change(store, "b", "drop")).applied
    assert (await claim(store, "c")).applied
    assert await listed(store, "running") == ["c"]
    assert await listed(store, "open") == ["c", "x"]
    assert await listed(store) == ["a", "b", "c", "x"]
    assert await listed(store, "lane", lane=LANE) == ["a", "b", "c"]


async def test_a_task_that_is_not_ready_holds_up_its_lane(backend: Backend) -> None:
    store = await backend.state()
    await admit(store, "a", ready=False)
    await admit(store, "b")
    assert await listed(store, "unready") == ["a"]
    assert await listed(store, "runnable") == []
    assert not (await claim(store, "a")).applied
    changed = await change(store, "a", "ready")
    assert changed.applied
    assert changed.task.ready_at is not None  # type: ignore[union-attr]
    again = await change(store, "a", "ready")
    assert again.applied
    assert again.task.ready_at == changed.task.ready_at  # type: ignore[union-attr]
    assert await listed(store, "unready") == []
    assert await listed(store, "runnable") == ["a"]
    assert (await claim(store, "a")).applied
    assert not (await change(store, "a", "ready")).applied


async def test_a_page_ends_and_the_next_begins_after_it(backend: Backend) -> None:
    store = await backend.state()
    ids = [f"t{place}" for place in range(7)]
    for id_ in ids:
        await admit(store, id_, lane=f"lane {id_}", payload="x" * 300_000)
    assert await listed(store) == ids[:3]
    page = await store.list_tasks(QUEUE, TaskQuery(limit=2, after=3))
    assert ([task.seq for task in page.tasks], page.more) == ([4, 5], True)
    page = await store.list_tasks(QUEUE, TaskQuery(limit=2, after=5))
    assert ([task.seq for task in page.tasks], page.more) == ([6, 7], False)
    assert await listed(store, "runnable", after=6) == ["t6"]
    assert await listed(store, "open", after=2, limit=1) == ["t2"]
    assert await listed(store, after=2**53 - 1) == []
    for view, name in (("lane", "lane"), ("joined", "host")):
        with pytest.raises(Invalid) as caught:
            await listed(store, view)
        assert caught.value.path == name
        with pytest.raises(Invalid) as caught:
            await listed(store, "all", **{name: "x"})
        assert caught.value.path == name


# Attempts


async def test_a_claim_begins_an_attempt(backend: Backend) -> None:
    store = await backend.state()
    await admit(store, "t")
    claimed = (await claim(store, "t", lease=50, attemptsMax=4, timeoutAt=60)).task
    assert (claimed.state, claimed.attempt, claimed.holder, claimed.lease_until) == ("running", "a1", "h1", 50)  # type: ignore[union-attr]
    assert (claimed.attempts, claimed.attempts_max, claimed.timeout_at) == (1, 4, 60)  # type: ignore[union-attr]
    assert (await change(store, "t", "requeue", attempt="a1")).applied
    back = await get(store, "t")
    assert (back.state, back.attempt, back.holder, back.lease_until, back.started_at) == ("queued", None, None, 0, None)
    assert (back.attempts, back.timeout_at) == (1, 60)
    again = (await claim(store, "t", "a2", timeoutAt=70)).task
    assert (again.attempts, again.attempts_max, again.timeout_at) == (2, 4, 60)  # type: ignore[union-attr]
    await change(store, "t", "requeue", attempt="a2")
    anew = (await claim(store, "t", "a3", timeoutAt=70, attemptsMax=9, restart=True)).task
    assert (anew.attempts, anew.attempts_max, anew.timeout_at) == (1, 9, 70)  # type: ignore[union-attr]
    assert not (await claim(store, "t", "a4")).applied


async def test_only_the_attempt_that_runs_changes_a_task(backend: Backend) -> None:
    store = await backend.state()
    owned = ("applied", "recover", "replace", "requeue", "settle", "reserve", "finalize", "note")
    await running(store, "t")
    for do in owned:
        assert not (await change(store, "t", do, **{**CHANGES[do], "attempt": "a0"})).applied
    await change(store, "t", "replace", attempt="a1", nextAttempt="a2")
    for do in owned:
        assert not (await change(store, "t", do, **CHANGES[do])).applied
    assert (await change(store, "t", "settle", attempt="a2", error="once")).applied
    for do in owned[:-1]:
        assert not (await change(store, "t", do, **{**CHANGES[do], "attempt": "a2"})).applied
    assert not (await change(store, "t", "drop", error="twice")).applied
    task = await get(store, "t")
    assert (task.state, task.error, task.settled_at is not None) == ("settled", "once", True)


async def test_an_input_is_applied_once_and_sets_the_budget(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    first = (await change(store, "t", "applied", attempt="a1", attemptsMax=5, timeoutAt=80)).task
    second = await change(store, "t", "applied", attempt="a1", attemptsMax=6, timeoutAt=90)
    assert second.applied
    for task in (first, second.task):
        assert (task.attempts_max, task.timeout_at) == (5, 80)  # type: ignore[union-attr]
    assert first.applied_at == second.task.applied_at  # type: ignore[union-attr]
    assert not (await change(store, "t", "requeue", attempt="a1", unlessApplied=True)).applied
    assert (await change(store, "t", "requeue", attempt="a1")).applied
    assert (await get(store, "t")).applied_at is None
    await claim(store, "t", "a2")
    assert (await change(store, "t", "requeue", attempt="a2", unlessApplied=True)).applied


async def test_an_attempt_is_replaced_and_counted(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    recovering = (await change(store, "t", "recover", attempt="a1")).task
    assert recovering.recovery_at is not None  # type: ignore[union-attr]
    again = (await change(store, "t", "recover", attempt="a1")).task
    assert again.recovery_at == recovering.recovery_at  # type: ignore[union-attr]
    kept = (await change(store, "t", "replace", attempt="a1", nextAttempt="a2")).task
    assert (kept.attempt, kept.attempts, kept.holder, kept.lease_until) == ("a2", 2, "h1", 10**15)  # type: ignore[union-attr]
    assert kept.recovery_at is None  # type: ignore[union-attr]
    moved = (await change(store, "t", "replace", attempt="a2", nextAttempt="a3", holder="h2", leaseUntil=9)).task
    assert (moved.attempt, moved.attempts, moved.holder, moved.lease_until) == ("a3", 3, "h2", 9)  # type: ignore[union-attr]


async def test_leases_end_and_are_renewed_by_who_holds_them(backend: Backend) -> None:
    store = await backend.state()
    for place, lease in enumerate((1, 10**15, 0)):
        await admit(store, f"t{place}", lane=str(place))
        await claim(store, f"t{place}", lease=lease)
    await admit(store, "queued")
    assert await listed(store, "expired") == ["t0"]
    assert await listed(store, "running") == ["t0", "t1", "t2"]
    assert await renew(store, "t0", "t1", holder="h2") == []
    assert sorted(await renew(store, "t0", "t2", "queued", "unknown", "t0")) == ["t0", "t2"]
    assert await listed(store, "expired") == []
    assert await renew(store, "t1", until=1) == ["t1"]  # in the past: it has ended at once
    assert await listed(store, "expired") == ["t1"]
    assert await renew(store) == []
    with pytest.raises(TooLarge) as caught:
        await renew(store, *(f"t{place}" for place in range(10_000)))
    assert caught.value.details == {"path": "tasks"}
    assert await renew(store, *(f"t{place}" for place in range(1_000))) != []


async def test_a_change_that_is_repeated_counts_as_made(backend: Backend) -> None:
    store = await backend.state()
    await admit(store, "t")
    first = await claim(store, "t", request="r1")
    await renew(store, "t", until=77)
    await change_lane(store, "abort")
    again = await claim(store, "t", request="r1")
    assert first.applied
    assert again.applied
    assert (again.task.attempts, again.task.lease_until) == (1, 77)  # type: ignore[union-attr]
    assert not (await claim(store, "t", request="r2")).applied
    assert (await change(store, "t", "replace", attempt="a1", nextAttempt="a2", request="r3")).applied
    assert (await change(store, "t", "replace", attempt="a1", nextAttempt="a2", request="r3")).applied
    assert not (await claim(store, "t", request="r1")).applied
    task = await get(store, "t")
    assert (task.attempt, task.attempts) == ("a2", 2)


# Ends


@pytest.mark.parametrize("error", [None, "It failed.\n\t\u2028 é 😀 \"'\\"])
async def test_a_settlement_is_reserved_once_and_finalized(backend: Backend, error: str | None) -> None:
    store = await backend.state()
    await running(store, "t")
    reserving = {"attempt": "a1", "settlementId": "s1", "settlement": {"outcome": 1}, "error": error}
    reserved = await change(store, "t", "reserve", **reserving)
    assert reserved.applied
    assert (reserved.task.state, reserved.task.settlement_id) == ("settling", "s1")  # type: ignore[union-attr]
    assert plain(reserved.task.settlement) == {"outcome": 1}  # type: ignore[union-attr]
    assert (await change(store, "t", "reserve", **reserving)).applied
    for other in ({"settlement": {"outcome": 2}}, {"settlementId": "s2"}, {"attempt": "a2"}):
        assert not (await change(store, "t", "reserve", **{**reserving, **other})).applied
    assert not (await change(store, "t", "finalize", attempt="a1", settlementId="s2")).applied
    assert not (await change(store, "t", "finalize", attempt="a2", settlementId="s1")).applied
    assert (await change(store, "t", "finalize", attempt="a1", settlementId="s1")).applied
    task = await get(store, "t")
    assert (task.state, task.error, task.attempt) == ("settled", error, "a1")
    assert not (await change(store, "t", "finalize", attempt="a1", settlementId="s1")).applied


async def test_finalizing_may_say_more_of_an_error_but_makes_none(backend: Backend) -> None:
    store = await backend.state()
    for id_, error in (("failed", "short"), ("completed", None)):
        await running(store, id_)
        await change(store, id_, "reserve", attempt="a1", settlementId="s", settlement=1, error=error)
        await change(store, id_, "finalize", attempt="a1", settlementId="s", error="longer")
    assert (await get(store, "failed")).error == "longer"
    assert (await get(store, "completed")).error is None


async def test_an_error_that_cannot_be_kept_is_refused(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    with pytest.raises(Invalid) as wrong:
        await change(store, "t", "settle", attempt="a1", error="a\x00b")
    assert wrong.value.path == "error"
    with pytest.raises(TooLarge) as large:
        await change(store, "t", "settle", attempt="a1", error="é" * 40_000)
    assert large.value.details == {"path": "error"}
    assert (await change(store, "t", "settle", attempt="a1", error="é" * 32_768)).applied


# Joining


async def test_tasks_join_the_one_that_runs_and_end_with_it(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "host", "a", "b", "c")
    await admit(store, "elsewhere", lane="other")
    assert await absorb(store, "host") == (["a", "b", "c"], False)
    assert await absorb(store, "host") == ([], False)
    assert await listed(store, "joined", host="host") == ["a", "b", "c"]
    assert await listed(store, "open") == ["host", "a", "b", "c", "elsewhere"]
    assert not (await change(store, "a", "join", host="host", attempt="a2")).applied
    assert not (await change(store, "a", "join", host="b", attempt="a1")).applied
    assert (await change(store, "a", "join", host="host", attempt="a1")).applied
    assert not (await change(store, "a", "leave", host="host", attempt="a1")).applied
    assert not (await change(store, "b", "leave", host="host", attempt="a2")).applied
    assert (await change(store, "b", "leave", host="host", attempt="a1")).applied
    assert (await get(store, "a")).applied_at is not None
    assert await listed(store, "joined", host="host") == ["a", "c"]
    assert not (await change(store, "a", "drop")).applied
    assert (await change(store, "host", "settle", attempt="a1", error="why")).applied
    assert await states(store) == {
        "host": "settled",
        "a": "settled",
        "b": "queued",
        "c": "queued",
        "elsewhere": "queued",
    }
    a, b = await get(store, "a"), await get(store, "b")
    assert (a.error, a.settled_at is not None, a.host) == ("why", True, "host")
    assert (b.host, b.applied_at) == (None, None)
    assert await listed(store, "runnable") == ["b", "elsewhere"]


async def test_what_joins_ends_before_the_first_that_must_not(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "host", "a", target="x")
    await admit(store, "b", target="y")
    await admit(store, "c", target="x")
    assert await absorb(store, "host", target="x") == (["a"], False)
    assert await absorb(store, "host", target="x") == ([], False)
    assert await absorb(store, "host", target="y") == (["b"], False)
    await admit(store, "d", target="x", ready=False)
    await admit(store, "e", target="x")
    assert await absorb(store, "host", target="x") == (["c"], False)
    assert await absorb(store, "host", target="x") == ([], False)
    await change(store, "d", "ready")
    await change_lane(store, "abort")
    await admit(store, "f", target="x")
    assert await absorb(store, "host", target="x") == ([], False)
    await change(store, "d", "drop")
    await change(store, "e", "drop")
    assert await absorb(store, "host", attempt="a2", target="x") == ([], False)
    assert await absorb(store, "host", target="x", request="r") == (["f"], False)
    await admit(store, "g", target="x")
    assert await absorb(store, "host", target="x", request="r") == (["f"], True)
    assert await states(store) == {
        **dict.fromkeys("abcf", "joining"),
        **dict.fromkeys("de", "settled"),
        "g": "queued",
        "host": "running",
    }


async def test_what_has_been_absorbed_is_told_again_though_the_host_was_changed_since(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "host", "a", "b")
    assert await absorb(store, "host", request="r") == (["a", "b"], False)
    await admit(store, "c")
    assert (await change(store, "host", "note", attempt="a1", note={"step": 1})).applied
    assert await absorb(store, "host", request="r") == (["a", "b"], True)
    assert (await change(store, "a", "join", host="host", attempt="a1")).applied
    assert await absorb(store, "host", request="r") == (["b"], True)
    assert await absorb(store, "host", request="r2") == (["c"], False)
    assert await absorb(store, "host", request="r") == (["b"], False)
    assert await absorb(store, "host", attempt="a2", request="r") == ([], False)
    assert (await change(store, "host", "replace", attempt="a1", nextAttempt="a2")).applied
    assert await absorb(store, "host", attempt="a2", request="r") == (["b"], False)
    assert await states(store) == {"host": "running", "a": "joined", "b": "joining", "c": "joining"}


async def test_as_many_join_at_once_as_make_a_page(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "host")
    for id_, size in (("a", 400_000), ("b", 400_000), ("c", 400_000), ("d", 1_000_000), ("e", 1)):
        await admit(store, id_, payload="x" * size)
    assert await absorb(store, "host") == (["a", "b"], True)
    assert await absorb(store, "host") == (["c"], True)
    page = await service.absorb_tasks(store, QUEUE, "host", service.Absorb(attempt="a1"), request=None)
    assert [plain(task.payload) == "x" * 1_000_000 for task in page.tasks] == [True]
    assert await absorb(store, "host") == (["e"], False)


async def test_a_joined_task_is_reserved_under_the_attempt_of_its_host(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "host", "a", "b")
    await joined(store, "host", "a")
    reserving = {"settlementId": "s", "settlement": 1}
    assert not (await change(store, "a", "reserve", attempt="a2", **reserving)).applied
    assert not (await change(store, "b", "reserve", attempt="a1", **reserving)).applied
    reserved = await change(store, "a", "reserve", attempt="a1", **reserving)
    assert reserved.applied
    assert (reserved.task.state, reserved.task.attempt, reserved.task.host) == ("settling", "a1", "host")  # type: ignore[union-attr]
    assert (await change(store, "host", "settle", attempt="a1")).applied
    assert await states(store) == {"host": "settled", "a": "settling", "b": "queued"}
    assert (await change(store, "a", "finalize", attempt="a1", settlementId="s")).applied


async def test_what_has_joined_ends_with_a_host_however_that_ends(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "one", "a", lane="first")
    await joined(store, "one", "a")
    await change(store, "one", "reserve", attempt="a1", settlementId="s", settlement=1, error="short")
    await change(store, "one", "finalize", attempt="a1", settlementId="s", error="longer")
    assert (await get(store, "a")).error == "longer"
    await running(store, "two", "b", "c", lane="second")
    await joined(store, "two", "b")
    await change(store, "two", "requeue", attempt="a1")
    assert await states(store) == {"one": "settled", "a": "settled", "two": "queued", "b": "joined", "c": "joining"}
    await change(store, "two", "drop", error="dropped")
    assert (await get(store, "b")).error == "dropped"
    assert await listed(store, "runnable") == ["c"]


# Notes


async def test_notes_are_merged_and_counted(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    first = await change(store, "t", "note", attempt="a1", note={"a": {"b": 1, "c": [1.5]}, "n": None})
    assert (plain(first.task.note), first.task.note_revision) == ({"a": {"b": 1, "c": [1.5]}}, 1)  # type: ignore[union-attr]
    second = await change(store, "t", "note", attempt="a1", note={"a": {"b": None}, 'é"\\': "\u0001 😀"})
    assert plain(second.task.note) == {"a": {"c": [1.5]}, 'é"\\': "\u0001 😀"}  # type: ignore[union-attr]
    assert second.task.noted_at is not None  # type: ignore[union-attr]
    await change(store, "t", "replace", attempt="a1", nextAttempt="a2")
    assert not (await change(store, "t", "note", attempt="a1", note={"late": 1})).applied
    assert (await change(store, "t", "note", attempt="a2", note={"a": None})).applied
    await change(store, "t", "settle", attempt="a2")
    last = await change(store, "t", "note", attempt="a2", note={'é"\\': None, "end": True})
    assert (last.applied, plain(last.task.note), last.task.note_revision) == (True, {"end": True}, 4)  # type: ignore[union-attr]


async def test_a_note_is_made_only_if_it_has_what_it_must(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    kept = {
        "phase": "x",
        "count": 1,
        "big": 2**53 - 1,
        "yes": True,
        "no": False,
        "half": 1.0,
        "list": [1],
        'é"\\\n': "é",
    }
    assert (await change(store, "t", "note", attempt="a1", note=kept, **{"if": {"phase": None}})).applied
    for wanted, is_met in (
        ({}, True),
        ({"phase": "x", "count": 1, "yes": True, "no": False, "gone": None, "big": 2**53 - 1}, True),
        ({'é"\\\n': "é"}, True),
        ({"phase": "y"}, False),
        ({"phase": None}, False),
        ({"gone": ""}, False),
        ({"gone": 0}, False),
        ({"gone": False}, False),
        ({"count": 1, "phase": "y"}, False),
        ({"count": True}, False),
        ({"count": "1"}, False),
        ({"yes": 1}, False),
        ({"no": 0}, False),
        ({"no": None}, False),
        ({"half": 1}, False),
        ({"list": "[1]"}, False),
        ({"big": 2**53 - 2}, False),
    ):
        changed = await change(store, "t", "note", attempt="a1", note={"seen": 1}, **{"if": wanted})
        assert changed.applied == is_met, wanted
    assert (await get(store, "t")).note_revision == 4


async def test_a_note_that_cannot_be_one_is_refused(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    large = {"x": "é" * 100_000}
    assert (await change(store, "t", "note", attempt="a1", note=large)).applied
    for fields, error, path in (
        ({"note": [1]}, Invalid, "note"),
        ({"note": 1}, Invalid, "note"),
        ({"note": {"x": "x" * 262_144}}, TooLarge, "note"),
        ({"note": {"y": "y" * 100_000}}, TooLarge, "note"),
        ({"note": {}, "if": {"a\x00b": 1}}, Invalid, "if"),
        ({"note": {}, "if": {str(place): "x" * 60_000 for place in range(5)}}, TooLarge, "if"),
    ):
        with pytest.raises(error) as caught:
            await change(store, "t", "note", attempt="a1", **fields)
        assert caught.value.details == {"path": path}
    note = service.NoteTask(attempt="a1", note=Raw(b'{"x": "\\ud83d"}'))
    with pytest.raises(Invalid) as half:
        await service.change_task(store, QUEUE, "t", note, request=None)
    assert half.value.path == "note"
    task = await get(store, "t")
    assert (plain(task.note), task.note_revision) == (large, 1)
    assert (await change(store, "t", "note", attempt="a1", note={"x": None, "y": "y" * 200_000})).applied


# Lanes


async def test_a_lane_is_closed_cleared_and_opened(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "a", "b", kind="dispatch", payload="secret")
    with pytest.raises(Conflict) as caught:
        await change_lane(store, "close")
    assert caught.value.details == {"reason": "lane_busy"}
    await change(store, "a", "note", attempt="a1", note={"n": 1})
    await change(store, "a", "reserve", attempt="a1", settlementId="s", settlement=1, error="why")
    await change(store, "a", "finalize", attempt="a1", settlementId="s")
    await change(store, "b", "drop")
    await running(store, "c", kind="direct")
    await change(store, "c", "settle", attempt="a1")
    await admit(store, "x", lane="other")
    closed = await change_lane(store, "close")
    assert closed.closed_at is not None
    assert (await change_lane(store, "close")).closed_at == closed.closed_at
    for id_, payload in (("d", None), ("a", "secret"), ("a", "other")):
        assert await refused(admit(store, id_, kind="dispatch", payload=payload)) == ("conflict", "lane_closed")
    assert await listed(store, "lane", lane=LANE) == ["a", "b", "c"]
    assert await change_lane(store, "clear", keep="dispatch") == service.Lane(LANE, None, [])
    assert await states(store) == {"a": "receipt", "b": "receipt", "x": "queued"}
    receipt = await get(store, "a")
    assert (receipt.error, receipt.settlement_id, receipt.seq, receipt.attempt) == (None, None, 1, "a1")
    assert (plain(receipt.payload), plain(receipt.note), plain(receipt.settlement)) == (None, None, None)
    kind, task, is_new = await admit(store, "a", lane="whatever", payload="other")
    assert (kind, task.id, task.state, is_new) == ("receipt", "a", "receipt", False)
    assert (await admit(store, "c", kind="direct", payload="anew"))[2]
    for do, fields in CHANGES.items():
        assert not (await change(store, "a", do, **fields)).applied
    assert await listed(store, "open") == ["x", "c"]
    await change_lane(store, "clear")
    assert await states(store) == {"a": "receipt", "b": "receipt", "x": "queued", "c": "queued"}
    await change(store, "c", "drop")
    await change_lane(store, "close")
    await change_lane(store, "open")
    await change_lane(store, "clear")
    assert await states(store) == {"a": "receipt", "b": "receipt", "x": "queued", "c": "settled"}
    await change_lane(store, "close")
    assert await change_lane(store, "clear") == service.Lane(LANE, None, [])
    assert await states(store) == {"a": "receipt", "b": "receipt", "x": "queued"}


async def test_receipts_only_go_with_clearing(backend: Backend) -> None:
    store = await backend.state()
    with pytest.raises(Invalid) as caught:
        await service.change_lane(store, QUEUE, LANE, LaneChange(do="close", keep="x"))
    assert caught.value.path == "keep"


async def test_aborting_a_lane_stamps_what_is_open_once(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "run", "join", "queue")
    await absorb(store, "run")
    await change(store, "queue", "leave", host="run", attempt="a1")
    await admit(store, "x", lane="other")
    assert (await change_lane(store, "abort")).aborted == ["run", "join", "queue"]
    first = await get(store, "run")
    assert await states(store) == {"run": "running", "join": "joining", "queue": "queued", "x": "queued"}
    await admit(store, "late")
    await change(store, "run", "reserve", attempt="a1", settlementId="s", settlement=1)
    assert (await change_lane(store, "abort")).aborted == ["join", "queue", "late"]
    assert (await get(store, "run")).abort_at == first.abort_at is not None
    assert (await get(store, "x")).abort_at is None


async def test_a_queue_says_whether_anything_is_open(backend: Backend) -> None:
    store = await backend.state()
    assert await service.look_at_queue(store, QUEUE) == service.Queue(QUEUE, has_open_tasks=False)
    await running(store, "a")
    assert (await service.look_at_queue(store, QUEUE)).has_open_tasks
    assert not (await service.look_at_queue(store, "another")).has_open_tasks
    await change(store, "a", "settle", attempt="a1")
    assert not (await service.look_at_queue(store, QUEUE)).has_open_tasks


# Erasing


async def test_only_who_is_at_work_appends_to_a_journal(backend: Backend) -> None:
    store = await backend.state()
    await put(store, lane=LANE)
    await put(store, "of no lane")
    await put(store, "elsewhere", lane="other")
    await running(store, "t", "a", "b")
    guard = {"queue": QUEUE, "task": "t", "attempt": "a1"}
    assert (await append(store, 1, guard=guard))[1]
    assert (await append(store, 1, key="of no lane", guard=guard))[1]
    assert await refused(append(store, 1, key="elsewhere", guard=guard)) == ("conflict", "unauthorized")
    for other in ({"attempt": "a2"}, {"task": "a"}, {"task": "none"}, {"queue": "another"}, {"joined": ["a"]}):
        assert await refused(append(store, 2, guard={**guard, **other})) == ("conflict", "unauthorized")
    await joined(store, "t", "a")
    assert (await append(store, 2, guard={**guard, "joined": ["a", "b", "a"]}))[1]
    assert await refused(append(store, 3, guard={**guard, "joined": ["a", "t"]})) == ("conflict", "unauthorized")
    await change(store, "t", "replace", attempt="a1", nextAttempt="a2")
    assert await refused(append(store, 3, guard=guard)) == ("conflict", "unauthorized")
    assert (await append(store, 3, guard={**guard, "attempt": "a2"}))[1]
    await change(store, "t", "settle", attempt="a2")
    assert await refused(append(store, 4, guard={**guard, "attempt": "a2"})) == ("conflict", "unauthorized")
    assert await contents(store) == [1, 2, 3]


async def test_while_a_task_is_settling_only_its_end_is_appended(backend: Backend) -> None:
    store = await backend.state()
    await put(store, lane=LANE)
    await running(store, "t")
    end = {"outcome": "completed", "x": [1.10]}
    guard = {"queue": QUEUE, "task": "t", "attempt": "a1"}
    settling = {**guard, "settlementId": "s", "settlement": end}
    await change(store, "t", "reserve", attempt="a1", settlementId="s", settlement=end)
    for other in (guard, {**settling, "settlement": "other"}, {**settling, "settlementId": "other"}):
        assert await refused(append(store, end, guard=other)) == ("conflict", "unauthorized")
    assert (await append(store, ("end", end), guard=settling))[1]
    assert not (await append(store, ("end", end), guard=settling))[1]
    await change(store, "t", "finalize", attempt="a1", settlementId="s")
    assert not (await append(store, ("end", end), guard=settling))[1]
    assert await refused(append(store, "more", guard=settling)) == ("conflict", "unauthorized")
    assert await contents(store) == [end]


async def test_a_guard_that_refuses_creates_no_journal(backend: Backend) -> None:
    store = await backend.state()
    await running(store, "t")
    guard = {"queue": QUEUE, "task": "t", "attempt": "a2"}
    assert await refused(append(store, 1, create=True, guard=guard)) == ("conflict", "unauthorized")
    assert await refused(append(store, 1, create=True, expected=3, guard=guard)) == ("stale", "stale")
    with pytest.raises(NotFound):
        await contents(store)
    assert (await append(store, 1, create=True, guard={**guard, "attempt": "a1"}))[0].version == 1


async def test_a_guard_that_cannot_be_one_is_refused(backend: Backend) -> None:
    store = await backend.state()
    await put(store)
    guard = {"queue": QUEUE, "task": "t", "attempt": "a1"}
    for other, error, path in (
        ({"queue": "\n"}, Invalid, "guard.queue"),
        ({"task": "\n"}, Invalid, "guard.task"),
        ({"attempt": "\n"}, Invalid, "guard.attempt"),
        ({"joined": ["a", "\n"]}, Invalid, "guard.joined[1]"),
        ({"joined": [str(place) for place in range(1_001)]}, TooLarge, "guard.joined"),
        ({"settlementId": "s"}, Invalid, "guard"),
        ({"settlement": 1}, Invalid, "guard"),
        ({"settlementId": "\n", "settlement": 1}, Invalid, "guard.settlementId"),
    ):
        with pytest.raises(error) as caught:
            await append(store, 1, guard={**guard, **other})
        assert caught.value.details == {"path": path}
