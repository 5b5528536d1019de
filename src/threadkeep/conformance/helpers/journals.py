"""Journals as tests make them: through the service, as the HTTP API does."""

from typing import Any

import msgspec
from msgspec import Raw

from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import (
    AppendedEntries,
    Entry,
    EntryPage,
    Guard,
    Journal,
    JournalChanges,
    NewEntries,
    PutJournal,
)
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.store import StateStore

SPACE = "tests"
KEY = 'a/journal "of" [ours]'


def raw(value: Any) -> Raw:
    """A value as JSON."""
    return value if isinstance(value, Raw) else Raw(msgspec.json.encode(value))


def plain(value: Raw | Any) -> Any:
    """What JSON says."""
    return msgspec.json.decode(value)


async def put(
    store: StateStore,
    key: str = KEY,
    *,
    space: str = SPACE,
    expected: int | None = None,
    request: str | None = None,
    **fields: Any,
) -> tuple[Journal, bool]:
    """Put a journal, whose head and identity are plain values."""
    fields |= {name: raw(fields[name]) for name in ("head", "identity") if name in fields}
    return await service.put_journal(store, space, key, PutJournal(**fields), expected=expected, request=request)


async def patch(
    store: StateStore, key: str = KEY, *, expected: int | None = None, request: str | None = None, **fields: Any
) -> Journal:
    """Patch a journal, whose head is a plain value."""
    fields |= {"head": raw(fields["head"])} if "head" in fields else {}
    return await service.patch_journal(store, SPACE, key, JournalChanges(**fields), expected=expected, request=request)


async def append(
    store: StateStore, *entries: Any, key: str = KEY, request: str | None = None, **fields: Any
) -> tuple[AppendedEntries, bool]:
    """Append entries: plain values, or pairs of an id and one."""
    listed = [{"id": each[0], "data": each[1]} if isinstance(each, tuple) else {"data": each} for each in entries]
    fields |= {"head": raw(fields["head"])} if "head" in fields else {}
    fields |= {"guard": _guard(fields["guard"])} if "guard" in fields else {}
    new = msgspec.convert({"entries": []}, NewEntries)
    new = msgspec.structs.replace(
        new,
        entries=[service.NewEntry(id=each.get("id"), data=raw(each["data"])) for each in listed],
        **fields,
    )
    return await service.append_entries(store, SPACE, key, new, request=request)


def _guard(fields: dict[str, Any]) -> Guard:
    return msgspec.json.decode(msgspec.json.encode(fields), type=Guard)


async def read(store: StateStore, key: str = KEY, **query: Any) -> EntryPage:
    """Read a page."""
    return await store.read_entries(SPACE, key, EntryQuery(**query))


async def read_all(store: StateStore, key: str = KEY, limit: int = 1_000) -> list[Entry]:
    """Read every entry, page by page."""
    page = await read(store, key, limit=limit)
    entries = page.entries
    while page.more:
        page = await read(store, key, limit=limit, cursor=page.next_cursor)
        entries += page.entries
    return entries


async def contents(store: StateStore, key: str = KEY) -> list[Any]:
    """What all entries say."""
    return [plain(entry.data) for entry in await read_all(store, key)]
