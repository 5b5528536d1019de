"""Migrations: bring a database to the schema that this code needs, each step once.

The texts are those of `migrations/sqlite/`, embedded in `schema.py` because only what is under `src/` reaches a
Worker. D1 is the exception: there, `scripts/migrate` runs the files.
"""

from typing import NamedTuple

from threadkeep.sql.executor import Executor, Query


class Migration(NamedTuple):
    """One numbered file: its name and its statements."""

    name: str
    statements: tuple[str, ...]


_CREATE_RECORD = Query("""
CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID
""")
_APPLIED = Query("SELECT a.name FROM schema_migrations AS a")
_RECORD = Query("INSERT INTO schema_migrations (name) VALUES (:name)")


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
