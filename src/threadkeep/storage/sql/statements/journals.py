"""Statements about journals, their entries, and the pieces of what is large.

One statement of a batch decides: it is guarded by every condition, and sets `stamp` to what no other batch has. All
after it are guarded by that stamp alone, so that none is evaluated on what the batch has changed already. Where the
refusal has a reason, a verdict is read first, by the same text that guards.

What is in a head or an entry is text to the database, and is never looked into, except for merging a patch.
"""

from functools import cached_property

from threadkeep.storage.sql.columns import ENTRY, JOURNAL, NAMES_OF_WRITES_MAX, PIECE, named, shown
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.base import Base, assigned

_LIVE = (
    "j.user_id = :user AND j.space = :space AND j.key = :key AND j.deleted_at IS NULL"
    " AND (j.expires_at IS NULL OR j.expires_at > :now)"
)
_STAMPED = "j.user_id = :user AND j.space = :space AND j.key = :key AND j.deleted_at IS NULL AND j.stamp = :stamp"
_GIVEN_OF_ENTRY = ("id", "epoch", "producer_seq", "digest", "append_digest", "bytes", "big", "data")


class Journals(Base):
    """See the module."""

    @cached_property
    def journal(self) -> Query:
        """Get a journal, and what tells whether this batch has written it, or was the last to do so."""
        document = self._document(["identity", "request", "stamp", "head"])
        return self.dialect.answer(f"""
SELECT {document} AS answer
FROM {self.journals} AS j
WHERE {_LIVE}
""")

    @cached_property
    def journal_without_head(self) -> Query:
        """Get a journal without what may be large."""
        return self.dialect.answer(f"""
SELECT {self._document([])} AS answer
FROM {self.journals} AS j
WHERE {_LIVE}
""")

    @cached_property
    def list_journals(self) -> Query:
        """A page of journals of a space."""
        return self._page_of_journals("j.user_id = :user AND j.space = :space")

    @cached_property
    def list_journals_of_status(self) -> Query:
        """A page of journals of a space that have a status."""
        return self._page_of_journals("j.user_id = :user AND j.space = :space AND j.status = :status")

    @cached_property
    def list_journals_by_update(self) -> Query:
        """A page of journals of a space, in the order in which they were written. It reads all of the space for that.

        An index would cost each append a row, and this is for whoever moves everything elsewhere.
        """
        return self._page_of_journals(
            "j.user_id = :user AND j.space = :space",
            "(j.updated_at, j.key) > (:after_update, :after_key)",
            "updated_at",
            "ASC",
        )

    @cached_property
    def retire_journal(self) -> Query:
        """Delete a journal, or only one that has expired: its key is free, and it is swept later.

        Where `:retires` is 1 it is any that has the expected version, unless this write is a repeat.
        """
        return self.dialect.write(f"""
UPDATE {self.journals} AS j
SET deleted_at = :now
WHERE j.user_id = :user
  AND j.space = :space
  AND j.key = :key
  AND j.deleted_at IS NULL
  AND (
    j.expires_at <= :now
    OR (
      {self.dialect.integer(":retires")} = 1
      AND NOT {self._is_known}
      AND j.version = coalesce({self.dialect.integer(":expected")}, j.version)
    )
  )
""")

    @cached_property
    def insert_journal(self) -> Query:
        """Create a journal, unless its key is taken, or the caller expects that it is there."""
        given = {column.name: self.dialect.parameter(column) for column in JOURNAL}
        request = self.dialect.text(":request")
        values = {
            "user_id": ":user",
            **given,
            "request": f"CASE WHEN {request} = '' THEN '' ELSE '0=' || {request} || ' ' END",
            "generation": "0",
            "next_seq": "0",
            "producer": "NULL",
            "epoch": "0",
            "next_producer_seq": "0",
            "closed_at": "NULL",
            "created_at": ":now",
            "updated_at": ":now",
        }
        return self.dialect.write(f"""
{self.insert(self.journals, values)}
FROM {self.owners} AS o
WHERE o.user_id = :user
  AND coalesce({self.dialect.integer(":expected")}, 0) = 0
  AND {self._is_guarded(self.dialect.text(":lane"))}
ON CONFLICT (user_id, space, key) WHERE deleted_at IS NULL DO NOTHING
""")

    @cached_property
    def save_journal(self) -> Query:
        """Set the head and the labels of a journal that was there before this batch, and is as expected."""
        labels = {
            column.name: self.dialect.parameter(column)
            for column in named(JOURNAL, "lane", "kind", "status", "sort", "head")
        }
        return self._write(
            labels | {"expires_at": f"coalesce({self.dialect.integer(':expires_at')}, expires_at)"},
            f"j.stamp <> :stamp AND j.version = coalesce({self.dialect.integer(':expected')}, j.version)",
        )

    @cached_property
    def patch_verdict(self) -> Query:
        """Tell what a patch finds, and how many bytes the head would have."""
        verdict = {
            "version": "j.version",
            "status": "j.status",
            "request": "j.request",
            "bytes": self.dialect.bytes_of(self._merged("j.head")),
        }
        return self.dialect.answer(f"""
SELECT {self.dialect.object(verdict)} AS answer
FROM {self.journals} AS j
WHERE {_LIVE}
""")

    @cached_property
    def head(self) -> Query:
        """The head of a journal, where the database does not merge it, with the owner locked."""
        return self.dialect.answer(f"""
SELECT j.head AS answer
FROM {self.journals} AS j
WHERE {_LIVE}
""")

    @cached_property
    def patch_journal(self) -> Query:
        """Merge a patch into the head of a journal that is as expected, and set its labels."""
        merged = self._merged("head")
        status = self.dialect.text(":status_is")
        return self._write(
            {**self._labels, "head": merged},
            f"j.version = coalesce({self.dialect.integer(':expected')}, j.version)"
            f" AND ({status} IS NULL OR j.status = {status})"
            f" AND {self.dialect.bytes_of(merged)} <= :head_bytes_max",
        )

    @cached_property
    def acquire_producer(self) -> Query:
        """Begin the next epoch of a journal, for a producer."""
        name = f"' ' || j.epoch || '=' || {self.dialect.text(':request')} || ' '"
        return self._write(
            {
                "epoch": "epoch + 1",
                "producer": self.dialect.text(":producer"),
                "next_producer_seq": "0",
                "request": self._remembered("epoch + 1"),
            },
            "TRUE",
            is_known=self.dialect.contains("' ' || j.request", name),
        )

    @cached_property
    def append_verdict(self) -> Query:
        """Tell what comes of an append, and of what it repeats: where that is."""
        verdict = {
            "reason": self._verdict,
            "version": "j.version",
            "updatedAt": "j.updated_at",
            "names": "j.request",
            "nextSeq": "j.next_seq",
            "nextProducerSeq": "j.next_producer_seq",
            "producedSeq": self._produced("e.seq"),
            "keptFirst": self._kept("min(e.seq)"),
            "keptLast": self._kept("max(e.seq)"),
        }
        return self.dialect.answer(f"""
SELECT {self.dialect.object(verdict)} AS answer
FROM {self.journals} AS j
WHERE {_LIVE}
""")

    @cached_property
    def append(self) -> Query:
        """Write to a journal what an append says of it, if it applies: the verdict says so in the same words."""
        count = self.dialect.integer(":count")
        next_seq = f"coalesce({self.dialect.integer(':at')}, next_seq) + {count}"
        is_produced = f"{self.dialect.text(':producer')} IS NULL"
        return self._write(
            {
                **self._labels,
                "generation": "generation + :removes",
                "next_seq": self.dialect.greatest("next_seq", next_seq),
                "request": self._remembered(f"coalesce({self.dialect.integer(':at')}, next_seq)"),
                "next_producer_seq": f"CASE WHEN {is_produced} THEN next_producer_seq ELSE next_producer_seq + 1 END",
                "head": f"CASE WHEN :sets_head = 1 THEN {self.dialect.json(':head')} ELSE head END",
                "closed_at": "CASE WHEN :closes = 1 THEN :now ELSE closed_at END",
                "expires_at": f"coalesce({self.dialect.integer(':expires_at')}, expires_at)",
                "updated_at": f"coalesce({self.dialect.integer(':updated_at')}, {self._now_or_later})",
            },
            f"{self._verdict} = 'applied'",
        )

    @cached_property
    def remove_entries(self) -> tuple[Query, ...]:
        """Remove what an append removes: from a seq on, by ids, or the last one."""
        journal = f"(SELECT j.n FROM {self.journals} AS j WHERE {_STAMPED})"
        last = f"""(
    SELECT max(l.seq) FROM {self.entries} AS l WHERE l.user_id = :user AND l.journal = {journal}
  )"""
        cut = f"CASE WHEN :pops = 1 THEN {last} ELSE {self.dialect.integer(':cut')} END"
        entry = f"e.user_id = :user AND e.journal = {journal} AND e.id = given.value ->> 0"
        return self.removal(
            "entries",
            ENTRY,
            f"""
  SELECT e.{{column}}
  FROM {self.entries} AS e
  WHERE e.user_id = :user AND e.journal = {journal} AND e.seq >= {cut}
  UNION ALL
  SELECT e.{{column}}
  FROM {self.dialect.each(":remove", "given")}
  {self.dialect.look_up("entries", "e", entry)}
""",
        )

    @cached_property
    def insert_entries(self) -> Query:
        """Append entries. Several of these may stand in one batch, each with a part of them."""
        given = {column.name: self.dialect.given(column, "new.value") for column in named(ENTRY, *_GIVEN_OF_ENTRY)}
        first = f"coalesce({self.dialect.integer(':at')}, j.next_seq - {self.dialect.integer(':count')})"
        position = self.dialect.integer("new.value ->> 'position'")
        values = {"user_id": ":user", "journal": "j.n", **given, "seq": f"{first} + {position}", "created_at": ":now"}
        return self.dialect.write(f"""
{self.insert(self.entries, values)}
FROM {self.journals} AS j
CROSS JOIN {self.dialect.each(":entries", "new")}
WHERE {_STAMPED}
{self.dialect.order_of_given("new")}
""")

    @cached_property
    def insert_piece(self) -> Query:
        """Keep a part of a value that is too large to be one."""
        given = {column.name: self.dialect.parameter(column) for column in PIECE}
        return self.dialect.write(f"""
{self.insert(self.pieces, {"user_id": ":user", **given})}
FROM {self.journals} AS j
WHERE {_STAMPED}
""")

    @cached_property
    def first_entries(self) -> Query:
        """A page of entries, forward."""
        return self._page_of_entries("ASC")

    @cached_property
    def newest_entries(self) -> Query:
        """A page of entries, backward."""
        return self._page_of_entries("DESC")

    @cached_property
    def pieces_of_first(self) -> Query:
        """The pieces of the entry with which a page begins, forward. What has pieces fills a page."""
        return self._pieces("ASC")

    @cached_property
    def pieces_of_newest(self) -> Query:
        """The pieces of the entry with which a page begins, backward."""
        return self._pieces("DESC")

    @cached_property
    def retire_all_journals(self) -> Query:
        """Delete all journals of a user."""
        return self.dialect.write(f"""
UPDATE {self.journals} AS j
SET deleted_at = :now
WHERE j.user_id = :user AND j.deleted_at IS NULL
""")

    @cached_property
    def retire_expired_journals(self) -> Query:
        """Delete journals whose time has come."""
        return self.dialect.write(f"""
UPDATE {self.journals} AS j
SET deleted_at = :now
WHERE j.user_id = :user AND j.deleted_at IS NULL AND j.expires_at <= :now
""")

    @cached_property
    def earliest_expiry(self) -> Query:
        """When the first journal expires."""
        return self.dialect.read(f"""
SELECT min(j.expires_at) AS value
FROM {self.journals} AS j
WHERE j.user_id = :user AND j.deleted_at IS NULL AND j.expires_at > 0
""")

    @cached_property
    def sweepable_entries(self) -> Query:
        """Choose a part of the entries of journals that are deleted, by their `n`; NULL where no journal is."""
        part = f"SELECT {self.dialect.list_of('s.n')} FROM sized AS s WHERE s.position = 1 OR s.bytes <= :bytes"
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT e.n, e.bytes
    FROM {self.journals} AS j
    {self.dialect.look_up("entries", "e", "e.user_id = :user AND e.journal = j.n")}
    WHERE j.user_id = :user AND j.deleted_at > 0
    LIMIT :limit
  ),
  sized AS (
    SELECT i.n, row_number() OVER sweeping AS position, sum(i.bytes) OVER sweeping AS bytes
    FROM listed AS i
    WINDOW sweeping AS (ORDER BY i.n)
  )
