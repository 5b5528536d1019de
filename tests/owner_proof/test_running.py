"""The owner proof, run: every statement answers a user as if nobody else were there, and leaves everybody else be."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from owner_proof.walk import DELETED, MORE, OTHERWISE, WALK, Recorder, store_of, walk
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
NEIGHBOURS = {"ADA": OTHERWISE, "ad": DELETED, "ada ": [*WALK, *MORE], "Ada": [*OTHERWISE, *MORE], "bob": DELETED}
TABLES = ("owners", "conversations", "messages")


def rows(executor: SqliteExecutor, *, of_user: bool) -> dict[str, list[dict[str, Any]]]:
    """Every row of the user, or of everybody else; not by its place in the database, `n`."""
    condition = "=" if of_user else "<>"
    found: dict[str, list[dict[str, Any]]] = {}
    for table in TABLES:
        cursor = executor._connection.execute(f"SELECT * FROM {table} WHERE user_id {condition} ?", [USER])
        found[table] = sorted(
            ({name: row[name] for name in row.keys() if name != "n"} for row in cursor),  # noqa: SIM118
            key=repr,
        )
    return found


@pytest.fixture(scope="module")
async def neighbourhood() -> AsyncIterator[SqliteExecutor]:
    """A database that holds everybody but the user."""
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2024):
            await walk(store_of(user_id, executor, year), steps)
        yield executor


@pytest.fixture
def beside(neighbourhood: SqliteExecutor) -> Iterator[SqliteExecutor]:
    """The same for one test."""
    with closing(SqliteExecutor(":memory:")) as executor:
        neighbourhood._connection.backup(executor._connection)
        yield executor


@pytest.fixture(scope="module")
async def alone() -> tuple[list[Any], Recorder, dict[str, list[dict[str, Any]]]]:
    """The walk of a user who is alone: what came of it, what each statement answered, and what is kept."""
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        recorder = Recorder(executor)
        answers = await walk(store_of(USER, recorder))
        return answers, recorder, rows(executor, of_user=True)


async def test_the_walk_runs_every_statement_for_its_user_and_sees_what_it_keeps(alone: Any) -> None:
    answers, recorder, kept = alone
    assert {name for name, _, _ in recorder.ran} == set(QUERIES)
    assert {values["user"] for _, values, _ in recorder.ran} == {USER}
    codes = {answer[0] for answer in answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large"}
    assert {table: len(kept[table]) for table in TABLES} == {"owners": 1, "conversations": 4, "messages": 9}


async def test_a_user_is_answered_as_if_alone(alone: Any, beside: SqliteExecutor) -> None:
    answers, alone_recorder, kept = alone
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder)) == answers
    for ran, ran_alone in zip(recorder.ran, alone_recorder.ran, strict=True):
        assert ran == ran_alone
    assert rows(beside, of_user=True) == kept


async def test_everybody_else_keeps_what_they_had(beside: SqliteExecutor) -> None:
    before = rows(beside, of_user=False)
    assert {row["user_id"] for table in TABLES for row in before[table]} == set(NEIGHBOURS)
    assert len(before["messages"]) > 9 * len(NEIGHBOURS)
    await walk(store_of(USER, beside))
    assert rows(beside, of_user=False) == before


GUARD = re.compile(r"\b\w+\.user_id = :user\b")
# The page takes messages by `n`, which names one row, and it has `n` from a list that is guarded.
SUPERFLUOUS = {"LIST_MESSAGES_BEFORE-m-3", "LIST_MESSAGES_AFTER-m-2"}
BROKEN = {
    f"{name}-{guard.group().partition('.')[0]}-{number}": (
        name,
        f"{query.text[: guard.start()]}1 = 1{query.text[guard.end() :]}",
    )
    for name, query in QUERIES.items()
    for number, guard in enumerate(GUARD.finditer(query.text), 1)
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, alone: Any, beside: SqliteExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, text = BROKEN[broken]
    monkeypatch.setattr(statements, name, Query(text))
    recorder = Recorder(beside)
    before = rows(beside, of_user=False)
    try:
        answers = await walk(store_of(USER, recorder))
    except (LookupError, RuntimeError, sqlite3.Error, msgspec.MsgspecError):
        answers = ["It broke down."]
    found = (answers, recorder.ran, rows(beside, of_user=True), rows(beside, of_user=False))
    assert (found == (alone[0], alone[1].ran, alone[2], before)) == (broken in SUPERFLUOUS)
