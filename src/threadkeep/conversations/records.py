"""What a store is handed: checked, with an id and a digest, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.conversations.models import Role, TitleSource


class MessageRecord(Struct, kw_only=True):
    """A message that passed every check. Two under one id are the same message if their digests are the same."""

    id: str
    role: Role
    content: Raw
    token_count: int | None = None
    model: str | None = None
    parent_id: str | None = None
    metadata: Raw | None = None
    digest: str
    size: int
    """Bytes of content and metadata as JSON, by which pages are cut."""
    title: str | None = None
    """What a conversation without a title takes from this message."""
    words: str = ""
    """What of it is searched: its words, as `tokenizer.py` makes them, parted by spaces."""


class ConversationRecord(Struct, kw_only=True):
    """A conversation that passed every check. The digest is that of the whole request, messages included."""

    id: str
    title: str | None
    model: str | None
    metadata: Raw
    messages: list[MessageRecord]
    digest: str


class ImportedMessage(Struct):
    """A message of an import, which keeps its time."""

    record: MessageRecord
    created_at: int


class ImportRecord(Struct, kw_only=True):
    """A conversation to import, which keeps its times. The digest is that of the document."""

    id: str
    title: str
    title_source: TitleSource
    model: str | None
    metadata: Raw
    is_archived: bool
    created_at: int
    updated_at: int
    messages: list[ImportedMessage]
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


class ConversationEdit(Struct, kw_only=True):
    """An edit that passed every check: UNSET leaves a field alone, None clears it, and `metadata` merges."""

    title: str | UnsetType | None = UNSET
    is_archived: bool | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType | None = UNSET
    edited_at: int | None = None
