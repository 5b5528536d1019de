"""Restores a backup into an empty D1 database, in files that are run all or none, and goes on where it was cut off.

It needs what toolbox/scratch.py needs.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from threadkeep.clock import new_id
from toolbox.backing_up import MARKER, ask
from toolbox.backups import BackupReader
from toolbox.checkout import Problem, remove, say
from toolbox.chunks import files_of, inserts, literal
from toolbox.codes import Code
from toolbox.install import Node, install
from toolbox.migrating import Target, check, read_schema, schema_difference
from toolbox.migrations import Migration
from toolbox.rows import what_is_wrong
from toolbox.scratch import BASE, Scratch

# What an index statement takes at once: it is one piece of work for the database.
_INDEXED_CHARACTERS = 1_000_000
_COPIED = ("conversations", "messages", "word_lists")  # in this order; owners come last

# The marker is set only where there is nothing. `owners` is empty until the last step.
_BEGIN = """
INSERT INTO owners (user_id, epoch)
SELECT '', '{marker}'
WHERE NOT EXISTS (SELECT 1 FROM owners)
  AND NOT EXISTS (SELECT 1 FROM conversations WHERE user_id <> '')
  AND NOT EXISTS (SELECT 1 FROM messages WHERE user_id <> '')
  AND NOT EXISTS (SELECT 1 FROM word_lists WHERE user_id <> '');
SELECT
  (SELECT epoch FROM owners WHERE user_id = '') AS marker,
  EXISTS (SELECT 1 FROM owners WHERE user_id <> '') AS in_use,
  (SELECT n FROM conversations WHERE user_id <> '' ORDER BY n DESC LIMIT 1) AS conversations,
  (SELECT n FROM messages WHERE user_id <> '' ORDER BY n DESC LIMIT 1) AS messages,
  (SELECT n FROM word_lists WHERE user_id <> '' ORDER BY n DESC LIMIT 1) AS word_lists,
  (
    SELECT min(l.n)
    FROM word_lists AS l
    WHERE l.user_id <> '' AND NOT EXISTS (SELECT 1 FROM words_docsize AS d WHERE d.id = l.n)
  ) AS unindexed;
