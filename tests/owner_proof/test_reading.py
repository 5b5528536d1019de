"""The owner proof, read: no statement can touch a row of another user, and one that could is found out."""

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

import threadkeep
from owner_proof.breaking import GUARD
from owner_proof.reading import FIRST_ROWS, INDEXES, LISTS, OF_NO_USER, violations, without_first_rows
from threadkeep.storage.postgres.dialect import PostgresDialect
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements import Statements
from threadkeep.storage.sqlite.dialect import SQLITE, SqliteDialect
from threadkeep.storage.sqlite.migrations import MIGRATIONS

QUERIES = SQLITE.queries()
OF_A_USER = [name for name in QUERIES if name not in OF_NO_USER]
PACKAGE = Path(threadkeep.__file__).parent


def new_database() -> apsw.Connection:
    database = apsw.Connection(":memory:")
    for migration in MIGRATIONS:
        for statement in migration.statements:
            database.execute(statement)
    return database


def names_in(database: apsw.Connection, kind: str) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = ?", [kind])}


def tables_in(database: apsw.Connection) -> set[str]:
    """The tables but for the indexes, and what these are made of."""
    return {
        name
        for name in names_in(database, "table")
        if not any(name == index or name.startswith(f"{index}_") for index in INDEXES)
    }


@pytest.fixture
def database() -> Iterator[apsw.Connection]:
    with closing(new_database()) as database:
        yield database


with closing(new_database()) as _database:
    TABLES = frozenset(tables_in(_database))


def test_every_table_has_a_user_and_no_view_or_trigger_hides_one(database: apsw.Connection) -> None:
    assert {"owners", "conversations", "messages", *LISTS} <= TABLES
    for table in TABLES:
        columns = {row[0] for row in database.execute("SELECT name FROM pragma_table_info(?)", [table])}
        assert "user_id" in columns, table
    assert names_in(database, "table") >= set(INDEXES)
    made_from = {"search_index_2": "content = '', contentless_delete = 1", "words": "content = 'word_lists'"}
    for index in INDEXES:
        (made_by,) = database.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [index]).fetchone()
        assert made_by.startswith(f"CREATE VIRTUAL TABLE {index} USING fts5(")
        assert made_from[index] in made_by
    assert names_in(database, "view") == set()
    assert names_in(database, "trigger") == set()


@pytest.mark.parametrize("name", OF_A_USER)
def test_a_statement_touches_only_rows_of_its_user(name: str) -> None:
    text, tables = QUERIES[name].text, set(TABLES)
    if name in FIRST_ROWS:
        assert violations(text, tables) == ["The table word_lists AS l is not tied to the user."]
        # Whoever reads what was read there is tied to the user, as if that were a table.
        text = without_first_rows(text)
        tables.add("first_rows")
        assert "first_rows" in text
    assert violations(text, tables) == []


def test_only_the_first_rows_of_the_index_before_are_read_whosever_they_are() -> None:
    text = QUERIES["to_index_again"].text
    assert set(FIRST_ROWS) == {"to_index_again"}
    first_rows = "SELECT l.n, l.user_id FROM word_lists AS l ORDER BY l.n LIMIT :limit"
    assert " ".join(text.split()).startswith(f"WITH first_rows AS ( {first_rows} ), listed AS (")
    broken = without_first_rows(text).replace("f.user_id = :user", "f.user_id >= :user")
    assert violations(broken, {*TABLES, "first_rows"}) == ["The table first_rows AS f is not tied to the user."]
    broken = without_first_rows(text).replace("FROM sized AS s)", "FROM first_rows AS s)")
    assert violations(broken, {*TABLES, "first_rows"}) == ["The table first_rows AS s is not tied to the user."]


def test_the_statements_of_no_user_are_those_that_say_why() -> None:
    assert {name for name, query in QUERIES.items() if "user" not in query.names} == set(OF_NO_USER)


def test_one_of_them_reads_only_who_has_something_to_purge_or_to_index_again(database: apsw.Connection) -> None:
    query = QUERIES["users_to_purge"]
    assert violations(query.text, TABLES) == [
        f"The table {table} is not tied to the user."
        for table in (
            *("cuts AS k", "conversations AS c", "word_lists AS l", *["owners AS o"] * 2),
            *("tasks AS k", "lanes AS k", *["threads AS k"] * 2, *["journals AS k"] * 2, *["blobs AS k"] * 2),
        )
    ]
    read = {
        "conversations": ("user_id", "deleted_at"),
        "cuts": ("user_id", "deleted_at"),
        "owners": ("user_id", "rev", "indexed_rev", "linked_rev"),
        "journals": ("user_id", "deleted_at", "expires_at"),
        "blobs": ("user_id", "deleted_at", "expires_at"),
        "threads": ("user_id", "deleted_at", "expires_at"),
        "tasks": ("user_id", "deleted_at"),
        "lanes": ("user_id", "deleted_at"),
        "word_lists": ("user_id", "n"),
    }
    expected = {(apsw.SQLITE_READ, table, column) for table, columns in read.items() for column in columns}
    assert touched_by(query, database) == expected


def test_one_of_them_reads_only_who_has_something_that_expires(database: apsw.Connection) -> None:
    query = QUERIES["users_to_expire"]
    assert violations(query.text, TABLES) == [
        f"The table {table} is not tied to the user." for table in ("owners AS o", *["conversations AS c"] * 2)
    ]
    # And `n`, which is how a row of `conversations` is found whose metadata is looked at.
    which = ("user_id", "is_archived", "deleted_at", "updated_at", "expires_from", "metadata")
    read = {"conversations": which, "owners": ("user_id",)}
    expected = {(apsw.SQLITE_READ, table, column) for table, columns in read.items() for column in columns}
    assert touched_by(query, database) == expected


def test_one_of_them_empties_an_index_of_which_nothing_is_listed(database: apsw.Connection) -> None:
    query = QUERIES["index_again_4"]
    text = " ".join(query.text.split())
    assert text == "INSERT INTO words (words) SELECT 'delete-all' WHERE NOT EXISTS (SELECT 1 FROM word_lists)"
    add = ("INSERT INTO words (rowid, text) VALUES (1, 'badger')", "INSERT INTO word_lists VALUES (1, 'ada', 'badger')")
    for statement in add:
        database.execute(statement)
    sought = "SELECT words.rowid FROM words WHERE words MATCH 'badger'"
    database.execute(query.numbered)
    assert database.execute(sought).fetchall() == [(1,)]
    database.execute("DELETE FROM word_lists")
    database.execute(query.numbered)
    assert database.execute(sought).fetchall() == []