SELECT CASE WHEN EXISTS ({self._retired}) THEN ({part}) ELSE NULL END AS answer
""")

    @cached_property
    def sweep_entries(self) -> tuple[Query, ...]:
        """Remove a part of what was chosen, if it still is of a journal that is deleted."""
        entry = f"e.user_id = :user AND e.n = {self.dialect.integer('given.value')}"
        return self.removal(
            "entries",
            ENTRY,
            f"""
  SELECT e.{{column}}
  FROM {self.dialect.each(":entries", "given")}
  {self.dialect.look_up("entries", "e", entry)}
  {self.dialect.look_up("journals", "j", "j.user_id = :user AND j.n = e.journal")}
  WHERE j.deleted_at > 0
""",
        )

    @cached_property
    def sweep_journals(self) -> tuple[Query, ...]:
        """Remove deleted journals that have no entries any more."""
        emptied = f"""
  SELECT k.n
  FROM {self.journals} AS k
  WHERE k.user_id = :user
    AND k.deleted_at > 0
    AND NOT EXISTS (SELECT 1 FROM {self.entries} AS e WHERE e.user_id = :user AND e.journal = k.n)
  ORDER BY k.deleted_at, k.n
  LIMIT :limit
"""
        zeros = self.dialect.zeros
        condition = f"WHERE j.user_id = :user AND j.n IN ({emptied})"
        table = self.dialect.by_key("journals", "j")
        removing = self.dialect.write(f"\nDELETE FROM {table}\n{condition}\n")
        if zeros is None:
            return (removing,)
        return self.dialect.write(f"\nUPDATE {table}\nSET\n  {assigned(JOURNAL, zeros)}\n{condition}\n"), removing

    @cached_property
    def retired(self) -> Query:
        """Whether any journal is still to be swept: no row where none is."""
        return self.dialect.read(self._retired)

    @property
    def _retired(self) -> str:
        return f"SELECT j.n AS value FROM {self.journals} AS j WHERE j.user_id = :user AND j.deleted_at > 0 LIMIT 1"

    def _document(self, more: list[str]) -> str:
        """A journal as JSON: what readers get but for its head, and these columns."""
        columns = [column for column in shown(JOURNAL) if column.name != "head"] + named(JOURNAL, *more)
        return self.dialect.document(columns, "j")

    @property
    def _is_known(self) -> str:
        """Whether a journal remembers a write of this name."""
        return self.dialect.contains("j.request", f"'=' || {self.dialect.text(':request')} || ' '")

    def _remembered(self, number: str) -> str:
        """The names that a journal remembers, with that of this write. See `agents/journals/names.py`.

        D1 takes every number as one with a fraction, and writes it so as a text.
        """
        names = f"CAST({number} AS bigint) || '=' || {self.dialect.text(':request')} || ' ' || request"
        return f"substr({names}, 1, {NAMES_OF_WRITES_MAX})"

    def _write(self, values: dict[str, str], condition: str, *, is_known: str | None = None) -> Query:
        """The statement that decides: it writes to a journal, once for each name of a write."""
        decided = {
            "version": "version + 1",
            "updated_at": self._now_or_later,
            "request": self._remembered("next_seq"),
            "stamp": ":stamp",
        }
        assignments = ",\n  ".join(f"{name} = {value}" for name, value in (decided | values).items())
        return self.dialect.write(f"""