"""
# words_docsize is where FTS5 has a row for each that it has indexed; it would index one twice.
_INDEX = """INSERT INTO words (rowid, text)
SELECT l.n, l.text
FROM word_lists AS l
WHERE l.n BETWEEN {first} AND {last} AND NOT EXISTS (SELECT 1 FROM words_docsize AS d WHERE d.id = l.n);
"""


def restore(target: Target, file: Path) -> None:
    """Puts what a backup holds into an empty database, and begins new epochs. Run again, it goes on."""
    migrations, expected = check(target.database)
    with _work_folder(target) as work, Scratch(work / "scratch.sqlite", []) as scratch:
        say(f"reading {file} …")
        sha256 = _read(file, scratch, migrations)
        node = install()
        target.configure()
        _check_schema(target, node, expected, migrations)
        counts = _counts(scratch)
        state = _begin(target, node, sha256)
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
    """Fills the scratch database with a backup, at the newest schema, and with its words; returns the checksum."""
    with BackupReader(file) as reader:
        header = reader.header
        names = [migration.name for migration in migrations]
        if header.schema not in names:
            raise Problem(
                f"{file} is of the schema {header.schema!r}, which this checkout does not know: take a newer one",
                Code.NOT_A_BACKUP,
            )
        scratch.migrate(migrations[: names.index(header.schema) + 1])
        if header.tables != {table: scratch.kept_columns(table) for table in BASE}:
            raise Problem(f"{file} has been changed: its tables are not those of {header.schema}", Code.NOT_A_BACKUP)
        try:
            for table, rows in itertools.groupby(reader.rows(), lambda row: row[0]):
                scratch.insert(table, header.tables[table], (row for _, row in rows))
        except (apsw.ConstraintError, apsw.MismatchError, OverflowError) as error:
            raise Problem(f"{file} has been changed: {error}", Code.NOT_A_BACKUP) from None
        sha256 = reader.sha256
    scratch.migrate(migrations)
    if header.rows != {table: scratch.count(table) for table in BASE}:
        raise Problem(f"{file} has been changed: it holds rows of nobody", Code.NOT_A_BACKUP)
    if wrong := what_is_wrong(scratch):
        raise Problem(f"{file} holds what the service never keeps: {wrong}", Code.NOT_A_BACKUP)
    scratch.make_room_for_ballast()
    scratch.make_room()
    scratch.list_words()
    return sha256


def _check_schema(
    target: Target, node: Node, expected: Mapping[str, str | None], migrations: Sequence[Migration]
) -> None:
    if difference := schema_difference(read_schema(target, node), expected):
        raise Problem(
            f"{target.name} is not at the schema of {migrations[-1].name} ({difference}): run scripts/migrate first",
            Code.OTHER_SCHEMA,
        )


def _begin(target: Target, node: Node, sha256: str) -> dict[str, Any]:
    """Marks an empty database as ours; returns how far a restore has come."""
    (_, (state,)) = ask(target, node, _BEGIN.format(marker=MARKER + sha256))
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
    missing = itertools.chain.from_iterable(_statements(scratch, table, _first(state, table)) for table in _COPIED)
    for number, text in enumerate(files_of(missing), start=1):
        say(f"restoring, part {number} …")
        _run(target, node, text, part)


def _first(state: Mapping[str, Any], table: str) -> int | None:
    """The row that a table goes on from; None where it has none yet."""
    reached = (state[table], state["unindexed"] if table == "word_lists" else None)
    return min((n for n in reached if n is not None), default=None)


def _statements(scratch: Scratch, table: str, first: int | None) -> Iterator[str]:
    columns = scratch.columns(table)
    names = ", ".join(columns)
    condition = "" if first is None else f"WHERE n >= {first:d}"
    rows = scratch.run(f"SELECT {names} FROM {table} {condition} ORDER BY n")
    if table != "word_lists":
        yield from inserts(table, columns, rows)
        return
    for group in _groups(rows):
        yield from inserts(table, columns, group)
        yield _INDEX.format(first=group[0][0], last=group[-1][0])


def _groups(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of words, as many as are indexed at once."""
    group: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[-1])
        if size > _INDEXED_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


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
    queries = {table: _measure(table, scratch.columns(table)) for table in tables}
    queries["the index"] = (
        "SELECT count(*) AS row_count, 0 AS text_size FROM words_docsize WHERE id > -9007199254700000"
    )
    answers = ask(target, node, ";\n".join(queries.values()))
    for name, query, ((answer,)) in zip(queries, queries.values(), answers, strict=True):
        if name == "the index":
            expected: tuple[Any, ...] = (scratch.count("word_lists"), 0)
        else:
            (expected,) = scratch.run(query)
        if (answer["row_count"], answer["text_size"]) != expected:
            rows, size = answer["row_count"], answer["text_size"]
            return f"{name} has {rows} rows of {expected[0]}, and {size} of {expected[1]} bytes and characters"
    return None


def _measure(table: str, columns: Sequence[str]) -> str:
    """How large a table's rows are: their bytes, and their characters, which SQLite counts up to a NUL.

    So a long text is found out that still has NULs where a piece of it is missing.
    """
    sizes = " + ".join(
        f"coalesce(octet_length({column}) + length({column}), 0)" for column in columns if column != "epoch"
    )
    return f"SELECT count(*) AS row_count, coalesce(sum({sizes}), 0) AS text_size FROM {table} WHERE user_id <> ''"


def _counts(scratch: Scratch) -> str:
    return (
        f"{scratch.count('conversations')} conversations with {scratch.count('messages')} messages of "
        f"{scratch.count('owners')} users"
    )
