"""The choice of a back end, row by row, and how each is opened."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import platform
from support.postgres import new_url
from threadkeep.conversations.records import ConversationRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import Unavailable
from threadkeep.settings import Settings
from threadkeep.storage import backends
from threadkeep.storage.backends import Choice, choose, d1_binding
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.sql.executor import read, write
from threadkeep.storage.sqlite.file import SqliteExecutor, SqliteFile

pytestmark = pytest.mark.anyio

EVERYWHERE = ("agentstate", "d1", "durable-object", "postgres", "clickhouse", "memory", "sqlite", "local")
D1 = frozenset({"CONVERSATIONS_D1"})
OBJECT = frozenset({"AGENT_CONVERSATIONS_DO"})
ON = {"AGENT_CONVERSATION_PERSISTENCE": "true"}
DEVELOPMENT = {"ENVIRONMENT": "development"}
AGENTSTATE = {"AGENTSTATE_API_KEY": "as_live_abc"}
POSTGRES = {"DATABASE_URL": "postgres://db.example/x"}
CLICKHOUSE = {"CLICKHOUSE_AGENT_CONVERSATIONS_TABLE": "chats.kept"}
SQLITE = {"SQLITE_PATH": "kept.sqlite"}


def asks_for(store: str) -> dict[str, str]:
    return {"AGENT_CONVERSATION_STORE": store}


def choice(
    variables: dict[str, str], bindings: frozenset[str] = frozenset(), offered: tuple[str, ...] = EVERYWHERE
) -> Choice:
    return choose(Settings.read({**ON, **variables}.get), bindings, offered)


CHOSEN = {
    "auto: D1": ({}, D1, "d1"),
    "auto: D1 under its other name": ({}, frozenset({"CHM_CLOUD_D1"}), "d1"),
    "auto: D1 before a Durable Object": ({}, D1 | OBJECT, "d1"),
    "auto: D1 before Postgres and ClickHouse": ({**POSTGRES, **CLICKHOUSE}, D1, "d1"),
    "auto: a Durable Object": ({}, OBJECT, "durable-object"),
    "auto: a Durable Object under the name that is set": (
        {"AGENT_CONVERSATIONS_DO_BINDING": "OBJECTS"},
        frozenset({"OBJECTS"}),
        "durable-object",
    ),
    "auto: a Durable Object before Postgres": (POSTGRES, OBJECT, "durable-object"),
    "auto: Postgres, and not memory": ({**POSTGRES, **DEVELOPMENT}, frozenset(), "postgres"),
    "auto: Postgres before ClickHouse": ({**POSTGRES, **CLICKHOUSE}, frozenset(), "postgres"),
    "auto: memory in development": (DEVELOPMENT, frozenset(), "memory"),
    "auto: memory in tests": ({"ENVIRONMENT": "test"}, frozenset(), "memory"),
    "auto: D1 before memory": (DEVELOPMENT, D1, "d1"),
    "auto: a file is never taken by itself": ({**DEVELOPMENT, **SQLITE}, frozenset(), "memory"),
    "auto: a database of ClickHouse is not a table": (
        {**DEVELOPMENT, "CLICKHOUSE_DATABASE": "chats"},
        frozenset(),
        "memory",
    ),
    "by name: D1": (asks_for("d1"), D1, "d1"),
    "by name: a Durable Object, though D1 is there": (asks_for("durable-object"), D1 | OBJECT, "durable-object"),
    "by name: D1, though AgentState is set": ({**asks_for("d1"), **AGENTSTATE}, D1, "d1"),
    "by name: memory, though D1 is there": ({**asks_for("memory"), **DEVELOPMENT}, D1, "memory"),
    "by name: Postgres, though D1 is there": ({**asks_for("postgres"), **POSTGRES}, D1, "postgres"),
    "by name: a file": ({**asks_for("sqlite"), **SQLITE}, frozenset(), "sqlite"),
    "by name: local, though D1 is there": (asks_for("local"), D1, "local"),
}


@pytest.mark.parametrize(
    ("variables", "bindings", "store"), [pytest.param(*row, id=case) for case, row in CHOSEN.items()]
)
def test_a_back_end_is_chosen(variables: dict[str, str], bindings: frozenset[str], store: str) -> None:
    made = choice(variables, bindings)
    requested = variables.get("AGENT_CONVERSATION_STORE", "auto")
    reason = "It is the first of those that are set up." if requested == "auto" else "AGENT_CONVERSATION_STORE asks for"
    assert (made.requested, made.store) == (requested, store)
    assert made.is_persistent == (store not in ("memory", "local"))
    assert reason in made.reason


NOT_BUILT = (
    "is not built yet. Set AGENT_CONVERSATION_STORE to one of d1, durable-object, postgres, memory, sqlite, local."
)
REFUSED = {
    "auto: nothing in production": ({}, frozenset(), "in production nothing is kept in memory"),
    "auto: a binding of another name": ({}, frozenset({"DB"}), "No back end is set up"),
    "auto: AgentState before D1": (AGENTSTATE, D1, f"agentstate {NOT_BUILT}"),
    "auto: ClickHouse": (CLICKHOUSE, frozenset(), f"clickhouse {NOT_BUILT}"),
    "by name: AgentState": ({**asks_for("agentstate"), **AGENTSTATE}, D1, NOT_BUILT),
    "by name: ClickHouse": ({**asks_for("clickhouse"), **CLICKHOUSE}, D1, NOT_BUILT),
    "by name: Postgres without a URL": (asks_for("postgres"), D1, "DATABASE_URL is not set"),
    "by name: D1 without a binding": (asks_for("d1"), OBJECT, "there is no D1 binding CONVERSATIONS_D1"),
    "by name: a Durable Object without a binding": (
        asks_for("durable-object"),
        D1,
        "there is no Durable Object binding AGENT_CONVERSATIONS_DO",
    ),
    "by name: a Durable Object under another name": (
        {**asks_for("durable-object"), "AGENT_CONVERSATIONS_DO_BINDING": "OBJECTS"},
        OBJECT,
        "there is no Durable Object binding OBJECTS",
    ),
    "by name: a file without a path": (asks_for("sqlite"), D1, "SQLITE_PATH is not set"),
    "by name: memory in production": (asks_for("memory"), D1, "ENVIRONMENT is production"),
}


@pytest.mark.parametrize(
    ("variables", "bindings", "message"), [pytest.param(*row, id=case) for case, row in REFUSED.items()]
)
def test_a_choice_fails_rather_than_fall_back(
    variables: dict[str, str], bindings: frozenset[str], message: str
) -> None:
    with pytest.raises(Unavailable) as raised:
        choice(variables, bindings)
    assert message in str(raised.value)


@pytest.mark.parametrize("variables", [{}, asks_for("d1"), asks_for("postgres"), AGENTSTATE], ids=str)
@pytest.mark.parametrize("persistence", ["", "false"])
def test_without_persistence_it_is_local_whatever_else_is_set(variables: dict[str, str], persistence: str) -> None:
    made = choice({**variables, "AGENT_CONVERSATION_PERSISTENCE": persistence}, D1, ())
    assert made == Choice(
        variables.get("AGENT_CONVERSATION_STORE", "auto"),
        "local",
        False,
        "AGENT_CONVERSATION_PERSISTENCE is not true, so nothing is kept here.",
    )


@pytest.mark.parametrize(
    ("variables", "bindings", "offered", "named"),
    [
        pytest.param(
            {**asks_for("sqlite"), **SQLITE},
            D1,
            ("local", "d1", "memory"),
            "d1, memory, local",
            id="by name: a file in a Worker",
        ),
        pytest.param({**asks_for("memory"), **DEVELOPMENT}, D1, ("d1", "local"), "d1, local", id="by name: memory"),
        pytest.param(
            {**asks_for("postgres"), **POSTGRES},
            D1,
            ("local", "d1", "memory"),
            "d1, memory, local",
            id="by name: Postgres in a Worker",
        ),
        pytest.param(
            POSTGRES, frozenset(), ("d1", "memory", "local"), "d1, memory, local", id="auto: Postgres in a Worker"
        ),
        pytest.param(DEVELOPMENT, frozenset(), ("sqlite",), "sqlite", id="auto: memory"),
        pytest.param(
            {}, D1 | OBJECT, ("durable-object",), "durable-object", id="auto: D1, and not the Durable Object behind it"
        ),
    ],
)
def test_a_back_end_that_cannot_run_here_is_refused_and_those_that_can_are_named(
    variables: dict[str, str], bindings: frozenset[str], offered: tuple[str, ...], named: str
) -> None:
    with pytest.raises(Unavailable, match=f" cannot run here. Set AGENT_CONVERSATION_STORE to one of {named}.$"):
        choice(variables, bindings, offered)


def test_a_back_end_that_is_not_built_names_those_that_can_run_here() -> None:
    with pytest.raises(Unavailable, match=r"clickhouse is not built yet\. Set .* to one of d1, local\.$"):
        choice({**asks_for("clickhouse"), **CLICKHOUSE}, D1, ("clickhouse", "d1", "local"))


@pytest.mark.parametrize(
    ("bindings", "name"),
    [
        ({"CONVERSATIONS_D1"}, "CONVERSATIONS_D1"),
        ({"CHM_CLOUD_D1"}, "CHM_CLOUD_D1"),
        ({"CHM_CLOUD_D1", "CONVERSATIONS_D1"}, "CONVERSATIONS_D1"),
        ({"DB"}, None),
    ],
)
def test_the_d1_binding_is_found_under_either_name(bindings: set[str], name: str | None) -> None:
    assert d1_binding(bindings) == name


@pytest.fixture
def pyodide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the drivers of the platform import of it."""
    yield from platform.installed(monkeypatch)


