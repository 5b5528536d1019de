"""Statements about threads: their checkpoints, the values that these name, and the writes that are pending on them.

What writes to a thread sets its `stamp`, if it comes by the last claim; all after it in a batch is guarded by that.
What is removed from a thread that stays is moved to one that is deleted, of the same name, which is swept as any other.

`stored` of a checkpoint is an array of pairs, of a channel and the version of its value, or null where the value stands
in the checkpoint itself. Channels are handed on as an array of arrays of one.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import (
    CHECKPOINT,
    CHECKPOINT_VALUE,
    CHECKPOINT_WRITE,
    PIECE,
    THREAD,
    Column,
    named,
    shown,
)
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned

KINDS = {
    "checkpoints": CHECKPOINT,
    "checkpoint_values": CHECKPOINT_VALUE,
    "checkpoint_writes": CHECKPOINT_WRITE,
}
"""The tables of what belongs to a thread."""
_KEYS = {
    "checkpoints": ("ns", "id"),
    "checkpoint_values": ("ns", "channel", "version"),
    "checkpoint_writes": ("ns", "checkpoint", "task", "idx"),
}
_JSON = Column("value", "value", "json")
_IS_THERE = "{t}.deleted_at IS NULL AND ({t}.expires_at IS NULL OR {t}.expires_at > :now)"
_LIVE = f"t.user_id = :user AND t.name = :thread AND {_IS_THERE.format(t='t')}"
_STAMPED = "t.user_id = :user AND t.name = :thread AND t.deleted_at IS NULL AND t.stamp = :stamp"
_GRAVE = "g.user_id = :user AND g.deleted_at = :now AND g.stamp = :stamp"


class Threads(Base):
    """See the module."""

    @cached_property
    def thread(self) -> Query:
        """Get a thread, and what tells whether this batch has written it."""
        document = self.dialect.document([*shown(THREAD), *named(THREAD, "stamp")], "t")
        return self.dialect.answer(f"""
