"""What a draft is, what callers send of one, and what they get back."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from threadkeep.conversations.models import (
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    Count,
    Draft,
    Id,
    Message,
    Model,
    NewContent,
    OptionalMetadataField,
    Role,
)

DRAFT_BYTES_MAX = MESSAGE_BYTES_MAX - 2 * METADATA_BYTES_MAX
"""What the parts of a draft may have together: less than a message, so that it can always be settled."""
OPEN_MAX = 100
"""How many drafts of a conversation may be open at once."""
BLOCKS_MAX = 1_000
PARTS_MAX = 1_000
LEASE_SECONDS = 60
LEASE_SECONDS_MAX = 3_600
ERROR_CHARACTERS_MAX = 1_000

Ended = Literal["complete", "interrupted", "failed"]


class Op(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A change of a draft: `append` to the text of a block, `set` a block, or an `event`, which is only replayed."""

    block: Annotated[int, Meta(ge=0, le=BLOCKS_MAX - 1)] | UnsetType = UNSET
    """Which block, from 0."""
    append: str | UnsetType = UNSET
    """What comes next in its text, in what it thinks, or in the input of its call as text."""
    set: Annotated[Raw, Meta(extra_json_schema={"type": "object"})] | UnsetType = UNSET
    """The whole block. The first that is not there yet may be set, too."""
    event: Annotated[Raw, Meta(extra_json_schema={"type": "object"})] | UnsetType = UNSET
    """Anything for readers, which does not become part of the message."""


Ops = list[Op]


class NewDraft(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A draft to start. With an `id`, which its message will have, sending it again is safe."""

    id: Id | None = None
    parent_id: Id | None = None
    """The message that it follows, where that is not the leaf of the active path."""
    role: Role = "assistant"
    model: Model | None = None
    metadata: OptionalMetadataField = UNSET
    lease_seconds: Annotated[int, Meta(ge=1, le=LEASE_SECONDS_MAX)] = LEASE_SECONDS
    """It is interrupted when nothing has come for so long."""


class NewParts(Struct, rename={"first": "from"}, kw_only=True, forbid_unknown_fields=True):
    """Parts to write, each a list of changes."""

    fence: Count
    """That of the producer, from starting or taking the draft."""
    first: Count
    """The number of the first of these parts: `next` of the answer before."""
    parts: Annotated[list[Ops], Meta(extra_json_schema={"maxItems": PARTS_MAX})]


class DraftEnd(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """How a draft ends."""

    fence: Count
    state: Ended
    content: NewContent | UnsetType = UNSET
    """The whole content, if it is not to be what the parts come to; null is as if it were not there."""
    token_count: Count | None = None
    usage: Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})] | UnsetType = UNSET
    """What the provider counted; kept in the metadata of the message."""
    error: Annotated[str, Meta(max_length=ERROR_CHARACTERS_MAX)] | None = None
    """Why it failed; kept in the metadata of the message."""


class PartsWritten(Struct):
    """Where a draft is after its parts were written."""

    next: int
    deadline: int
    stop: bool


class DraftPart(Struct):
    """A part of a draft."""

    part: int
    at: int
    ops: Annotated[Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "object"}})]


class DraftPage(Struct, rename="camel", kw_only=True):
    """A draft, and parts of it in order."""

    draft: Draft
    parts: list[DraftPart]
    more: bool
    """Whether there are more parts."""
    content: Annotated[Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "object"}})] | UnsetType = UNSET
    """With `folded`: the content that all parts come to."""


class DraftList(Struct):
    """The drafts of a conversation that are open, oldest first."""

    drafts: list[Draft]


class DraftSettled(Struct, rename="camel"):
    """What a draft has become."""

    draft: Draft
    message: Message | None
    """Null where nothing had come."""


class DraftContent(Struct, rename="camel"):
    """The content that the parts before `next` come to."""

    content: Annotated[Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "object"}})]
    next: int
    """The number of the first part that is not in it."""


class StreamEnd(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The last line of a stream, if the draft is to be settled."""

    settle: Ended
    content: NewContent | UnsetType = UNSET
    token_count: Count | None = None
    usage: Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})] | UnsetType = UNSET
    error: Annotated[str, Meta(max_length=ERROR_CHARACTERS_MAX)] | None = None
