"""The rules that hold on every back end: what is checked and completed before a store is asked to keep it."""

from msgspec import UNSET, Raw, UnsetType, json

from threadkeep.clock import NewId, new_id
from threadkeep.content import canonical, digest, read_content, read_metadata, title_from
from threadkeep.drafts import ConversationDraft, ConversationEdit, MessageDraft
from threadkeep.errors import Invalid, TooLarge
from threadkeep.models import (
    APPEND_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    Appended,
    Conversation,
    ConversationChanges,
    NewConversation,
    NewMessage,
    NewMessages,
)
from threadkeep.search import text_of
from threadkeep.store import Store
from threadkeep.validation import join


async def create_conversation(store: Store, new: NewConversation) -> tuple[Conversation, bool]:
    """Create a conversation. Answers and raises as `Store.create_conversation`; also Invalid and TooLarge."""
    return await store.create_conversation(draft_conversation(new))


async def append_messages(store: Store, conversation_id: str, new: NewMessages | NewMessage) -> tuple[Appended, bool]:
    """Append messages, or one. Answers and raises as `Store.append_messages`; also Invalid and TooLarge."""
    if isinstance(new, NewMessage):
        return await store.append_messages(conversation_id, [draft_message(new, "", new_id)])
    drafts = draft_messages(new.messages)
    return await store.append_messages(conversation_id, drafts, expected_message_count=new.expected_message_count)


async def update_conversation(
    store: Store, conversation_id: str, changes: ConversationChanges, expected_version: int | None
) -> Conversation:
    """Edit a conversation. Answers and raises as `Store.update_conversation`; also Invalid and TooLarge."""
    return await store.update_conversation(conversation_id, draft_edit(changes), expected_version=expected_version)


def draft_conversation(new: NewConversation, new_id: NewId = new_id) -> ConversationDraft:
    """Check a conversation to create. Raises Invalid or TooLarge with the path of what is wrong."""
    metadata = read_metadata(new.metadata, "metadata")
    messages = draft_messages(new.messages, new_id)
    return ConversationDraft(
        id=new.id or new_id(),
        title=new.title,
        model=new.model,
        metadata=Raw(json.encode(metadata)) if metadata else Raw(b"{}"),
        messages=messages,
        # Ids that we made are not part of the request: they differ when it is sent again.
        digest=digest(
            new.title,
            new.model,
            canonical(new.metadata) or {},
            [(sent.id, draft.digest) for sent, draft in zip(new.messages, messages, strict=True)],
        ),
    )


def draft_messages(messages: list[NewMessage], new_id: NewId = new_id) -> list[MessageDraft]:
    """Check messages that are sent together. Raises Invalid or TooLarge with the path of what is wrong."""
    if len(messages) > APPEND_MESSAGES_MAX:
        raise TooLarge(
            f"messages: At most {APPEND_MESSAGES_MAX} can be sent together; send them in several requests.",
            {"path": "messages"},
        )
    drafts = [draft_message(message, f"messages[{index}]", new_id) for index, message in enumerate(messages)]
    first_places: dict[str, int] = {}
    for index, draft in enumerate(drafts):
        first = first_places.setdefault(draft.id, index)
        if first != index:
            path = f"messages[{index}].id"
            raise Invalid(f"{path}: {draft.id} is also the id of messages[{first}]; give each its own.", path)
    return drafts


def draft_edit(changes: ConversationChanges) -> ConversationEdit:
    """Check an edit. Raises Invalid or TooLarge with the path of what is wrong."""
    metadata = read_metadata(changes.metadata, "metadata")
    return ConversationEdit(
        title=changes.title,
        is_archived=changes.is_archived,
        model=changes.model,
        metadata=UNSET if changes.metadata is UNSET else None if metadata is None else Raw(json.encode(metadata)),
        edited_at=changes.edited_at,
    )


def draft_message(new: NewMessage, path: str, new_id: NewId = new_id) -> MessageDraft:
    """Check a message. Raises Invalid or TooLarge; `path` is where it stands in the request."""
    # Before anything is read: what is too large would take too much to read.
    size = _checked_size(new, path)
    blocks = read_content(new.content, join(path, "content"))
    metadata = read_metadata(new.metadata, join(path, "metadata"))
    return MessageDraft(
        id=new.id or new_id(),
        role=new.role,
        content=new.content,
        token_count=new.token_count,
        model=new.model,
        parent_id=new.parent_id,
        # What was left out, or null, is kept as none.
        metadata=None if metadata is None or isinstance(new.metadata, UnsetType) else new.metadata,
        digest=digest(new.role, blocks, new.model, new.parent_id, new.token_count, canonical(new.metadata)),
        size=size,
        title=title_from(blocks) if new.role == "user" else None,
        text=text_of(blocks),
    )


def _checked_size(new: NewMessage, path: str) -> int:
    """Bytes of content and metadata as JSON. Raises TooLarge."""
    size = len(memoryview(new.content))
    if not isinstance(new.metadata, UnsetType):
        size += len(memoryview(new.metadata))
    if size > MESSAGE_BYTES_MAX:
        raise TooLarge(
            f"{path or 'body'}: A message may have {MESSAGE_BYTES_MAX} bytes as JSON; this one has {size}. "
            "Keep what is large elsewhere, and a link to it here.",
            {"path": path} if path else None,
        )
    return size
