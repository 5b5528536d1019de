"""The executor for SQLite: all or none, within the limits of D1, and failures told apart."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from threadkeep.errors import Unavailable
from threadkeep.sql import sqlite
from threadkeep.sql.executor import Query, Statement
from threadkeep.sql.sqlite import SqliteExecutor

pytestmark = pytest.mark.anyio

CREATE = Query("CREATE TABLE a (x TEXT NOT NULL UNIQUE) STRICT")()
COUNT = Query("SELECT count(*) AS n FROM a")()


def insert(text: str) -> Statement:
    return Query("INSERT INTO a (x) VALUES (:x)")(x=text)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.01)
    return tmp_path / "kept.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteExecutor]:
    executor = SqliteExecutor(str(path))
    yield executor
    executor.close()


async def test_each_statement_is_answered_with_its_rows(executor: SqliteExecutor) -> None:
    rows = await executor.run(
        CREATE, insert("one"), insert("two"), Query("SELECT x, :n AS n FROM a ORDER BY x")(n=None), COUNT
    )
    assert rows == [[], [], [], [{"x": "one", "n": None}, {"x": "two", "n": None}], [{"n": 2}]]
    assert executor.bookmark is None


async def test_nothing_to_run_is_answered_with_nothing(executor: SqliteExecutor) -> None:
    assert await executor.run() == []


async def test_statements_are_kept_all_or_none(executor: SqliteExecutor) -> None:
    await executor.run(CREATE, insert("one"))
    with pytest.raises(sqlite3.IntegrityError):
        await executor.run(insert("two"), insert("one"), insert("three"))
    assert await executor.run(COUNT) == [[{"n": 1}]]


async def test_what_is_kept_is_there_for_the_next_who_opens_the_file(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE, insert("one"))
    other = SqliteExecutor(str(path))
    assert await other.run(COUNT) == [[{"n": 1}]]
    other.close()


async def test_readers_do_not_wait_for_a_writer(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert await file.run(COUNT) == [[{"n": 0}]]
    writer.close()


async def test_a_file_that_others_lock_is_unavailable_and_comes_back(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match=r"database is locked\. Try again") as raised:
        await file.run(COUNT, insert("one"))
    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)
    writer.execute("ROLLBACK")
    writer.close()
    assert await file.run(insert("one"), COUNT) == [[], [{"n": 1}]]


async def test_a_file_that_is_full_is_unavailable_and_keeps_what_it_had(file: SqliteExecutor) -> None:
    await file.run(CREATE, insert("one"))
    file._connection.execute("PRAGMA max_page_count = 4")
    with pytest.raises(Unavailable, match="database or disk is full"):
        await file.run(*(insert(f"{number}" * 1000) for number in range(1000, 1100)))
    assert await file.run(COUNT) == [[{"n": 1}]]


async def test_a_file_that_may_only_be_read_is_unavailable_for_writing(path: Path) -> None:
    first = SqliteExecutor(str(path))
    await first.run(CREATE)
    first._connection.execute("PRAGMA query_only = on")
    with pytest.raises(Unavailable, match="readonly"):
        await first.run(insert("one"))
    assert await first.run(COUNT) == [[{"n": 0}]]
    first.close()


@pytest.mark.parametrize("text", ["SELECT", "SELECT b FROM a", "SELECT 1 FROM b", "INSERT INTO a VALUES (1, 2)"])
async def test_a_statement_of_ours_that_is_wrong_is_a_defect_and_not_unavailable(
    text: str, executor: SqliteExecutor
) -> None:
    await executor.run(CREATE)
    with pytest.raises(sqlite3.OperationalError):
        await executor.run(insert("one"), Query(text)())
    assert await executor.run(COUNT) == [[{"n": 0}]]


def test_a_file_that_is_no_database_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remember(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    path.write_text("This is a letter, and not a database at all. " * 100)
    with pytest.raises(Unavailable, match=r"file is not a database\. Check SQLITE_PATH") as raised:
        SqliteExecutor(str(path))
    assert isinstance(raised.value.__cause__, sqlite3.DatabaseError)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


@pytest.mark.parametrize("name", ["", "missing/kept.sqlite"], ids=["a folder", "a file in no folder"])
def test_what_cannot_be_opened_is_unavailable(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"unable to open database file\. Check SQLITE_PATH"):
        SqliteExecutor(str(tmp_path / name))


def test_a_file_that_others_have_for_themselves_is_unavailable(path: Path) -> None:
    owner = sqlite3.connect(path, isolation_level=None)
    owner.execute("CREATE TABLE b (y TEXT)")
    owner.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match=r"database is locked\. Check SQLITE_PATH"):
        SqliteExecutor(str(path))
    owner.close()


async def test_a_file_is_safe_from_a_crash_of_the_machine(file: SqliteExecutor) -> None:
    def pragma(name: str) -> Any:
        return file._connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        pytest.param(Query("SELECT length(zeroblob(2000001)) AS n")(), "too big", id="a value over 2,000,000 bytes"),
        pytest.param(Query(f"SELECT 1 /* {'x' * 100_000} */ AS n")(), "too large", id="a statement over 100,000 bytes"),
        pytest.param(
            Query("SELECT 'a' LIKE :x AS n")(x="x" * 51), "pattern too complex", id="a pattern over 50 characters"
        ),
    ],
)
async def test_the_limits_are_those_of_d1(statement: Statement, message: str, executor: SqliteExecutor) -> None:
    with pytest.raises((sqlite3.Error, Unavailable), match=message):
        await executor.run(statement)


async def test_a_hundred_values_are_bound_and_no_more(executor: SqliteExecutor) -> None:
    def bind(count: int) -> Statement:
        names = [f"{'a' * number}" for number in range(1, count + 1)]
        return Query(f"SELECT {' + '.join(f':{name}' for name in names)} AS n")(**dict.fromkeys(names, 1))

    assert await executor.run(bind(100)) == [[{"n": 100}]]
    with pytest.raises(sqlite3.OperationalError):
        await executor.run(bind(101))
