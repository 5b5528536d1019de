"""What a store is handed: checked, with an id and a digest, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.models import Role


class MessageDraft(Struct, kw_only=True, rename="camel", omit_defaults=True):
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


class ConversationDraft(Struct, kw_only=True):
    """A conversation that passed every check. The digest is that of the whole request, messages included."""

    id: str
    title: str | None
    model: str | None
    metadata: Raw
    messages: list[MessageDraft]
    digest: str


class ConversationEdit(Struct, kw_only=True):
    """An edit that passed every check: UNSET leaves a field alone, None clears it, and `metadata` merges."""

    title: str | UnsetType | None = UNSET
    is_archived: bool | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType | None = UNSET
    edited_at: int | None = None
