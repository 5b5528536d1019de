"""Journals in memory: the contract in plain Python. It is the model of the other back ends."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, Raw
from msgspec.structs import replace

from threadkeep.agents.journals import cursors
from threadkeep.agents.journals.heads import merged_head
from threadkeep.agents.journals.models import (
    HEAD_BYTES_MAX,
    AppendedEntries,
    Entry,
    EntryPage,
    Journal,
    JournalPage,
    Order,
)
from threadkeep.agents.journals.names import number_of, remembered
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, JournalEdit, JournalRecord
from threadkeep.agents.journals.store import (
    cursor_expired,
    head_too_large,
    identity_conflict,
    no_journal,
    other_status,
    refusal,
    stale,
)
from threadkeep.conversations.models import PAGE_BYTES_MAX
from threadkeep.ids import new_id
from threadkeep.storage.memory.agents.base import MemoryState
from threadkeep.storage.memory.agents.tasks import Tasks


@dataclass
class KeptEntry:
    """An entry, and what it is known by."""

    entry: Entry
    digest: str
    append_digest: str
    append: tuple[int, int] | None
    """The epoch and the seq of the producer's append that begins with it."""


@dataclass
class KeptJournal:
    """A journal with its entries, in order."""

    journal: Journal
    identity: str
    names: str
    """Of its last writes."""
    entries: list[KeptEntry] = field(default_factory=list)


Journals = dict[tuple[str, str], KeptJournal]
Span = tuple[int | None, int | None]
"""From the first entry of an append to the last, where it has any."""


