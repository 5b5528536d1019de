"""OpenAI's Conversations API, one batch of the store for each call but the removal of an item, which looks first.

A conversation is a journal in the space `openai.conversations`. Its metadata is the text of its JSON within the head,
so that a patch puts other metadata in its place, instead of merging both.
"""

from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from threadkeep.agents.checks import checked_name, request_name
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import ENTRIES_MAX, Entry, Journal, JournalChanges, NewEntries, NewEntry
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.openai.items import Fields, completed, fields_of, minted
from threadkeep.agents.openai.models import (
    NewOpenAIConversation,
    NewOpenAIItems,
    OpenAIConversation,
    OpenAIConversationChanges,
    OpenAIConversationDeleted,
    OpenAIItemList,
    Order,
)
from threadkeep.agents.store import StateStore
from threadkeep.clock import now
from threadkeep.conversations.models import Count
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, TooLarge

SPACE = "openai.conversations"
_NULL = Raw(b"null")

T = TypeVar("T")


class _Head(Struct, rename="camel"):
    """The head of a conversation."""

    created_at: Count | None = None
    """In seconds, as whoever created it was told."""
    metadata: str = "{}"


async def create_conversation(store: StateStore, new: NewOpenAIConversation, request: str | None) -> OpenAIConversation:
    """Create a conversation with its first items, once for a request of a name. Raises Invalid and TooLarge."""
    request = request_name(request)
    id_, head = minted("conv", request, 0), _Head(now() // 1_000, _text_of(new.metadata))
    entries = _entries(_completed(new.items or [], request))
    # Where it is there already, this was sent before, and others may have written since.
    append = NewEntries(entries=entries, head=_raw(head), create=True, expected=0)
    try:
        _, is_new = await service.append_entries(store, SPACE, id_, append, request=request)
    except Stale:
        is_new = False
    return _shown(id_, head) if is_new else await get_conversation(store, id_)


async def get_conversation(store: StateStore, id_: str) -> OpenAIConversation:
    """A conversation. Raises Invalid and NotFound."""
    return _conversation(await _found(id_, service.get_journal(store, SPACE, id_)))


async def update_conversation(
    store: StateStore, id_: str, changes: OpenAIConversationChanges, request: str | None
) -> OpenAIConversation:
    """Put other metadata in the place of what there is. Raises Invalid and NotFound."""
    patch = JournalChanges(head=_raw({"metadata": _text_of(changes.metadata)}))
    patched = service.patch_journal(store, SPACE, id_, patch, expected=None, request=request)
    return _conversation(await _found(id_, patched))


async def delete_conversation(store: StateStore, id_: str) -> OpenAIConversationDeleted:
    """Delete a conversation with its items. Where there is none, nothing is to be done. Raises Invalid."""
    await service.delete_journal(store, SPACE, id_, expected=None)
    return OpenAIConversationDeleted(id=id_)


async def add_items(
    store: StateStore, id_: str, new: NewOpenAIItems, request: str | None, *, is_retry: bool
) -> OpenAIItemList:
    """Add items to the end; return them as they are kept. Raises Invalid, NotFound, Conflict and TooLarge.

    A retry is answered with the newest items where they are the same: its answer was lost, but not what it did. It is
    known by its name, or, where a client only says that it is one, by what it sends.
    """
    named = request_name(request)
    items = _completed(new.items, named)
    if is_retry and request is None and items:
        page = await _found(id_, service.read_entries(store, SPACE, id_, EntryQuery(newest=True, limit=len(items))))
        if _are_kept(items, new.items, page.entries):
            return _listed(page.entries, has_more=False)
    entries = _entries(items)
    append = service.append_entries(store, SPACE, id_, NewEntries(entries=entries), request=named)
    appended, is_new = await _found(id_, append)
    # Of items that bring ids, the append itself has seen whether they are the same.
    if not is_new and request is not None and appended.first is not None and appended.last is not None:
        query = EntryQuery(after=appended.first - 1, before=appended.last + 1, limit=len(entries))
        kept = {entry.id: fields_of(entry.data) for entry in (await store.read_entries(SPACE, id_, query)).entries}
        if any(kept.get(entry.id, fields_of(entry.data)) != fields_of(entry.data) for entry in entries):
            raise _other_items()
    return _listed(entries, has_more=False)


async def list_items(store: StateStore, id_: str, *, after: str | None, order: Order, limit: int) -> OpenAIItemList:
    """A page of items, the oldest first or the newest, that goes on after an item. Raises Invalid and NotFound."""
    if after is not None:
        checked_name(after, "after")
    query = EntryQuery(beyond=after, newest=order == "desc", limit=limit)
    page = await _found(id_, service.read_entries(store, SPACE, id_, query))
    if after is not None and not page.entries:
        found = await service.read_entries(store, SPACE, id_, EntryQuery(only=after))
        if not found.entries:
            raise Invalid("after: There is no such item in this conversation. List it from the start.", "after")
    return _listed(page.entries[::-1] if query.newest else page.entries, has_more=page.more)


async def get_item(store: StateStore, id_: str, item: str) -> Raw:
    """An item. Raises Invalid and NotFound."""
    page = await _found(id_, service.read_entries(store, SPACE, id_, EntryQuery(only=item)))
    if not page.entries:
        raise _no_item(item)
    return page.entries[0].data


async def delete_item(store: StateStore, id_: str, item: str, *, is_retry: bool) -> OpenAIConversation:
    """Remove an item; return its conversation. Raises Invalid and NotFound, but for a retry: it was removed before."""
    query = EntryQuery(only=item, with_head=True, limit=1)
    page = await _found(id_, service.read_entries(store, SPACE, id_, query))
    if page.entries:
        await _found(id_, service.append_entries(store, SPACE, id_, NewEntries(remove=[item]), request=None))
    elif not is_retry:
        raise _no_item(item)
    return _conversation(page.journal)


async def _found(id_: str, call: Awaitable[T]) -> T:
    """What a call answers that asks for a conversation."""
    try:
        return await call
    except NotFound as error:
        raise NotFound(f"There is no conversation {id_[:80]}. Create one first.") from error


def _other_items() -> Conflict:
    """Something else was sent under the name of this request before."""
    return Conflict(
        "Other items were sent with this Idempotency-Key before. Send a new key with new items.",
        {"reason": "conflict"},
    )


def _no_item(item: str) -> NotFound:
    return NotFound(f"There is no item {item[:80]} in this conversation.")


def _completed(items: list[Raw], request: str) -> list[Fields]:
    if len(items) > ENTRIES_MAX:
        raise TooLarge(f"items: At most {ENTRIES_MAX} can be sent together.", {"path": "items"})

    def item(number: int, sent: Raw) -> Fields:
        return completed(sent, f"items[{number}]", lambda prefix: minted(prefix, request, number))

    return [item(number, sent) for number, sent in enumerate(items)]


def _entries(items: list[Fields]) -> list[NewEntry]:
    return [NewEntry(id=msgspec.json.decode(fields["id"], type=str), data=_raw(fields)) for fields in items]


def _conversation(journal: Journal) -> OpenAIConversation:
    created_at = journal.created_at // 1_000
    try:
        head = msgspec.json.decode(journal.head, type=_Head) if isinstance(journal.head, Raw) else _Head()
        return _shown(journal.key, head, created_at)
    except (msgspec.DecodeError, RecursionError):  # it was made as a journal
        return _shown(journal.key, _Head(), created_at)


def _shown(id_: str, head: _Head, created_at: int = 0) -> OpenAIConversation:
    metadata = msgspec.json.decode(head.metadata, type=dict[str, str])
    return OpenAIConversation(id=id_, created_at=head.created_at or created_at, metadata=metadata)


def _are_kept(items: list[Fields], sent: list[Raw], entries: list[Entry]) -> bool:
    """Whether entries say what these items do, but for the ids of those that were sent without one."""
    are_named = [fields_of(raw).get("id", _NULL) != _NULL for raw in sent]

    def compared(several: list[Fields]) -> list[Fields]:
        return [
            fields if is_named else {**fields, "id": _NULL}
            for fields, is_named in zip(several, are_named, strict=False)
        ]

    return compared([fields_of(entry.data) for entry in entries]) == compared(items)


def _listed(entries: list[Entry] | list[NewEntry], *, has_more: bool) -> OpenAIItemList:
    return OpenAIItemList(
        data=[entry.data for entry in entries],
        first_id=entries[0].id if entries else None,
        last_id=entries[-1].id if entries else None,
        has_more=has_more,
    )


def _text_of(metadata: dict[str, str] | None) -> str:
    return msgspec.json.encode(metadata or {}).decode()


def _raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))
