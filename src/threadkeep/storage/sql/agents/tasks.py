"""SqlTasks: tasks and lanes over any database that speaks SQL, one batch of statements for each operation."""

from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import asdict

from threadkeep.agents.tasks.models import (
    NOTE_BYTES_MAX,
    TASKS_MAX,
    Admission,
    Changed,
    Lane,
    LaneChange,
    NoteTask,
    Renewed,
    Reserve,
    Task,
    TaskPage,
)
from threadkeep.agents.tasks.notes import has, merged_note
from threadkeep.agents.tasks.records import ChangeRecord, TaskQuery, TaskRecord
from threadkeep.agents.tasks.store import lane_busy, lane_closed, no_task, note_too_large, task_conflict
from threadkeep.agents.values import WHOLE_BYTES_MAX
from threadkeep.conversations.models import PAGE_BYTES_MAX
from threadkeep.storage.sql.agents.base import SqlState, pieces_of
from threadkeep.storage.sql.base import BEYOND, as_json, decode_answer, text_of_json
from threadkeep.storage.sql.executor import Executor, Query, ReadsFirst, Row, Statement

# A task may have both a payload and a settlement in one row, and a note.
_WHOLE_SETTLEMENT_BYTES_MAX = WHOLE_BYTES_MAX // 2
# What is swept at once: well within the time that D1 gives a batch.
_SWEPT_TASKS_MAX = 500
_SWEPT_BYTES_MAX = 8_000_000


class _KeptTask(Task, kw_only=True):
    """A task, and what tells who wrote it last, and what it was admitted as."""

    digest: str
    settlement_digest: str | None
    settlement_big: str | None
    request: str
    stamp: str


class _TaskRows(Struct):
    rows: list[_KeptTask]
    more: bool