class MemoryJournals(MemoryState):
    """A `JournalStore` in memory. See `agents/journals/store.py` for what each method promises."""

    @property
    def _journals(self) -> Journals:
        """Those that have not expired."""
        journals, time = self._database.journals_of(self._user_id), self._clock()
        for place, kept in list(journals.items()):
            if kept.journal.expires_at is not None and kept.journal.expires_at <= time:
                del journals[place]
        return journals

    async def put_journal(self, record: JournalRecord) -> tuple[Journal, bool]:
        place = (record.space, record.key)
        kept = self._journals.get(place)
        if kept is not None and number_of(kept.names, record.request) is not None:
            return replace(kept.journal), False
        version = 0 if kept is None else kept.journal.version
        if record.expected not in (None, version):
            raise stale(record.expected, version)
        if kept is None or record.mode == "replace":
            return replace(self._begin(record).journal), True
        if record.mode == "create":
            if kept.identity != record.identity:
                raise identity_conflict(record.key)
            return replace(kept.journal), False
        self._write(
            kept,
            record.request,
            record.expires_in,
            head=record.head,
            lane=record.lane,
            kind=record.kind,
            status=record.status,
            sort=record.sort,
        )
        return replace(kept.journal), False

    async def patch_journal(self, space: str, key: str, edit: JournalEdit) -> Journal:
        kept = self._find(space, key)
        journal = kept.journal
        if number_of(kept.names, edit.request) is not None:
            return replace(journal)
        if edit.expected not in (None, journal.version):
            raise stale(edit.expected, journal.version)
        if edit.status_is not in (None, journal.status):
            raise other_status(edit.status_is, journal.status)
        changes = _labels(edit)
        if isinstance(edit.head, Raw):
            assert isinstance(journal.head, Raw)  # noqa: S101 what is kept has one
            changes["head"] = merged_head(journal.head, edit.head)
            if len(bytes(changes["head"])) > HEAD_BYTES_MAX:
                raise head_too_large()
        self._write(kept, edit.request, None, **changes)
        return replace(kept.journal)

    async def get_journal(self, space: str, key: str) -> Journal:
        return replace(self._find(space, key).journal)

    async def list_journals(
        self,
        space: str,
        *,
        status: str | None = None,
        order: Order = "sort",
        cursor: str | None = None,
        limit: int = 100,
    ) -> JournalPage:
        if order == "updated":
            return self._list_by_update(space, cursor, limit)
        after = None if cursor is None else cursors.decode(cursor, cursors.AfterJournal)
        rows = [kept.journal for kept in self._journals.values() if kept.journal.space == space]
        rows = [row for row in rows if status is None or row.status == status]
        rows = [row for row in rows if after is None or (row.sort, row.key) < (after.sort, after.key)]
        rows.sort(key=lambda row: (row.sort, row.key), reverse=True)
        page = rows[: _count_that_fits([len(bytes(row.head or b"")) for row in rows[:limit]])]
        if len(page) == len(rows):
            return JournalPage([replace(row) for row in page], None)
        following = cursors.AfterJournal(page[-1].sort, page[-1].key)
        return JournalPage([replace(row) for row in page], cursors.encode(following))

    def _list_by_update(self, space: str, cursor: str | None, limit: int) -> JournalPage:
        after = cursors.AfterUpdate(-1, "") if cursor is None else cursors.decode(cursor, cursors.AfterUpdate)
        rows = [kept.journal for kept in self._journals.values() if kept.journal.space == space]
        rows = [row for row in rows if (row.updated_at, row.key) > (after.updated_at, after.key)]
        rows.sort(key=lambda row: (row.updated_at, row.key))
        page = rows[: _count_that_fits([len(bytes(row.head or b"")) for row in rows[:limit]])]
        is_all = len(page) == len(rows)
        following = None if is_all else cursors.encode(cursors.AfterUpdate(page[-1].updated_at, page[-1].key))
        return JournalPage([replace(row) for row in page], following)

    async def delete_journal(self, space: str, key: str, *, expected: int | None = None) -> None:
        kept = self._journals.get((space, key))
        if kept is not None:
            if expected not in (None, kept.journal.version):
                raise stale(expected, kept.journal.version)
            del self._journals[space, key]

    async def acquire_producer(self, space: str, key: str, producer: str, *, request: str) -> Journal:
        kept = self._find(space, key)
        if number_of(kept.names, request) != kept.journal.epoch:
            epoch = kept.journal.epoch + 1
            self._write(kept, request, None, epoch, producer=producer, epoch=epoch, next_producer_seq=0)
        return replace(kept.journal, head=UNSET)

    async def append_entries(self, space: str, key: str, record: AppendRecord) -> tuple[AppendedEntries, bool]:
        kept, tasks = self._journals.get((space, key)), self._database.tasks_of(self._user_id)
        if kept is None and not record.create:
            raise no_journal(space, key)
        if kept is None:
            if record.expected not in (None, 0):
                raise stale(record.expected, 0)
            if record.guard is not None and not tasks.allow(record.guard, None):
                raise refusal("unauthorized", record, 0, 0, 0)
            kept = self._begin(JournalRecord(space=space, key=key, request="", expires_in=record.expires_in))
            kept.journal.version = 0
        reason, repeated = _verdict(kept, record, tasks)
        journal = kept.journal
        if repeated is not None:
            return AppendedEntries(*repeated, journal.version), False
        if reason != "applied":
            raise refusal(reason, record, journal.version, journal.next_producer_seq, journal.updated_at)
        first = self._apply(kept, record)
        count = len(record.entries)
        span: Span = (first, first + count - 1) if count else (None, None)
        return AppendedEntries(*span, kept.journal.version), True

    async def read_entries(self, space: str, key: str, query: EntryQuery) -> EntryPage:
        cursor = None if query.cursor is None else cursors.decode(query.cursor, cursors.AfterEntry)
        kept = self._find(space, key)
        journal = replace(kept.journal) if query.with_head else replace(kept.journal, head=UNSET)
        if cursor is not None and not cursor.is_of(journal):
            raise cursor_expired()
        after = query.after if cursor is None else cursor.seq
        start = -1 if after is None else after
        rows = [each.entry for each in kept.entries if each.entry.seq > start]
        rows = [entry for entry in rows if query.before is None or entry.seq < query.before]
        rows = [entry for entry in rows if query.only in (None, entry.id)]
        if query.beyond is not None:
            ends = [each.entry.seq for each in kept.entries if each.entry.id == query.beyond]
            rows = [entry for entry in rows for end in ends if (entry.seq < end if query.newest else entry.seq > end)]
        if query.newest:
            rows.reverse()
        count = _count_that_fits([len(bytes(entry.data)) for entry in rows[: query.limit]])
        page = sorted((replace(entry) for entry in rows[:count]), key=lambda entry: entry.seq)
        following = cursors.AfterEntry(journal.incarnation, journal.generation, page[-1].seq if page else start)
        return EntryPage(journal, page, len(rows) > count, cursors.encode(following))

    async def pop_entry(self, space: str, key: str) -> Entry | None:
        kept = self._find(space, key)
        record = AppendRecord(request=new_id(), digest="")
        reason, _ = _verdict(kept, record, Tasks())
        if reason != "applied":
            journal = kept.journal
            raise refusal(reason, record, journal.version, journal.next_producer_seq, journal.updated_at)
        if not kept.entries:
            return None
        entry = kept.entries[-1].entry
        record.cut = entry.seq
        self._apply(kept, record)
        return entry

    def _find(self, space: str, key: str) -> KeptJournal:
        kept = self._journals.get((space, key))
        if kept is None:
            raise no_journal(space, key)
        return kept

    def _begin(self, record: JournalRecord) -> KeptJournal:
        """Begin a journal in the place of whatever is there."""
        time = self._clock()
        journal = Journal(
            space=record.space,
            key=record.key,
            incarnation=new_id(),
            generation=0,
            version=1,
            next_seq=0,
            producer=None,
            epoch=0,
            next_producer_seq=0,
            lane=record.lane,
            kind=record.kind,
            status=record.status,
            sort=record.sort,
            closed_at=None,
            expires_at=None if record.expires_in is None else time + record.expires_in,
            created_at=time,
            updated_at=time,
            head=record.head,
        )
        names = remembered("", record.request, 0) if record.request else ""
        kept = KeptJournal(journal, record.identity, names)
        self._journals[record.space, record.key] = kept
        return kept

    def _write(
        self, kept: KeptJournal, request: str, expires_in: int | None, number: int | None = None, **changes: Any
    ) -> None:
        """Write to a journal what a write that applies says of it, and remember its name by a number."""
        time = self._clock()
        if expires_in is not None:
            changes["expires_at"] = time + expires_in
        changes.setdefault("updated_at", max(kept.journal.updated_at, time))
        kept.names = remembered(kept.names, request, kept.journal.next_seq if number is None else number)
        kept.journal = replace(kept.journal, version=kept.journal.version + 1, **changes)

    def _apply(self, kept: KeptJournal, record: AppendRecord) -> int:
        """Do what an append says; return the seq of its first entry."""
        time, journal, removed = self._clock(), kept.journal, set(record.remove)
        first = journal.next_seq if record.at is None else record.at
        kept.entries = [
            each
            for each in kept.entries
            if each.entry.id not in removed and (record.cut is None or each.entry.seq < record.cut)
        ]
        producer = record.producer
        for position, entry in enumerate(record.entries):
            append = (producer.epoch, producer.seq) if producer is not None and position == 0 else None
            new = Entry(seq=first + position, id=entry.id, created_at=time, data=entry.data)
            kept.entries.append(KeptEntry(new, entry.digest, record.digest, append))
        kept.entries.sort(key=lambda each: each.entry.seq)
        changes: dict[str, Any] = {"head": record.head} if record.head is not UNSET else {}
        changes |= {"closed_at": time} if record.close else {}
        changes |= {} if record.updated_at is None else {"updated_at": record.updated_at}
        self._write(
            kept,
            record.request,
            record.expires_in,
            first,
            generation=journal.generation + (record.cut is not None or bool(record.remove)),
            next_seq=max(journal.next_seq, first + len(record.entries)),
            next_producer_seq=journal.next_producer_seq + (producer is not None),
            **changes,
            **_labels(record),
        )
        return first


