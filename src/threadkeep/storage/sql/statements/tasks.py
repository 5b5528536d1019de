"""Statements about tasks and lanes.

A task is changed by one statement, which is guarded by the state that the change needs, and sets `stamp` to what no
other batch has, and `request` to the name of the write. What follows from it goes by that stamp alone. What this makes
of other tasks leaves their `request` alone, so that a change of theirs is known if it is sent again.

What is in a payload or a settlement is text to the database, and is never looked into. A note is merged.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import LANE, PIECE, TASK, named
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned

_IN_QUEUE = "t.user_id = :user AND t.queue = :queue AND t.deleted_at IS NULL"
_NAMED = f"{_IN_QUEUE} AND t.id = :task"
_OPEN = "t.user_id = :user AND t.queue = :queue AND t.is_open = 1"
_RUNNING = "t.state = 'running' AND t.attempt = :attempt"
_ABSORBED = (
    "{t}.user_id = :user AND {t}.queue = :queue AND {t}.host = :task AND {t}.state = 'joining'"
    " AND {t}.stamp = :absorbing AND {t}.deleted_at IS NULL"
)
_LANE = "l.user_id = :user AND l.queue = :queue AND l.lane = :lane AND l.deleted_at IS NULL"
_KEPT = ("digest", "settlement_digest", "settlement_big", "request", "stamp")
"""What is read of a task beside what is shown."""
_SETTLED = {"state": "'settled'", "is_open": "0", "settled_at": ":now"}
_NOT_IN_RECEIPTS = (
    "error",
    "settlement_id",
    "settlement_digest",
    "settlement_big",
    "big",
    "note",
    "settlement",
    "payload",
)


class Tasks(Base):
    """See the module."""

    @cached_property
    def insert_task(self) -> Query:
        """Admit a task, unless its id is taken or its lane is closed."""
        given = {
            column.name: self.dialect.parameter(column)
            for column in named(
                TASK,
                *("queue", "id", "lane", "kind", "target", "digest", "accepted_at", "ready_at", "attempts_max"),
                *("timeout_at", "stamp", "bytes", "big", "payload"),
            )
        }
        last = f"SELECT max(s.seq) FROM {self.tasks} AS s WHERE s.user_id = :user AND s.queue = :queue"
        values = {
            "user_id": ":user",
            **given,
            "seq": f"coalesce(({last} AND s.deleted_at IS NULL), 0) + 1",
            "state": "'queued'",
            "is_open": "1",
            "attempts": "0",
            "lease_until": "0",
            "settlement_bytes": "0",
            "note_revision": "0",
            "request": "''",
        }
        return self.dialect.write(f"""
{self.insert(self.tasks, values)}
FROM {self.owners} AS o
WHERE o.user_id = :user AND NOT EXISTS (SELECT 1 FROM {self.lanes} AS l WHERE {_LANE})
ON CONFLICT (user_id, queue, id) WHERE deleted_at IS NULL DO NOTHING
""")

    @cached_property
    def insert_piece_of_task(self) -> Query:
        """Keep a part of a payload or a settlement that is too large to be one value."""
        given = {column.name: self.dialect.parameter(column) for column in PIECE}
        return self.dialect.write(f"""
{self.insert(self.pieces, {"user_id": ":user", **given})}
FROM {self.tasks} AS t
WHERE {_NAMED} AND t.stamp = :stamp
""")

    # Each of these is what reads a page, and what reads the pieces of the task with which it begins.

    @cached_property
    def task(self) -> tuple[Query, ...]:
        """One task."""
        return self._page_of_tasks(_NAMED)

    @cached_property
    def runnable_tasks(self) -> tuple[Query, ...]:
        """Those that may be claimed."""
        return self._page_of_tasks(f"{_OPEN} AND t.state = 'queued' AND {self._is_runnable}")

    @cached_property
    def unready_tasks(self) -> tuple[Query, ...]:
        """Those that are queued and not ready."""
        return self._page_of_tasks(f"{_OPEN} AND t.state = 'queued' AND t.ready_at IS NULL")

    @cached_property
    def tasks_of_state(self) -> tuple[Query, ...]:
        """Open ones of a state."""
        return self._page_of_tasks(f"{_OPEN} AND t.state = :state")

    @cached_property
    def expired_tasks(self) -> tuple[Query, ...]:
        """Running ones whose lease has ended."""
        return self._page_of_tasks(f"{_OPEN} AND t.state = 'running' AND t.lease_until > 0 AND t.lease_until < :now")

    @cached_property
    def joined_tasks(self) -> tuple[Query, ...]:
        """Those that have joined a task, or are joining it."""
        return self._page_of_tasks(f"{_IN_QUEUE} AND t.host = :host AND t.state IN ('joining', 'joined')")

    @cached_property
    def open_tasks(self) -> tuple[Query, ...]:
        """All that are open: a few of each state, by the index that has them in order."""
        states = ("queued", "running", "settling", "joining", "joined")
        return self._page_of_tasks(*(f"{_OPEN} AND t.state = '{state}'" for state in states))

    @cached_property
    def tasks_of_lane(self) -> tuple[Query, ...]:
        """All of a lane."""
        return self._page_of_tasks(f"{_IN_QUEUE} AND t.lane = :lane")

    @cached_property
    def tasks_of_queue(self) -> tuple[Query, ...]:
        """All of a queue."""
        return self._page_of_tasks(_IN_QUEUE)

    @cached_property
    def absorbed_tasks(self) -> tuple[Query, ...]:
        """Those that were made to join a running task by this write, now or when it was sent before."""
        host = f"SELECT 1 FROM {self.tasks} AS h WHERE {self._host(':task')}"
        return self._page_of_tasks(f"{_ABSORBED.format(t='t')} AND EXISTS ({host})")

    @cached_property
    def has_open_tasks(self) -> Query:
        """Whether any task of a queue is open: no row where none is."""
        return self.dialect.read(f"""
