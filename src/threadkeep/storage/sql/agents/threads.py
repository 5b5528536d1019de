"""SqlThreads: threads over any database that speaks SQL, one batch of statements for each operation."""

from collections import defaultdict
from typing import Any

from msgspec import Struct

from threadkeep.agents.threads import cursors
from threadkeep.agents.threads.metadata import as_object
from threadkeep.agents.threads.models import (
    ANCESTORS_MAX,
    PAGE_BYTES_MAX,
    ChannelDeltas,
    ChannelValue,
    Checkpoint,
    CheckpointPage,
    DeltaPage,
    PendingWrite,
    Thread,
    ThreadPage,
    Typed,
)
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    TypedRecord,
    WritesRecord,
)
from threadkeep.agents.threads.store import circular, fenced, no_thread
from threadkeep.agents.values import WHOLE_BYTES_MAX
from threadkeep.storage.sql.agents.base import SqlState, pieces_of
from threadkeep.storage.sql.arrays import arrays
from threadkeep.storage.sql.base import BEYOND, as_json, bounded, decode_answer
from threadkeep.storage.sql.executor import Executor, Query, Row, Statement

# Beyond every name.
_BEYOND_TEXTS = "\U0010ffff" * 200
# What is done at once: well within the time that D1 gives a batch.
_THREADS_MAX = 100
_CHECKPOINTS_MAX = 1_000
_VALUES_MAX = 5_000
_COPIED_MAX = 5_000
_COPIED_BYTES_MAX = 8_000_000
_SWEPT_MAX = 500
_SWEPT_BYTES_MAX = 4_000_000

_Parts = dict[tuple[str, str, int], str]
"""The data of what is too large for one answer, by what it is of."""


class _KeptThread(Thread, kw_only=True):
    """A thread, and what tells who wrote it last."""

    stamp: str


class _ThreadRows(Struct):
    rows: list[Thread]


class _Row(Struct, kw_only=True):
    type: str
    data: str | None


class _CheckpointRow(_Row, kw_only=True):
    position: int
    thread: str
    ns: str
    id: str
    parent: str | None
    metadata: list[str]
    stored: list[tuple[str, str | None]]


class _WriteRow(_Row, kw_only=True):
    position: int = 0
    depth: int = 0
    task: str
    idx: int
    path: str
    channel: str


class _ValueRow(_Row, kw_only=True):
    thread: str
    ns: str
    channel: str
    version: str


class _CheckpointRows(Struct):
    more: bool
    checkpoints: list[_CheckpointRow]
    writes: list[_WriteRow]
    values: list[_ValueRow]


class _Seed(_Row, kw_only=True, rename="camel"):
    depth: int
    channel: str
    is_inline: bool


class _Last(Struct):
    id: str
    remaining: list[tuple[str]]


class _DeltaRows(Struct, rename="camel"):
    last: _Last | None
    is_circular: bool
    more: bool | None
    writes: list[_WriteRow]
    seeds: list[_Seed]


class _Lacking(Struct, rename="camel"):
    has_source: bool
    more: bool


class _Moved(Struct):
    threads: int
    checkpoints: int
    values: int


