"""What `wrangler d1 export` writes, read back: every text as it was, or said to be in doubt."""

from pathlib import Path

import pytest

from fakes.cloudflare_api import Database, dump
from support.backups import ODD
from tools.checkout import Problem
from tools.d1.dumps import escaped, read_dump
from tools.exit_codes import Code

TEXTS = [
    "",
    "plain",
    "it's",
    "''",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "a\\nb",
    ODD,
    "replace('a','\\n',char(10))",
    "',NULL);",
    "\0",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_row_comes_back(text: str, tmp_path: Path) -> None:
    database = Database("letters")
    database.rows("CREATE TABLE a (n INTEGER, b TEXT, c TEXT, d TEXT)")
    database.rows("INSERT INTO a VALUES (-5, ?, NULL, ?)", text, text)
    (tmp_path / "dump.sql").write_text(dump(database, False, True, ["a"]), newline="")
    (row,) = read_dump(tmp_path / "dump.sql")
    in_doubt = "\n" in text or "\r" in text
    assert row.table == "a"
    assert set(row.escaped) == ({"b", "d"} if in_doubt else set())
    if in_doubt:
        assert row.escaped["b"] == escaped(text)
    else:
        assert row.values == {"n": -5, "b": text, "c": None, "d": text}


@pytest.mark.parametrize(
    "line",
    [
        "<!DOCTYPE html>",
        'INSERT INTO "a" VALUES(1);',
        'INSERT INTO "a" ("b") VALUES(1,2);',
        'INSERT INTO "a" ("b","c") VALUES(1);',
        'INSERT INTO "a" ("b") VALUES(1',
        'INSERT INTO "a" ("b") VALUES(\'open);',
        "INSERT INTO \"a\" (\"b\") VALUES('a'||'b');",
        'INSERT INTO "a" ("b") VALUES(1);DROP TABLE a;',
        'CREATE TABLE "a" (b);',
    ],
)
def test_what_is_no_row_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text(f"PRAGMA defer_foreign_keys=TRUE;\n{line}")
    with pytest.raises(Problem, match="no row of a table, in line 2") as raised:
        list(read_dump(tmp_path / "dump.sql"))
    assert raised.value.code == Code.NOT_CLOUDFLARE


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_bytes(b"\xff")
    with pytest.raises(Problem, match="no row of a table, in line 1"):
        list(read_dump(tmp_path / "dump.sql"))
