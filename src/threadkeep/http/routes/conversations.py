"""Conversations: create, put, list, get, edit, delete and restore them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from threadkeep.conversations import retention, service
from threadkeep.conversations.models import (
    LIST_LIMIT_MAX,
    Appended,
    Conversation,
    ConversationChanges,
    ConversationPage,
    Count,
    Deleted,
    Model,
    NewConversation,
    PutConversation,
)
from threadkeep.conversations.records import ConversationFilter
from threadkeep.errors import Invalid
from threadkeep.http.bodies import JSON, MERGE_PATCH
from threadkeep.http.messages import Response, etag, json_response
from threadkeep.http.routes.base import IF_MATCH, Call, Cursor, Route

Archived = Annotated[
    bool | Literal["any"],
    Meta(description="Whether those that are archived, or those that are not; `any` is both."),
]


class ListQuery(Struct, forbid_unknown_fields=True):
    """Which conversations to list."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT_MAX)] = 20
    archived: Archived = False
    model: Annotated[Model, Meta(description="Only those of this model.")] | None = None
    created_after: Annotated[Count, Meta(description="Only those created later, in Unix milliseconds.")] | None = field(
        default=None, name="createdAfter"
    )
    created_before: Annotated[Count, Meta(description="Only those created before, in Unix milliseconds.")] | None = (
        field(default=None, name="createdBefore")
    )
    metadata: Annotated[
        dict[str, str],
        Meta(
            description="Only those with this in their metadata: `metadata.<name>=<value>`, at most once. The value is "
            "a string, or a number or a boolean as it is written.",
        ),
    ] = {}


class DeleteQuery(Struct, forbid_unknown_fields=True):
    """Which conversations to delete, and what makes sure that nobody does so by mistake."""

    before: Annotated[Count, Meta(description="Those whose `updatedAt` is before this, in Unix milliseconds.")]
    confirm: Annotated[str, Meta(description="Your own user id.")]
    archived: Archived = False


_UNFILTERED = (None, None, None)


@Route("GET", "/api/conversations", answers={200: ConversationPage}, query=ListQuery)
async def list_conversations(call: Call) -> Response:
    """List conversations, most recently updated first.

    Archived conversations are listed apart, with `archived=true`, or among the others, with `archived=any`.
    All filters have to match. With a filter, a page looks at 1,000 conversations at most: it may be short or empty, and
    only `nextCursor` says whether there are more.
    """
    query: ListQuery = call.query
    is_filtered = query.metadata or (query.model, query.created_after, query.created_before) != _UNFILTERED
    page = await call.store.list_conversations(
        is_archived=None if query.archived == "any" else query.archived,
        cursor=query.cursor,
        limit=query.limit,
        only=_filter(query) if is_filtered else None,
    )
    return json_response(200, page)


@Route("DELETE", "/api/conversations", answers={200: Deleted, 202: Deleted}, query=DeleteQuery)
async def delete_conversations(call: Call) -> Response:
    """Delete the conversations that nothing was appended to since a time.

    Each can be restored, as if it were deleted alone. Archived conversations are deleted only with `archived=true`,
    which is those alone, or `archived=any`. `confirm` must be your own user id. The answer is how many they were.
    With 202, there were too many for one request: send it again to go on.
    """
    query: DeleteQuery = call.query
    if query.confirm != call.user_id:
        raise Invalid("confirm: This is not your user id. Nothing was deleted.", "confirm")
    is_archived = None if query.archived == "any" else query.archived
    deleted = await retention.delete_conversations(call.store, query.before, is_archived)
    return json_response(200 if deleted.is_complete else 202, deleted)


@Route(
    "POST",
    "/api/conversations",
    answers={201: Conversation, 200: Conversation},
    fails=("conflict", "too_large"),
    body=NewConversation,
)
async def create_conversation(call: Call) -> Response:
    """Create a conversation, with or without its first messages.

    Give it an `id` of your own, and the request can be repeated if its answer is lost: the status is then 200, with the
    conversation as it is now, and nothing is created twice.
    """
    conversation, is_new = await service.create_conversation(call.store, call.body)
    headers = {"etag": etag(conversation.version)}
    if is_new:
        headers["location"] = f"{call.request.mounted_at}/api/conversations/{conversation.id}"
    return json_response(201 if is_new else 200, conversation, headers)


