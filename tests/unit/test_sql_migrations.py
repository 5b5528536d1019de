"""Migrations: each is applied once, in order, whole or not at all; and the embedded texts are those of the files."""

from pathlib import Path

import apsw
import pytest

import threadkeep.storage.postgres.migrations
import threadkeep.storage.sqlite.migrations
from support.records import edit, message
from threadkeep.conversations.records import SearchQuery
from threadkeep.ids import new_id
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import read, write
from threadkeep.storage.sql.migrate import Migration, migrate
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.first_index import indexed_words
from threadkeep.storage.sqlite.migrations import MIGRATIONS
from tools.checkout import Problem
from tools.migrations.embed import embedded, statements_of
from tools.migrations.hashes import check_hashes

pytestmark = pytest.mark.anyio

FILES = Path(__file__).parents[2] / "migrations" / "sqlite"
FILES_OF_POSTGRES = FILES.with_name("postgres")
FIRST = Migration("0001_a.sql", ("CREATE TABLE a (x INTEGER NOT NULL) STRICT", "INSERT INTO a (x) VALUES (1)"))
SECOND = Migration("0002_b.sql", ("CREATE TABLE b (y TEXT) STRICT", "UPDATE a SET x = x + 1"))
BROKEN = Migration("0003_c.sql", ("CREATE TABLE c (z TEXT) STRICT", "UPDATE a SET x = 10", "UPDATE a SET x = NULL"))


async def select(executor: SqliteExecutor, text: str) -> list[object]:
    (rows,) = await executor.run(read(text)())
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
    with pytest.raises(apsw.ConstraintError):
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


async def test_what_was_indexed_before_the_index_had_its_own_table_is_found_after_it(executor: SqliteExecutor) -> None:
    await migrate(executor, MIGRATIONS[:2])
    ids = [new_id(), new_id(), new_id()]
    await executor.run(
        write("INSERT INTO owners (user_id, epoch, rev) VALUES ('ada', 'e', 1)")(),
        write("""
            INSERT INTO conversations (
              n, user_id, id, rev, digest, title, title_source, created_at, updated_at, message_count, is_archived,
              version, metadata
            )
            VALUES (1, 'ada', :conversation, 1, 'd', 'Armadillo', 'user', 1, 1, 2, 0, 1, '{}')
            """)(conversation=ids[0]),
        write("""
            INSERT INTO messages (n, user_id, id, conversation_id, seq, rev, digest, role, created_at, bytes, content)
            VALUES
              (1, 'ada', :message, :conversation, 1, 1, 'd', 'user', 1, 9, :content),
              (2, 'ada', :wordless, :conversation, 2, 1, 'd', 'user', 1, 9, '[{"type":"text","text":"?!"}]')
            """)(
            message=ids[1], wordless=ids[2], conversation=ids[0], content='[{"type":"text","text":"An aardvark."}]'
        ),
        write("INSERT INTO words (rowid, text) VALUES (2, '')")(),
        write("INSERT INTO words (rowid, text) VALUES (1, :words)")(words=indexed_words("ada", "an aardvark")),
        write("INSERT INTO words (rowid, text) VALUES (-1, :words)")(words=indexed_words("ada", "armadillo")),
    )
    await migrate(executor, MIGRATIONS)
    store = SqlStore(executor, "ada")

    async def found(word: str) -> list[bool]:
        return [hit.message is not None for hit in (await store.search(SearchQuery(text=word))).hits]

    assert (await found("aardvark"), await found("armadillo")) == ([True], [False])
    await store.update_conversation(ids[0], edit(title="Badger"))
    await store.append_messages(ids[0], [message("A capybara.")])
    assert (await found("armadillo"), await found("badger"), await found("capybara")) == ([], [False], [True])
    await store.erase()
    while await store.sweep():
        pass
    await executor.run(write("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")())
    assert await select(executor, "SELECT count(*) FROM messages WHERE user_id <> ''") == [0]
    left = "SELECT count(*) FROM {} WHERE {} NOT IN (SELECT l.n FROM word_lists AS l WHERE l.user_id = '')"
    for table, place in (("word_lists", "n"), ("words_docsize", "id")):
        assert await select(executor, left.format(table, place)) == [0], table


async def test_the_database_is_the_same_from_the_files(executor: SqliteExecutor) -> None:
    await migrate(executor, MIGRATIONS)
    from_files = apsw.Connection(":memory:")
    for path in sorted(FILES.glob("*.sql")):
        from_files.execute(path.read_text()).fetchall()
    schema = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '%schema_migrations%' ORDER BY name"
    expected = [value for row in from_files.execute(schema) for value in row]
    from_files.close()
    assert expected
    assert await select(executor, schema) == expected


def test_the_embedded_migrations_are_not_stale() -> None:
    module = threadkeep.storage.sqlite.migrations.__file__
    assert Path(module).read_text() == embedded(FILES), "run scripts/lock"
    of_postgres = threadkeep.storage.postgres.migrations.__file__
    assert Path(of_postgres).read_text() == embedded(FILES_OF_POSTGRES), "run scripts/lock"


@pytest.mark.parametrize(
    "migrations", [MIGRATIONS, threadkeep.storage.postgres.migrations.MIGRATIONS], ids=["sqlite", "pg"]
)
def test_migrations_are_numbered_without_a_gap(migrations: tuple[Migration, ...]) -> None:
    assert [int(migration.name[:4]) for migration in migrations] == list(range(1, len(migrations) + 1))


@pytest.mark.parametrize("folder", [FILES, FILES_OF_POSTGRES], ids=lambda folder: folder.name)
def test_a_migration_is_what_it_was_when_it_landed(folder: Path) -> None:
    check_hashes(folder)


def test_a_file_is_taken_apart_into_its_statements() -> None:
    text = "-- One.\n\nCREATE TABLE a (\n  x TEXT -- a; comment\n);\n-- Two.\nINSERT INTO a VALUES ('b;\nc');\n"
    assert statements_of(text) == ["CREATE TABLE a (\n  x TEXT -- a; comment\n)", "INSERT INTO a VALUES ('b;\nc')"]
    with pytest.raises(Problem, match="in the middle of a statement"):
        statements_of("SELECT 1;\nSELECT 2")