class SqlThreads(SqlState):
    """A `ThreadStore` over an executor. See `agents/threads/store.py` for what each method promises."""

    async def put_checkpoint(self, thread: str, record: CheckpointRecord) -> Thread:
        values = self._thread_values(thread, record.epoch, record.expires_in) | {
            "ns": record.ns,
            "id": record.id,
            "parent": record.parent,
            "run_id": record.run_id,
            "metadata": as_json(record.metadata),
            "stored": as_json(list(record.stored.items())),
            "counted": _listed(record.counted),
            **self._kept_data(record, record.size),
        }
        rows, pieces = [], self._pieces_of_data(self._sql.insert_piece_of_checkpoint, record, values)
        for value in record.values:
            kept = {"channel": value.channel, "version": value.version, **self._kept_data(value, value.size)}
            rows.append(kept)
            pieces += self._pieces_of_data(self._sql.insert_piece_of_value, value, values | kept)
        return await self._write_thread(
            values,
            *(query(**values) for query in self._sql.unhinge_checkpoint),
            self._sql.put_checkpoint(**values),
            *(self._sql.put_values(**values, rows=part) for part in arrays(rows)),
            *pieces,
        )

    async def put_writes(self, thread: str, record: WritesRecord) -> Thread:
        values = self._thread_values(thread, record.epoch) | {
            "ns": record.ns,
            "checkpoint": record.checkpoint,
            "task": record.task,
            "path": record.path,
            "replaced": as_json([[write.idx] for write in record.writes if write.idx < 0]),
        }
        rows, pieces = [], []
        for write in record.writes:
            kept = {"idx": write.idx, "channel": write.channel, **self._kept_data(write, write.size)}
            rows.append(kept)
            pieces += self._pieces_of_data(self._sql.insert_piece_of_write, write, values | kept)
        return await self._write_thread(
            values,
            *(query(**values) for query in self._sql.unhinge_writes if values["replaced"] != "[]"),
            *(self._sql.put_writes(**values, rows=part) for part in arrays(rows)),
            *pieces,
        )

    async def claim_thread(self, thread: str, *, request: str) -> Thread:
        values = self._thread_values(thread, 0) | {"request": request}
        *_, answers = await self._executor.run(
            *self._creating_thread(values), self._sql.claim_thread(**values), self._sql.thread(**values)
        )
        return _shown(decode_answer(answers, _KeptThread))

    async def list_threads(self, *, cursor: str | None = None, limit: int = 100) -> ThreadPage:
        after = None if cursor is None else cursors.decode(cursor, cursors.AfterThread)
        (answers,) = await self._executor.run(
            self._sql.list_threads(
                **self._values_of(),
                before_time=BEYOND if after is None else after.updated_at,
                before_name=_BEYOND_TEXTS if after is None else after.thread,
                limit=limit,
            )
        )
        rows = decode_answer(answers, _ThreadRows).rows
        rows.sort(key=lambda row: (row.updated_at, row.thread), reverse=True)
        if len(rows) <= limit:
            return ThreadPage(rows, None)
        last = rows[limit - 1]
        return ThreadPage(rows[:limit], cursors.encode(cursors.AfterThread(last.updated_at, last.thread)))

    async def list_checkpoints(self, query: CheckpointQuery) -> CheckpointPage:
        values = self._values_of(
            thread=query.thread,
            ns=query.ns,
            filter=as_json(query.filter),
            limit=query.limit,
            page_bytes=PAGE_BYTES_MAX,
            **_between(query),
        )
        page_query, large_query = self._queries_of_page(query)
        answers, parts = await self._executor.run(page_query(**values), large_query(**values))
        return _page(decode_answer(answers, _CheckpointRows), _parts(parts))

    async def checkpoint_deltas(self, thread: str, query: DeltaQuery) -> DeltaPage:
        cursor = None if query.cursor is None else cursors.decode(query.cursor, cursors.BeforeAncestor)
        channels = query.channels if cursor is None else cursor.channels
        values = self._values_of(
            thread=thread,
            ns=query.ns,
            id=query.id if cursor is None else cursor.id,
            channels=_listed(channels),
            remembered=None if cursor is None else cursor.remembered,
            ancestors=ANCESTORS_MAX,
            page_bytes=PAGE_BYTES_MAX,
        )
        answers, parts = await self._executor.run(self._sql.deltas(**values), self._sql.large_deltas(**values))
        rows = decode_answer(answers, _DeltaRows)
        if cursor is not None and rows.is_circular:
            raise circular(cursor.remembered)
        return _deltas(rows, _parts(parts), channels, cursor)

    async def copy_thread(self, thread: str, source: str, *, epoch: int = 0) -> bool:
        values = self._thread_values(thread, epoch) | {
            "source": source,
            "limit": _COPIED_MAX,
            "bytes": _COPIED_BYTES_MAX,
        }
        *_, answers, lacking = await self._executor.run(
            *self._creating_thread(values),
            self._sql.write_thread(**values),
            self._sql.copy_values(**values),
            self._sql.copy_writes(**values),
            self._sql.copy_checkpoints(**values),
            *(query(**values) for query in self._sql.copy_pieces),
            self._sql.thread(**values),
            self._sql.lacking(**values),
        )
        found = decode_answer(lacking, _Lacking)
        if not found.has_source:
            raise no_thread(source)
        _written(answers, values)
        return found.more

    async def delete_thread(self, thread: str) -> None:
        await self._executor.run(self._sql.retire_thread(**self._values_of(thread=thread, retires=1)))

    async def prune_threads(self, record: PruneRecord) -> bool:
        values = self._choice_of_threads(keeps_latest=record.keeps_latest) | {
            "threads": _listed(record.threads or []),
            "updated_before": bounded(record.updated_before),
        }
        is_named = record.threads is not None
        if not record.keeps_latest:
            return await self._remove_from_threads(
                values, self._sql.retire_named if is_named else self._sql.retire_older
            )
        return await self._remove_from_threads(
            values,
            self._sql.bury_of_named if is_named else self._sql.bury_of_older,
            self._sql.move_older,
            self._sql.move_writes,
            self._sql.move_values,
            self._sql.finish_pruning,
        )

    async def delete_runs(self, runs: list[str]) -> bool:
        return await self._remove_from_threads(
            self._choice_of_threads() | {"runs": _listed(runs)},
            self._sql.bury_of_runs,
            self._sql.move_of_runs,
            self._sql.move_writes,
            self._sql.move_values,
        )

    async def _remove_from_threads(self, values: dict[str, Any], *queries: Query) -> bool:
        """Remove from threads that are chosen; return whether there may be more."""
        *_, answers = await self._executor.run(*(query(**values) for query in queries), self._sql.moved(**values))
        moved = decode_answer(answers, _Moved)
        return moved.threads == _THREADS_MAX or moved.checkpoints == _CHECKPOINTS_MAX or moved.values == _VALUES_MAX

    def _choice_of_threads(self, *, keeps_latest: bool = False) -> dict[str, Any]:
        """What the statements are given that remove from several threads."""
        return self._values_of(
            keeps_latest=keeps_latest,
            thread_limit=_THREADS_MAX,
            checkpoint_limit=_CHECKPOINTS_MAX,
            value_limit=_VALUES_MAX,
        )

    def _queries_of_page(self, query: CheckpointQuery) -> tuple[Query, Query]:
        """What reads a page, and what reads its first checkpoint where that is large."""
        if query.thread is None:
            return self._sql.checkpoints_of_all, self._sql.large_of_all
        if query.ns is None:
            return self._sql.checkpoints_of_thread, self._sql.large_of_thread
        return self._sql.checkpoints_of_namespace, self._sql.large_of_namespace

    def _thread_values(self, thread: str, epoch: int, expires_in: int | None = None) -> dict[str, Any]:
        """What the statements are given that write to a thread. `of_owner` names the changes of a new user."""
        values = self._values_of(thread=thread, claim=bounded(epoch), epoch=self._new_id(), source=None, retires=0)
        return values | {"expires_at": None if expires_in is None else values["now"] + expires_in}

    def _creating_thread(self, values: dict[str, Any]) -> list[Statement]:
        """What creates a thread where there is none."""
        return [
            self._sql.ensure_owner(**values),
            self._sql.retire_thread(**values),
            self._sql.insert_thread(**values),
        ]

    async def _write_thread(self, values: dict[str, Any], *statements: Statement) -> Thread:
        """Write to a thread; return it as it is now. Raises Stale."""
        *_, answers = await self._executor.run(
            *self._creating_thread(values), self._sql.write_thread(**values), *statements, self._sql.thread(**values)
        )
        return _written(answers, values)

    def _kept_data(self, record: TypedRecord, size: int) -> dict[str, Any]:
        """What the database takes of data, by the names of its columns: the data, or the name of a group of pieces."""
        is_large = len(record.data) > WHOLE_BYTES_MAX
        return {
            "type": record.type,
            "bytes": size,
            "big": self._new_id() if is_large else None,
            "data": None if is_large else record.data,
        }

    @staticmethod
    def _pieces_of_data(query: Query, record: TypedRecord, values: dict[str, Any]) -> list[Statement]:
        """What keeps the pieces of data that is large."""
        if values["big"] is None:
            return []
        given = values | {"group_id": values["big"]}
        return [
            query(**given | {"part": part, "data": data}) for part, data in enumerate(pieces_of(record.data.encode()))
        ]


