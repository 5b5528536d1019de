"""What is kept: conversations, messages, content blocks, and the limits on them.

JSON names are camelCase, Python names snake_case.
Times are Unix milliseconds by the server's clock; `ids.py` says what an id is.
A `Raw` field is JSON text that passed validation on its way in and is carried as it is from then on.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from threadkeep.ids import ID_CHARACTERS_MAX, ID_IN_WORDS, ID_PATTERN, RESERVED

TITLE_CHARACTERS_MAX = 300
MODEL_CHARACTERS_MAX = 200
METADATA_BYTES_MAX = 16 * 1024
MESSAGE_BYTES_MAX = 1_500_000
APPEND_MESSAGES_MAX = 1_000
QUERY_CHARACTERS_MAX = 500
SEARCH_LIMIT_MAX = 100
CHANGES_LIMIT_MAX = 500
NESTING_MAX = 100
LIST_LIMIT_MAX = 100
LOOKED_AT_MAX = 1_000
"""How many conversations a page looks at where a filter leaves some out."""
DELETED_MAX = 500
"""How many conversations are deleted by one call of a store, where it is for many."""
MESSAGES_LIMIT_MAX = 200
PAGE_BYTES_MAX = 1_000_000
"""A page stops before it grows over this, but holds at least one row; it may be shorter than its limit."""
VALUE_BYTES_MAX = 1_900_000
"""No value crosses to or from a database over this. D1 refuses values over 2,000,000 bytes."""
INTEGER_MAX = 2**53 - 1
"""The largest integer that JavaScript holds exactly, which is what our clients and D1's bindings count in."""

DEFAULT_TITLE = "New conversation"

Role = Literal["user", "assistant", "system", "developer", "tool"]
TitleSource = Literal["default", "first_message", "generated", "user"]

# Patterns that Python and JSON Schema read alike: `$` alone would let a final line break pass in Python.
LINE_PATTERN = r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f\u2028\u2029])(?=[\s\S]*\S)"

_ID_DESCRIPTION = (
    "Compared to the letter: two ids that differ in case are two. "
    f"None of these words: {', '.join(f'`{word}`' for word in RESERVED)}."
)
_ID_LENGTH = {"maxLength": ID_CHARACTERS_MAX}
# The `words` of a type are what an error says that a value must be, where the type alone would not say it well.
Id = Annotated[
    str,
    Meta(
        pattern=ID_PATTERN,
        description=_ID_DESCRIPTION,
        extra_json_schema=_ID_LENGTH,
        extra={"words": ID_IN_WORDS},
    ),
]
KeptId = Annotated[
    str,
    Meta(description=_ID_DESCRIPTION, extra_json_schema={"pattern": ID_PATTERN, **_ID_LENGTH}),
]
"""An id that was checked on its way in. To match each again took most of the time in which a page was decoded."""
_LINE = "one line of 1 to {} characters, not blank and without control characters"
Title = Annotated[
    str,
    Meta(
        pattern=LINE_PATTERN,
        max_length=TITLE_CHARACTERS_MAX,
        description="One line of text, not blank.",
        extra={"words": _LINE.format(TITLE_CHARACTERS_MAX)},
    ),
]
Model = Annotated[
    str,
    Meta(
        pattern=LINE_PATTERN,
        max_length=MODEL_CHARACTERS_MAX,
        description="The name of a language model.",
        extra={"words": _LINE.format(MODEL_CHARACTERS_MAX)},
    ),
]
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
TIME_IN_WORDS = {"words": "a whole number of milliseconds since 1970, such as 1795176819164"}
Time = Annotated[int, Meta(ge=0, le=INTEGER_MAX, description="Unix milliseconds.", extra=TIME_IN_WORDS)]
Content = Annotated[
    Raw,
    Meta(
        description="An array of at least one content block; of an answer that is still empty, of none.",
        extra_json_schema={"type": "array", "items": {"type": "object"}},
    ),
]
NewContent = Annotated[
    Raw,
    Meta(
        description=(
            "An array of at least one content block; only of an assistant's answer that is still empty, of none. "
            "A string is kept as one text block."
        ),
        extra={"words": 'a string, or an array of blocks such as [{"type": "text", "text": "Hello"}]'},
        extra_json_schema={"type": ["array", "string"], "items": {"type": "object"}},
    ),
]
Metadata = Annotated[
    Raw,
    Meta(
        description=f"A JSON object of at most {METADATA_BYTES_MAX} bytes as JSON.",
        extra_json_schema={"type": "object"},
    ),
]
OptionalMetadata = Annotated[
    Raw,
    Meta(description="A JSON object, or null.", extra_json_schema={"type": ["object", "null"]}),
]
OptionalMetadataField = Annotated[
    Raw | UnsetType,
    Meta(
        description=f"A JSON object of at most {METADATA_BYTES_MAX} bytes as JSON, or null.",
        extra_json_schema={"type": ["object", "null"]},
    ),
]