class Storage:
    """The database of a Durable Object, as far as it is asked here: it answers nothing, and remembers."""

    def __init__(self) -> None:
        self.sql = self
        self.ran: list[str] = []

    def transactionSync(self, work: Callable[[], Any]) -> Any:  # noqa: N802 its name there
        return work()

    def exec(self, text: str, *values: Any) -> "Storage":
        self.ran.append(text)
        return self

    def toArray(self) -> platform.JsArray:  # noqa: N802 its name there
        return platform.JsArray()


@pytest.mark.usefixtures("pyodide")
async def test_the_database_of_an_object_is_brought_to_the_newest_schema() -> None:
    storage = Storage()
    executor = await backends.open_durable_object(storage)
    assert [text for text in storage.ran if "CREATE TABLE conversations" in text]
    assert backends.open_sql(executor, "ada").bookmark is None


@pytest.mark.usefixtures("pyodide")
@pytest.mark.parametrize(("bookmark", "expected"), [("after", "after"), (platform.NULL, None)])
def test_a_store_in_d1_goes_on_from_the_bookmark_of_the_client(bookmark: Any, expected: str | None) -> None:
    opened: list[str] = []

    class Database:
        def withSession(self, bookmark: str) -> Any:  # noqa: N802 its name there
            opened.append(bookmark)
            return self

        def getBookmark(self) -> Any:  # noqa: N802 its name there
            return bookmark

    assert backends.open_d1(Database(), "before").bookmark == expected
    assert opened == ["before"]


