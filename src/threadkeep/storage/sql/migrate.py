"""Migrations: bring a database to the schema that this code needs, each step once.

The texts are those of `migrations/sqlite/`, embedded in `storage/sqlite/migrations.py`, because only what is under
`src/` reaches a Worker. D1 is the exception: there, `scripts/migrate` runs the files.
"""

from typing import NamedTuple

from threadkeep.errors import Unavailable
from threadkeep.storage.sql.executor import Executor, read, write


class Migration(NamedTuple):
    """One numbered file: its name and its statements."""

    name: str
    statements: tuple[str, ...]


_CREATE_RECORD = write("""
CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID
""")
_NAMES = read("SELECT s.name FROM sqlite_schema AS s WHERE s.name NOT GLOB 'sqlite_*'")
_COLUMNS_OF_RECORD = read("SELECT c.name FROM pragma_table_info('schema_migrations') AS c")
_APPLIED = read("SELECT a.name FROM schema_migrations AS a")
_RECORD = write("INSERT INTO schema_migrations (name) VALUES (:name)")


async def migrate(executor: Executor, migrations: tuple[Migration, ...]) -> list[str]:
    """Apply what is pending, in order, and return the names. A migration and its record are kept together or not.

    Running it again changes nothing. Names in the database that are not among `migrations` are left alone.
    """
    _, rows = await executor.run(_CREATE_RECORD(), _APPLIED())
    applied = {row["name"] for row in rows}
    pending = [migration for migration in migrations if migration.name not in applied]
    for migration in pending:
        await executor.run(
            *(write(text, has_parameters=False)() for text in migration.statements), _RECORD(name=migration.name)
        )
    return [migration.name for migration in pending]


async def refuse_others(executor: Executor, migrations: tuple[Migration, ...]) -> None:
    """Raises Unavailable where the database has tables and none of these migrations, so that it is something else's, or
    has seen a migration that is not among these. It changes nothing.
    """
    tables, columns = await executor.run(_NAMES(), _COLUMNS_OF_RECORD())
    has_record = {"name": "name"} in columns
    (rows,) = await executor.run(_APPLIED()) if has_record else [[]]
    others = {row["name"] for row in tables} - ({"schema_migrations"} if has_record else set())
    if others and not rows:
        raise Unavailable(
            "The database has the tables of another application, and is left alone. Name another database."
        )
    newer = {row["name"] for row in rows} - {migration.name for migration in migrations}
    if newer:
        raise Unavailable(
            f"The database has the schema of a newer version ({max(newer)}), and is left alone. "
            "Run that version of Threadkeep, or name another database."
        )