SELECT 1 AS value
FROM {self.tasks} AS t
WHERE {_OPEN}
LIMIT 1
""")

    # Changes, each by one statement.

    @cached_property
    def make_ready(self) -> Query:
        """Let a queued task be claimed."""
        return self._change({"ready_at": "coalesce(ready_at, :now)"}, "t.state = 'queued'")

    @cached_property
    def claim_task(self) -> Query:
        """Begin an attempt at the first open task of a lane."""
        timeout_at = f"coalesce({self.dialect.integer(':timeout_at')}, timeout_at)"
        return self._change(
            {
                "state": "'running'",
                "attempt": ":attempt",
                "started_at": ":now",
                "attempts": "CASE WHEN :restart = 1 THEN 1 ELSE attempts + 1 END",
                "attempts_max": f"coalesce({self.dialect.integer(':attempts_max')}, attempts_max)",
                "timeout_at": f"CASE WHEN :restart = 1 OR timeout_at = 0 THEN {timeout_at} ELSE timeout_at END",
                "holder": ":holder",
                "lease_until": ":lease_until",
            },
            f"t.state = 'queued' AND {self._is_runnable}",
        )

    @cached_property
    def apply_task(self) -> Query:
        """Note that the input of a task has taken effect, and set its budget the first time."""
        budget = {
            name: f"CASE WHEN applied_at IS NULL THEN coalesce({given}, {name}) ELSE {name} END"
            for name in ("attempts_max", "timeout_at")
            for given in [self.dialect.integer(f":{name}")]
        }
        return self._change({**budget, "applied_at": "coalesce(applied_at, :now)"}, _RUNNING)

    @cached_property
    def recover_task(self) -> Query:
        """Ask that a running task be recovered."""
        return self._change({"recovery_at": "coalesce(recovery_at, :now)"}, _RUNNING)

    @cached_property
    def replace_attempt(self) -> Query:
        """Go on under another attempt."""
        return self._change(
            {
                "attempt": ":next_attempt",
                "started_at": ":now",
                "attempts": "attempts + 1",
                "recovery_at": "NULL",
                "holder": f"coalesce({self.dialect.text(':holder')}, holder)",
                "lease_until": f"coalesce({self.dialect.integer(':lease_until')}, lease_until)",
            },
            _RUNNING,
        )

    @cached_property
    def requeue_task(self) -> Query:
        """Put a running task back."""
        unset = dict.fromkeys(("attempt", "applied_at", "recovery_at", "started_at", "holder"), "NULL")
        return self._change(
            {"state": "'queued'", "lease_until": "0", **unset},
            f"{_RUNNING} AND (:unless_applied = 0 OR t.applied_at IS NULL)",
        )

    @cached_property
    def settle_task(self) -> Query:
        """End a running task."""
        return self._change({**_SETTLED, "error": self.dialect.text(":error")}, _RUNNING)

    @cached_property
    def drop_task(self) -> Query:
        """End a queued task."""
        return self._change({**_SETTLED, "error": self.dialect.text(":error")}, "t.state = 'queued'")

    @cached_property
    def reserve_settlement(self) -> Query:
        """Fix how a task will end."""
        names = ("settlement_id", "settlement_digest", "settlement_bytes", "settlement_big", "settlement", "error")
        given = {column.name: self.dialect.parameter(column) for column in named(TASK, *names)}
        joined = f"t.state = 'joined' AND EXISTS (SELECT 1 FROM {self.tasks} AS h WHERE {self._host('t.host')})"
        return self._change(
            {**given, "state": "'settling'", "attempt": ":attempt", "started_at": "coalesce(started_at, :now)"},
            f"t.settlement_id IS NULL AND (({_RUNNING} AND t.holder IS NOT NULL) OR ({joined}))",
        )

    @cached_property
    def finalize_settlement(self) -> Query:
        """End a task as it was reserved."""
        error = f"CASE WHEN error IS NULL THEN NULL ELSE coalesce({self.dialect.text(':error')}, error) END"
        return self._change(
            {**_SETTLED, "error": error},
            "t.state = 'settling' AND t.attempt = :attempt AND t.settlement_id = :settlement_id",
        )

    @cached_property
    def join_task(self) -> Query:
        """Note that a task has joined its host."""
        return self._change({"state": "'joined'", "applied_at": "coalesce(applied_at, :now)"}, self._is_joining)

    @cached_property
    def leave_host(self) -> Query:
        """Put a task back that was joining its host."""
        return self._change({"state": "'queued'", "host": "NULL", "applied_at": "NULL"}, self._is_joining)

    @cached_property
    def note_verdict(self) -> Query:
        """Tell how many bytes the note would have, where the task is under the attempt."""
        size = self.dialect.bytes_of(self._merged_note)
        return self.dialect.read(f"""
