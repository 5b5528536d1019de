"""Reads the migrations before any database does, and refuses what D1 would, or what nobody meant to do.

It needs sqlglot and apsw, and so a script that went on in the checkout's environment.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import sqlglot
from sqlglot import exp

from tools.checkout import Problem
from tools.migrations.embed import statements_of
from tools.migrations.hashes import check_hashes

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what it cannot read; here, that is refused

# What D1 runs, tried out on workerd. Everything else answers SQLITE_AUTH.
PRAGMAS = {
    *("table_list", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo"),
    *("foreign_keys", "defer_foreign_keys", "foreign_key_check", "foreign_key_list", "quick_check", "data_version"),
    *("case_sensitive_like", "ignore_check_constraints", "legacy_alter_table", "recursive_triggers"),
    *("reverse_unordered_selects", "optimize"),
}

_REFUSED = {
    **dict.fromkeys(
        ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"), "each migration is one transaction already"
    ),
    **dict.fromkeys(("ATTACH", "DETACH"), "there is one database"),
    "VACUUM": "it cannot run in a transaction, and each migration is one",
}
SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema"

_ALLOWED = (exp.Create, exp.Drop, exp.Alter, exp.Insert, exp.Update, exp.Delete, exp.Query, exp.Pragma, exp.Analyze)

# The two forms of SQLite that sqlglot cannot read. The first has no more to it than its name and its columns; from the
# second, what sqlglot stumbles over is taken away.
_FULL_TEXT_TABLE = re.compile(
    r"CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s+USING\s+fts5(?:vocab)?\s*\([^()]*\)", re.IGNORECASE
)
_TABLE_OPTIONS = re.compile(r"\)\s*(?:STRICT|WITHOUT\s+ROWID)(?:\s*,\s*(?:STRICT|WITHOUT\s+ROWID))?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement of a migration, and what sqlglot makes of it; None for a full-text table."""

    migration: str
    number: int
    text: str
    parsed: exp.Expr | None

    @property
    def names(self) -> set[str]:
        """The tables, columns and indexes that it names."""
        if self.parsed is None:
            return {_full_text_table(self) or ""}
        return {identifier.name for identifier in self.parsed.find_all(exp.Identifier)}

    @property
    def constrained(self) -> str | None:
        """The table whose rows a constraint may keep it from writing, or from indexing."""
        parsed = self.parsed
        is_unique_index = isinstance(parsed, exp.Create) and parsed.args.get("unique")
        return _table(parsed.this) if parsed and (is_unique_index or isinstance(parsed, exp.DML)) else None

    def __str__(self) -> str:
        text = " ".join(self.text.split())
        return f"{self.migration}, statement {self.number} ({text[:80]}{'…' if text[80:] else ''})"


@dataclass(frozen=True)
class Migration:
    """One file that has passed the checks."""

    name: str
    statements: Sequence[Statement]


def read_migrations(folder: Path) -> list[Migration]:
    """The migrations in order. Raises a Problem for the first thing that is wrong with them."""
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise Problem(f"{folder} holds no migrations")
    for number, path in enumerate(paths, start=1):
        if not re.fullmatch(rf"{number:04}_[a-z0-9_]+\.sql", path.name):
            raise Problem(
                f"{path.name} stands where {number:04}_….sql should: migrations are numbered 0001, 0002 … without a gap"
            )
    check_hashes(folder)
    return [_read(path) for path in paths]


def _read(path: Path) -> Migration:
    try:
        return _migration(path.name, path.read_text())
    except UnicodeDecodeError as error:
        raise Problem(f"{path.name} cannot be read: {error}") from None


@cache  # a deploy reads them twice: before it bundles, and to apply them
def _migration(name: str, text: str) -> Migration:
    try:
        texts = statements_of(text)
    except Problem as error:
        raise Problem(f"{name} cannot be read: {error}") from None
    return Migration(
        name,
        [_checked(Statement(name, at, each, _parsed(name, at, each))) for at, each in enumerate(texts, start=1)],
    )


