"""The changes of a user's conversations and messages, for clients that stay in step."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from threadkeep.conversations.models import CHANGES_LIMIT_MAX, Changes
from threadkeep.errors import CursorExpired, Invalid
from threadkeep.http.events import EVENTS, Found, event, events_response, last_event_id, no_further
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import CURSOR_PATTERN, LAST_EVENT_ID, Call, Route


class ChangesQuery(Struct, forbid_unknown_fields=True):
    """Which changes to list."""

    since: (
        Annotated[
            str,
            Meta(
                max_length=500,
                description="`next` of the page before, unchanged; 0 for the beginning.",
                extra_json_schema={"pattern": CURSOR_PATTERN},
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=CHANGES_LIMIT_MAX)] = 200


@Route(
    "GET",
    "/api/conversations/changes",
    answers={200: Changes},
    fails=("cursor_expired",),
    query=ChangesQuery,
    needs="changes",
)
async def list_changes(call: Call) -> Response:
    """List what has changed since a cursor, to keep a device in sync.

    Apply each page in order, then continue from `next`: at once while `hasMore` is true, or at any later time. A
    tombstone, which has only `id` and `deletedAt`, removes a conversation and its messages. Without `since`, the answer
    has nothing but the current cursor. After `cursor_expired`, start again with `since=0`.
    """
    query: ChangesQuery = call.query
    return json_response(200, await call.store.changes(query.since, limit=query.limit))


@Route(
    "GET",
    "/api/conversations/changes/stream",
    answers={200: EVENTS},
    query=ChangesQuery,
    headers=(LAST_EVENT_ID,),
    needs="changes",
)
async def stream_changes(call: Call) -> Response:
    """Follow the changes as they happen, as Server-Sent Events.

    Each event `changes` has one page as its data, as `GET /api/conversations/changes` answers it, and its `next` as its
    `id`. The first comes at once. When the answer ends, ask again with the last `id` in `Last-Event-ID`. The event
    `expired` says that the cursor can no longer be followed: start again with `since=0`.
    """
    query: ChangesQuery = call.query
    listener, last_id = call.listener(), last_event_id(call.request)
    since = last_id or query.since

    async def ask() -> Found:
        nonlocal since
        before = since
        try:
            changes = await call.store.changes(since, limit=query.limit)
        except CursorExpired as error:
            return no_further(error)
        since = changes.next
        if since == before:
            return Found()
        return Found([event(msgspec.json.encode(changes), id_=since, name="changes")], changes.has_more)

    try:
        found = await ask()
    except Invalid as error:
        if last_id is None or error.path != "since":
            raise
        raise Invalid("last-event-id: This is the id of no event. Leave it out to begin.", "last-event-id") from error
    return events_response(found, ask, listener)