def test_the_others_merge_an_index_and_see_whether_they_have_to(database: apsw.Connection) -> None:
    tidying = SQLITE.tidying
    assert tidying is not None
    assert tuple(QUERIES[f"tidying_{place}"] for place in (1, 2, 3, 4)) == tidying
    assert touched_by(tidying.is_due, database) == {
        (apsw.SQLITE_READ, "search_index_2_data", column) for column in ("", "id")
    }
    assert tidying.changes.text == "SELECT total_changes() AS value"
    merge = r"INSERT INTO search_index_2 \(search_index_2, rank\) VALUES \('merge', -?\d+\)"
    for query in (tidying.go_on, tidying.begin):
        assert re.fullmatch(merge, query.text)
        assert violations(query.text, TABLES) == ["It gives the new row no key."]
        assert not {table for _, table, _ in touched_by(query, database)} & TABLES


def test_the_statements_of_no_user_are_run_for_no_user() -> None:
    used = []
    for path in (PACKAGE / "storage").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            if names & {"users_to_purge", "users_to_expire", "tidying"}:
                used.append((path.relative_to(PACKAGE).as_posix(), getattr(node, "name", None)))
    assert sorted(used, key=str) == [
        ("storage/sql/conversations.py", "tidy_index"),
        ("storage/sql/conversations.py", "users_to_expire"),
        ("storage/sql/conversations.py", "users_to_purge"),
        ("storage/sql/statements/indexing.py", "Indexing"),  # where the dialect is asked for it
    ]


MAKERS = {"Query", "read", "answer", "write"}


def makers_in(path: Path) -> list[str]:
    """Where a module makes queries: the functions, or the class, that do so, and the module itself as `-`."""
    tree = ast.parse(path.read_text())
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "threadkeep.storage.sql.executor"
        for name in node.names
        if name.name in MAKERS
    }
    if path == PACKAGE / "storage/sql/executor.py":
        imported = MAKERS
    found = []

    def look(node: ast.AST, within: str) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Call(func=ast.Name(id=name)) if name in imported:
                    found.append(within)
                case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if name in MAKERS:
                    found.append(within)  # a dialect by itself
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="dialect"), attr=name)) if name in MAKERS:
                    found.append(within)
            look(child, child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else within)

    look(tree, "-")
    return sorted(found)


def test_no_statement_is_kept_where_the_proof_does_not_look() -> None:
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    made = {name: found for name, path in paths.items() if (found := makers_in(path))}
    assert made.pop("storage/sql/executor.py") == made.pop("storage/sql/dialect.py") == ["answer", "read", "write"]
    # The record of migrations is nobody's; it is made before there is any user.
    assert made.pop("storage/sql/migrate.py") == ["-"] * 5 + ["migrate"]
    # Whether a database answers at all is asked of no table.
    assert made.pop("storage/sql/database.py") == ["-"]
    # What a dialect makes, the statements of that name hand on.
    indexing = {"indexing", "indexing_again", "indexing_messages", "unindexing", "_removal_from_first_index"}
    assert set(made.pop("storage/sqlite/dialect.py")) == {*indexing, "tidying"}
    assert set(made.pop("storage/postgres/dialect.py")) == {*indexing, "lock_owner_of"} - {"_removal_from_first_index"}
    assert {name for name in made if not name.startswith("storage/sql/statements/")} == set()
    in_statements = {function for found in made.values() for function in found}
    names = {name.rstrip("_0123456789") for name in QUERIES}
    of_several = {
        *("_page", "_page_of_large", "_page_of_entries", "_page_of_journals", "_page_of_tasks", "_pieces", "_write"),
        *("_change", "_removal", "removal", "removal_of_pieces", "_page_of_checkpoints", "_parts_of_large"),
        *("_piece_of_thread", "_burial", "_retirement", "_move_to_grave", "_copy_of_thread", "_of_message"),
        *("_page_of_path", "_page_of_large_path", "_page_of_hits", "_first_deletion", "_of_conversation"),
        "_changed_draft",
    }
    assert in_statements <= names | of_several
    assert names - in_statements == {
        "index",
        "unindex_title",
        "index_again",
        "index_messages",
        "tidying",
        "unindex_swept",
        *("get_message", "metadata_of_message", "earliest_deletion", "marked"),
        *("list_path_before", "list_path_after", "list_large_path_before", "list_large_path_after"),
        *("take_draft", "stop_draft", "forget_drafts", "remove_parts_of_ended", "remove_drafts_of_swept"),
        *("cut_verdict", "restore_verdict", "search", "search_active"),
        *("first_entries", "newest_entries", "pieces_of_first", "pieces_of_newest", "remove_entries", "sweep_entries"),
        "sweep_blobs",
        *("list_journals", "list_journals_of_status", "list_journals_by_update"),
        *("save_journal", "patch_journal", "acquire_producer", "append"),
        *("task", "runnable_tasks", "unready_tasks", "tasks_of_state", "expired_tasks", "joined_tasks", "open_tasks"),
        *("tasks_of_lane", "tasks_of_queue", "absorbed_tasks", "begin_absorbing", "make_ready", "claim_task"),
        *("apply_task", "recover_task", "replace_attempt", "requeue_task", "settle_task", "drop_task"),
        *("reserve_settlement", "finalize_settlement", "join_task", "leave_host", "note_task", "sweep_tasks"),
        *(f"{what}_of_{whose}" for what in ("checkpoints", "large") for whose in ("namespace", "thread", "all")),
        *("large_deltas", "unhinge_checkpoint", "unhinge_writes", "sweep_of_threads", "retire_named", "retire_older"),
        *(f"insert_piece_of_{what}" for what in ("checkpoint", "value", "write")),
        *("bury_of_named", "bury_of_older", "bury_of_runs", "move_of_runs", "move_older", "move_values", "move_writes"),
        *("copy_checkpoints", "copy_values", "copy_writes"),
    } | {f"list_{size}messages_{where}" for size in ("", "large_") for where in ("before", "after")}