# What is kept


class ForkedFrom(Struct, rename="camel", kw_only=True):
    """Where the messages of a conversation come from that was forked. The original may be gone since."""

    conversation_id: KeptId
    message_id: KeptId
    """The last message that was copied, by the id that it has there."""
    seq: Count
    """Its `seq` there."""
    at: Time
    """When it was forked."""


class Conversation(Struct, rename="camel", kw_only=True):
    """One conversation, without its messages."""

    id: KeptId
    user_id: str
    """Whose it is."""
    title: str
    title_source: TitleSource
    """`default` until somebody or something gave a title: the `first_message`, a model, or the `user`."""
    model: str | None
    created_at: int
    updated_at: int
    """When messages were last appended. Nothing else moves it, and it never goes back."""
    message_count: int
    is_archived: bool
    metadata: Metadata
    version: int
    """Starts at 1 and counts changes of the conversation itself; appends do not count."""
    deleted_at: int | None
    """When it was deleted; null while it is there."""
    leaf_id: KeptId | None
    """The message with which the active path ends; null where there is none."""
    forked_from: ForkedFrom | None
    """What it was forked from; null where it was not."""


class Message(Struct, rename="camel", kw_only=True):
    """One message of a conversation."""

    id: KeptId
    conversation_id: KeptId
    seq: int
    """1, 2, 3 … without gaps within a conversation, given by the database. This is the order; no clock is."""
    role: Role
    content: Content
    created_at: int
    token_count: int | None
    model: str | None
    parent_id: str | None
    """As it was sent; `follows` says what it came to."""
    follows: int
    """The `seq` of the message that it follows; 0 where it begins a branch."""
    metadata: OptionalMetadata
    version: int
    """Starts at 1 and counts edits of the metadata, which is all of a message that changes."""


# Content blocks. Only these fields of these types are checked; further fields and other types are kept.


class TextBlock(Struct, rename="camel", tag="text", tag_field="type"):
    """Text."""

    text: str


class ThinkingBlock(Struct, rename="camel", tag="thinking", tag_field="type"):
    """What a model thought before it answered; the provider's signature goes back to it unchanged."""

    thinking: str
    signature: str | None = None


ToolInput = Annotated[Any, Meta(extra_json_schema={"type": "object", "additionalProperties": True})]
"""Nearly always an object, which is what programs read it as."""


class ToolUseBlock(Struct, rename="camel", tag="tool_use", tag_field="type"):
    """A model's call of a tool. `input` is an object. Any other JSON is kept as well, such as the text of an object."""

    id: str
    name: str
    input: ToolInput


class ToolResultBlock(Struct, rename="camel", tag="tool_result", tag_field="type"):
    """What a tool returned, with the id of its call as `toolUseId`, or as `tool_use_id`, which is Anthropic's name.

    `content` is any JSON: text, blocks, or the tool's own.
    """

    tool_use_id: str | UnsetType = UNSET
    content: Any = None
    is_error: bool | None = None


class AnthropicToolResult(Struct):
    """What Anthropic names otherwise in the result of a tool. It is kept beside our names, or instead of them."""

    tool_use_id: str | UnsetType = UNSET
    is_error: bool | None = None


class ImageBlock(Struct, rename="camel", tag="image", tag_field="type"):
    """An image. Providers disagree on where it is; whatever they say is kept."""

    source: dict[str, Any] | None = None
    url: str | None = None


class FileBlock(Struct, rename="camel", tag="file", tag_field="type"):
    """A file. Providers disagree on where it is; whatever they say is kept."""

    source: dict[str, Any] | None = None
    url: str | None = None


BLOCKS: dict[str, type[Struct]] = {
    "text": TextBlock,
    "thinking": ThinkingBlock,
    "tool_use": ToolUseBlock,
    "tool_result": ToolResultBlock,
    "image": ImageBlock,
    "file": FileBlock,
}


# What callers ask for


class MessageFields(Struct, rename="camel", kw_only=True):
    """What is said of a message wherever one comes in: from a client, in a document, and on the way to a store.

    A field that is added here, and to `Message`, is passed on by all of them.
    """

    id: str | None = None
    role: Role
    content: NewContent
    token_count: Count | None = None
    model: Model | None = None
    parent_id: str | None = None
    metadata: OptionalMetadataField = UNSET


