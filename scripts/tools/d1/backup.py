"""Backs up a D1 database: `wrangler d1 export` of the tables that no other table is made from, in a file of our own.

It needs what tools/d1/scratch.py needs.
"""

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from tools.checkout import Problem, say
from tools.cloudflare import wrangler
from tools.d1.backup_file import BackupReader, Row, header_of, replacing, write_backup
from tools.d1.chunks import literal
from tools.d1.dumps import DumpedRow, Value, escaped, read_dump
from tools.d1.migrate import Target, check, read_schema, schema_difference
from tools.d1.rows import what_is_wrong
from tools.d1.scratch import Scratch, in_words, last_key
from tools.exit_codes import Code
from tools.local.install import Node, install
from tools.migrations.files import Migration, rehearse

MARKER = "restoring "
"""What the epoch of the owner '' begins with while a restore is under way."""

_ROWS_AT_ONCE = 200
_ROWS_OF_A_PIECE = 50
_HEX_BYTES = 700_000  # D1 has no value of more than 2 MB


def back_up(target: Target, file: Path) -> None:
    """Writes everything that the database keeps to `file`, which is replaced at once or not at all."""
    migrations, expected = check(target.database)
    file = file.resolve()
    with replacing(file) as folder:
        node = install()
        target.configure()
        applied = _applied(target, node, migrations, expected)
        with Scratch(folder / "scratch.sqlite", applied) as scratch:
            newest = _newest(target, node, scratch)
            say("exporting …")
            target.export(node, scratch.tables(), folder / "dump.sql", failed="cannot export the database")
            doubtful = _fill(scratch, folder / "dump.sql", target.name)
            (folder / "dump.sql").unlink()
            _settle(scratch, target, node, doubtful)
            _check_whole(scratch, newest)
            scratch.forget_what_is_erased()
            columns = {table: scratch.kept_columns(table) for table in scratch.tables()}
            counts = {table: scratch.count(table) for table in columns}
            created_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            header = header_of(applied[-1].name, created_at, columns, counts)
            write_backup(folder / "backup", header, _rows(scratch, columns))
            _compare(folder / "backup", _rows(scratch, columns))
            scratch.migrate(migrations)
            wrong = what_is_wrong(scratch)
    size = os.path.getsize(file)
    print(f"{in_words(counts)}, {size} bytes")
    if wrong:
        say(f"warning: scripts/restore will refuse it: {wrong} Put that right in the database, and back it up again")
    say(f"{target.name} is in {file}, which holds what everybody wrote: keep it as you keep the database")


def ask(target: Target, node: Node, sql: str) -> list[list[dict[str, Any]]]:
    """What a database answers to each of some statements."""
    query = ("execute", target.database["binding"], "--json", "--command", sql)
    output = target.call(node, *query, failed="cannot read the database", is_question=True)
    return [result["results"] for result in wrangler.json_in(output)]


def _applied(
    target: Target, node: Node, migrations: Sequence[Migration], expected: dict[str, str | None]
) -> Sequence[Migration]:
    """The migrations that the database has: all, or those before one that is still to come."""
    schema = read_schema(target, node)
    if schema == expected:
        return migrations
    for count in range(len(migrations) - 1, 0, -1):
        if schema == rehearse(migrations[:count]):
            return migrations[:count]
    if not schema:
        raise Problem(f"{target.name} has no tables: run scripts/migrate first", Code.OTHER_SCHEMA)
    raise Problem(
        f"{target.name} is not at a schema of this checkout ({schema_difference(schema, expected)}): "
        "run scripts/migrate, or take the checkout that it was last migrated with",
        Code.OTHER_SCHEMA,
    )


def _newest(target: Target, node: Node, scratch: Scratch) -> dict[str, list[Any]]:
    """The key of the last row of each table, in the order of a dump; nothing of one that has no rows."""
    tables = [table for table in scratch.tables() if table != "owners"]  # who are looked for below
    parts = [f"({_end_of(table, scratch)}) AS {table}" for table in tables]
    ((row,),) = ask(target, node, f"SELECT {', '.join(parts)}")
    return {table: json.loads(key) for table, key in row.items() if key is not None}


def _end_of(table: str, scratch: Scratch) -> str:
    """The query for how far a table goes: the key of its last row, or nothing.

    Forks are counted: a dump may have them in the order of their other key, which has all of their columns, too.
    """
    if table == "forks":
        return "SELECT json_array(count(*)) FROM forks WHERE user_id <> '' HAVING count(*) > 0"
    return last_key(table, scratch.key(table))


