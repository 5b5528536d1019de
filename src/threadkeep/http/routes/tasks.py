"""Tasks of agents: admit, read, list and change them, renew leases, and close lanes."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.agents.tasks import service
from threadkeep.agents.tasks.models import (
    TASKS_MAX,
    Absorb,
    Admission,
    Change,
    Changed,
    Lane,
    LaneChange,
    NewTask,
    Queue,
    Renewal,
    Renewed,
    Task,
    TaskPage,
    View,
)
from threadkeep.agents.tasks.records import TaskQuery
from threadkeep.agents.values import Name
from threadkeep.conversations.models import Count
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import IDEMPOTENCY_KEY, Call, Route

_QUEUE = "/api/queues/{queue}"
_TASKS = f"{_QUEUE}/tasks"
_TASK = f"{_TASKS}/{{task}}"


class TasksQuery(Struct, forbid_unknown_fields=True):
    """Which tasks to list."""

    view: Annotated[View, Meta(description="Which of them.")] = "all"
    lane: Annotated[Name, Meta(description="Of which lane, in the view `lane`.")] | None = None
    host: Annotated[Name, Meta(description="Of which host, in the view `joined`.")] | None = None
    after: Annotated[Count, Meta(description="Those after this `seq`.")] = 0
    limit: Annotated[int, Meta(ge=1, le=TASKS_MAX)] = 100


@Route("GET", _QUEUE, answers={200: Queue}, needs="agents")
async def get_queue(call: Call) -> Response:
    """Look whether a queue has open tasks.

    Open is what is neither settled nor a receipt. A queue need not be created.
    """
    return json_response(200, await service.look_at_queue(call.state, call.path["queue"]))


@Route(
    "POST",
    _TASKS,
    answers={201: Admission, 200: Admission},
    fails=("conflict", "too_large"),
    body=NewTask,
    needs="agents",
)
async def admit_task(call: Call) -> Response:
    """Admit a task to a queue.

    An id is admitted once: again with the same payload, kind, target and lane is a repeat, answered 200, and with
    others a `conflict`. Of what was cleared, there may be a receipt instead of a task. While its lane is closed,
    nothing is admitted: a `conflict` with the reason `lane_closed`.
    """
    admission, is_new = await service.admit_task(call.state, call.path["queue"], call.body)
    return json_response(201 if is_new else 200, admission)


@Route("GET", _TASKS, answers={200: TaskPage}, query=TasksQuery, needs="agents")
async def list_tasks(call: Call) -> Response:
    """List tasks of a queue in order of `seq`.

    `runnable` are those that may be claimed, `expired` the running ones whose lease has ended. A page may be shorter
    than `limit` if tasks are large; only `more` tells whether there are more. To go on, send the last `seq` as `after`.
    """
    query: TasksQuery = call.query
    asked = TaskQuery(view=query.view, lane=query.lane, host=query.host, after=query.after, limit=query.limit)
    return json_response(200, await service.list_tasks(call.state, call.path["queue"], asked))


@Route("GET", _TASK, answers={200: Task}, fails=("not_found",), needs="agents")
async def get_task(call: Call) -> Response:
    """Get a task, or the receipt that was kept of it."""
    return json_response(200, await service.get_task(call.state, *_place(call)))


@Route(
    "POST",
    _TASK,
    answers={200: Changed},
    fails=("too_large",),
    body=Change | Absorb,
    headers=(IDEMPOTENCY_KEY,),
    needs="agents",
)
async def change_task(call: Call) -> Response:
    """Change a task, if it is in the state that the change needs.

    `applied` says whether it was. Claims are won by one, and every later change names the attempt, so that what is
    late does nothing. `absorb` has tasks of the lane join this one, and answers a page of these; ask again while there
    are `more`.
    """
    queue, task = _place(call)
    if isinstance(call.body, Absorb):
        absorbed = await service.absorb_tasks(call.state, queue, task, call.body, request=call.request_name)
        return json_response(200, Changed(applied=bool(absorbed.tasks), absorbed=absorbed))
    changed = await service.change_task(call.state, queue, task, call.body, request=call.request_name)
    return json_response(200, changed)


@Route(
    "POST",
    f"{_QUEUE}/renew",
    answers={200: Renewed},
    fails=("too_large",),
    body=Renewal,
    needs="agents",
)
async def renew_leases(call: Call) -> Response:
    """Renew the leases of running tasks.

    The answer names those that this holder has. A time that is past ends them at once.
    """
    return json_response(200, await service.renew_leases(call.state, call.path["queue"], call.body))


@Route(
    "POST",
    f"{_QUEUE}/lanes/{{lane}}",
    answers={200: Lane},
    fails=("conflict",),
    body=LaneChange,
    needs="agents",
)
async def change_lane(call: Call) -> Response:
    """Close a lane, open or clear it, or abort its tasks.

    `close` fails with a `conflict` and the reason `lane_busy` while a task of the lane is open. `clear` does nothing
    to a lane that is not closed.
    """
    lane = await service.change_lane(call.state, call.path["queue"], call.path["lane"], call.body)
    return json_response(200, lane)


def _place(call: Call) -> tuple[str, str]:
    """The queue and the task that the path names."""
    return call.path["queue"], call.path["task"]
