"""Writes rows as files of SQL that D1 takes: statements below its 100 kB, files that it runs all or none.

Each statement may run any number of times, and what it does is done once. A row never changes its size, for SQLite
would move it and leave what it was. Texts are written in hexadecimal: wrangler cuts `BEGIN TRANSACTION` out of what it
sends, wherever that stands, and looks for the ends of statements itself.

The index takes a text as a whole. One that is too long for a statement is put together first, in `word_lists`, where
the index before this one had its text; nothing of it stays there.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# Source: https://developers.cloudflare.com/d1/platform/limits/
# A statement has 100 kB, two digits stand for a byte, and a row of ours has up to four texts that may be long.
_FIRST_PIECE_BYTES = 9_000
_PIECE_BYTES = 45_000
_STATEMENT_CHARACTERS = 90_000
FILE_CHARACTERS = 8_000_000
"""How long a file grows. More takes fewer calls of wrangler, and more memory."""

FORGET_LONG = (
    "UPDATE word_lists SET text = CAST(zeroblob(octet_length(text)) AS TEXT);\n",
    "DELETE FROM word_lists;\n",
)
"""Statements that leave nothing of long texts that were put together to be indexed."""


def files_of(statements: Iterable[str]) -> Iterator[str]:
    """Statements, gathered in files. No two are the same, or Cloudflare might take one for done already."""
    part: list[str] = []
    size = 0
    for statement in statements:
        if part and size + len(statement) > FILE_CHARACTERS:
            yield _file(part)
            part, size = [], 0
        part.append(statement)
        size += len(statement)
    if part:
        yield _file(part)


def inserts(
    table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], key: Sequence[str] = ("n",)
) -> Iterator[str]:
    """Statements that add rows of a table with this key. One that is too long for a statement is filled by more."""
    end = f"\nON CONFLICT ({', '.join(key)}) DO NOTHING;\n"
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES\n"
    tuples: list[str] = []
    size = 0
    for row in rows:
        written = f"({', '.join(_beginning(value) for value in row)})"
        if tuples and size + len(written) > _STATEMENT_CHARACTERS:
            yield head + ",\n".join(tuples) + end
            tuples, size = [], 0
        tuples.append(written)
        size += len(written) + 2
        rests = [(column, value, rest) for column, value in zip(columns, row, strict=True) if (rest := _cut(value)[1])]
        if rests:
            yield head + ",\n".join(tuples) + end
            tuples, size = [], 0
        where = " AND ".join(f"{name} = {literal(row[columns.index(name)])}" for name in key)
        for column, value, rest in rests:
            yield from _fillings(table, column, where, value, rest)
    if tuples:
        yield head + ",\n".join(tuples) + end


def index_entries(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Statements that index words, of rows of n, user and words."""
    head = "INSERT OR REPLACE INTO search_index_2 (rowid, text) VALUES\n"
    tuples: list[str] = []
    size = 0
    for row in rows:
        n, _, text = row
        is_long = len(text.encode()) > _PIECE_BYTES
        written = "" if is_long else f"({n}, {literal(text)})"
        if tuples and (is_long or size + len(written) > _STATEMENT_CHARACTERS):
            yield head + ",\n".join(tuples) + ";\n"
            tuples, size = [], 0
        if is_long:
            yield from inserts("word_lists", ("n", "user_id", "text"), [row])
            yield f"INSERT OR REPLACE INTO search_index_2 (rowid, text) SELECT n, text FROM word_lists WHERE n = {n};\n"
            yield from FORGET_LONG
        else:
            tuples.append(written)
            size += len(written) + 2
    if tuples:
        yield head + ",\n".join(tuples) + ";\n"


def literal(value: str | int | None) -> str:
    """A value in SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if re.fullmatch(r"[0-9A-Za-z_]*", value):
        return f"'{value}'"
    return f"CAST({_blob(value.encode())} AS TEXT)"


def _blob(value: bytes) -> str:
    return f"X'{value.hex()}'"


def _beginning(value: str | int | None) -> str:
    """A value in SQL; of a long text the beginning, and NULs where the rest is to stand."""
    first, rest = _cut(value)
    return f"CAST({_blob(first.encode())} || zeroblob({len(rest)}) AS TEXT)" if rest else literal(value)


def _file(statements: list[str]) -> str:
    return "".join([f"-- {uuid.uuid4()}\n", *statements])


def _cut(value: Any) -> tuple[Any, bytes]:
    """The beginning of a long text, and the bytes that follow."""
    if not isinstance(value, str) or len(value) <= _FIRST_PIECE_BYTES // 4:
        return value, b""
    encoded = value.encode()
    if len(encoded) <= _FIRST_PIECE_BYTES:
        return value, b""
    end = _end_of_character(encoded, _FIRST_PIECE_BYTES)
    return encoded[:end].decode(), encoded[end:]


def _fillings(table: str, column: str, where: str, value: str, rest: bytes) -> Iterator[str]:
    """Statements that put the rest of a text, piece by piece, where it is to stand."""
    size = len(value.encode())
    blob = f"CAST({column} AS BLOB)"
    for place in range(0, len(rest), _PIECE_BYTES):
        piece = rest[place : place + _PIECE_BYTES]
        before = size - len(rest) + place
        after = f"substr({blob}, {before + len(piece) + 1})"
        yield (
            f"UPDATE {table} SET {column} = CAST(substr({blob}, 1, {before}) || {_blob(piece)} || {after} AS TEXT)\n"
            f"WHERE {where} AND octet_length({column}) = {size};\n"
        )


def _end_of_character(encoded: bytes, end: int) -> int:
    """The place at or before `end` where a character of UTF-8 ends."""
    if end >= len(encoded):
        return len(encoded)
    while encoded[end] & 0xC0 == 0x80:
        end -= 1
    return end
