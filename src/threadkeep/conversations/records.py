"""What a store is handed: checked, with an id and a digest, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.conversations.models import ConversationFields, ForkedFrom, MessageFields, Role, TitleSource


class MessageRecord(Struct, kw_only=True):
    """A message that passed every check. Two under one id are the same message if their digests are the same."""

    message: MessageFields
    """What was said of it, except for its id."""
    id: str
    digest: str
    size: int
    """Bytes of content and metadata as JSON, by which pages are cut."""
    created_at: int | None = None
    """When it was made, if it is imported; otherwise it is new when it is stored."""
    title: str | None = None
    """What a conversation without a title takes from this message."""
    words: str = ""
    """What of it is searched: its words, as `tokenizer.py` makes them, parted by spaces."""
    path: str = ""
    """Where it stands in the request."""
    sibling_of: str | None = None
    """A message that follows the same one."""
    is_root: bool = False
    """Whether it follows nothing."""
    follows_id: str | None = None
    """What it follows, where that was fixed before it was sent: its draft followed it."""
    select: bool = True
    """Whether the active path now ends with it."""


class ConversationRecord(ConversationFields, kw_only=True):
    """A conversation that passed every check. The digest is that of the whole request, messages included."""

    id: str
    metadata: Raw
    messages: list[MessageRecord]
    digest: str


class ImportRecord(ConversationFields, kw_only=True):
    """A conversation to import, which keeps its times. The digest is that of the document."""

    id: str
    title: str
    metadata: Raw
    title_source: TitleSource
    is_archived: bool
    created_at: int
    updated_at: int
    messages: list[MessageRecord]
    digest: str
    forks: list[tuple[int, int]] = []  # noqa: RUF012 msgspec copies it
    """Messages that do not follow the one before them: the `seq` of each, and of what it follows, 0 for nothing."""
    leaf_seq: int | None = None
    """Where the active path ends, if that is not the last message."""
    forked_from: ForkedFrom | None = None


class ForkRecord(Struct, kw_only=True):
    """A conversation to make of the path to a message of another. The digest is that of the request."""

    id: str
    message_id: str | None
    """The last message to copy; None for the leaf of the active path."""
    title: str | None
    digest: str


class SearchQuery(Struct, kw_only=True):
    """What to search for. Times are Unix milliseconds; None leaves a side open."""

    text: str
    """As people type it: words, and phrases in double quotes."""
    role: Role | None = None
    """Only messages of this role, and no titles."""
    since: int | None = None
    """Only what was created then or later."""
    until: int | None = None
    """Only what was created before."""
    conversation_id: str | None = None
    """Only messages of this conversation, and no titles."""
    only_active: bool = False
    """Only messages on the active path of their conversation."""


class ConversationFilter(Struct, kw_only=True):
    """Which conversations of a list are wanted. None leaves a side open."""

    model: str | None = None
    created_after: int | None = None
    """Unix milliseconds. What was created later was appended to later as well, which ends the look."""
    created_before: int | None = None
    metadata: tuple[str, str] | None = None
    """A name in metadata, and what it has to be: a string, or a number or a boolean as it is written."""


class ConversationEdit(Struct, kw_only=True):
    """An edit that passed every check: UNSET leaves a field alone, None clears it, and `metadata` merges."""

    title: str | UnsetType | None = UNSET
    is_archived: bool | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType | None = UNSET
    edited_at: int | None = None


class MessageEdit(Struct, kw_only=True):
    """An edit of a message that passed every check: UNSET leaves metadata alone, None clears it, and else it merges."""

    metadata: Raw | UnsetType | None = UNSET
    edited_at: int | None = None
