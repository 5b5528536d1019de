"""The rules that hold on every back end: what is checked and completed before a store is asked to keep it."""

from typing import Any

from msgspec import UNSET, Raw, UnsetType, json
from msgspec.structs import asdict, replace

from threadkeep.conversations.branches import check_links, check_links_of_new
from threadkeep.conversations.content import (
    as_blocks,
    canonical,
    digest,
    later_fields,
    message_too_large,
    read_content,
    read_metadata,
)
from threadkeep.conversations.models import (
    APPEND_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    Appended,
    Conversation,
    ConversationChanges,
    Message,
    MessageChanges,
    MessageFields,
    NewConversation,
    NewMessage,
    NewMessages,
    PutConversation,
    fields_of,
)
from threadkeep.conversations.records import ConversationEdit, ConversationRecord, MessageEdit, MessageRecord
from threadkeep.conversations.resent import append_all
from threadkeep.conversations.search import INDEXED_MAX, indexed_size, text_of
from threadkeep.conversations.store import Store
from threadkeep.conversations.titles import title_from
from threadkeep.errors import Invalid, TooLarge
from threadkeep.ids import NewId, new_id
from threadkeep.tokenizer import words_of
from threadkeep.validation import join
from threadkeep.work import Work, done

_MESSAGE_SIZE = 1_000  # as much work as so many bytes, however small it is

# Every field counts in a digest. Those named here have a place of their own in it, but for the id: what is known under
# an id is what the digest is compared with.
# `select` does not count: it says what to do with the conversation.
_LATER_OF_MESSAGE = later_fields(
    NewMessage, "id", "role", "content", "model", "parent_id", "token_count", "metadata", "select"
)
_LATER_OF_CONVERSATION = later_fields(NewConversation, "id", "title", "model", "metadata", "messages")


async def create_conversation(store: Store, new: NewConversation) -> tuple[Conversation, bool]:
    """Create a conversation. Returns and raises as `Store.create_conversation`; also Invalid and TooLarge."""
    record = await done(conversation_record(new))
    check_links_of_new(record.messages)
    return await store.create_conversation(record)


async def put_conversation(store: Store, conversation_id: str, new: PutConversation) -> tuple[Appended, bool]:
    """Create a conversation, or append to it. Returns and raises as `Store.put_conversation`; also as the others do."""
    if new.id not in (None, conversation_id):
        raise Invalid("id: This is not the id in the path. Leave it out, or send the same.", "id")
    created = NewConversation(**fields_of(NewConversation, new) | {"id": conversation_id})
    record = await done(conversation_record(created))

    async def put(messages: list[MessageRecord]) -> tuple[Appended, bool]:
        return await store.put_conversation(
            replace(record, messages=messages), expected_message_count=new.expected_message_count
        )

    return await append_all(store, conversation_id, record.messages, put)


async def append_messages(
    store: Store, conversation_id: str, new: NewMessages | NewMessage, *, interrupts: bool = False
) -> tuple[Appended, bool]:
    """Append messages, or one. Returns and raises as `Store.append_messages`; also Invalid and TooLarge."""
    if isinstance(new, NewMessage):
        records = [await done(message_record(new, "", new_id))]
        check_links(records)
        expected: dict[str, Any] = {}
    else:
        records = await done(message_records(new.messages))
        expected = {
            "expected_message_count": new.expected_message_count,
            "expected_leaf_id": new.expected_leaf_id,
        }

    async def append(messages: list[MessageRecord]) -> tuple[Appended, bool]:
        return await store.append_messages(conversation_id, messages, **expected, interrupts=interrupts)

    return await append_all(store, conversation_id, records, append)


async def update_conversation(
    store: Store, conversation_id: str, changes: ConversationChanges, expected_version: int | None
) -> Conversation:
    """Edit a conversation. Returns and raises as `Store.update_conversation`; also Invalid and TooLarge."""
    return await store.update_conversation(
        conversation_id, conversation_edit(changes), expected_version=expected_version
    )


async def update_message(
    store: Store, conversation_id: str, message_id: str, changes: MessageChanges, expected_version: int | None
) -> Message:
    """Edit a message. Returns and raises as `Store.update_message`; also Invalid and TooLarge."""
    return await store.update_message(
        conversation_id, message_id, message_edit(changes), expected_version=expected_version
    )


def conversation_record(new: NewConversation, new_id: NewId = new_id) -> Work[ConversationRecord]:
    """Check a conversation to create. Raises Invalid or TooLarge with the path of what is wrong."""
    metadata = read_metadata(new.metadata, "metadata")
    messages = yield from message_records(new.messages, new_id)
    checked = {
        "id": new.id or new_id(),
        "metadata": Raw(json.encode(metadata)) if metadata else Raw(b"{}"),
        "messages": messages,
        # Ids that we made are not part of the request: they differ when it is sent again.
        "digest": digest(
            new.title,
            new.model,
            canonical(new.metadata) or {},
            [(sent.id, record.digest) for sent, record in zip(new.messages, messages, strict=True)],
            sent=new,
            later=_LATER_OF_CONVERSATION,
        ),
    }
    return ConversationRecord(**asdict(new) | checked)


