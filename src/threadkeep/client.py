"""A store that another Threadkeep keeps: the contract spoken over its HTTP API."""

from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Raw, Struct

from threadkeep.conversations.models import (
    Appended,
    Changes,
    Conversation,
    ConversationChanges,
    ConversationFields,
    ConversationPage,
    Deleted,
    Erased,
    Erasure,
    HitPage,
    Message,
    MessageFields,
    MessagePage,
    NewConversation,
    NewMessage,
    NewMessages,
    PutConversation,
    Tombstone,
    fields_of,
)
from threadkeep.conversations.records import (
    ConversationEdit,
    ConversationFilter,
    ConversationRecord,
    ImportRecord,
    MessageRecord,
    SearchQuery,
)
from threadkeep.errors import Invalid, ThreadkeepError, Unavailable, Unsupported

T = TypeVar("T")

_API = "/api/conversations"
_BOOKMARK = "X-D1-Bookmark"
_ARCHIVED = {None: "any", True: "true", False: "false"}


class RemoteStore:
    """A `Store` over the HTTP API. See `conversations/store.py` for what each method promises.

    `client` brings the base URL, the credentials of one user, and its timeouts:

        client = httpx.AsyncClient(base_url="https://…", headers={"Authorization": "Bearer …"})
        store = RemoteStore(client, "alice")

    The user's id is what has to confirm an erasure, and the deletion of many conversations.
    """

    def __init__(self, client: httpx.AsyncClient, user_id: str) -> None:
        self._client = client
        self._user_id = user_id
        self.bookmark: str | None = None

    async def create_conversation(self, record: ConversationRecord) -> tuple[Conversation, bool]:
        messages = [_new_message(message) for message in record.messages]
        new = NewConversation(**fields_of(ConversationFields, record), messages=messages)
        response = await self._send("POST", _API, new)
        return _read(response, Conversation), response.status_code == httpx.codes.CREATED

    async def put_conversation(
        self, record: ConversationRecord, *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        new = PutConversation(
            **fields_of(ConversationFields, record),
            messages=[_new_message(message) for message in record.messages],
            expected_message_count=expected_message_count,
        )
        response = await self._send("PUT", f"{_API}/{record.id}", new)
        return _read(response, Appended), response.status_code == httpx.codes.CREATED

    async def get_conversation(self, conversation_id: str) -> Conversation:
        return _read(await self._send("GET", f"{_API}/{conversation_id}"), Conversation)

    async def list_conversations(
        self,
        *,
        is_archived: bool | None = False,
        cursor: str | None = None,
        limit: int = 20,
        only: ConversationFilter | None = None,
    ) -> ConversationPage:
        query = {"archived": _ARCHIVED[is_archived], "cursor": cursor, "limit": limit}
        if only is not None:
            query |= {
                "model": only.model,
                "createdAfter": only.created_after,
                "createdBefore": only.created_before,
            }
        if only is not None and only.metadata is not None:
            query[f"metadata.{only.metadata[0]}"] = only.metadata[1]
        return _read(await self._send("GET", _API, query=query), ConversationPage)

    async def update_conversation(
        self, conversation_id: str, edit: ConversationEdit, *, expected_version: int | None = None
    ) -> Conversation:
        changes = ConversationChanges(
            title=edit.title,
            is_archived=edit.is_archived,
            model=edit.model,
            metadata=Raw(b"null") if edit.metadata is None else edit.metadata,
            edited_at=edit.edited_at,
        )
        response = await self._send("PATCH", f"{_API}/{conversation_id}", changes, headers=_if_match(expected_version))
        return _read(response, Conversation)

    async def delete_conversation(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        await self._send("DELETE", f"{_API}/{conversation_id}", headers=_if_match(expected_version))

    async def delete_conversations(self, before: int, *, is_archived: bool | None = False) -> Deleted:
        query = {"before": before, "archived": _ARCHIVED[is_archived], "confirm": self._user_id}
        return _read(await self._send("DELETE", _API, query=query), Deleted)

    async def restore_conversation(self, conversation_id: str) -> Conversation:
        return _read(await self._send("POST", f"{_API}/{conversation_id}/restore"), Conversation)

    async def append_messages(
        self, conversation_id: str, messages: list[MessageRecord], *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        new = NewMessages(
            messages=[_new_message(message) for message in messages], expected_message_count=expected_message_count
        )
        response = await self._send("POST", f"{_API}/{conversation_id}/messages", new)
        return _read(response, Appended), response.status_code == httpx.codes.CREATED

    async def list_messages(
        self, conversation_id: str, *, cursor: str | None = None, after: int | None = None, limit: int = 50
    ) -> MessagePage:
        query = {"cursor": cursor, "after": after, "limit": limit}
        return _read(await self._send("GET", f"{_API}/{conversation_id}/messages", query=query), MessagePage)

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        response = await self._send("GET", f"{_API}/changes", query={"since": since, "limit": limit})
        changes = _read(response, _Changes)
        conversations = [
            msgspec.json.decode(row, type=Conversation if "title" in _fields(row) else Tombstone)
            for row in changes.conversations
        ]
        return Changes(conversations, changes.messages, changes.next, changes.has_more)

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        fields = {"q": query.text, "role": query.role, "from": query.since, "to": query.until}
        response = await self._send("GET", f"{_API}/search", query={**fields, "cursor": cursor, "limit": limit})
        return _read(response, HitPage)

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        raise Unsupported("An import over HTTP gives ids of its own. Send the documents to POST /api/import.")

    async def erase(self) -> Erased:
        first = receipt = await self._erase()
        while not receipt.is_complete:
            receipt = await self._erase()
        return Erased(first.conversations, first.messages, first.journals, first.tasks)

    async def _erase(self) -> Erasure:
        return _read(await self._send("DELETE", "/api/me", query={"confirm": self._user_id}), Erasure)

    async def _send(
        self,
        method: str,
        path: str,
        body: Struct | None = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.bookmark is not None:
            headers[_BOOKMARK] = self.bookmark
        try:
            response = await self._client.request(
                method,
                path,
                content=None if body is None else msgspec.json.encode(body),
                params={name: value for name, value in (query or {}).items() if value is not None},
                headers=headers,
            )
        except httpx.TransportError as error:
            raise Unavailable(f"Threadkeep at {self._client.base_url} could not be reached. Try again.") from error
        self.bookmark = response.headers.get(_BOOKMARK, self.bookmark)
        if not response.is_success:
            raise _error(response)
        return response


def _if_match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}


def _new_message(record: MessageRecord) -> NewMessage:
    return NewMessage(**fields_of(MessageFields, record.message) | {"id": record.id})


def _read(response: httpx.Response, into: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=into)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"Something that is not Threadkeep answered {response.status_code}. Try again.") from error


class _Changes(Struct, rename="camel"):
    conversations: list[Raw]
    messages: list[Message]
    next: str
    has_more: bool


def _fields(row: Raw) -> dict[str, Raw]:
    return msgspec.json.decode(row, type=dict[str, Raw])


class _Body(Struct):
    code: str
    message: str
    details: dict[str, Raw] = {}


class _ErrorBody(Struct):
    error: _Body


def _error(response: httpx.Response) -> Exception:
    """The error that the other side raised. One that is no `ThreadkeepError` is a defect, there or in between."""
    body = _read(response, _ErrorBody).error
    kind = next((kind for kind in ThreadkeepError.__subclasses__() if kind.code == body.code), None)
    if kind is None:
        return RuntimeError(f"Threadkeep answered {response.status_code} {body.code}: {body.message}")
    details: dict[str, Any] = {
        name: msgspec.json.decode(value, type=Conversation if name == "conversation" else Any)
        for name, value in body.details.items()
    }
    return Invalid(body.message, details.get("path", "")) if kind is Invalid else kind(body.message, details or None)
