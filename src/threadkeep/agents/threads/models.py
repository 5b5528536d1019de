"""What clients say of threads, and what they get back. Values are theirs: bytes in base64, with the type they have."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from threadkeep.agents.values import WHOLE_BYTES_MAX, AnyJson, ExpiresIn, Name, OptionalText
from threadkeep.conversations.models import Count

CHECKPOINTS_MAX = 1_000
"""How many checkpoints a page has, or threads."""
VALUES_MAX = 1_000
"""How many values a checkpoint is sent with, and how many channels it names."""
WRITES_MAX = 1_000
NAMES_MAX = 1_000
"""How many threads are pruned together, or runs deleted."""
CHANNELS_MAX = 100
"""Of how many channels it is found together what they became."""
METADATA_BYTES_MAX = 65_536
STORED_BYTES_MAX = 262_144
PAGE_BYTES_MAX = WHOLE_BYTES_MAX
"""What is kept in pieces is then on a page of its own."""
ANCESTORS_MAX = 1_000
"""How far a page of deltas goes back."""

Keep = Literal["latest", "none"]
Base64 = Annotated[str, Meta(description="Bytes, in base64.")]
JsonObject = Annotated[Raw, Meta(description="A JSON object.", extra_json_schema={"type": "object"})]


# What is kept


class Thread(Struct, rename="camel", kw_only=True):
    """A thread, without its checkpoints."""

    thread: str
    epoch: int
    """Counts how often somebody claimed it; 0 where nobody did. Who writes has to know the last one."""
    created_at: int
    updated_at: int
    expires_at: int | None
    """When it is deleted by itself; null for never."""


class Typed(Struct, rename="camel", kw_only=True):
    """Bytes, with what the client's serializer says they are."""

    type: str
    data: Base64


class PendingWrite(Struct, rename="camel", kw_only=True):
    """What a task wrote to a channel after a checkpoint."""

    task: str
    path: str
    idx: int
    channel: str
    type: str
    data: Base64


class Checkpoint(Struct, rename="camel", kw_only=True):
    """A checkpoint, with the writes that are pending on it."""

    thread: str
    ns: str
    id: str
    parent: str | None
    metadata: AnyJson
    stored: dict[str, str | None]
    """The channels that have a value, each with its version; null where the value stands in the checkpoint itself."""
    type: str
    data: Base64
    writes: list[PendingWrite]
    """By path, task and idx."""


class ChannelValue(Struct, rename="camel", kw_only=True):
    """The value of a channel in a version."""

    thread: str
    ns: str
    channel: str
    version: str
    type: str
    data: Base64


# What callers ask for


class NewValue(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The value of a channel in a version, which no other value ever has."""

    channel: Name
    version: Name
    type: Name
    data: Base64


class NewCheckpoint(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A checkpoint to keep, in the place of one that has the same id."""

    id: Name
    ns: OptionalText = ""
    parent: Name | None = None
    metadata: JsonObject | UnsetType = UNSET
    """Empty, where it is left out."""
    stored: dict[str, Name | None] = {}
    """The channels that have a value, each with its version; null where the value stands in the checkpoint itself."""
    type: Name
    data: Base64
    values: Annotated[list[NewValue], Meta(extra_json_schema={"maxItems": VALUES_MAX})] = []
    """The values that are new. The others were sent with a checkpoint before."""
    epoch: Count = 0
    """That of the claim by which the caller writes, 0 for none; `fenced` where the thread has another one."""
    expires_in: ExpiresIn | None = None
    """When the whole thread expires, from now on; without it, that stays as it is."""


class NewWrite(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What a task wrote to a channel. The first one of an `idx` stays; of a negative one, the last."""

    idx: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
    channel: Name
    type: Name
    data: Base64


class NewWrites(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The writes of a task, pending on a checkpoint, which may come later."""

    checkpoint: Name
    ns: OptionalText = ""
    task: Name
    path: OptionalText = ""
    writes: Annotated[list[NewWrite], Meta(extra_json_schema={"maxItems": WRITES_MAX})]
    epoch: Count = 0
    """See `NewCheckpoint`."""


class CopyThread(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Which thread to copy."""

    source: Name
    epoch: Count = 0
    """That of the claim on the thread that is written to."""


class PruneThreads(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Which threads to prune: these, or those not written to since a time."""

    threads: Annotated[list[Name], Meta(extra_json_schema={"maxItems": NAMES_MAX})] | None = None
    updated_before: Count | None = None
    """In Unix milliseconds."""
    keep: Keep
    """`latest` keeps the latest checkpoint of each namespace and what its channels need; `none` deletes the thread."""


class DeleteRuns(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Whose checkpoints to delete: those whose metadata have one of these as `run_id`."""

    runs: Annotated[list[Name], Meta(extra_json_schema={"maxItems": NAMES_MAX})]


# What callers get back


class ThreadPage(Struct, rename="camel"):
    """Threads, last written first."""

    threads: list[Thread]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""


class CheckpointPage(Struct, rename="camel"):
    """Checkpoints, the greatest id first, and the values that they name, each once."""

    checkpoints: list[Checkpoint]
    values: list[ChannelValue]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""


class ChannelDeltas(Struct, rename="camel", kw_only=True):
    """What a channel became before a checkpoint, back to the nearest ancestor that has its value."""

    channel: str
    seed: Typed | None = None
    """The value; null where no ancestor has it, or it is on a later page, or it stands in `checkpoint`."""
    checkpoint: Typed | None = None
    """The ancestor itself, where the value stands in it."""
    writes: list[PendingWrite]
    """Oldest first, with those pending on the ancestor that has the value."""


class DeltaPage(Struct, rename="camel"):
    """What channels became before a checkpoint. What is on a later page is older."""

    channels: list[ChannelDeltas]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""


class Progress(Struct):
    """How far a change of many rows came."""

    more: bool
    """Whether there is more to do. The same request again goes on."""
