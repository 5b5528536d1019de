"""Journals that another Threadkeep keeps."""

from urllib.parse import quote

from threadkeep.agents.journals.models import (
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
    Popped,
    PutJournal,
)
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, JournalEdit, JournalRecord
from threadkeep.agents.tasks import records as tasks
from threadkeep.client.transport import CREATED, Remote, if_match, read


class RemoteJournals(Remote):
    """A `JournalStore` over the HTTP API. See `agents/journals/store.py` for what each method promises.

    Each write is sent under its name, so that one whose answer is lost is known when it is sent again. Two are sent
    once: what pops an entry, and an append that nobody could know again after others have written, since its entries
    have no ids, it names no place, and no producer counts it.
    """

    async def put_journal(self, record: JournalRecord) -> tuple[Journal, bool]:
        new = PutJournal(
            mode=record.mode,
            head=record.head,
            identity=record.sent_identity,
            lane=record.lane,
            kind=record.kind,
            status=record.status,
            sort=record.sort,
            expires_in=_seconds(record.expires_in),
        )
        response = await self._transport.send(
            "PUT",
            _path(record.space, record.key),
            new,
            headers={**if_match(record.expected), **_named(record.request)},
            is_repeatable=True,
        )
        return read(response, Journal), response.status_code == CREATED

    async def patch_journal(self, space: str, key: str, edit: JournalEdit) -> Journal:
        changes = JournalChanges(head=edit.head, status=edit.status, sort=edit.sort, status_is=edit.status_is)
        response = await self._transport.send(
            "PATCH",
            _path(space, key),
            changes,
            headers={**if_match(edit.expected), **_named(edit.request)},
            is_repeatable=True,
        )
        return read(response, Journal)

    async def get_journal(self, space: str, key: str) -> Journal:
        return read(await self._transport.send("GET", _path(space, key)), Journal)

    async def list_journals(
        self,
        space: str,
        *,
        status: str | None = None,
        order: Order = "sort",
        cursor: str | None = None,
        limit: int = 100,
    ) -> JournalPage:
        query = {"status": status, "order": order, "cursor": cursor, "limit": limit}
        return read(await self._transport.send("GET", f"/api/journals/{_step(space)}", query=query), JournalPage)

    async def delete_journal(self, space: str, key: str, *, expected: int | None = None) -> None:
        await self._transport.send("DELETE", _path(space, key), headers=if_match(expected), is_repeatable=True)

    async def acquire_producer(self, space: str, key: str, producer: str, *, request: str) -> Journal:
        response = await self._transport.send(
            "POST",
            f"{_path(space, key)}/producer",
            NewProducer(producer=producer),
            headers=_named(request),
            is_repeatable=True,
        )
        return read(response, Journal)

    async def append_entries(self, space: str, key: str, record: AppendRecord) -> tuple[AppendedEntries, bool]:
        new = NewEntries(
            entries=[NewEntry(id=entry.id, data=entry.data) for entry in record.entries],
            producer=record.producer,
            guard=None if record.guard is None else _guard(record.guard),
            at=record.at,
            cut=record.cut,
            remove=record.remove,
            head=record.head,
            status=record.status,
            sort=record.sort,
            expected=record.expected,
            updated_at=record.updated_at,
            create=record.create,
            close=record.close,
            expires_in=_seconds(record.expires_in),
        )
        have_ids = all(entry.id is not None for entry in record.entries)
        response = await self._transport.send(
            "POST",
            f"{_path(space, key)}/entries",
            new,
            headers=_named(record.request),
            is_repeatable=have_ids or record.at is not None or record.producer is not None,
        )
        return read(response, AppendedEntries), response.status_code == CREATED

    async def read_entries(self, space: str, key: str, query: EntryQuery) -> EntryPage:
        asked = {
            "after": query.after if query.cursor is None else None,
            "before": query.before,
            "newest": query.newest,
            "limit": query.limit,
            "head": query.with_head,
            "cursor": query.cursor,
            "only": query.only,
            "beyond": query.beyond,
        }
        return read(await self._transport.send("GET", f"{_path(space, key)}/entries", query=asked), EntryPage)

    async def pop_entry(self, space: str, key: str) -> Entry | None:
        return read(await self._transport.send("POST", f"{_path(space, key)}/pop"), Popped).entry


def _guard(guard: tasks.Guard) -> Guard:
    return Guard(
        queue=guard.queue,
        task=guard.task,
        attempt=guard.attempt,
        joined=guard.joined,
        settlement_id=guard.settlement_id,
        settlement=guard.sent_settlement,
    )


def _path(space: str, key: str) -> str:
    return f"/api/journals/{_step(space)}/{_step(key)}"


def _step(name: str) -> str:
    return quote(name, safe="")


def _named(request: str) -> dict[str, str]:
    return {"Idempotency-Key": request}


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1_000