@Route("GET", "/api/conversations/{id}", answers={200: Conversation}, fails=("not_found",))
async def get_conversation(call: Call) -> Response:
    """Get a conversation.

    Its `ETag` is its version, for `If-Match`.
    """
    return _conversation(await call.store.get_conversation(call.id))


@Route(
    "PUT",
    "/api/conversations/{id}",
    answers={201: Appended, 200: Appended},
    fails=("conflict", "stale", "too_large"),
    body=PutConversation,
)
async def put_conversation(call: Call) -> Response:
    """Create a conversation under this id, or append to it if it is there already.

    A new one gets all that is sent, and is answered 201. One that is there keeps its title, model and metadata, and
    those of `messages` are appended that it does not have. Bring an `id` with each, and the whole conversation can be
    sent each time something is added to it, or again after a lost answer. The answer has a receipt for each message.
    With `expectedMessageCount`, it fails with `stale` if others have appended since. If the conversation is deleted,
    it fails with `conflict`, with `details.reason` `deleted`.
    """
    appended, is_new = await service.put_conversation(call.store, call.id, call.body)
    headers = {"etag": etag(appended.conversation.version)}
    if is_new:
        headers["location"] = f"{call.request.mounted_at}/api/conversations/{call.id}"
    return json_response(201 if is_new else 200, appended, headers)


@Route(
    "PATCH",
    "/api/conversations/{id}",
    answers={200: Conversation},
    fails=("not_found", "stale", "too_large"),
    body=ConversationChanges,
    media_types=(JSON, MERGE_PATCH),
    headers=(IF_MATCH,),
)
async def update_conversation(call: Call) -> Response:
    """Edit a conversation.

    The body is a JSON Merge Patch (RFC 7396): null clears a field, and `metadata` merges.

    With `If-Match`, the edit applies to that version, or fails with `stale` and the conversation as it is now.
    Without it, the last edit of each field wins: by `editedAt` if it is given, otherwise by arrival.
    """
    return _conversation(await service.update_conversation(call.store, call.id, call.body, call.expected_version))


@Route(
    "DELETE",
    "/api/conversations/{id}",
    answers={204: None},
    fails=("not_found", "stale"),
    headers=(IF_MATCH,),
)
async def delete_conversation(call: Call) -> Response:
    """Delete a conversation.

    It can be restored for as long as the server keeps deleted conversations, 30 days by default. Deleting it again
    changes nothing. With `If-Match`, only that version is deleted; otherwise the request fails with `stale`.
    """
    await call.store.delete_conversation(call.id, expected_version=call.expected_version)
    return Response(204, {}, b"")


@Route("POST", "/api/conversations/{id}/restore", answers={200: Conversation}, fails=("not_found",))
async def restore_conversation(call: Call) -> Response:
    """Restore a deleted conversation, with all of its messages."""
    return _conversation(await call.store.restore_conversation(call.id))


def _conversation(conversation: Conversation) -> Response:
    return json_response(200, conversation, {"etag": etag(conversation.version)})


def _filter(query: ListQuery) -> ConversationFilter:
    """Return what a query asks for. Raises Invalid where that cannot be."""
    after, before = query.created_after, query.created_before
    if after is not None and before is not None and after >= before:
        raise Invalid("createdBefore: `createdBefore` must be later than `createdAfter`.", "createdBefore")
    named = list(query.metadata.items())
    if len(named) > 1:
        path = f"metadata.{named[1][0]}"
        raise Invalid(f"{path}: Metadata can be asked for once. Send one `metadata.<name>=<value>`.", path)
    return ConversationFilter(
        model=query.model, created_after=after, created_before=before, metadata=named[0] if named else None
    )
