"""The executor for SQLite: all or none, within the limits of D1, and failures told apart."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import apsw
import pytest

from threadkeep.errors import Unavailable
from threadkeep.storage.sql.columns import Column
from threadkeep.storage.sql.executor import Statement, read, write
from threadkeep.storage.sqlite import file as sqlite_file
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio

CREATE = write("CREATE TABLE a (x TEXT NOT NULL UNIQUE) STRICT")()
COUNT = read("SELECT count(*) AS n FROM a")()


def insert(text: str) -> Statement:
    return write("INSERT INTO a (x) VALUES (:x)")(x=text)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite_file, "_BUSY_MILLISECONDS", 10)
    return tmp_path / "kept.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteExecutor]:
    executor = SqliteExecutor(str(path))
    yield executor
    executor.close()


async def test_each_statement_is_answered_with_its_rows(executor: SqliteExecutor) -> None:
    rows = await executor.run(
        CREATE, insert("one"), insert("two"), read("SELECT x, :n AS n FROM a ORDER BY x")(n=None), COUNT
    )
    assert rows == [[], [], [], [{"x": "one", "n": None}, {"x": "two", "n": None}], [{"n": 2}]]
    assert executor.bookmark is None


async def test_nothing_to_run_is_answered_with_nothing(executor: SqliteExecutor) -> None:
    assert await executor.run() == []


async def test_statements_are_kept_all_or_none(executor: SqliteExecutor) -> None:
    await executor.run(CREATE, insert("one"))
    with pytest.raises(apsw.ConstraintError):
        await executor.run(insert("two"), insert("one"), insert("three"))
    assert await executor.run(COUNT) == [[{"n": 1}]]


async def test_what_is_kept_is_there_for_the_next_who_opens_the_file(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE, insert("one"))
    other = SqliteExecutor(str(path))
    assert await other.run(COUNT) == [[{"n": 1}]]
    other.close()


async def test_readers_do_not_wait_for_a_writer(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE)
    with closing(apsw.Connection(str(path))) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO a (x) VALUES ('one')")
        assert await file.run(COUNT) == [[{"n": 0}]]


async def test_a_writer_does_not_wait_for_readers(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE)
    with closing(apsw.Connection(str(path))) as reader:
        reader.execute("BEGIN")
        assert reader.execute(COUNT.query.text).fetchall() == [(0,)]
        await file.run(insert("one"))
        assert reader.execute(COUNT.query.text).fetchall() == [(0,)]
    assert await file.run(COUNT) == [[{"n": 1}]]


async def test_a_writer_waits_until_another_is_done(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.sqlite")
    with closing(SqliteExecutor(path)) as file, closing(apsw.Connection(path)) as other:
        await file.run(CREATE)
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO a (x) VALUES ('two')")
        done = Timer(0.1, other.execute, ["COMMIT"])
        done.start()
        try:
            assert await file.run(COUNT, insert("one")) == [[{"n": 1}], []]
        finally:
            done.join()


async def test_a_file_that_others_lock_is_unavailable_and_comes_back(file: SqliteExecutor, path: Path) -> None:
    await file.run(CREATE)
    with closing(apsw.Connection(str(path))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"database is locked\. Try again") as raised:
            await file.run(COUNT, insert("one"))
    assert isinstance(raised.value.__cause__, apsw.BusyError)
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
    with pytest.raises(apsw.SQLError):
        await executor.run(insert("one"), (write if text.startswith("INSERT") else read)(text)())
    assert await executor.run(COUNT) == [[{"n": 0}]]


ERRORS = {error for error in vars(apsw).values() if isinstance(error, type) and issubclass(error, apsw.Error)}
# Whose fault it is if not ours: whoever else is at the file, the disk, and the machine.
OF_OTHERS = {
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
    apsw.ProtocolError,
}


@pytest.mark.parametrize("error", sorted(ERRORS, key=repr), ids=lambda error: error.__name__)
async def test_only_what_is_not_our_fault_is_unavailable(error: type[apsw.Error], executor: SqliteExecutor) -> None:
    def fail() -> None:
        raise error("It breaks down")

    executor._connection.create_scalar_function("fail", fail)
    await executor.run(CREATE)
    with pytest.raises(Unavailable if error in OF_OTHERS else error, match="It breaks down"):
        await executor.run(insert("one"), read("SELECT fail() AS n")())
    assert await executor.run(COUNT) == [[{"n": 0}]]


def test_a_file_that_is_no_database_is_unavailable_and_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[apsw.Connection] = []
    connect = apsw.Connection

    def remember(*arguments: Any, **options: Any) -> apsw.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(apsw, "Connection", remember)
    path.write_text("This is a letter, and not a database at all. " * 100)
    with pytest.raises(Unavailable, match=r"file is not a database\. Check SQLITE_PATH") as raised:
        SqliteExecutor(str(path))
    assert isinstance(raised.value.__cause__, apsw.NotADBError)
    with pytest.raises(apsw.ConnectionClosedError):
        opened[0].execute("SELECT 1")


@pytest.mark.parametrize("name", ["", "missing/kept.sqlite"], ids=["a folder", "a file in no folder"])
def test_what_cannot_be_opened_is_unavailable(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"unable to open database file\. Check SQLITE_PATH"):
        SqliteExecutor(str(tmp_path / name))


def test_a_file_that_others_have_for_themselves_is_unavailable(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as owner:
        owner.execute("CREATE TABLE b (y TEXT)")
        owner.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match=r"database is locked\. Check SQLITE_PATH"):
            SqliteExecutor(str(path))


async def test_a_file_is_safe_from_a_crash_of_the_machine(file: SqliteExecutor) -> None:
    assert file._connection.pragma("journal_mode") == "wal"
    assert file._connection.pragma("synchronous") == 2


async def test_what_is_deleted_is_overwritten(path: Path) -> None:
    long = "unforgettable" * 10_000  # on pages of its own
    with closing(SqliteExecutor(str(path))) as first:
        await first.run(CREATE, insert("memorable"), insert("unmistakable"), insert(long))
    assert words_in(path) == {b"memorable", b"unmistakable", b"unforgettable"}
    with closing(SqliteExecutor(str(path))) as second:
        await second.run(write("DELETE FROM a WHERE x <> :x")(x="memorable"))
    assert words_in(path) == {b"memorable"}


def words_in(path: Path) -> set[bytes]:
    """The words in the raw bytes of a database that nobody has open, so that there is no log of writes beside it."""
    assert list(path.parent.iterdir()) == [path]
    return set(re.findall(b"memorable|unmistakable|unforgettable", path.read_bytes()))


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        pytest.param(
            read("SELECT length(zeroblob(2000001)) AS n")(),
            apsw.TooBigError,
            "too big",
            id="a value over 2,000,000 bytes",
        ),
        pytest.param(
            read(f"SELECT 1 /* {'x' * 100_000} */ AS n")(),
            apsw.TooBigError,
            "too big",
            id="a statement over 100,000 bytes",
        ),
        pytest.param(
            read("SELECT 'a' LIKE :x AS n")(x="x" * 51),
            apsw.SQLError,
            "pattern too complex",
            id="a pattern over 50 characters",
        ),
    ],
)
async def test_the_limits_are_those_of_d1(
    statement: Statement, error: type[apsw.Error], message: str, executor: SqliteExecutor
) -> None:
    with pytest.raises(error, match=message):
        await executor.run(statement)


async def test_a_hundred_values_are_bound_and_no_more(executor: SqliteExecutor) -> None:
    def bind(count: int) -> Statement:
        names = [f"{'a' * number}" for number in range(1, count + 1)]
        return read(f"SELECT {' + '.join(f':{name}' for name in names)} AS n")(**dict.fromkeys(names, 1))

    assert await executor.run(bind(100)) == [[{"n": 100}]]
    with pytest.raises(apsw.SQLError, match=r"variable number must be between \?1 and \?100"):
        await executor.run(bind(101))


COLUMNS = [
    Column(f"{type_}_{'nullable' if is_nullable else 'given'}", "x", type_, is_private=True, is_nullable=is_nullable)
    for type_ in ("text", "integer", "boolean", "json")
    for is_nullable in (False, True)
]
VALUES = {"text": ["'a \"b\" ' || char(10)"], "integer": ["-1"], "boolean": ["0", "1"], "json": ["'[1.0]'"]}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(column, value, id=f"{column.name} {value}")
        for column in COLUMNS
        for value in [*VALUES[column.type], *(["NULL"] if column.is_nullable else [])]
    ],
)
async def test_a_page_shows_a_value_of_any_column_as_json(executor: SqliteExecutor, column: Column, value: str) -> None:
    """It is put together as text, which has to say the same as an object that SQLite makes."""
    row = f"(SELECT {value} AS {column.name}) AS m"
    page = read(f"SELECT {SQLITE.dialect.message_rows([column], 'm', '1')} AS value FROM {row}")
    single = read(f"SELECT {SQLITE.dialect.document([column], 'm')} AS value FROM {row}")
    ((of_page,),), ((of_row,),) = [await executor.run(query()) for query in (page, single)]
    shown = json.loads(of_page["value"])
    assert shown["more"] is True
    assert shown["rows"] == [json.loads(of_row["value"])]
    assert (shown["rows"][0]["x"] is None) == (value == "NULL")