def _fill(scratch: Scratch, dump: Path, name: str) -> list[DumpedRow]:
    """Takes in the rows of users in a dump; returns those with texts that it leaves in doubt."""
    doubtful: list[DumpedRow] = []

    def of_users(rows: Iterator[DumpedRow]) -> Iterator[list[Value]]:
        for row in rows:
            if row.values["user_id"] != "":
                doubtful.extend([row] if row.escaped else [])
                yield list(row.values.values())
            elif str(row.values.get("epoch")).startswith(MARKER):
                raise Problem(f"a restore into {name} was begun and is not finished: finish it first")

    try:
        for (table, columns), rows in itertools.groupby(read_dump(dump), lambda row: (row.table, list(row.values))):
            scratch.insert(table, columns, of_users(rows))
    except (apsw.ConstraintError, apsw.MismatchError, apsw.SQLError) as error:
        raise Problem(f"what wrangler has exported does not fit its schema: {error}") from None
    return doubtful


def _settle(scratch: Scratch, target: Target, node: Node, doubtful: Sequence[DumpedRow]) -> None:
    """Asks for the texts that a dump leaves in doubt, and takes each answer that the dump could stand for."""
    keys = {table: scratch.key(table) for table in scratch.tables()}
    for part in _parts(doubtful):
        parts = [(table, list(rows)) for table, rows in itertools.groupby(part, lambda row: row.table)]
        answers = ask(target, node, ";\n".join(_texts(table, keys[table], rows) for table, rows in parts))
        for (table, rows), texts in zip(parts, answers, strict=True):
            found = {tuple(answer[name] for name in keys[table]): answer for answer in texts}
            where = " AND ".join(f"{name} = ?" for name in keys[table])
            for row in rows:
                key = _key_of(row, keys[table])
                for column, dumped in row.escaped.items():
                    text = "".join(found[key][name] for name in _names(column)) if key in found else ""
                    text = bytes.fromhex(text).decode()
                    if escaped(text) != dumped:
                        raise Problem("somebody has written to the database meanwhile: run this again")
                    scratch.run(f'UPDATE "{table}" SET "{column}" = ? WHERE {where}', text, *key)


def _parts(rows: Sequence[DumpedRow]) -> Iterator[list[DumpedRow]]:
    """As many rows as can be asked for together. A piece is as large as many others."""
    part: list[DumpedRow] = []
    size = 0
    for row in rows:
        size += _ROWS_OF_A_PIECE if row.table == "pieces" else 1
        if part and size > _ROWS_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(row)
    if part:
        yield part


def _texts(table: str, key: Sequence[str], rows: Sequence[DumpedRow]) -> str:
    """The statement that asks for the texts of some rows that are in doubt."""
    columns = sorted({column for row in rows for column in row.escaped})
    parts = [
        f"hex(substr(CAST({column} AS BLOB), {1 + place * _HEX_BYTES}, {_HEX_BYTES})) AS {name}"
        for column in columns
        for place, name in enumerate(_names(column))
    ]
    wanted = ", ".join([*key, *parts])
    keys = ", ".join(f"({', '.join(map(literal, _key_of(row, key)))})" for row in rows)
    return f"SELECT {wanted} FROM {table} WHERE ({', '.join(key)}) IN (VALUES {keys})"


def _names(column: str) -> list[str]:
    """What the parts of a text are called in an answer: no value may be long enough for all of its digits."""
    return [f"{column}_{place}" for place in range(3)]


def _key_of(row: DumpedRow, key: Sequence[str]) -> tuple[Value, ...]:
    return tuple(row.values[name] for name in key)


def _check_whole(scratch: Scratch, newest: dict[str, list[Any]]) -> None:
    """Raises a Problem where rows are missing that were there before: a dump has no end that one could look for."""
    for table, key in newest.items():
        last = [json.loads(found) for (found,) in scratch.run(_end_of(table, scratch))]
        if not last or last[0] < key:
            raise Problem(f"the export is not whole, or the database has changed: {table} end early: run this again")
    for table in scratch.tables():
        ((lost,),) = scratch.run(f'SELECT count(*) FROM "{table}" WHERE user_id NOT IN (SELECT user_id FROM owners)')
        if lost:
            raise Problem(f"the export is not whole: it has {table} without their owners: run this again")


def _rows(scratch: Scratch, columns: dict[str, list[str]]) -> Iterator[tuple[str, Row]]:
    for table, names in columns.items():
        for row in scratch.rows(table, names):
            yield table, row


def _compare(file: Path, rows: Iterator[tuple[str, Row]]) -> None:
    """Reads a backup again, and looks whether it holds these rows."""
    with BackupReader(file) as reader:
        for (table, row), (written, read) in zip(rows, reader.rows(), strict=True):
            if (table, list(row)) != (written, list(read)):
                raise Problem(f"the backup is not what was written: a row of the table {table} differs")
