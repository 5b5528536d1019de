"""Conversations that another Threadkeep keeps: the contract spoken over its HTTP API."""

import httpx
import msgspec
from msgspec import Raw, Struct, UnsetType

from threadkeep.client.drafts import RemoteDrafts
from threadkeep.client.transport import CREATED, Transport, if_match, read
from threadkeep.conversations.models import (
    Appended,
    BranchList,
    Changes,
    Conversation,
    ConversationChanges,
    ConversationFields,
    ConversationPage,
    Deleted,
    DeletedBranch,
    DraftChange,
    Erased,
    Erasure,
    HitPage,
    LeafChoice,
    Message,
    MessageChanges,
    MessageFields,
    MessagePage,
    NewConversation,
    NewFork,
    NewMessage,
    NewMessages,
    PutConversation,
    Removed,
    Tombstone,
    fields_of,
)
from threadkeep.conversations.records import (
    ConversationEdit,
    ConversationFilter,
    ConversationRecord,
    ForkRecord,
    ImportRecord,
    MessageEdit,
    MessageRecord,
    SearchQuery,
)
from threadkeep.errors import ThreadkeepError, Unsupported

_API = "/api/conversations"
_ARCHIVED = {None: "any", True: "true", False: "false"}


class RemoteStore(RemoteDrafts):
    """A `Store` over the HTTP API. See `conversations/store.py` for what each method promises.

    `client` brings the base URL, the credentials of one user, and its timeouts:

        client = httpx.AsyncClient(base_url="https://…", headers={"Authorization": "Bearer …"})
        store = RemoteStore(client, "alice")

    The user's id is what has to confirm an erasure, and the deletion of many conversations.
    """

    def __init__(self, client: httpx.AsyncClient | Transport, user_id: str) -> None:
        super().__init__(client if isinstance(client, Transport) else Transport(client))
        self._user_id = user_id

    async def create_conversation(self, record: ConversationRecord) -> tuple[Conversation, bool]:
        messages = [_new_message(message) for message in record.messages]
        new = NewConversation(**fields_of(ConversationFields, record), messages=messages)
        response = await self._transport.send("POST", _API, new, is_repeatable=True)
        return read(response, Conversation), response.status_code == CREATED

    async def put_conversation(
        self, record: ConversationRecord, *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        new = PutConversation(
            **fields_of(ConversationFields, record),
            messages=[_new_message(message) for message in record.messages],
            expected_message_count=expected_message_count,
        )
        response = await self._transport.send("PUT", f"{_API}/{record.id}", new, is_repeatable=True)
        return read(response, Appended), response.status_code == CREATED

    async def get_conversation(self, conversation_id: str) -> Conversation:
        return read(await self._transport.send("GET", f"{_API}/{conversation_id}"), Conversation)

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
        return read(await self._transport.send("GET", _API, query=query), ConversationPage)

    async def update_conversation(
        self, conversation_id: str, edit: ConversationEdit, *, expected_version: int | None = None
    ) -> Conversation:
        changes = ConversationChanges(
            title=edit.title,
            is_archived=edit.is_archived,
            model=edit.model,
            metadata=_or_null(edit.metadata),
            edited_at=edit.edited_at,
        )
        response = await self._transport.send(
            "PATCH",
            f"{_API}/{conversation_id}",
            changes,
            headers=if_match(expected_version),
            is_repeatable=_is_repeatable(edit, expected_version),
        )
        return read(response, Conversation)

    async def delete_conversation(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        await self._transport.send(
            "DELETE",
            f"{_API}/{conversation_id}",
            headers=if_match(expected_version),
            is_repeatable=expected_version is None,
        )

    async def delete_conversations(self, before: int, *, is_archived: bool | None = False) -> Deleted:
        query = {"before": before, "archived": _ARCHIVED[is_archived], "confirm": self._user_id}
        return read(await self._transport.send("DELETE", _API, query=query), Deleted)

    async def restore_conversation(self, conversation_id: str) -> Conversation:
        response = await self._transport.send("POST", f"{_API}/{conversation_id}/restore", is_repeatable=True)
        return read(response, Conversation)

    async def append_messages(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
    ) -> tuple[Appended, bool]:
        new = NewMessages(
            messages=[_new_message(message) for message in messages],
            expected_message_count=expected_message_count,
            expected_leaf_id=expected_leaf_id,
        )
        query = {"interrupts": "true"} if interrupts else None
        path = f"{_API}/{conversation_id}/messages"
        response = await self._transport.send("POST", path, new, query=query, is_repeatable=True)
        return read(response, Appended), response.status_code == CREATED

    async def list_messages(
        self,
        conversation_id: str,
        *,
        branch: str | None = None,
        cursor: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> MessagePage:
        query = {"branch": branch, "cursor": cursor, "after": after, "limit": limit}
        return read(await self._transport.send("GET", f"{_API}/{conversation_id}/messages", query=query), MessagePage)

    async def list_branches(self, conversation_id: str, message_id: str) -> BranchList:
        path = f"{_API}/{conversation_id}/messages/{message_id}/branches"
        return read(await self._transport.send("GET", path), BranchList)

    async def select_leaf(
        self, conversation_id: str, message_id: str, *, descend: bool = True, expected_leaf_id: str | None = None
    ) -> Conversation:
        choice = LeafChoice(message_id=message_id, descend=descend, expected_leaf_id=expected_leaf_id)
        response = await self._transport.send(
            "PUT", f"{_API}/{conversation_id}/leaf", choice, is_repeatable=expected_leaf_id is None
        )
        return read(response, Conversation)

    async def delete_branch(self, conversation_id: str, message_id: str) -> DeletedBranch:
        path = f"{_API}/{conversation_id}/messages/{message_id}"
        return read(await self._transport.send("DELETE", path), DeletedBranch)

    async def restore_branch(self, conversation_id: str, message_id: str) -> Conversation:
        path = f"{_API}/{conversation_id}/messages/{message_id}/restore"
        return read(await self._transport.send("POST", path, is_repeatable=True), Conversation)

    async def fork_conversation(self, conversation_id: str, fork: ForkRecord) -> tuple[Conversation, bool]:
        new = NewFork(id=fork.id, message_id=fork.message_id, title=fork.title)
        response = await self._transport.send("POST", f"{_API}/{conversation_id}/fork", new, is_repeatable=True)
        return read(response, Conversation), response.status_code == CREATED

    async def get_message(self, conversation_id: str, message_id: str) -> Message:
        return read(await self._transport.send("GET", _message_path(conversation_id, message_id)), Message)

    async def update_message(
        self, conversation_id: str, message_id: str, edit: MessageEdit, *, expected_version: int | None = None
    ) -> Message:
        response = await self._transport.send(
            "PATCH",
            _message_path(conversation_id, message_id),
            MessageChanges(metadata=_or_null(edit.metadata), edited_at=edit.edited_at),
            headers=if_match(expected_version),
            is_repeatable=_is_repeatable(edit, expected_version),
        )
        return read(response, Message)

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        response = await self._transport.send("GET", f"{_API}/changes", query={"since": since, "limit": limit})
        changes = read(response, _Changes)
        conversations = [
            msgspec.json.decode(row, type=Conversation if "title" in _fields(row) else Tombstone)
            for row in changes.conversations
        ]
        return Changes(conversations, changes.messages, changes.next, changes.has_more, changes.removed, changes.drafts)

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        fields = {"q": query.text, "role": query.role, "from": query.since, "to": query.until}
        fields |= {"conversation": query.conversation_id, "branch": "active" if query.only_active else None}
        response = await self._transport.send(
            "GET", f"{_API}/search", query={**fields, "cursor": cursor, "limit": limit}
        )
        return read(response, HitPage)

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        raise Unsupported("An import over HTTP gives ids of its own. Send the documents to POST /api/import.")

    async def erase(self) -> Erased:
        first = receipt = await self._erase()
        while not receipt.is_complete:
            receipt = await self._erase()
        return Erased(**{name: getattr(first, name) for name in Erased.__struct_fields__})

    async def _erase(self) -> Erasure:
        return read(await self._transport.send("DELETE", "/api/me", query={"confirm": self._user_id}), Erasure)


def _message_path(conversation_id: str, message_id: str) -> str:
    return f"{_API}/{conversation_id}/messages/{message_id}"


def _or_null(metadata: Raw | UnsetType | None) -> Raw | UnsetType:
    return Raw(b"null") if metadata is None else metadata


def _is_repeatable(edit: ConversationEdit | MessageEdit, expected_version: int | None) -> bool:
    """Whether an edit may be sent twice: else it is another edit the second time."""
    return edit.edited_at is not None and expected_version is None


def _new_message(record: MessageRecord) -> NewMessage:
    others = {"id": record.id, "sibling_of": record.sibling_of, "is_root": record.is_root, "select": record.select}
    return NewMessage(**fields_of(MessageFields, record.message) | others)


class _Changes(Struct, rename="camel"):
    conversations: list[Raw]
    messages: list[Message]
    next: str
    has_more: bool
    removed: list[Removed] = []
    drafts: list[DraftChange] = []


def _fields(row: Raw) -> dict[str, Raw]:
    return msgspec.json.decode(row, type=dict[str, Raw])
