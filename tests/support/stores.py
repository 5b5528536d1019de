"""Databases that are opened in this process, and the stores of their users."""

from threadkeep.conversations.store import DatabaseStore
from threadkeep.settings import Settings
from threadkeep.storage.base import Platform
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.storage.postgres import migrations as of_postgres
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.postgres.url import parse_url
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor
from threadkeep.storage.sql.migrate import migrate
from threadkeep.storage.sqlite import migrations as of_sqlite
from threadkeep.storage.sqlite.file import SqliteExecutor, SqliteFile


class ProcessPlace:
    """This process, as a back end sees it when it connects: a server, or a Worker to whom nothing is bound."""

    storage = None

    def __init__(self, variables: dict[str, str], platform: Platform = "server") -> None:
        self.platform = platform
        self.settings = Settings.read(variables.get)

    def binding(self, name: str) -> None:
        """There is none."""


def new_memory() -> MemoryDatabase:
    """An empty database in memory."""
    return MemoryDatabase()


def open_memory(database: MemoryDatabase, user_id: str) -> DatabaseStore:
    """A user's store in memory."""
    return database.open_store(user_id)


def open_sql(executor: Executor, user_id: str) -> DatabaseStore:
    """A user's store in a database that is open already."""
    return SqlStore(executor, user_id)


async def open_postgres(url: str) -> PostgresExecutor:
    """A Postgres database, as a server opens it."""
    from threadkeep.storage.postgres.pool import open_pool  # noqa: PLC0415 tests import it anew, without its driver

    return await open_pool(parse_url(url), of_postgres.MIGRATIONS)


async def open_sqlite_file(path: str) -> SqliteFile:
    """A SQLite file, as a server opens it."""
    return await SqliteFile.open(path, of_sqlite.MIGRATIONS)


async def open_sqlite(path: str) -> SqliteExecutor:
    """A SQLite database in this thread, such as `:memory:`."""
    executor = SqliteExecutor(path)
    await migrate(executor, of_sqlite.MIGRATIONS)
    return executor
