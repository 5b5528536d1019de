"""Migrations: each is applied once, in order, whole or not at all; and the embedded texts are those of the files."""

import sqlite3
from pathlib import Path

import pytest

import threadkeep.sql.schema
from threadkeep.sql.executor import Query
from threadkeep.sql.migrations import Migration, migrate
from threadkeep.sql.schema import MIGRATIONS
from threadkeep.sql.sqlite import SqliteExecutor
from toolbox.embed import embedded, statements_of

pytestmark = pytest.mark.anyio

FILES = Path(__file__).parents[2] / "migrations" / "sqlite"
FIRST = Migration("0001_a.sql", ("CREATE TABLE a (x INTEGER NOT NULL) STRICT", "INSERT INTO a (x) VALUES (1)"))
SECOND = Migration("0002_b.sql", ("CREATE TABLE b (y TEXT) STRICT", "UPDATE a SET x = x + 1"))
BROKEN = Migration("0003_c.sql", ("CREATE TABLE c (z TEXT) STRICT", "UPDATE a SET x = 10", "UPDATE a SET x = NULL"))


async def select(executor: SqliteExecutor, text: str) -> list[object]:
    (rows,) = await executor.run(Query(text)())
    return [value for row in rows for value in row.values()]


async def names(executor: SqliteExecutor) -> list[object]:
    return await select(executor, "SELECT name FROM schema_migrations ORDER BY name")


async def test_what_is_pending_is_applied_once(executor: SqliteExecutor) -> None:
    assert await migrate(executor, (FIRST,)) == ["0001_a.sql"]
    assert await migrate(executor, (FIRST,)) == []
    assert await migrate(executor, (FIRST, SECOND)) == ["0002_b.sql"]
    assert await migrate(executor, (FIRST, SECOND)) == []
    assert await select(executor, "SELECT x FROM a") == [2]
    assert await names(executor) == ["0001_a.sql", "0002_b.sql"]


async def test_a_new_database_gets_all_of_them_in_order(executor: SqliteExecutor) -> None:
    assert await migrate(executor, (FIRST, SECOND)) == ["0001_a.sql", "0002_b.sql"]
    assert await select(executor, "SELECT x FROM a") == [2]


async def test_a_migration_that_fails_leaves_nothing_of_itself(executor: SqliteExecutor) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await migrate(executor, (FIRST, BROKEN, SECOND))
    assert await names(executor) == ["0001_a.sql"]
    assert await select(executor, "SELECT x FROM a") == [1]
    assert await select(executor, "SELECT name FROM sqlite_schema WHERE name IN ('b', 'c')") == []
    assert await migrate(executor, (FIRST, SECOND)) == ["0002_b.sql"]


async def test_a_colon_in_a_migration_is_no_parameter(executor: SqliteExecutor) -> None:
    notes = Migration("0003_d.sql", ("CREATE TABLE d (t TEXT DEFAULT ':x') STRICT", "INSERT INTO d (t) VALUES (':y')"))
    assert await migrate(executor, (notes,)) == ["0003_d.sql"]
    assert await select(executor, "SELECT t FROM d") == [":y"]


async def test_names_that_are_not_ours_are_left_alone(executor: SqliteExecutor) -> None:
    await migrate(executor, (FIRST, SECOND))
    assert await migrate(executor, (FIRST,)) == []
    assert await migrate(executor, ()) == []
    assert await names(executor) == ["0001_a.sql", "0002_b.sql"]


async def test_our_own_are_applied_once(executor: SqliteExecutor) -> None:
    assert await migrate(executor, MIGRATIONS) == [migration.name for migration in MIGRATIONS]
    before = await select(executor, "SELECT sql FROM sqlite_schema ORDER BY name")
    assert await migrate(executor, MIGRATIONS) == []
    assert await select(executor, "SELECT sql FROM sqlite_schema ORDER BY name") == before


async def test_the_database_is_the_same_from_the_files(executor: SqliteExecutor) -> None:
    await migrate(executor, MIGRATIONS)
    from_files = sqlite3.connect(":memory:")
    for path in sorted(FILES.glob("*.sql")):
        from_files.executescript(path.read_text())
    schema = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '%schema_migrations%' ORDER BY name"
    expected = [value for row in from_files.execute(schema) for value in row]
    from_files.close()
    assert expected
    assert await select(executor, schema) == expected


def test_the_embedded_migrations_are_not_stale() -> None:
    module = threadkeep.sql.schema.__file__
    assert Path(module).read_text() == embedded(FILES), "run scripts/lock"


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [int(migration.name[:4]) for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_file_is_taken_apart_into_its_statements() -> None:
    text = "-- One.\n\nCREATE TABLE a (\n  x TEXT -- a; comment\n);\n-- Two.\nINSERT INTO a VALUES ('b;\nc');\n"
    assert statements_of(text) == ["CREATE TABLE a (\n  x TEXT -- a; comment\n)", "INSERT INTO a VALUES ('b;\nc')"]
    with pytest.raises(SystemExit, match="in the middle of a statement"):
        statements_of("SELECT 1;\nSELECT 2")
