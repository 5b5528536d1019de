"""Conversations: create, put, list, get, edit, delete and restore them."""

from typing import Annotated

from msgspec import Meta, Struct

from threadkeep.conversations import service
from threadkeep.conversations.models import (
    LIST_LIMIT_MAX,
    Appended,
    Conversation,
    ConversationChanges,
    ConversationPage,
    NewConversation,
    PutConversation,
)
from threadkeep.http.bodies import JSON, MERGE_PATCH
from threadkeep.http.messages import IF_MATCH_PATTERN, Response, etag, json_response, version_in
from threadkeep.http.routes.base import Call, Cursor, Header, Route

IF_MATCH = Header(
    "If-Match",
    {
        "type": "string",
        "pattern": IF_MATCH_PATTERN,
        "examples": ["*", '"3"'],
        "description": "The `ETag` of an earlier response: the request is for that version, or fails with `stale`.",
    },
)


class ListQuery(Struct, forbid_unknown_fields=True):
    """Which conversations to list."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT_MAX)] = 20
    archived: bool = False


@Route("GET", "/api/conversations", answers={200: ConversationPage}, query=ListQuery)
async def list_conversations(call: Call) -> Response:
    """List conversations, most recently updated first.

    Archived conversations are listed apart, with `archived=true`.
    """
    query: ListQuery = call.query
    page = await call.store.list_conversations(is_archived=query.archived, cursor=query.cursor, limit=query.limit)
    return json_response(200, page)


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
    version = version_in(call.request.header("if-match"))
    return _conversation(await service.update_conversation(call.store, call.id, call.body, version))


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
    version = version_in(call.request.header("if-match"))
    await call.store.delete_conversation(call.id, expected_version=version)
    return Response(204, {}, b"")


@Route("POST", "/api/conversations/{id}/restore", answers={200: Conversation}, fails=("not_found",))
async def restore_conversation(call: Call) -> Response:
    """Restore a deleted conversation, with all of its messages."""
    return _conversation(await call.store.restore_conversation(call.id))


def _conversation(conversation: Conversation) -> Response:
    return json_response(200, conversation, {"etag": etag(conversation.version)})
