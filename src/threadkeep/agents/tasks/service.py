"""The rules of tasks on every back end: what is checked and completed before a store is asked to keep it."""

from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import asdict, replace

from threadkeep.agents.checks import checked_label, checked_name, digest_of, request_name
from threadkeep.agents.tasks.models import (
    ERROR_BYTES_MAX,
    NOTE_BYTES_MAX,
    TASKS_MAX,
    Absorb,
    Admission,
    Change,
    Changed,
    Lane,
    LaneChange,
    NewTask,
    NoteTask,
    Queue,
    Renewal,
    Renewed,
    Reserve,
    Task,
    TaskPage,
)
from threadkeep.agents.tasks.notes import canonical
from threadkeep.agents.tasks.records import ChangeRecord, TaskQuery, TaskRecord
from threadkeep.agents.tasks.store import TaskStore
from threadkeep.errors import Invalid, TooLarge

_NAMES = ("attempt", "next_attempt", "holder", "host", "settlement_id")


async def admit_task(store: TaskStore, queue: str, new: NewTask) -> tuple[Admission, bool]:
    """Admit a task. Returns and raises as `TaskStore.admit_task`; also Invalid."""
    kind, target = checked_label(new.kind, "kind"), checked_label(new.target, "target")
    record = TaskRecord(
        queue=checked_name(queue, "queue"),
        id=checked_name(new.id, "id"),
        lane=checked_name(new.lane, "lane"),
        kind=kind,
        target=target,
        digest=digest_of(kind, target, sent=[new.payload]),
        payload=Raw(bytes(new.payload)),
        is_ready=new.ready,
        accepted_at=new.accepted_at,
        attempts_max=new.attempts_max,
        timeout_at=new.timeout_at,
    )
    return await store.admit_task(record)


async def get_task(store: TaskStore, queue: str, task: str) -> Task:
    """Get a task. Returns and raises as `TaskStore.get_task`; also Invalid."""
    return await store.get_task(checked_name(queue, "queue"), checked_name(task, "task"))


async def list_tasks(store: TaskStore, queue: str, query: TaskQuery) -> TaskPage:
    """List tasks. Returns as `TaskStore.list_tasks`; raises Invalid."""
    needed = {"lane": "lane", "joined": "host"}.get(query.view)
    for name in ("lane", "host"):
        given = getattr(query, name)
        if name == needed and given is None:
            raise Invalid(f"{name}: Say which, for the view `{query.view}`.", name)
        if name != needed and given is not None:
            raise Invalid(f"{name}: It does not go with the view `{query.view}`. Leave it out.", name)
        if given is not None:
            checked_name(given, name)
    return await store.list_tasks(checked_name(queue, "queue"), query)


async def change_task(store: TaskStore, queue: str, task: str, change: Change, *, request: str | None) -> Changed:
    """Change a task. Returns and raises as `TaskStore.change_task`; also Invalid and TooLarge."""
    record = ChangeRecord(request=request_name(request), change=_checked(change))
    if isinstance(change, Reserve):
        record.settlement_digest = digest_of(sent=[change.settlement])
    return await store.change_task(checked_name(queue, "queue"), checked_name(task, "task"), record)


async def absorb_tasks(store: TaskStore, queue: str, host: str, absorb: Absorb, *, request: str | None) -> TaskPage:
    """Have tasks join a running one. Returns as `TaskStore.absorb_tasks`; raises Invalid."""
    return await store.absorb_tasks(
        checked_name(queue, "queue"),
        checked_name(host, "task"),
        checked_name(absorb.attempt, "attempt"),
        checked_label(absorb.target, "target"),
        request=request_name(request),
    )


async def renew_leases(store: TaskStore, queue: str, renewal: Renewal) -> Renewed:
    """Renew leases. Returns as `TaskStore.renew_leases`; raises Invalid and TooLarge."""
    if len(renewal.tasks) > TASKS_MAX:
        raise TooLarge(f"tasks: At most {TASKS_MAX} leases can be renewed together.", {"path": "tasks"})
    tasks = [checked_name(id_, f"tasks[{index}]") for index, id_ in enumerate(dict.fromkeys(renewal.tasks))]
    holder = checked_name(renewal.holder, "holder")
    return await store.renew_leases(checked_name(queue, "queue"), holder, tasks, renewal.lease_until)


async def look_at_queue(store: TaskStore, queue: str) -> Queue:
    """Tell whether a queue has open tasks. Raises Invalid."""
    return Queue(queue, await store.has_open_tasks(checked_name(queue, "queue")))


async def change_lane(store: TaskStore, queue: str, lane: str, change: LaneChange) -> Lane:
    """Change a lane. Returns and raises as `TaskStore.change_lane`; also Invalid."""
    if change.keep is not None and change.do != "clear":
        raise Invalid("keep: Only `clear` keeps receipts. Leave it out.", "keep")
    change = replace(change, keep=checked_label(change.keep, "keep"))
    return await store.change_lane(checked_name(queue, "queue"), checked_name(lane, "lane"), change)


def _checked(change: Change) -> Change:
    """A change itself, with its bytes its own, if it may be one. Raises Invalid and TooLarge."""
    fields: dict[str, Any] = asdict(change)
    for name in _NAMES:
        if fields.get(name) is not None:
            checked_name(fields[name], name)
    error = fields.get("error")
    if error is not None and "\x00" in error:
        raise Invalid("error: It has a NUL, which not every database keeps. Leave that out.", "error")
    if error is not None and len(error.encode()) > ERROR_BYTES_MAX:
        raise TooLarge(f"error: It has at most {ERROR_BYTES_MAX:,} bytes in UTF-8.", {"path": "error"})
    if isinstance(change, Reserve):
        return replace(change, settlement=Raw(bytes(change.settlement)))
    if isinstance(change, NoteTask):
        if bytes(change.note).lstrip()[:1] != b"{":
            raise Invalid("note: A merge patch is an object. Name what is to be set, and null to remove it.", "note")
        if len(memoryview(change.note)) > NOTE_BYTES_MAX:
            raise TooLarge(f"note: It has at most {NOTE_BYTES_MAX:,} bytes.", {"path": "note"})
        if len(msgspec.json.encode(change.if_)) > NOTE_BYTES_MAX:
            raise TooLarge(f"if: It has at most {NOTE_BYTES_MAX:,} bytes.", {"path": "if"})
        if any("\x00" in name for name in change.if_):
            raise Invalid("if: No name may have a NUL.", "if")
        return replace(change, note=canonical(change.note))
    return change
