"""The messages of a conversation: list them, append to them, get one, and edit its metadata."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.conversations import service
from threadkeep.conversations.models import (
    MESSAGES_LIMIT_MAX,
    Appended,
    Count,
    Message,
    MessageChanges,
    MessagePage,
    NewMessage,
    NewMessages,
)
from threadkeep.errors import Invalid
from threadkeep.http.bodies import JSON, MERGE_PATCH
from threadkeep.http.messages import Response, etag, json_response
from threadkeep.http.routes.base import IF_MATCH, Call, Cursor, Route


class MessagesQuery(Struct, forbid_unknown_fields=True):
    """Which messages to list."""

    cursor: Cursor | None = None
    after: Annotated[Count, Meta(description="Read forward from the message that follows this `seq`.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MESSAGES_LIMIT_MAX)] = 50


@Route(
    "GET",
    "/api/conversations/{id}/messages",
    answers={200: MessagePage},
    fails=("not_found",),
    query=MessagesQuery,
)
async def list_messages(call: Call) -> Response:
    """List messages in order, the newest page first.

    `nextCursor` leads to older messages; with `after`, which reads forward, to newer ones.
    A page may be shorter than `limit` if messages are large; only `nextCursor` tells whether there are more.
    """
    query: MessagesQuery = call.query
    if query.cursor is not None and query.after is not None:
        raise Invalid(
            "after: Send either `after`, to start reading forward, or `cursor`, to go on from a page.", "after"
        )
    page = await call.store.list_messages(call.id, cursor=query.cursor, after=query.after, limit=query.limit)
    return json_response(200, page)


@Route(
    "POST",
    "/api/conversations/{id}/messages",
    answers={201: Appended, 200: Appended},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=NewMessage | NewMessages,
)
async def append_messages(call: Call) -> Response:
    """Append one message, or several together.

    Several are stored all together, or not at all. Give each an `id` of your own, and the request can be repeated if
    its answer is lost: a message that is stored already is not stored twice, and if all of them are, the status is 200.
    Without ids, a repeated request appends again. With `expectedMessageCount`, the append fails with `stale` if
    others have appended since.
    """
    appended, is_new = await service.append_messages(call.store, call.id, call.body)
    return json_response(201 if is_new else 200, appended)


@Route("GET", "/api/conversations/{id}/messages/{mid}", answers={200: Message}, fails=("not_found",))
async def get_message(call: Call) -> Response:
    """Get a message.

    Its `ETag` is its version, for `If-Match`.
    """
    return _message(await call.store.get_message(call.id, call.path["mid"]))


@Route(
    "PATCH",
    "/api/conversations/{id}/messages/{mid}",
    answers={200: Message},
    fails=("not_found", "stale", "too_large"),
    body=MessageChanges,
    media_types=(JSON, MERGE_PATCH),
    headers=(IF_MATCH,),
)
async def update_message(call: Call) -> Response:
    """Edit the metadata of a message, such as a vote or a note.

    The body is a JSON Merge Patch (RFC 7396): `metadata` merges, and null clears it. All else that a message says stays
    as it was appended. The message gets another `version`, and is among the changes once more.

    With `If-Match`, the edit applies to that version, or fails with `stale` and the message as it is now.
    Without it, the last edit wins: by `editedAt` if it is given, otherwise by arrival.
    """
    return _message(
        await service.update_message(call.store, call.id, call.path["mid"], call.body, call.expected_version)
    )


def _message(message: Message) -> Response:
    return json_response(200, message, {"etag": etag(message.version)})
