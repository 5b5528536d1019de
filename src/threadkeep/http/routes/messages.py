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
from threadkeep.http.routes.drafts import settle_overdue_drafts
from threadkeep.ids import ID_CHARACTERS_MAX

# `active` and `all` are no ids, so it is as long as one, of the same letters.
Branch = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9._:@-]{{1,{ID_CHARACTERS_MAX}}}(?!\n)$",
        extra_json_schema={"minLength": 1, "maxLength": ID_CHARACTERS_MAX},
        extra={"words": "`active`, `all` or the id of a message"},
        description="`active`, for the active path, `all`, or the id of the message with which a path ends. "
        "By default `active`, and with `after` `all`.",
    ),
]


class MessagesQuery(Struct, forbid_unknown_fields=True):
    """Which messages to list."""

    branch: Branch | None = None
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

    A page is of the active path, unless `branch` says otherwise; `branches` tells which of its messages have siblings,
    for switching between them. With `after` and without `branch` it is of all branches, and so misses nothing.
    `nextCursor` leads to older messages; with `after`, which reads forward, to newer ones.
    A page may be shorter than `limit` if messages are large; only `nextCursor` tells whether there are more.
    """
    query: MessagesQuery = call.query
    if query.cursor is not None and query.after is not None:
        raise Invalid(
            "after: Send either `after`, to start reading forward, or `cursor`, to go on from a page.", "after"
        )
    page = await call.store.list_messages(
        call.id, branch=query.branch, cursor=query.cursor, after=query.after, limit=query.limit
    )
    if await settle_overdue_drafts(call, page.drafts):
        page = await call.store.list_messages(call.id, branch=query.branch, limit=query.limit)
    return json_response(200, page)


class AppendQuery(Struct, forbid_unknown_fields=True):
    """How to append."""

    interrupts: Annotated[
        bool, Meta(description="Whether a draft that is open where the messages follow is interrupted first.")
    ] = False


@Route(
    "POST",
    "/api/conversations/{id}/messages",
    answers={201: Appended, 200: Appended},
    fails=("not_found", "conflict", "stale", "too_large"),
    query=AppendQuery,
    body=NewMessage | NewMessages,
)
async def append_messages(call: Call) -> Response:
    """Append one message, or several together.

    Several are stored all together, or not at all. Give each an `id` of your own, and the request can be repeated if
    its answer is lost: a message that is stored already is not stored twice, and if all of them are, the status is 200.
    Without ids, a repeated request appends again. With `expectedMessageCount`, the append fails with `stale` if
    others have appended since, and with `expectedLeafId`, if the active path ends elsewhere by now.

    A message follows the end of the active path. To edit a question, append another with `siblingOf`, the id of the
    first; to regenerate an answer, do the same with that. `parentId` names what a message follows instead, and `isRoot`
    says that it follows nothing. Nothing is overwritten. With `select` false, the active path stays where it is.
    Where a draft is open at the end of the active path, the append is a `conflict` whose `details.reason` is
    `draft_open`; with `interrupts=true` the draft is interrupted, and the message follows it.
    """
    appended, is_new = await service.append_messages(call.store, call.id, call.body, interrupts=call.query.interrupts)
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
