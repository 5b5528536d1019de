"""What each statement of a walk was given and answered, and the store that it is walked with."""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import msgspec

from owner_proof.reading import OF_NO_USER
from threadkeep.conversations.search import Term
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor, ReadsFirst, Row, Statement, read
from threadkeep.storage.sqlite.dialect import SqliteDialect

Ran = tuple[str, dict[str, Any], list[Row], int | None]


class Recorder:
    """An executor that remembers what each statement was given, what it answered, and how many rows it changed.

    But for `n`: that is the place of a row in the database, and depends on who else is in it. Where a statement is
    given places, or answers them, it remembers how many. What is about no user, it leaves out.
    """

    bookmark: str | None = None

    def __init__(self, executor: Executor, expected: Sequence[Ran] | None = None) -> None:
        """With what is expected, it goes on only as long as that is what happens."""
        self.statements = executor.statements
        self._names = {id(query): name for name, query in self.statements.queries().items()}
        self._counts_changes = isinstance(self.statements.dialect, SqliteDialect)
        self._executor = executor
        self._expected = expected
        self.ran: list[Ran] = []

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if self._counts_changes:
            results = await self._executor.run(*(one for statement in batch for one in (statement, _CHANGED())))
            self._note(batch, results[::2], [changed[0]["answer"] for changed in results[1::2]])
            return results[::2]
        results = await self._executor.run(*batch)
        self._note_uncounted(batch, results)
        return results

    async def run_on(self, read: Statement, write: Callable[[list[Row]], Sequence[Statement]]) -> list[list[Row]]:
        assert isinstance(self._executor, ReadsFirst)
        found: list[Row] = []
        batch: list[Statement] = []

        def writing(rows: list[Row]) -> Sequence[Statement]:
            found[:], batch[:] = rows, write(rows)
            return batch

        results = await self._executor.run_on(read, writing)
        self._note_uncounted([read, *batch], [found, *results])
        return results

    def _note_uncounted(self, batch: Sequence[Statement], results: list[list[Row]]) -> None:
        """Note what was run where nobody counts what is changed."""
        self._note(batch, [_unordered(rows) for rows in results], [None] * len(batch))

    def _note(self, batch: Sequence[Statement], results: list[list[Row]], counts: Sequence[int | None]) -> None:
        first = len(self.ran)
        for (query, values), rows, changed in zip(batch, results, counts, strict=True):
            name = self._names[id(query)]
            if name in OF_NO_USER:
                continue
            given = {
                name: _count(value) for name, value in zip(query.names, values, strict=True) if name not in _PLACES
            }
            answered = _PLACELESS[name](rows) if name in _PLACELESS else rows
            self.ran.append((name, given, answered, changed if query.writes else 0))
        if self._expected is not None and self.ran[first:] != self._expected[first : len(self.ran)]:
            raise LookupError("Something else happened.")

    async def clear(self, *batch: Statement) -> None:
        """There may be others."""


def names_of_pieces(ran: Iterable[Ran]) -> set[str]:
    """The names that were given to pieces, but for those that a copy makes of its stamp."""
    return {given["group_id"] for _, given, *_ in ran if "group_id" in given}


_CHANGED = read("SELECT changes() AS answer")
_PLACES = ("n", "indexed_n", "reached_n", "linked_n", "last_n")


def _count(value: Any) -> Any:
    """A value that a statement is given; of places, how many there are."""
    try:
        places = msgspec.json.decode(value, type=list[int])
    except (msgspec.DecodeError, TypeError):
        return value
    return len(places)


def _unordered(rows: list[Row]) -> list[Row]:
    """Answers whose parts stand in an order that does not depend on the way in which they were found."""
    if len(rows) > 1:
        return sorted(rows, key=repr)
    return [
        {"answer": msgspec.json.encode(_sorted(msgspec.json.decode(row["answer"]))).decode()}
        if isinstance(row.get("answer"), str) and row["answer"].startswith(("{", "["))
        else row
        for row in rows
    ]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(part) for name, part in value.items()}
    return sorted((_sorted(part) for part in value), key=repr) if isinstance(value, list) else value


def _without_n(rows: list[Row]) -> list[Row]:
    answer = msgspec.json.decode(rows[0]["answer"])
    for part in answer["rows"]:
        del part["n"]
    answer["rows"].sort(key=repr)  # they may have been in the order of their places
    return [{"answer": answer}]


def _without(name: str) -> Callable[[list[Row]], list[Row]]:
    """An answer but for the place that stands under this name."""
    return lambda rows: [{"answer": {**msgspec.json.decode(row["answer"]), name: None}} for row in rows]


def _counts(*names: str) -> Callable[[list[Row]], list[Row]]:
    """Instead of what stands under these names, how many there are."""

    def counted(rows: list[Row]) -> list[Row]:
        answer = msgspec.json.decode(rows[0]["answer"])
        return [{"answer": answer | {name: len(answer[name]) for name in names}}]

    return counted


def _count_of_all(rows: list[Row]) -> list[Row]:
    answer = rows[0]["answer"]
    return [{"answer": answer and len(msgspec.json.decode(answer))}]


def _counts_of_all(rows: list[Row]) -> list[Row]:
    answer = rows[0]["answer"]
    return [
        {"answer": answer and {table: len(places) for table, places in msgspec.json.decode(answer).items()}},
    ]


_PLACELESS = {
    "behind": _without("indexedN"),
    "unlinked": _without("linkedN"),
    "to_link": _without("n"),
    "changes": _without_n,
    "to_catch_up": _without_n,
    "sweepable": _counts("conversations", "messages"),
    "to_index_again": _counts("places"),
    "sweepable_entries": _count_of_all,
    "sweepable_tasks": _count_of_all,
    "sweepable_of_threads": _counts_of_all,
}
EVERYBODY = "everybody"


class Alike(SqliteDialect):
    """Seeks the words of every user in the first index as if they were those of one."""

    def sought(self, user_id: str, mark: str, terms: Sequence[Term], terms_before: Sequence[Term]) -> dict[str, str]:
        return super().sought(EVERYBODY, mark, terms, terms_before)


def store_of(user_id: str, executor: Executor, year: int = 2026, mark: str | None = None) -> SqlStore:
    """A store whose clock and ids go the same way each time. Its user's words may be marked like everybody's.

    Its ids are those of its year, so that no two users have the same one, unless a step says so.
    """
    ticks, ids = count((year - 1970) * 31_557_600_000), count()
    store = SqlStore(executor, user_id, lambda: next(ticks), lambda: f"0E{year:04d}{next(ids):020d}")
    if mark is not None:
        store._mark = mark
    return store