async def sweep_threads(executor: Executor, user_id: str) -> bool:
    """Remove a part of the threads that were deleted; return whether there is more."""
    sql = executor.statements
    values: dict[str, Any] = {"user": user_id, "limit": _SWEPT_MAX, "bytes": _SWEPT_BYTES_MAX}
    (answers,) = await executor.run(sql.sweepable_of_threads(**values))
    if answers[0]["answer"] is None:
        return False
    chosen = decode_answer(answers, dict[str, list[int]])
    values |= {table: as_json(places) for table, places in chosen.items()}
    *_, rows = await executor.run(
        *(query(**values) for query in (*sql.sweep_of_threads, *sql.sweep_threads)),
        sql.remove_owner(**values),
        sql.retired_threads(**values),
    )
    return bool(rows)


def _written(answers: list[Row], values: dict[str, Any]) -> Thread:
    """The thread that was written. Raises Stale where another claim is the last."""
    kept = decode_answer(answers, _KeptThread) if answers else None
    if kept is None or kept.stamp != values["stamp"]:
        raise fenced()
    return _shown(kept)


def _shown(kept: _KeptThread) -> Thread:
    """A thread without what only the store asks."""
    return Thread(**{name: getattr(kept, name) for name in Thread.__struct_fields__})


def _between(query: CheckpointQuery) -> dict[str, str]:
    """Between which places the checkpoints of a page are: from a least id to what comes before most of them."""
    most = [(_BEYOND_TEXTS, _BEYOND_TEXTS, _BEYOND_TEXTS)]
    if query.id is not None:
        most.append((query.id, _BEYOND_TEXTS, _BEYOND_TEXTS))
    if query.before is not None:
        most.append((query.before, "", ""))
    if query.cursor is not None:
        after = cursors.decode(query.cursor, cursors.AfterCheckpoint)
        most.append((after.id, after.thread, after.ns))
    id_, thread, ns = min(most)
    return {"least_id": query.id or "", "most_id": id_, "most_thread": thread, "most_ns": ns}