UPDATE {self.journals} AS j
SET
  {assignments}
WHERE {_LIVE} AND NOT {is_known or self._is_known} AND {condition}
""")

    @property
    def _now_or_later(self) -> str:
        """When a journal that is written now was last written: whatever clocks say, not before what it says."""
        return self.dialect.greatest("updated_at", ":now")

    def _merged(self, head: str) -> str:
        """The head with a patch merged into it, where there is one."""
        return f"CASE WHEN :sets_head = 1 THEN {self.dialect.merged(head, ':head')} ELSE {head} END"

    @property
    def _labels(self) -> dict[str, str]:
        """What a write sets of these, where it says so."""
        return {
            name: f"CASE WHEN :sets_{name} = 1 THEN {self.dialect.text(f':{name}')} ELSE {name} END"
            for name in ("status", "sort")
        }

    @property
    def _verdict(self) -> str:
        """What comes of an append, in the order of the contract."""
        count = self.dialect.integer(":count")
        at = self.dialect.integer(":at")
        producer = self.dialect.text(":producer")
        digest = self.dialect.text(":append_digest")
        placed = f"SELECT e.append_digest FROM {self.entries} AS e WHERE {_entry('e.seq = ' + at)}"
        taken = f"SELECT 1 FROM {self.entries} AS e WHERE {_entry(f'e.seq >= {at} AND e.seq < {at} + {count}')}"
        is_empty = f"NOT EXISTS (SELECT 1 FROM {self.entries} AS e WHERE {_entry('e.seq >= 0')})"
        same = self._kept("sum(CASE WHEN e.digest = given.value ->> 1 THEN 1 ELSE 0 END)")
        return f"""CASE
    WHEN {self._is_known} THEN 'again'
    WHEN j.version > 0 AND j.updated_at > {self.dialect.integer(":updated_at")} THEN 'older'
    WHEN (j.producer IS NOT NULL OR {producer} IS NOT NULL)
      AND (
        {producer} IS NULL
        OR j.producer IS NULL
        OR j.producer <> {producer}
        OR j.epoch <> {self.dialect.integer(":epoch")}
        OR j.incarnation <> {self.dialect.text(":incarnation")}
      )
      THEN 'fenced'
    WHEN {self._produced("e.append_digest")} = {digest} THEN 'produced'
    WHEN {self._produced("e.append_digest")} IS NOT NULL THEN 'conflict'
    WHEN {self.dialect.integer(":producer_seq")} <> j.next_producer_seq THEN 'gap'
    WHEN ({placed}) = {digest} THEN 'placed'
    WHEN EXISTS ({taken}) THEN 'conflict'
    WHEN {count} > 0 AND {same} = {count} THEN 'kept'
    WHEN {self._kept("min(e.seq)")} IS NOT NULL THEN 'conflict'
    WHEN j.closed_at IS NOT NULL THEN 'closed'
    WHEN NOT ({self._is_guarded("j.lane")}) THEN 'unauthorized'
    WHEN j.version <> {self.dialect.integer(":expected")} THEN 'stale'
    WHEN :pops = 1 AND {is_empty} THEN 'empty'
    ELSE 'applied'
  END"""

    def _is_guarded(self, lane: str) -> str:
        """Whether the guard of an append is at work, in a lane if there is any; or there is no guard."""
        of_queue = "t.user_id = :user AND t.queue = :guard_queue"
        return f"""(:guards = 0 OR (
      EXISTS (
        SELECT 1
        FROM {self.tasks} AS t
        WHERE {of_queue}
          AND t.id = :guard_task
          AND t.deleted_at IS NULL
          AND t.attempt = :guard_attempt
          AND t.lane = coalesce({lane}, t.lane)
          AND (
            t.state = 'running'
            OR (
              t.state = 'settling'
              AND t.settlement_id = :guard_settlement_id
              AND t.settlement_digest = :guard_settlement_digest
            )
          )
      )
      AND NOT EXISTS (
        SELECT 1
        FROM {self.dialect.each(":guard_joined", "given")}
        WHERE NOT EXISTS (
          SELECT 1
          FROM {self.tasks} AS t
          WHERE {of_queue}
            AND t.id = given.value ->> 0
            AND t.deleted_at IS NULL
            AND t.host = :guard_task
            AND t.state IN ('joining', 'joined')
        )
      )
    ))"""

    def _produced(self, value: str) -> str:
        """Something of the entry that the producer's append of this seq began with."""
        epoch, seq = (self.dialect.integer(f":{name}") for name in ("epoch", "producer_seq"))
        is_it = _entry(f"e.epoch = {epoch} AND e.producer_seq = {seq}")
        return f"(SELECT {value} FROM {self.entries} AS e WHERE {is_it})"

    def _kept(self, value: str) -> str:
        """Something of all entries that have one of `:ids`, an array of [id, digest], and are not to be cut."""
        return f"""(
      SELECT {value}
      FROM {self.dialect.each(":ids", "given")}
      {self.dialect.look_up("entries", "e", _entry("e.id = given.value ->> 0"))}
      WHERE e.seq < {self.dialect.integer(":cut")}
    )"""

    def _page_of_journals(
        self,
        condition: str,
        is_beyond: str = "(j.sort, j.key) < (:before_sort, :before_key)",
        column: str = "sort",
        direction: str = "DESC",
    ) -> Query:
        """A page of journals in the order of a column and the key, beyond where the page before has ended."""
        document = self._document(["head"])
        rows = f"""
  SELECT {self.dialect.list_of(document)}
  FROM sized AS s
  {self.dialect.look_up("journals", "j", "j.user_id = :user AND j.n = s.n")}
  WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
"""
        page = {"rows": self.dialect.subquery(rows), "count": "(SELECT count(*) FROM listed)"}
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT j.n, j.{column}, j.key, {self.dialect.bytes_of("j.head")} AS bytes
    FROM {self.journals} AS j
    WHERE {condition}
      AND j.deleted_at IS NULL
      AND (j.expires_at IS NULL OR j.expires_at > :now)
      AND {is_beyond}
    ORDER BY j.{column} {direction}, j.key {direction}
    LIMIT :limit + 1
  ),
  sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.{column} {direction}, l.key {direction})
  )