def _verdict(kept: KeptJournal, record: AppendRecord, tasks: Tasks) -> tuple[str, Span | None]:  # noqa: PLR0911,PLR0912 rules
    """What comes of an append, in the order of the contract; of what it repeats, where that is."""
    journal, producer, at, count = kept.journal, record.producer, record.at, len(record.entries)

    def repeated(first: int) -> tuple[str, Span]:
        return "repeat", ((first, first + count - 1) if count else (None, None))

    known_as = number_of(kept.names, record.request)
    if known_as is not None:
        return repeated(known_as)
    if journal.version and record.updated_at is not None and journal.updated_at > record.updated_at:
        return "older", None
    if producer is not None or journal.producer is not None:
        claimed = (journal.producer, journal.epoch, journal.incarnation)
        if producer is None or (producer.id, producer.epoch, producer.incarnation) != claimed:
            return "fenced", None
        known = next((each for each in kept.entries if each.append == (producer.epoch, producer.seq)), None)
        if known is not None:
            return repeated(known.entry.seq) if known.append_digest == record.digest else ("conflict", None)
        if producer.seq != journal.next_producer_seq:
            return "gap", None
    by_seq = {each.entry.seq: each for each in kept.entries}
    if at is not None and at in by_seq and by_seq[at].append_digest == record.digest:
        return repeated(at)
    if at is not None and any(seq in by_seq for seq in range(at, at + count)):
        return "conflict", None
    cut = journal.next_seq if record.cut is None else record.cut
    by_id = {each.entry.id: each for each in kept.entries if each.entry.seq < cut}
    ids = [entry for entry in record.entries if entry.id is not None and entry.id not in record.remove]
    found = [(entry, by_id[entry.id]) for entry in ids if entry.id in by_id]
    if found and len(found) == count and all(entry.digest == each.digest for entry, each in found):
        seqs = [each.entry.seq for _, each in found]
        return "repeat", (min(seqs), max(seqs))
    if found:
        return "conflict", None
    if journal.closed_at is not None:
        return "closed", None
    if record.guard is not None and not tasks.allow(record.guard, journal.lane):
        return "unauthorized", None
    if record.expected not in (None, journal.version):
        return "stale", None
    return "applied", None


def _labels(change: JournalEdit | AppendRecord) -> dict[str, Any]:
    """What a write sets of the labels of a journal."""
    labels = {"status": change.status, "sort": change.sort}
    return {name: value for name, value in labels.items() if value is not UNSET}


def _count_that_fits(sizes: list[int]) -> int:
    """How many rows of these sizes make a page: at least one if there is any."""
    total = 0
    for index, size in enumerate(sizes):
        total += size
        if index and total > PAGE_BYTES_MAX:
            return index
    return len(sizes)