SELECT {document} AS answer
FROM {self.threads} AS t
WHERE {_LIVE}
""")

    @cached_property
    def list_threads(self) -> Query:
        """A page of threads."""
        document = self.dialect.document(shown(THREAD), "t")
        listed = self.dialect.list_of(self.dialect.shown(_JSON, "l.document"))
        rows = {"rows": self.dialect.subquery(f"SELECT {listed} FROM listed AS l")}
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT {document} AS document
    FROM {self.threads} AS t
    WHERE t.user_id = :user
      AND {_IS_THERE.format(t="t")}
      AND (t.updated_at, t.name) < ({self.dialect.integer(":before_time")}, {self.dialect.text(":before_name")})
    ORDER BY t.updated_at DESC, t.name DESC
    LIMIT :limit + 1
  )
SELECT {self.dialect.object(rows)} AS answer
""")

    @cached_property
    def retire_thread(self) -> Query:
        """Delete a thread, or only one that has expired: its name is free, and it is swept later."""
        return self.dialect.write(f"""
UPDATE {self.threads} AS t
SET deleted_at = :now
WHERE t.user_id = :user
  AND t.name = :thread
  AND t.deleted_at IS NULL
  AND (t.expires_at <= :now OR {self.dialect.integer(":retires")} = 1)
""")

    @cached_property
    def insert_thread(self) -> Query:
        """Create a thread, unless there is one, or the caller has claimed one that is gone."""
        values = {
            "user_id": ":user",
            "name": self.dialect.text(":thread"),
            "epoch": "0",
            "is_pruned": "FALSE",
            "expires_at": "NULL",
            "created_at": ":now",
            "updated_at": ":now",
            "request": "''",
            "stamp": "''",
        }
        return self.dialect.write(f"""
{self.insert(self.threads, values)}
FROM {self.owners} AS o
WHERE o.user_id = :user AND {self.dialect.integer(":claim")} = 0 AND {self._has_source}
ON CONFLICT (user_id, name) WHERE deleted_at IS NULL DO NOTHING
""")

    @cached_property
    def write_thread(self) -> Query:
        """The statement that decides: it stamps a thread, if the caller has the last claim."""
        return self.dialect.write(f"""
UPDATE {self.threads} AS t
SET
  updated_at = {self.dialect.greatest("updated_at", ":now")},
  expires_at = coalesce({self.dialect.integer(":expires_at")}, expires_at),
  is_pruned = FALSE,
  stamp = :stamp
WHERE {_LIVE} AND t.epoch = :claim AND {self._has_source}
""")

    @cached_property
    def claim_thread(self) -> Query:
        """Begin the next epoch of a thread, once for each name of a claim."""
        return self.dialect.write(f"""
UPDATE {self.threads} AS t
SET
  updated_at = {self.dialect.greatest("updated_at", ":now")},
  epoch = epoch + 1,
  request = :request,
  stamp = :stamp
WHERE {_LIVE} AND t.request <> :request
""")

    @cached_property
    def unhinge_checkpoint(self) -> tuple[Query, ...]:
        """Remove the pieces of a checkpoint whose place is to be taken."""
        checkpoint = "c.user_id = :user AND c.thread = t.n AND c.ns = :ns AND c.id = :id"
        overwriting, removing = self.removal_of_pieces(f"""
  SELECT c.big
  FROM {self.threads} AS t
  {self.dialect.look_up("checkpoints", "c", checkpoint)}
  WHERE {_STAMPED}
""")
        return *overwriting, *removing

    @cached_property
    def put_checkpoint(self) -> Query:
        """Keep a checkpoint, in the place of one that is there."""
        given = {column.name: self.dialect.parameter(column) for column in CHECKPOINT}
        replaced = ",\n  ".join(f"{name} = excluded.{name}" for name in given if name not in _KEYS["checkpoints"])
        return self.dialect.write(f"""
{self.insert(self.checkpoints, {"user_id": ":user", "thread": "t.n", **given})}
FROM {self.threads} AS t
WHERE {_STAMPED}
ON CONFLICT (user_id, thread, ns, id) DO UPDATE
SET
  {replaced}
""")

    @cached_property
    def put_values(self) -> Query:
        """Keep values, unless there is one of the channel and the version."""
        given = {column.name: self.dialect.given(column, "new.value") for column in CHECKPOINT_VALUE}
        given["ns"] = self.dialect.text(":ns")
        return self.dialect.write(f"""
{self.insert(self.checkpoint_values, {"user_id": ":user", "thread": "t.n", **given})}
FROM {self.threads} AS t
CROSS JOIN {self.dialect.each(":rows", "new")}
WHERE {_STAMPED}
ON CONFLICT (user_id, thread, ns, channel, version) DO NOTHING
""")

    @cached_property
    def unhinge_writes(self) -> tuple[Query, ...]:
        """Remove the pieces of writes whose place is to be taken. `:replaced` is an array of arrays of an `idx`."""
        idx = self.dialect.integer("given.value ->> 0")
        write = (
            "w.user_id = :user AND w.thread = t.n AND w.ns = :ns AND w.checkpoint = :checkpoint AND w.task = :task"
            f" AND w.idx = {idx}"
        )
        overwriting, removing = self.removal_of_pieces(f"""
  SELECT w.big
  FROM {self.threads} AS t
  CROSS JOIN {self.dialect.each(":replaced", "given")}
  {self.dialect.look_up("checkpoint_writes", "w", write)}
  WHERE {_STAMPED}
""")
        return *overwriting, *removing

    @cached_property
    def put_writes(self) -> Query:
        """Keep writes: of two with one `idx` the first, or the last of a negative one."""
        given = {column.name: self.dialect.given(column, "new.value") for column in CHECKPOINT_WRITE}
        given |= {name: self.dialect.text(f":{name}") for name in ("ns", "checkpoint", "task", "path")}
        replaced = ",\n  ".join(f"{name} = excluded.{name}" for name in given if name not in _KEYS["checkpoint_writes"])
        return self.dialect.write(f"""
{self.insert(self.checkpoint_writes, {"user_id": ":user", "thread": "t.n", **given})}
FROM {self.threads} AS t
CROSS JOIN {self.dialect.each(":rows", "new")}
WHERE {_STAMPED}
ON CONFLICT (user_id, thread, ns, checkpoint, task, idx) DO UPDATE
SET
  {replaced}
WHERE excluded.idx < 0
""")

    @cached_property
    def insert_piece_of_checkpoint(self) -> Query:
        """Keep a part of a checkpoint that is too large to be one value."""
        return self._piece_of_thread("checkpoints", "r.ns = :ns AND r.id = :id")

    @cached_property
    def insert_piece_of_value(self) -> Query:
        """Keep a part of a value, if it was kept."""
        return self._piece_of_thread(
            "checkpoint_values", "r.ns = :ns AND r.channel = :channel AND r.version = :version"
        )

    @cached_property
    def insert_piece_of_write(self) -> Query:
        """Keep a part of a write, if it was kept."""
        place = "r.ns = :ns AND r.checkpoint = :checkpoint AND r.task = :task AND r.idx = :idx"
        return self._piece_of_thread("checkpoint_writes", place)

    @cached_property
    def checkpoints_of_namespace(self) -> Query:
        """A page of the checkpoints in a namespace of a thread."""
        return self._page_of_checkpoints(_OF_NAMESPACE)

    @cached_property
    def checkpoints_of_thread(self) -> Query:
        """A page of the checkpoints of a thread."""
        return self._page_of_checkpoints(_OF_THREAD)

    @cached_property
    def checkpoints_of_all(self) -> Query:
        """A page of all checkpoints."""
        return self._page_of_checkpoints("")

    @cached_property
    def large_of_namespace(self) -> Query:
        """What is in the first checkpoint of a page, if it is too large for one answer."""
        return self._large_checkpoint(_OF_NAMESPACE)

    @cached_property
    def large_of_thread(self) -> Query:
        """What is in the first checkpoint of a page, if it is too large for one answer."""
        return self._large_checkpoint(_OF_THREAD)

    @cached_property
    def large_of_all(self) -> Query:
        """What is in the first checkpoint of a page, if it is too large for one answer."""
        return self._large_checkpoint("")

    @cached_property
    def deltas(self) -> Query:
        """A page of what channels became before a checkpoint."""
        is_of_ancestor = "w.user_id = :user AND w.thread = p.thread AND w.ns = p.ns AND w.checkpoint = p.id"
        write = self._row_of_page(shown(CHECKPOINT_WRITE), "w", {"depth": "p.depth"})
        last = {"id": "p.id", "remaining": self.dialect.shown(_JSON, self.dialect.json("p.remaining"))}
        seed = {
            "depth": "p.depth",
            "channel": "x.value ->> 0",
            "isInline": self.dialect.is_true("v.n IS NULL"),
            "type": "CASE WHEN v.n IS NULL THEN c.type ELSE v.type END",
            "data": "CASE WHEN p.bytes <= :page_bytes THEN CASE WHEN v.n IS NULL THEN c.data ELSE v.data END END",
        }
        answer = {
            "last": self.dialect.subquery(f"""
  SELECT {self.dialect.object(last)}
  FROM page AS p
  WHERE p.depth = (SELECT max(q.depth) FROM page AS q)
"""),
            "isCircular": self.dialect.is_true(
                f"EXISTS (SELECT 1 FROM page AS p WHERE p.id = {self.dialect.text(':remembered')})"
            ),
            "more": self.dialect.is_true("(SELECT max(k.depth) FROM walk AS k) > (SELECT max(p.depth) FROM page AS p)"),
            "writes": self.dialect.subquery(f"""
  SELECT {self.dialect.list_of(write)}
  FROM page AS p
  {self.dialect.look_up("checkpoint_writes", "w", is_of_ancestor)}
  WHERE {self._is_sought("w.channel", "p.sought")}
"""),
            "seeds": self.dialect.subquery(f"""
  SELECT {self.dialect.list_of(self.dialect.object(seed))}
  FROM page AS p
  {self.dialect.look_up("checkpoints", "c", "c.user_id = :user AND c.n = p.n")}
  CROSS JOIN {self.dialect.each("p.sought", "x")}
  CROSS JOIN {self.dialect.each("c.stored", "s")}
  LEFT JOIN {self.checkpoint_values} AS v ON {_NAMED}
  WHERE s.value ->> 0 = x.value ->> 0 AND {_HAS_VALUE}
"""),
        }
        return self.dialect.answer(f"""
WITH RECURSIVE
  {self._walk_to_ancestors},
  weighed AS (
    SELECT k.depth, k.n, k.thread, k.ns, k.id, k.sought, k.remaining, {self._weight_of_ancestor("k")} AS bytes
    FROM walk AS k
    WHERE k.depth > 0
  ),
  sized AS (
    SELECT z.depth, z.n, z.thread, z.ns, z.id, z.sought, z.remaining, sum(z.bytes) OVER (ORDER BY z.depth) AS bytes
    FROM weighed AS z
  ),
  page AS (
    SELECT i.depth, i.n, i.thread, i.ns, i.id, i.sought, i.remaining, i.bytes
    FROM sized AS i
    WHERE i.depth = 1 OR (i.depth <= :ancestors AND i.bytes <= :page_bytes)
  )
SELECT {self.dialect.object(answer)} AS answer
""")

    @cached_property
    def large_deltas(self) -> Query:
        """What is in the first ancestor of a page of deltas, if it is too large for one answer."""
        ancestor = "c.user_id = :user AND c.thread = t.n AND c.ns = :ns AND c.id = b.parent"
        sought = self.dialect.text(":channels")
        base = f"""
  first AS (
    SELECT c.n, c.thread, c.ns, c.id, c.stored, c.big, c.data, {sought} AS sought
    FROM {self.threads} AS t
    {self.dialect.look_up("checkpoints", "b", self._is_target("b"))}
    {self.dialect.look_up("checkpoints", "c", ancestor)}
    WHERE {_LIVE}
  ),
  large AS (
    SELECT f.n, f.thread, f.ns, f.id, f.stored, f.big, f.data, f.sought
    FROM first AS f
    WHERE {self._weight_of_ancestor("f")} > :page_bytes
  )"""
        return self._parts_of_large(
            base, self._is_sought("w.channel", "f.sought"), self._is_sought("v.channel", "f.sought")
        )

    @cached_property
    def copy_values(self) -> Query:
        """Copy a part of the values that a thread lacks."""
        return self._copy_of_thread("checkpoint_values")

    @cached_property
    def copy_writes(self) -> Query:
        """Copy a part of the writes that a thread lacks, once it has all values."""
        return self._copy_of_thread("checkpoint_writes", "checkpoint_values")

    @cached_property
    def copy_checkpoints(self) -> Query:
        """Copy a part of the checkpoints that a thread lacks, once it has all that they need."""
        return self._copy_of_thread("checkpoints", "checkpoint_values", "checkpoint_writes")

    @cached_property
    def copy_pieces(self) -> tuple[Query, ...]:
        """Copy the pieces of what was just copied: of groups whose names begin with the stamp."""
        stamp = self.dialect.text(":stamp")
        return tuple(
            self.dialect.write(f"""
{self.insert(self.pieces, {"user_id": ":user", "group_id": "d.big", "part": "p.part", "data": "p.data"})}
FROM {self.threads} AS t
{self.dialect.look_up(table, "d", "d.user_id = :user AND d.thread = t.n")}
{self.dialect.look_up("threads", "f", _SOURCE)}
{self.dialect.look_up(table, "s", f"s.user_id = :user AND s.thread = f.n AND {_alike(table)}")}
{self.dialect.look_up("pieces", "p", "p.user_id = :user AND p.group_id = s.big")}
WHERE {_STAMPED} AND d.big > {stamp} AND d.big < {stamp} || '.'
""")
            for table in KINDS
        )

    @cached_property
    def lacking(self) -> Query:
        """Whether there is a source, and whether the thread still lacks something of it."""
        lacks = " OR ".join(f"EXISTS ({self._lacking_of_source(table)})" for table in KINDS)
        answer = {
            "hasSource": self.dialect.is_true(f"EXISTS (SELECT 1 FROM {self.threads} AS f WHERE {_SOURCE})"),
            "more": self.dialect.is_true(lacks),
        }
        return self.dialect.answer(f"SELECT {self.dialect.object(answer)} AS answer")

    @cached_property
    def retire_named(self) -> Query:
        """Delete some of the threads of these names. `:threads` is an array of arrays of one."""
        return self._retirement(self._named_threads("n"))

    @cached_property
    def retire_older(self) -> Query:
        """Delete some of the threads that nobody wrote to since a time."""
        return self._retirement(self._older_threads("n"))

    @cached_property
    def bury_of_named(self) -> Query:
        """Make a deleted thread beside some of the threads of these names, for what is to go from each."""
        return self._burial(self._named_threads("name"))

    @cached_property
    def bury_of_older(self) -> Query:
        """Make a deleted thread beside some of those that nobody wrote to since a time."""
        return self._burial(self._older_threads("name"))

    @cached_property
    def bury_of_runs(self) -> Query:
        """Make a deleted thread beside some of those that have checkpoints of these runs: an array of arrays of one."""
        thread = f"t.user_id = :user AND t.n = c.thread AND {_IS_THERE.format(t='t')}"
        return self._burial(f"""
  SELECT DISTINCT t.name
  FROM {self.dialect.each(":runs", "given")}
  {self.dialect.look_up("checkpoints", "c", _OF_RUN)}
  {self.dialect.look_up("threads", "t", thread)}
  LIMIT :thread_limit
""")

    @cached_property
    def move_older(self) -> Query:
        """Move a part of the checkpoints that pruning does not keep."""
        latest = f"""
      SELECT a.thread, a.ns, max(a.id) AS id
      FROM {self._chosen_threads}
      {self.dialect.look_up("checkpoints", "a", "a.user_id = :user AND a.thread = t.n")}
      WHERE {_GRAVE}
      GROUP BY a.thread, a.ns
"""
        first = "c.user_id = :user AND c.thread = l.thread AND c.ns = l.ns AND c.id = l.id"
        parent = "c.user_id = :user AND c.thread = k.thread AND c.ns = k.ns AND c.id = k.parent"
        return self._move_to_grave(
            "checkpoints",
            f"""
  WITH RECURSIVE kept AS (
    SELECT c.n, c.thread, c.ns, c.parent, {self._remaining_channels("c.counted")} AS remaining
    FROM ({latest}) AS l
    {self.dialect.look_up("checkpoints", "c", first)}
    UNION
    SELECT c.n, c.thread, c.ns, c.parent, {self._remaining_channels("k.remaining")}
    FROM kept AS k
    {self.dialect.look_up("checkpoints", "c", parent)}
    WHERE k.remaining <> '[]'
  )
  SELECT r.n
  FROM (
    SELECT a.n
    FROM {self._chosen_threads}
    {self.dialect.look_up("checkpoints", "a", "a.user_id = :user AND a.thread = t.n")}
    WHERE {_GRAVE}
    EXCEPT
    SELECT k.n FROM kept AS k
  ) AS r
  ORDER BY r.n
  LIMIT :checkpoint_limit
""",
        )

    @cached_property
    def move_of_runs(self) -> Query:
        """Move a part of the checkpoints of these runs."""
        return self._move_to_grave(
            "checkpoints",
            f"""
  SELECT c.n
  FROM {self.dialect.each(":runs", "given")}
  {self.dialect.look_up("checkpoints", "c", _OF_RUN)}
  {self.dialect.look_up("threads", "t", "t.user_id = :user AND t.n = c.thread AND t.deleted_at IS NULL")}
  {self.dialect.look_up("threads", "g", f"{_GRAVE} AND g.name = t.name")}
  ORDER BY c.n
  LIMIT :checkpoint_limit
""",
        )

    @cached_property
    def move_writes(self) -> Query:
        """Move the writes that are pending on what was moved."""
        write = "w.user_id = :user AND w.thread = t.n AND w.ns = c.ns AND w.checkpoint = c.id"
        return self._move_to_grave(
            "checkpoint_writes",
            f"""
  SELECT w.n
  FROM {self._chosen_threads}
  {self.dialect.look_up("checkpoints", "c", "c.user_id = :user AND c.thread = g.n")}
  {self.dialect.look_up("checkpoint_writes", "w", write)}
  WHERE {_GRAVE}
""",
        )

    @cached_property
    def move_values(self) -> Query:
        """Move a part of the values that no checkpoint names any more, once no checkpoint has to go."""
        return self._move_to_grave(
            "checkpoint_values",
            f"""
  SELECT r.n
  FROM (
    SELECT v.n
    FROM {self._chosen_threads}
    {self.dialect.look_up("checkpoint_values", "v", "v.user_id = :user AND v.thread = t.n")}
    WHERE {_GRAVE}
    EXCEPT
    SELECT v.n
    FROM {self._chosen_threads}
    {self.dialect.look_up("checkpoints", "c", "c.user_id = :user AND c.thread = t.n")}
    CROSS JOIN {self.dialect.each("c.stored", "s")}
    {self.dialect.look_up("checkpoint_values", "v", _NAMED)}
    WHERE {_GRAVE}
  ) AS r
  WHERE ({self._count_of_moved("checkpoints")}) < :checkpoint_limit
  ORDER BY r.n
  LIMIT :value_limit
""",
        )

    @cached_property
    def finish_pruning(self) -> Query:
        """Say of the threads that were chosen that they are pruned, if that is done."""
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key("threads", "r")}
SET is_pruned = TRUE
WHERE r.user_id = :user
  AND r.n IN (SELECT t.n FROM {self._chosen_threads} WHERE {_GRAVE})
  AND ({self._count_of_moved("checkpoints")}) < :checkpoint_limit
  AND ({self._count_of_moved("checkpoint_values")}) < :value_limit
