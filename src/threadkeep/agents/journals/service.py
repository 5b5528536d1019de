"""The rules of journals on every back end: what is checked and completed before a store is asked to keep it."""

from msgspec import UNSET, Raw

from threadkeep.agents.checks import (
    checked_label,
    checked_name,
    checked_space,
    digest_of,
    milliseconds,
    request_name,
)
from threadkeep.agents.journals.models import (
    ENTRIES_MAX,
    HEAD_BYTES_MAX,
    AppendedEntries,
    Entry,
    EntryPage,
    Guard,
    Journal,
    JournalChanges,
    JournalPage,
    NewEntries,
    NewEntry,
    NewProducer,
    Order,
    PutJournal,
)
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, EntryRecord, JournalEdit, JournalRecord
from threadkeep.agents.journals.store import JournalStore
from threadkeep.agents.tasks import records as tasks
from threadkeep.errors import Invalid, TooLarge


async def put_journal(
    store: JournalStore, space: str, key: str, new: PutJournal, *, expected: int | None, request: str | None
) -> tuple[Journal, bool]:
    """Keep a journal. Returns and raises as `JournalStore.put_journal`; also Invalid and TooLarge."""
    if new.mode == "replace" and expected is not None:
        raise Invalid("mode: A journal is replaced whatever its version is. Leave out `If-Match`.", "mode")
    head = Raw(b"null") if new.head is UNSET else _head(new.head)
    identity = digest_of(new.kind, new.lane, sent=[head]) if new.identity is UNSET else digest_of(sent=[new.identity])
    record = JournalRecord(
        space=checked_space(space),
        key=_checked_key(key),
        request=request_name(request),
        mode=new.mode,
        head=head,
        identity=identity,
        sent_identity=new.identity if new.identity is UNSET else Raw(bytes(new.identity)),
        lane=checked_label(new.lane, "lane"),
        kind=checked_label(new.kind, "kind"),
        status=checked_label(new.status, "status"),
        sort=checked_label(new.sort, "sort") or "",
        expires_in=milliseconds(new.expires_in),
        expected=expected,
    )
    return await store.put_journal(record)


async def patch_journal(
    store: JournalStore, space: str, key: str, changes: JournalChanges, *, expected: int | None, request: str | None
) -> Journal:
    """Edit a journal. Returns and raises as `JournalStore.patch_journal`; also Invalid and TooLarge."""
    if isinstance(changes.head, Raw) and bytes(changes.head).lstrip()[:1] != b"{":
        raise Invalid("head: A merge patch is an object. Send the whole journal by PUT to set anything else.", "head")
    edit = JournalEdit(
        request=request_name(request),
        head=changes.head if changes.head is UNSET else _head(changes.head),
        status=changes.status if changes.status is UNSET else checked_label(changes.status, "status"),
        sort=changes.sort if changes.sort is UNSET else checked_label(changes.sort, "sort") or "",
        status_is=changes.status_is,
        expected=expected,
    )
    return await store.patch_journal(checked_space(space), _checked_key(key), edit)


async def acquire_producer(
    store: JournalStore, space: str, key: str, new: NewProducer, *, request: str | None
) -> Journal:
    """Claim a journal. Returns and raises as `JournalStore.acquire_producer`; also Invalid."""
    producer = checked_name(new.producer, "producer")
    return await store.acquire_producer(
        checked_space(space), _checked_key(key), producer, request=request_name(request)
    )


async def append_entries(
    store: JournalStore, space: str, key: str, new: NewEntries, *, request: str | None
) -> tuple[AppendedEntries, bool]:
    """Write to a journal. Returns and raises as `JournalStore.append_entries`; also Invalid and TooLarge."""
    return await store.append_entries(checked_space(space), _checked_key(key), append_record(new, request))


async def get_journal(store: JournalStore, space: str, key: str) -> Journal:
    """Get a journal. Returns and raises as `JournalStore.get_journal`; also Invalid."""
    return await store.get_journal(checked_space(space), _checked_key(key))


async def list_journals(
    store: JournalStore,
    space: str,
    *,
    status: str | None = None,
    order: Order = "sort",
    cursor: str | None = None,
    limit: int = 100,
) -> JournalPage:
    """List journals. Returns and raises as `JournalStore.list_journals`; also Invalid."""
    if order == "updated" and status is not None:
        raise Invalid("status: Journals of one status are listed by `sort` alone. Leave out `order`.", "status")
    return await store.list_journals(checked_space(space), status=status, order=order, cursor=cursor, limit=limit)


async def delete_journal(store: JournalStore, space: str, key: str, *, expected: int | None = None) -> None:
    """Delete a journal. Raises as `JournalStore.delete_journal`; also Invalid."""
    await store.delete_journal(checked_space(space), _checked_key(key), expected=expected)


