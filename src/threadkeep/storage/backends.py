"""Which back end keeps the conversations, and how it is opened. Drivers are imported here and nowhere else."""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Unavailable
from threadkeep.settings import D1_BINDINGS, Settings

if TYPE_CHECKING:
    from threadkeep.storage.memory import MemoryDatabase
    from threadkeep.storage.sql.executor import Executor, SharedExecutor

_BUILT = ("d1", "durable-object", "postgres", "memory", "sqlite", "local")
_AUTO = ("agentstate", "d1", "durable-object", "postgres", "clickhouse", "memory")
"""The order in which `auto` takes the first that is set up."""


_MODULES = {
    "d1": ("threadkeep.storage.sqlite.d1", "threadkeep.storage.sql.conversations"),
    "durable-object": ("threadkeep.storage.sqlite.durable_object", "threadkeep.storage.sql.conversations"),
    "memory": ("threadkeep.storage.memory",),
    "postgres": (
        "threadkeep.storage.postgres.workers_socket",
        "threadkeep.storage.postgres.migrations",
        "threadkeep.storage.postgres.url",
        "threadkeep.storage.sql.conversations",
    ),
}
"""What each back end of a Worker is opened with."""


class Choice(Struct, frozen=True):
    """The back end that was chosen, and why."""

    requested: str
    store: str
    is_persistent: bool
    """Whether what is kept outlives the process."""
    reason: str


def choose(settings: Settings, bindings: Container[str], offered: Container[str], default: str | None = None) -> Choice:
    """Choose the back end. `bindings` are those that the platform has, `offered` the back ends that can run on it.

    `default` is the one that `auto` takes where no other is set up; without it, memory outside production.
    A store that was asked for by name is that store or an error, never another.
    Raises Unavailable for one that is not built yet, cannot run here, or lacks what it needs.
    """
    if not settings.persistence:
        return Choice(
            settings.store,
            "local",
            False,
            "AGENT_CONVERSATION_PERSISTENCE is not true, so nothing is kept here.",
        )
    missing = _missing(settings, bindings)
    if settings.store == "auto":
        names = _AUTO if default is None else (*_AUTO[:-1], default)
        store = next((name for name in names if missing[name] is None), None)
        if store is None:
            raise Unavailable(_nothing_is_set_up(settings, missing, offered))
        reason = "It is the first of those that are set up."
        if store == default:
            reason = f"No other back end is set up, and this server then takes {store}."
    else:
        store = settings.store
        reason = "AGENT_CONVERSATION_STORE asks for it."
    if store not in _BUILT:
        raise Unavailable(f"The back end {store} is not built yet. {_choose(offered)}")
    if missing[store] is not None:
        raise Unavailable(f"The back end {store} is not set up: {missing[store]}.")
    if store not in offered:
        raise Unavailable(f"The back end {store} cannot run here. {_choose(offered)}")
    return Choice(settings.store, store, store not in ("memory", "local"), reason)


def d1_binding(bindings: Container[str]) -> str | None:
    """The name of the D1 binding that is there, or None."""
    return next((name for name in D1_BINDINGS if name in bindings), None)


def preload(stores: Iterable[str]) -> None:
    """Import what the first request to each of these back ends would import. One that was not shipped is left out.

    Cloudflare starts a Worker from a snapshot of what it had imported when it was deployed, so that whatever a request
    imports comes late, and from source.
    """
    for store in stores:
        for module in _MODULES.get(store, ()):
            if find_spec(module) is not None:
                import_module(module)


def open_d1(database: Any, bookmark: str | None = None) -> "Executor":
    """A D1 database, for one request. For `open_sql`."""
    with _deployed("d1"):
        from threadkeep.storage.sqlite.d1 import D1Executor

    return D1Executor(database, bookmark)


async def open_durable_object(storage: Any) -> "Executor":
    """The database of a Durable Object, brought to the newest schema. For `open_sql`, as long as the object lives."""
    with _deployed("durable-object"):
        from threadkeep.storage.sqlite.durable_object import DurableObjectExecutor

    executor = DurableObjectExecutor(storage)
    await executor.open()
    return executor


async def open_sqlite(path: str) -> "Executor":
    """A SQLite file, or `:memory:`, brought to the newest schema. For `open_sql`, as long as the process lives.

    Raises Unavailable where it cannot be opened, is no database, or has the schema of a newer version or of something
    else.
    """
    if path != ":memory:":
        return await open_sqlite_file(path)
    from threadkeep.storage.sql.migrate import migrate
    from threadkeep.storage.sqlite.file import SqliteExecutor
    from threadkeep.storage.sqlite.migrations import MIGRATIONS

    executor = SqliteExecutor(path)
    await migrate(executor, MIGRATIONS)
    return executor


async def open_sqlite_file(path: str) -> "SharedExecutor":
    """A SQLite file, as `open_sqlite` opens it, read and written off the event loop."""
    from threadkeep.storage.sqlite.migrations import MIGRATIONS

    try:
        from threadkeep.storage.sqlite.file import SqliteFile
    except ImportError as error:
        raise Unavailable("The back end sqlite needs apsw: install threadkeep[sqlite].") from error

    return await SqliteFile.open(path, MIGRATIONS)