def _listed(names: list[str]) -> str:
    """Names as statements take them apart."""
    return as_json([[name] for name in names])


def _parts(rows: list[Row]) -> _Parts:
    """Put together what came in parts, which are in order."""
    found: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for row in rows:
        found[row["kind"], row["name"], row["idx"]].append(row["data"])
    return {place: "".join(parts) for place, parts in found.items()}


def _page(rows: _CheckpointRows, parts: _Parts) -> CheckpointPage:
    """A page in order. What came in parts is of the only checkpoint there is then."""
    writes: dict[int, list[PendingWrite]] = defaultdict(list)
    for row in rows.writes:
        writes[row.position].append(_pending(row, parts))
    checkpoints = [
        Checkpoint(
            thread=row.thread,
            ns=row.ns,
            id=row.id,
            parent=row.parent,
            metadata=as_object(row.metadata),
            stored=dict(row.stored),
            type=row.type,
            data=_data(row, parts, "checkpoint"),
            writes=_in_order(writes[row.position]),
        )
        for row in sorted(rows.checkpoints, key=lambda row: row.position)
    ]
    values = [
        ChannelValue(
            thread=row.thread,
            ns=row.ns,
            channel=row.channel,
            version=row.version,
            type=row.type,
            data=_data(row, parts, "value", row.channel),
        )
        for row in sorted(rows.values, key=lambda row: (row.thread, row.ns, row.channel, row.version))
    ]
    page = CheckpointPage(checkpoints, values, None)
    if rows.more:
        last = checkpoints[-1]
        page.next_cursor = cursors.encode(cursors.AfterCheckpoint(last.id, last.thread, last.ns))
    return page


def _deltas(rows: _DeltaRows, parts: _Parts, channels: list[str], before: cursors.BeforeAncestor | None) -> DeltaPage:
    """A page of deltas, each channel's writes oldest first."""
    found = {channel: ChannelDeltas(channel=channel, writes=[]) for channel in channels}
    for write in sorted(rows.writes, key=lambda row: (-row.depth, row.path, row.task, row.idx)):
        found[write.channel].writes.append(_pending(write, parts))
    for seed in rows.seeds:
        place = ("checkpoint", "") if seed.is_inline else ("value", seed.channel)
        typed = Typed(type=seed.type, data=_data(seed, parts, *place))
        if seed.is_inline:
            found[seed.channel].checkpoint = typed
        else:
            found[seed.channel].seed = typed
    page = DeltaPage(list(found.values()), None)
    if rows.more and rows.last is not None:
        remaining = sorted(name for (name,) in rows.last.remaining)
        page.next_cursor = cursors.encode(cursors.after_page(before, rows.last.id, remaining))
    return page


def _pending(row: _WriteRow, parts: _Parts) -> PendingWrite:
    data = _data(row, parts, "write", row.task, row.idx)
    return PendingWrite(task=row.task, path=row.path, idx=row.idx, channel=row.channel, type=row.type, data=data)


def _in_order(writes: list[PendingWrite]) -> list[PendingWrite]:
    return sorted(writes, key=lambda write: (write.path, write.task, write.idx))


def _data(row: _Row, parts: _Parts, kind: str, name: str = "", idx: int = 0) -> str:
    """The data of a row, or what came beside it, where the page is too large for one answer."""
    return parts[kind, name, idx] if row.data is None else row.data