async def read_entries(store: JournalStore, space: str, key: str, query: EntryQuery) -> EntryPage:
    """Read a page. Returns and raises as `JournalStore.read_entries`; also Invalid."""
    for name, value in (("only", query.only), ("beyond", query.beyond)):
        if value is not None:
            checked_name(value, name)
    return await store.read_entries(checked_space(space), _checked_key(key), query)


async def pop_entry(store: JournalStore, space: str, key: str) -> Entry | None:
    """Pop an entry. Returns and raises as `JournalStore.pop_entry`; also Invalid."""
    return await store.pop_entry(checked_space(space), _checked_key(key))


def _checked_key(key: str) -> str:
    """A key itself, if a journal may have it. Raises Invalid."""
    if key == "rows":
        raise Invalid("key: At this address are the rows of all journals of a space. Take another key.", "key")
    return checked_name(key, "key")


def append_record(new: NewEntries, request: str | None = None) -> AppendRecord:
    """Check an append. Raises Invalid or TooLarge with the path of what is wrong."""
    for name in ("entries", "remove"):
        if len(getattr(new, name)) > ENTRIES_MAX:
            raise TooLarge(f"{name}: At most {ENTRIES_MAX} can be sent together.", {"path": name})
    if new.producer is not None and not new.entries:
        raise Invalid("entries: An append of a producer has at least one, by which it is known again.", "entries")
    if new.producer is not None and new.create:
        raise Invalid("create: Nobody has claimed a journal that is not there. Create it, and claim it.", "create")
    if new.at is not None and (new.cut is not None or new.remove):
        raise Invalid("at: What removes entries appends to the end. Leave out `at`, or `cut` and `remove`.", "at")
    entries = [_entry(entry, f"entries[{index}]") for index, entry in enumerate(new.entries)]
    places: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry.id is not None and places.setdefault(entry.id, index) != index:
            path = f"entries[{index}].id"
            raise Invalid(f"{path}: This is also the id of entries[{places[entry.id]}]; give each its own.", path)
    guard = None if new.guard is None else _guard(new.guard)
    return AppendRecord(
        request=request_name(request),
        digest=digest_of(*(entry.digest for entry in entries), *([] if guard is None else [guard])),
        entries=entries,
        producer=new.producer,
        guard=guard,
        at=new.at,
        cut=new.cut,
        remove=[checked_name(id_, f"remove[{index}]") for index, id_ in enumerate(dict.fromkeys(new.remove))],
        head=new.head if new.head is UNSET else _head(new.head),
        status=new.status if new.status is UNSET else checked_label(new.status, "status"),
        sort=new.sort if new.sort is UNSET else checked_label(new.sort, "sort") or "",
        expected=new.expected,
        updated_at=new.updated_at,
        create=new.create,
        close=new.close,
        expires_in=milliseconds(new.expires_in),
    )


def _entry(entry: NewEntry, path: str) -> EntryRecord:
    id_ = None if entry.id is None else checked_name(entry.id, f"{path}.id")
    return EntryRecord(id=id_, digest=digest_of(sent=[entry.data]), data=Raw(bytes(entry.data)))


def _guard(guard: Guard) -> tasks.Guard:
    if len(guard.joined) > ENTRIES_MAX:
        raise TooLarge(f"guard.joined: At most {ENTRIES_MAX} tasks can be named.", {"path": "guard.joined"})
    if (guard.settlement_id is None) != (guard.settlement is UNSET):
        raise Invalid("guard: Name both `settlementId` and `settlement`, or neither.", "guard")
    if guard.settlement_id is not None:
        checked_name(guard.settlement_id, "guard.settlementId")
    return tasks.Guard(
        queue=checked_name(guard.queue, "guard.queue"),
        task=checked_name(guard.task, "guard.task"),
        attempt=checked_name(guard.attempt, "guard.attempt"),
        joined=[checked_name(id_, f"guard.joined[{index}]") for index, id_ in enumerate(dict.fromkeys(guard.joined))],
        settlement_id=guard.settlement_id,
        settlement_digest=None if guard.settlement is UNSET else digest_of(sent=[guard.settlement]),
        sent_settlement=guard.settlement if guard.settlement is UNSET else Raw(bytes(guard.settlement)),
    )


def _head(head: Raw) -> Raw:
    if len(memoryview(head)) > HEAD_BYTES_MAX:
        raise TooLarge(
            f"head: It has at most {HEAD_BYTES_MAX:,} bytes. Keep what is large in entries.", {"path": "head"}
        )
    return Raw(bytes(head))
