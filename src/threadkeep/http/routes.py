"""The routes of a user's conversations: what each takes, what it answers, and the handler that does it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct, field

from threadkeep.conversations import export_v1, retention, service
from threadkeep.conversations.models import (
    CHANGES_LIMIT_MAX,
    LIST_LIMIT_MAX,
    MESSAGES_LIMIT_MAX,
    QUERY_CHARACTERS_MAX,
    SEARCH_LIMIT_MAX,
    Appended,
    Changes,
    Conversation,
    ConversationChanges,
    ConversationPage,
    Count,
    Erasure,
    HitPage,
    MessagePage,
    NewConversation,
    NewMessage,
    NewMessages,
    Role,
)
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, ThreadkeepError
from threadkeep.http.messages import Request, Response, etag, json_response, version_in
from threadkeep.storage.base import Capability
from threadkeep.validation import decoding, parse
from threadkeep.work import Work, done

CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"
Cursor = Annotated[
    str,
    Meta(
        max_length=500,
        description="A `nextCursor` as it came, or the id to go on from.",
        extra_json_schema={"pattern": CURSOR_PATTERN},
    ),
]


JSON = ("application/json", "application/merge-patch+json")  # the latter for a PATCH, by RFC 7396
NDJSON = "application/x-ndjson"
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


class ChangesQuery(Struct, forbid_unknown_fields=True):
    """Which changes to list."""

    since: (
        Annotated[
            str,
            Meta(
                max_length=500,
                description="A `next` as it came, or 0 for the beginning.",
                extra_json_schema={"pattern": CURSOR_PATTERN},
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=CHANGES_LIMIT_MAX)] = 200


class SearchFields(Struct, forbid_unknown_fields=True):
    """What to search for."""

    q: Annotated[str, Meta(max_length=QUERY_CHARACTERS_MAX, description="Words, and phrases in double quotes.")]
    role: Role | None = None
    since: Annotated[Count, Meta(description="Created then or later, in Unix milliseconds.")] | None = field(
        default=None, name="from"
    )
    until: Annotated[Count, Meta(description="Created before, in Unix milliseconds.")] | None = field(
        default=None, name="to"
    )
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT_MAX)] = 20


class EraseQuery(Struct, forbid_unknown_fields=True):
    """What makes sure that nobody erases everything by mistake."""

    confirm: Annotated[str, Meta(description="Your own user id.")]


class NoQuery(Struct, forbid_unknown_fields=True):
    """Nothing."""


class Call(Struct):
    """A request to a route, once it is known who asks and that everything fits."""

    request: Request
    user_id: str
    store: DatabaseStore
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
    media_types: tuple[str, ...] = JSON
    """What its body may be. One that may be a stream is read by the handler itself."""
    is_public: bool = False
    """Whether it answers anybody, without a store."""
    needs: Capability | None = None
    """What a back end must be able to do for it, if not all are."""


async def search(call: Call) -> Response:
    """Search messages and titles: every word and phrase of `q` must be there, in any order; best first.

    Case and diacritics do not matter. The last word may be the beginning of one, unless it stands in quotes.
    A hit is a message, or, where `message` is null, a conversation by its title.
    `snippet` is the piece of text around the match, in parts that say whether they match.
    """
    fields: SearchFields = call.query
    if fields.since is not None and fields.until is not None and fields.since >= fields.until:
        raise Invalid("to: `to` must be later than `from`.", "to")
    query = SearchQuery(text=fields.q, role=fields.role, since=fields.since, until=fields.until)
    return json_response(200, await call.store.search(query, cursor=fields.cursor, limit=fields.limit))


async def list_changes(call: Call) -> Response:
    """List what has changed since a cursor, so that a client stays in step.

    Apply each page in order, and go on from `next`: at once while there is more, or at any later time. A tombstone,
    `id` and `deletedAt` alone, takes a conversation and its messages away. Without `since`, only the current cursor
    comes. After `cursor_expired`, begin again with `since=0`.
    """
    query: ChangesQuery = call.query
    return json_response(200, await call.store.changes(query.since, limit=query.limit))


async def export_conversation(call: Call) -> Response:
    """Export a conversation as a document of version 1, with times in ISO 8601."""
    pieces = await export_v1.export_conversation(call.store, call.id)
    return Response(200, _download("application/json", f"{call.id}.json"), pieces)


async def export_everything(call: Call) -> Response:
    """Export every conversation, archived ones too: a document a line, as newline-delimited JSON."""
    pieces = await export_v1.export_everything(call.store)
    return Response(200, _download("application/x-ndjson", "conversations.ndjson"), pieces)


async def import_conversations(call: Call) -> Response:
    """Import one document of version 1, or many as newline-delimited JSON. Ids are new, and times are kept.

    A document that is wrong is skipped, with the reason, and stops no other.
    With an `Idempotency-Key`, an import that was cut short can be sent again: nothing is imported twice under one key.
    """
    key = call.request.header("idempotency-key")
    if key is not None:
        export_v1.check_key(key)
    if media_type(call.request) == NDJSON:
        entries = export_v1.lines(call.request.stream())
    else:
        entries = _one(await call.request.body())
    return json_response(200, await export_v1.import_documents(call.store, entries, key))


async def _one(entry: bytes) -> AsyncIterator[bytes | ThreadkeepError]:
    yield entry


def _download(media: str, name: str) -> dict[str, str]:
    return {"content-type": media, "content-disposition": f'attachment; filename="{name}"'}


async def create_conversation(call: Call) -> Response:
    """Create a conversation, with its first messages or without.

    Bring an `id`, and the request can be sent again after a lost answer: it is answered 200, with the conversation
    as it is now, and nothing is created twice.
    """
    conversation, is_new = await service.create_conversation(call.store, call.body)
    headers = {"etag": etag(conversation.version)}
    if is_new:
        headers["location"] = f"{call.request.mounted_at}/api/conversations/{conversation.id}"
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


async def erase(call: Call) -> Response:
    """Erase everything that is kept of you: conversations, messages, the index, and what was deleted before.

    `confirm` must be your own user id. None of it can be read or restored from then on, and every cursor of the changes
    has expired. The receipt counts what went. 202 says that there was too much to remove at once: the rest goes by
    itself, or at once if this is sent again.
    """
    if call.query.confirm != call.user_id:
        raise Invalid("confirm: This is not your user id. Nothing was erased.", "confirm")
    erased, is_complete = await retention.erase(call.store)
    receipt = Erasure(erased.conversations, erased.messages, call.user_id, is_complete)
    return json_response(200 if is_complete else 202, receipt)


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


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


async def read_body(route: Route, text: bytes) -> Any:
    """The body of a request as what its route takes. Raises Invalid."""
    return await done(_read(route, text))


def _read(route: Route, text: bytes) -> Work[Any]:
    if route.body is not AppendBody:
        return (yield from decoding(text, route.body))
    # One message, or several: the key that only the latter has tells.
    fields = yield from decoding(text, dict[str, Raw])
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
        path="/api/conversations/changes",
        handler=list_changes,
        needs="changes",
        answers={200: Changes},
        fails=("cursor_expired",),
        query=ChangesQuery,
    ),
    Route(
        method="GET",
        path="/api/conversations/search",
        handler=search,
        needs="search",
        answers={200: HitPage},
        query=SearchFields,
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
        path="/api/conversations/{id}/export",
        handler=export_conversation,
        answers={200: export_v1.Document},
        fails=("not_found",),
    ),
    Route(method="GET", path="/api/export", handler=export_everything, answers={200: NDJSON}),
    Route(
        method="POST",
        path="/api/import",
        handler=import_conversations,
        needs="import",
        answers={200: export_v1.ImportReport},
        fails=("too_large",),
        body=export_v1.Document,
        headers=("Idempotency-Key",),
        media_types=("application/json", NDJSON),
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
    Route(
        method="DELETE",
        path="/api/me",
        handler=erase,
        answers={200: Erasure, 202: Erasure},
        query=EraseQuery,
    ),
]
