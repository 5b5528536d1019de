"""What a store is handed: checked, so that a store only has to keep it."""

from msgspec import Struct


class TypedRecord(Struct, kw_only=True):
    """Bytes in base64, with their type."""

    type: str
    data: str

    def texts(self) -> list[str]:
        """What makes it as large as it is."""
        return [self.type, self.data]

    @property
    def size(self) -> int:
        """How many bytes it makes on a page, more or less."""
        return sum(len(text) if text.isascii() else len(text.encode()) for text in self.texts())


class ValueRecord(TypedRecord, kw_only=True):
    """The value of a channel in a version."""

    channel: str
    version: str

    def texts(self) -> list[str]:
        return [self.channel, self.version, *super().texts()]


class WriteRecord(TypedRecord, kw_only=True):
    """What a task wrote to a channel."""

    task: str
    path: str
    idx: int
    channel: str

    def texts(self) -> list[str]:
        return [self.task, self.path, self.channel, *super().texts()]


class CheckpointRecord(TypedRecord, kw_only=True):
    """A checkpoint that passed every check."""

    ns: str
    id: str
    parent: str | None = None
    run_id: str | None = None
    metadata: list[str] = []
    """Its members, each as the text of its JSON; see `metadata.py`."""
    stored: dict[str, str | None] = {}
    counted: list[str] = []
    """The channels of which there may be only writes since some ancestor. Pruning keeps it."""
    values: list[ValueRecord] = []
    epoch: int = 0
    expires_in: int | None = None
    """In milliseconds."""

    def texts(self) -> list[str]:
        versions = [version for version in self.stored.values() if version is not None]
        return [self.ns, self.id, self.parent or "", *self.metadata, *self.stored, *versions, *super().texts()]


class WritesRecord(Struct, kw_only=True):
    """The writes of a task that passed every check."""

    ns: str
    checkpoint: str
    task: str
    path: str
    writes: list[WriteRecord]
    epoch: int = 0


class CheckpointQuery(Struct, kw_only=True):
    """Which checkpoints to list: of a thread or all, of a namespace or all."""

    thread: str | None = None
    ns: str | None = None
    """Only where there is a thread."""
    id: str | None = None
    """The only one to list."""
    before: str | None = None
    """List those whose id is less."""
    filter: list[str] = []
    """Members that their metadata must have."""
    cursor: str | None = None
    limit: int = 100


class DeltaQuery(Struct, kw_only=True):
    """Of which channels to find what they became, before which checkpoint: the latest where none is named."""

    ns: str = ""
    id: str | None = None
    channels: list[str] = []
    cursor: str | None = None
    """A `next_cursor`, instead of `id` and `channels`."""


class PruneRecord(Struct, kw_only=True):
    """Which threads to prune, and whether to keep what is latest."""

    threads: list[str] | None = None
    updated_before: int | None = None
    keeps_latest: bool
