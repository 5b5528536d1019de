"""The plan of every statement: nothing is read but what its keys lead to, however much a user has."""

import re
import sqlite3

import pytest

from threadkeep.sql import statements
from threadkeep.sql.executor import Query
from threadkeep.sql.schema import MIGRATIONS

QUERIES = {name: value for name, value in vars(statements).items() if isinstance(value, Query)}


def plan(text: str) -> list[str]:
    """What SQLite would do, step by step."""
    connection = sqlite3.connect(":memory:")
    try:
        for migration in MIGRATIONS:
            for statement in migration.statements:
                connection.execute(statement)
        values = dict.fromkeys(Query(text).names)
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    finally:
        connection.close()


def wasteful(text: str) -> list[str]:
    """The steps that read a table whole, or all that a user has in it."""
    tables = re.compile(r"^(SCAN|SEARCH) (\w+)")
    aliases = set(re.findall(r"(?:FROM|JOIN|UPDATE|INTO) (?:owners|conversations|messages)(?: AS (\w+))?", text))
    aliases = {alias for alias in aliases if alias} | {"owners", "conversations", "messages"}
    found = []
    for step in plan(text):
        match = tables.match(step)
        if match is None or match[2] not in aliases:
            continue
        by_user_alone = re.search(r"INDEX \w+ \(user_id=\?\)$", step) is not None
        if match[1] == "SCAN" or by_user_alone:
            found.append(step)
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_reads_only_what_its_keys_lead_to(name: str) -> None:
    assert wasteful(QUERIES[name].text) == []


def test_a_join_in_the_wrong_order_is_noticed() -> None:
    text = QUERIES["APPEND_VERDICT"].text
    assert "CROSS JOIN" in text
    assert wasteful(text.replace("CROSS JOIN", "JOIN")) != []


def test_a_lookup_without_a_key_is_noticed() -> None:
    assert wasteful("SELECT m.id FROM messages AS m WHERE m.user_id = :user AND m.role = :role") != []
    assert wasteful("SELECT m.id FROM messages AS m WHERE m.role = :role") != []
