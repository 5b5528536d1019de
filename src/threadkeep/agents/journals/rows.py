"""Rows: journals of a space as `{"id", "data", "updated_at"}`, a JSON object a line, to be moved from store to store.

It is the row that a session has where Flue keeps it on Cloudflare: `data` is the text of its JSON. An object whose
member `entries` is an array of objects, each with an `id` of its own, becomes a head, in which `entries` is null, and
entries. Any other JSON is a head alone. What is neither, or would be taken for something else, is kept as it is: a text
in parts, below a head that says so. A journal of another form is written as `{"$head", "$entries"}`, and read so.

A row has no labels, no claim and no places: those are of one store.
"""

from collections.abc import AsyncIterator

import msgspec
from msgspec import UNSET, Raw, Struct

from threadkeep.agents.checks import checked_name, checked_space
from threadkeep.agents.journals import cursors, service
from threadkeep.agents.journals.models import (
    ENTRIES_MAX,
    HEAD_BYTES_MAX,
    Journal,
    JournalPage,
    NewEntries,
    NewEntry,
    Row,
    RowsReport,
    SkippedRow,
)
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.journals.store import JournalStore
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.export_v1 import Refusal
from threadkeep.errors import CursorExpired, Invalid, NotFound, Stale, ThreadkeepError, TooLarge, Unavailable
from threadkeep.validation import decoding
from threadkeep.work import finished

OPAQUE = Raw(b'{"$json":null}')
"""The head of a text in parts."""
_PART_CHARACTERS = 200_000


class _Parts(Struct):
    """What a `data` becomes."""

    head: Raw
    entries: list[NewEntry] = []


class _WholeJournal(Struct, forbid_unknown_fields=True):
    """A journal of another form."""

    head: Raw = msgspec.field(name="$head")
    entries: list[NewEntry] = msgspec.field(name="$entries")


# Out


async def rows_of(store: JournalStore, space: str, after: str | None = None) -> AsyncIterator[bytes]:
    """The rows of a space as lines, in pieces, by `updated_at` and `id`: all, or those after `<updated_at>,<id>`.

    What changes meanwhile comes again, at the end. Raises Invalid before there is anything.
    """
    checked_space(space)
    cursor = None if after is None else cursors.encode(_place(after))
    first = await service.list_journals(store, space, order="updated", cursor=cursor)
    return _lines_of(store, space, first)


def _place(after: str) -> cursors.AfterUpdate:
    time, comma, key = after.partition(",")
    try:
        if comma:
            return msgspec.convert(["u", int(time), key], cursors.AfterUpdate)
    except (ValueError, msgspec.ValidationError):
        pass
    raise Invalid("after: Send the `updated_at` and the `id` of the last row, with a comma between.", "after")


async def _lines_of(store: JournalStore, space: str, page: JournalPage) -> AsyncIterator[bytes]:
    while True:
        for journal in page.journals:
            yield b'{"id":%b,"data":"' % msgspec.json.encode(journal.key)
            async for text in data_of(store, journal):
                yield msgspec.json.encode(text)[1:-1]
            yield b'","updated_at":%d}\n' % journal.updated_at
        if page.next_cursor is None:
            return
        page = await service.list_journals(store, space, order="updated", cursor=page.next_cursor)


async def data_of(store: JournalStore, journal: Journal) -> AsyncIterator[str]:
    """The `data` of a journal, in pieces. Raises Unavailable where it is removed, or some of it, meanwhile."""
    head = bytes(journal.head) if isinstance(journal.head, Raw) else b"null"
    members = _members(head)
    if members is not None and members.keys() == {"$json"}:
        async for data in _entries_of(store, journal):
            yield msgspec.json.decode(data, type=str)
        return
    if members is not None and _is_null(members.get("entries")):
        begin, end = _around_entries(members)
        is_whole = False
    elif journal.next_seq:
        begin, end, is_whole = f'{{"$head":{head.decode()},"$entries":[', "]}", True
    else:
        yield head.decode()
        return
    separator = begin
    async for data in _entries_of(store, journal, is_whole=is_whole):
        yield separator + (data if is_whole else _unwrapped(data)).decode()
        separator = ","
    yield end if separator == "," else begin + end


async def _entries_of(store: JournalStore, journal: Journal, *, is_whole: bool = False) -> AsyncIterator[bytes]:
    """The data of all entries that a journal has had when it was listed, or the whole entries, with their ids."""
    query = EntryQuery(before=journal.next_seq, limit=ENTRIES_MAX)
    try:
        while journal.next_seq:
            page = await store.read_entries(journal.space, journal.key, query)
            if (page.journal.incarnation, page.journal.generation) != (journal.incarnation, journal.generation):
                raise _changed(journal)
            for entry in page.entries:
                whole = NewEntry(id=entry.id, data=entry.data)
                yield msgspec.json.encode(whole) if is_whole else bytes(entry.data)
            if not page.more:
                return
            query.cursor = page.next_cursor
    except (CursorExpired, NotFound) as error:
        raise _changed(journal) from error


def _changed(journal: Journal) -> Unavailable:
    return Unavailable(f"The journal {journal.key[:80]} was changed while it was read. Go on after the last whole row.")


def _around_entries(members: dict[str, Raw]) -> tuple[str, str]:
    """The text of an object before the entries in it, and after them."""
    texts = [f"{msgspec.json.encode(name).decode()}:{bytes(value).decode()}" for name, value in members.items()]
    place = list(members).index("entries")
    before = "".join(f"{text}," for text in texts[:place])
    after = "".join(f",{text}" for text in texts[place + 1 :])
    return f'{{{before}"entries":[', f"]{after}}}"


