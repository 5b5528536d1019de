"""The choice of a back end, row by row, and how each is opened."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import platform
from support.postgres import new_url
from support.stores import ProcessPlace, open_sqlite
from threadkeep.conversations.records import ConversationRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import Unavailable
from threadkeep.settings import NAMES, Settings
from threadkeep.storage import backends, sqlite
from threadkeep.storage.backends import BACKENDS, LOCAL, Choice, bindings_of, built_for, choose, named, ships
from threadkeep.storage.base import CAPABILITIES, PLATFORMS, Backend, Platform
from threadkeep.storage.sql.database import SqlDatabase
from threadkeep.storage.sql.executor import read, write
from threadkeep.storage.sqlite import D1_BINDINGS
from tools.checkout import ROOT

pytestmark = pytest.mark.anyio

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


def choice(variables: dict[str, str], bindings: frozenset[str] = frozenset(), platform: Platform = "worker") -> Choice:
    return choose(Settings.read({**ON, **variables}.get), bindings, platform)


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
    made = choice(variables, bindings, "server" if store == "sqlite" else "worker")
    requested = variables.get("AGENT_CONVERSATION_STORE", "auto")
    reason = "It is the first of those that are set up." if requested == "auto" else "AGENT_CONVERSATION_STORE asks for"
    assert (made.requested, made.store) == (requested, store)
    assert made.backend.is_persistent == (store not in ("memory", "local"))
    assert reason in made.reason


ON_A_WORKER, ON_A_SERVER = (
    ", ".join(backend.name for backend in BACKENDS if backend.is_built and platform in backend.runs_on)
    for platform in ("worker", "server")
)
NOT_BUILT = f"is not built yet. Set AGENT_CONVERSATION_STORE to one of {ON_A_WORKER}."
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
    made = choice({**variables, "AGENT_CONVERSATION_PERSISTENCE": persistence}, D1)
    assert made == Choice(
        variables.get("AGENT_CONVERSATION_STORE", "auto"),
        LOCAL,
        "AGENT_CONVERSATION_PERSISTENCE is not true, so nothing is kept here.",
    )


@pytest.mark.parametrize(
    ("variables", "bindings", "platform", "names"),
    [
        pytest.param(
            {**asks_for("sqlite"), **SQLITE},
            D1,
            "worker",
            ON_A_WORKER,
            id="by name: a file in a Worker",
        ),
        pytest.param(asks_for("d1"), D1, "server", ON_A_SERVER, id="by name: D1 on a server"),
        pytest.param({}, OBJECT, "server", ON_A_SERVER, id="auto: an object on a server"),
    ],
)
def test_a_back_end_that_cannot_run_here_is_refused_and_those_that_can_are_named(
    variables: dict[str, str], bindings: frozenset[str], platform: Platform, names: str
) -> None:
    with pytest.raises(Unavailable, match=f" cannot run here. Set AGENT_CONVERSATION_STORE to one of {names}.$"):
        choice(variables, bindings, platform)


def test_a_back_end_that_is_not_built_names_those_that_can_run_here() -> None:
    with pytest.raises(Unavailable, match=rf"clickhouse is not built yet\. Set .* to one of {ON_A_SERVER}\.$"):
        choice({**asks_for("clickhouse"), **CLICKHOUSE}, D1, "server")


@pytest.mark.parametrize(
    ("platform", "how"),
    [
        ("worker", "Bind a D1 database, bind a Durable Object, set DATABASE_URL, or set AGENT_CONVERSATION_STORE."),
        ("server", "Set DATABASE_URL, or set AGENT_CONVERSATION_STORE."),
    ],
)
def test_where_nothing_is_set_up_it_is_told_what_may_be(platform: Platform, how: str) -> None:
    with pytest.raises(Unavailable, match=f" {how}$"):
        choice({}, platform=platform)


def test_the_bindings_that_a_back_end_may_have_are_looked_for() -> None:
    settings = Settings.read({"AGENT_CONVERSATIONS_DO_BINDING": "OBJECTS"}.get)
    asked: list[str] = []

    def has_binding(name: str) -> bool:
        asked.append(name)
        return name in ("CHM_CLOUD_D1", "OBJECTS")

    assert bindings_of(settings, has_binding) == {"CHM_CLOUD_D1", "OBJECTS"}
    assert sorted(asked) == ["CHM_CLOUD_D1", "CONVERSATIONS_D1", "OBJECTS"]


# What each says of itself


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_back_end_says_all_that_others_go_by(backend: Backend) -> None:
    assert [each.name for each in BACKENDS].count(backend.name) == 1
    assert named(backend.name) is backend
    assert backend.capabilities <= set(CAPABILITIES)
    assert bool(backend.capabilities) == (backend.is_built and backend.keeps_conversations)
    assert backend.setting is None or backend.setting in NAMES
    drivers = {driver for platform in PLATFORMS if (driver := backend.driver(platform)) is not None}
    assert bool(drivers) == bool(backend.capabilities)
    for driver in drivers:  # beside the object, and with a way to connect
        assert driver.startswith(f"{type(backend).__module__}.")
        tree = ast.parse((ROOT / "src" / f"{driver.replace('.', '/')}.py").read_text())
        assert "connect" in [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    for method in ("missing", "hint", "shown"):
        getattr(backend, method)(*[Settings.read(lambda name: None), ()][: 2 if method == "missing" else 1])


def test_a_back_end_has_to_say_what_it_lacks() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?missing"):
        Backend()  # type: ignore[abstract]


def compared(text: str) -> list[str]:
    """Where a Python text compares something with the name of a back end, or looks it up in a table of its own."""
    names = {backend.name for backend in BACKENDS}
    found = []
    for node in ast.walk(ast.parse(text)):
        sides: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Dict):
            sides = [key for key in node.keys if key is not None]
        for side in sides:
            constants = {each.value for each in ast.walk(side) if isinstance(each, ast.Constant)}
            found += [f"{node.lineno}: {ast.unparse(node)}" for constant in constants & names if constant]
    return found


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ('if choice.store == "d1": pass', True),
        ('if "local" != store: pass', True),
        ('if store in ("d1", "postgres"): pass', True),
        ('match store:\n    case "memory":\n        pass', True),
        ('OPENED_BY = {"sqlite": 1}', True),
        ('named("sqlite")', False),
        ('if row["answer"] is None: pass', False),
    ],
)
def test_a_comparison_with_a_name_is_seen(text: str, is_found: bool) -> None:
    assert bool(compared(text)) is is_found


# Where such a word is something else: a scheme of URLs, what a script locks and embeds, and columns of the benchmark.
OTHER_WORDS = ("src/threadkeep/storage/postgres/url.py", "scripts/lock", "scripts/tools/bench/")


def test_nobody_compares_the_name_of_a_back_end() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts/tools").rglob("*.py")]
    files += [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix == ""]
    found = {
        name: lines
        for path in files
        if not (name := path.relative_to(ROOT).as_posix()).startswith(OTHER_WORDS)
        and (lines := compared(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("file", "stores", "is_shipped"),
    [
        ("entry.py", [], True),
        ("threadkeep/storage/backends.py", [], True),
        ("threadkeep/storage/sql/database.py", [], True),
        ("threadkeep/storage/sqlite/__init__.py", [], True),
        ("threadkeep/storage/sqlite/dialect.py", [], False),
        ("threadkeep/storage/sqlite/dialect.py", ["postgres", "memory", "sqlite"], False),
        ("threadkeep/storage/sqlite/dialect.py", ["d1"], True),
        ("threadkeep/storage/sqlite/d1.py", ["d1"], True),
        ("threadkeep/storage/sqlite/d1.py", ["durable-object"], False),
        ("threadkeep/storage/sqlite/file.py", [backend.name for backend in BACKENDS], False),
        ("threadkeep/storage/sqlite/deeper/__init__.py", ["postgres"], False),
        ("threadkeep/storage/sqlite/deeper/__init__.py", ["d1"], True),
    ],
)
def test_a_worker_is_shipped_with_what_its_back_ends_are_made_of(
    file: str, stores: list[str], is_shipped: bool
) -> None:
    assert ships(file, stores) is is_shipped


# Opening


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


class BoundPlace(ProcessPlace):
    """A Worker to whom D1 databases are bound, or an object with its storage."""

    def __init__(self, bindings: dict[str, Any], storage: Any = None) -> None:
        super().__init__({}, "worker")
        self.bindings = bindings
        self.storage = storage

    def binding(self, name: str) -> Any:
        return self.bindings.get(name)


@pytest.mark.usefixtures("pyodide")
async def test_the_database_of_an_object_is_brought_to_the_newest_schema() -> None:
    storage = Storage()
    database = await named("durable-object").connect(BoundPlace({}, storage))
    assert [text for text in storage.ran if "CREATE TABLE conversations" in text]
    assert database.open_store("ada").bookmark is None


def test_the_requests_of_users_are_answered_by_objects_where_each_has_one_and_here_everywhere_else() -> None:
    objects = object()
    place = BoundPlace({"AGENT_CONVERSATIONS_DO": objects})
    found = {backend.name: backend.elsewhere(place) for backend in BACKENDS}
    assert found.pop("durable-object") is objects
    assert set(found.values()) == {None}


@pytest.mark.usefixtures("pyodide")
@pytest.mark.parametrize("name", D1_BINDINGS)
@pytest.mark.parametrize(("bookmark", "expected"), [("after", "after"), (platform.NULL, None)])
async def test_a_store_in_d1_goes_on_from_the_bookmark_of_the_client(
    name: str, bookmark: Any, expected: str | None
) -> None:
    opened: list[str] = []

    class Database:
        def withSession(self, bookmark: str) -> Any:  # noqa: N802 its name there
            opened.append(bookmark)
            return self

        def getBookmark(self) -> Any:  # noqa: N802 its name there
            return bookmark

    database = await named("d1").connect(BoundPlace({name: Database()}))
    assert opened == []
    assert database.open_store("ada", "before").bookmark == expected
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

    database = await named("d1").connect(BoundPlace({"CONVERSATIONS_D1": Database()}))
    assert await database.users_to_purge(17, 9) == ["ada", "bob"]
    ((until, limit, time),) = asked
    assert (until, limit) == (17, 9)
    assert time > 1_700_000_000_000  # by the primary, which answers whoever has no session


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Backend, ProcessPlace]:
    """A back end of a server that outlives it, and where it is."""
    variables = {"SQLITE_PATH": str(tmp_path / "kept.sqlite"), "DATABASE_URL": new_url()}
    return named(request.param), ProcessPlace(variables)


async def test_what_is_kept_is_there_from_one_opening_to_the_next(
    place: tuple[Backend, ProcessPlace], record: ConversationRecord
) -> None:
    backend, where = place
    for is_new in (True, False):
        database = await backend.connect(where)
        store: Store = database.open_store("ada")
        assert (await store.create_conversation(record))[1] is is_new
        assert store.bookmark is None
        await database.check()
        await database.tidy()
        assert not await database.tidy_index()
        await database.close()


async def test_a_memory_is_kept_as_long_as_it_is_connected(record: ConversationRecord) -> None:
    memory, where = named("memory"), ProcessPlace({})
    database = await memory.connect(where)
    for is_new in (True, False):
        assert (await database.open_store("ada").create_conversation(record))[1] is is_new
    assert (await (await memory.connect(where)).open_store("ada").create_conversation(record))[1]
    assert (await database.open_store("bob").create_conversation(record))[1]
    await database.check()
    await database.tidy()
    assert not await database.tidy_index()
    await database.close()


async def test_a_database_of_one_request_is_asked_whether_it_answers_and_is_left_to_whoever_opened_it() -> None:
    executor = await open_sqlite(":memory:")
    database = SqlDatabase(executor)
    await database.check()
    await database.tidy()
    await database.close()
    await database.check()
    executor.close()


async def test_a_file_is_shown_and_no_url_is(tmp_path: Path) -> None:
    settings = Settings.read({**SQLITE, **POSTGRES}.get)
    assert [backend.shown(settings) for backend in BACKENDS if backend.shown(settings)] == ["file=kept.sqlite"]


@pytest.mark.parametrize(
    ("store", "library", "driver"),
    [
        ("sqlite", "apsw", "threadkeep.storage.sqlite.file"),
        ("postgres", "asyncpg", "threadkeep.storage.postgres.pool"),
    ],
)
async def test_a_back_end_without_its_library_is_unavailable(
    store: str, library: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, driver, raising=False)
    with pytest.raises(Unavailable, match=rf"{store} needs {library}: install threadkeep\[{store}\]"):
        await named(store).connect(ProcessPlace({**SQLITE, **POSTGRES}))


@pytest.mark.parametrize("backend", built_for("worker"), ids=lambda backend: backend.name)
async def test_a_worker_that_was_deployed_without_a_back_end_says_how_to_have_it(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not backend.keeps_conversations:  # and so nothing connects to it
        assert backend.worker_driver is None
        return
    monkeypatch.setitem(sys.modules, backend.worker_driver or "", None)
    with pytest.raises(Unavailable, match=rf"without the back end {backend.name}\. .* and run scripts/deploy\."):
        await backend.connect(BoundPlace({}))


def test_what_a_back_end_is_opened_with_is_imported_ahead_where_it_was_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(backends, "import_module", imported.append)
    monkeypatch.setattr(sqlite.D1, "worker_driver", "threadkeep.storage.sqlite.not_shipped")
    backends.preload("worker")
    drivers = [backend.worker_driver for backend in BACKENDS if backend.worker_driver is not None]
    assert imported == [driver for driver in drivers if not driver.endswith("not_shipped")]
    assert len(imported) == len(drivers) - 1
