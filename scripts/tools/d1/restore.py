"""Restores a backup into an empty D1 database, in files that are run all or none, and goes on where it was cut off.

It needs what tools/d1/scratch.py needs.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from threadkeep.conversations.models import INTEGER_MAX
from threadkeep.ids import new_id
from tools.checkout import Problem, remove, say
from tools.d1.backup import MARKER, ask
from tools.d1.backup_file import BackupReader
from tools.d1.chunks import FORGET_LONG, files_of, index_entries, inserts, literal
from tools.d1.migrate import Target, check, read_schema, schema_difference
from tools.d1.rows import what_is_wrong
from tools.d1.scratch import BASE, Scratch, in_words, last_key
from tools.exit_codes import Code
from tools.local.install import Node, install
from tools.migrations.files import Migration

_COPIED = BASE[1:]  # in this order; then the index, and owners last

# The marker is set only where there is nothing. `owners` is empty until the last step.
_BEGIN = """
INSERT INTO owners (user_id, epoch)
SELECT '', '{marker}'
WHERE {is_empty};
SELECT
  (SELECT epoch FROM owners WHERE user_id = '') AS marker,
  EXISTS (SELECT 1 FROM owners WHERE user_id <> '') AS in_use,
  {last_keys},
  (SELECT max(id) FROM search_index_2_docsize) AS indexed,
  EXISTS (SELECT 1 FROM word_lists) AS is_long_text_left;
"""
# Behind the index, FTS5 has a row for each that is in it; and by the id 1 how many those are, and their words.
_MEASURE_INDEX = """SELECT
  count(*) AS row_count,
  (SELECT hex(block) FROM search_index_2_data WHERE id = 1) AS words,
  EXISTS (SELECT 1 FROM word_lists) AS is_long_text_left
FROM search_index_2_docsize"""


def restore(target: Target, file: Path) -> None:
    """Puts what a backup holds into an empty database, and begins new epochs. Run again, it goes on."""
    migrations, expected = check(target.database)
    with _work_folder(target) as work, Scratch(work / "scratch.sqlite", []) as scratch:
        say(f"reading {file} …")
        sha256 = _read(file, scratch, migrations)
        node = install()
        target.configure()
        _check_schema(target, node, expected, migrations)
        counts = in_words({table: scratch.count(table) for table in BASE})
        state = _begin(target, node, scratch, sha256)
        if state["marker"] is None and _is_there(target, node, scratch):
            done = f"{target.name} holds this backup already"
        else:
            _check_is_ours(target, state, sha256)
            _load(target, node, scratch, state, work / "part.sql")
            _finish(target, node, scratch, work / "part.sql")
            done = f"{target.name} holds what {file} does, and every device begins anew"
    print(counts)
    say(done)


@contextmanager
def _work_folder(target: Target) -> Iterator[Path]:
    """A folder that nobody else can read. Nobody else restores at the same time; what lies there was left behind."""
    folder = target.folder / "restore"
    remove(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


def _read(file: Path, scratch: Scratch, migrations: Sequence[Migration]) -> str:
    """Fills the scratch database with a backup, at the newest schema, and indexes it; returns the checksum."""
    with BackupReader(file) as reader:
        header = reader.header
        names = [migration.name for migration in migrations]
        if header.schema not in names:
            raise Problem(
                f"{file} is of the schema {header.schema!r}, which this checkout does not know: take a newer one",
                Code.NOT_A_BACKUP,
            )
        scratch.migrate(migrations[: names.index(header.schema) + 1])
        if header.tables != {table: scratch.kept_columns(table) for table in scratch.tables()}:
            raise Problem(f"{file} has been changed: its tables are not those of {header.schema}", Code.NOT_A_BACKUP)
        try:
            for table, rows in itertools.groupby(reader.rows(), lambda row: row[0]):
                scratch.insert(table, header.tables[table], (row for _, row in rows))
        except (apsw.ConstraintError, apsw.MismatchError, OverflowError) as error:
            raise Problem(f"{file} has been changed: {error}", Code.NOT_A_BACKUP) from None
        sha256 = reader.sha256
    scratch.migrate(migrations)
    if header.rows != {table: scratch.count(table) for table in header.rows}:
        raise Problem(f"{file} has been changed: it holds rows of nobody", Code.NOT_A_BACKUP)
    if wrong := what_is_wrong(scratch):
        raise Problem(f"{file} holds what the service never keeps: {wrong}", Code.NOT_A_BACKUP)
    scratch.index()
    scratch.run("UPDATE journals SET generation = generation + 1")  # so that cursors from after the backup expire
    return sha256


def _check_schema(
    target: Target, node: Node, expected: Mapping[str, str | None], migrations: Sequence[Migration]
) -> None:
    if difference := schema_difference(read_schema(target, node), expected):
        raise Problem(
            f"{target.name} is not at the schema of {migrations[-1].name} ({difference}): run scripts/migrate first",
            Code.OTHER_SCHEMA,
        )


def _begin(target: Target, node: Node, scratch: Scratch, sha256: str) -> dict[str, Any]:
    """Marks an empty database as ours; returns how far a restore has come: the last key of each table, as JSON."""
    filled = (*BASE, "search_index_2_docsize", "word_lists")
    begin = _BEGIN.format(
        marker=MARKER + sha256,
        is_empty="\n  AND ".join(f"NOT EXISTS (SELECT 1 FROM {table})" for table in filled),
        last_keys=",\n  ".join(f"({last_key(table, scratch.key(table))}) AS {table}" for table in _COPIED),
    )
    (_, (state,)) = ask(target, node, begin)
    return state


def _check_is_ours(target: Target, state: Mapping[str, Any], sha256: str) -> None:
    if state["marker"] is None:
        raise Problem(f"{target.name} is not empty: restore into a new database", Code.NOT_EMPTY)
    if state["marker"] != MARKER + sha256:
        raise Problem(
            f"a restore of another backup into {target.name} was begun, of that with the checksum "
            f"{state['marker'].removeprefix(MARKER)}: finish it, or take a new database",
            Code.NOT_EMPTY,
        )
    if state["in_use"]:
        raise Problem(
            f"somebody has used {target.name} while a restore was under way: take a new database, and let nobody in "
            "before the restore is done",
            Code.NOT_EMPTY,
        )


def _load(target: Target, node: Node, scratch: Scratch, state: Mapping[str, Any], part: Path) -> None:
    """Copies what is missing: a table's rows from the last on that is there, since that one may not be whole."""
    for number, text in enumerate(files_of(_missing(scratch, state)), start=1):
        say(f"restoring, part {number} …")
        _run(target, node, text, part)