SELECT {size} AS value
FROM {self.tasks} AS t
WHERE {_NAMED} AND t.request <> :request AND {self._may_be_noted}
""")

    @cached_property
    def note_before(self) -> Query:
        """The note of a task, where the database does not merge it, with the owner locked."""
        return self.dialect.answer(f"""
SELECT t.note AS answer
FROM {self.tasks} AS t
WHERE {_NAMED}
""")

    @cached_property
    def note_task(self) -> Query:
        """Merge a patch into the note of a task."""
        return self._change(
            {"note": self._merged_note, "note_revision": "note_revision + 1", "noted_at": ":now"},
            f"{self._may_be_noted} AND {self.dialect.bytes_of(self._merged_note)} <= :note_bytes_max",
        )

    @cached_property
    def settle_joined(self) -> Query:
        """End what has joined a task that this batch has settled, with the same error."""
        host = f"SELECT {{what}} FROM {self.tasks} AS h WHERE {self._stamped_host} AND h.state = 'settled'"
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET state = 'settled', is_open = 0, settled_at = :now, error = ({host.format(what="h.error")}), stamp = :stamp
WHERE {_IN_QUEUE} AND t.host = :task AND t.state = 'joined' AND EXISTS ({host.format(what="1")})
""")

    @cached_property
    def requeue_joining(self) -> Query:
        """Put back what was joining a task that this batch has settled."""
        host = f"SELECT 1 FROM {self.tasks} AS h WHERE {self._stamped_host} AND h.state = 'settled'"
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET state = 'queued', host = NULL, applied_at = NULL, stamp = :stamp
WHERE {_IN_QUEUE} AND t.host = :task AND t.state = 'joining' AND EXISTS ({host})
""")

    @cached_property
    def begin_absorbing(self) -> Query:
        """Stamp a running task, which is to absorb others, unless this write was made before.

        The host may have been changed since, by a note for instance. What it has absorbed still bears the write's name.
        """
        absorbed = f"SELECT 1 FROM {self.tasks} AS g WHERE {_ABSORBED.format(t='g')}"
        return self._change({}, f"{_RUNNING} AND NOT EXISTS ({absorbed})")

    @cached_property
    def absorb_tasks(self) -> Query:
        """Have the next queued tasks of its lane join a task that this batch has stamped: as many as make a page."""
        blocked = f"b.ready_at IS NULL OR b.abort_at IS NOT NULL OR b.target IS DISTINCT FROM {self._target}"
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key("tasks", "t")}
SET state = 'joining', host = :task, stamp = :absorbing
WHERE t.user_id = :user AND t.n IN (
  SELECT s.n
  FROM (
    SELECT q.n, row_number() OVER absorbing AS position, sum(q.bytes) OVER absorbing AS bytes
    FROM (
      SELECT k.n, k.seq, {self._bytes_of("k")} AS bytes
      FROM {self.tasks} AS k
      WHERE {self._waiting("k", self._stamped_host)} AND k.seq < coalesce((
        SELECT min(b.seq)
        FROM {self.tasks} AS b
        WHERE {self._waiting("b", self._stamped_host)} AND ({blocked})
      ), :beyond)
      ORDER BY k.seq
      LIMIT :limit
    ) AS q
    WINDOW absorbing AS (ORDER BY q.seq)
  ) AS s
  WHERE s.position = 1 OR s.bytes <= :page_bytes
)
""")

    @cached_property
    def absorbable(self) -> Query:
        """Whether the next queued task of the lane of a running one could be absorbed as well: no row where not."""
        return self.dialect.read(f"""
SELECT 1 AS value
FROM (
  SELECT k.ready_at, k.abort_at, k.target
  FROM {self.tasks} AS k
  WHERE {self._waiting("k", self._host(":task"))}
  ORDER BY k.seq
  LIMIT 1
) AS f
WHERE f.ready_at IS NOT NULL AND f.abort_at IS NULL AND f.target IS NOT DISTINCT FROM {self._target}
""")

    @cached_property
    def renew_leases(self) -> Query:
        """Renew the leases of running tasks that a holder has."""
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key("tasks", "t")}
SET lease_until = :lease_until
WHERE t.user_id = :user AND t.n IN (SELECT r.n {self._held})
""")

    @cached_property
    def renewed(self) -> Query:
        """The ids of those whose leases were renewed."""
        return self.dialect.answer(f"SELECT {self.dialect.list_of('r.id')} AS answer\n{self._held.lstrip()}")

    # Lanes.

    @cached_property
    def closed_lane(self) -> Query:
        """Since when a lane is closed: no row where it is open."""
        return self.dialect.read(f"""