""")

    @cached_property
    def moved(self) -> Query:
        """How much was moved, and to how many deleted threads; or how many threads were deleted."""
        counts = {
            "threads": f"(SELECT count(*) FROM {self.threads} AS g WHERE {_GRAVE})",
            "checkpoints": f"({self._count_of_moved('checkpoints')})",
            "values": f"({self._count_of_moved('checkpoint_values')})",
        }
        return self.dialect.answer(f"SELECT {self.dialect.object(counts)} AS answer")

    @cached_property
    def retire_all_threads(self) -> Query:
        """Delete all threads of a user."""
        return self.dialect.write(f"""
UPDATE {self.threads} AS t
SET deleted_at = :now
WHERE t.user_id = :user AND t.deleted_at IS NULL
""")

    @cached_property
    def retire_expired_threads(self) -> Query:
        """Delete threads whose time has come."""
        return self.dialect.write(f"""
UPDATE {self.threads} AS t
SET deleted_at = :now
WHERE t.user_id = :user AND t.deleted_at IS NULL AND t.expires_at <= :now
""")

    @cached_property
    def earliest_expiry_of_threads(self) -> Query:
        """When the first thread expires."""
        return self.dialect.read(f"""
SELECT min(t.expires_at) AS value
FROM {self.threads} AS t
WHERE t.user_id = :user AND t.deleted_at IS NULL AND t.expires_at > 0
""")

    @cached_property
    def sweepable_of_threads(self) -> Query:
        """Choose a part of what belongs to threads that are deleted, by its `n`; NULL where no thread is."""
        listed, part = [], {}
        for table in KINDS:
            listed.append(f"""
  {table}_listed AS (
    SELECT r.n, r.bytes
    FROM {self.threads} AS t
    {self.dialect.look_up(table, "r", "r.user_id = :user AND r.thread = t.n")}
    WHERE t.user_id = :user AND t.deleted_at > 0
    LIMIT :limit
  ),
  {table}_sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM {table}_listed AS i
    WINDOW sweeping AS (ORDER BY i.n)
  )""")
            fits = "s.position = 1 OR s.bytes <= :bytes"
            part[table] = self.dialect.subquery(
                f"SELECT {self.dialect.list_of('s.n')} FROM {table}_sized AS s WHERE {fits}"
            )
        return self.dialect.answer(f"""