def test_every_query_that_is_made_of_the_statements_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Query] = []
    make = Query.__init__

    def making(query: Query, *arguments: Any, **options: Any) -> None:
        made.append(query)
        make(query, *arguments, **options)

    monkeypatch.setattr(Query, "__init__", making)
    for dialect in (SqliteDialect(), PostgresDialect('"public"')):
        made.clear()
        assert set(Statements(dialect).queries().values()) == set(made)


def touched_by(query: Query, database: apsw.Connection) -> set[tuple[int, str | None, str | None]]:
    """What SQLite says that a statement reads and changes: how, of which table, and which column."""
    touched = set()

    def authorize(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action in (apsw.SQLITE_READ, apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE):
            touched.add((action, table, column))
        return apsw.SQLITE_OK

    database.authorizer = authorize
    database.execute(f"EXPLAIN {query.numbered}", [None] * len(query.names))
    database.authorizer = None
    return touched


@pytest.mark.parametrize("name", [name for name in QUERIES if not name.startswith("tidying_")])
def test_the_reading_finds_every_table_that_sqlite_finds(name: str, database: apsw.Connection) -> None:
    query = QUERIES[name]
    touched = {table for _, table, _ in touched_by(query, database)}
    unguarded = GUARD.sub("1", query.text).replace("w.rowid AS n", "1 AS n")  # nor does anything hand on a key
    reported = " ".join([*violations(unguarded, TABLES), *re.findall(r"INSERT (?:OR REPLACE )?INTO (\w+)", query.text)])
    known = TABLES | set(INDEXES)
    assert touched & TABLES
    assert {table for table in known if re.search(rf"\b{table}\b", reported)} == touched & known


SOUND = {
    "a guard in parentheses, with the user first": """
        SELECT c.id FROM conversations AS c WHERE (:user = c.user_id AND (c.id = :id))""",
    "a guard beside an OR": """
        SELECT c.id FROM conversations AS c WHERE (c.id = :id OR c.is_archived) AND c.user_id = :user""",
    "a table without an alias": "DELETE FROM messages WHERE messages.user_id = :user",
    "both sides of an inner join guarded in ON": """
        SELECT m.id FROM conversations AS c JOIN messages AS m ON m.user_id = :user AND c.user_id = :user""",
    "the joined side of a LEFT JOIN guarded in ON": """
        SELECT m.id FROM conversations AS c LEFT JOIN messages AS m ON m.user_id = :user WHERE c.user_id = :user""",
    "both sides of a FULL JOIN guarded in WHERE": """
        SELECT m.id FROM conversations AS c FULL JOIN messages AS m ON m.id = c.id
        WHERE c.user_id = :user AND m.user_id = :user""",
    "an INSERT of the user of a row that is guarded": """
        INSERT INTO owners (user_id, epoch) SELECT c.user_id, c.id FROM conversations AS c WHERE c.user_id = :user""",
    "an INSERT of two rows": "INSERT INTO owners (epoch, user_id) VALUES (:a, :user), (:b, :user)",
    "an update of a row that is in the way": """
        INSERT INTO owners (user_id, epoch) VALUES (:user, :epoch) ON CONFLICT (user_id) DO UPDATE SET rev = 1""",
    "a query in place of a table that is guarded within": """
        WITH changed AS (
          SELECT * FROM (SELECT m.n FROM messages AS m WHERE m.user_id = :user ORDER BY m.rev LIMIT 1)
          UNION ALL
          SELECT * FROM (SELECT c.n FROM conversations AS c WHERE c.user_id = :user)
        )
        SELECT l.n FROM changed AS l""",
    "an index joined by its key": """
        SELECT w.rank FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.n = w.rowid
        WHERE w.words MATCH :match""",
    "an index tied to minus the key in WHERE": """
        SELECT w.rank FROM words AS w JOIN conversations AS c WHERE (-w.rowid = c.n AND c.user_id = :user)""",
    "the joined side of a LEFT JOIN tied by its key in ON": """
        SELECT w.rank FROM messages AS m LEFT JOIN words AS w ON w.rowid = m.n WHERE m.user_id = :user""",
    "a common table expression that hands on the key": """
        WITH found AS (SELECT w.rowid AS row, w.rank FROM words AS w WHERE w.words MATCH :match)
        SELECT f.rank FROM found AS f JOIN conversations AS c ON c.n = -f.row WHERE c.user_id = :user""",
    "common table expressions that hand on the key of others by UNION ALL": """
        WITH found AS (SELECT w.rowid AS n, w.rank AS score FROM words AS w WHERE w.words MATCH :match),
        found_too AS (SELECT w.rowid AS n, w.rank AS score FROM search_index_2 AS w),
        all_of_it AS (SELECT f.n, f.score FROM found AS f UNION ALL SELECT t.n, t.score FROM found_too AS t),
        again AS (SELECT a.n FROM all_of_it AS a WHERE a.score < 1)
        SELECT a.n FROM again AS a JOIN messages AS m ON m.user_id = :user AND m.n = a.n""",
    "an INSERT into an index of the keys of rows that are guarded": """
        INSERT OR REPLACE INTO words (text, rowid)
        SELECT :text, m.n FROM messages AS m WHERE m.user_id = :user
        UNION ALL
        SELECT :text, -c.n FROM conversations AS c WHERE c.user_id = :user""",
    "a DELETE from an index of the keys of rows that are guarded": """
        DELETE FROM words WHERE words.rowid IN (
          SELECT m.n FROM messages AS m WHERE m.user_id = :user
          UNION ALL
          SELECT -c.n FROM conversations AS c WHERE c.user_id = :user
        )""",
    "an index joined with the list of what is in it": """
        SELECT w.rank FROM words AS w JOIN word_lists AS l ON l.user_id = :user AND l.n = w.rowid""",
    "an INSERT into an index of what is listed": """
        INSERT INTO words (text, rowid) SELECT l.text, l.n FROM word_lists AS l WHERE l.user_id = :user""",
    "a DELETE from an index of what is listed": """
        DELETE FROM words WHERE words.rowid IN (SELECT l.n FROM word_lists AS l WHERE l.user_id = :user)""",
    "an INSERT into the list of keys of rows that are guarded": """
        INSERT INTO word_lists (text, n, user_id)
        SELECT :text, m.n, m.user_id FROM messages AS m WHERE m.user_id = :user
        UNION ALL
        SELECT :text, -c.n, :user FROM conversations AS c WHERE c.user_id = :user""",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SOUND.items()])