@pytest.mark.usefixtures("pyodide")
@pytest.mark.parametrize(("query", "expected"), [("SELECT 1", []), ("DELETE FROM owners", ["first-primary"])])
async def test_a_store_in_d1_begins_a_session_when_it_writes(query: str, expected: list[str]) -> None:
    from threadkeep.storage.sqlite.d1 import D1Executor  # noqa: PLC0415 only with the platform in place

    opened: list[str] = []

    class Database:
        def withSession(self, bookmark: str) -> Any:  # noqa: N802 its name there
            opened.append(bookmark)
            return self

        def prepare(self, text: str) -> Any:
            return self

        def bind(self, *values: Any) -> Any:
            return self

        async def all(self) -> Any:
            return SimpleNamespace(results=platform.JsArray([]))

    executor = D1Executor(Database())
    for _ in range(2):
        await executor.run((write if query.startswith("DELETE") else read)(query)())
    assert opened == expected


@pytest.mark.usefixtures("pyodide")
async def test_the_users_to_purge_are_asked_of_d1_a_limited_number_at_once() -> None:
    asked: list[Any] = []

    class Database:
        def prepare(self, text: str) -> Any:
            return self

        def bind(self, *values: Any) -> Any:
            asked.append(values)
            return self

        async def all(self) -> Any:
            return SimpleNamespace(results=platform.JsArray([{"value": "ada"}, {"value": "bob"}]))

    assert await backends.users_to_purge(backends.open_d1(Database()), 17, 9) == ["ada", "bob"]
    assert asked == [(17, 9)]  # by the primary, which answers whoever has no session


