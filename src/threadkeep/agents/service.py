"""The rules of journals on every back end: what is checked and completed before a store is asked to keep it."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from threadkeep.agents.models import (
    ENTRIES_MAX,
    HEAD_BYTES_MAX,
    NAME_BYTES_MAX,
    SPACE_BYTES_MAX,
    AppendedEntries,
    Journal,
    JournalChanges,
    NewEntries,
    NewEntry,
    NewProducer,
    PutJournal,
)
from threadkeep.agents.records import AppendRecord, EntryRecord, JournalEdit, JournalRecord
from threadkeep.agents.store import StateStore
from threadkeep.errors import Invalid, TooLarge
from threadkeep.ids import new_id

_is_request = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search


async def put_journal(
    store: StateStore, space: str, key: str, new: PutJournal, *, expected: int | None, request: str | None
) -> tuple[Journal, bool]:
    """Keep a journal. Returns and raises as `StateStore.put_journal`; also Invalid and TooLarge."""
    if new.mode == "replace" and expected is not None:
        raise Invalid("mode: A journal is replaced whatever its version is. Leave out `If-Match`.", "mode")
    head = _head(new.head)
    identity = _digest(new.kind, sent=[head]) if new.identity is UNSET else _digest(sent=[new.identity])
    record = JournalRecord(
        space=checked_space(space),
        key=checked_name(key, "key"),
        request=request_name(request),
        mode=new.mode,
        head=head,
        identity=identity,
        kind=_label(new.kind, "kind"),
        status=_label(new.status, "status"),
        sort=_label(new.sort, "sort") or "",
        expires_in=_milliseconds(new.expires_in),
        expected=expected,
    )
    return await store.put_journal(record)


async def patch_journal(
    store: StateStore, space: str, key: str, changes: JournalChanges, *, expected: int | None, request: str | None
) -> Journal:
    """Edit a journal. Returns and raises as `StateStore.patch_journal`; also Invalid and TooLarge."""
    if isinstance(changes.head, Raw) and bytes(changes.head).lstrip()[:1] != b"{":
        raise Invalid("head: A merge patch is an object. Send the whole journal by PUT to set anything else.", "head")
    edit = JournalEdit(
        request=request_name(request),
        head=changes.head if changes.head is UNSET else _head(changes.head),
        status=changes.status if changes.status is UNSET else _label(changes.status, "status"),
        sort=changes.sort if changes.sort is UNSET else _label(changes.sort, "sort") or "",
        status_is=changes.status_is,
        expected=expected,
    )
    return await store.patch_journal(checked_space(space), checked_name(key, "key"), edit)


async def acquire_producer(
    store: StateStore, space: str, key: str, new: NewProducer, *, request: str | None
) -> Journal:
    """Claim a journal. Returns and raises as `StateStore.acquire_producer`; also Invalid."""
    producer = checked_name(new.producer, "producer")
    return await store.acquire_producer(
        checked_space(space), checked_name(key, "key"), producer, request=request_name(request)
    )


async def append_entries(
    store: StateStore, space: str, key: str, new: NewEntries, *, request: str | None
) -> tuple[AppendedEntries, bool]:
    """Write to a journal. Returns and raises as `StateStore.append_entries`; also Invalid and TooLarge."""
    return await store.append_entries(checked_space(space), checked_name(key, "key"), append_record(new, request))


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
    return AppendRecord(
        request=request_name(request),
        digest=_digest(*(entry.digest for entry in entries)),
        entries=entries,
        producer=new.producer,
        at=new.at,
        cut=new.cut,
        remove=[checked_name(id_, f"remove[{index}]") for index, id_ in enumerate(dict.fromkeys(new.remove))],
        head=new.head if new.head is UNSET else _head(new.head),
        status=new.status if new.status is UNSET else _label(new.status, "status"),
        sort=new.sort if new.sort is UNSET else _label(new.sort, "sort") or "",
        expected=new.expected,
        create=new.create,
        close=new.close,
        expires_in=_milliseconds(new.expires_in),
    )


def request_name(given: str | None) -> str:
    """The name of a write: what the client gave it, or a new one. Raises Invalid."""
    if given is None:
        return new_id()
    if _is_request(given) is None:
        raise Invalid(
            "idempotency-key: It has 1 to 64 characters, each a letter from A to Z or a to z, a digit or one of . _ -.",
            "idempotency-key",
        )
    return given


def checked_space(space: str) -> str:
    """The name of a space itself, if it may be one. Raises Invalid."""
    return checked_name(space, "space", SPACE_BYTES_MAX)


def checked_name(name: str, path: str, most: int = NAME_BYTES_MAX) -> str:
    """A name itself, if it may be one. Raises Invalid."""
    if not name or _has_control(name) or len(name.encode()) > most:
        raise Invalid(f"{path}: A name has 1 to {most} bytes in UTF-8, and no control characters.", path)
    return name


def _label(label: str | None, path: str) -> str | None:
    return label if not label else checked_name(label, path)


def _entry(entry: NewEntry, path: str) -> EntryRecord:
    id_ = None if entry.id is None else checked_name(entry.id, f"{path}.id")
    return EntryRecord(id=id_, digest=_digest(sent=[entry.data]), data=Raw(bytes(entry.data)))


def _head(head: Raw) -> Raw:
    if len(memoryview(head)) > HEAD_BYTES_MAX:
        raise TooLarge(
            f"head: It has at most {HEAD_BYTES_MAX:,} bytes. Keep what is large in entries.", {"path": "head"}
        )
    return Raw(bytes(head))


def _digest(*values: Any, sent: list[Raw] | None = None) -> str:
    """SHA-256 of plain values, and of JSON to the letter as it was sent."""
    digest = hashlib.sha256(msgspec.json.encode(values))
    for raw in sent or []:
        digest.update(memoryview(raw))
    return digest.hexdigest()


def _milliseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000
