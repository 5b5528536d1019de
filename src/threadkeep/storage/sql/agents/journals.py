"""SqlJournals: journals over any database that speaks SQL, one batch of statements for each operation."""

from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

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
from threadkeep.agents.journals.names import number_of
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, EntryRecord, JournalEdit, JournalRecord
from threadkeep.agents.journals.store import (
    cursor_expired,
    head_too_large,
    identity_conflict,
    no_journal,
    other_status,
    refusal,
    stale,
)
from threadkeep.agents.tasks.records import Guard
from threadkeep.agents.values import WHOLE_BYTES_MAX
from threadkeep.conversations.models import PAGE_BYTES_MAX
from threadkeep.storage.sql.agents.base import SqlState, pieces_of
from threadkeep.storage.sql.arrays import arrays
from threadkeep.storage.sql.base import BEYOND, as_json, bounded, decode_answer, text_of_json
from threadkeep.storage.sql.executor import Executor, ReadsFirst, Row, Statement

# Beyond everything that a journal can be sorted by, and be called.
_BEYOND_TEXTS = "\U0010ffff" * 200
# What is swept at once: well within the time that D1 gives a batch.
_SWEPT_ENTRIES_MAX = 500
_SWEPT_BYTES_MAX = 8_000_000


class _KeptJournal(Journal, kw_only=True):
    """A journal, and what tells who wrote it last."""

    identity: str
    request: str
    stamp: str


class _JournalRows(Struct):
    rows: list[Journal]
    count: int


class _EntryRows(Struct):
    rows: list[Entry]
    more: bool


class _PatchVerdict(Struct):
    version: int
    status: str | None
    request: str
    bytes: int


class _AppendVerdict(Struct, rename="camel"):
    reason: str
    version: int
    updated_at: int
    names: str
    next_seq: int
    next_producer_seq: int
    produced_seq: int | None
    kept_first: int | None
    kept_last: int | None