def _parsed(name: str, number: int, text: str) -> exp.Expr | None:
    statement = Statement(name, number, text, None)
    first = re.match(r"\w*", text.upper())
    if first and first[0] in _REFUSED:
        raise Problem(f"{statement}: D1 refuses {first[0]}: {_REFUSED[first[0]]}")
    if _FULL_TEXT_TABLE.fullmatch(text):
        return None
    if re.match(r"CREATE\s+VIRTUAL\b", text, re.IGNORECASE):
        raise Problem(f"{statement}: of virtual tables, only those USING fts5 can be read here")
    try:
        parsed = sqlglot.parse(_TABLE_OPTIONS.sub(")", text), read="sqlite")
    except sqlglot.errors.SqlglotError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()[0]
        raise Problem(f"{statement}: sqlglot cannot read it: {reason}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], _ALLOWED):
        raise Problem(f"{statement}: sqlglot cannot read it, so nobody knows what it does: put it in another way")
    return parsed[0]


def _checked(statement: Statement) -> Statement:
    """Refuses what D1 refuses, of what can be read."""
    parsed = statement.parsed
    if parsed is None:
        return statement
    if isinstance(parsed, exp.Pragma):
        pragma = re.search(r"PRAGMA\s+(?:\w+\.)?(\w+)", parsed.sql(dialect="sqlite"), re.IGNORECASE)
        if not pragma or pragma[1].lower() not in PRAGMAS:
            raise Problem(f"{statement}: D1 refuses PRAGMA {pragma[1] if pragma else ''}")
    if parsed.find(exp.TemporaryProperty):
        raise Problem(f"{statement}: D1 refuses temporary tables and views")
    if isinstance(parsed, exp.Create) and _table(parsed).lower().startswith(("_cf_", "sqlite_")):
        raise Problem(f"{statement}: D1 refuses names that begin with _cf_ or sqlite_")
    if any(str(function.this).lower() == "load_extension" for function in parsed.find_all(exp.Anonymous)):
        raise Problem(f"{statement}: D1 refuses load_extension")
    return statement


def destructive(migrations: Sequence[Migration], names: set[str]) -> list[str]:
    """The statements of the migrations `names` that lose data for good, each with what it does.

    Dropping a full-text table is none when the same migration creates it again: it is an index, and made anew from what
    it indexes.
    """
    found = []
    full_text: set[str] = set()
    for migration in migrations:
        created = [(each.number, table) for each in migration.statements if (table := _full_text_table(each))]
        full_text |= {table for _, table in created}
        for statement in migration.statements if migration.name in names else ():
            loss = _loss(statement.parsed)
            dropped = _table(statement.parsed) if loss == "drops a table" else None
            is_made_again = any(table == dropped and number > statement.number for number, table in created)
            if loss and not (dropped in full_text and is_made_again):
                found.append(f"{statement} {loss}")
    return found


def _loss(parsed: exp.Expr | None) -> str | None:
    """What a statement loses, if it does."""
    if isinstance(parsed, exp.Drop) and parsed.args["kind"] == "TABLE":
        return "drops a table"
    if isinstance(parsed, exp.Alter) and any(isinstance(action, exp.Drop) for action in parsed.args["actions"]):
        return "drops a column"
    if isinstance(parsed, exp.Insert) and parsed.args.get("alternative") == "REPLACE":
        return "replaces rows"
    if isinstance(parsed, exp.Delete | exp.Update):
        where = parsed.args.get("where")
        if where is None or where.find(exp.Column) is None:  # it is the same for every row
            return "deletes every row" if isinstance(parsed, exp.Delete) else "overwrites every row"
    return None


def _table(parsed: exp.Expr | None) -> str:
    table = parsed.find(exp.Table) if parsed else None
    return table.name if table else ""


def _full_text_table(statement: Statement) -> str | None:
    match = _FULL_TEXT_TABLE.fullmatch(statement.text) if statement.parsed is None else None
    return match[1] if match else None


def rehearse(migrations: Sequence[Migration]) -> dict[str, str | None]:
    """Applies the migrations to an empty database in memory; returns its schema.

    Raises a Problem for a statement that fails there, as it would everywhere.
    """
    with closing(apsw.Connection(":memory:")) as database:
        for migration in migrations:
            if failure := failing_statement(database, migration):
                raise Problem(f"{failure}; nothing was applied")
        rows = database.execute(SCHEMA).fetchall()
    return schema_of([dict(zip(("type", "name", "tbl_name", "sql"), row, strict=True)) for row in rows])


def failing_statement(database: apsw.Connection, migration: Migration) -> str | None:
    """Applies a migration to a database of ours as D1 does, whole or not at all; what fails there first, and why."""
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("BEGIN")
    where = migration.name
    try:
        for statement in migration.statements:
            where = str(statement)
            database.execute(statement.text).fetchall()
        where = migration.name
        database.execute("COMMIT")  # where deferred constraints are looked at
    except apsw.Error as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        return f"{where} fails: {error}"
    return None


def schema_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """A schema as it can be compared: by type and name the text of each thing that a migration has made.

    What stands behind a full-text table is there by name only: each version of SQLite words it in its own way.
    """
    full_text = {str(row["name"]) for row in rows if "USING fts5" in str(row["sql"])}
    behind = tuple(f"{table}_" for table in full_text)
    schema = {}
    for row in rows:
        name, table = str(row["name"]), str(row["tbl_name"])
        if not table.startswith(("_cf_", "sqlite_")) and not name.startswith("sqlite_"):
            schema[f"{row['type']} {name}"] = None if behind and table.startswith(behind) else row["sql"]
    return schema
