"""The messages of a conversation: list them, and append to them."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.conversations import service
from threadkeep.conversations.models import (
    MESSAGES_LIMIT_MAX,
    Appended,
    Count,
    MessagePage,
    NewMessage,
    NewMessages,
)
from threadkeep.errors import Invalid
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Cursor, Route


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