async def test_a_file_is_kept_from_one_opening_to_the_next(tmp_path: Path, record: ConversationRecord) -> None:
    path = str(tmp_path / "kept.sqlite")
    for is_new in (True, False):
        executor = await backends.open_sqlite_file(path)
        store: Store = backends.open_sql(executor, "ada")
        assert (await store.create_conversation(record))[1] is is_new
        assert store.bookmark is None
        await executor.close()


async def test_a_path_is_a_file_and_memory_is_one_connection(tmp_path: Path) -> None:
    opened = await backends.open_sqlite(str(tmp_path / "kept.sqlite"))
    assert isinstance(opened, SqliteFile)
    await opened.close()
    in_memory = await backends.open_sqlite(":memory:")
    assert isinstance(in_memory, SqliteExecutor)
    in_memory.close()


async def test_a_file_without_its_library_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apsw", None)
    monkeypatch.delitem(sys.modules, "threadkeep.storage.sqlite.file")
    with pytest.raises(Unavailable, match=r"sqlite needs apsw: install threadkeep\[sqlite\]"):
        await backends.open_sqlite_file(str(tmp_path / "kept.sqlite"))


async def test_a_server_opens_the_postgres_that_was_chosen(record: ConversationRecord) -> None:
    settings = Settings.read({**asks_for("postgres"), **ON, "DATABASE_URL": new_url()}.get)
    choice = choose(settings, (), EVERYWHERE)
    for is_new in (True, False):
        opened = await backends.open_executor(choice, settings)
        assert opened is not None
        assert (await backends.open_sql(opened, "ada").create_conversation(record))[1] is is_new
        await opened.close()


async def test_a_postgres_without_its_driver_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "threadkeep.storage.postgres.pool", raising=False)
    with pytest.raises(Unavailable, match=r"postgres needs asyncpg: install threadkeep\[postgres\]"):
        await backends.open_postgres("postgres://db.example/x")


async def test_a_worker_connects_to_postgres_by_sockets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def open_for_request(*given: Any) -> str:
        asked.append(given)
        return "an executor"

    module = SimpleNamespace(open_for_request=open_for_request)
    monkeypatch.setitem(sys.modules, "threadkeep.storage.postgres.workers_socket", module)
    assert await backends.connect_postgres("connect", "postgres://db.example/x") == "an executor"
    assert asked == [("connect", "postgres://db.example/x", MIGRATIONS)]


async def open_in_worker(store: str) -> Any:
    """Opens a back end as a Worker does."""
    match store:
        case "d1":
            return backends.open_d1(None)
        case "durable-object":
            return await backends.open_durable_object(None)
        case "postgres":
            return await backends.connect_postgres(None, "postgres://db.example/x")
    return backends.new_memory()


@pytest.mark.parametrize(
    ("store", "module"),
    [
        ("d1", "threadkeep.storage.sqlite.d1"),
        ("durable-object", "threadkeep.storage.sqlite.durable_object"),
        ("postgres", "threadkeep.storage.postgres.workers_socket"),
        ("memory", "threadkeep.storage.memory"),
    ],
)
async def test_a_worker_that_was_deployed_without_a_back_end_says_how_to_have_it(
    store: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unavailable, match=rf"without the back end {store}\. .* and run scripts/deploy\."):
        await open_in_worker(store)


def test_what_a_back_end_is_opened_with_is_imported_ahead_where_it_was_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    modules = {"memory": ("threadkeep.storage.memory", "threadkeep.storage.not_shipped"), "d1": ("threadkeep.nowhere",)}
    monkeypatch.setattr(backends, "_MODULES", modules)
    monkeypatch.setattr(backends, "import_module", imported.append)
    backends.preload(["memory", "d1", "local"])
    assert imported == ["threadkeep.storage.memory"]


async def test_a_memory_is_kept_from_one_opening_to_the_next(record: ConversationRecord) -> None:
    database = backends.new_memory()
    for is_new in (True, False):
        assert (await backends.open_memory(database, "ada").create_conversation(record))[1] is is_new
    assert (await backends.open_memory(backends.new_memory(), "ada").create_conversation(record))[1]
    assert (await backends.open_memory(database, "bob").create_conversation(record))[1]
