"""Short ways to make what a store is handed, and to read what it keeps."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from threadkeep.conversations import service
from threadkeep.conversations.models import ConversationChanges, Message, MessageChanges, NewConversation, NewMessage
from threadkeep.conversations.records import ConversationEdit, ConversationRecord, MessageEdit, MessageRecord
from threadkeep.conversations.service import conversation_edit
from threadkeep.conversations.store import Store
from threadkeep.ids import NewId, new_id
from threadkeep.work import finished


def message_records(messages: list[NewMessage], new_id: NewId = new_id) -> list[MessageRecord]:
    """What the service makes of messages."""
    return finished(service.message_records(messages, new_id))


def conversation_record(new: NewConversation, new_id: NewId = new_id) -> ConversationRecord:
    """What the service makes of a conversation."""
    return finished(service.conversation_record(new, new_id))


def new_message(text: str = "Hello", **fields: Any) -> NewMessage:
    """A message of one text, with an id of its own unless it is given one."""
    fields = {"id": new_id(), "role": "user", "content": [{"type": "text", "text": text}], **fields}
    return msgspec.json.decode(msgspec.json.encode(fields), type=NewMessage)


def message(text: str = "Hello", **fields: Any) -> MessageRecord:
    """The record of `new_message`."""
    return message_records([new_message(text, **fields)])[0]


def messages(count: int, **fields: Any) -> list[MessageRecord]:
    """Several messages that say which they are."""
    return message_records([new_message(f"message {number}", **fields) for number in range(1, count + 1)])


def conversation(*sent: NewMessage, **fields: Any) -> ConversationRecord:
    """A conversation to create, with an id of its own unless it is given one."""
    fields = {"id": new_id(), **fields}
    if "metadata" in fields:
        fields["metadata"] = Raw(msgspec.json.encode(fields["metadata"]))
    return conversation_record(NewConversation(messages=list(sent), **fields))


def edit(**fields: Any) -> ConversationEdit:
    """An edit; `metadata=None` clears."""
    metadata = fields.pop("metadata", UNSET)
    if metadata is not UNSET:
        fields["metadata"] = Raw(msgspec.json.encode(metadata))
    return conversation_edit(ConversationChanges(**fields))


def message_edit(metadata: Any = UNSET, edited_at: int | None = None) -> MessageEdit:
    """An edit of a message; `metadata=None` clears."""
    sent = UNSET if metadata is UNSET else Raw(msgspec.json.encode(metadata))
    return service.message_edit(MessageChanges(metadata=sent, edited_at=edited_at))


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
