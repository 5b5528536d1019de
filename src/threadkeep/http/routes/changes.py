"""The changes of a user's conversations and messages, for clients that stay in step."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.conversations.models import CHANGES_LIMIT_MAX, Changes
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import CURSOR_PATTERN, Call, Route


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
