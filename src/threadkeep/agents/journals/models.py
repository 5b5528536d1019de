"""What clients say of journals, and what they get back. What is in a head or an entry is theirs, to the letter."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from threadkeep.agents.values import AnyJson, ExpiresIn, Name, OptionalText
from threadkeep.conversations.export_v1 import Refusal
from threadkeep.conversations.models import INTEGER_MAX, Count

ENTRIES_MAX = 1_000
"""How many entries an append has, and a page."""
HEAD_BYTES_MAX = 1_000_000

Mode = Literal["create", "save", "replace"]
Order = Literal["sort", "updated"]
"""By `sort` and key, both descending; or by when they were last written and key, both ascending."""


# What is kept


class Journal(Struct, rename="camel", kw_only=True):
    """A journal, without its entries."""

    space: str
    key: str
    incarnation: str
    """Which journal of this key it is: another one, once it was deleted or replaced."""
    generation: int
    """Counts the writes that removed entries, since whoever follows the journal then has to read it again."""
    version: int
    """Starts at 1 and counts writes of all kinds."""
    next_seq: int
    """The `seq` that the next entry gets."""
    producer: str | None
    """Who may append, where anybody has claimed that."""
    epoch: int
    """Counts claims. Only the last one holds."""
    next_producer_seq: Annotated[int, Meta(description="The `seq` of the next append of its producer.")]
    """Which append of the producer is the next."""
    lane: str | None
    """Of which lane a task has to be that guards an append; null for any."""
    kind: str | None
    status: str | None
    sort: str
    """What lists are sorted by, as text."""
    closed_at: int | None
    """When it was closed, so that nothing can be appended; null while it is open."""
    expires_at: int | None
    """When it is deleted by itself; null for never."""
    created_at: int
    updated_at: Annotated[int, Meta(description="When it was last written. In Unix milliseconds.")]
    head: AnyJson | UnsetType = UNSET
    """The client's own; left out where it was not asked for."""


class Entry(Struct, rename="camel", kw_only=True):
    """An entry of a journal."""

    seq: Annotated[int, Meta(description="Its place: 0 and so on. What was removed leaves a gap.")]
    """Its place, from 0 on, which no other entry ever gets. Gaps are normal: what was removed leaves one."""
    id: str | None
    created_at: int
    data: AnyJson


# What callers ask for


class PutJournal(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A journal to create, to save or to replace."""

    mode: Mode = "create"
    """`create` keeps one that is there as it is, `save` sets its head and labels, `replace` begins a new one."""
    head: AnyJson | UnsetType = UNSET
    """Null, where it is left out."""
    identity: AnyJson | UnsetType = UNSET
    """By which a repeated creation is known; without it, all of the request is."""
    lane: OptionalText | None = None
    kind: OptionalText | None = None
    status: OptionalText | None = None
    sort: OptionalText = ""
    expires_in: ExpiresIn | None = None


class JournalChanges(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Changes of a journal. `head` is a JSON Merge Patch (RFC 7396) of its head."""

    head: Annotated[Raw | UnsetType, Meta(extra_json_schema={"type": "object"})] = UNSET
    status: OptionalText | UnsetType | None = UNSET
    sort: OptionalText | UnsetType = UNSET
    status_is: OptionalText | None = None
    """The status that it must have; `stale` where it has another."""


class NewProducer(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Who is to append from now on."""

    producer: Name


class Producer(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Who appends, as it was told when it claimed the journal, and which of its appends this is."""

    id: Name
    incarnation: Name
    epoch: Count
    seq: Annotated[Count, Meta(description="Which of its appends this is, from 0 on.")]


class Guard(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A task that has to be at work for an append to be made: running under an attempt, or settling just so."""

    queue: Name
    task: Name
    attempt: Name
    joined: Annotated[list[Name], Meta(extra_json_schema={"maxItems": ENTRIES_MAX})] = []
    """The ids of tasks that have to have joined it, or to be joining it."""
    settlement_id: Name | None = None
    """What is reserved as its end, where it is settling."""
    settlement: AnyJson | UnsetType = UNSET


class NewEntry(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """An entry to append. With an `id`, sending it again is safe."""

    id: Name | None = None
    data: AnyJson


class NewEntries(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A write to a journal, of which all is done or nothing.

    What is to be removed goes first, then the entries come, then the head and the labels are set, and it is closed.
    """

    entries: Annotated[list[NewEntry], Meta(extra_json_schema={"maxItems": ENTRIES_MAX})] = []
    producer: Producer | None = None
    guard: Guard | None = None
    """Who has to be at work; `unauthorized` where that is not so."""
    at: Annotated[int, Meta(ge=0, le=INTEGER_MAX - ENTRIES_MAX - 1)] | None = None
    """The `seq` of the first entry, instead of the next one."""
    cut: Count | None = None
    """Remove the entries from this `seq` on."""
    remove: Annotated[list[Name], Meta(extra_json_schema={"maxItems": ENTRIES_MAX})] = []
    """Remove the entries of these ids."""
    head: AnyJson | UnsetType = UNSET
    status: OptionalText | UnsetType | None = UNSET
    sort: OptionalText | UnsetType = UNSET
    expected: Count | None = None
    """The version that the journal must have, 0 for none at all; `stale` where it has another."""
    updated_at: Annotated[Count, Meta(description="When it was last written elsewhere, which it keeps.")] | None = None
    """Instead of now, for what is moved here; `older` where it was written later than that."""
    create: bool = False
    """Whether to create the journal where there is none."""
    close: bool = False
    expires_in: ExpiresIn | None = None


# What callers get back


class JournalPage(Struct, rename="camel"):
    """Journals of a space, in the order that was asked for."""

    journals: list[Journal]
    next_cursor: str | None
    """Leads to the next page; null on the last one."""


class EntryPage(Struct, rename="camel"):
    """Entries in order of `seq`, and the journal that they are of."""

    journal: Journal
    entries: list[Entry]
    more: bool
    """Whether there are more in the direction of reading."""
    next_cursor: Annotated[str, Meta(description="Where to go on, now or later.")]
    """Where to go on, now or later; it expires when entries are removed or the journal is replaced."""


class AppendedEntries(Struct, rename="camel"):
    """What an append kept, or had kept before."""

    first: int | None
    """The `seq` of the first entry; null where there was none to append."""
    last: int | None
    version: int
    """The version of the journal now."""


class Popped(Struct):
    """The entry that was the last one, which is removed; null where there was none."""

    entry: Entry | None


# Rows


class Row(Struct):
    """A journal as a line, to be moved from one store to another."""

    id: Name
    data: str
    """JSON, as a text."""
    updated_at: Count


class SkippedRow(Struct):
    """A row that was not kept."""

    index: int
    error: Refusal


class RowsReport(Struct):
    """What became of rows."""

    kept: int
    same: Annotated[int, Meta(description="How many were there already.")]
    older: Annotated[int, Meta(description="How many are older than what is there.")]
    skipped: list[SkippedRow]
