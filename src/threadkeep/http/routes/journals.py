"""Journals of agents: put, patch, read and delete them, claim them, and append to them."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from threadkeep.agents.journals import cursors, service
from threadkeep.agents.journals.models import (
    ENTRIES_MAX,
    AppendedEntries,
    EntryPage,
    Journal,
    JournalChanges,
    JournalPage,
    NewEntries,
    NewProducer,
    Order,
    Popped,
    PutJournal,
)
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.values import Name, OptionalText
from threadkeep.conversations.models import Count
from threadkeep.errors import CursorExpired, Invalid, NotFound
from threadkeep.http.events import Found, event, events_response, last_event_id, no_further, wants_events
from threadkeep.http.messages import Response, etag, json_response
from threadkeep.http.routes.base import IDEMPOTENCY_KEY, IF_MATCH, LAST_EVENT_ID, Call, Route, StateCursor

_JOURNAL = "/api/journals/{space}/{key}"


class JournalsQuery(Struct, forbid_unknown_fields=True):
    """Which journals to list."""

    status: Annotated[OptionalText, Meta(description="Only those of this status.")] | None = None
    order: Order = "sort"
    cursor: StateCursor | None = None
    limit: Annotated[int, Meta(ge=1, le=ENTRIES_MAX)] = 100


class EntriesQuery(Struct, forbid_unknown_fields=True):
    """Which entries to read."""

    after: Annotated[Count, Meta(description="Those after this `seq`.")] | None = None
    before: Annotated[Count, Meta(description="Those before this `seq`.")] | None = None
    newest: Annotated[bool, Meta(description="The last of them, instead of the first.")] = False
    limit: Annotated[int, Meta(ge=1, le=ENTRIES_MAX)] = 100
    head: Annotated[bool, Meta(description="Whether the journal comes with its head.")] = False
    only: Annotated[Name, Meta(description="Only the entry of this id.")] | None = None
    beyond: Annotated[Name, Meta(description="Those after the entry of this id, or before it.")] | None = None
    cursor: StateCursor | None = None


@Route(
    "GET",
    "/api/journals/{space}",
    answers={200: JournalPage},
    query=JournalsQuery,
    needs="agents",
)
async def list_journals(call: Call) -> Response:
    """List the journals of a space, by `sort` and then by key, both descending.

    With `order=updated` they come in the order in which they were last written, the oldest first, and then by key. A
    page may be shorter than `limit` if heads are large; only `nextCursor` tells whether there are more.
    """
    query: JournalsQuery = call.query
    space = call.path["space"]
    page = await service.list_journals(
        call.state, space, status=query.status, order=query.order, cursor=query.cursor, limit=query.limit
    )
    return json_response(200, page)


@Route(
    "PUT",
    _JOURNAL,
    answers={201: Journal, 200: Journal},
    fails=("conflict", "stale", "too_large"),
    body=PutJournal,
    headers=(IF_MATCH, IDEMPOTENCY_KEY),
    needs="agents",
)
async def put_journal(call: Call) -> Response:
    """Create a journal, save it, or replace it by a new one.

    `create` keeps one that is there as it is: it is a repeat, answered 200, if it was created with the same `identity`,
    and a `conflict` if with another. `save` sets head, kind, status and sort, and keeps the entries. `replace` begins
    another incarnation, without entries, and fences whoever wrote to the one before. With `If-Match`, `"0"` for none,
    the write is for that version, or fails with `stale`.
    """
    journal, is_new = await service.put_journal(
        call.state, *_place(call), call.body, expected=call.expected_version, request=call.request_name
    )
    headers = {"location": f"{call.request.mounted_at}{call.request.path}"} if is_new else {}
    return _journal(journal, 201 if is_new else 200, headers)


@Route(
    "PATCH",
    _JOURNAL,
    answers={200: Journal},
    fails=("not_found", "stale", "too_large"),
    body=JournalChanges,
    headers=(IF_MATCH, IDEMPOTENCY_KEY),
    needs="agents",
)
async def patch_journal(call: Call) -> Response:
    """Edit a journal.

    `head` is a JSON Merge Patch (RFC 7396) of its head. With `statusIs`, the edit fails with `stale`, and the reason
    `status`, if the status is another; with `If-Match`, if the version is.
    """
    journal = await service.patch_journal(
        call.state, *_place(call), call.body, expected=call.expected_version, request=call.request_name
    )
    return _journal(journal)


@Route("GET", _JOURNAL, answers={200: Journal}, fails=("not_found",), needs="agents")
async def get_journal(call: Call) -> Response:
    """Get a journal with its head.

    Its `ETag` is its version, for `If-Match`.
    """
    return _journal(await service.get_journal(call.state, *_place(call)))


@Route("DELETE", _JOURNAL, answers={204: None}, fails=("stale",), headers=(IF_MATCH,), needs="agents")
async def delete_journal(call: Call) -> Response:
    """Delete a journal with all of its entries.

    It cannot be restored, and its key is free at once. If there is none, nothing is to be done. With `If-Match`, only
    that version is deleted.
    """
    await service.delete_journal(call.state, *_place(call), expected=call.expected_version)
    return Response(204, {}, b"")


@Route(
    "POST",
    f"{_JOURNAL}/producer",
    answers={200: Journal},
    fails=("not_found",),
    body=NewProducer,
    headers=(IDEMPOTENCY_KEY,),
    needs="agents",
)
async def acquire_producer(call: Call) -> Response:
    """Claim a journal for one producer.

    Only this one may append from now on. Send the `epoch` and the `incarnation` of the answer with each append, and
    count these from 0. Whoever claimed it before is fenced.
    """
    return _journal(await service.acquire_producer(call.state, *_place(call), call.body, request=call.request_name))


@Route(
    "POST",
    f"{_JOURNAL}/entries",
    answers={201: AppendedEntries, 200: AppendedEntries},
    fails=("not_found", "conflict", "stale", "too_large"),
    body=NewEntries,
    headers=(IDEMPOTENCY_KEY,),
    needs="agents",
)
async def append_entries(call: Call) -> Response:
    """Append entries to a journal, and remove some, in one write.

    What is to be removed goes first, then the entries come, then head and labels are set: all of it, or none. A repeat
    is answered 200, and appends nothing: it is known by its `Idempotency-Key`, by the ids of its entries, by `at`, or
    by the producer's `seq`. `details.reason` says why a write is refused: `fenced`, `gap` or `stale` with 412,
    `conflict` or `closed` with 409.
    """
    appended, is_new = await service.append_entries(call.state, *_place(call), call.body, request=call.request_name)
    return json_response(201 if is_new else 200, appended, {"etag": etag(appended.version)})


@Route(
    "GET",
    f"{_JOURNAL}/entries",
    answers={200: EntryPage, 204: None},
    fails=("not_found", "cursor_expired"),
    query=EntriesQuery,
    sends_events=True,
    headers=(LAST_EVENT_ID,),
    needs="agents",
)
async def list_entries(call: Call) -> Response:
    """List the entries of a journal in order of `seq`.

    They are the first, or the newest. `nextCursor` goes on after the last, now or later, until entries are removed or
    the journal is replaced. A page may be shorter than `limit` if entries are large; only `more` tells whether there
    are more. Where there is no entry of `only` or `beyond`, there are none.

    With `Accept: text/event-stream` they are sent as events while they come, each with where to go on as its `id`.
    The event `closed` is the last of a journal that is closed, and `expired` says that entries were removed, so that
    it has to be read from the start.
    """
    query: EntriesQuery = call.query
    if wants_events(call.request):
        return await _follow(call, query)
    if query.cursor is not None and query.after is not None:
        raise Invalid("after: Send either `after`, or the `cursor` to go on from.", "after")
    if query.cursor is not None and query.beyond is not None:
        raise Invalid("beyond: Send either `beyond`, or the `cursor` to go on from.", "beyond")
    asked = EntryQuery(
        after=query.after,
        before=query.before,
        newest=query.newest,
        limit=query.limit,
        with_head=query.head,
        cursor=query.cursor,
        only=query.only,
        beyond=query.beyond,
    )
    return json_response(200, await service.read_entries(call.state, *_place(call), asked))


@Route(
    "POST",
    f"{_JOURNAL}/pop",
    answers={200: Popped},
    fails=("not_found", "conflict", "stale"),
    needs="agents",
)
async def pop_entry(call: Call) -> Response:
    """Remove the last entry of a journal, and answer it.

    Do not repeat it blindly: each time, another entry is the last. `entry` is null if there was none.
    """
    return json_response(200, Popped(await service.pop_entry(call.state, *_place(call))))


async def _follow(call: Call, query: EntriesQuery) -> Response:
    """Answer with the entries as they come."""
    for name in ("before", "newest", "head", "only", "beyond"):
        if getattr(query, name) not in (None, False):
            raise Invalid(f"{name}: Events come in order, from a place on. Leave it out.", name)
    place, last_id, listener = _place(call), last_event_id(call.request), call.listener()
    asked = EntryQuery(after=query.after, limit=query.limit, cursor=last_id or query.cursor)

    async def ask() -> Found:
        try:
            page = await service.read_entries(call.state, *place, asked)
        except (CursorExpired, NotFound) as error:
            return no_further(error)
        asked.cursor = page.next_cursor
        return _events_of(page)

    try:
        page = await service.read_entries(call.state, *place, asked)
    except Invalid as error:
        if last_id is None or error.path != "cursor":
            raise
        raise Invalid("last-event-id: This is the id of no event. Leave it out to begin.", "last-event-id") from error
    except CursorExpired as error:
        return events_response(no_further(error), ask, listener)
    asked.cursor = page.next_cursor
    found = _events_of(page)
    if last_id is not None and found.is_last and not page.entries:
        return Response(204, {}, b"")  # which tells a browser not to come again
    return events_response(found, ask, listener)


def _events_of(page: EntryPage) -> Found:
    """The entries of a page as events, and the end if it is one."""
    journal = page.journal
    events = [
        event(
            msgspec.json.encode(entry),
            id_=cursors.encode(cursors.AfterEntry(journal.incarnation, journal.generation, entry.seq)),
        )
        for entry in page.entries
    ]
    is_last = journal.closed_at is not None and not page.more
    if is_last:
        events.append(event(msgspec.json.encode(journal), name="closed"))
    return Found(events, page.more, is_last)


def _place(call: Call) -> tuple[str, str]:
    """The space and the key that the path names."""
    return call.path["space"], call.path["key"]


def _journal(journal: Journal, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response(status, journal, {"etag": etag(journal.version), **(headers or {})})