SELECT l.closed_at AS value
FROM {self.lanes} AS l
WHERE {_LANE}
""")

    @cached_property
    def close_lane(self) -> Query:
        """Close a lane that has no open tasks."""
        values = {"user_id": ":user", "queue": ":queue", "lane": ":lane", "closed_at": ":now"}
        return self.dialect.write(f"""
{self.insert(self.lanes, values)}
FROM {self.owners} AS o
WHERE o.user_id = :user AND NOT EXISTS (SELECT 1 FROM {self.tasks} AS t WHERE {_OPEN} AND t.lane = :lane)
ON CONFLICT (user_id, queue, lane) WHERE deleted_at IS NULL DO NOTHING
""")

    @cached_property
    def open_lane(self) -> Query:
        """Open a lane: its row is on its way out."""
        return self.dialect.write(f"""
UPDATE {self.lanes} AS l
SET deleted_at = :now
WHERE {_LANE}
""")

    @cached_property
    def abort_lane(self) -> Query:
        """Stamp the open tasks of a lane, but for those that are settling, as to be given up."""
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET abort_at = coalesce(abort_at, :now)
WHERE {_OPEN} AND t.lane = :lane AND t.state <> 'settling'
""")

    @cached_property
    def aborted_tasks(self) -> Query:
        """The ids of the tasks that `abort_lane` has stamped, in order."""
        return self.dialect.answer(f"""
SELECT {self.dialect.list_of("a.id")} AS answer
FROM (
  SELECT t.id
  FROM {self.tasks} AS t
  WHERE {_OPEN} AND t.lane = :lane AND t.state <> 'settling'
  ORDER BY t.seq
) AS a
""")

    @cached_property
    def clear_lane(self) -> Query:
        """Remove the settled tasks of a lane that is closed."""
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET deleted_at = :now, stamp = :stamp
WHERE {_IN_QUEUE}
  AND t.lane = :lane
  AND t.state = 'settled'
  AND EXISTS (SELECT 1 FROM {self.lanes} AS l WHERE {_LANE})