def message_records(messages: list[NewMessage], new_id: NewId = new_id) -> Work[list[MessageRecord]]:
    """Check messages that are sent together. Raises Invalid or TooLarge with the path of what is wrong."""
    if len(messages) > APPEND_MESSAGES_MAX:
        raise TooLarge(
            f"messages: At most {APPEND_MESSAGES_MAX} can be sent together; send them in several requests.",
            {"path": "messages"},
        )
    records: list[MessageRecord] = []
    budget = IndexBudget("messages")
    for index, message in enumerate(messages):
        record = yield from message_record(message, f"messages[{index}]", new_id)
        budget.spend(record)
        records.append(record)
    first_places: dict[str, int] = {}
    for index, record in enumerate(records):
        first = first_places.setdefault(record.id, index)
        if first != index:
            path = f"messages[{index}].id"
            raise Invalid(f"{path}: {record.id} is also the id of messages[{first}]; give each its own.", path)
    check_links(records)
    return records


def conversation_edit(changes: ConversationChanges) -> ConversationEdit:
    """Check an edit. Raises Invalid or TooLarge with the path of what is wrong."""
    return ConversationEdit(
        title=changes.title,
        is_archived=changes.is_archived,
        model=changes.model,
        metadata=_metadata_edit(changes.metadata),
        edited_at=changes.edited_at,
    )


def message_edit(changes: MessageChanges) -> MessageEdit:
    """Check an edit of a message. Raises Invalid or TooLarge with the path of what is wrong."""
    return MessageEdit(metadata=_metadata_edit(changes.metadata), edited_at=changes.edited_at)


def _metadata_edit(sent: Raw | UnsetType) -> Raw | UnsetType | None:
    """What an edit says of metadata, checked."""
    if isinstance(sent, UnsetType):
        return UNSET
    metadata = read_metadata(sent, "metadata")
    return None if metadata is None else Raw(json.encode(metadata))


class IndexBudget:
    """What may be indexed of messages that are kept together."""

    def __init__(self, path: str) -> None:
        """`path` is where the messages stand in the request."""
        self._path = path
        self._left = INDEXED_MAX

    def spend(self, record: MessageRecord) -> None:
        """Count another message. Raises TooLarge where it is one too many: no more records are to be made."""
        self._left -= indexed_size(record.words)
        if self._left < 0:
            raise TooLarge(
                f"{self._path}: There are too many words here to index at once. Send them separately.",
                {"path": self._path},
            )


def message_record(
    new: MessageFields, path: str, new_id: NewId = new_id, created_at: int | None = None
) -> Work[MessageRecord]:
    """Check a message. Raises Invalid or TooLarge; `path` is where it stands in the request."""
    # Before content and metadata are read, which is why the message has them as text: what is too large would take too
    # much to read.
    new.content = as_blocks(new.content)
    size = _checked_size(new, path)
    yield max(_MESSAGE_SIZE, size)
    blocks = read_content(new.content, join(path, "content"), may_be_empty=new.role == "assistant")
    if not isinstance(new.metadata, UnsetType):
        metadata = read_metadata(new.metadata, join(path, "metadata"))
        if metadata is None:
            new.metadata = UNSET  # to send null is to leave it out
        else:
            sent = len(memoryview(new.metadata))
            new.metadata = Raw(json.encode(metadata))
            size += len(memoryview(new.metadata)) - sent
    later: dict[str, Any] = {}
    if isinstance(new, NewMessage):
        later = {"sibling_of": new.sibling_of, "is_root": new.is_root, "select": new.select}
    return MessageRecord(
        message=new,
        path=path,
        id=new.id or new_id(),
        digest=digest(
            new.role,
            blocks,
            new.model,
            new.parent_id,
            new.token_count,
            canonical(new.metadata),
            sent=new,
            later=_LATER_OF_MESSAGE if isinstance(new, NewMessage) else (),
        ),
        size=size,
        created_at=created_at,
        title=title_from(blocks) if new.role == "user" else None,
        words=words_of(text_of(blocks)),
        **later,
    )


def _checked_size(new: MessageFields, path: str) -> int:
    """Bytes of content and metadata as JSON. Raises TooLarge."""
    size = content = len(memoryview(new.content))
    if not isinstance(new.metadata, UnsetType):
        size += len(memoryview(new.metadata))
    if size > MESSAGE_BYTES_MAX:
        place = join(path, "content" if 2 * content >= size else "metadata")
        raise message_too_large(place, size)
    return size
