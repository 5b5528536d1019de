"""The plan of every statement: nothing is read but what its keys lead to, however much a user has."""

import re

import apsw
import pytest

from threadkeep.storage.sql.executor import read
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.migrations import MIGRATIONS

QUERIES = SQLITE.queries()
SCHEMA = [statement for migration in MIGRATIONS for statement in migration.statements]
_FIRST = "It reads no further than the first rows."
WASTEFUL = {
    "count_all": (
        [
            "SEARCH c USING INDEX conversations_by_rev (user_id=?)",
            "SEARCH j USING INDEX journals_by_key (user_id=?)",
            "SEARCH b USING INDEX blobs_by_key (user_id=?)",
            "SEARCH t USING INDEX threads_by_time (user_id=?)",
            "SEARCH t USING INDEX tasks_by_lane (user_id=?)",
        ],
        "It counts all that a user has.",
    ),
    "retire_all_journals": (["SEARCH j USING INDEX journals_by_key (user_id=?)"], "It marks all of a user."),
    "retire_all_threads": (["SEARCH t USING INDEX threads_by_time (user_id=?)"], "It marks all of a user."),
    "retire_all_blobs": (["SEARCH b USING INDEX blobs_by_key (user_id=?)"], "It marks all of a user."),
    "retire_all_tasks": (["SEARCH t USING INDEX tasks_by_lane (user_id=?)"], "It marks all of a user."),
    "retire_all_lanes": (["SEARCH l USING INDEX lanes_by_name (user_id=?)"], "It marks all of a user."),
    "mark_all": (["SEARCH c USING INDEX conversations_by_rev (user_id=?)"], "It marks all of a user."),
    "remove_owner": (
        [
            "SEARCH c USING COVERING INDEX conversations_by_rev (user_id=?)",
            "SEARCH j USING INDEX journals_by_key (user_id=?)",
            "SEARCH b USING INDEX blobs_by_key (user_id=?)",
            "SEARCH t USING INDEX threads_by_time (user_id=?)",
            "SEARCH t USING INDEX tasks_by_lane (user_id=?)",
            "SEARCH l USING INDEX lanes_by_name (user_id=?)",
        ],
        "It looks whether there is anything of a kind at all, and ends at the first.",
    ),
    "to_index_again": (["SCAN l"], _FIRST),
    "index_again_4": (["SCAN word_lists"], "It looks whether there is anything at all, and ends at the first."),
    "users_with_open_drafts": (
        ["SCAN d USING INDEX drafts_open"],
        "It is about no user: it reads the drafts that are open, which alone are in this index.",
    ),
    "users_to_purge": (
        [
            "SCAN c USING COVERING INDEX conversations_by_deletion",
            "SCAN l",
            "SCAN o USING INDEX owners_behind",
            "SCAN o USING INDEX owners_unlinked",
            *(
                f"SCAN k USING {index}"
                for kind in ("journals", "blobs", "threads")
                for index in (f"COVERING INDEX {kind}_by_deletion", f"INDEX {kind}_by_expiry")
            ),
            "SCAN k USING COVERING INDEX tasks_by_deletion",
            "SCAN k USING COVERING INDEX lanes_by_deletion",
        ],
        "It is about no user: it reads what is deleted or expires and who is behind, which alone are in these indexes.",
    ),
}
"""The statements that read all that a user has, or that anybody has, by their nature: in which steps, and why."""
TABLES = {name for statement in SCHEMA for name in re.findall(r"^CREATE TABLE (\w+)", statement, re.MULTILINE)}


def plan(text: str) -> list[str]:
    """What SQLite would do, step by step."""
    connection = apsw.Connection(":memory:")
    try:
        for statement in SCHEMA:
            connection.execute(statement)
        query = read(text)
        values = [None] * len(query.names)
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query.numbered}", values)]
    finally:
        connection.close()


def wasteful(text: str) -> list[str]:
    """The steps that read a table whole, or all that a user has in it."""
    tables = re.compile(r"^(SCAN|SEARCH) (\w+)")
    aliases = set(re.findall(rf"(?:FROM|JOIN|UPDATE|INTO) (?:{'|'.join(TABLES)})(?: AS (\w+))?", text))
    aliases = {alias for alias in aliases if alias} | TABLES
    found = []
    for step in plan(text):
        match = tables.match(step)
        if step.endswith("VIRTUAL TABLE INDEX 0:"):  # of the index: not by its key, nor by its words
            found.append(step)
        if match is None or match[2] not in aliases:
            continue
        by_user_alone = re.search(r"INDEX \w+ \(user_id=\?\)", step) is not None
        if match[1] == "SCAN" or by_user_alone:
            found.append(step)
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_reads_only_what_its_keys_lead_to(name: str) -> None:
    steps, _ = WASTEFUL.get(name, ([], ""))
    assert wasteful(QUERIES[name].text) == steps


