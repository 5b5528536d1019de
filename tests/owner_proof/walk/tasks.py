"""The part of the walk that is about tasks. Everybody has those of these ids, in these lanes."""

from typing import Any

import msgspec

from owner_proof.walk.journals import write
from owner_proof.walk.steps import LARGE, Step, raw, requests, state
from owner_proof.walk.sweeping import sweep
from threadkeep.agents.tasks.models import Change, LaneChange, Reserve
from threadkeep.agents.tasks.records import ChangeRecord, Guard, TaskQuery, TaskRecord

QUEUE = "queue"


def admit(id_: str, lane: str = "lane", *, queue: str = QUEUE, payload: Any = "mine", **fields: Any) -> Step:
    record = {"queue": queue, "id": id_, "lane": lane, "digest": str(payload)[:20], "payload": raw(payload), **fields}
    return state(lambda store: store.admit_task(TaskRecord(**record)))


def change(id_: str, do: str, *, queue: str = QUEUE, request: str | None = None, **fields: Any) -> Step:
    owned = {} if do in ("ready", "drop") else {"attempt": "a1"}
    wanted = msgspec.json.decode(msgspec.json.encode({"do": do, **owned, **fields}), type=Change)
    digest = str(fields["settlement"])[:20] if isinstance(wanted, Reserve) else None
    record = ChangeRecord(request=request or f"r{next(requests)}", change=wanted, settlement_digest=digest)
    return state(lambda store: store.change_task(queue, id_, record))


def begin(id_: str, lease: int = 10**15, queue: str = QUEUE) -> Step:
    return change(id_, "claim", holder="h1", leaseUntil=lease, queue=queue)


def absorb(host: str, target: str | None = None, request: str | None = None, queue: str = QUEUE) -> Step:
    name = request or f"r{next(requests)}"
    return state(lambda store: store.absorb_tasks(queue, host, "a1", target, request=name))


def get_task(id_: str) -> Step:
    return state(lambda store: store.get_task(QUEUE, id_))


def list_tasks(view: Any, queue: str = QUEUE, **query: Any) -> Step:
    return state(lambda store: store.list_tasks(queue, TaskQuery(view=view, **query)))


def renew(*ids: str, until: int = 7) -> Step:
    return state(lambda store: store.renew_leases(QUEUE, "h1", list(ids), until))


def change_lane(lane: str, do: Any, keep: str | None = None, queue: str = QUEUE) -> Step:
    return state(lambda store: store.change_lane(queue, lane, LaneChange(do=do, keep=keep)))


def has_open() -> Step:
    return state(lambda store: store.has_open_tasks(QUEUE))


def guarded(key: str, *entries: Any, **guard: Any) -> Step:
    fields = {"queue": QUEUE, "attempt": "a1", **guard}
    return write(key, *entries, create=True, guard=Guard(**fields))


def one_of_each(payload: str) -> list[Step]:
    """A task of each state, in lanes of their own, in a queue of their own."""
    queue = "each"
    return [
        admit("queued", "1", payload=payload, queue=queue),
        admit("unready", "2", payload=payload, queue=queue, is_ready=False),
        admit("running", "3", payload=payload, queue=queue),
        begin("running", 5, queue),
        admit("settling", "4", payload=payload, queue=queue),
        begin("settling", queue=queue),
        change("settling", "reserve", settlementId="s", settlement=payload, queue=queue),
        admit("guest", "3", payload=payload, queue=queue),
        admit("guest too", "3", payload=payload, queue=queue),
        absorb("running", queue=queue),
        absorb("running", queue=queue),
        change("guest", "join", host="running", queue=queue),
    ]


VIEWS = (
    *(list_tasks(view) for view in ("runnable", "unready", "running", "expired", "settling", "open", "all")),
    *(list_tasks("lane", lane=lane) for lane in ("lane", "other", "settled", "cleared")),
    *(list_tasks("joined", host=host) for host in ("a", "host")),
    list_tasks("all", limit=1, after=2),
    has_open(),
)

