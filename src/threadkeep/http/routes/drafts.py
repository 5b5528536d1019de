"""Drafts: messages while they are written."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from threadkeep.clock import now
from threadkeep.conversations.drafts import service
from threadkeep.conversations.drafts.models import (
    DraftEnd,
    DraftList,
    DraftPage,
    DraftPart,
    NewDraft,
    NewParts,
    Op,
    PartsWritten,
)
from threadkeep.conversations.drafts.reading import is_overdue, outcome_of, read_folded, settle_overdue
from threadkeep.conversations.drafts.streaming import LIVELY, SPARING, receive
from threadkeep.conversations.models import INTEGER_MAX, Appended, Count, Draft
from threadkeep.errors import Invalid, NotFound
from threadkeep.http.bodies import NDJSON
from threadkeep.http.events import EVENTS, Found, event, events_response, last_event_id, no_further
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import LAST_EVENT_ID, Call, Route

_PARTS_LIMIT_MAX = 1_000
_PARTS_OF_EVENTS = 500
_END = "end"
"""The id of the last event of a draft. Whoever comes again after it is told that there is nothing more."""

_First = Annotated[Count, Meta(description="The number of the first part to read.")]


class DraftQuery(Struct, forbid_unknown_fields=True):
    """Which parts to read."""

    start: _First = field(default=0, name="from")
    limit: Annotated[int, Meta(ge=1, le=_PARTS_LIMIT_MAX)] = 500
    folded: Annotated[
        bool, Meta(description="Whether the answer has the content that all parts come to, instead of parts.")
    ] = False


class DraftEventsQuery(Struct, forbid_unknown_fields=True):
    """From where to follow."""

    start: _First = field(default=0, name="from")
    folded: Annotated[
        bool, Meta(description="Whether what is there already comes as one event, `content`, instead of its parts.")
    ] = False


class DraftStreamQuery(Struct, forbid_unknown_fields=True):
    """Who writes, and from where."""

    fence: Annotated[Count, Meta(description="That of the producer, from starting or taking the draft.")]
    start: Annotated[Count, Meta(description="The number of the next part, which it has to be.")] | None = field(
        default=None, name="from"
    )


@Route(
    "POST",
    "/api/conversations/{id}/drafts",
    answers={201: Draft, 200: Draft},
    fails=("not_found", "conflict", "too_large"),
    body=NewDraft,
)
async def start_draft(call: Call) -> Response:
    """Start a draft, a message that is kept while it is written.

    Write its parts with the `fence` of the answer, and settle it. The message then has the id of the draft. Where
    nothing comes for `leaseSeconds`, it is settled as interrupted, with what came.
    """
    draft, is_new = await service.start_draft(call.store, call.id, call.body)
    return json_response(201 if is_new else 200, draft)


@Route("GET", "/api/conversations/{id}/drafts", answers={200: DraftList}, fails=("not_found",))
async def list_drafts(call: Call) -> Response:
    """List the drafts of a conversation that are open."""
    drafts = await call.store.list_drafts(call.id)
    if await settle_overdue_drafts(call, drafts):
        drafts = await call.store.list_drafts(call.id)
    return json_response(200, DraftList(drafts))


@Route("GET", "/api/drafts/{id}", answers={200: DraftPage}, fails=("not_found",), query=DraftQuery)
async def get_draft(call: Call) -> Response:
    """Get a draft with its parts from a number on.

    With `folded=true` it has the content that all parts come to instead.
    The parts of a draft that has ended are gone; its content is then that of its message.
    """
    query: DraftQuery = call.query
    if query.folded:
        draft, content = await read_folded(call.store, call.id)
        if await settle_overdue_drafts(call, [draft]):
            draft, content = await read_folded(call.store, call.id)
        page = DraftPage(draft=draft, parts=[], more=False, content=content.content)
        page.draft.next = content.next
        return json_response(200, page)
    page = await call.store.get_draft(call.id, start=query.start, limit=query.limit)
    if await settle_overdue_drafts(call, [page.draft]):
        page = await call.store.get_draft(call.id, start=query.start, limit=query.limit)
    return json_response(200, page)


@Route(
    "GET",
    "/api/drafts/{id}/events",
    answers={200: EVENTS, 204: None},
    fails=("not_found",),
    query=DraftEventsQuery,
    headers=(LAST_EVENT_ID,),
    item=DraftPart,
)
async def follow_draft(call: Call) -> Response:
    """Follow a draft while it is written, as Server-Sent Events.

    Each part is an event `part`, with its number as its `id`. With `folded=true` what is there already comes as one
    event, `content`. The event `caught-up` says that everything has come that is there so far, and `settled` is the
    last one: it has the draft and its message, whose content is the whole truth. When the answer ends before, ask again
    with the last `id` in `Last-Event-ID`.
    """
    query: DraftEventsQuery = call.query
    last_id, listener = last_event_id(call.request), call.listener()
    if last_id == _END:
        return Response(204, {}, b"")  # which tells a browser not to come again
    start = query.start if last_id is None else _part_after(last_id)
    folds, is_caught_up = query.folded and last_id is None, False

    async def find() -> Found:
        nonlocal start, folds, is_caught_up
        page = await call.store.get_draft(call.id, start=start, limit=_PARTS_OF_EVENTS)
        if await settle_overdue_drafts(call, [page.draft]):
            page = await call.store.get_draft(call.id, start=start, limit=_PARTS_OF_EVENTS)
        if folds and page.draft.settled_at is None:
            _, content = await read_folded(call.store, call.id)
            folds, start = False, content.next
            id_ = str(start - 1) if start else None
            return Found([event(msgspec.json.encode(content), id_=id_, name="content")], has_more=True)
        events = [event(msgspec.json.encode(part), id_=str(part.part), name="part") for part in page.parts]
        start = page.parts[-1].part + 1 if page.parts else start
        if page.draft.settled_at is not None:
            outcome = await outcome_of(call.store, page.draft)
            return Found([*events, event(msgspec.json.encode(outcome), id_=_END, name="settled")], is_last=True)
        if not page.more and not is_caught_up:
            is_caught_up = True
            events.append(event(b'{"next":%d}' % start, name="caught-up"))
        return Found(events, page.more, seconds=(page.draft.deadline - now()) / 1_000)

    async def ask() -> Found:
        try:
            return await find()
        except NotFound as error:  # its conversation was deleted
            return no_further(error)

    return events_response(await find(), ask, listener)


def _part_after(last_id: str) -> int:
    """The part after the one that an event had as its id. Raises Invalid."""
    if not (last_id.isascii() and last_id.isdecimal() and len(last_id) < 16 and int(last_id) < INTEGER_MAX):
        raise Invalid("last-event-id: This is the id of no event. Leave it out to begin.", "last-event-id")
    return int(last_id) + 1


async def settle_overdue_drafts(call: Call, drafts: list[Draft]) -> bool:
    """Settle drafts that are past their deadline, which was found out by reading; answer whether there were any."""
    overdue = [draft for draft in drafts if is_overdue(draft)]
    for draft in overdue:
        await settle_overdue(call.store, draft.id)
    if overdue:
        call.publish()
    return bool(overdue)


@Route(
    "POST",
    "/api/drafts/{id}/parts",
    answers={200: PartsWritten},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=NewParts,
)
async def write_parts(call: Call) -> Response:
    """Write parts of a draft.

    A part is a list of changes of its blocks, in order.
    Send `next` of the answer as `from` of the next request. What was written already is a repeat; where parts are
    missing, the answer is a `conflict` with `details.next`. `stop` says that somebody has asked to stop.
    """
    return json_response(200, await service.write_parts(call.store, call.id, call.body))


@Route(
    "POST",
    "/api/drafts/{id}/stream",
    answers={201: Appended, 200: PartsWritten, 204: None},
    fails=("not_found", "conflict", "stale", "too_large"),
    query=DraftStreamQuery,
    body=Op,
    media_types=(NDJSON,),
    reads_body=True,
    item=Op,
)
async def stream_draft(call: Call) -> Response:
    """Write a draft as one stream, as newline-delimited JSON, while it is made.

    A line is a change, or an array of changes. The server keeps what has come several times a second. The last line may
    settle the draft: `{"settle": "complete"}`, with what `PUT /api/drafts/{id}` takes beside its `fence` and `state`.
    Without it, the answer says which part is next, and the draft goes on. An empty array renews the lease. Where
    somebody has asked to stop, the draft is interrupted with what came. When the connection was lost, take the draft,
    read what there is of it, and go on from there.
    """
    query: DraftStreamQuery = call.query
    request = call.request
    outcome, is_new = await receive(
        call.store,
        call.id,
        (request.live or request.stream)(),
        fence=query.fence,
        first=query.start,
        pace=SPARING if call.signals is None else LIVELY,
        kept=call.publish,
    )
    if outcome is None:
        return Response(204, {}, b"")
    return json_response(201 if is_new else 200, outcome)


@Route(
    "PUT",
    "/api/drafts/{id}",
    answers={201: Appended, 200: Appended, 204: None},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=DraftEnd,
)
async def settle_draft(call: Call) -> Response:
    """Settle a draft.

    Its message is appended, and its parts are removed.
    `content` wins over what the parts come to. Where nothing came, there is no message, and the answer is 204.
    """
    appended, is_new = await service.settle_draft(call.store, call.id, call.body)
    if appended is None:
        return Response(204, {}, b"")
    return json_response(201 if is_new else 200, appended)


@Route("POST", "/api/drafts/{id}/take", answers={200: Draft}, fails=("not_found", "conflict"))
async def take_draft(call: Call) -> Response:
    """Take a draft over from its producer.

    Its `fence` goes up, and whoever wrote it before can write no more.
    """
    return json_response(200, await call.store.take_draft(call.id))


@Route("POST", "/api/drafts/{id}/stop", answers={200: Draft}, fails=("not_found", "conflict"))
async def stop_draft(call: Call) -> Response:
    """Ask the producer of a draft to stop.

    It is told with its next parts. If it sends none, the draft is interrupted when its lease is over.
    """
    return json_response(200, await call.store.stop_draft(call.id))