class SqlJournals(SqlState):
    """A `JournalStore` over an executor. See `agents/journals/store.py` for what each method promises."""

    async def put_journal(self, record: JournalRecord) -> tuple[Journal, bool]:
        values = self._creation(record.space, record.key, record.request, record.expires_in) | {
            "identity": record.identity,
            "lane": record.lane,
            "kind": record.kind,
            "status": record.status,
            "sort": record.sort,
            "head": text_of_json(record.head),
            "expected": bounded(record.expected),
            "retires": record.mode == "replace",
        }
        saving = [self._sql.save_journal(**values)] if record.mode == "save" else []
        *_, answers = await self._executor.run(
            self._sql.ensure_owner(**values),
            self._sql.retire_journal(**values),
            self._sql.insert_journal(**values),
            *saving,
            self._sql.journal(**values),
        )
        if not answers:
            raise stale(record.expected, 0)
        kept = decode_answer(answers, _KeptJournal)
        is_new = kept.incarnation == values["incarnation"]
        if not is_new and number_of(kept.request, record.request) is None:
            if record.expected not in (None, kept.version):
                raise stale(record.expected, kept.version)
            if record.identity != kept.identity:
                raise identity_conflict(record.key)
        return _shown(kept), is_new

    async def patch_journal(self, space: str, key: str, edit: JournalEdit) -> Journal:
        values = self._values(space, key, edit.request) | {
            **_labels(edit.status, edit.sort),
            "sets_head": edit.head is not UNSET,
            "head": text_of_json(edit.head) if isinstance(edit.head, Raw) else "{}",
            "status_is": edit.status_is,
            "expected": bounded(edit.expected),
            "head_bytes_max": HEAD_BYTES_MAX,
        }

        def writes(**merged: str) -> list[Statement]:
            given = values | merged
            return [self._sql.patch_verdict(**given), self._sql.patch_journal(**given), self._sql.journal(**given)]

        patch = edit.head
        if isinstance(patch, Raw) and not self._sql.dialect.merges_metadata:
            assert isinstance(self._executor, ReadsFirst)  # noqa: S101 see the dialect

            def merged_into(before: list[Row], patch: Raw = patch) -> list[Statement]:
                return writes(head=text_of_json(merged_head(Raw(before[0]["answer"].encode()), patch)))

            results = await self._executor.run_on(self._sql.head(**values), merged_into)
        else:
            results = await self._executor.run(*writes())
        verdicts, _, answers = results or [[], [], []]
        if not verdicts:
            raise no_journal(space, key)
        verdict = decode_answer(verdicts, _PatchVerdict)
        if number_of(verdict.request, edit.request) is None:
            if edit.expected not in (None, verdict.version):
                raise stale(edit.expected, verdict.version)
            if edit.status_is not in (None, verdict.status):
                raise other_status(edit.status_is, verdict.status)
            if verdict.bytes > HEAD_BYTES_MAX:
                raise head_too_large()
        return _shown(decode_answer(answers, _KeptJournal))

    async def get_journal(self, space: str, key: str) -> Journal:
        (answers,) = await self._executor.run(self._sql.journal(**self._values(space, key)))
        if not answers:
            raise no_journal(space, key)
        return decode_answer(answers, Journal)

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
            return await self._list_by_update(space, cursor, limit)
        after = None if cursor is None else cursors.decode(cursor, cursors.AfterJournal)
        query = self._sql.list_journals if status is None else self._sql.list_journals_of_status
        (answers,) = await self._executor.run(
            query(
                **self._values(space, ""),
                status=status,
                before_sort=_BEYOND_TEXTS if after is None else after.sort,
                before_key=_BEYOND_TEXTS if after is None else after.key,
                limit=limit,
                page_bytes=PAGE_BYTES_MAX,
            )
        )
        page = decode_answer(answers, _JournalRows)
        page.rows.sort(key=attrgetter("sort", "key"), reverse=True)
        if len(page.rows) == page.count:
            return JournalPage(page.rows, None)
        return JournalPage(page.rows, cursors.encode(cursors.AfterJournal(page.rows[-1].sort, page.rows[-1].key)))

    async def _list_by_update(self, space: str, cursor: str | None, limit: int) -> JournalPage:
        after = cursors.AfterUpdate(-1, "") if cursor is None else cursors.decode(cursor, cursors.AfterUpdate)
        (answers,) = await self._executor.run(
            self._sql.list_journals_by_update(
                **self._values(space, ""),
                after_update=after.updated_at,
                after_key=after.key,
                limit=limit,
                page_bytes=PAGE_BYTES_MAX,
            )
        )
        page = decode_answer(answers, _JournalRows)
        page.rows.sort(key=attrgetter("updated_at", "key"))
        if len(page.rows) == page.count:
            return JournalPage(page.rows, None)
        return JournalPage(page.rows, cursors.encode(cursors.AfterUpdate(page.rows[-1].updated_at, page.rows[-1].key)))

    async def delete_journal(self, space: str, key: str, *, expected: int | None = None) -> None:
        values = self._values(space, key) | {"expected": bounded(expected), "retires": 1}
        answers, _ = await self._executor.run(
            self._sql.journal_without_head(**values), self._sql.retire_journal(**values)
        )
        if answers and expected is not None:
            version = decode_answer(answers, Journal).version
            if version != expected:
                raise stale(expected, version)

    async def acquire_producer(self, space: str, key: str, producer: str, *, request: str) -> Journal:
        values = self._values(space, key, request) | {"producer": producer}
        _, answers = await self._executor.run(
            self._sql.acquire_producer(**values), self._sql.journal_without_head(**values)
        )
        if not answers:
            raise no_journal(space, key)
        return decode_answer(answers, Journal)

    async def append_entries(self, space: str, key: str, record: AppendRecord) -> tuple[AppendedEntries, bool]:
        values = self._append_values(space, key, record)
        creation: list[Statement] = []
        if record.create:
            new = self._creation(space, key, "", record.expires_in)
            values |= {"stamp": new["stamp"], "expires_at": new["expires_at"], "retires": 0}
            # At version 0, which the append that creates it raises.
            new |= {
                "version": 0,
                "identity": "",
                "lane": None,
                "kind": None,
                "status": None,
                "sort": "",
                "head": "null",
            }
            new |= _guard(record.guard)
            creation = [
                self._sql.ensure_owner(**new),
                self._sql.retire_journal(**values),
                self._sql.insert_journal(**values | new),
            ]
        results = await self._executor.run(*creation, *self._appending(values, record))
        verdicts = results[len(creation)]
        if not verdicts and record.create:
            if record.expected in (None, 0):
                raise refusal("unauthorized", record, 0, 0, 0)
            raise stale(record.expected, 0)
        if not verdicts:
            raise no_journal(space, key)
        return _appended(decode_answer(verdicts, _AppendVerdict), record)

    async def read_entries(self, space: str, key: str, query: EntryQuery) -> EntryPage:
        cursor = None if query.cursor is None else cursors.decode(query.cursor, cursors.AfterEntry)
        after = query.after if cursor is None else cursor.seq
        values = self._values(space, key) | _range_of(query, -1 if after is None else after)
        journal = self._sql.journal if query.with_head else self._sql.journal_without_head
        page_query, pieces_query = self._page_queries(newest=query.newest)
        answers, rows, pieces = await self._executor.run(
            journal(**values), page_query(**values), pieces_query(**values)
        )
        if not answers:
            raise no_journal(space, key)
        info = decode_answer(answers, Journal)
        if cursor is not None and not cursor.is_of(info):
            raise cursor_expired()
        page = _page(rows, pieces)
        last = page.rows[-1].seq if page.rows else -1 if after is None else after
        following = cursors.AfterEntry(info.incarnation, info.generation, last)
        return EntryPage(journal=info, entries=page.rows, more=page.more, next_cursor=cursors.encode(following))

    async def pop_entry(self, space: str, key: str) -> Entry | None:
        record = AppendRecord(request=self._new_id(), digest="")
        values = self._append_values(space, key, record) | {
            "pops": 1,
            "removes": 1,
            **_range_of(EntryQuery(newest=True, limit=1), -1),
        }
        page_query, pieces_query = self._page_queries(newest=True)
        rows, pieces, verdicts, *_ = await self._executor.run(
            page_query(**values),
            pieces_query(**values),
            self._sql.append_verdict(**values),
            self._sql.append(**values),
            *(query(**values) for query in self._sql.remove_entries),
        )
        if not verdicts:
            raise no_journal(space, key)
        verdict = decode_answer(verdicts, _AppendVerdict)
        if verdict.reason == "empty":
            return None
        _appended(verdict, record)
        return _page(rows, pieces).rows[0]

    def _page_queries(self, *, newest: bool) -> tuple[Any, Any]:
        """What reads a page, and the pieces of the entry that it begins with."""
        if newest:
            return self._sql.newest_entries, self._sql.pieces_of_newest
        return self._sql.first_entries, self._sql.pieces_of_first

    def _values(self, space: str, key: str, request: str = "") -> dict[str, Any]:
        """What every statement is given. No write of a client has an empty name."""
        return self._values_of(space=space, key=key, request=request)

    def _creation(self, space: str, key: str, request: str, expires_in: int | None) -> dict[str, Any]:
        """What the statements are given that may create a journal."""
        values = self._values(space, key, request)
        return values | {
            "epoch": self._new_id(),
            "incarnation": self._new_id(),
            "version": 1,
            **_guard(None),
            "expires_at": None if expires_in is None else values["now"] + expires_in,
        }

    def _append_values(self, space: str, key: str, record: AppendRecord) -> dict[str, Any]:
        """What the statements of an append are given."""
        values = self._values(space, key, record.request)
        producer = record.producer
        removed = set(record.remove)
        return values | {
            **_labels(record.status, record.sort),
            **_guard(record.guard),
            "append_digest": record.digest,
            "count": len(record.entries),
            "producer": None if producer is None else producer.id,
            "epoch": None if producer is None else bounded(producer.epoch),
            "incarnation": None if producer is None else producer.incarnation,
            "producer_seq": None if producer is None else bounded(producer.seq),
            "at": record.at,
            "cut": BEYOND if record.cut is None else bounded(record.cut),
            "remove": as_json([[id_] for id_ in record.remove]),
            "removes": record.cut is not None or bool(record.remove),
            "pops": 0,
            "ids": as_json([(each.id, each.digest) for each in record.entries if each.id and each.id not in removed]),
            "sets_head": record.head is not UNSET,
            "head": text_of_json(record.head) if isinstance(record.head, Raw) else "null",
            "closes": record.close,
            "expected": bounded(record.expected),
            "updated_at": bounded(record.updated_at),
            "expires_at": None if record.expires_in is None else values["now"] + record.expires_in,
        }

    def _appending(self, values: dict[str, Any], record: AppendRecord) -> list[Statement]:
        """The statements of an append: the verdict first."""
        rows, pieces = [], []
        for position, entry in enumerate(record.entries):
            group = self._new_id() if entry.size > WHOLE_BYTES_MAX else None
            rows.append(self._entry_row(entry, position, group, values))
            if group is not None:
                pieces += [
                    self._sql.insert_piece(**values, group_id=group, part=part, data=data)
                    for part, data in enumerate(pieces_of(bytes(entry.data)))
                ]
        return [
            self._sql.append_verdict(**values),
            self._sql.append(**values),
            *(query(**values) for query in self._sql.remove_entries if values["removes"]),
            *(self._sql.insert_entries(**values, entries=part) for part in arrays(rows)),
            *pieces,
        ]

    def _entry_row(
        self, entry: EntryRecord, position: int, group: str | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        """What the database takes of an entry, by the names of its columns."""
        row = {
            "position": position,
            "id": entry.id,
            "digest": entry.digest,
            "append_digest": values["append_digest"],
            "bytes": entry.size if group is None else max(entry.size, PAGE_BYTES_MAX),
            "big": group,
        }
        if position == 0:
            row |= {"epoch": values["epoch"], "producer_seq": values["producer_seq"]}
        if group is None:
            row["data"] = self._sql.dialect.nested(entry.data)
        return row


async def sweep_journals(executor: Executor, user_id: str) -> bool:
    """Remove a part of the journals that were deleted; return whether there is more."""
    sql = executor.statements
    values: dict[str, Any] = {"user": user_id, "limit": _SWEPT_ENTRIES_MAX, "bytes": _SWEPT_BYTES_MAX}
    (answers,) = await executor.run(sql.sweepable_entries(**values))
    chosen = answers[0]["answer"]
    if chosen is None:
        return False
    values["entries"] = as_json(msgspec.json.decode(chosen))  # some drivers answer with bytes
    *_, rows = await executor.run(
        *(query(**values) for query in (*sql.sweep_entries, *sql.sweep_journals)),
        sql.remove_owner(**values),
        sql.retired(**values),
    )
    return bool(rows)


def _appended(verdict: _AppendVerdict, record: AppendRecord) -> tuple[AppendedEntries, bool]:
    """What came of an append, and whether anything is new. Raises as `StateStore.append_entries` does."""
    count = len(record.entries)
    if verdict.reason == "applied":
        first = verdict.next_seq if record.at is None else record.at
        return appended(first, first + count - 1, verdict.version + 1, count), True
    firsts = {
        "again": number_of(verdict.names, record.request),
        "produced": verdict.produced_seq,
        "placed": record.at,
        "kept": verdict.kept_first,
    }
    first_kept = firsts.get(verdict.reason)
    if first_kept is None:
        raise refusal(verdict.reason, record, verdict.version, verdict.next_producer_seq, verdict.updated_at)
    last = verdict.kept_last if verdict.reason == "kept" else first_kept + count - 1
    return appended(first_kept, last, verdict.version, count), False


def appended(first: int, last: int | None, version: int, count: int) -> AppendedEntries:
    """What is told of an append of so many entries."""
    return AppendedEntries(first, last, version) if count else AppendedEntries(None, None, version)


def _range_of(query: EntryQuery, after: int) -> dict[str, Any]:
    """What a statement is given that reads a page. An end that an id gives is beyond all where there is no such id."""
    after_id = query.only or (None if query.newest else query.beyond)
    before_id = query.only or (query.beyond if query.newest else None)
    return {
        "after_id": after_id,
        "after_seq": bounded(after) if after_id is None else BEYOND,
        "before_id": before_id,
        "before_seq": (BEYOND if query.before is None else bounded(query.before)) if before_id is None else -1,
        "inclusive": int(query.only is not None),
        "limit": query.limit,
        "page_bytes": PAGE_BYTES_MAX,
    }


def _shown(kept: _KeptJournal) -> Journal:
    """A journal without what only the store asks."""
    return Journal(**{name: getattr(kept, name) for name in Journal.__struct_fields__})


def _page(rows: list[Row], pieces: list[Row]) -> _EntryRows:
    """A page in order of `seq`. What has pieces is the only one of its page."""
    page = decode_answer(rows, _EntryRows)
    if pieces:
        page.rows[0].data = Raw("".join(piece["data"] for piece in pieces).encode())
    page.rows.sort(key=attrgetter("seq"))
    return page


def _guard(guard: Guard | None) -> dict[str, Any]:
    """What a write is given of its guard."""
    return {
        "guards": guard is not None,
        "guard_queue": "" if guard is None else guard.queue,
        "guard_task": "" if guard is None else guard.task,
        "guard_attempt": "" if guard is None else guard.attempt,
        "guard_settlement_id": None if guard is None else guard.settlement_id,
        "guard_settlement_digest": None if guard is None else guard.settlement_digest,
        "guard_joined": as_json([] if guard is None else [[id_] for id_ in guard.joined]),
    }


def _labels(status: str | UnsetType | None, sort: str | UnsetType) -> dict[str, Any]:
    """What a write is given of the labels of a journal, each with whether it sets it."""
    return {
        "sets_status": status is not UNSET,
        "status": None if status is UNSET else status,
        "sets_sort": sort is not UNSET,
        "sort": None if sort is UNSET else sort,
    }
