"""Tasks that another Threadkeep keeps."""

from urllib.parse import quote

from msgspec import Struct

from threadkeep.agents.tasks.models import (
    Absorb,
    Admission,
    Changed,
    Lane,
    LaneChange,
    NewTask,
    Queue,
    Renewal,
    Renewed,
    Task,
    TaskPage,
)
from threadkeep.agents.tasks.records import ChangeRecord, TaskQuery, TaskRecord
from threadkeep.client.transport import CREATED, Remote, read


class _Absorbed(Struct):
    absorbed: TaskPage


class RemoteTasks(Remote):
    """A `TaskStore` over the HTTP API. See `agents/tasks/store.py` for what each method promises.

    Whatever is sent does nothing twice: a task is known by its id, a change by its name, and the rest by what it does.
    """

    async def admit_task(self, record: TaskRecord) -> tuple[Admission, bool]:
        new = NewTask(
            id=record.id,
            lane=record.lane,
            kind=record.kind,
            target=record.target,
            payload=record.payload,
            ready=record.is_ready,
            accepted_at=record.accepted_at,
            attempts_max=record.attempts_max,
            timeout_at=record.timeout_at,
        )
        response = await self._transport.send("POST", f"{_queue(record.queue)}/tasks", new, is_repeatable=True)
        return read(response, Admission), response.status_code == CREATED

    async def get_task(self, queue: str, task: str) -> Task:
        return read(await self._transport.send("GET", _task(queue, task)), Task)

    async def list_tasks(self, queue: str, query: TaskQuery) -> TaskPage:
        asked = {
            "view": query.view,
            "lane": query.lane,
            "host": query.host,
            "after": query.after,
            "limit": query.limit,
        }
        return read(await self._transport.send("GET", f"{_queue(queue)}/tasks", query=asked), TaskPage)

    async def change_task(self, queue: str, task: str, record: ChangeRecord) -> Changed:
        response = await self._transport.send(
            "POST", _task(queue, task), record.change, headers=_named(record.request), is_repeatable=True
        )
        return read(response, Changed)

    async def absorb_tasks(self, queue: str, host: str, attempt: str, target: str | None, *, request: str) -> TaskPage:
        absorb = Absorb(attempt=attempt, target=target)
        response = await self._transport.send(
            "POST", _task(queue, host), absorb, headers=_named(request), is_repeatable=True
        )
        return read(response, _Absorbed).absorbed

    async def renew_leases(self, queue: str, holder: str, tasks: list[str], until: int) -> Renewed:
        renewal = Renewal(holder=holder, tasks=tasks, lease_until=until)
        return read(await self._transport.send("POST", f"{_queue(queue)}/renew", renewal, is_repeatable=True), Renewed)

    async def has_open_tasks(self, queue: str) -> bool:
        return read(await self._transport.send("GET", _queue(queue)), Queue).has_open_tasks

    async def change_lane(self, queue: str, lane: str, change: LaneChange) -> Lane:
        path = f"{_queue(queue)}/lanes/{_step(lane)}"
        return read(await self._transport.send("POST", path, change, is_repeatable=True), Lane)


def _task(queue: str, task: str) -> str:
    return f"{_queue(queue)}/tasks/{_step(task)}"


def _queue(queue: str) -> str:
    return f"/api/queues/{_step(queue)}"


def _step(name: str) -> str:
    return quote(name, safe="")


def _named(request: str) -> dict[str, str]:
    return {"Idempotency-Key": request}
