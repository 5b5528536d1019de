"""Sessions of the OpenAI Agents SDK, kept by Threadkeep: over HTTP, or in a SQLite file without a server.

A session is a journal in the space `openai.sessions`, and each item is an entry of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import chain, takewhile
from os import PathLike, fspath
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from agents.items import TResponseInputItem
from agents.memory import SessionABC, SessionSettings
from agents.memory.session_settings import coerce_session_settings, resolve_session_limit

from threadkeep.adapters.connections import Connections
from threadkeep.adapters.json_values import from_json, to_json
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import ENTRIES_MAX, Entry, Journal, NewEntries, NewEntry
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.store import StateStore
from threadkeep.client.states import IN_MEMORY, Target
from threadkeep.errors import NotFound, Stale
from threadkeep.ids import new_id

SPACE = "openai.sessions"
APPEND_BYTES_MAX = 4_000_000
"""How much is sent at once, unless a single item has more. A server reads bodies of 8 MiB."""

_FOREVER = 2**53
_OWN = ("get_items", "add_items", "pop_item", "clear_session")

T = TypeVar("T")
Item = TResponseInputItem


@dataclass(frozen=True)
class Snapshot:
    """The newest items, as the SDK compacts them: with the means to replace them if they are still the newest."""

    items: list[Item]
    complete: bool
    """Whether there are no older ones."""
    replace_suffix: Callable[[int, list[Item]], Awaitable[bool]]


@dataclass(frozen=True)
class _Tail:
    """The newest entries of a session, all of one version of its journal; it has none if it is not there yet."""

    journal: Journal | None
    entries: list[Entry]
    complete: bool


class ThreadkeepSession(SessionABC):
    """A session that any number of processes may share. docs/openai-agents.md shows how it is used.

    `where` is the URL of a Threadkeep, a SQLite file to open in this process, or a store that is open; without it,
    THREADKEEP_URL says where. `key` is a service key of that Threadkeep, with the `user` that it acts for, or a JWT
    alone (THREADKEEP_KEY, THREADKEEP_USER).

    An `add_items` is kept whole or not at all, up to 1,000 items and 4 MB, and once if it is sent again because its
    answer was lost. What others add meanwhile is never lost, neither to a compaction nor to a `pop_item`.
    """

    def __init__(
        self,
        session_id: str,
        where: Target | StateStore = None,
        *,
        user: str | None = None,
        key: str | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = coerce_session_settings(session_settings or SessionSettings())
        self._user = user
        self._connections = _connections_to(where, key)

    async def get_items(self, limit: int | None = None) -> list[Item]:
        """The newest items in order, or all of them without a limit, or with a negative one."""
        most = resolve_session_limit(limit, self.session_settings)
        if most == 0:
            return []
        tail = await self._tail(most if most is not None and most > 0 else _FOREVER)
        return _items_of(tail.entries)

    async def add_items(self, items: list[Item]) -> None:
        """Add items to the end."""
        await _to_the_end(self._add(items))

    async def pop_item(self) -> Item | None:
        """Remove the newest item and return it; None where there is none."""
        return await self._pop_item_with_validation()

    async def clear_session(self) -> None:
        """Remove all items, and that there was a session."""
        await _to_the_end(self._clear())

    @property
    def has_own_ways(self) -> bool:
        """Whether a subclass reads or writes items in its own way, which what follows would go around."""
        return any(getattr(type(self), name) is not getattr(ThreadkeepSession, name) for name in _OWN)

    async def close(self) -> None:
        """Close the connection of this event loop, which sessions of one place share, when none is used any more."""
        await self._connections.close()

    # What the SDK looks for in a session, and does in several steps where it is not there.

    async def _pop_item_with_validation(self, validate: Callable[[Item], None] | None = None) -> Item | None:
        """`pop_item`, of an item that passes: where `validate` raises, nothing is removed."""
        return await _to_the_end(self._pop(validate))

    async def _get_compaction_snapshot(
        self, limit: int, *, prune_prefix: Callable[[Item], bool] | None = None
    ) -> Snapshot | None:
        """The newest items, and how to put others in their place at once; None where a subclass has ways of its own.

        With them go the oldest items, as many as `prune_prefix` says of.
        """
        if self.has_own_ways:
            return None
        tail = await self._tail(limit)

        async def replace_suffix(start: int, output: list[Item]) -> bool:
            replaced = tail.entries[start:]
            if tail.journal is None or not replaced or len(output) > ENTRIES_MAX:
                return False
            return await _to_the_end(self._replace(tail.journal, replaced[0].seq, output, prune_prefix))

        return Snapshot(_items_of(tail.entries), tail.complete, replace_suffix)

    async def _atomic_replace_items(self, items: list[Item]) -> bool:
        """Put others in the place of all items at once; False where a subclass has ways of its own, or for too many."""
        if self.has_own_ways or len(items) > ENTRIES_MAX:
            return False
        await _to_the_end(self._replace_all(items))
        return True

    # How it is done

    async def _tail(self, limit: int) -> _Tail:
        """The newest entries, as they are at one moment."""
        pages: list[list[Entry]] = []
        first: Journal | None = None
        count = 0
        while True:
            before = pages[-1][0].seq if pages else None
            query = EntryQuery(newest=True, before=before, limit=min(limit - count, ENTRIES_MAX))
            try:
                page = await (await self._store()).read_entries(SPACE, self.session_id, query)
            except NotFound:
                return _Tail(None, [], complete=True)
            first = first or page.journal
            if (page.journal.incarnation, page.journal.generation) != (first.incarnation, first.generation):
                pages, first, count = [], None, 0  # something was removed meanwhile
                continue
            pages.append(page.entries)
            count += len(page.entries)
            if count == limit or not page.more:
                return _Tail(first, list(chain.from_iterable(reversed(pages))), complete=not page.more)

    async def _store(self) -> StateStore:
        return await self._connections.store(self._user)

    async def _clear(self) -> None:
        await (await self._store()).delete_journal(SPACE, self.session_id)
        await self._connections.sweep(self._user)

    async def _add(self, items: list[Item]) -> None:
        request = new_id()
        for number, part in enumerate(_parts(_entries_of(request, items))):
            await self._append(f"{request}.{number}", NewEntries(entries=part, create=True))

    async def _pop(self, validate: Callable[[Item], None] | None) -> Item | None:
        while True:
            tail = await self._tail(1)
            if tail.journal is None or not tail.entries:
                return None
            (entry,) = tail.entries
            (item,) = _items_of([entry])
            if validate is not None:
                await asyncio.to_thread(validate, item)
            try:
                await self._append(new_id(), NewEntries(cut=entry.seq, expected=tail.journal.version))
            except (Stale, NotFound):
                continue  # somebody else has written meanwhile
            return item

    async def _replace(
        self, seen: Journal, cut: int, output: list[Item], prune_prefix: Callable[[Item], bool] | None
    ) -> bool:
        """Put items in the place of those from `cut` on, unless the journal is another than it was, or has moved on."""
        query = EntryQuery(limit=ENTRIES_MAX if prune_prefix else 1)
        try:
            page = await (await self._store()).read_entries(SPACE, self.session_id, query)
            if (page.journal.incarnation, page.journal.version) != (seen.incarnation, seen.version):
                return False

            def is_pruned(entry: Entry) -> bool:
                return prune_prefix is not None and entry.seq < cut and prune_prefix(*_items_of([entry]))

            remove = [entry.id for entry in takewhile(is_pruned, page.entries) if entry.id is not None]
            new = NewEntries(entries=_entries_of(new_id(), output), cut=cut, remove=remove, expected=seen.version)
            await self._append(new_id(), new)
        except (Stale, NotFound):
            return False
        return True

    async def _replace_all(self, items: list[Item]) -> None:
        request = new_id()
        entries = _entries_of(request, items)
        while True:
            seen = (await self._tail(1)).journal
            version = 0 if seen is None else seen.version
            try:
                new = NewEntries(entries=entries, cut=0, create=True, expected=version)
                return await self._append(request, new)
            except Stale:
                if entries and await self._has(entries[0]):
                    return None  # it was done, and its answer lost; what others have added since stays

    async def _has(self, entry: NewEntry) -> bool:
        page = await (await self._store()).read_entries(SPACE, self.session_id, EntryQuery(only=entry.id))
        return bool(page.entries)

    async def _append(self, request: str, new: NewEntries) -> None:
        await service.append_entries(await self._store(), SPACE, self.session_id, new, request=request)


_shared: WeakValueDictionary[tuple[str | None, str | None], Connections] = WeakValueDictionary()


def _connections_to(where: Target | StateStore, key: str | None) -> Connections:
    """The connections to a place. All sessions of one place have the same, for as long as there are any."""
    if where is not None and not isinstance(where, (str, PathLike)):
        store = where
        return Connections(lambda _: store, key)
    place = None if where is None else fspath(where)
    if place == IN_MEMORY:
        raise ValueError("where: What is in memory alone is for the SDK's own SQLiteSession. Name a file.")
    return _shared.setdefault((place, key), Connections(place, key))


def _entries_of(request: str, items: list[Item]) -> list[NewEntry]:
    """Items as entries, by ids that tell them when they are sent again."""
    return [NewEntry(id=f"{request}/{number}", data=to_json(item)) for number, item in enumerate(items)]


def _items_of(entries: list[Entry]) -> list[Item]:
    return [from_json(entry.data) for entry in entries]


def _parts(entries: list[NewEntry]) -> Iterator[list[NewEntry]]:
    """Entries in parts that can each be appended at once."""
    part: list[NewEntry] = []
    size = 0
    for entry in entries:
        bytes_ = len(memoryview(entry.data))
        if part and (len(part) == ENTRIES_MAX or size + bytes_ > APPEND_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(entry)
        size += bytes_
    if part:
        yield part


async def _to_the_end(write: Coroutine[Any, Any, T]) -> T:
    """Wait for a write however often the caller is cancelled, and only then let it be, as the SDK's own sessions do.

    So a caller that is cancelled never leaves a write behind that may still happen.
    """
    task = asyncio.ensure_future(write)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    try:
        result = task.result()
    except BaseException:
        if cancelled is None:
            raise
    if cancelled is not None:
        raise cancelled
    return result
