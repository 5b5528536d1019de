"""The owner proof, run: every statement answers a user as if nobody else were there, and leaves everybody else be."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
import pytest

from owner_proof.walk import DELETED, IMPORTS, MORE, OTHERWISE, WALK, Recorder, store_of, walk
from threadkeep.sql import statements
from threadkeep.sql.executor import Query
from threadkeep.sql.migrations import migrate
from threadkeep.sql.schema import MIGRATIONS
from threadkeep.sql.sqlite import SqliteExecutor

pytestmark = pytest.mark.anyio

QUERIES = {name: value for name, value in vars(statements).items() if isinstance(value, Query)}
USER = "ada"
# All hold the ids that the user will use: in another place, with the same content, and deleted. Two have nearly the
# same name; they come before and after the user in every index.
NEIGHBOURS = {
    "ADA": OTHERWISE,
    "ad": DELETED,
    "ada ": [*WALK, *IMPORTS, *MORE],
    "Ada": [*OTHERWISE, *MORE],
    "bob": DELETED,
}
NEIGHBOURS["eve"] = OTHERWISE[:-1]  # whose counter stands where the user's does at an append
TABLES = ("owners", "conversations", "messages")
# With the same letters before the words of all, only the statement itself keeps them apart.
SAME_MARK = "samemark"
MARKS = [None, SAME_MARK]
# The words of each row beside whose it is, and how many there are beside no row.
WORDS = """
SELECT m.user_id, m.id, w.text FROM messages AS m JOIN words AS w ON w.rowid = m.n
UNION ALL
SELECT c.user_id, c.id, w.text FROM conversations AS c JOIN words AS w ON w.rowid = -c.n
UNION ALL
SELECT NULL, NULL, w.text FROM words AS w
WHERE w.rowid NOT IN (SELECT m.n FROM messages AS m UNION ALL SELECT -c.n FROM conversations AS c)
"""


class Alone(NamedTuple):
    """A walk: what came of it, what each statement was given and answered, and what is kept."""

    answers: list[Any]
    ran: list[Any]
    kept: dict[str, list[dict[str, Any]]]


def rows(executor: SqliteExecutor, *, of_user: bool) -> dict[str, list[dict[str, Any]]]:
    """Every row of the user, or of everybody else; not by its place in the database, `n`."""
    condition = "IS" if of_user else "IS NOT"
    found: dict[str, list[dict[str, Any]]] = {}
    for table in (*TABLES, f"({WORDS})"):
        cursor = executor._connection.execute(f"SELECT * FROM {table} WHERE user_id {condition} ?", [USER])
        found[table] = sorted(
            ({name: row[name] for name in row.keys() if name != "n"} for row in cursor),  # noqa: SIM118
            key=repr,
        )
    return found


@pytest.fixture(scope="module")
async def neighbourhoods() -> AsyncIterator[dict[str | None, SqliteExecutor]]:
    """Databases that hold everybody but the user, by how words are marked."""
    with closing(SqliteExecutor(":memory:")) as own, closing(SqliteExecutor(":memory:")) as same:
        executors = dict(zip(MARKS, (own, same), strict=True))
        for mark, executor in executors.items():
            await migrate(executor, MIGRATIONS)
            for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2020):
                await walk(store_of(user_id, executor, year, mark), steps)
        yield executors


@pytest.fixture(scope="module")
async def walks_alone() -> dict[str | None, Alone]:
    """The walk of a user who is alone, by how words are marked."""
    walks = {}
    for mark in MARKS:
        with closing(SqliteExecutor(":memory:")) as executor:
            await migrate(executor, MIGRATIONS)
            recorder = Recorder(executor)
            answers = await walk(store_of(USER, recorder, mark=mark))
            walks[mark] = Alone(answers, recorder.ran, rows(executor, of_user=True))
    return walks


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str | None:
    """How words are marked."""
    mark: str | None = request.param
    return mark


@pytest.fixture
def beside(mark: str | None, neighbourhoods: dict[str | None, SqliteExecutor]) -> Iterator[SqliteExecutor]:
    """A database that holds everybody but the user, for one test."""
    with closing(SqliteExecutor(":memory:")) as executor:
        neighbourhoods[mark]._connection.backup(executor._connection)
        yield executor


@pytest.fixture
def alone(mark: str | None, walks_alone: dict[str | None, Alone]) -> Alone:
    """The walk of a user who is alone."""
    return walks_alone[mark]


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_the_walk_runs_every_statement_for_its_user_and_sees_what_it_keeps(alone: Alone) -> None:
    assert {name for name, _, _ in alone.ran} == set(QUERIES)
    assert {values["user"] for _, values, _ in alone.ran} == {USER}
    codes = {answer[0] for answer in alone.answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large", "cursor_expired"}
    assert [len(kept) for kept in alone.kept.values()] == [1, 7, 15, 22]  # the last are words


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_a_user_is_answered_as_if_alone(alone: Alone, beside: SqliteExecutor, mark: str | None) -> None:
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder, mark=mark)) == alone.answers
    for ran, ran_alone in zip(recorder.ran, alone.ran, strict=True):
        assert ran == ran_alone
    assert rows(beside, of_user=True) == alone.kept


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_everybody_else_keeps_what_they_had(beside: SqliteExecutor, mark: str | None) -> None:
    before = rows(beside, of_user=False)
    assert {row["user_id"] for kept in before.values() for row in kept} == set(NEIGHBOURS)
    assert len(before["messages"]) > 9 * len(NEIGHBOURS)
    await walk(store_of(USER, beside, mark=mark))
    assert rows(beside, of_user=False) == before


GUARD = re.compile(r"\b\w+\.user_id = :user\b")
SUPERFLUOUS = {
    # The page takes rows by `n`, which names one, and it has `n` from a list that is guarded.
    "LIST_MESSAGES_BEFORE-m-3",
    "LIST_MESSAGES_AFTER-m-2",
    "SEARCH-m-4",
    "CHANGES-c-4",
    "CHANGES-m-5",
    # Where the counter of somebody else lets a title through, it is indexed as it is already.
    "INDEX_TITLE-o-2",
    # The default title is not indexed, whoever's it is.
    "UNINDEX_TITLE-c-1",
    "UNINDEX_TITLE-o-2",
}
BROKEN = {
    f"{name}-{guard.group().partition('.')[0]}-{number}": (
        name,
        f"{query.text[: guard.start()]}1 = 1{query.text[guard.end() :]}",
    )
    for name, query in QUERIES.items()
    for number, guard in enumerate(GUARD.finditer(query.text), 1)
}


# Words are searched as if all were marked alike, or no guard would be missed, and indexed as they are, which tells
# those of the user from those of somebody else.
@pytest.mark.parametrize(
    ("broken", "mark"),
    [(broken, SAME_MARK if name == "SEARCH" else None) for broken, (name, _) in BROKEN.items()],
    indirect=["mark"],
)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, mark: str | None, alone: Alone, beside: SqliteExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, text = BROKEN[broken]
    monkeypatch.setattr(statements, name, Query(text))
    recorder = Recorder(beside)
    before = rows(beside, of_user=False)
    try:
        answers = await walk(store_of(USER, recorder, mark=mark))
    except (LookupError, RuntimeError, sqlite3.Error, msgspec.MsgspecError):
        answers = ["It broke down."]
    found = (answers, recorder.ran, rows(beside, of_user=True), rows(beside, of_user=False))
    assert (found == (*alone, before)) == (broken in SUPERFLUOUS)
