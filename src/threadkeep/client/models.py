"""What the client returns, and what it takes: messages and conversations as Python has them, with JSON as dicts.

Times are Unix milliseconds. Whatever a newer server says beyond these fields is left out.
"""

from typing import Any, NotRequired, TypedDict

from msgspec import Struct, field

from threadkeep.conversations.context.parts import Dialect, Repair
from threadkeep.conversations.export_v1 import ImportReport
from threadkeep.conversations.models import (
    Branches,
    BranchList,
    DraftChange,
    ForkedFrom,
    Receipt,
    Removed,
    Role,
    Sibling,
    SnippetPart,
    TitleSource,
    Tombstone,
)

__all__ = [
    "Appended",
    "BranchList",
    "Branches",
    "Changes",
    "Context",
    "ConversationData",
    "ConversationEdit",
    "Dialect",
    "Document",
    "DraftChange",
    "DraftData",
    "DraftList",
    "ForkedFrom",
    "Hit",
    "HitPage",
    "ImportReport",
    "Message",
    "MessagePage",
    "NewMessage",
    "Receipt",
    "Removed",
    "Repair",
    "Role",
    "Sibling",
    "SnippetPart",
    "Tombstone",
]

Content = str | list[dict[str, Any]]
Document = dict[str, Any]
"""A conversation with all of its messages, as `docs/export-and-import.md` describes it."""


class ConversationData(Struct, rename="camel", kw_only=True):
    """What is known of a conversation."""

    id: str
    user_id: str
    title: str
    title_source: TitleSource
    model: str | None
    created_at: int
    updated_at: int
    """When messages were last appended."""
    message_count: int
    """In all branches."""
    is_archived: bool
    metadata: dict[str, Any]
    version: int
    """Counts the edits of the conversation itself, from 1 on."""
    deleted_at: int | None
    leaf_id: str | None
    """The message with which the active path ends."""
    forked_from: ForkedFrom | None = None
    """What it was forked from."""


class Message(Struct, rename="camel", kw_only=True):
    """A message."""

    id: str
    conversation_id: str
    seq: int
    """Its place in the conversation: 1, 2, 3 and so on, in all branches."""
    role: Role
    content: list[dict[str, Any]]
    created_at: int
    token_count: int | None
    model: str | None
    parent_id: str | None
    """As it was sent; `follows` says what it came to."""
    follows: int
    """The `seq` of the message that it follows; 0 where it begins a branch."""
    metadata: dict[str, Any] | None
    version: int
    """Counts the edits of its metadata, from 1 on."""

    @property
    def text(self) -> str:
        """The text of its text blocks, one after the other."""
        return "".join(block["text"] for block in self.content if block.get("type") == "text")


class NewMessage(TypedDict):
    """A message to append. Without an `id`, the client makes one, so that sending it again is safe."""

    role: Role
    content: Content
    id: NotRequired[str]
    model: NotRequired[str]
    token_count: NotRequired[int]
    metadata: NotRequired[dict[str, Any]]
    parent_id: NotRequired[str]
    """The message that it follows, if that is not the end of the active path."""
    sibling_of: NotRequired[str]
    """The message whose place it takes on the active path: it is an edit of that question, or another answer."""
    is_root: NotRequired[bool]
    """Whether it follows nothing, and begins a branch."""
    select: NotRequired[bool]
    """False leaves the active path where it is."""


class ConversationEdit(TypedDict, total=False):
    """What to change of a conversation. None clears a field, and `metadata` merges, key by key."""

    title: str | None
    is_archived: bool
    model: str | None
    metadata: dict[str, Any] | None


class Appended(Struct, rename="camel"):
    """What an append stored: a receipt for each message, in the order sent, and the conversation as it is now."""

    messages: list[Receipt]
    conversation: ConversationData


class MessagePage(Struct, rename="camel"):
    """Messages in order of `seq`."""

    messages: list[Message]
    next_cursor: str | None
    branches: list[Branches] = []
    """For each message that has siblings, the `seq` of all of them, for switching between them."""


class Context(Struct, rename="camel", kw_only=True):
    """What a model is sent of a conversation."""

    messages: list[dict[str, Any]]
    """As the dialect has them: `messages` of Anthropic and of chat completions, `input` of Responses."""
    system: list[dict[str, Any]] | None = None
    """Only of Anthropic: the `system` of a request."""
    repairs: list[Repair]
    """Where it is not what is stored."""
    truncated: bool
    """Whether older messages were left out, so that the rest fits."""


class Hit(Struct, rename="camel"):
    """A message that was found, or, where `message` is None, a conversation by its title."""

    conversation: ConversationData
    message: Message | None
    snippet: list[SnippetPart]
    """The piece of the text around the match."""
    is_active: bool
    """Whether the message is on the active path of its conversation."""
    previous_seq: int | None
    """The `seq` of the message that it follows; None where there is none."""
    next_seq: int | None
    """The `seq` of the message that follows it; None where none does."""


class HitPage(Struct, rename="camel"):
    """What was found, best first."""

    hits: list[Hit]
    next_cursor: str | None


class DraftData(Struct, rename="camel", kw_only=True):
    """What is known of a message that is being written."""

    id: str
    conversation_id: str
    follows: int
    role: Role
    model: str | None
    metadata: dict[str, Any] | None
    state: str
    """`streaming`, `complete`, `interrupted` or `failed`."""
    fence: int
    next: int
    started_at: int
    deadline: int
    stop: bool
    settled_at: int | None


class DraftList(Struct):
    """The drafts of a conversation."""

    drafts: list[DraftData]


class Changes(Struct, rename="camel", kw_only=True):
    """What has changed since a cursor, oldest change first. Keep `next` together with what it brought."""

    conversations: list[ConversationData] = field(default_factory=list)
    deleted: list[Tombstone] = field(default_factory=list)
    """Conversations to remove, with their messages."""
    removed: list[Removed] = field(default_factory=list)
    """Messages to remove, as ranges of `seq`: branches that were deleted."""
    drafts: list[DraftChange] = field(default_factory=list)
    """Messages that somebody has begun to write, or has ended."""
    messages: list[Message]
    next: str
    """Where to go on from, now or at any later time."""
    has_more: bool
