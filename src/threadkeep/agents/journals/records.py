"""What a store is handed: checked, with digests, so that a store only has to keep it."""

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.agents.journals.models import Mode, Producer
from threadkeep.agents.tasks.records import Guard


class JournalRecord(Struct, kw_only=True):
    """A journal that passed every check. Two of one key are the same if their identities are the same."""

    space: str
    key: str
    request: str
    """The name of this write, by which it is known if it is sent again at once."""
    mode: Mode = "create"
    head: Raw = Raw(b"null")
    identity: str = ""
    """A digest."""
    sent_identity: Raw | UnsetType = UNSET
    """What it is the digest of, where the client gave that."""
    lane: str | None = None
    kind: str | None = None
    status: str | None = None
    sort: str = ""
    expires_in: int | None = None
    """In milliseconds."""
    expected: int | None = None
    """The version that it must have, 0 for none at all."""


class JournalEdit(Struct, kw_only=True):
    """An edit that passed every check: UNSET leaves a field alone, and `head` is a merge patch."""

    request: str
    head: Raw | UnsetType = UNSET
    status: str | UnsetType | None = UNSET
    sort: str | UnsetType = UNSET
    status_is: str | None = None
    expected: int | None = None


class EntryRecord(Struct, kw_only=True):
    """An entry that passed every check. Two of one id are the same if their digests are the same."""

    id: str | None
    digest: str
    data: Raw

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(memoryview(self.data))


class AppendRecord(Struct, kw_only=True):
    """An append that passed every check."""

    request: str
    digest: str
    """Of its entries and its guard, by which it is known when a producer sends it again, or when it names its place."""
    entries: list[EntryRecord] = []
    producer: Producer | None = None
    guard: Guard | None = None
    at: int | None = None
    cut: int | None = None
    remove: list[str] = []
    head: Raw | UnsetType = UNSET
    status: str | UnsetType | None = UNSET
    sort: str | UnsetType = UNSET
    expected: int | None = None
    updated_at: int | None = None
    create: bool = False
    close: bool = False
    expires_in: int | None = None
    """In milliseconds."""


class EntryQuery(Struct, kw_only=True):
    """Which entries to read: those after a `seq` and before another, the first of them or the newest."""

    after: int | None = None
    before: int | None = None
    newest: bool = False
    limit: int = 100
    with_head: bool = False
    cursor: str | None = None
    """A `next_cursor`, instead of `after`."""
    only: str | None = None
    """Only the entry of this id."""
    beyond: str | None = None
    """Only what comes after the entry of this id, or before it where the newest are asked for. Neither is there where
    there is no such entry."""
