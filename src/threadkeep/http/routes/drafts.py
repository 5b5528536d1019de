"""Drafts: messages while they are written."""

from typing import Annotated

from msgspec import Meta, Struct, field

from threadkeep.conversations.drafts import service
from threadkeep.conversations.drafts.models import DraftEnd, DraftPage, Drafts, NewDraft, NewParts, PartsWritten
from threadkeep.conversations.models import Appended, Count, Draft
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Route

_PARTS_LIMIT_MAX = 1_000


class DraftQuery(Struct, forbid_unknown_fields=True):
    """Which parts to read."""

    start: Annotated[Count, Meta(description="The number of the first part to read.")] = field(default=0, name="from")
    limit: Annotated[int, Meta(ge=1, le=_PARTS_LIMIT_MAX)] = 500


@Route(
    "POST",
    "/api/conversations/{id}/drafts",
    answers={201: Draft, 200: Draft},
    fails=("not_found", "conflict", "too_large"),
    body=NewDraft,
)
async def start_draft(call: Call) -> Response:
    """Start a draft: a message that is kept while it is written.

    Write its parts with the `fence` of the answer, and settle it. The message then has the id of the draft. Where
    nothing comes for `leaseSeconds`, it is settled as interrupted, with what came.
    """
    draft, is_new = await service.start_draft(call.store, call.id, call.body)
    return json_response(201 if is_new else 200, draft)


@Route("GET", "/api/conversations/{id}/drafts", answers={200: Drafts}, fails=("not_found",))
async def list_drafts(call: Call) -> Response:
    """List the drafts of a conversation that are open."""
    return json_response(200, Drafts(await call.store.list_drafts(call.id)))


@Route("GET", "/api/drafts/{id}", answers={200: DraftPage}, fails=("not_found",), query=DraftQuery)
async def get_draft(call: Call) -> Response:
    """Get a draft, with its parts from a number on."""
    query: DraftQuery = call.query
    return json_response(200, await call.store.get_draft(call.id, start=query.start, limit=query.limit))


@Route(
    "POST",
    "/api/drafts/{id}/parts",
    answers={200: PartsWritten},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=NewParts,
)
async def write_parts(call: Call) -> Response:
    """Write parts of a draft: changes of its blocks, in order.

    Send `next` of the answer as `from` of the next request. What was written already is a repeat; where parts are
    missing, the answer is a `conflict` with `details.next`. `stop` says that somebody has asked to stop.
    """
    return json_response(200, await service.write_parts(call.store, call.id, call.body))


@Route(
    "PUT",
    "/api/drafts/{id}",
    answers={201: Appended, 200: Appended, 204: None},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=DraftEnd,
)
async def settle_draft(call: Call) -> Response:
    """Settle a draft: append its message, and remove its parts.

    `content` wins over what the parts come to. Where nothing came, there is no message, and the answer is 204.
    """
    appended, is_new = await service.settle_draft(call.store, call.id, call.body)
    if appended is None:
        return Response(204, {}, b"")
    return json_response(201 if is_new else 200, appended)


@Route("POST", "/api/drafts/{id}/take", answers={200: Draft}, fails=("not_found", "conflict"))
async def take_draft(call: Call) -> Response:
    """Take a draft over: its `fence` goes up, and whoever wrote it before can write no more."""
    return json_response(200, await call.store.take_draft(call.id))


@Route("POST", "/api/drafts/{id}/stop", answers={200: Draft}, fails=("not_found", "conflict"))
async def stop_draft(call: Call) -> Response:
    """Ask the producer of a draft to stop.

    It is told with its next parts. If it sends none, the draft is interrupted when its lease is over.
    """
    return json_response(200, await call.store.stop_draft(call.id))