async def open_executor(choice: Choice, settings: Settings) -> "SharedExecutor | None":
    """The database that was chosen, as long as a server's process lives; None for memory, which has none.

    Raises Unavailable where it cannot be opened, or is not one that this version can use.
    """
    if choice.store == "sqlite":
        return await open_sqlite_file(settings.sqlite_path or "")
    if choice.store == "postgres":
        return await open_postgres(settings.database_url or "")
    return None


async def users_to_purge(executor: "Executor", until: int, limit: int) -> list[str]:
    """Some of the users of an open database who deleted something then or before, in Unix milliseconds."""
    from threadkeep.storage.sql.conversations import users_to_purge

    return await users_to_purge(executor, until, limit)


async def tidy_index(executor: "Executor") -> bool:
    """Remove from an open database's index a part of what was taken out of it; answer whether there may be more."""
    from threadkeep.storage.sql.conversations import tidy_index

    return await tidy_index(executor)


async def open_postgres(url: str) -> "SharedExecutor":
    """A Postgres database, its schema brought to the newest version. For `open_sql`, as long as the process lives.

    `url` is the setting DATABASE_URL. Raises Unavailable where it is wrong, or where the database cannot be used.
    """
    try:
        from threadkeep.storage.postgres.pool import open_pool
    except ImportError as error:
        raise Unavailable("The back end postgres needs asyncpg: install threadkeep[postgres].") from error
    from threadkeep.storage.postgres.migrations import MIGRATIONS
    from threadkeep.storage.postgres.url import parse_url

    return await open_pool(parse_url(url), MIGRATIONS)


async def connect_postgres(connect: Any, url: str) -> "Executor":
    """A Postgres database as one request of a Worker sees it, its schema brought to the newest version. For `open_sql`.

    `connect` is that of `cloudflare:sockets`, and `url` the setting DATABASE_URL. Raises Unavailable where that is
    wrong, or where the database cannot be used.
    """
    with _deployed("postgres"):
        from threadkeep.storage.postgres.workers_socket import open_for_request
    from threadkeep.storage.postgres.migrations import MIGRATIONS

    return await open_for_request(connect, url, MIGRATIONS)


def open_sql(executor: "Executor", user_id: str) -> DatabaseStore:
    """A user's store in a database that is open already."""
    from threadkeep.storage.sql.conversations import SqlStore

    return SqlStore(executor, user_id)


def new_memory() -> "MemoryDatabase":
    """An empty database in memory. For `open_memory`, as long as the process lives."""
    with _deployed("memory"):
        from threadkeep.storage.memory import MemoryDatabase

    return MemoryDatabase()


def open_memory(database: "MemoryDatabase", user_id: str) -> DatabaseStore:
    """A user's store in memory."""
    from threadkeep.storage.memory import MemoryStore

    return MemoryStore(database, user_id)


@contextmanager
def _deployed(store: str) -> Iterator[None]:
    """Say what to do where a Worker was deployed without what a back end is opened with."""
    try:
        yield
    except ImportError as error:
        raise Unavailable(
            f"This Worker was deployed without the back end {store}. "
            f"Bind it in wrangler.toml, or set AGENT_CONVERSATION_STORE to {store} there, and run scripts/deploy."
        ) from error


def _choose(offered: Container[str]) -> str:
    return f"Set AGENT_CONVERSATION_STORE to one of {', '.join(name for name in _BUILT if name in offered)}."


def _nothing_is_set_up(settings: Settings, missing: dict[str, str | None], offered: Container[str]) -> str:
    why = "No back end is set up" + (", and in production nothing is kept in memory." if missing["memory"] else ".")
    if settings.sqlite_path is None or "sqlite" not in offered:
        how = "Bind a D1 database or a Durable Object" if "d1" in offered else "Set DATABASE_URL"
        return f"{why} {how}, or set AGENT_CONVERSATION_STORE."
    wrong = missing["sqlite"] or "SQLITE_PATH alone does not ask for a file; set AGENT_CONVERSATION_STORE to sqlite"
    return f"{why} {wrong}."


def _missing(settings: Settings, bindings: Container[str]) -> dict[str, str | None]:
    """What each back end lacks; None where it is set up."""
    return {
        "agentstate": None if settings.agentstate_api_key else "AGENTSTATE_API_KEY is not set",
        "d1": None if d1_binding(bindings) else f"there is no D1 binding {D1_BINDINGS[0]}",
        "durable-object": (
            None
            if settings.durable_object_binding in bindings
            else f"there is no Durable Object binding {settings.durable_object_binding}"
        ),
        "postgres": None if settings.database_url else "DATABASE_URL is not set",
        "clickhouse": None if settings.has_clickhouse_table else "CLICKHOUSE_AGENT_CONVERSATIONS_TABLE is not set",
        "memory": "ENVIRONMENT is production" if settings.environment == "production" else None,
        "sqlite": _missing_file(settings),
        "local": None,
    }


def _missing_file(settings: Settings) -> str | None:
    if settings.sqlite_path is None:
        return "SQLITE_PATH is not set"
    if settings.sqlite_path != ":memory:":
        return None
    how = "AGENT_CONVERSATION_STORE to memory"
    if settings.environment == "production":
        how = "it to the path of one, and AGENT_CONVERSATION_STORE to sqlite"
    return f"SQLITE_PATH is :memory:, which is no file; set {how}"