""")

    @cached_property
    def insert_receipts(self) -> Query:
        """Keep receipts of a kind of what this batch has removed. What is large or said stays behind."""
        kept = {column.name: f"r.{column.name}" for column in TASK if column.name not in _NOT_IN_RECEIPTS}
        values = {
            "user_id": ":user",
            **kept,
            "state": "'receipt'",
            "digest": "''",
            "bytes": "0",
            "settlement_bytes": "0",
        }
        return self.dialect.write(f"""
{self.insert(self.tasks, values)}
FROM {self.tasks} AS r
WHERE r.user_id = :user AND r.deleted_at = :now AND r.stamp = :stamp AND r.kind = :keep
""")

    # Erasing.

    @cached_property
    def retire_all_tasks(self) -> Query:
        """Delete all tasks of a user."""
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET deleted_at = :now, is_open = 0
WHERE t.user_id = :user AND t.deleted_at IS NULL
""")

    @cached_property
    def retire_all_lanes(self) -> Query:
        """Open all lanes of a user."""
        return self.dialect.write(f"""
UPDATE {self.lanes} AS l
SET deleted_at = :now
WHERE l.user_id = :user AND l.deleted_at IS NULL
""")

    @cached_property
    def sweepable_tasks(self) -> Query:
        """Choose a part of the tasks that are deleted, by their `n`; NULL where no task and no lane is."""
        part = f"SELECT {self.dialect.list_of('s.n')} FROM sized AS s WHERE s.position = 1 OR s.bytes <= :bytes"
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT t.n, t.bytes + t.settlement_bytes AS bytes
    FROM {self.tasks} AS t
    WHERE t.user_id = :user AND t.deleted_at > 0
    LIMIT :limit
  ),
  sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM listed AS i
    WINDOW sweeping AS (ORDER BY i.n)
  )
SELECT CASE WHEN EXISTS ({self._retired_task}) OR EXISTS ({self._retired_lane}) THEN ({part}) ELSE NULL END AS answer
""")

    @cached_property
    def sweep_tasks(self) -> tuple[Query, ...]:
        """Overwrite and remove what was chosen, with its pieces, if it still is deleted."""
        zeros = self.dialect.zeros
        task = f"k.user_id = :user AND k.n = {self.dialect.integer('given.value')}"
        chosen = f"""
  SELECT k.{{column}}
  FROM {self.dialect.each(":tasks", "given")}
  {self.dialect.look_up("tasks", "k", task)}
  WHERE k.deleted_at > 0