WITH{",".join(listed)}
SELECT CASE WHEN EXISTS ({self._retired_threads}) THEN {self.dialect.object(part)} ELSE NULL END AS answer
""")

    @cached_property
    def sweep_of_threads(self) -> tuple[Query, ...]:
        """Remove a part of what was chosen, if it still belongs to a thread that is deleted."""
        removals: list[Query] = []
        for table, columns in KINDS.items():
            row = f"e.user_id = :user AND e.n = {self.dialect.integer('given.value')}"
            removals += self.removal(
                table,
                columns,
                f"""
  SELECT e.{{column}}
  FROM {self.dialect.each(f":{table}", "given")}
  {self.dialect.look_up(table, "e", row)}
  {self.dialect.look_up("threads", "t", "t.user_id = :user AND t.n = e.thread")}
  WHERE t.deleted_at > 0
""",
            )
        return tuple(removals)

    @cached_property
    def sweep_threads(self) -> tuple[Query, ...]:
        """Remove deleted threads to which nothing belongs any more."""
        is_empty = "\n    AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {self.dialect.table(table)} AS e WHERE e.user_id = :user AND e.thread = k.n)"
            for table in KINDS
        )
        emptied = f"""
  SELECT k.n
  FROM {self.threads} AS k
  WHERE k.user_id = :user
    AND k.deleted_at > 0
    AND {is_empty}
  ORDER BY k.deleted_at, k.n
  LIMIT :limit
