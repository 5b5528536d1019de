"""Tasks as tests make them: through the service, as the HTTP API does."""

from typing import Any

import msgspec

from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks import service
from threadkeep.agents.tasks.models import Absorb, Change, Changed, Lane, LaneChange, NewTask, Renewal, Task
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.conformance.helpers.journals import raw
from threadkeep.validation import decode

QUEUE = 'a/queue "of" [ours]'
LANE = 'agent-session:["agent",1]'


async def admit(
    store: StateStore, id_: str, *, queue: str = QUEUE, lane: str = LANE, payload: Any = None, **fields: Any
) -> tuple[str, Task, bool]:
    """Admit a task, whose payload is a plain value; return its kind, itself, and whether it is new."""
    new = NewTask(id=id_, lane=lane, payload=raw(payload), **fields)
    admission, is_new = await service.admit_task(store, queue, new)
    return admission.kind, admission.task, is_new


async def change(
    store: StateStore, id_: str, do: str, *, queue: str = QUEUE, request: str | None = None, **fields: Any
) -> Changed:
    """Change a task, by the fields of the change as they are in JSON."""
    wanted = decode(msgspec.json.encode({"do": do, **fields}), Change)
    return await service.change_task(store, queue, id_, wanted, request=request)


async def claim(store: StateStore, id_: str, attempt: str = "a1", *, lease: int = 10**15, **fields: Any) -> Changed:
    """Claim a task."""
    fields = {"holder": "h1", "leaseUntil": lease, **fields}
    return await change(store, id_, "claim", attempt=attempt, **fields)


async def running(store: StateStore, *ids: str, **fields: Any) -> None:
    """Admit tasks, of which the first is running."""
    for id_ in ids:
        await admit(store, id_, **fields)
    assert (await claim(store, ids[0])).applied


async def absorb(
    store: StateStore, host: str, attempt: str = "a1", target: str | None = None, request: str | None = None
) -> tuple[list[str], bool]:
    """Have tasks join one; return their ids, and whether there are more."""
    page = await service.absorb_tasks(store, QUEUE, host, Absorb(attempt=attempt, target=target), request=request)
    assert all((task.state, task.host) == ("joining", host) for task in page.tasks)
    return [task.id for task in page.tasks], page.more


async def listed(store: StateStore, view: str = "all", queue: str = QUEUE, **query: Any) -> list[str]:
    """The ids of the tasks of a view."""
    page = await service.list_tasks(store, queue, TaskQuery(view=view, **query))  # type: ignore[arg-type]
    return [task.id for task in page.tasks]


async def renew(store: StateStore, *ids: str, holder: str = "h1", until: int = 10**15) -> list[str]:
    """Renew leases; return whose."""
    renewal = Renewal(holder=holder, tasks=list(ids), lease_until=until)
    return (await service.renew_leases(store, QUEUE, renewal)).tasks


async def change_lane(store: StateStore, do: Any, lane: str = LANE, keep: str | None = None) -> Lane:
    """Change a lane."""
    return await service.change_lane(store, QUEUE, lane, LaneChange(do=do, keep=keep))


async def get(store: StateStore, id_: str, queue: str = QUEUE) -> Task:
    """Get a task."""
    return await service.get_task(store, queue, id_)


def shown(task: Task) -> dict[str, Any]:
    """A task with each time as whether there is one, as far as it depends on a clock."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(task))
    of_clocks = ("readyAt", "startedAt", "appliedAt", "recoveryAt", "abortAt", "settledAt", "notedAt", "acceptedAt")
    return document | {name: document[name] is not None for name in of_clocks}