"""
        groups = f"{chosen.format(column='big')} UNION ALL {chosen.format(column='settlement_big')}"
        of_pieces = f"WHERE p.user_id = :user AND {self.dialect.is_among('p.group_id', groups)}"
        of_tasks = f"WHERE t.user_id = :user AND t.n IN ({chosen.format(column='n')})"
        table = self.dialect.by_key("tasks", "t")
        texts = [f"\nDELETE FROM {self.pieces} AS p\n{of_pieces}\n", f"\nDELETE FROM {table}\n{of_tasks}\n"]
        if zeros is not None:
            texts[:0] = [
                f"\nUPDATE {self.pieces} AS p\nSET\n  {assigned(PIECE, zeros)}\n{of_pieces}\n",
                f"\nUPDATE {table}\nSET\n  {assigned(TASK, zeros)}\n{of_tasks}\n",
            ]
        return tuple(map(self.dialect.write, texts))

    @cached_property
    def sweep_lanes(self) -> tuple[Query, ...]:
        """Overwrite and remove some rows of lanes that were opened."""
        zeros = self.dialect.zeros
        opened = f"""
  SELECT k.n
  FROM {self.lanes} AS k
  WHERE k.user_id = :user AND k.deleted_at > 0
  ORDER BY k.deleted_at, k.n
  LIMIT :limit
"""
        table = self.dialect.by_key("lanes", "l")
        condition = f"WHERE l.user_id = :user AND l.n IN ({opened})"
        removing = self.dialect.write(f"\nDELETE FROM {table}\n{condition}\n")
        if zeros is None:
            return (removing,)
        return self.dialect.write(f"\nUPDATE {table}\nSET\n  {assigned(LANE, zeros)}\n{condition}\n"), removing

    @cached_property
    def retired_tasks(self) -> Query:
        """Whether any task or lane is still to be swept: no row where none is."""
        return self.dialect.read(f"""
SELECT r.value
FROM (
  SELECT ({self._retired_task}) AS value
  UNION ALL
  SELECT ({self._retired_lane}) AS value
) AS r
WHERE r.value IS NOT NULL
""")

    @property
    def _retired_task(self) -> str:
        return f"SELECT 1 FROM {self.tasks} AS t WHERE t.user_id = :user AND t.deleted_at > 0 LIMIT 1"

    @property
    def _retired_lane(self) -> str:
        return f"SELECT 1 FROM {self.lanes} AS l WHERE l.user_id = :user AND l.deleted_at > 0 LIMIT 1"

    @property
    def _is_runnable(self) -> str:
        """Whether a queued task may be claimed: it is ready, and the first open one of its lane."""
        first = "e.user_id = :user AND e.queue = :queue AND e.lane = t.lane AND e.is_open = 1"
        return f"""t.ready_at IS NOT NULL
  AND t.seq = (SELECT min(e.seq) FROM {self.tasks} AS e WHERE {first})"""

    def _host(self, task: str) -> str:
        """The condition that `h` is a task, running under the attempt."""
        return (
            f"h.user_id = :user AND h.queue = :queue AND h.id = {task} AND h.deleted_at IS NULL"
            " AND h.state = 'running' AND h.attempt = :attempt"
        )

    @property
    def _stamped_host(self) -> str:
        return "h.user_id = :user AND h.queue = :queue AND h.id = :task AND h.deleted_at IS NULL AND h.stamp = :stamp"

    @property
    def _is_joining(self) -> str:
        host = f"SELECT 1 FROM {self.tasks} AS h WHERE {self._host(':host')}"
        return f"t.state = 'joining' AND t.host = :host AND EXISTS ({host})"

    @property
    def _may_be_noted(self) -> str:
        return f"t.attempt = :attempt AND t.state <> 'receipt' AND {self.dialect.has_members('t.note')}"

    @property
    def _merged_note(self) -> str:
        return self.dialect.merged("coalesce(note, '{}')", ":note")

    @property
    def _target(self) -> str:
        return self.dialect.text(":target")

    def _waiting(self, alias: str, host: str) -> str:
        """The condition that a task is queued in the lane of the task `h` that fulfils the other condition.

        It is looked for in the lane. Postgres would go through all that is queued, by the index of states, as if it
        found the first one soon; this form of the condition leaves that index out.
        """
        lane = f"(SELECT h.lane FROM {self.tasks} AS h WHERE {host})"
        return (
            f"{alias}.user_id = :user AND {alias}.queue = :queue AND {alias}.lane = {lane}"
            f" AND {alias}.is_open = 1 AND ({alias}.state = 'queued') IS TRUE"
        )

    @property
    def _held(self) -> str:
        """From where come the tasks named that are running under this holder."""
        task = "r.user_id = :user AND r.queue = :queue AND r.id = given.value ->> 0 AND r.deleted_at IS NULL"
        return f"""
  FROM {self.dialect.each(":tasks", "given")}
  {self.dialect.look_up("tasks", "r", task)}
  WHERE r.state = 'running' AND r.holder = :holder