class NewMessage(MessageFields, kw_only=True, forbid_unknown_fields=True):
    """A message to append. With an `id` of the caller's, sending it again is safe."""

    id: Id | None = None
    parent_id: Id | None = None
    """The message that this one follows, where that is not the leaf of the active path."""
    sibling_of: Id | None = None
    """A message whose place this one takes on the active path: it is an edit of that question, or another answer."""
    is_root: bool = False
    """Whether it follows nothing, and begins a branch."""
    select: bool = True
    """Whether the active path now ends with it."""


class ConversationFields(Struct, rename="camel", kw_only=True):
    """What is said of a conversation wherever one comes in, as `MessageFields` are of a message."""

    id: str | None = None
    title: Title | None = None
    model: Model | None = None
    metadata: OptionalMetadataField = UNSET


class NewConversation(ConversationFields, kw_only=True, forbid_unknown_fields=True):
    """A conversation to create, with its first messages or without. With an `id`, sending it again is safe."""

    id: Id | None = None
    messages: Annotated[list[NewMessage], Meta(extra_json_schema={"maxItems": APPEND_MESSAGES_MAX})] = []


class PutConversation(NewConversation, kw_only=True, forbid_unknown_fields=True):
    """A conversation to create under the id in the path, or, where it is there already, messages to append to it."""

    expected_message_count: Count | None = None
    """How many messages the caller has seen, 0 for none; `stale` where there are others by now."""


