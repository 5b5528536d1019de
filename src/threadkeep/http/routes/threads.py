"""Threads of agents: put checkpoints and writes, list them, claim a thread, copy, prune and delete."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from threadkeep.agents.threads import service
from threadkeep.agents.threads.models import (
    CHECKPOINTS_MAX,
    CheckpointPage,
    CopyThread,
    DeleteRuns,
    DeltaPage,
    NewCheckpoint,
    NewWrites,
    Progress,
    PruneThreads,
    Thread,
    ThreadPage,
)
from threadkeep.agents.values import OptionalText
from threadkeep.errors import Invalid
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import CURSOR_PATTERN, IDEMPOTENCY_KEY, Call, Route, StateCursor

_THREADS = "/api/threads"
_THREAD = f"{_THREADS}/{{thread}}"

Limit = Annotated[int, Meta(ge=1, le=CHECKPOINTS_MAX)]
Filter = Annotated[
    str, Meta(description="A JSON object: only those whose metadata have each of its members, as they are written.")
]
Namespace = Annotated[OptionalText, Meta(description="Only those of this namespace; empty for the first.")]
Id = Annotated[OptionalText, Meta(description="Only those of this id.")]
Before = Annotated[OptionalText, Meta(description="Those whose id is less than this one.")]
LongCursor = Annotated[
    str,
    Meta(
        max_length=100_000,
        description="`nextCursor` of an earlier page, unchanged.",
        extra_json_schema={"pattern": CURSOR_PATTERN},
    ),
]
"""A cursor of deltas, which may hold many channels."""


class ThreadsQuery(Struct, forbid_unknown_fields=True):
    """Which threads to list."""

    cursor: StateCursor | None = None
    limit: Limit = 100


class CheckpointsQuery(Struct, forbid_unknown_fields=True):
    """Which checkpoints of a thread to list."""

    ns: Namespace | None = None
    checkpoint: Id | None = None
    before: Before | None = None
    filter: Filter | None = None
    cursor: StateCursor | None = None
    limit: Limit = 100


class AllCheckpointsQuery(Struct, forbid_unknown_fields=True):
    """Which checkpoints of all threads to list."""

    checkpoint: Id | None = None
    before: Before | None = None
    filter: Filter | None = None
    cursor: StateCursor | None = None
    limit: Limit = 100


class DeltasQuery(Struct, forbid_unknown_fields=True):
    """Of which channels to find what they became, before which checkpoint."""

    channels: Annotated[str, Meta(description="A JSON array of their names.")]
    ns: Annotated[OptionalText, Meta(description="The namespace of the checkpoint; empty for the first.")] = ""
    checkpoint: Annotated[OptionalText, Meta(description="Its id; without it, the latest one.")] | None = None
    cursor: LongCursor | None = None


@Route("GET", _THREADS, answers={200: ThreadPage}, query=ThreadsQuery, needs="agents")
async def list_threads(call: Call) -> Response:
    """List threads, last written first."""
    query: ThreadsQuery = call.query
    return json_response(200, await call.state.list_threads(cursor=query.cursor, limit=query.limit))


@Route("DELETE", _THREAD, answers={204: None}, needs="agents")
async def delete_thread(call: Call) -> Response:
    """Delete a thread with all of its checkpoints.

    It cannot be restored, and its name is free at once. If there is none, nothing is to be done.
    """
    await service.delete_thread(call.state, call.path["thread"])
    return Response(204, {}, b"")


@Route(
    "POST",
    f"{_THREAD}/copy",
    answers={200: Progress},
    fails=("not_found", "stale"),
    body=CopyThread,
    needs="agents",
)
async def copy_thread(call: Call) -> Response:
    """Copy another thread to this one, which is created if there is none.

    What is there already stays. A large thread is copied in parts, checkpoints last: if there is `more`, send the same
    request again.
    """
    return json_response(200, await service.copy_thread(call.state, call.path["thread"], call.body))


@Route("POST", f"{_THREAD}/owner", answers={200: Thread}, headers=(IDEMPOTENCY_KEY,), needs="agents")
async def claim_thread(call: Call) -> Response:
    """Claim a thread, which is created if there is none.

    Send the `epoch` of the answer with each write. Whoever writes by another one is refused as `stale`, with the reason
    `fenced`.
    """
    return json_response(200, await service.claim_thread(call.state, call.path["thread"], request=call.request_name))


@Route(
    "POST",
    f"{_THREAD}/checkpoints",
    answers={200: Thread},
    fails=("stale", "too_large"),
    body=NewCheckpoint,
    needs="agents",
)
async def put_checkpoint(call: Call) -> Response:
    """Keep a checkpoint, with the values that are new.

    It takes the place of one with the same `id`. A value of a channel is kept once for each version, and the first one
    stays. The thread is created if there is none.
    """
    return json_response(200, await service.put_checkpoint(call.state, call.path["thread"], call.body))


@Route(
    "POST",
    f"{_THREAD}/writes",
    answers={200: Thread},
    fails=("stale", "too_large"),
    body=NewWrites,
    needs="agents",
)
async def put_writes(call: Call) -> Response:
    """Keep what a task wrote, pending on a checkpoint, which may come later.

    Of two writes of a task with one `idx`, the first stays, or the last if it is negative. The thread is created if
    there is none.
    """
    return json_response(200, await service.put_writes(call.state, call.path["thread"], call.body))


@Route(
    "GET",
    f"{_THREAD}/checkpoints",
    answers={200: CheckpointPage},
    query=CheckpointsQuery,
    fails=("too_large",),
    needs="agents",
)
async def list_checkpoints(call: Call) -> Response:
    """List the checkpoints of a thread, the greatest id first.

    Each has the writes that are pending on it. `values` has what they name in `stored`, each once. A page may be
    shorter than `limit` if they are large; only `nextCursor` tells whether there are more. With `limit=1` it is the
    latest one.
    """
    query: CheckpointsQuery = call.query
    return await _checkpoints(call, query, call.path["thread"], query.ns)


@Route(
    "GET",
    f"{_THREAD}/deltas",
    answers={200: DeltaPage},
    query=DeltasQuery,
    fails=("conflict", "too_large"),
    needs="agents",
)
async def list_deltas(call: Call) -> Response:
    """Find what channels became before a checkpoint.

    For each, it is the value that the nearest ancestor has, and what was written to it since, oldest first. What is on
    a later page is older. It is a `conflict`, with the reason `circular`, where the parents of checkpoints go in a
    circle.
    """
    query: DeltasQuery = call.query
    try:
        channels = msgspec.json.decode(query.channels, type=list[str])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid('channels: Send a JSON array of names, such as ["messages"], percent-encoded.', "channels") from (
            error
        )
    page = await service.checkpoint_deltas(
        call.state, call.path["thread"], channels=channels, ns=query.ns, id=query.checkpoint, cursor=query.cursor
    )
    return json_response(200, page)


@Route(
    "GET",
    "/api/checkpoints",
    answers={200: CheckpointPage},
    query=AllCheckpointsQuery,
    fails=("too_large",),
    needs="agents",
)
async def list_all_checkpoints(call: Call) -> Response:
    """List the checkpoints of all threads, the greatest id first.

    The answer is that of one thread.
    """
    return await _checkpoints(call, call.query, None, None)


@Route(
    "POST",
    "/api/checkpoints/prune",
    answers={200: Progress},
    fails=("too_large",),
    body=PruneThreads,
    needs="agents",
)
async def prune_threads(call: Call) -> Response:
    """Prune the threads that are named, or that nobody wrote to since a time.

    With `keep` as `latest`, the latest checkpoint of each namespace stays, and the ancestors that its channels need: as
    far as each that `metadata.counters_since_delta_snapshot` names has a value. With `none`, the threads are deleted.
    What is large is pruned in parts: if there is `more`, send the same request again.
    """
    return json_response(200, await service.prune_threads(call.state, call.body))


@Route(
    "POST",
    "/api/checkpoints/delete",
    answers={200: Progress},
    fails=("too_large",),
    body=DeleteRuns,
    needs="agents",
)
async def delete_runs(call: Call) -> Response:
    """Delete the checkpoints of runs, with their writes and values.

    They are those whose metadata have one of these as `run_id`. Values that other checkpoints name stay. What is large
    is deleted in parts: if there is `more`, send the same request again.
    """
    return json_response(200, await service.delete_runs(call.state, call.body))


async def _checkpoints(
    call: Call, query: CheckpointsQuery | AllCheckpointsQuery, thread: str | None, ns: str | None
) -> Response:
    page = await service.list_checkpoints(
        call.state,
        thread,
        ns=ns,
        id=query.checkpoint,
        before=query.before,
        filter=None if query.filter is None else Raw(query.filter.encode()),
        cursor=query.cursor,
        limit=query.limit,
    )
    return json_response(200, page)
