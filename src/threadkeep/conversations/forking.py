"""Forking: a new conversation of the path to a message of another. See decision 0054."""

from collections.abc import Iterable

from msgspec import UNSET

from threadkeep.conversations.content import canonical, digest
from threadkeep.conversations.models import (
    Conversation,
    ForkedFrom,
    Message,
    MessageFields,
    NewFork,
    TitleSource,
    fields_of,
)
from threadkeep.conversations.records import ForkRecord, MessageRecord
from threadkeep.conversations.search import text_of_content
from threadkeep.conversations.service import IndexBudget
from threadkeep.conversations.store import Store
from threadkeep.errors import Invalid, TooLarge
from threadkeep.ids import NewId, new_id
from threadkeep.tokenizer import words_of
from threadkeep.work import Work

FORKED_MESSAGES_MAX = 20_000
"""How many messages are copied at once, which is as many as a document may have."""

_MESSAGE_SIZE = 1_000  # as much work as so many bytes, however small it is


async def fork_conversation(store: Store, conversation_id: str, new: NewFork) -> tuple[Conversation, bool]:
    """Fork a conversation. Returns and raises as `Store.fork_conversation`."""
    record = ForkRecord(
        id=new.id or new_id(),
        message_id=new.message_id,
        title=new.title,
        digest=digest("fork", conversation_id, new.message_id, new.title),
    )
    return await store.fork_conversation(conversation_id, record)


def copies_of(path: Iterable[Message], new_id: NewId = new_id) -> Work[list[MessageRecord]]:
    """The messages of a path as those of another conversation, in which each follows the one before it.

    Each has an id of its own, and the digest that it has when it is sent as it is now. Raises TooLarge where there are
    more than can be copied at once.
    """
    records: list[MessageRecord] = []
    budget = IndexBudget("messageId")
    for message in path:
        if len(records) == FORKED_MESSAGES_MAX:
            raise too_long()
        metadata = UNSET if bytes(message.metadata) == b"null" else message.metadata
        size = len(memoryview(message.content)) + (0 if metadata is UNSET else len(memoryview(message.metadata)))
        yield max(_MESSAGE_SIZE, size)
        said = MessageFields(**fields_of(MessageFields, message) | {"id": new_id(), "parent_id": None})
        said.metadata = metadata
        record = MessageRecord(
            message=said,
            id=str(said.id),
            digest=digest(
                said.role, canonical(said.content), said.model, None, said.token_count, canonical(said.metadata)
            ),
            size=size,
            created_at=message.created_at,
            words=words_of(text_of_content(message.content)),
        )
        budget.spend(record)
        records.append(record)
    return records


def forked_from(last: Message, time: int) -> ForkedFrom:
    """Where the copies come from of which this is the last."""
    return ForkedFrom(conversation_id=last.conversation_id, message_id=last.id, seq=last.seq, at=time)


def title_of(fork: ForkRecord, original: Conversation) -> tuple[str, TitleSource]:
    """The title of a fork, and who gave it."""
    return (fork.title, "user") if fork.title else (original.title, original.title_source)


def nothing_to_fork() -> Invalid:
    """The active path that is to be copied has no message."""
    return Invalid("messageId: There is no message on the active path. Name the last message to copy.", "messageId")


def too_long() -> TooLarge:
    """The path has more than is copied at once."""
    return TooLarge(
        f"messageId: A fork has at most {FORKED_MESSAGES_MAX} messages, and there are more up to this one. "
        "Fork at an earlier one, or export the conversation and import it.",
        {"path": "messageId"},
    )
