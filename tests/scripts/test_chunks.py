"""Rows as SQL: every text byte for byte, every statement short enough for D1, and none that does its work twice."""

from typing import Any

import pytest

from fakes.cloudflare_api import Database
from support.backups import ODD
from tools.d1 import chunks
from tools.d1.chunks import files_of, index_entries, inserts

COLUMNS = ["n", "a", "b"]
ROWS: list[tuple[Any, ...]] = [
    (1, ODD, None),
    (2, "x" * 19_999 + "ü" + "漢😀" * 60_000, "y" * 20_001),
    (3, "", "z"),
    (4, "\0" * 20_000, "ü" * 10_000),
    *((number, f"row {number}", ODD * 20) for number in range(5, 200)),
    (200, ODD * 18_000, ""),
]


@pytest.fixture
def database() -> Database:
    made = Database("letters")
    made.rows("CREATE TABLE t (n INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT) STRICT")
    return made


def test_rows_come_back_byte_for_byte(database: Database) -> None:
    statements = list(inserts("t", COLUMNS, ROWS))
    for statement in statements:
        assert len(statement.encode()) <= 100_000
        database.run(statement, [])
    assert database.rows("SELECT * FROM t ORDER BY n") == ROWS
    assert len(statements) < 140  # not one for each row


def test_running_it_again_from_any_place_does_nothing_twice(database: Database) -> None:
    statements = list(inserts("t", COLUMNS, ROWS))
    for cut in range(0, len(statements), 7):
        database.rows("DELETE FROM t")
        for statement in statements[:cut] + statements:
            database.run(statement, [])
        assert database.rows("SELECT * FROM t ORDER BY n") == ROWS


def test_a_row_keeps_its_size(database: Database) -> None:
    sizes = {row[0]: sum(len(value.encode()) for value in row[1:] if value) for row in ROWS}
    for statement in inserts("t", COLUMNS, ROWS):
        database.run(statement, [])
        for n, size in database.rows("SELECT n, octet_length(a) + coalesce(octet_length(b), 0) FROM t"):
            assert size == sizes[n]


ENTRIES = [
    (-2, "ada", "word " * 18_000 + "last"),
    (-1, "ada", "title"),
    *((number, "ada", f"word {number} 漢 " * 20) for number in range(1, 300)),
    (300, "bob", "漢 " * 45_000),
    (301, "bob", "end"),
]


def test_texts_are_indexed_whole_however_often_a_statement_runs() -> None:
    indexing = Database("letters")
    indexing.rows("CREATE VIRTUAL TABLE search_index_2 USING fts5(text, content = '', contentless_delete = 1)")
    indexing.rows("CREATE TABLE word_lists (n INTEGER PRIMARY KEY, user_id TEXT NOT NULL, text TEXT NOT NULL) STRICT")
    statements = list(index_entries(ENTRIES))
    for statement in statements:
        assert len(statement.encode()) <= 100_000
        for _ in range(2):
            indexing.run(statement, [])
    assert len(statements) < 30  # not one for each text
    assert indexing.rows("SELECT count(*) FROM word_lists") == [(0,)]
    indexing.rows("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'search_index_2', 'instance')")
    for n, _, text in ENTRIES:
        query = "SELECT group_concat(term, ' ' ORDER BY \"offset\") FROM temp.vocabulary WHERE doc = ?"
        assert indexing.rows(query, n) == [(text.strip(),)]


def test_nothing_that_wrangler_would_take_for_its_own_is_in_a_file() -> None:
    (text,) = files_of(inserts("t", COLUMNS, [(1, ODD, "BEGIN TRANSACTION;")]))
    assert "BEGIN" not in text
    assert text.count(";") == 1


def test_files_are_cut_between_statements_and_no_two_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "FILE_CHARACTERS", 20)
    statements = ["SELECT 1;\n"] * 5
    files = list(files_of(statements))
    assert ["".join(text.splitlines(keepends=True)[1:]) for text in files] == ["SELECT 1;\n" * 2] * 2 + ["SELECT 1;\n"]
    assert len(set(files)) == 3
    assert list(files_of([])) == []