"""
        zeros = self.dialect.zeros
        condition = f"WHERE t.user_id = :user AND t.n IN ({emptied})"
        table = self.dialect.by_key("threads", "t")
        removing = self.dialect.write(f"\nDELETE FROM {table}\n{condition}\n")
        if zeros is None:
            return (removing,)
        return self.dialect.write(f"\nUPDATE {table}\nSET\n  {assigned(THREAD, zeros)}\n{condition}\n"), removing

    @cached_property
    def retired_threads(self) -> Query:
        """Whether any thread is still to be swept: no row where none is."""
        return self.dialect.read(self._retired_threads)

    @property
    def _retired_threads(self) -> str:
        return f"SELECT t.n AS value FROM {self.threads} AS t WHERE t.user_id = :user AND t.deleted_at > 0 LIMIT 1"

    @property
    def _has_source(self) -> str:
        """Whether a copy has something to copy; TRUE for whatever is none."""
        source = f"SELECT 1 FROM {self.threads} AS f WHERE {_SOURCE}"
        return f"({self.dialect.text(':source')} IS NULL OR EXISTS ({source}))"

    @property
    def _is_to_prune(self) -> str:
        return f"({self.dialect.integer(':keeps_latest')} = 0 OR NOT t.is_pruned)"

    def _piece_of_thread(self, table: str, place: str) -> Query:
        given = {column.name: self.dialect.parameter(column) for column in PIECE}
        row = f"r.user_id = :user AND r.thread = t.n AND {place}"
        return self.dialect.write(f"""
{self.insert(self.pieces, {"user_id": ":user", **given})}
FROM {self.threads} AS t
{self.dialect.look_up(table, "r", row)}
WHERE {_STAMPED} AND r.big = {self.dialect.text(":group_id")}
""")

    def _listed_checkpoints(self, scope: str, columns: str, limit: str) -> str:
        """The checkpoints of a page, as far as they are looked at."""
        is_had = f"EXISTS (SELECT 1 FROM {self.dialect.each('c.metadata', 'x')} WHERE x.value = given.value)"
        lacks = f"EXISTS (SELECT 1 FROM {self.dialect.each(':filter', 'given')} WHERE NOT {is_had})"
        thread = f"t.user_id = :user AND t.n = c.thread AND {_IS_THERE.format(t='t')}"
        most = {name: self.dialect.text(f":most_{name}") for name in ("id", "thread", "ns")}
        return f"""
    SELECT {columns}
    FROM {self.checkpoints} AS c
    {self.dialect.look_up("threads", "t", thread)}
    WHERE c.user_id = :user
      {scope.format(threads=self.threads)}
      AND c.id >= {self.dialect.text(":least_id")}
      AND c.id <= {most["id"]}
      AND (c.id, t.name, c.ns) < ({most["id"]}, {most["thread"]}, {most["ns"]})
      AND NOT {lacks}
    ORDER BY c.id DESC, t.name DESC, c.ns DESC
    LIMIT {limit}"""

    def _page_of_checkpoints(self, scope: str) -> Query:
        """A page, and the values that it names, of which each counts for the first checkpoint that names it."""
        checkpoint = "c.user_id = :user AND c.n = p.n"
        of_checkpoint = "w.user_id = :user AND w.thread = c.thread AND w.ns = c.ns AND w.checkpoint = c.id"
        look_up = self.dialect.look_up
        of_page = {"thread": "t.name", "position": "p.position"}
        answer = {
            "more": self.dialect.is_true("(SELECT count(*) FROM page) < (SELECT count(*) FROM listed)"),
            "checkpoints": self.dialect.subquery(f"""
  SELECT {self.dialect.list_of(self._row_of_page(shown(CHECKPOINT), "c", of_page))}
  FROM page AS p
  {look_up("checkpoints", "c", checkpoint)}
  {look_up("threads", "t", "t.user_id = :user AND t.n = c.thread")}