def test_a_sound_statement_passes(text: str) -> None:
    assert violations(text, TABLES) == []


BROKEN = {
    "no guard": ("SELECT c.id FROM conversations AS c WHERE c.id = :id", "conversations AS c is not tied"),
    "no WHERE": ("DELETE FROM messages", "messages is not tied"),
    "an OR beside the guard": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user OR c.id = :conversation",
        "conversations AS c is not tied",
    ),
    "an OR far above the guard": (
        "SELECT c.id FROM conversations AS c WHERE c.id > :a AND ((c.user_id = :user AND c.id = :id) OR c.is_archived)",
        "conversations AS c is not tied",
    ),
    "an AND that binds before an OR": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user AND c.id = :id OR c.is_archived = 1",
        "conversations AS c is not tied",
    ),
    "a guard that is denied": (
        "SELECT c.id FROM conversations AS c WHERE NOT c.user_id = :user",
        "conversations AS c is not tied",
    ),
    "a guard inside of another expression": (
        "SELECT c.id FROM conversations AS c WHERE (c.user_id = :user) >= 0",
        "conversations AS c is not tied",
    ),
    "a guard among the columns": (
        "SELECT c.user_id = :user FROM conversations AS c",
        "conversations AS c is not tied",
    ),
    "a guard in a comment": (
        "SELECT c.id FROM conversations AS c WHERE c.id = :id -- AND c.user_id = :user",
        "conversations AS c is not tied",
    ),
    "a guard in a text": (
        "SELECT c.id FROM conversations AS c WHERE c.id <> 'AND c.user_id = :user'",
        "conversations AS c is not tied",
    ),
    "a guard in HAVING": (
        "SELECT count(*) FROM conversations AS c GROUP BY c.user_id HAVING c.user_id = :user",
        "conversations AS c is not tied",
    ),
    "a guard by another comparison": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id <= :user",
        "conversations AS c is not tied",
    ),
    "a guard compared once more": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user IS NULL",
        "conversations AS c is not tied",
    ),
    "a guard that BETWEEN swallows": (
        "SELECT c.id FROM conversations AS c WHERE c.id BETWEEN :id AND c.user_id = :user",
        "conversations AS c is not tied",
    ),
    "a guard that does not mind the case": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user COLLATE NOCASE",
        "conversations AS c is not tied",
    ),
    "a guard of whichever table has the column": (
        "SELECT c.id FROM conversations AS c WHERE user_id = :user",
        "conversations AS c is not tied",
    ),
    "swapped parameters": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :conversation AND c.id = :user",
        "conversations AS c is not tied",
    ),
    "a join that is guarded on one side": (
        "SELECT m.id FROM conversations AS c JOIN messages AS m ON m.conversation_id = c.id WHERE c.user_id = :user",
        "messages AS m is not tied",
    ),
    "a join by comma": (
        "SELECT m.id FROM conversations AS c, messages AS m WHERE c.user_id = :user",
        "messages AS m is not tied",
    ),
    "the user of another table that is not guarded": (
        "SELECT m.id FROM conversations AS c JOIN messages AS m ON m.user_id = c.user_id WHERE c.id = :id",
        "messages AS m is not tied",
    ),
    "a join by USING": (
        "SELECT m.id FROM conversations AS c JOIN messages AS m USING (user_id) WHERE c.id = :id",
        "conversations AS c is not tied",
    ),
    "the outer side of a LEFT JOIN guarded in ON": (
        "SELECT c.id FROM conversations AS c LEFT JOIN messages AS m ON c.user_id = :user AND m.user_id = :user",
        "conversations AS c is not tied",
    ),
    "the joined side of a RIGHT JOIN guarded in ON": (
        "SELECT m.id FROM conversations AS c RIGHT JOIN messages AS m ON m.user_id = :user WHERE c.user_id = :user",
        "messages AS m is not tied",
    ),
    "a FULL JOIN after a guard in ON": (
        """SELECT c.id FROM conversations AS c JOIN messages AS m ON c.user_id = :user AND m.user_id = :user
        FULL JOIN owners AS o ON o.user_id = :user""",
        "owners AS o is not tied",
    ),
    "two tables of one name": (
        "SELECT 1 FROM conversations AS c JOIN messages AS c ON c.user_id = :user",
        "Two sources have one name",
    ),
    "a subquery without a guard": (
        """SELECT (SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id) AS n
        FROM conversations AS c WHERE c.user_id = :user""",
        "messages AS m is not tied",
    ),
    "a subquery that guards only what is around it": (
        """SELECT c.id FROM conversations AS c WHERE c.user_id = :user
        AND EXISTS (SELECT 1 FROM messages AS m WHERE c.user_id = :user AND m.id = :id)""",
        "messages AS m is not tied",
    ),
    "a subquery of the same alias that is guarded instead": (
        """SELECT c.id FROM conversations AS c
        WHERE EXISTS (SELECT 1 FROM conversations AS c WHERE c.user_id = :user)""",
        "conversations AS c is not tied",
    ),
    "a query in place of a table": (
        "SELECT d.id FROM (SELECT c.id FROM conversations AS c) AS d WHERE d.user_id = :user",
        "conversations AS c is not tied",
    ),
    "one half of a UNION": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user UNION ALL SELECT m.id FROM messages AS m",
        "messages AS m is not tied",
    ),
    "a common table expression without a guard": (
        "WITH listed AS (SELECT m.id, m.user_id FROM messages AS m) SELECT l.id FROM listed AS l WHERE l.user_id=:user",
        "messages AS m is not tied",
    ),
    "a common table expression that takes a table's name": (
        "WITH messages AS (SELECT 1 AS id) SELECT m.id FROM messages AS m",
        "hides the table messages",
    ),
    "a table named after IN": (
        "SELECT c.id FROM conversations AS c WHERE c.user_id = :user AND c.id IN messages",
        "reads a table by IN",
    ),
    "tables joined in parentheses": (
        "SELECT 1 FROM (conversations AS c JOIN messages AS m ON 1) WHERE c.user_id = :user AND m.user_id = :user",
        "cannot be read",
    ),
    "a table of another database": (
        "SELECT c.id FROM other.conversations AS c WHERE c.user_id = :user",
        "nobody knows what that is",
    ),
    "a table function that reads more than its argument": (
        "SELECT s.sql FROM pragma_table_list AS s WHERE s.user_id = :user",
        "no table pragma_table_list",
    ),
    "an UPDATE without a guard": (
        "UPDATE conversations SET title = :title WHERE conversations.id = :id",
        "conversations is not tied",
    ),
    "an UPDATE that reads another table": (
        "UPDATE conversations SET title = m.id FROM messages AS m WHERE conversations.user_id = :user",
        "messages AS m is not tied",
    ),
    "an UPDATE that gives a row away": (
        "UPDATE conversations SET title = '', user_id = :other WHERE conversations.user_id = :user",
        "gives a row to another",
    ),
    "an UPDATE that gives a row away among others": (
        "UPDATE conversations SET (title, user_id) = (:title, :other) WHERE conversations.user_id = :user",
        "gives a row to another",
    ),
    "an INSERT for somebody else": (
        "INSERT INTO owners (user_id, epoch) VALUES (:other, :user)",
        "gives the new row to :other",
    ),
    "an INSERT whose second row is for somebody else": (
        "INSERT INTO owners (user_id, epoch) VALUES (:user, :epoch), (:other, :epoch)",
        "gives the new row to :other",
    ),
    "an INSERT of the user of a row that is not guarded": (
        "INSERT INTO owners (user_id, epoch) SELECT c.user_id, c.id FROM conversations AS c WHERE c.id = :id",
        "gives the new row to c.user_id",
    ),
    "an INSERT whose second half is for somebody else": (
        "INSERT INTO owners (user_id, epoch) SELECT :user, 1 UNION SELECT :other, 2",
        "gives the new row to :other",
    ),
    "an INSERT without a user": ("INSERT INTO owners (epoch) VALUES (:epoch)", "gives the new row no user"),
    "an INSERT without columns": ("INSERT INTO owners VALUES (:user, :epoch)", "gives the new row no user"),
    "an INSERT of a star": (
        "INSERT INTO owners (epoch, user_id) SELECT c.*, :user FROM conversations AS c WHERE c.user_id = :user",
        "Nobody can tell",
    ),
    "an INSERT of default values": ("INSERT INTO owners DEFAULT VALUES", "gives the new row no user"),
    "an INSERT OR REPLACE": ("INSERT OR REPLACE INTO owners (user_id, epoch) VALUES (:user, :epoch)", "may replace"),
    "an ON CONFLICT of other columns": (
        "INSERT INTO messages (user_id, id) VALUES (:user, :id) ON CONFLICT (id) DO UPDATE SET role = 'tool'",
        "ON CONFLICT does not name",
    ),
    "an ON CONFLICT of any columns": (
        "INSERT INTO messages (user_id, id) VALUES (:user, :id) ON CONFLICT DO NOTHING",
        "ON CONFLICT does not name",
    ),
    "an ON CONFLICT that gives a row away": (
        """INSERT INTO owners (user_id, epoch) VALUES (:user, :epoch)
        ON CONFLICT (user_id) DO UPDATE SET user_id = :other""",
        "gives a row to another",
    ),
    "an index without a condition": (
        "SELECT w.text FROM words AS w WHERE w.words MATCH :match",
        "words AS w is not tied",
    ),
    "an index that is given the user for a key": (
        "SELECT w.text FROM words AS w WHERE w.rowid = :user",
        "words AS w is not",
    ),
    "an index joined by another of its columns": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.n = w.rank",
        "words AS w is not tied",
    ),
    "an index joined by another column": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.seq = w.rowid",
        "words AS w is not tied",
    ),
    "an index whose keys of messages are taken for those of conversations": (
        "SELECT w.text FROM words AS w JOIN conversations AS c ON c.user_id = :user AND c.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index whose keys of conversations are taken for those of messages": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.user_id = :user AND -m.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index joined with a table that has no place in it": (
        "SELECT w.text FROM words AS w JOIN owners AS o ON o.user_id = :user AND o.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index joined with a table that is not guarded": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index joined by another comparison": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.n >= w.rowid",
        "words AS w is not tied",
    ),
    "an index with an OR beside its key": (
        "SELECT w.text FROM words AS w JOIN messages AS m ON m.user_id = :user AND (m.n = w.rowid OR w.rank < 0)",
        "words AS w is not tied",
    ),
    "an index on the outer side of a LEFT JOIN": (
        "SELECT w.text FROM words AS w LEFT JOIN messages AS m ON m.user_id = :user AND m.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index called like a function": (
        "SELECT w.text FROM words(:match) AS w JOIN messages AS m ON m.user_id = :user AND m.n = w.rowid",
        "nobody knows what that is",
    ),
    "what an index is made of": ("SELECT w.c0 FROM words_content AS w", "no table words_content"),
    "an index tied to the rows of a subquery that are not guarded": (
        "SELECT w.text FROM words AS w WHERE w.rowid IN (SELECT m.n FROM messages AS m WHERE m.id = :id)",
        "words AS w is not tied",
    ),
    "a common table expression of an index that is not joined": (
        "WITH found AS (SELECT w.rowid AS n FROM words AS w WHERE w.rank < :rank) SELECT count(*) FROM found AS f",
        "found AS f is not tied",
    ),
    "a common table expression of an index that is joined by another of its columns": (
        """WITH found AS (SELECT w.rowid AS n, w.rank AS score FROM words AS w WHERE w.words MATCH :match)
        SELECT f.n FROM found AS f JOIN messages AS m ON m.user_id = :user AND m.n = f.score""",
        "found AS f is not tied",
    ),
    "a common table expression of an index that is used once more": (
        """WITH found AS (SELECT w.rowid AS n FROM words AS w WHERE w.words MATCH :match)
        SELECT (SELECT count(*) FROM found) FROM found AS f JOIN messages AS m ON m.user_id = :user AND m.n = f.n""",
        "found is not tied",
    ),
    **{
        f"a UNION that hands on the key {what}": (
            f"""WITH found AS (SELECT w.rowid AS n, w.rank AS score FROM words AS w), again AS ({union})
            SELECT a.n FROM again AS a JOIN messages AS m ON m.user_id = :user AND m.n = a.n""",
            "found AS f is not tied",
        )
        for what, union in (
            ("and that of anybody", "SELECT f.n FROM found AS f UNION ALL SELECT m.n FROM messages AS m"),
            ("in another place", "SELECT f.n, f.score FROM found AS f UNION ALL SELECT g.score, g.n FROM found AS g"),
            ("under another name", "SELECT f.n FROM found AS f UNION ALL SELECT g.n AS m FROM found AS g"),
            ("and is cut", "SELECT f.n FROM found AS f UNION ALL SELECT g.n FROM found AS g LIMIT 1"),
            ("and skips repeats", "SELECT f.n FROM found AS f UNION SELECT g.n FROM found AS g"),
            ("or leaves it out", "SELECT f.n FROM found AS f EXCEPT SELECT g.n FROM found AS g"),
        )
    },
    "a UNION that hands on the key and is not joined": (
        """WITH found AS (SELECT w.rowid AS n FROM words AS w),
        again AS (SELECT f.n FROM found AS f UNION ALL SELECT g.n FROM found AS g)
        SELECT a.n FROM again AS a""",
        "again AS a is not tied",
    ),
    "a query in place of a table that hands on the key": (
        """SELECT f.n FROM (SELECT w.rowid AS n FROM words AS w) AS f
        JOIN messages AS m ON m.user_id = :user AND m.n = f.n""",
        "words AS w is not tied",
    ),
    **{
        f"a common table expression of an index {what}": (
            f"""WITH found{columns} AS ({select})
            SELECT f.n FROM found AS f JOIN messages AS m ON m.user_id = :user AND m.n = f.n""",
            "words AS w is not tied",
        )
        for what, columns, select in (
            ("that counts", "", "SELECT w.rowid AS n, count(*) AS score FROM words AS w"),
            ("that groups", "", "SELECT w.rowid AS n FROM words AS w GROUP BY w.rank"),
            ("that is cut", "", "SELECT w.rowid AS n FROM words AS w ORDER BY w.rank LIMIT 1"),
            ("that skips repeats", "", "SELECT DISTINCT w.rowid AS n FROM words AS w"),
            ("that looks around", "", "SELECT w.rowid AS n, lag(w.text) OVER (ORDER BY w.rank) AS t FROM words AS w"),
            ("that reads two of it", "", "SELECT w.rowid AS n, v.text FROM words AS w JOIN words AS v"),
            ("that turns the key around", "", "SELECT -w.rowid AS n FROM words AS w"),
            ("that has two columns of one name", "", "SELECT w.rank AS n, w.rowid AS n FROM words AS w"),
            ("whose columns are named outside", "(rank, n)", "SELECT w.rowid AS n, w.rank FROM words AS w"),
            ("and a star", "", "SELECT w.rowid AS n, * FROM words AS w"),
        )
    },
    "a common table expression that takes an index's name": (
        """WITH words AS (SELECT 1 AS rowid)
        SELECT w.rowid FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.n = w.rowid""",
        "hides the table words",
    ),
    "two common table expressions of one name": (
        """WITH found AS (SELECT w.rowid AS n FROM words AS w)
        SELECT (WITH found AS (SELECT 1 AS n) SELECT count(*) FROM found)
        FROM found AS f JOIN messages AS m ON m.user_id = :user AND m.n = f.n""",
        "Two common table expressions have one name",
    ),
    **{
        f"an INSERT into an index {what}": (f"INSERT INTO words (rowid, text) {source}", reason)
        for what, source, reason in (
            ("of a key from outside", "VALUES (:n, :text)", "the key :n"),
            ("of a key by itself", "VALUES (1, :text)", "the key 1"),
            ("of a row that is not guarded", "SELECT m.n, 1 FROM messages AS m WHERE m.id = :id", "the key m.n"),
            ("of another column", "SELECT m.seq, 1 FROM messages AS m WHERE m.user_id = :user", "the key m.seq"),
            ("of a message as a title", "SELECT -m.n, 1 FROM messages AS m WHERE m.user_id = :user", "the key -m.n"),
            ("of a title as a message", "SELECT c.n, 1 FROM conversations AS c WHERE c.user_id = :user", "the key c.n"),
            ("of a sum", "SELECT m.n + 1, 1 FROM messages AS m WHERE m.user_id = :user", "the key m.n + 1"),
            ("of a star", "SELECT m.n, m.* FROM messages AS m WHERE m.user_id = :user", "Nobody can tell"),
            (
                "whose second half is not guarded",
                "SELECT m.n, 1 FROM messages AS m WHERE m.user_id = :user UNION SELECT m.n, 1 FROM messages AS m",
                "the key m.n",
            ),
        )
    },
    **{
        f"an INSERT into the list {what}": (f"INSERT INTO word_lists (n, user_id, text) {source}", reason)
        for what, source, reason in (
            ("of a key from outside", "VALUES (:n, :user, :text)", "under the key :n"),
            ("of a key by itself", "VALUES (1, :user, :text)", "under the key 1"),
            (
                "of a key that a row may have",
                "VALUES (-9007199254740001, :user, '')",
                "under the key -9007199254740001",
            ),
            ("of no key", "VALUES (NULL, :user, :text)", "under the key NULL"),
            ("for somebody else", "SELECT m.n, :other, '' FROM messages AS m WHERE m.user_id = :user", "row to :other"),
            ("for nobody", "SELECT m.n, '', '' FROM messages AS m WHERE m.user_id = :user", "new row to ''"),
            ("of a row that is not guarded", "SELECT m.n, :user, '' FROM messages AS m", "under the key m.n"),
            ("of another column", "SELECT m.seq, :user, 1 FROM messages AS m WHERE m.user_id = :user", "the key m.seq"),
            ("of a message as a title", "SELECT -m.n, :user, 1 FROM messages AS m WHERE m.user_id=:user", "key -m.n"),
            (
                "of a title as a message",
                "SELECT c.n, :user, 1 FROM conversations AS c WHERE c.user_id=:user",
                "key c.n",
            ),
            (
                "of a sum",
                "SELECT m.n + 1, :user, 1 FROM messages AS m WHERE m.user_id = :user",
                "under the key m.n + 1",
            ),
            (
                "whose second half is not guarded",
                """SELECT m.n, :user, 1 FROM messages AS m WHERE m.user_id = :user
                UNION SELECT m.n, :user, 1 FROM messages AS m""",
                "under the key m.n",
            ),
        )
    },
    "an INSERT into the list without a key": (
        "INSERT INTO word_lists (user_id, text) VALUES (:user, :text)",
        "lists the new row under no key",
    ),
    "an INSERT into the list by another name of its": (
        "INSERT INTO WORD_LISTS (user_id, text) VALUES (:user, :text)",
        "no table WORD_LISTS",
    ),
    "an INSERT of a row with a key of its own": (
        "INSERT INTO messages (n, user_id, id) VALUES (:n, :user, :id)",
        "a key of its own",
    ),
    "an UPDATE of the key of what is listed": (
        "UPDATE word_lists SET n = :n WHERE word_lists.user_id = :user",
        "gives a row another key",
    ),
    "an UPDATE of the key of a row by another name of it": (
        "UPDATE messages SET content = '', RowId = :n WHERE messages.user_id = :user",
        "gives a row another key",
    ),
    "an UPDATE that gives what is listed away": (
        "UPDATE word_lists SET User_Id = :other WHERE word_lists.user_id = :user",
        "gives a row to another",
    ),
    "what is listed of anybody": ("SELECT l.text FROM word_lists AS l WHERE l.n = :n", "word_lists AS l is not tied"),
    "an index joined with the list of anybody": (
        "SELECT w.rank FROM words AS w JOIN word_lists AS l ON l.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index joined with the list by the other sign": (
        "SELECT w.rank FROM words AS w JOIN word_lists AS l ON l.user_id = :user AND -l.n = w.rowid",
        "words AS w is not tied",
    ),
    "an index joined with the list by another column": (
        "SELECT w.rank FROM words AS w JOIN word_lists AS l ON l.user_id = :user AND l.text = w.rowid",
        "words AS w is not tied",
    ),
    **{
        f"a command to an index {what}": (f"INSERT {insert}", reason)
        for what, insert, reason in (
            ("that merges it", "INTO words (words, rank) VALUES ('merge', 16)", "no key"),
            ("that empties it", "INTO words (words) VALUES ('delete-all')", "no key"),
            ("that empties it, with a rank", "INTO words (words, rank) VALUES ('delete-all', 1)", "no key"),
            (
                "that empties it, with a key of a row that is guarded",
                "INTO words (words, rowid) SELECT 'delete-all', m.n FROM messages AS m WHERE m.user_id = :user",
                "a command that nobody knows",
            ),
            (
                "that empties it on a condition",
                "INTO words (words, rank) SELECT 'delete-all', 1 FROM word_lists AS l WHERE l.user_id = :user",
                "no key",
            ),
            (
                "that empties it beside a merge",
                "INTO words (words, rank) VALUES ('merge', 1), ('delete-all', 1)",
                "no key",
            ),
            (
                "that empties it after a merge",
                "INTO words (words, rank) SELECT 'merge', 1 UNION ALL SELECT 'delete-all', 1",
                "no key",
            ),
            (
                "that takes out what its key does not stand for",
                """INTO words (words, rowid, text)
                SELECT 'delete', m.n, :text FROM messages AS m WHERE m.user_id = :user""",
                "a command that nobody knows",
            ),
            ("from outside", "INTO words (words, rank) VALUES (:command, 1)", "no key"),
            ("put together", "INTO words (words, rank) VALUES ('merge' || :command, 1)", "no key"),
            ("in a column", "INTO words (words, rank) SELECT merge, 1", "no key"),
            ("that is set", "INTO words (words, rank) VALUES ('secure-delete', 0)", "no key"),
            ("that makes it anew", "INTO words (words) VALUES ('rebuild')", "no key"),
            ("whose columns are the other way round", "INTO words (rank, words) VALUES ('merge', 1)", "no key"),
            ("with a rank from outside", "INTO words (words, rank) VALUES ('merge', :rank)", "no key"),
            ("with more", "INTO words (words, rank, text) VALUES ('merge', 1, :text)", "no key"),
            ("that replaces", "OR REPLACE INTO words (words, rank) VALUES ('merge', 1)", "no key"),
            (
                "on the condition of anybody",
                "INTO words (words, rank) SELECT 'merge', 1 FROM word_lists AS l WHERE l.n = 1",
                "word_lists AS l is not tied",
            ),
        )
    },
    "an INSERT into an index without a key": ("INSERT INTO words (text) VALUES (:text)", "gives the new row no key"),
    "an INSERT into an index without columns": ("INSERT INTO words VALUES (:text)", "gives the new row no key"),
    "an UPDATE of an index": (
        "UPDATE words SET rowid = :n WHERE words.rowid IN (SELECT m.n FROM messages AS m WHERE m.user_id = :user)",
        "changes the index words",
    ),
    **{
        f"a DELETE from an index {what}": (f"DELETE FROM words{condition}", "words is not tied")
        for what, condition in (
            ("without a condition", ""),
            ("by its words", " WHERE words.words MATCH :match"),
            ("of a key from outside", " WHERE words.rowid = :n"),
            ("of keys from outside", " WHERE words.rowid IN (:n, :m)"),
            ("of rows that are not guarded", " WHERE words.rowid IN (SELECT m.n FROM messages AS m WHERE m.id = :id)"),
            (
                "of a sign that is wrong",
                " WHERE words.rowid IN (SELECT -m.n FROM messages AS m WHERE m.user_id = :user)",
            ),
            (
                "of another column",
                " WHERE words.rowid IN (SELECT m.seq FROM messages AS m WHERE m.user_id = :user)",
            ),
            ("of what is listed of anybody", " WHERE words.rowid IN (SELECT l.n FROM word_lists AS l)"),
            (
                "of what is listed of nobody",
                " WHERE words.rowid IN (SELECT l.n FROM word_lists AS l WHERE l.user_id = '')",
            ),
            (
                "of the other sign of what is listed",
                " WHERE words.rowid IN (SELECT -l.n FROM word_lists AS l WHERE l.user_id = :user)",
            ),
            (
                "of all but the user's",
                " WHERE words.rowid NOT IN (SELECT m.n FROM messages AS m WHERE m.user_id = :user)",
            ),
            (
                "whose second half is not guarded",
                """ WHERE words.rowid IN (
                  SELECT m.n FROM messages AS m WHERE m.user_id = :user UNION ALL SELECT m.n FROM messages AS m
                )""",
            ),
        )
    },
    "a DELETE of whatever is in an index": ("DELETE FROM messages WHERE messages.n IN words", "reads a table by IN"),
    "a REPLACE": ("REPLACE INTO owners (user_id, epoch) VALUES (:user, :epoch)", "not one SELECT"),
    "a PRAGMA": ("PRAGMA table_list", "not one SELECT"),
    "two statements": ("SELECT 1; SELECT 2", "not one SELECT"),
}


@pytest.mark.parametrize(
    ("text", "reason"), [pytest.param(text, reason, id=name) for name, (text, reason) in BROKEN.items()]
)
def test_a_broken_statement_is_reported(text: str, reason: str) -> None:
    assert reason in " ".join(violations(text, TABLES))


CHANGES = {
    "dropped": lambda guard: "1 = 1",
    "or-ed": lambda guard: f"({guard} OR {guard.partition('.')[0]}.rev > 0)",
    "denied": lambda guard: f"NOT {guard}",
    "with another parameter": lambda guard: guard.replace(":user", ":conversation"),
    "with a column of its own": lambda guard: guard.replace(":user", f"{guard.partition('.')[0]}.id"),
    "of nothing in particular": lambda guard: guard.partition(".")[2],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", OF_A_USER)
def test_a_statement_is_reported_when_any_of_its_guards_is_broken(name: str, change: str) -> None:
    text = QUERIES[name].text
    guards = list(GUARD.finditer(text))
    assert guards or name == "ensure_owner"  # it only inserts, which the next test breaks
    for guard in guards:
        broken = text[: guard.start()] + CHANGES[change](guard.group()) + text[guard.end() :]
        if name in FIRST_ROWS:
            assert violations(without_first_rows(broken), {*TABLES, "first_rows"}), broken
        assert violations(broken, TABLES), broken


INDEX_TIES = {
    "dropped": lambda tie: "1 = 1",
    "or-ed": lambda tie: f"({tie} OR 1 = 1)",
    "denied": lambda tie: f"NOT {tie}",
    "of the other sign": lambda tie: tie.replace("= -", "= ") if "-" in tie else tie.replace("= ", "= -"),
    "of another column": lambda tie: tie.replace(".n", ".seq", 1),
    "of another column of the index": lambda tie: re.sub(r"\.n$", ".score", tie),
}


@pytest.mark.parametrize("change", INDEX_TIES)
def test_a_search_is_reported_when_what_it_found_is_tied_to_anything_else(change: str) -> None:
    text = QUERIES["search"].text
    ties = list(re.finditer(r"\b\w\.n = -?f\.n\b", text))
    assert len(ties) == 2
    for tie in ties:
        broken = text[: tie.start()] + INDEX_TIES[change](tie.group()) + text[tie.end() :]
        assert "The table scored AS f is not tied to the user." in violations(broken, TABLES), broken


INSERTS = {name: QUERIES[name].text for name in OF_A_USER if QUERIES[name].text.startswith("INSERT")}
INDEXING = {
    name: len(re.findall(r"^SELECT ", text, re.MULTILINE))
    for name, text in INSERTS.items()
    if re.match(r"INSERT OR REPLACE INTO search_index_2 \(rowid", text)
}
"""What indexes, and how many queries give it rows."""
UNINDEXING = [name for name in OF_A_USER if re.match(rf"DELETE FROM ({'|'.join(INDEXES)})\n", QUERIES[name].text)]


OF_AGENTS = {
    *("journals", "entries", "pieces", "blobs", "tasks", "lanes"),
    *("threads", "checkpoints", "checkpoint_values", "checkpoint_writes"),
}


def test_an_index_and_its_list_are_only_written_by_what_is_tried_here() -> None:
    assert INDEXING == {"index_1": 2, "index_again_1": 2, "index_messages_4": 1}
    of_queries = {"unindex_title": (1, 2), "index_again": (2,), "index_messages": (1, 2), "unindex_swept": (1, 2)}
    assert [f"{name}_{place}" for name, places in of_queries.items() for place in places] == UNINDEXING
    tables = {match[1] for text in INSERTS.values() if (match := re.match(r"INSERT (?:OR REPLACE )?INTO (\w+)", text))}
    assert tables == {
        "owners",
        "conversations",
        "messages",
        "forks",
        "cuts",
        "drafts",
        "draft_parts",
        "search_index_2",
        *OF_AGENTS,
    }


@pytest.mark.parametrize("name", sorted(INDEXING))
def test_an_insert_into_an_index_is_reported_when_its_key_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    keys = list(re.finditer(r"SELECT (-?)(\w)\.n,", text))
    assert len(keys) == INDEXING[name]
    for key in keys:
        for value in (":conversation", "1", f"{key[2]}.rev", f"{'' if key[1] else '-'}{key[2]}.n", "o.n"):
            broken = f"{text[: key.start()]}SELECT {value},{text[key.end() :]}"
            assert violations(broken, TABLES) == [f"It gives the new row the key {value}."]


@pytest.mark.parametrize("name", UNINDEXING)
def test_a_delete_from_an_index_is_reported_when_its_key_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    untied = f"The table {text.split()[2]} is not tied to the user."
    key = re.search(r"SELECT (-?)(\w)\.n\s", text)
    assert key is not None
    for value in (":conversation", "1", f"{key[2]}.rev", f"{'' if key[1] else '-'}{key[2]}.n", "o.n"):
        broken = f"{text[: key.start()]}SELECT {value} {text[key.end() :]}"
        assert untied in violations(broken, TABLES)
    assert violations(text.replace("rowid IN", "rowid NOT IN", 1), TABLES) == [untied]


@pytest.mark.parametrize("name", sorted(set(INSERTS) - set(INDEXING)))
def test_an_insert_is_reported_when_its_user_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    assert re.search(r"(VALUES \(|SELECT\s+|SELECT [^,:]+, ):user,", text)
    broken = text.replace(":user,", ":conversation,", 1)
    assert violations(broken, TABLES) == ["It gives the new row to :conversation."]
    if "ON CONFLICT" in text:
        broken = text.replace("ON CONFLICT (user_id", "ON CONFLICT (rev")
        assert violations(broken, TABLES) == ["ON CONFLICT does not name user_id."]
