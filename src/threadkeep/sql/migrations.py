"""Migrations: bring a database to the schema that this code needs, each step once.

The texts are those of `migrations/sqlite/`, embedded in `schema.py` because only what is under `src/` reaches a
Worker. D1 is the exception: there, `scripts/migrate` runs the files.
"""

import re
from typing import NamedTuple

from threadkeep.errors import Unavailable
from threadkeep.sql.executor import Executor, Query


class Migration(NamedTuple):
    """One numbered file: its name and its statements."""

    name: str
    statements: tuple[str, ...]


_CREATE_RECORD = Query("""
CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID
""")
_NAMES = Query("SELECT lower(s.name) AS name FROM sqlite_schema AS s")
_COLUMNS_OF_RECORD = Query("SELECT c.name FROM pragma_table_info('schema_migrations') AS c")
_APPLIED = Query("SELECT a.name FROM schema_migrations AS a")
_RECORD = Query("INSERT INTO schema_migrations (name) VALUES (:name)")

_TABLE = re.compile(r"CREATE (?:VIRTUAL )?TABLE ([a-z_]+)")


async def migrate(executor: Executor, migrations: tuple[Migration, ...]) -> list[str]:
    """Apply what is pending, in order, and answer the names. A migration and its record are kept together or not.

    Running it again changes nothing. Names in the database that are not among `migrations` are left alone.
    """
    _, rows = await executor.run(_CREATE_RECORD(), _APPLIED())
    applied = {row["name"] for row in rows}
    pending = [migration for migration in migrations if migration.name not in applied]
    for migration in pending:
        await executor.run(
            *(Query(text, has_parameters=False)() for text in migration.statements), _RECORD(name=migration.name)
        )
    return [migration.name for migration in pending]


async def refuse_others(executor: Executor, migrations: tuple[Migration, ...]) -> None:
    """Raises Unavailable where the database has tables of something else under our names, or has seen a migration that
    is not among these. It changes nothing.
    """
    names, columns = await executor.run(_NAMES(), _COLUMNS_OF_RECORD())
    ours = {table for migration in migrations for text in migration.statements for table in _TABLE.findall(text)}
    if {"name": "name"} not in columns and (columns or ours & {row["name"] for row in names}):
        raise Unavailable(
            "The database has tables of something else under our names, and is left alone. Name another database."
        )
    (rows,) = await executor.run(_APPLIED()) if columns else [[]]
    newer = {row["name"] for row in rows} - {migration.name for migration in migrations}
    if newer:
        raise Unavailable(
            f"The database has the schema of a newer version ({max(newer)}), and is left alone. "
            "Run that version of Threadkeep, or name another database."
        )
