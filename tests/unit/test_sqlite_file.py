"""The SQLite file of a server: beside the event loop, one that writes and several that read, and others at the file."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from support.stores import open_sqlite_file
from threadkeep.errors import Unavailable
from threadkeep.storage.sql.executor import Statement, read, write
from threadkeep.storage.sql.migrate import Migration
from threadkeep.storage.sqlite import file as sqlite_file
from threadkeep.storage.sqlite.file import SqliteExecutor, SqliteFile
from threadkeep.storage.sqlite.migrations import MIGRATIONS

pytestmark = pytest.mark.anyio

CREATE = Migration("0001_a.sql", ("CREATE TABLE a (x TEXT NOT NULL UNIQUE) STRICT",))
COUNT = read("SELECT count(*) AS n FROM a")()
NAMES = read("SELECT m.name FROM schema_migrations AS m ORDER BY m.name")()
SLOW = read(
    "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT max(n) AS n FROM c"
)()


def insert(text: str) -> Statement:
    return write("INSERT INTO a (x) VALUES (:x)")(x=text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.sqlite"


@pytest.fixture
async def file(path: Path) -> AsyncIterator[SqliteFile]:
    opened = await SqliteFile.open(str(path), (CREATE,))
    yield opened
    await opened.close()


async def test_what_was_written_is_read_by_whoever_asks_next(file: SqliteFile) -> None:
    for number in range(50):
        assert await file.run(insert(str(number)), COUNT) == [[], [{"n": number + 1}]]
        assert await file.run(COUNT) == [[{"n": number + 1}]]
    assert file.bookmark is None
    assert await file.clear(COUNT) is None


async def test_the_event_loop_goes_on_while_sqlite_works(file: SqliteFile) -> None:
    turns = 0
    asked = asyncio.gather(*(file.run(SLOW) for _ in range(2)))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert await asked == [[[{"n": 3_000_000}]]] * 2
    assert turns > 20


async def test_who_reads_waits_for_nobody_who_writes(file: SqliteFile, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(file.run(insert("one")))
        assert await file.run(COUNT) == [[{"n": 0}]]
        assert not writing.done()
        other.execute("COMMIT")
        await writing
    assert await file.run(COUNT) == [[{"n": 1}]]


async def test_many_at_once_are_all_kept(file: SqliteFile) -> None:
    await asyncio.gather(
        *(file.run(insert(str(number))) for number in range(200)), *(file.run(COUNT) for _ in range(50))
    )
    assert await file.run(COUNT) == [[{"n": 200}]]


async def test_what_fails_changes_nothing_and_the_next_goes_on(file: SqliteFile) -> None:
    for _ in range(sqlite_file._READERS + 1):
        with pytest.raises(apsw.SQLError):
            await file.run(read("SELECT b.x FROM b")())
    with pytest.raises(apsw.ConstraintError):
        await file.run(insert("one"), insert("one"))
    assert await file.run(COUNT) == [[{"n": 0}]]


async def test_who_reads_cannot_write(file: SqliteFile) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        file._readers[0].run_now([insert("one")])


async def test_whoever_gives_up_waiting_leaves_the_file_in_order(file: SqliteFile) -> None:
    for number in range(20):
        task = asyncio.create_task(file.run(insert(str(number)), COUNT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    _, (before,) = await file.run(insert("behind all of these"), COUNT)
    assert await file.run(insert("after"), COUNT) == [[], [{"n": before["n"] + 1}]]


async def test_who_waits_behind_others_for_too_long_is_told_and_never_gets_a_turn(
    file: SqliteFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BATCH_SECONDS", 0.3)
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        for told in await asyncio.gather(*(file.run(insert(str(n))) for n in range(5)), return_exceptions=True):
            assert isinstance(told, Unavailable)
            assert told.message == "SQLite was too busy to do this in time. Try again."
        assert await file.run(COUNT) == [[{"n": 0}]]
        other.execute("COMMIT")
    monkeypatch.undo()
    _, rows = await file.run(insert("after"), read("SELECT a.x FROM a")())
    # The one that had its turn could not be called back.
    assert [row["x"] for row in rows if row["x"] != "0"] == ["after"]


async def test_nothing_is_left_beside_the_file_when_it_is_closed(path: Path) -> None:
    threads = threading.active_count()
    opened = await SqliteFile.open(str(path), (CREATE,))
    await opened.run(insert("one"))
    await opened.run(COUNT)
    await opened.close()
    assert [each.name for each in path.parent.iterdir()] == ["kept.sqlite"]
    assert threading.active_count() <= threads + 1  # asyncio's own


async def test_closing_waits_for_what_is_running(path: Path) -> None:
    opened = await SqliteFile.open(str(path), (CREATE,))
    writing = asyncio.gather(*(opened.run(insert(str(number))) for number in range(50)))
    await asyncio.sleep(0)
    await opened.close()
    await writing
    with closing(SqliteExecutor(str(path))) as after:
        assert await after.run(COUNT) == [[{"n": 50}]]


async def test_a_log_of_writes_that_cannot_be_emptied_is_left_and_that_file_is_written_on(
    file: SqliteFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_TIDY_MILLISECONDS", 10)
    with closing(apsw.Connection(str(path))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM a").fetchall()
        await file.run(insert("one"))
        await file.empty_log()
        assert path.with_name("kept.sqlite-wal").stat().st_size > 0
    await file.empty_log()
    assert path.with_name("kept.sqlite-wal").stat().st_size == 0
    assert await file.run(insert("two"), COUNT) == [[], [{"n": 2}]]


async def test_a_log_of_writes_that_another_keeps_is_unavailable(file: SqliteFile) -> None:
    file._writer._connection.execute("BEGIN")
    file._writer._connection.execute("SELECT count(*) FROM a").fetchall()
    with pytest.raises(Unavailable, match="locked"):
        await file.empty_log()
    file._writer._connection.execute("COMMIT")


# Whether it can be written


def test_a_write_is_tried_on_the_disk_and_leaves_the_file_as_it_was(path: Path) -> None:
    log = path.with_name("kept.sqlite-wal")
    with closing(SqliteExecutor(str(path))) as file:
        file.migrate_now((CREATE,))
        file.empty_log_now()
        before = path.read_bytes()
        sizes = set()
        for _ in range(3):
            file.try_to_write_now()
            sizes.add(log.stat().st_size)
        assert len(sizes) == 1
        assert sizes.pop() > 150_000
        assert file.run_now([NAMES]) == [[{"name": CREATE.name}]]
        file.run_now([insert("one")])
        assert file.run_now([NAMES, COUNT]) == [[{"name": CREATE.name}], [{"n": 1}]]
        file.empty_log_now()
        assert len(path.read_bytes()) == len(before)
        assert file._connection.execute("PRAGMA integrity_check").fetchall() == [{"integrity_check": "ok"}]


def test_a_file_that_is_no_longer_there_cannot_be_written(path: Path) -> None:
    with closing(SqliteExecutor(str(path))) as file:
        file.migrate_now((CREATE,))
        path.rename(path.with_name("elsewhere"))
        with pytest.raises(Unavailable, match=r"cannot be written: unable to open .* Check SQLITE_PATH and its disk\."):
            file.try_to_write_now()
        assert not path.exists()
        path.with_name("elsewhere").rename(path)
        file.try_to_write_now()


async def test_to_try_a_write_waits_for_nobody(file: SqliteFile, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        await file.try_to_write()  # it would be refused after ten seconds, and this be told


# What is opened


async def test_a_new_file_has_the_newest_schema_and_an_old_one_gets_it(path: Path) -> None:
    first = await SqliteFile.open(str(path), MIGRATIONS[:1])
    assert await first.run(NAMES) == [[{"name": MIGRATIONS[0].name}]]
    await first.close()
    second = await SqliteFile.open(str(path), MIGRATIONS)
    assert await second.run(NAMES) == [[{"name": migration.name} for migration in MIGRATIONS]]
    await second.close()


@pytest.mark.parametrize("mode", ["wal", "delete"])  # as a server leaves it, and as a copy of it is
def test_a_schema_of_a_newer_version_is_refused_and_left_as_it_is(mode: str, path: Path) -> None:
    with closing(SqliteExecutor(str(path))) as newer:
        newer.migrate_now((CREATE, Migration("0002_b.sql", ("CREATE TABLE b (x TEXT) STRICT",))))
        newer._connection.pragma("journal_mode", mode)
    before = path.read_bytes()
    with pytest.raises(Unavailable, match=r"a newer version \(0002_b\.sql\), and is left alone"):
        asyncio.run(SqliteFile.open(str(path), (CREATE,)))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["kept.sqlite"]


def test_a_newer_version_that_comes_between_looking_and_applying_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteExecutor(str(path))) as newer:
        newer.migrate_now((Migration("0002_b.sql", ()),))
    monkeypatch.setattr(SqliteExecutor, "look_now", lambda self, migrations: None)
    with pytest.raises(Unavailable, match="a newer version"):
        asyncio.run(SqliteFile.open(str(path), (CREATE,)))
    with closing(apsw.Connection(str(path))) as database:
        assert database.execute("SELECT name FROM schema_migrations").fetchall() == [("0002_b.sql",)]


@pytest.mark.parametrize(
    "theirs",
    [
        "TABLE letters (subject TEXT)",
        "TABLE Messages (subject TEXT)",
        "VIEW words AS SELECT 1",
        "TABLE schema_migrations (version TEXT)",
        "TABLE schema_migrations (name TEXT); CREATE TABLE letters (subject TEXT)",
    ],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(theirs: str, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as database:
        database.execute(f"CREATE {theirs}")
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="tables of another application, and is left alone"):
        asyncio.run(open_sqlite_file(str(path)))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["kept.sqlite"]


async def test_what_something_else_puts_beside_our_tables_does_no_harm(path: Path) -> None:
    await (await SqliteFile.open(str(path), MIGRATIONS[:1])).close()
    with closing(apsw.Connection(str(path))) as database:
        database.execute("CREATE TABLE letters (subject TEXT)")
    for _ in range(2):
        await (await open_sqlite_file(str(path))).close()


async def test_a_file_without_tables_is_new_even_if_it_has_been_used(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as database:
        database.execute("CREATE TABLE letters (n INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE letters")
    await (await open_sqlite_file(str(path))).close()


async def test_a_migration_that_fails_leaves_nothing_of_itself_nor_of_those_before(path: Path) -> None:
    with pytest.raises(apsw.SQLError):
        await SqliteFile.open(
            str(path), (CREATE, Migration("0002_b.sql", ("CREATE TABLE b (x TEXT) STRICT", "no SQL")))
        )
    with closing(apsw.Connection(str(path))) as database:
        assert database.execute("SELECT name FROM sqlite_schema").fetchall() == []


def test_a_file_that_may_only_be_read_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteExecutor(str(path))) as database:
        database.migrate_now((CREATE,))
    connect = apsw.Connection
    monkeypatch.setattr(apsw, "Connection", lambda name: connect(name, flags=apsw.SQLITE_OPEN_READONLY))
    with pytest.raises(Unavailable, match=r"is read-only\. Check SQLITE_PATH"):
        asyncio.run(SqliteFile.open(str(path), (CREATE,)))


def test_a_disk_that_is_full_is_unavailable_for_a_migration_and_leaves_nothing_of_it(path: Path) -> None:
    with closing(SqliteExecutor(str(path))) as database:
        database._connection.execute("PRAGMA max_page_count = 3")
        filling = Migration(
            "0002_b.sql", ("CREATE TABLE b (x TEXT) STRICT", "INSERT INTO b VALUES (zeroblob(100000) || '')")
        )
        with pytest.raises(Unavailable, match=r"database or disk is full\. Check SQLITE_PATH"):
            database.migrate_now((CREATE, filling))
        assert database._connection.execute("SELECT name FROM sqlite_schema").fetchall() == []


async def test_a_file_that_others_have_for_themselves_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_MILLISECONDS", 10)
    await (await SqliteFile.open(str(path), ())).close()
    with closing(apsw.Connection(str(path))) as owner:
        owner.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"database is locked\. Check SQLITE_PATH"):
            await SqliteFile.open(str(path), (CREATE,))


def test_what_is_no_database_is_unavailable(path: Path) -> None:
    path.write_text("This is a letter, and not a database at all. " * 100)
    with pytest.raises(Unavailable, match=r"file is not a database\. Check SQLITE_PATH"):
        asyncio.run(open_sqlite_file(str(path)))


def test_nobody_gets_between_looking_what_is_pending_and_applying_it(path: Path) -> None:
    second = Migration("0002_b.sql", ("CREATE TABLE b (x TEXT) STRICT",))
    with closing(SqliteExecutor(str(path))) as opened:
        ran: list[str] = []
        opened._connection.exec_trace = lambda cursor, statement, values: ran.append(statement.split("(")[0]) is None
        opened.migrate_now((CREATE, second))
    locked = ran[ran.index("BEGIN IMMEDIATE") : ran.index("COMMIT", ran.index("BEGIN IMMEDIATE"))]
    assert [text for text in locked if text.startswith("SELECT")]
    assert {"CREATE TABLE a ", "CREATE TABLE b "} <= {*locked}
    assert ran.count("BEGIN IMMEDIATE") == 1


def test_a_file_that_is_made_by_several_at_once_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = ["once", "twice"]

    class Busy(apsw.Connection):
        def execute(self, statement: str, *arguments: Any, **options: Any) -> apsw.Cursor:
            if "journal_mode" in statement and refusals:
                raise apsw.BusyError(refusals.pop())
            return super().execute(statement, *arguments, **options)

    monkeypatch.setattr(apsw, "Connection", Busy)
    with closing(SqliteExecutor(str(path))) as opened:
        assert opened._connection.pragma("journal_mode") == "wal"
    assert refusals == []


PROGRAM = """
import asyncio, sys
from threadkeep.storage.sqlite.file import SqliteFile
from threadkeep.storage.sqlite.migrations import MIGRATIONS
async def main():
    print("ready", flush=True)
    sys.stdin.readline()  # all at once
    executor = await SqliteFile.open(sys.argv[1], MIGRATIONS)
    await executor.close()
asyncio.run(main())
"""


def test_ten_processes_that_start_at_once_on_a_new_file_make_one_schema(path: Path) -> None:
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(10)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in starting] == [""] * 10
    with closing(apsw.Connection(str(path))) as database:
        names = database.execute("SELECT name FROM schema_migrations ORDER BY name").fetchall()
    assert names == [(migration.name,) for migration in MIGRATIONS]
