"""The owner proof, read, for Postgres: no statement can touch a row of another user."""

import re

import pytest

from owner_proof.breaking import GUARD
from owner_proof.reading import FIRST_ROWS, OF_NO_USER, POSTGRES, violations, without_first_rows
from threadkeep.storage.postgres.dialect import lock_owner_of, statements_of
from threadkeep.storage.postgres.migrations import MIGRATIONS

SCHEMA_OF_TABLES = '"public"'
QUERIES = {**statements_of(SCHEMA_OF_TABLES).queries(), "lock_owner": lock_owner_of(SCHEMA_OF_TABLES)}
SCHEMA = [statement for migration in MIGRATIONS for statement in migration.statements]
TABLES = {name for statement in SCHEMA for name in re.findall(r"^CREATE TABLE (\w+)", statement)}
# What may be said of a table that is there: its user stays what it was.
KEPT = re.compile(
    r'ALTER TABLE \w+\s+(ALTER COLUMN user_id TYPE text COLLATE "C", )?'
    r"ALTER COLUMN (user_id|journal|thread|conversation_id|draft_id) SET STATISTICS 0"
    r"|ALTER TABLE \w+ ADD COLUMN \w+ (bigint NOT NULL DEFAULT [01]|bigint|text)"
)
GUARDS = {
    f"{name}-{number}": (name, guard.span())
    for name, query in QUERIES.items()
    for number, guard in enumerate(GUARD.finditer(query.text), 1)
}


def read(text: str, tables: set[str] = TABLES) -> list[str]:
    """What is wrong with a statement whose tables all stand in the one schema."""
    return violations(text.replace(f"{SCHEMA_OF_TABLES}.", ""), tables, POSTGRES)


def test_every_table_has_a_user_and_nothing_else_is_made() -> None:
    of_agents = {"journals", "entries", "pieces", "blobs", "tasks", "lanes"}
    of_agents |= {"threads", "checkpoints", "checkpoint_values", "checkpoint_writes"}
    of_conversations = {"conversations", "messages", "forks", "cuts", "drafts", "draft_parts"}
    assert {"owners", "words", "search_index_2"} | of_conversations | of_agents == TABLES
    for statement in SCHEMA:
        if KEPT.fullmatch(statement):
            continue
        kind = re.match(r"CREATE (?:UNIQUE )?(TABLE|INDEX) ", statement)
        assert kind is not None, statement
        assert kind[1] == "INDEX" or re.search(r'^  user_id text COLLATE "C" NOT NULL', statement, re.MULTILINE)


@pytest.mark.parametrize("name", QUERIES)
def test_every_table_is_named_with_its_schema(name: str) -> None:
    text = QUERIES[name].text
    named = len(re.findall(rf"(?<!\w)(?<!:)({'|'.join(TABLES)})(?= |$)", text))
    assert len(re.findall(rf"{SCHEMA_OF_TABLES}\.({'|'.join(TABLES)})\b", text)) == named > 0


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in OF_NO_USER])
def test_a_statement_touches_only_rows_of_its_user(name: str) -> None:
    text, tables = QUERIES[name].text, set(TABLES)
    if name in FIRST_ROWS:
        assert read(text) == ["The table words AS l is not tied to the user."]
        # Whoever reads what was read there is tied to the user, as if that were a table.
        text = without_first_rows(text)
        tables.add("first_rows")
    assert read(text, tables) == []


def test_only_the_first_rows_of_the_index_before_are_read_whosever_they_are() -> None:
    text = QUERIES["to_index_again"].text
    first_rows = f"SELECT l.n, l.user_id FROM {SCHEMA_OF_TABLES}.words AS l ORDER BY l.n LIMIT :limit"
    assert " ".join(text.split()).startswith(f"WITH first_rows AS ( {first_rows} ), listed AS (")
    broken = without_first_rows(text).replace("f.user_id = :user", "f.user_id >= :user")
    assert read(broken, {*TABLES, "first_rows"}) == ["The table first_rows AS f is not tied to the user."]


def test_two_statements_are_of_no_user() -> None:
    assert {name for name, query in QUERIES.items() if "user" not in query.names} == set(OF_NO_USER) & set(QUERIES)
    assert set(OF_NO_USER) & set(QUERIES) == {"users_to_purge", "users_to_expire", "users_with_open_drafts"}
    assert read(QUERIES["users_to_purge"].text) == [
        f"The table {table} is not tied to the user."
        for table in (
            *("cuts AS k", "conversations AS c", "words AS l", *["owners AS o"] * 2),
            *("tasks AS k", "lanes AS k", *["threads AS k"] * 2, *["journals AS k"] * 2, *["blobs AS k"] * 2),
        )
    ]
    assert read(QUERIES["users_to_expire"].text) == [
        f"The table {table} is not tied to the user." for table in ("owners AS o", *["conversations AS c"] * 2)
    ]


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("change", ["TRUE", "{} OR FALSE", "{} IS NOT NULL", "NOT {}"])
def test_a_statement_is_reported_when_any_of_its_guards_is_broken(guard: str, change: str) -> None:
    name, (start, end) = GUARDS[guard]
    text = QUERIES[name].text
    broken = f"{text[:start]}({change.format(text[start:end])}){text[end:]}"
    reasons = read(broken) if name not in FIRST_ROWS else read(without_first_rows(broken), {*TABLES, "first_rows"})
    assert any("is not tied to the user" in reason or "gives" in reason or "lists" in reason for reason in reasons)


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if query.text.startswith("INSERT")])
def test_an_insert_is_reported_when_its_user_is_another_value(name: str) -> None:
    text = QUERIES[name].text
    broken = re.sub(r"(VALUES \(|SELECT\s+|SELECT -?\w\.n, ):user,", r"\1:epoch,", text, count=1)
    assert broken != text
    assert "It gives the new row to :epoch." in read(broken)


@pytest.mark.parametrize("value", ["1", ":conversation", "-m.n", "m.seq", "c.n", "o.rev"])
@pytest.mark.parametrize("name", ["index_1", "index_again_1"])
def test_words_are_reported_when_they_are_those_of_anything_else(name: str, value: str) -> None:
    text = QUERIES[name].text
    assert f"It lists the new row under the key {value}." in read(text.replace("SELECT m.n,", f"SELECT {value},"))
    if value != "c.n":
        title = text.replace("SELECT -c.n,", f"SELECT {value},")
        assert f"It lists the new row under the key {value}." in read(title)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('SELECT m.id FROM "other".messages AS m WHERE m.user_id = :user', "nobody knows what that is"),
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
        *(
            (
                f"""INSERT INTO words (n, user_id, text)
                SELECT x.n, :user, '' FROM owners AS o CROSS JOIN LATERAL ({query}) AS x WHERE o.user_id = :user""",
                "under the key x.n",
            )
            for query in (
                "SELECT m.seq AS n FROM messages AS m WHERE m.user_id = :user",
                "SELECT m.* FROM messages AS m WHERE m.id = :id",
                "SELECT m.* FROM messages AS m WHERE m.user_id = :user UNION ALL SELECT o.rev AS n",
                "SELECT c.* FROM conversations AS c WHERE c.user_id = :user",
                "SELECT m.*, 1 AS n FROM messages AS m WHERE m.user_id = :user",
            )
        ),
        ("TRUNCATE owners", "is not one SELECT"),
        ("MERGE INTO owners USING messages ON TRUE WHEN MATCHED THEN DELETE", "is not one SELECT"),
    ],
)
def test_what_only_postgres_knows_is_reported(text: str, reason: str) -> None:
    assert reason in " ".join(read(text))