class NewMessages(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Messages to append together: all of them or none."""

    messages: Annotated[list[NewMessage], Meta(min_length=1, extra_json_schema={"maxItems": APPEND_MESSAGES_MAX})]
    expected_message_count: Count | None = None
    """How many messages the caller has seen; `stale` where there are others by now."""
    expected_leaf_id: Id | None = None
    """With which message the active path ended when the caller saw it; `stale` where that is another by now."""


class LeafChoice(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Which branch is to be the active one."""

    message_id: Id
    descend: bool = True
    """Whether the path goes on below the message, to what was said last there, instead of ending with it."""
    expected_leaf_id: Id | None = None
    """With which message the active path ended when the caller saw it; `stale` where that is another by now."""


class NewFork(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A conversation to make of the path to a message. With an `id`, sending it again is safe."""

    id: Id | None = None
    message_id: Id | None = None
    """The last message to copy; without it, the path is the active one."""
    title: Title | None = None
    """Without it, it has the title of the original."""


class ConversationChanges(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A JSON Merge Patch (RFC 7396) of a conversation: null clears a field, `metadata` merges."""

    title: Title | UnsetType | None = UNSET
    is_archived: bool | UnsetType | None = UNSET
    model: Model | UnsetType | None = UNSET
    metadata: OptionalMetadataField = UNSET
    edited_at: Time | None = None
    """When the user made the edit, for edits that arrive late; never taken as later than now."""


class MessageChanges(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A JSON Merge Patch (RFC 7396) of a message, of which only metadata can change: it merges, and null clears it."""

    metadata: OptionalMetadataField = UNSET
    edited_at: Time | None = None
    """When the user made the edit, for edits that arrive late; never taken as later than now."""


def fields_of(kind: type[Struct], source: Struct) -> dict[str, Any]:
    """Return what a struct says for each field of another kind, by the names that both have in Python."""
    return {name: getattr(source, name) for name in kind.__struct_fields__}


# What callers get back


class ConversationPage(Struct, rename="camel"):
    """Conversations, latest `updatedAt` first."""

    conversations: list[Conversation]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""
    changes: str | UnsetType = UNSET
    """On the first page, where to follow the changes from: they reveal whatever moves while somebody pages."""


class Branches(Struct, rename="camel"):
    """Messages that all follow the same one, of which a page has one."""

    follows: int
    """The `seq` of that one; 0 for messages that follow nothing."""
    seqs: list[int]
    current: int
    """The `seq` of the one on the page."""


DraftState = Literal["streaming", "complete", "interrupted", "failed"]


class Draft(Struct, rename="camel", kw_only=True):
    """A message while it is written."""

    id: KeptId
    conversation_id: KeptId
    follows: int
    """The `seq` of the message that it follows; 0 where it follows nothing."""
    role: Role
    model: str | None
    metadata: OptionalMetadata
    state: DraftState
    """`interrupted` as well where it is past its deadline."""
    fence: int
    """Goes up whenever another producer takes it. Only the last one may write."""
    next: int
    """The number of the next part."""
    started_at: int
    deadline: int
    """When it is interrupted if no further part comes."""
    stop: bool
    """Whether somebody has asked its producer to stop."""
    settled_at: int | None
    """When it ended; null while it is open."""


class DraftChange(Struct, rename="camel"):
    """A draft that has started or ended."""

    id: KeptId
    conversation_id: KeptId
    state: DraftState
    started_at: int


class MessagePage(Struct, rename="camel"):
    """Messages in order of `seq`."""

    messages: list[Message]
    next_cursor: str | None
    """Leads on in the direction of reading; null where there is no more."""
    branches: list[Branches] = []
    """For each message with siblings; on a page of all branches, none: there `follows` says it."""
    drafts: list[Draft] = []
    """On the first page: the messages that are being written."""


class Sibling(Struct, rename="camel"):
    """One of the messages that follow the same one."""

    id: KeptId
    seq: int
    role: Role
    created_at: int
    preview: str
    """The words that it begins with."""
    leaf_id: KeptId
    """What was said last below it: where the path ends if it is selected."""
    message_count: int
    """How many messages there are from it on, in all branches below it."""
    is_current: bool
    """Whether it is on the active path."""


class BranchList(Struct, rename="camel"):
    """The messages that follow the same one, in order of `seq`: the newest 100, where there are more."""

    follows: int
    """The `seq` of that one; 0 for messages that follow nothing."""
    siblings: list[Sibling]


class DeletedBranch(Struct, rename="camel"):
    """What a deleted branch was, and the conversation without it."""

    deleted: int
    """How many messages: the one that was named, and all that was said below it."""
    conversation: Conversation


class Tombstone(Struct, rename="camel"):
    """A deleted conversation: remove it, and its messages."""

    id: KeptId
    deleted_at: int


class Removed(Struct, rename="camel"):
    """Messages of a conversation that were deleted: remove them."""

    conversation_id: KeptId
    from_seq: int
    to_seq: int
    """The `seq` of the last of them."""
    deleted_at: int


class Changes(Struct, rename="camel"):
    """What has changed since a cursor, oldest change first. What changed twice is listed once, as it is now."""

    conversations: list[Any]
    """Each a `Conversation`, or a `Tombstone` where it is deleted."""
    messages: list[Message]
    """These are new, or of a conversation that was restored, or their metadata was edited: `version` is then higher."""
    next: str
    """Where to go on from, now or at any later time."""
    has_more: bool
    """Whether there is more already."""
    removed: list[Removed] = []
    """Deleted branches, as ranges of `seq`. Those that are restored come again among the messages."""
    drafts: list[DraftChange] = []
    """Those that have started or ended; what is written in between is not listed."""


class SnippetPart(Struct):
    """A part of a text, and whether it is what was searched for."""

    text: str
    match: bool


class Hit(Struct, rename="camel"):
    """A message that was found, or, where `message` is null, a conversation by its title."""

    conversation: Conversation
    message: Message | None
    snippet: list[SnippetPart]
    """The piece of the original text around the match."""
    is_active: bool
    """Whether the message is on the active path of its conversation; of a title always."""
    previous_seq: int | None
    """The `seq` of the message that it follows; null where it is the first, and for a title."""
    next_seq: int | None
    """The `seq` of the message that follows it, on the active path or else the newest; null where none does."""


class HitPage(Struct, rename="camel"):
    """What was found, best first."""

    hits: list[Hit]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""


class Receipt(Struct, rename="camel"):
    """What the database gave a message when it was stored."""

    id: KeptId
    seq: int
    created_at: int


class Appended(Struct, rename="camel"):
    """What an append stored: a receipt for each message, in the order sent, and the conversation as it is now."""

    messages: list[Receipt]
    conversation: Conversation


class Deleted(Struct, rename="camel"):
    """How many conversations were deleted, so that each can be restored."""

    conversations: int
    is_complete: bool
    """Whether those were all. Where they were not, the same request again goes on."""


class Erased(Struct, rename="camel", omit_defaults=True):
    """How much was erased."""

    conversations: int
    """With those that were deleted before."""
    messages: int
    journals: int = 0
    """Left out where there was none."""
    blobs: int = 0
    """Left out where there was none."""
    threads: int = 0
    """Left out where there was none."""
    tasks: int = 0
    """Left out where there was none."""


class Erasure(Erased, kw_only=True):
    """How much of a user's data was deleted."""

    user_id: str
    is_complete: bool
    """Whether all of it is removed. Where it is not, the rest is hidden, and goes with the next purge."""