"""),
            "writes": self.dialect.subquery(f"""
  SELECT {self.dialect.list_of(self._row_of_page(shown(CHECKPOINT_WRITE), "w", {"position": "p.position"}))}
  FROM page AS p
  {look_up("checkpoints", "c", checkpoint)}
  {look_up("checkpoint_writes", "w", of_checkpoint)}
"""),
            "values": self.dialect.subquery(f"""
  SELECT {self.dialect.list_of(self._row_of_page(shown(CHECKPOINT_VALUE), "v", {"thread": "t.name"}))}
  FROM page AS p
  JOIN named AS m ON m.position = p.position
  {look_up("checkpoint_values", "v", "v.user_id = :user AND v.n = m.n")}
  {look_up("threads", "t", "t.user_id = :user AND t.n = v.thread")}
"""),
        }
        columns = f"c.n, c.id, t.name, c.ns, c.bytes + {self._bytes_of_writes('c')} AS bytes"
        return self.dialect.answer(f"""
WITH
  listed AS ({self._listed_checkpoints(scope, columns, ":limit + 1")}
  ),
  placed AS (
    SELECT l.n, l.bytes, row_number() OVER (ORDER BY l.id DESC, l.name DESC, l.ns DESC) AS position
    FROM listed AS l
  ),
  named AS (
    SELECT v.n, v.bytes, min(p.position) AS position
    FROM placed AS p
    {look_up("checkpoints", "c", checkpoint)}
    CROSS JOIN {self.dialect.each("c.stored", "s")}
    {look_up("checkpoint_values", "v", _NAMED)}
    GROUP BY v.n, v.bytes
  ),
  weighed AS (
    SELECT m.position, sum(m.bytes) AS bytes
    FROM named AS m
    GROUP BY m.position
  ),
  sized AS (
    SELECT p.n, p.position, sum(p.bytes + coalesce(z.bytes, 0)) OVER (ORDER BY p.position) AS bytes
    FROM placed AS p
    LEFT JOIN weighed AS z ON z.position = p.position
  ),
  page AS (
    SELECT i.n, i.position, i.bytes
    FROM sized AS i
    WHERE i.position = 1 OR (i.position <= :limit AND i.bytes <= :page_bytes)
  )
SELECT {self.dialect.object(answer)} AS answer
""")

    def _large_checkpoint(self, scope: str) -> Query:
        columns = "c.n, c.thread, c.ns, c.id, c.stored, c.bytes, c.big, c.data"
        of_values = f"""(
      SELECT coalesce(sum(v.bytes), 0)
      FROM {self.dialect.each("f.stored", "s")}
      {self.dialect.look_up("checkpoint_values", "v", _named("f"))}
    )"""
        base = f"""
  first AS ({self._listed_checkpoints(scope, columns, "1")}
  ),
  large AS (
    SELECT f.n, f.thread, f.ns, f.id, f.stored, f.big, f.data
    FROM first AS f
    WHERE f.bytes + {self._bytes_of_writes("f")} + {of_values} > :page_bytes
  )"""
        return self._parts_of_large(base, "TRUE", "TRUE")

    def _parts_of_large(self, base: str, is_sought: str, is_valued: str) -> Query:
        """Rows of what is in `large`: of which checkpoint, value or write each is a part, and which part."""
        part = "coalesce(p.part, 0) AS part, coalesce(p.data, {alias}.data) AS data"
        pieces = f"LEFT JOIN {self.pieces} AS p ON p.user_id = :user AND p.group_id = {{alias}}.big"
        write = f"w.user_id = :user AND w.thread = f.thread AND w.ns = f.ns AND w.checkpoint = f.id AND {is_sought}"
        return self.dialect.read(f"""
