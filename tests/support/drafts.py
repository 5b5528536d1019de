"""Short ways to make what a store is handed, and to read what it keeps."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from threadkeep import service
from threadkeep.clock import NewId, new_id
from threadkeep.drafts import ConversationDraft, ConversationEdit, MessageDraft
from threadkeep.models import ConversationChanges, Message, NewConversation, NewMessage
from threadkeep.service import draft_edit
from threadkeep.store import Store
from threadkeep.work import finished


def draft_messages(messages: list[NewMessage], new_id: NewId = new_id) -> list[MessageDraft]:
    """What the service makes of messages."""
    return finished(service.draft_messages(messages, new_id))


def draft_conversation(new: NewConversation, new_id: NewId = new_id) -> ConversationDraft:
    """What the service makes of a conversation."""
    return finished(service.draft_conversation(new, new_id))


def new_message(text: str = "Hello", **fields: Any) -> NewMessage:
    """A message of one text, with an id of its own unless it is given one."""
    fields = {"id": new_id(), "role": "user", "content": [{"type": "text", "text": text}], **fields}
    return msgspec.json.decode(msgspec.json.encode(fields), type=NewMessage)


def message(text: str = "Hello", **fields: Any) -> MessageDraft:
    """The draft of `new_message`."""
    return draft_messages([new_message(text, **fields)])[0]


def messages(count: int, **fields: Any) -> list[MessageDraft]:
    """Several messages that say which they are."""
    return draft_messages([new_message(f"message {number}", **fields) for number in range(1, count + 1)])


def conversation(*sent: NewMessage, **fields: Any) -> ConversationDraft:
    """A conversation to create, with an id of its own unless it is given one."""
    fields = {"id": new_id(), **fields}
    if "metadata" in fields:
        fields["metadata"] = Raw(msgspec.json.encode(fields["metadata"]))
    return draft_conversation(NewConversation(messages=list(sent), **fields))


def edit(**fields: Any) -> ConversationEdit:
    """An edit; `metadata=None` clears."""
    metadata = fields.pop("metadata", UNSET)
    if metadata is not UNSET:
        fields["metadata"] = Raw(msgspec.json.encode(metadata))
    return draft_edit(ConversationChanges(**fields))


def plain(value: Any) -> Any:
    """A kept value as plain JSON values, to compare."""
    return msgspec.json.decode(msgspec.json.encode(value))


async def all_messages(store: Store, conversation_id: str) -> list[Message]:
    """Every message of a conversation, in order."""
    page = await store.list_messages(conversation_id, after=0, limit=200)
    found = page.messages
    while page.next_cursor is not None:
        page = await store.list_messages(conversation_id, cursor=page.next_cursor, limit=200)
        found += page.messages
    return found
