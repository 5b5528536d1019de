"""What a store is handed of drafts: checked, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.conversations.drafts.folding import Effect
from threadkeep.conversations.drafts.models import Ended
from threadkeep.conversations.models import Role


class DraftRecord(Struct, kw_only=True):
    """A draft to start. Two under one id are the same if their digests are."""

    id: str
    parent_id: str | None
    role: Role
    model: str | None
    metadata: Raw | UnsetType
    digest: str
    lease_ms: int


class PartRecord(Struct):
    """A part to keep."""

    part: int
    digest: str
    ops: Raw


class PartsRecord(Struct, kw_only=True):
    """Parts to keep together, which follow each other."""

    fence: int
    first: int
    parts: list[PartRecord]
    effect: Effect
    size: int
    """What they count towards the size of a draft."""


class EndRecord(Struct, kw_only=True):
    """How to settle a draft. Without a fence, it is settled whoever writes it."""

    fence: int | None
    state: Ended
    content: Raw | UnsetType = UNSET
    token_count: int | None = None
    usage: Raw | UnsetType = UNSET
    error: str | None = None


class KeptDraft(Struct, rename="camel", kw_only=True):
    """A draft as it is kept."""

    id: str
    conversation_id: str
    follows: int
    parent_id: str | None
    """As it was sent."""
    followed_id: str | None
    """The id of the message that it follows."""
    role: Role
    model: str | None
    metadata: Raw
    digest: str
    fence: int
    lease_ms: int
    started_at: int
    renewed_at: int
    stop_at: int | None
    state: str
    settled_at: int | None
    last_part: int | None
    last_at: int | None
    bytes: int | None
    blocks: str | None

    @property
    def next(self) -> int:
        """The number of the next part."""
        return 0 if self.last_part is None else self.last_part + 1

    @property
    def deadline(self) -> int:
        """When it is interrupted if no further part comes."""
        return max(self.renewed_at, self.last_at or 0) + self.lease_ms

    def is_over(self, time: int) -> bool:
        """Whether it is past its deadline, and not settled yet."""
        return self.settled_at is None and self.deadline <= time