"""

    def _bytes_of(self, alias: str) -> str:
        """How much a task takes of a page."""
        return f"{alias}.bytes + {alias}.settlement_bytes + coalesce({self.dialect.bytes_of(f'{alias}.note')}, 0)"

    def _change(self, values: dict[str, str], condition: str) -> Query:
        """The statement that decides: it changes a task, once for each name of a write."""
        assignments = ",\n  ".join(
            f"{name} = {value}" for name, value in (values | {"request": ":request", "stamp": ":stamp"}).items()
        )
        return self.dialect.write(f"""
UPDATE {self.tasks} AS t
SET
  {assignments}
WHERE {_NAMED} AND t.request <> :request AND {condition}
""")

    def _page_of_tasks(self, *conditions: str) -> tuple[Query, Query]:
        """What reads the tasks that fulfil any of these conditions, in order; and what reads the pieces of the first.

        No task fulfils two of them.
        """
        columns = [column for column in TASK if column.is_shown or column.name in _KEPT]
        # What is large stands last: a page is put together by copying what stands before it.
        more = "count(*) < (SELECT count(*) FROM listed)"
        page = self.dialect.answer(f"""
WITH
  listed AS ({self._listed(f"t.n, t.seq, {self._bytes_of('t')} AS bytes", "n, seq, bytes", ":limit + 1", conditions)}),
  sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.seq)
  )
SELECT {self.dialect.message_rows(columns, "t", more)} AS answer
FROM sized AS s
{self.dialect.look_up("tasks", "t", "t.user_id = :user AND t.n = s.n")}
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")
        groups = "SELECT f.big FROM first AS f UNION ALL SELECT f.settlement_big FROM first AS f"
        pieces = self.dialect.read(f"""
WITH
  first AS ({self._listed("t.seq, t.big, t.settlement_big", "seq, big, settlement_big", "1", conditions)})
SELECT p.group_id, p.data
FROM {self.pieces} AS p
WHERE p.user_id = :user AND {self.dialect.is_among("p.group_id", groups)}
ORDER BY p.group_id, p.part
""")
        return page, pieces

    def _listed(self, selected: str, columns: str, limit: str, conditions: tuple[str, ...]) -> str:
        """The first tasks that fulfil any of these conditions, each by its own index."""
        parts = [
            f"""
    SELECT {selected}
    FROM {self.tasks} AS t
    WHERE {condition} AND t.seq > :after
    ORDER BY t.seq
    LIMIT {limit}
  """
            for condition in conditions
        ]
        if len(parts) == 1:
            return parts[0]
        names = columns.split(", ")
        united = "UNION ALL".join(
            f"\n      SELECT {_of(f'v{place}', names)} FROM ({part}) AS v{place}\n" for place, part in enumerate(parts)
        )
        return f"\n    SELECT {_of('v', names)}\n    FROM ({united}) AS v\n    ORDER BY v.seq\n    LIMIT {limit}\n  "


def _of(alias: str, names: list[str]) -> str:
    """Columns of a table."""
    return ", ".join(f"{alias}.{name}" for name in names)