WITH{base}
SELECT 'checkpoint' AS kind, '' AS name, 0 AS idx, {part.format(alias="f")}
FROM large AS f
{pieces.format(alias="f")}
UNION ALL
SELECT 'value' AS kind, v.channel AS name, 0 AS idx, {part.format(alias="v")}
FROM large AS f
CROSS JOIN {self.dialect.each("f.stored", "s")}
{self.dialect.look_up("checkpoint_values", "v", f"{_named('f')} AND {is_valued}")}
{pieces.format(alias="v")}
UNION ALL
SELECT 'write' AS kind, w.task AS name, w.idx, {part.format(alias="w")}
FROM large AS f
{self.dialect.look_up("checkpoint_writes", "w", write)}
{pieces.format(alias="w")}
ORDER BY part
""")

    @property
    def _walk_to_ancestors(self) -> str:
        """From a checkpoint to its ancestors, as long as a channel has had no value; `sought` is which those are."""
        parent = "c.user_id = :user AND c.thread = k.thread AND c.ns = k.ns AND c.id = k.parent"
        sought = self.dialect.text(":channels")
        return f"""walk AS (
    SELECT
      0 AS depth,
      c.n,
      c.thread,
      c.ns,
      c.id,
      c.parent,
      {sought} AS sought,
      {sought} AS remaining
    FROM {self.threads} AS t
    {self.dialect.look_up("checkpoints", "c", self._is_target("c"))}
    WHERE {_LIVE}
    UNION ALL
    SELECT k.depth + 1, c.n, c.thread, c.ns, c.id, c.parent, k.remaining, {self._remaining_channels("k.remaining")}
    FROM walk AS k
    {self.dialect.look_up("checkpoints", "c", parent)}
    WHERE k.remaining <> '[]' AND k.depth <= :ancestors
  )"""

    def _is_target(self, alias: str) -> str:
        latest = f"""(
      SELECT max(l.id) FROM {self.checkpoints} AS l WHERE l.user_id = :user AND l.thread = t.n AND l.ns = :ns
    )"""
        return (
            f"{alias}.user_id = :user AND {alias}.thread = t.n AND {alias}.ns = :ns"
            f" AND {alias}.id = coalesce({self.dialect.text(':id')}, {latest})"
        )

    def _remaining_channels(self, channels: str) -> str:
        """The channels of which the checkpoint `c` has no value."""
        value = f"SELECT 1 FROM {self.checkpoint_values} AS v WHERE {_NAMED}"
        stored = f"""
        SELECT 1
        FROM {self.dialect.each("c.stored", "s")}
        WHERE s.value ->> 0 = x.value ->> 0 AND (s.value ->> 1 IS NULL OR EXISTS ({value}))"""
        return f"""(
      SELECT CAST({self.dialect.list_of(self.dialect.shown(_JSON, "x.value"))} AS text)
      FROM {self.dialect.each(channels, "x")}
      WHERE NOT EXISTS ({stored}
      )
    )"""

    def _weight_of_ancestor(self, alias: str) -> str:
        """How many bytes an ancestor has of the channels that are sought: writes, and values."""
        of_writes = f"""(
      SELECT coalesce(sum(w.bytes), 0)
      FROM {self.checkpoint_writes} AS w
      WHERE w.user_id = :user
        AND w.thread = {alias}.thread
        AND w.ns = {alias}.ns
        AND w.checkpoint = {alias}.id
        AND {self._is_sought("w.channel", f"{alias}.sought")}
    )"""
        of_values = f"""(
      SELECT coalesce(sum(CASE WHEN s.value ->> 1 IS NULL THEN c.bytes ELSE v.bytes END), 0)
      FROM {self.checkpoints} AS c
      CROSS JOIN {self.dialect.each("c.stored", "s")}
      LEFT JOIN {self.checkpoint_values} AS v ON {_NAMED}
      WHERE c.user_id = :user AND c.n = {alias}.n AND {self._is_sought("s.value ->> 0", f"{alias}.sought")}
    )"""
        return f"{of_writes} + {of_values}"

    def _is_sought(self, channel: str, channels: str) -> str:
        return f"EXISTS (SELECT 1 FROM {self.dialect.each(channels, 'y')} WHERE y.value ->> 0 = {channel})"

    def _bytes_of_writes(self, alias: str) -> str:
        return f"""(
      SELECT coalesce(sum(w.bytes), 0)
      FROM {self.checkpoint_writes} AS w
      WHERE w.user_id = :user AND w.thread = {alias}.thread AND w.ns = {alias}.ns AND w.checkpoint = {alias}.id
    )"""

    def _row_of_page(self, columns: list[Column], alias: str, more: dict[str, str]) -> str:
        """A row of a page as JSON, with its data where the page is no larger than one may be."""
        fields = {column.field: self.dialect.shown(column, self.dialect.of(column, alias)) for column in columns}
        return self.dialect.object(
            fields | more | {"data": f"CASE WHEN p.bytes <= :page_bytes THEN {alias}.data ELSE NULL END"}
        )

    def _lacking_of_source(self, table: str) -> str:
        """What the source has and the thread has not."""
        there = f"""
    SELECT 1
    FROM {self.dialect.table(table)} AS d
    WHERE d.user_id = :user AND d.thread = t.n AND {_alike(table)}"""
        return f"""
    SELECT s.n
    FROM {self.threads} AS t
    {self.dialect.look_up("threads", "f", _SOURCE)}
    {self.dialect.look_up(table, "s", "s.user_id = :user AND s.thread = f.n")}
    WHERE {_STAMPED} AND NOT EXISTS ({there}
    )"""

    def _copy_of_thread(self, table: str, *before: str) -> Query:
        """Copy a part of a table, if nothing is lacking of those before it. Its pieces are another group's."""
        copied = {column.name: f"s.{column.name}" for column in KINDS[table]}
        group = f"{self.dialect.text(':stamp')} || '-{table}-' || CAST(i.position AS text)"
        copied["big"] = f"CASE WHEN s.big IS NULL THEN NULL ELSE {group} END"
        is_next = "".join(f"\n  AND NOT EXISTS ({self._lacking_of_source(each)}\n  )" for each in before)
        return self.dialect.write(f"""
{self.insert(self.dialect.table(table), {"user_id": ":user", "thread": "t.n", **copied})}
FROM {self.threads} AS t
CROSS JOIN (
  SELECT l.n, row_number() OVER copying AS position, sum(b.bytes) OVER copying AS bytes
  FROM ({self._lacking_of_source(table)}
    LIMIT :limit
  ) AS l
  {self.dialect.look_up(table, "b", "b.user_id = :user AND b.n = l.n")}
  WINDOW copying AS (ORDER BY l.n)
) AS i
{self.dialect.look_up(table, "s", "s.user_id = :user AND s.n = i.n")}
WHERE {_STAMPED} AND (i.position = 1 OR i.bytes <= :bytes){is_next}
""")

    @property
    def _chosen_threads(self) -> str:
        """The threads beside which there is one for what is to go from them."""
        thread = "t.user_id = :user AND t.name = g.name AND t.deleted_at IS NULL"
        return f"{self.threads} AS g {self.dialect.look_up('threads', 't', thread)}"

    def _named_threads(self, column: str) -> str:
        thread = f"t.user_id = :user AND t.name = given.value ->> 0 AND {_IS_THERE.format(t='t')}"
        return f"""
  SELECT DISTINCT t.{column}
  FROM {self.dialect.each(":threads", "given")}
  {self.dialect.look_up("threads", "t", thread)}
  WHERE {self._is_to_prune}
  LIMIT :thread_limit
"""

    def _older_threads(self, column: str) -> str:
        return f"""
  SELECT t.{column}
  FROM {self.threads} AS t
  WHERE t.user_id = :user
    AND {_IS_THERE.format(t="t")}
    AND t.updated_at < {self.dialect.integer(":updated_before")}
    AND {self._is_to_prune}
  ORDER BY t.updated_at
  LIMIT :thread_limit
"""

    def _retirement(self, threads: str) -> Query:
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key("threads", "r")}
SET deleted_at = :now, stamp = :stamp
WHERE r.user_id = :user AND r.n {self.dialect.among(threads)}
""")

    def _burial(self, threads: str) -> Query:
        values = {
            "user_id": ":user",
            "name": "d.name",
            "epoch": "0",
            "is_pruned": "TRUE",
            "deleted_at": ":now",
            "created_at": ":now",
            "updated_at": ":now",
            "request": "''",
            "stamp": ":stamp",
        }
        return self.dialect.write(f"{self.insert(self.threads, values)}\nFROM ({threads}) AS d")

    def _move_to_grave(self, table: str, rows: str) -> Query:
        """Move rows to the deleted thread that has the name of theirs."""
        grave = f"""(
  SELECT g.n
  FROM {self.threads} AS h
  {self.dialect.look_up("threads", "g", f"{_GRAVE} AND g.name = h.name")}
  WHERE h.user_id = :user AND h.n = m.thread
)"""
        return self.dialect.write(f"""
