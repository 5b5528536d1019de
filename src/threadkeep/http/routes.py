"""The routes of a user's conversations: what each takes, what it answers, and the handler that does it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from threadkeep import service
from threadkeep.errors import Invalid
from threadkeep.http.wire import Request, Response, etag, json_response, version_in
from threadkeep.models import (
    LIST_LIMIT_MAX,
    MESSAGES_LIMIT_MAX,
    Appended,
    Conversation,
    ConversationChanges,
    ConversationPage,
    Count,
    MessagePage,
    NewConversation,
    NewMessage,
    NewMessages,
)
from threadkeep.store import Store
from threadkeep.validation import decode, parse

Cursor = Annotated[str, Meta(max_length=500, description="A `nextCursor` as it came, or the id to go on from.")]


AppendBody = NewMessage | NewMessages


class ListQuery(Struct, forbid_unknown_fields=True):
    """Which conversations to list."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT_MAX)] = 20
    archived: bool = False


class MessagesQuery(Struct, forbid_unknown_fields=True):
    """Which messages to list."""

    cursor: Cursor | None = None
    after: Annotated[Count, Meta(description="Read forward from the message that follows this `seq`.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MESSAGES_LIMIT_MAX)] = 50


class NoQuery(Struct, forbid_unknown_fields=True):
    """Nothing."""


class Call(Struct):
    """A request to a route, once it is known who asks and that everything fits."""

    request: Request
    store: Store
    path: dict[str, str]
    query: Any
    body: Any

    @property
    def id(self) -> str:
        """The conversation that the path names."""
        return self.path["id"]


class Route(Struct, frozen=True, kw_only=True):
    """One method of one path: what it takes, what it answers, and who does it."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Response]]
    """Its docstring is the description. It gets a `Call`, or, of a public route, a `Server` and a `Request`."""
    answers: dict[int, Any]
    """The type of the body, by status; None where there is no body, a media type where it is not JSON."""
    fails: tuple[str, ...] = ()
    """Codes of errors of its own, beside those that any route may have."""
    query: type[Struct] = NoQuery
    body: Any = None
    headers: tuple[str, ...] = ()
    """Request headers of its own."""
    is_public: bool = False
    """Whether it answers anybody, without a store."""


async def create_conversation(call: Call) -> Response:
    """Create a conversation, with its first messages or without.

    Bring an `id`, and the request can be sent again after a lost answer: it is answered 200, with the conversation
    as it is now, and nothing is created twice.
    """
    conversation, is_new = await service.create_conversation(call.store, call.body)
    headers = {"etag": etag(conversation.version)}
    if is_new:
        headers["location"] = f"/api/conversations/{conversation.id}"
    return json_response(201 if is_new else 200, conversation, headers)


async def list_conversations(call: Call) -> Response:
    """List conversations, latest `updatedAt` first.

    Without `archived=true` those that are not archived; with it, those that are.
    """
    query: ListQuery = call.query
    page = await call.store.list_conversations(is_archived=query.archived, cursor=query.cursor, limit=query.limit)
    return json_response(200, page)


async def get_conversation(call: Call) -> Response:
    """Get a conversation. Its `ETag` is its version, for `If-Match`."""
    return _conversation(await call.store.get_conversation(call.id))


async def update_conversation(call: Call) -> Response:
    """Edit a conversation by JSON Merge Patch (RFC 7396): null clears, `metadata` merges.

    With `If-Match`, the edit applies to that version or fails with `stale` and the conversation as it is now.
    Without it, the last edit of each field wins: by `editedAt` where it is given, else by arrival.
    """
    version = version_in(call.request.header("if-match"))
    return _conversation(await service.update_conversation(call.store, call.id, call.body, version))


async def delete_conversation(call: Call) -> Response:
    """Delete a conversation so that it can be restored. Deleting it again changes nothing.

    With `If-Match`, that version is deleted, or the request fails with `stale` and the conversation as it is now.
    """
    version = version_in(call.request.header("if-match"))
    await call.store.delete_conversation(call.id, expected_version=version)
    return Response(204, {}, b"")


async def restore_conversation(call: Call) -> Response:
    """Restore a deleted conversation with all of its messages."""
    return _conversation(await call.store.restore_conversation(call.id))


async def list_messages(call: Call) -> Response:
    """List messages in order, the newest page first.

    `nextCursor` leads to older ones; with `after`, which reads forward, to newer ones.
    A page may be shorter than `limit` where messages are large; only `nextCursor` tells whether there are more.
    """
    query: MessagesQuery = call.query
    if query.cursor is not None and query.after is not None:
        raise Invalid("after: Send `cursor` or `after`, not both.", "after")
    page = await call.store.list_messages(call.id, cursor=query.cursor, after=query.after, limit=query.limit)
    return json_response(200, page)


async def append_messages(call: Call) -> Response:
    """Append a message, or several together: all or none.

    Bring an `id` with each, and the request can be sent again after a lost answer: what is known already is not stored
    twice, and if all of it is, the answer is 200. Without ids, a request that is sent again appends again.
    With `expectedMessageCount`, the append fails with `stale` if others have appended since.
    """
    appended, is_new = await service.append_messages(call.store, call.id, call.body)
    return json_response(201 if is_new else 200, appended)


def read_body(route: Route, text: bytes) -> Any:
    """The body of a request as what its route takes. Raises Invalid."""
    if route.body is not AppendBody:
        return decode(text, route.body)
    # One message, or several: the key that only the latter has tells.
    fields = decode(text, dict[str, Raw])
    return parse(text, NewMessages) if "messages" in fields else parse(text, NewMessage)


def _conversation(conversation: Conversation) -> Response:
    return json_response(200, conversation, {"etag": etag(conversation.version)})


ROUTES = [
    Route(
        method="GET",
        path="/api/conversations",
        handler=list_conversations,
        answers={200: ConversationPage},
        query=ListQuery,
    ),
    Route(
        method="POST",
        path="/api/conversations",
        handler=create_conversation,
        answers={201: Conversation, 200: Conversation},
        fails=("conflict", "too_large"),
        body=NewConversation,
    ),
    Route(
        method="GET",
        path="/api/conversations/{id}",
        handler=get_conversation,
        answers={200: Conversation},
        fails=("not_found",),
    ),
    Route(
        method="PATCH",
        path="/api/conversations/{id}",
        handler=update_conversation,
        answers={200: Conversation},
        fails=("not_found", "stale", "too_large"),
        body=ConversationChanges,
        headers=("If-Match",),
    ),
    Route(
        method="DELETE",
        path="/api/conversations/{id}",
        handler=delete_conversation,
        answers={204: None},
        fails=("not_found", "stale"),
        headers=("If-Match",),
    ),
    Route(
        method="POST",
        path="/api/conversations/{id}/restore",
        handler=restore_conversation,
        answers={200: Conversation},
        fails=("not_found",),
    ),
    Route(
        method="GET",
        path="/api/conversations/{id}/messages",
        handler=list_messages,
        answers={200: MessagePage},
        fails=("not_found",),
        query=MessagesQuery,
    ),
    Route(
        method="POST",
        path="/api/conversations/{id}/messages",
        handler=append_messages,
        answers={201: Appended, 200: Appended},
        fails=("not_found", "conflict", "stale", "too_large"),
        body=AppendBody,
    ),
]