def _missing(scratch: Scratch, state: Mapping[str, Any]) -> Iterator[str]:
    """The statements that put in what is not there."""
    for table in _COPIED:
        columns, key = scratch.columns(table), scratch.key(table)
        last = [] if state[table] is None else json.loads(state[table])
        names = ", ".join(key)
        is_missing = f"WHERE ({names}) >= ({', '.join('?' * len(last))})" if last else ""
        rows = scratch.run(f"SELECT {', '.join(columns)} FROM {table} {is_missing} ORDER BY {names}", *last)
        yield from inserts(table, columns, rows, key)
    # In this order, so that the last that is indexed says which are. Titles stand below 0.
    reached = -INTEGER_MAX if state["indexed"] is None else state["indexed"]
    rows = scratch.run("SELECT n, user_id, text FROM word_lists WHERE n > ? ORDER BY n", reached)
    if state["is_long_text_left"]:
        yield from FORGET_LONG
    yield from index_entries(rows)


def _finish(target: Target, node: Node, scratch: Scratch, part: Path) -> None:
    """Looks whether everything is there, and lets the users have it, each with a new epoch."""
    say("comparing …")
    if difference := _difference(target, node, scratch, _COPIED):
        raise Problem(
            f"{target.name} does not hold what the backup does: {difference}: restore into a new database, and let "
            "nobody in before that is done"
        )
    columns = scratch.columns("owners")
    place = columns.index("epoch")
    owners = [[*row[:place], new_id(), *row[place + 1 :]] for row in scratch.rows("owners", columns)]
    statements = [
        f"INSERT INTO owners ({', '.join(columns)}) VALUES ({', '.join(literal(value) for value in row)});\n"
        for row in owners
    ]
    # One file, so one transaction: whoever sees an owner sees everything.
    _run(target, node, "".join([*files_of([*statements, "DELETE FROM owners WHERE user_id = '';\n"])]), part)


def _run(target: Target, node: Node, text: str, part: Path) -> None:
    part.write_text(text)
    target.execute(node, part, failed="cannot write the rows")


def _is_there(target: Target, node: Node, scratch: Scratch) -> bool:
    """Whether the database holds all of the backup: its last step was done, and nobody heard of it."""
    return _difference(target, node, scratch, ("owners", *_COPIED)) is None


def _difference(target: Target, node: Node, scratch: Scratch, tables: Sequence[str]) -> str | None:
    """The first table whose rows are not as many, or not as long, as in the backup."""
    queries = [_measure(table, scratch.columns(table)) for table in tables]
    *answers, (index,) = ask(target, node, ";\n".join([*queries, _MEASURE_INDEX]))
    for table, query, ((answer,)) in zip(tables, queries, answers, strict=True):
        ((row_count, text_size),) = scratch.run(query)
        if (answer["row_count"], answer["text_size"]) != (row_count, text_size):
            rows, size = answer["row_count"], answer["text_size"]
            return f"{table} has {rows} rows of {row_count}, and {size} of {text_size} bytes and characters"
    ((row_count, words, _),) = scratch.run(_MEASURE_INDEX)
    if (index["row_count"], index["words"], index["is_long_text_left"]) != (row_count, words, 0):
        return f"the index has {index['row_count']} rows of {row_count}, or other words"
    return None


def _measure(table: str, columns: Sequence[str]) -> str:
    """How large a table's rows are: their bytes, and their characters, which SQLite counts up to a NUL.

    So a long text is found out that still has NULs where a piece of it is missing.
    """
    measured = [column for column in columns if (table, column) != ("owners", "epoch")]
    sizes = " + ".join(f"coalesce(octet_length({column}) + length({column}), 0)" for column in measured)
    return f"SELECT count(*) AS row_count, coalesce(sum({sizes}), 0) AS text_size FROM {table} WHERE user_id <> ''"