# What others have of what `TASKS` is about: more, of the same names.
TASKS_HELD: list[Step] = [
    admit("same", "same", payload="held", queue="same"),
    *one_of_each("held"),
    admit("blocking", "hosts", payload="held", is_ready=False),
    admit("filling", "hosts", payload=LARGE),
    *(admit(f"before {place}", f"before {place}", payload="held") for place in range(3)),
    admit("host", "lane", payload="held", kind="k"),
    begin("host"),
    *(admit(id_, "lane", payload="held", kind="k") for id_ in ("a", "b", "c", "x")),
    absorb("host"),
    change("b", "join", host="host"),
    change("c", "join", host="host"),
    change("x", "leave", host="host"),
    change("host", "note", note={"n": "held"}),
    absorb("host", request="absorbing"),
    admit("unready", "lane", payload=LARGE, is_ready=False),
    admit("d", "other", payload="held"),
    begin("d", 5),
    admit("e", "third", payload="held", is_ready=False),
    admit("f", "fourth", payload=LARGE),
    begin("f"),
    change("f", "reserve", settlementId="s", settlement=LARGE, error="held"),
    admit("g", "settled", payload=LARGE, kind="k"),
    change("g", "drop", error="held"),
    admit("gone", "cleared", payload=LARGE, kind="k"),
    admit("gone too", "cleared", payload="held", kind="other"),
    change("gone", "drop", error="held"),
    change("gone too", "drop"),
    change_lane("cleared", "close"),
    change_lane("cleared", "clear", "k"),
    change_lane("closed", "close"),
    admit("y", "busy", payload="held"),
    change_lane("settled", "close"),
    admit("only theirs", "theirs", payload=LARGE),
    begin("only theirs"),
    guarded("guarded", "held", task="host", joined=["b", "c"]),
]

