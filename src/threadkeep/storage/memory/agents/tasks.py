"""Tasks in memory: the contract in plain Python. It is the model of the other back ends."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from threadkeep.agents.tasks.models import (
    NOTE_BYTES_MAX,
    Admission,
    Applied,
    Change,
    Changed,
    Claim,
    Drop,
    Finalize,
    Join,
    Lane,
    LaneChange,
    Leave,
    NoteTask,
    Ready,
    Recover,
    Renewed,
    Replace,
    Requeue,
    Reserve,
    Settle,
    Task,
    TaskPage,
)
from threadkeep.agents.tasks.notes import has, merged_note
from threadkeep.agents.tasks.records import ChangeRecord, Guard, TaskQuery, TaskRecord
from threadkeep.agents.tasks.store import lane_busy, lane_closed, no_task, note_too_large, task_conflict
from threadkeep.conversations.models import PAGE_BYTES_MAX
from threadkeep.storage.memory.agents.base import MemoryState

_NULL = Raw(b"null")
_OPEN = {"queued", "running", "settling", "joining", "joined"}


@dataclass
class KeptTask:
    """A task, and what it is known by."""

    task: Task
    digest: str
    request: str = ""
    settlement_digest: str | None = None
    absorbed_by: str = ""
    """The name of the write by which it began to join."""


@dataclass
class Tasks:
    """All tasks of a user, and the lanes that are closed, with the time since when."""

    tasks: dict[tuple[str, str], KeptTask] = field(default_factory=dict)
    closed: dict[tuple[str, str], int] = field(default_factory=dict)

    def allow(self, guard: Guard, lane: str | None) -> bool:
        """Whether an append to a journal of this lane may be made."""
        kept = self.tasks.get((guard.queue, guard.task))
        if kept is None or kept.task.attempt != guard.attempt or lane not in (None, kept.task.lane):
            return False
        task = kept.task
        reserved = (task.settlement_id, kept.settlement_digest)
        is_its_end = task.state == "settling" and reserved == (guard.settlement_id, guard.settlement_digest)
        joined = {
            other.task.id
            for (queue, _), other in self.tasks.items()
            if queue == guard.queue and other.task.host == guard.task and other.task.state in ("joining", "joined")
        }
        return (task.state == "running" or is_its_end) and joined.issuperset(guard.joined)


class MemoryTasks(MemoryState):
    """A `TaskStore` in memory. See `agents/tasks/store.py` for what each method promises."""

    @property
    def _tasks(self) -> Tasks:
        return self._database.tasks_of(self._user_id)

    async def admit_task(self, record: TaskRecord) -> tuple[Admission, bool]:
        kept = self._tasks.tasks.get((record.queue, record.id))
        if kept is not None and kept.task.state == "receipt":
            return Admission("receipt", replace(kept.task)), False
        if (record.queue, record.lane) in self._tasks.closed:
            raise lane_closed(record.lane)
        if kept is not None:
            if (kept.digest, kept.task.lane) != (record.digest, record.lane):
                raise task_conflict(record.id)
            return Admission("task", replace(kept.task)), False
        time = self._clock()
        task = Task(
            queue=record.queue,
            id=record.id,
            seq=1 + max((each.seq for each in self._of(record.queue)), default=0),
            lane=record.lane,
            kind=record.kind,
            target=record.target,
            state="queued",
            accepted_at=time if record.accepted_at is None else record.accepted_at,
            ready_at=time if record.is_ready else None,
            attempt=None,
            attempts=0,
            attempts_max=record.attempts_max,
            timeout_at=record.timeout_at,
            holder=None,
            lease_until=0,
            started_at=None,
            applied_at=None,
            recovery_at=None,
            abort_at=None,
            settled_at=None,
            host=None,
            error=None,
            settlement_id=None,
            settlement=_NULL,
            note=_NULL,
            note_revision=0,
            noted_at=None,
            payload=record.payload,
        )
        self._tasks.tasks[record.queue, record.id] = KeptTask(task, record.digest)
        return Admission("task", replace(task)), True

    async def get_task(self, queue: str, task: str) -> Task:
        kept = self._tasks.tasks.get((queue, task))
        if kept is None:
            raise no_task(queue, task)
        return replace(kept.task)

    async def list_tasks(self, queue: str, query: TaskQuery) -> TaskPage:
        time = self._clock()
        views: dict[str, Callable[[Task], bool]] = {
            "runnable": self._is_runnable,
            "unready": lambda task: task.state == "queued" and task.ready_at is None,
            "running": lambda task: task.state == "running",
            "expired": lambda task: task.state == "running" and 0 < task.lease_until < time,
            "settling": lambda task: task.state == "settling",
            "joined": lambda task: task.host == query.host and task.state in ("joining", "joined"),
            "open": lambda task: task.state in _OPEN,
            "lane": lambda task: task.lane == query.lane,
            "all": lambda task: True,
        }
        rows = [task for task in self._of(queue) if task.seq > query.after and views[query.view](task)]
        return _page(rows, query.limit)

    async def change_task(self, queue: str, task: str, record: ChangeRecord) -> Changed:
        kept = self._tasks.tasks.get((queue, task))
        if kept is None:
            return Changed(applied=False)
        if kept.request == record.request or self._is_reserved(kept, record):
            return Changed(applied=True, task=replace(kept.task))
        changes = self._changes(kept.task, record.change)
        if changes is None:
            return Changed(applied=False, task=replace(kept.task))
        kept.task = replace(kept.task, **changes)
        kept.request = record.request
        if isinstance(record.change, Reserve):
            kept.settlement_digest = record.settlement_digest
        if kept.task.state == "settled":
            self._settle_joined(kept.task)
        return Changed(applied=True, task=replace(kept.task))

    async def absorb_tasks(self, queue: str, host: str, attempt: str, target: str | None, *, request: str) -> TaskPage:
        kept = self._running(queue, host, attempt)
        if kept is None:
            return TaskPage([], more=False)
        waiting = []
        for task in self._of(queue):
            if task.lane == kept.task.lane and task.state == "queued":
                if task.ready_at is None or task.abort_at is not None or task.target != target:
                    break
                waiting.append(task)
        absorbed = [each for each in self._of(queue) if self._is_absorbed(each, host, request)]
        if absorbed or kept.request == request:
            return TaskPage([replace(task) for task in absorbed], more=bool(waiting))
        page = _page(waiting, 1_000)
        kept.request = request
        for task in page.tasks:
            joining = self._tasks.tasks[queue, task.id]
            joining.task = replace(joining.task, state="joining", host=host)
            joining.absorbed_by = request
        page.tasks = [replace(self._tasks.tasks[queue, task.id].task) for task in page.tasks]
        return page

    async def renew_leases(self, queue: str, holder: str, tasks: list[str], until: int) -> Renewed:
        renewed = []
        for task in self._of(queue):
            if task.id in tasks and task.state == "running" and task.holder == holder:
                kept = self._tasks.tasks[queue, task.id]
                kept.task = replace(task, lease_until=until)
                renewed.append(task.id)
        return Renewed(renewed)

    async def has_open_tasks(self, queue: str) -> bool:
        return any(task.state in _OPEN for task in self._of(queue))

    async def change_lane(self, queue: str, lane: str, change: LaneChange) -> Lane:
        closed, time = self._tasks.closed, self._clock()
        aborted: list[str] = []
        tasks = [task for task in self._of(queue) if task.lane == lane]
        if change.do == "abort":
            for task in tasks:
                if task.state in _OPEN and task.state != "settling":
                    kept = self._tasks.tasks[queue, task.id]
                    kept.task = replace(task, abort_at=time if task.abort_at is None else task.abort_at)
                    aborted.append(task.id)
        elif change.do == "close":
            if any(task.state in _OPEN for task in tasks):
                raise lane_busy(lane)
            closed.setdefault((queue, lane), time)
        elif closed.pop((queue, lane), None) is not None and change.do == "clear":
            self._clear(queue, [task for task in tasks if task.state == "settled"], change.keep)
        return Lane(lane, closed.get((queue, lane)), aborted)

    def _of(self, queue: str) -> list[Task]:
        """The tasks of a queue, in order."""
        return sorted((kept.task for (of, _), kept in self._tasks.tasks.items() if of == queue), key=lambda t: t.seq)

    def _is_runnable(self, task: Task) -> bool:
        return (
            task.state == "queued"
            and task.ready_at is not None
            and not any(
                each.lane == task.lane and each.state in _OPEN and each.seq < task.seq for each in self._of(task.queue)
            )
        )

    def _running(self, queue: str, task: str | None, attempt: str) -> KeptTask | None:
        """A task, if it is running under an attempt."""
        kept = self._tasks.tasks.get((queue, task or ""))
        return kept if kept is not None and (kept.task.state, kept.task.attempt) == ("running", attempt) else None

    def _is_absorbed(self, task: Task, host: str, request: str) -> bool:
        kept = self._tasks.tasks[task.queue, task.id]
        return task.state == "joining" and task.host == host and kept.absorbed_by == request

    @staticmethod
    def _is_reserved(kept: KeptTask, record: ChangeRecord) -> bool:
        """Whether a reservation is of just what is reserved."""
        change, task = record.change, kept.task
        return (
            isinstance(change, Reserve)
            and (task.state, task.attempt, task.settlement_id) == ("settling", change.attempt, change.settlement_id)
            and kept.settlement_digest == record.settlement_digest
        )

    def _changes(  # noqa: PLR0911, PLR0912 one for each change
        self, task: Task, change: Change
    ) -> dict[str, Any] | None:
        """What a change sets, or None where the task is not in the state that it needs."""
        time = self._clock()
        owned = task.state == "running" and task.attempt == getattr(change, "attempt", None)
        match change:
            case Ready() if task.state == "queued":
                return {"ready_at": _first(task.ready_at, time)}
            case Claim() if self._is_runnable(task):
                keeps_timeout = task.timeout_at != 0 and not change.restart
                return {
                    "state": "running",
                    "attempt": change.attempt,
                    "started_at": time,
                    "attempts": 1 if change.restart else task.attempts + 1,
                    "attempts_max": _first(change.attempts_max, task.attempts_max),
                    "timeout_at": task.timeout_at if keeps_timeout else _first(change.timeout_at, task.timeout_at),
                    "holder": change.holder,
                    "lease_until": change.lease_until,
                }
            case Applied() if owned and task.applied_at is not None:
                return {}
            case Applied() if owned:
                return {
                    "applied_at": time,
                    "attempts_max": _first(change.attempts_max, task.attempts_max),
                    "timeout_at": _first(change.timeout_at, task.timeout_at),
                }
            case Recover() if owned:
                return {"recovery_at": _first(task.recovery_at, time)}
            case Replace() if owned:
                return {
                    "attempt": change.next_attempt,
                    "started_at": time,
                    "attempts": task.attempts + 1,
                    "recovery_at": None,
                    "holder": _first(change.holder, task.holder),
                    "lease_until": _first(change.lease_until, task.lease_until),
                }
            case Requeue() if owned and not (change.unless_applied and task.applied_at is not None):
                unset = ("attempt", "applied_at", "recovery_at", "started_at", "holder")
                return {"state": "queued", "lease_until": 0, **dict.fromkeys(unset)}
            case Settle() if owned:
                return {"state": "settled", "settled_at": time, "error": change.error}
            case Drop() if task.state == "queued":
                return {"state": "settled", "settled_at": time, "error": change.error}
            case Reserve() if task.settlement_id is None and (
                (owned and task.holder is not None)
                or (task.state == "joined" and self._running(task.queue, task.host, change.attempt))
            ):
                return {
                    "state": "settling",
                    "attempt": change.attempt,
                    "started_at": _first(task.started_at, time),
                    "settlement_id": change.settlement_id,
                    "settlement": change.settlement,
                    "error": change.error,
                }
            case Finalize() if (task.state, task.attempt, task.settlement_id) == (
                "settling",
                change.attempt,
                change.settlement_id,
            ):
                error = None if task.error is None else _first(change.error, task.error)
                return {"state": "settled", "settled_at": time, "error": error}
            case Join() | Leave() if (task.state, task.host) == ("joining", change.host) and self._running(
                task.queue, change.host, change.attempt
            ):
                if isinstance(change, Join):
                    return {"state": "joined", "applied_at": _first(task.applied_at, time)}
                return {"state": "queued", "host": None, "applied_at": None}
            case NoteTask() if (
                task.attempt == change.attempt and task.state != "receipt" and has(Raw(bytes(task.note)), change.if_)
            ):
                note = merged_note(Raw(bytes(task.note)), change.note)
                if len(bytes(note)) > NOTE_BYTES_MAX:
                    raise note_too_large()
                return {"note": note, "note_revision": task.note_revision + 1, "noted_at": time}
        return None

    def _settle_joined(self, host: Task) -> None:
        """End what has joined a task that is settled, and put back what was joining it."""
        for task in self._of(host.queue):
            kept = self._tasks.tasks[host.queue, task.id]
            if task.host == host.id and task.state == "joined":
                kept.task = replace(task, state="settled", settled_at=host.settled_at, error=host.error)
            elif task.host == host.id and task.state == "joining":
                kept.task = replace(task, state="queued", host=None, applied_at=None)

    def _clear(self, queue: str, settled: Iterable[Task], keep: str | None) -> None:
        """Make receipts of settled tasks of a kind, and remove the others."""
        for task in settled:
            kept = self._tasks.tasks.pop((queue, task.id))
            if keep is not None and task.kind == keep:
                kept.task = replace(
                    task,
                    state="receipt",
                    error=None,
                    settlement_id=None,
                    settlement=_NULL,
                    note=_NULL,
                    payload=_NULL,
                )
                kept.digest = ""
                self._tasks.tasks[queue, task.id] = kept


def _first(value: Any, otherwise: Any) -> Any:
    """A value, or another where it is None."""
    return otherwise if value is None else value


def _page(rows: list[Task], limit: int) -> TaskPage:
    """The first of these tasks that make a page: at least one if there is any."""
    total = 0
    for index, task in enumerate(rows[:limit]):
        total += sum(len(bytes(value)) for value in (task.payload, task.settlement, task.note) if value != _NULL)
        if index and total > PAGE_BYTES_MAX:
            return TaskPage([replace(each) for each in rows[:index]], more=True)
    return TaskPage([replace(each) for each in rows[:limit]], more=len(rows) > limit)