def _unwrapped(entry: bytes) -> bytes:
    """The JSON of an entry: its own, or the text in `{"$json"}`, where a client keeps what our JSON cannot say."""
    members = _members(entry) if entry.startswith(b'{"$json":"') else None
    if members is None or members.keys() != {"$json"}:
        return entry
    return msgspec.json.decode(members["$json"], type=str).encode()


def _members(text: bytes) -> dict[str, Raw] | None:
    """The members of a JSON object; None of anything else."""
    if text.lstrip()[:1] != b"{":
        return None
    return msgspec.json.decode(text, type=dict[str, Raw])


def _is_null(value: Raw | None) -> bool:
    return value is not None and bytes(value) == b"null"


# In


async def keep_rows(store: JournalStore, space: str, lines: AsyncIterator[bytes | ThreadkeepError]) -> RowsReport:
    """Keep what is newer than what is there, row by row, and tell what became of them.

    A row of the same time is skipped if it says the same, and kept if not; an older one is skipped. So all may be sent
    again, and both ways. One that is wrong is skipped, with the reason, and stops no other.
    """
    checked_space(space)
    report = RowsReport(kept=0, same=0, older=0, skipped=[])
    index = 0
    async for line in lines:
        try:
            if isinstance(line, ThreadkeepError):
                raise line
            outcome = await _keep(store, space, finished(decoding(line, Row, whole="row")))
            setattr(report, outcome, getattr(report, outcome) + 1)
        except Unavailable:
            raise
        except ThreadkeepError as error:
            report.skipped.append(SkippedRow(index, Refusal(error.code, error.message, error.details)))
        index += 1
    return report


async def _keep(store: JournalStore, space: str, row: Row) -> str:
    """Keep a row if it is newer; return which it was."""
    checked_name(row.id, "id")
    try:
        journal = await service.get_journal(store, space, row.id)
    except NotFound:
        pass
    else:
        if journal.updated_at > row.updated_at:
            return "older"
        if journal.updated_at == row.updated_at and await _says(store, journal, row.data):
            return "same"
    parts = parts_of(row.data)
    try:
        for start in range(0, len(parts.entries) or 1, ENTRIES_MAX):
            new = NewEntries(
                entries=parts.entries[start : start + ENTRIES_MAX],
                head=UNSET if start else parts.head,
                cut=None if start else 0,
                create=not start,
                updated_at=row.updated_at,
            )
            await service.append_entries(store, space, row.id, new, request=None)
    except Stale as error:
        if (error.details or {}).get("reason") != "older":
            raise
        return "older"
    return "kept"


async def _says(store: JournalStore, journal: Journal, data: str) -> bool:
    """Whether a journal says the same as a `data`, but for white space between the parts of JSON."""
    kept = "".join([piece async for piece in data_of(store, journal)])
    return _without_space(kept) == _without_space(data)


def _without_space(text: str) -> bytes:
    """JSON without white space between its parts; anything else as it is."""
    try:
        return msgspec.json.format(text.encode(), indent=-1)
    except msgspec.DecodeError:
        return text.encode()


def parts_of(data: str) -> _Parts:
    """The head and the entries that a `data` becomes."""
    text = data.encode()
    try:
        finished(decoding(text, Raw))
        members = _members(text)
    except Invalid:
        return _opaque(data)
    if members is None:
        return _Parts(Raw(text)) if len(text) <= HEAD_BYTES_MAX else _opaque(data)
    if _is_ours(members):
        return _opaque(data)
    if members.keys() == {"$head", "$entries"}:
        return _whole(text) or _opaque(data)
    entries = _with_ids(members["entries"]) if "entries" in members else None
    if entries is None:
        return _Parts(Raw(text)) if len(text) <= HEAD_BYTES_MAX else _opaque(data)
    head = msgspec.json.encode({**members, "entries": None})
    return _Parts(Raw(head), entries) if len(head) <= HEAD_BYTES_MAX else _opaque(data)


def _is_ours(members: dict[str, Raw] | None) -> bool:
    """Whether an object would be taken for what we make of others."""
    return members is not None and (members.keys() == {"$json"} or _is_null(members.get("entries")))


def _with_ids(entries: Raw) -> list[NewEntry] | None:
    """An array of objects, each with an id of its own, as entries; None of anything else."""
    try:
        listed = msgspec.json.decode(entries, type=list[Raw])
        ids = [_id_of(entry) for entry in listed]
    except (msgspec.DecodeError, Invalid):
        return None
    if len(set(ids)) < len(ids):
        return None
    return [NewEntry(id=id_, data=Raw(bytes(entry))) for id_, entry in zip(ids, listed, strict=True)]


class _HasId(Struct):
    id: str


def _id_of(entry: Raw) -> str:
    return checked_name(msgspec.json.decode(entry, type=_HasId).id, "id", NAME_BYTES_MAX)


def _whole(text: bytes) -> _Parts | None:
    """A journal of another form; None where it cannot be one."""
    try:
        whole = msgspec.json.decode(text, type=_WholeJournal)
        service.append_record(NewEntries(entries=whole.entries[:ENTRIES_MAX], head=whole.head))
    except (msgspec.DecodeError, Invalid, TooLarge):
        return None
    if not whole.entries or _is_ours(_members(bytes(whole.head))):
        return None
    return _Parts(Raw(bytes(whole.head)), [NewEntry(id=each.id, data=Raw(bytes(each.data))) for each in whole.entries])


def _opaque(data: str) -> _Parts:
    """A text as it is, in parts."""
    starts = range(0, len(data) or 1, _PART_CHARACTERS)
    parts = [data[start : start + _PART_CHARACTERS] for start in starts]
    return _Parts(OPAQUE, [NewEntry(data=Raw(msgspec.json.encode(part))) for part in parts])