SELECT {self.dialect.object(page)} AS answer
""")

    def _page_of_entries(self, order: str) -> Query:
        more = "count(*) < (SELECT count(*) FROM listed)"
        return self.dialect.answer(f"""
WITH
  listed AS (
    SELECT e.n, e.seq, e.bytes
    FROM {self.entries} AS e
    WHERE {self._between}
    ORDER BY e.seq {order}
    LIMIT :limit + 1
  ),
  sized AS (
    SELECT l.n, row_number() OVER reading AS position, sum(l.bytes) OVER reading AS bytes
    FROM listed AS l
    WINDOW reading AS (ORDER BY l.seq {order})
  )
SELECT {self.dialect.message_rows(shown(ENTRY), "e", more)} AS answer
FROM sized AS s
{self.dialect.look_up("entries", "e", "e.user_id = :user AND e.n = s.n")}
WHERE s.position = 1 OR (s.position <= :limit AND s.bytes <= :page_bytes)
""")

    def _pieces(self, order: str) -> Query:
        return self.dialect.read(f"""
SELECT p.data
FROM {self.pieces} AS p
WHERE p.user_id = :user
  AND p.group_id = (SELECT e.big FROM {self.entries} AS e WHERE {self._between} ORDER BY e.seq {order} LIMIT 1)
ORDER BY p.part
""")

    @property
    def _between(self) -> str:
        """That an entry is of the journal, and in a range of seqs. An end of it may be given by the id of an entry."""
        journal = f"(SELECT j.n FROM {self.journals} AS j WHERE {_LIVE})"

        def end(bound: str, step: str) -> str:
            seq = f"SELECT b.seq FROM {self.entries} AS b WHERE b.user_id = :user AND b.journal = {journal}"
            return f"coalesce(({seq} AND b.id = {self.dialect.text(f':{bound}_id')}) {step}, :{bound}_seq)"

        after, before = end("after", "- :inclusive"), end("before", "+ :inclusive")
        return f"e.user_id = :user AND e.journal = {journal} AND e.seq > {after} AND e.seq < {before}"


def _entry(condition: str) -> str:
    """The condition that an entry is of the journal, and more."""
    return f"e.user_id = :user AND e.journal = j.n AND {condition}"