class SqlTasks(SqlState):
    """A `TaskStore` over an executor. See `agents/tasks/store.py` for what each method promises."""

    async def admit_task(self, record: TaskRecord) -> tuple[Admission, bool]:
        values = self._task_values(record.queue, record.id)
        group, size, pieces = self._value(record.payload, WHOLE_BYTES_MAX, values)
        values |= {
            "epoch": self._new_id(),
            "id": record.id,
            "lane": record.lane,
            "kind": record.kind,
            "target": record.target,
            "digest": record.digest,
            "accepted_at": values["now"] if record.accepted_at is None else record.accepted_at,
            "ready_at": values["now"] if record.is_ready else None,
            "attempts_max": record.attempts_max,
            "timeout_at": record.timeout_at,
            "bytes": size,
            "big": group,
            "payload": text_of_json(record.payload) if group is None else None,
        }
        *_, lanes, rows, parts = await self._executor.run(
            self._sql.ensure_owner(**values),
            self._sql.insert_task(**values),
            *pieces,
            self._sql.closed_lane(**values),
            *self._reading(self._sql.task, values),
        )
        kept = next(iter(_page(rows, parts).rows), None)
        if kept is not None and kept.state == "receipt":
            return Admission("receipt", _shown(kept)), False
        if lanes or kept is None:
            raise lane_closed(record.lane)
        is_new = kept.stamp == values["stamp"]
        if not is_new and (kept.digest, kept.lane) != (record.digest, record.lane):
            raise task_conflict(record.id)
        return Admission("task", _shown(kept)), is_new

    async def get_task(self, queue: str, task: str) -> Task:
        values = self._task_values(queue, task)
        rows, parts = await self._executor.run(*self._reading(self._sql.task, values))
        for kept in _page(rows, parts).rows:
            return _shown(kept)
        raise no_task(queue, task)

    async def list_tasks(self, queue: str, query: TaskQuery) -> TaskPage:
        views = {
            "runnable": self._sql.runnable_tasks,
            "unready": self._sql.unready_tasks,
            "running": self._sql.tasks_of_state,
            "expired": self._sql.expired_tasks,
            "settling": self._sql.tasks_of_state,
            "joined": self._sql.joined_tasks,
            "open": self._sql.open_tasks,
            "lane": self._sql.tasks_of_lane,
            "all": self._sql.tasks_of_queue,
        }
        values = self._task_values(queue, "") | {
            "state": query.view,
            "lane": query.lane,
            "host": query.host,
            "after": min(query.after, BEYOND),
            "limit": query.limit,
        }
        return _shown_page(_page(*await self._executor.run(*self._reading(views[query.view], values))))

    async def change_task(self, queue: str, task: str, record: ChangeRecord) -> Changed:
        change = record.change
        values = self._task_values(queue, task, record.request) | asdict(change)
        if isinstance(change, NoteTask):
            return await self._note(change, values, record)
        statements: list[Statement] = []
        if isinstance(change, Reserve):
            group, size, statements = self._value(change.settlement, _WHOLE_SETTLEMENT_BYTES_MAX, values)
            values |= {
                "settlement": text_of_json(change.settlement) if group is None else None,
                "settlement_digest": record.settlement_digest,
                "settlement_bytes": size,
                "settlement_big": group,
            }
        what = change.__struct_config__.tag
        if what in ("settle", "drop", "finalize"):
            statements = [self._sql.settle_joined(**values), self._sql.requeue_joining(**values)]
        *_, rows, parts = await self._executor.run(
            self._changes[what](**values), *statements, *self._reading(self._sql.task, values)
        )
        return _changed(rows, parts, record)

    async def absorb_tasks(self, queue: str, host: str, attempt: str, target: str | None, *, request: str) -> TaskPage:
        values = self._task_values(queue, host, request) | {
            "attempt": attempt,
            "target": target,
            "absorbing": f"absorbed by {request}",  # no stamp that is made here has a space
            "limit": TASKS_MAX,
            "beyond": BEYOND,
        }
        *_, more, rows, parts = await self._executor.run(
            self._sql.begin_absorbing(**values),
            self._sql.absorb_tasks(**values),
            self._sql.absorbable(**values),
            *self._reading(self._sql.absorbed_tasks, values),
        )
        return TaskPage(_shown_page(_page(rows, parts)).tasks, more=bool(more))

    async def renew_leases(self, queue: str, holder: str, tasks: list[str], until: int) -> Renewed:
        values = self._task_values(queue, "") | {
            "holder": holder,
            "tasks": as_json([[task] for task in tasks]),
            "lease_until": until,
        }
        _, answers = await self._executor.run(self._sql.renew_leases(**values), self._sql.renewed(**values))
        return Renewed(decode_answer(answers, list[str]))

    async def has_open_tasks(self, queue: str) -> bool:
        (rows,) = await self._executor.run(self._sql.has_open_tasks(**self._task_values(queue, "")))
        return bool(rows)

    async def change_lane(self, queue: str, lane: str, change: LaneChange) -> Lane:
        values = self._task_values(queue, "") | {"lane": lane, "keep": change.keep, "epoch": self._new_id()}
        changes = {
            "abort": (self._sql.abort_lane,),
            "close": (self._sql.ensure_owner, self._sql.close_lane),
            "open": (self._sql.open_lane,),
            "clear": (self._sql.clear_lane, self._sql.insert_receipts, self._sql.open_lane),
        }[change.do]
        *_, lanes, aborted = await self._executor.run(
            *(query(**values) for query in changes), self._sql.closed_lane(**values), self._sql.aborted_tasks(**values)
        )
        if change.do == "close" and not lanes:
            raise lane_busy(lane)
        ids = decode_answer(aborted, list[str]) if change.do == "abort" else []
        return Lane(lane, lanes[0]["value"] if lanes else None, ids)

    @property
    def _changes(self) -> dict[Any, Query]:
        """The statement of each change but notes, by what it is called."""
        return {
            "ready": self._sql.make_ready,
            "claim": self._sql.claim_task,
            "applied": self._sql.apply_task,
            "recover": self._sql.recover_task,
            "replace": self._sql.replace_attempt,
            "requeue": self._sql.requeue_task,
            "settle": self._sql.settle_task,
            "drop": self._sql.drop_task,
            "reserve": self._sql.reserve_settlement,
            "finalize": self._sql.finalize_settlement,
            "join": self._sql.join_task,
            "leave": self._sql.leave_host,
        }

    async def _note(self, change: NoteTask, values: dict[str, Any], record: ChangeRecord) -> Changed:
        """Merge a patch into a note: in the database, or here with the owner locked."""
        values |= {"wanted": as_json(change.if_), "note_bytes_max": NOTE_BYTES_MAX}

        def writes(note: Raw, *, has_wanted: bool) -> list[Statement]:
            given = values | {"note": text_of_json(note), "has_wanted": has_wanted}
            return [
                self._sql.note_verdict(**given),
                self._sql.note_task(**given),
                *self._reading(self._sql.task, values),
            ]

        if self._sql.dialect.merges_metadata:
            results = await self._executor.run(*writes(change.note, has_wanted=True))
        else:
            assert isinstance(self._executor, ReadsFirst)  # noqa: S101 see the dialect

            def merged_into(before: list[Row]) -> list[Statement]:
                note = Raw((before[0]["answer"] or "null").encode())
                return writes(merged_note(note, change.note), has_wanted=has(note, change.if_))

            results = await self._executor.run_on(self._sql.note_before(**values), merged_into)
        if not results:
            return Changed(applied=False)
        verdicts, _, rows, parts = results
        if any(verdict["value"] > NOTE_BYTES_MAX for verdict in verdicts):
            raise note_too_large()
        return _changed(rows, parts, record)

    def _task_values(self, queue: str, task: str, request: str = "") -> dict[str, Any]:
        """What every statement is given. No write of a client has an empty name."""
        page = {"after": 0, "limit": 1, "page_bytes": PAGE_BYTES_MAX}
        return self._values_of(queue=queue, task=task, request=request, **page)

    def _reading(self, queries: tuple[Query, ...], values: dict[str, Any]) -> list[Statement]:
        return [query(**values) for query in queries]

    def _value(self, value: Raw, most: int, values: dict[str, Any]) -> tuple[str | None, int, list[Statement]]:
        """Where a value is kept that is larger than this: its group of pieces, how much it takes of a page, and how."""
        size = len(memoryview(value))
        if size <= most:
            return None, size, []
        group = self._new_id()
        pieces = [
            self._sql.insert_piece_of_task(**values, group_id=group, part=part, data=data)
            for part, data in enumerate(pieces_of(bytes(value)))
        ]
        return group, max(size, PAGE_BYTES_MAX), pieces


