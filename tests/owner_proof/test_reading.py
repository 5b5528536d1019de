"""The owner proof, read: no statement can touch a row of another user, and one that could is found out."""

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import threadkeep
from owner_proof.reading import violations
from threadkeep.sql import statements
from threadkeep.sql.executor import Query
from threadkeep.sql.schema import MIGRATIONS

QUERIES = {name: value for name, value in vars(statements).items() if isinstance(value, Query)}
PACKAGE = Path(threadkeep.__file__).parent
GUARD = re.compile(r"\b\w+\.user_id = :user\b")


def new_database() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    for migration in MIGRATIONS:
        for statement in migration.statements:
            database.execute(statement)
    return database


def names_in(database: sqlite3.Connection, kind: str) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = ?", [kind])}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as database:
        yield database


with closing(new_database()) as _database:
    TABLES = frozenset(names_in(_database, "table"))


def test_every_table_has_a_user_and_no_view_or_trigger_hides_one(database: sqlite3.Connection) -> None:
    assert {"owners", "conversations", "messages"} <= TABLES
    for table in TABLES:
        columns = {row[0] for row in database.execute("SELECT name FROM pragma_table_info(?)", [table])}
        assert "user_id" in columns, table
    assert names_in(database, "view") == set()
    assert names_in(database, "trigger") == set()


@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_touches_only_rows_of_its_user(name: str) -> None:
    assert violations(QUERIES[name].text, TABLES) == []


def test_no_statement_is_kept_where_the_proof_does_not_look() -> None:
    made: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Query", "_query"):
                made.setdefault(path.relative_to(PACKAGE).as_posix(), []).append(node.func.id)
    # The record of migrations is nobody's; it is made before there is any user.
    assert sorted(made.pop("sql/migrations.py")) == ["Query"] * 4
    assert list(made) == ["sql/statements.py"]
    assert sorted(made["sql/statements.py"]) == ["Query", *["_query"] * len(QUERIES)]


@pytest.mark.parametrize("name", QUERIES)
def test_the_reading_finds_every_table_that_sqlite_finds(name: str, database: sqlite3.Connection) -> None:
    touched = set()

    def authorize(action: int, subject: str | None, *_: str | None) -> int:
        if action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
            touched.add(subject)
        return sqlite3.SQLITE_OK

    query = QUERIES[name]
    database.set_authorizer(authorize)
    database.execute(f"EXPLAIN {query.numbered}", [None] * len(query.names))
    database.set_authorizer(None)
    unguarded = GUARD.sub("1", query.text)
    reported = " ".join(violations(unguarded, TABLES)) + " ".join(re.findall(r"INSERT INTO (\w+)", query.text))
    assert touched & TABLES
    assert {table for table in TABLES if table in reported} == touched & TABLES


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
@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_is_reported_when_any_of_its_guards_is_broken(name: str, change: str) -> None:
    text = QUERIES[name].text
    guards = list(GUARD.finditer(text))
    assert guards or name == "ENSURE_OWNER"  # it only inserts, which the next test breaks
    for guard in guards:
        broken = text[: guard.start()] + CHANGES[change](guard.group()) + text[guard.end() :]
        assert violations(broken, TABLES), broken


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if query.text.startswith("INSERT")])
def test_an_insert_is_reported_when_its_user_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    value = re.search(r"(VALUES \(|SELECT\s+):user\b", text)
    assert value is not None
    broken = f"{text[: value.end() - len(':user')]}:conversation{text[value.end() :]}"
    assert violations(broken, TABLES) == ["It gives the new row to :conversation."]
    if "ON CONFLICT" in text:
        broken = text.replace("ON CONFLICT (user_id", "ON CONFLICT (rev")
        assert violations(broken, TABLES) == ["ON CONFLICT does not name user_id."]
