"""Reads what `wrangler d1 export` writes: SQL, an INSERT for each row, each on a line of its own.

It writes a line feed within a text as a backslash and an n, and has `replace` turn that back; and so it does with what
was a backslash and an n before. Which texts that may have happened to is said with each row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import Problem
from tools.exit_codes import Code

Value = str | int | None

_INSERT = re.compile(r'INSERT INTO "(\w+)" \(("\w+"(?:,"\w+")*)\) VALUES\((.*)\);', re.DOTALL)
_TEXT = r"'([^']*(?:''[^']*)*)'"
_LINE_FEED, _RETURN = r",'\\n',char\(10\)\)", r",'\\r',char\(13\)\)"
_VALUE = re.compile(
    rf"(?P<null>NULL)|(?P<number>-?\d+)|{_TEXT}|replace\({_TEXT}{_LINE_FEED}|replace\({_TEXT}{_RETURN}"
    rf"|replace\(replace\({_TEXT}{_RETURN}{_LINE_FEED}"
)
_PLAIN_TEXT = 3  # the group that matches a text which is not in doubt


@dataclass(frozen=True)
class DumpedRow:
    """A row of a table. `escaped` has, by their columns, the texts that are in doubt; they are as dumped."""

    table: str
    values: dict[str, Value]
    escaped: dict[str, str]


def read_dump(file: Path) -> Iterator[DumpedRow]:
    """The rows of a dump in order. Raises a Problem for anything that is no row."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode().removesuffix("\n")
            except UnicodeDecodeError:
                raise _unreadable(line, number) from None
            if text and not text.startswith("PRAGMA "):
                yield _row(text, number)


def escaped(text: str) -> str:
    """A text as a dump has it, before `replace` turns it back."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _row(text: str, number: int) -> DumpedRow:
    insert = _INSERT.fullmatch(text)
    if insert is None:
        raise _unreadable(text, number)
    columns = [name.strip('"') for name in insert[2].split(",")]
    values: list[Value] = []
    in_doubt: dict[str, str] = {}
    place, end = insert.span(3)
    while place < end:
        match = _VALUE.match(text, place, end)
        if match is None or len(values) == len(columns):
            raise _unreadable(text, number)
        if match["null"]:
            values.append(None)
        elif match["number"]:
            values.append(int(match["number"]))
        else:
            dumped = match[match.lastindex or 0].replace("''", "'")
            if match.lastindex != _PLAIN_TEXT:
                in_doubt[columns[len(values)]] = dumped
            values.append(dumped)
        place = match.end()
        if place < end and text[place] != ",":
            raise _unreadable(text, number)
        place += 1
    if len(values) != len(columns):
        raise _unreadable(text, number)
    return DumpedRow(insert[1], dict(zip(columns, values, strict=True)), in_doubt)


def _unreadable(text: str | bytes, number: int) -> Problem:
    return Problem(
        f"wrangler has exported what is no row of a table, in line {number}: {text[:80]!r}", Code.NOT_CLOUDFLARE
    )