# What the walker does with tasks.
TASKS: list[Step] = [
    list_tasks("runnable", "same"),
    admit("same", "same", queue="same"),
    list_tasks("runnable", "same"),
    begin("same", queue="same"),
    *(admit(f"before {place}", "before", queue="each") for place in range(9)),
    *(change(f"before {place}", "drop", queue="each") for place in range(9)),
    *one_of_each(LARGE),
    *(change_lane("before", do, queue="each") for do in ("close", "clear")),
    *(list_tasks(view, "each") for view in ("runnable", "unready", "running", "expired", "settling", "open")),
    list_tasks("all", "each"),
    list_tasks("lane", "each", lane="3"),
    list_tasks("joined", "each", host="running"),
    has_open(),
    admit("a"),
    admit("a"),
    admit("a", payload="other"),
    admit("gone"),
    change("gone", "drop"),
    get_task("a"),
    get_task("only theirs"),
    get_task("g"),
    admit("b", is_ready=False),
    admit("c", target="x"),
    *VIEWS,
    change("b", "ready"),
    change("unready", "ready"),
    begin("b"),
    begin("a"),
    begin("only theirs"),
    change("a", "applied", attemptsMax=3, timeoutAt=4),
    change("a", "recover"),
    change("a", "note", note={"n": 1}),
    change("a", "note", note={"m": 2}, **{"if": {"n": 1}}),
    change("a", "note", note={"m": 3}, **{"if": {"n": 2}}),
    change("a", "note", note={"m": "m" * 300_000}),
    change("host", "note", note={"m": 2}),
    change("a", "requeue"),
    begin("a"),
    change("a", "replace", nextAttempt="a2", holder="h2", leaseUntil=6),
    change("a", "replace", attempt="a2", nextAttempt="a1", holder="h1"),
    change("a", "replace", nextAttempt="a1", request="same"),
    change("a", "replace", nextAttempt="a1", request="same"),
    renew("a", "b", "host", "d", until=10**15),
    *(change("host", do) for do in ("applied", "recover", "requeue", "settle")),
    change("host", "replace", nextAttempt="a2"),
    change("y", "drop"),
    change("d", "reserve", settlementId="s", settlement=1),
    change("f", "finalize", settlementId="s"),
    absorb("host"),
    absorb("a", "x"),
    absorb("a", request="absorbing"),
    absorb("a", request="absorbing"),
    *VIEWS,
    change("b", "join", host="host"),
    change("b", "leave", host="host"),
    change("a", "join", host="host"),
    change("b", "join", host="a"),
    absorb("a", "x"),
    change("c", "leave", host="a"),
    absorb("a", "x"),
    change("b", "reserve", settlementId="s", settlement="end"),
    guarded("guarded", "mine", task="host"),
    guarded("guarded", "mine", task="a", joined=["c"]),
    guarded("guarded", "mine", task="a", joined=["c", "x"]),
    guarded("guarded", "more", task="a"),
    guarded("guarded", "more", task="b"),
    guarded("guarded", "more", task="b", settlement_id="s", settlement_digest="end"),
    guarded("guarded", "more", task="f", settlement_id="s", settlement_digest=LARGE[:20]),
    guarded("new one", "more", task="host"),
    guarded("new one", "more", task="only theirs", joined=["c"]),
    get_task("b"),
    change("b", "finalize", settlementId="s"),
    admit("big", payload=LARGE, target="x"),
    admit("small", target="x"),
    absorb("a", "x"),
    change("c", "join", host="a"),
    change_lane("lane", "abort"),
    change_lane("lane", "close"),
    *VIEWS,
    change("a", "settle", error="why"),
    *VIEWS,
    begin("big"),
    change("big", "reserve", settlementId="s", settlement=LARGE, error="why"),
    get_task("big"),
    change("big", "finalize", settlementId="s", error="more"),
    change("small", "drop", error="why"),
    admit("d", "other"),
    begin("d", 5),
    list_tasks("expired"),
    renew("d", "only theirs"),
    change_lane("other", "abort"),
    change_lane("theirs", "abort"),
    change("d", "settle"),
    admit("host", "hosts"),
    change("host", "note", note={"m": 3}),
    admit("guest", "hosts", payload=LARGE),
    admit("next", "hosts"),
    begin("host"),
    absorb("host", request="absorbing"),
    absorb("host", request="absorbing"),
    change("host", "replace", nextAttempt="a2"),
    absorb("host", request="absorbing"),
    change("host", "replace", attempt="a2", nextAttempt="a1"),
    change("guest", "join", host="host"),
    absorb("host"),
    guarded("guarded", "never", task="host", joined=["c"]),
    guarded("new two", "never", task="host", joined=["c"]),
    change("a", "leave", host="host"),
    change("a", "join", host="host"),
    change("host", "requeue"),
    change("guest", "reserve", settlementId="s", settlement="end"),
    change("next", "leave", host="host"),
    change("next", "join", host="host"),
    begin("host"),
    change("guest", "reserve", settlementId="s", settlement="end"),
    change("next", "join", host="host"),
    list_tasks("joined", host="host"),
    change("host", "settle"),
    change("guest", "finalize", settlementId="s"),
    change_lane("busy", "close"),
    change_lane("busy", "open"),
    change_lane("closed", "open"),
    admit("in closed", "closed"),
    change("in closed", "drop"),
    change_lane("lane", "close"),
    admit("late", "lane"),
    admit("a", "lane"),
    change_lane("settled", "clear", "k"),
    admit("g", "settled", kind="k"),
    change("g", "drop", error="why"),
    change_lane("settled", "clear", "k"),
    change_lane("settled", "close"),
    change_lane("settled", "clear", "k"),
    get_task("g"),
    admit("g", "settled"),
    change_lane("lane", "clear", "k"),
    *VIEWS,
    sweep(1),
    *VIEWS,
    sweep(),
    *VIEWS,
    admit("a", payload=LARGE),
    admit("b", "closed"),
    change_lane("busy", "close"),
]

LATER_TASKS: list[Step] = [
    *VIEWS,
    admit("a", kind="k"),
    begin("a"),
    change("a", "note", note={"n": 1}),
    change("a", "reserve", settlementId="s", settlement=LARGE, error="why"),
    admit("b", payload=LARGE),
    change_lane("busy", "close"),
]
