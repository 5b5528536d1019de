"""The owner proof, read, for Postgres: no statement can touch a row of another user."""

import re

import pytest

from owner_proof.reading import OF_NO_USER, POSTGRES, violations
from threadkeep.sql import postgres_statements
from threadkeep.sql.executor import Query
from threadkeep.sql.postgres_schema import MIGRATIONS

QUERIES = {name: value for name, value in vars(postgres_statements).items() if isinstance(value, Query)}
SCHEMA = [statement for migration in MIGRATIONS for statement in migration.statements]
TABLES = {name for statement in SCHEMA for name in re.findall(r"^CREATE TABLE (\w+)", statement)}
# What may be said of a table that is there: its user stays what it was.
KEPT = re.compile(
    r'ALTER TABLE \w+\s+ALTER COLUMN user_id TYPE text COLLATE "C", ALTER COLUMN user_id SET STATISTICS 0'
)
GUARD = re.compile(r"\b\w+\.user_id = :user\b")
GUARDS = {
    f"{name}-{number}": (name, guard.span())
    for name, query in QUERIES.items()
    for number, guard in enumerate(GUARD.finditer(query.text), 1)
}


def read(text: str) -> list[str]:
    return violations(text, TABLES, POSTGRES)


def test_every_table_has_a_user_and_nothing_else_is_made() -> None:
    assert {"owners", "conversations", "messages", "words"} == TABLES
    for statement in SCHEMA:
        if KEPT.fullmatch(statement):
            continue
        kind = re.match(r"CREATE (TABLE|INDEX) ", statement)
        assert kind is not None, statement
        assert kind[1] == "INDEX" or re.search(r'^  user_id text COLLATE "C" NOT NULL', statement, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in OF_NO_USER])
def test_a_statement_touches_only_rows_of_its_user(name: str) -> None:
    assert read(QUERIES[name].text) == []


def test_one_statement_is_of_no_user() -> None:
    assert {name for name, query in QUERIES.items() if "user" not in query.names} == set(OF_NO_USER)
    assert read(QUERIES["USERS_TO_PURGE"].text) == ["The table conversations AS c is not tied to the user."]


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("change", ["TRUE", "{} OR FALSE", "{} IS NOT NULL", "NOT {}"])
def test_a_statement_is_reported_when_any_of_its_guards_is_broken(guard: str, change: str) -> None:
    name, (start, end) = GUARDS[guard]
    text = QUERIES[name].text
    broken = f"{text[:start]}({change.format(text[start:end])}){text[end:]}"
    assert any("is not tied to the user" in reason or "gives" in reason or "lists" in reason for reason in read(broken))


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if query.text.startswith("INSERT")])
def test_an_insert_is_reported_when_its_user_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    broken = re.sub(r"(VALUES \(|SELECT\s+|SELECT -?\w\.n, ):user,", r"\1:epoch,", text, count=1)
    assert broken != text
    assert "It gives the new row to :epoch." in read(broken)


@pytest.mark.parametrize("value", ["1", ":conversation", "-m.n", "m.seq", "c.n", "o.rev"])
def test_words_are_reported_when_they_are_those_of_anything_else(value: str) -> None:
    text = QUERIES["INDEX_WORDS"].text
    assert f"It lists the new row under the key {value}." in read(text.replace("SELECT m.n,", f"SELECT {value},"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT m.id FROM public.messages AS m WHERE m.user_id = :user", "nobody knows what that is"),
        ("SELECT r.rolname FROM pg_roles AS r WHERE r.user_id = :user", "There is no table pg_roles"),
        ("SELECT f.a FROM pg_read_file('x') AS f (a)", "nobody knows what that is"),
        ("SELECT m.id FROM messages AS m WHERE m.user_id = :user; SELECT 1", "is not one SELECT"),
        ("UPDATE owners SET rev = 1 FROM messages AS m WHERE owners.user_id = :user", "messages AS m is not tied"),
        ("DELETE FROM owners USING messages AS m WHERE owners.user_id = :user", "cannot be read"),
        (
            "SELECT 1 FROM owners AS o CROSS JOIN LATERAL (SELECT 1 FROM messages AS m) AS x WHERE o.user_id = :user",
            "messages AS m is not tied",
        ),
        ("WITH a AS (DELETE FROM messages) SELECT 1 FROM owners AS o WHERE o.user_id = :user", "messages is not tied"),
        ("TRUNCATE owners", "is not one SELECT"),
        ("MERGE INTO owners USING messages ON TRUE WHEN MATCHED THEN DELETE", "is not one SELECT"),
    ],
)
def test_what_only_postgres_knows_is_reported(text: str, reason: str) -> None:
    assert reason in " ".join(read(text))