def test_what_reads_all_of_a_user_is_there_and_looks_only_for_the_first_unless_it_is_about_all() -> None:
    assert set(QUERIES) >= set(WASTEFUL)
    first = {
        "remove_owner": (
            "(SELECT min(c.rev) FROM conversations AS c WHERE c.user_id = :user) IS NULL",
            *(
                f"NOT EXISTS (SELECT 1 FROM {table} AS {table[0]} WHERE {table[0]}.user_id = :user"
                f" AND {table[0]}.deleted_at IS NULL)"
                for table in ("journals", "blobs", "threads", "tasks", "lanes")
            ),
        ),
        "index_again_4": ("NOT EXISTS (SELECT 1 FROM word_lists)",),
    }
    for name, (steps, _) in WASTEFUL.items():
        assert steps
        text = QUERIES[name].text
        for condition in first.get(name, ()):
            assert condition in text
            text = text.replace(condition, "1 = 1")
        assert (wasteful(text) == []) == (name in first)
    in_order = re.compile(r"FROM word_lists AS l\s+ORDER BY l.n\s+LIMIT :limit\b")
    for name in ("to_index_again", "users_to_purge"):  # by the key of the table, so that nothing is sorted
        assert in_order.search(QUERIES[name].text)
        assert not [step for step in plan(QUERIES[name].text) if "USE TEMP B-TREE FOR ORDER BY" in step]


def test_a_join_in_the_wrong_order_is_noticed() -> None:
    text = QUERIES["appended"].text
    assert "CROSS JOIN" in text
    assert wasteful(text.replace("CROSS JOIN", "JOIN")) != []


def test_a_lookup_without_a_key_is_noticed() -> None:
    assert wasteful("SELECT m.id FROM messages AS m WHERE m.user_id = :user AND m.role = :role") != []
    assert wasteful("SELECT m.id FROM messages AS m WHERE m.role = :role") != []


def test_a_left_join_without_a_key_is_noticed() -> None:
    text = "SELECT m.content FROM owners AS o LEFT JOIN messages AS m ON m.user_id = o.user_id"
    assert wasteful(f"{text} AND m.rev = o.rev WHERE o.user_id = :user") == []
    assert wasteful(f"{text} AND m.role = :role WHERE o.user_id = :user") != []


def test_an_index_that_is_read_whole_is_noticed() -> None:
    text = "SELECT w.rowid FROM words AS w JOIN messages AS m ON m.user_id = :user AND m.n = w.rowid WHERE"
    assert wasteful(f"{text} w.words MATCH :match") == []
    assert wasteful("DELETE FROM words WHERE words.rowid IN (SELECT given.value FROM json_each(:n) AS given)") == []
    assert wasteful("DELETE FROM search_index_2 WHERE +search_index_2.rowid IN (SELECT 1)") != []
    assert wasteful("SELECT w.rowid FROM words AS w") != []
    assert wasteful("DELETE FROM words WHERE +words.rowid IN (SELECT given.value FROM json_each(:n) AS given)") != []


def test_every_table_is_watched() -> None:
    assert {"owners", "conversations", "messages", "word_lists"} <= TABLES
    for table in TABLES:
        assert wasteful(f"SELECT t.user_id FROM {table} AS t") != []


ARRAYS = {
    "settled",
    "checks",
    "parts",
    "ids",
    "messages",
    "conversations",
    "words",
    "titles",
    "places",
    "tasks",
    "threads",
    "runs",
}
COUNTS = {"limit", "conversation_limit", "looked", "skip", "thread_limit", "checkpoint_limit", "value_limit"}


def value_of(name: str, text: str) -> str | int:
    """Something that a parameter may be."""
    return "[]" if name in ARRAYS else len(text) if name in COUNTS else f'"{text}"'


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if query.names])
def test_a_statement_is_not_prepared_anew_when_it_is_given_other_values(name: str) -> None:
    asked: list[str | None] = []

    def allow(action: int, table: str | None, *others: str | None) -> int:
        """SQLite asks when it prepares a statement, not when it runs it. FTS5 has tables and statements of its own."""
        if table is not None and not table.startswith(("words_", "search_index_2_")):
            asked.append(table)
        return apsw.SQLITE_OK

    query = QUERIES[name]
    connection = apsw.Connection(":memory:")
    try:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.authorizer = allow
        for times, text in enumerate(("first", "again", "at last")):
            asked.clear()
            connection.execute(query.numbered, [value_of(name, text) for name in query.names]).fetchall()
            assert (asked == []) == (times > 0)
    finally:
        connection.close()