async def sweep_tasks(executor: Executor, user_id: str) -> bool:
    """Remove a part of the tasks that were deleted, and of lanes; return whether there is more."""
    sql = executor.statements
    values: dict[str, Any] = {"user": user_id, "limit": _SWEPT_TASKS_MAX, "bytes": _SWEPT_BYTES_MAX}
    (answers,) = await executor.run(sql.sweepable_tasks(**values))
    chosen = answers[0]["answer"]
    if chosen is None:
        return False
    values["tasks"] = as_json(msgspec.json.decode(chosen))  # some drivers answer with bytes
    *_, rows = await executor.run(
        *(query(**values) for query in (*sql.sweep_tasks, *sql.sweep_lanes)),
        sql.remove_owner(**values),
        sql.retired_tasks(**values),
    )
    return bool(rows)


def _changed(rows: list[Row], parts: list[Row], record: ChangeRecord) -> Changed:
    """What came of a change: the task bears its name, or its reservation."""
    change = record.change
    for kept in _page(rows, parts).rows:
        is_reserved = (
            isinstance(change, Reserve)
            and (kept.state, kept.attempt, kept.settlement_id) == ("settling", change.attempt, change.settlement_id)
            and kept.settlement_digest == record.settlement_digest
        )
        return Changed(applied=is_reserved or kept.request == record.request, task=_shown(kept))
    return Changed(applied=False)


def _shown(kept: _KeptTask) -> Task:
    """A task without what only the store asks."""
    return Task(**{name: getattr(kept, name) for name in Task.__struct_fields__})


def _shown_page(page: _TaskRows) -> TaskPage:
    return TaskPage([_shown(kept) for kept in page.rows], page.more)


def _page(rows: list[Row], parts: list[Row]) -> _TaskRows:
    """A page in order of `seq`. What has pieces is the only one of its page."""
    page = decode_answer(rows, _TaskRows)
    page.rows.sort(key=lambda kept: kept.seq)
    groups: dict[str, list[str]] = {}
    for part in parts:
        groups.setdefault(part["group_id"], []).append(part["data"])
    for group, texts in groups.items():
        whole = Raw("".join(texts).encode())
        if group == page.rows[0].settlement_big:
            page.rows[0].settlement = whole
        else:
            page.rows[0].payload = whole
    return page