UPDATE {self.dialect.by_key(table, "m")}
SET thread = {grave}
WHERE m.user_id = :user AND m.n {self.dialect.among(rows)}
""")

    def _count_of_moved(self, table: str) -> str:
        """How much of a table this batch has moved."""
        return f"""
    SELECT count(*)
    FROM {self.threads} AS g
    {self.dialect.look_up(table, "e", "e.user_id = :user AND e.thread = g.n")}
    WHERE {_GRAVE}"""


def _alike(table: str) -> str:
    """The condition that a row of the source and one of the thread have one key."""
    return " AND ".join(f"d.{name} = s.{name}" for name in _KEYS[table])


def _named(alias: str) -> str:
    """The condition that `v` is the value that a checkpoint names by an element of `stored`."""
    return (
        f"v.user_id = :user AND v.thread = {alias}.thread AND v.ns = {alias}.ns"
        " AND v.channel = s.value ->> 0 AND v.version = s.value ->> 1"
    )


_NAMED = _named("c")
_HAS_VALUE = "(s.value ->> 1 IS NULL OR v.n IS NOT NULL)"
_SOURCE = f"f.user_id = :user AND f.name = :source AND {_IS_THERE.format(t='f')}"
_OF_RUN = "c.user_id = :user AND c.run_id = given.value ->> 0"
_OF_THREAD = f"AND c.thread = (SELECT o.n FROM {{threads}} AS o WHERE {_LIVE.replace('t.', 'o.')})"
_OF_NAMESPACE = f"{_OF_THREAD} AND c.ns = :ns"
