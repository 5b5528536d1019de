"""Rows as files of SQL that D1 takes: statements below its 100 kB, files that it runs all or none.

Each statement may run any number of times, and what it does is done once. Texts are written in hexadecimal: wrangler
cuts `BEGIN TRANSACTION` out of what it sends, wherever that stands, and looks for the ends of statements itself.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# Source: https://developers.cloudflare.com/d1/platform/limits/
# A statement has 100 kB, two digits stand for a byte, and a row of ours has two texts that may be long.
_FIRST_PIECE_BYTES = 20_000
_PIECE_BYTES = 45_000
_STATEMENT_CHARACTERS = 90_000
FILE_CHARACTERS = 8_000_000
"""How long a file grows. More takes fewer calls of wrangler, and more memory."""


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


def inserts(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Statements that add rows of a table whose key is `n`. A row that is too long for one gets the rest from more."""
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES\n"
    tuples: list[str] = []
    size = 0
    for row in rows:
        firsts = [_cut(value)[0] for value in row]
        written = f"({', '.join(literal(value) for value in firsts)})"
        if tuples and size + len(written) > _STATEMENT_CHARACTERS:
            yield _insert(head, tuples)
            tuples, size = [], 0
        tuples.append(written)
        size += len(written) + 2
        rests = [(column, value, rest) for column, value in zip(columns, row, strict=True) if (rest := _cut(value)[1])]
        if rests:
            yield _insert(head, tuples)
            tuples, size = [], 0
        for column, value, rest in rests:
            yield from _appends(table, column, row[columns.index("n")], value, rest)
    if tuples:
        yield _insert(head, tuples)


def literal(value: str | int | None) -> str:
    """A value in SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if re.fullmatch(r"[0-9A-Za-z_]*", value):
        return f"'{value}'"
    return f"CAST(X'{value.encode().hex()}' AS TEXT)"


def _file(statements: list[str]) -> str:
    return "".join([f"-- {uuid.uuid4()}\n", *statements])


def _insert(head: str, tuples: list[str]) -> str:
    return head + ",\n".join(tuples) + "\nON CONFLICT (n) DO NOTHING;\n"


def _cut(value: Any) -> tuple[Any, bytes]:
    """The beginning of a long text, and the bytes that follow."""
    if not isinstance(value, str) or len(value) <= _FIRST_PIECE_BYTES // 4:
        return value, b""
    encoded = value.encode()
    if len(encoded) <= _FIRST_PIECE_BYTES:
        return value, b""
    end = _end_of_character(encoded, _FIRST_PIECE_BYTES)
    return encoded[:end].decode(), encoded[end:]


def _appends(table: str, column: str, n: int, value: str, rest: bytes) -> Iterator[str]:
    """Statements that add the rest of a text, each only to what is there when its turn has come."""
    there = len(value.encode()) - len(rest)
    while rest:
        end = _end_of_character(rest, _PIECE_BYTES)
        yield (
            f"UPDATE {table} SET {column} = {column} || CAST(X'{rest[:end].hex()}' AS TEXT)\n"
            f"WHERE n = {n} AND octet_length({column}) = {there};\n"
        )
        there += end
        rest = rest[end:]


def _end_of_character(encoded: bytes, end: int) -> int:
    """The place at or before `end` where a character of UTF-8 ends."""
    if end >= len(encoded):
        return len(encoded)
    while encoded[end] & 0xC0 == 0x80:
        end -= 1
    return end
