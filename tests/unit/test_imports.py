"""What importing the core loads, what a Worker's snapshot holds beyond it, and which module may know which.

A server pays for every module at its start, and a Worker once, when it is deployed. What pulls in the platform or a
driver would end the one code base for all of them.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import threadkeep
from threadkeep.storage.backends import BACKENDS, STORE_NAMES, ships

PACKAGE = Path(threadkeep.__file__).parent
SITE_PACKAGES = Path(msgspec.__file__).parents[1]
PRODUCTS = {backend.folder.rpartition("/")[2] for backend in BACKENDS} - {"local"}

# What every process imports, and all of ours that this may load.
CORE = ["threadkeep.http.api", "threadkeep.storage.backends", "threadkeep.conversations.retention"]
KINDS_OF_STATE = ("blobs", "journals", "tasks", "threads")
OURS = {
    "threadkeep",
    "threadkeep.agents",
    *(f"threadkeep.agents.{name}" for name in ("checks", "cursors", "store", "values")),
    *(f"threadkeep.agents.{kind}" for kind in KINDS_OF_STATE),
    *(
        f"threadkeep.agents.{kind}.{name}"
        for kind in KINDS_OF_STATE
        for name in ("models", "records", "service", "store")
    ),
    *(
        f"threadkeep.agents.{name}"
        for name in (
            "journals.cursors",
            "journals.heads",
            "journals.rows",
            "tasks.notes",
            "threads.metadata",
        )
    ),
    *(f"threadkeep.agents.openai{name}" for name in ("", ".items", ".models", ".service")),
    "threadkeep.clock",
    "threadkeep.conversations",
    "threadkeep.conversations.branches",
    "threadkeep.conversations.content",
    "threadkeep.conversations.context",
    *(
        f"threadkeep.conversations.context.{name}"
        for name in (
            *("ai_sdk", "anthropic", "langchain", "media", "openai_chat", "openai_responses"),
            *("pairing", "parts", "reading", "service", "view", "written"),
        )
    ),
    "threadkeep.conversations.cursors",
    *(
        f"threadkeep.conversations.drafts{name}"
        for name in ("", ".folding", ".models", ".reading", ".records", ".service", ".settling", ".store", ".streaming")
    ),
    "threadkeep.conversations.export_v1",
    "threadkeep.conversations.forking",
    "threadkeep.conversations.models",
    "threadkeep.conversations.records",
    "threadkeep.conversations.resent",
    "threadkeep.conversations.retention",
    "threadkeep.conversations.search",
    "threadkeep.conversations.service",
    "threadkeep.conversations.store",
    "threadkeep.conversations.titles",
    "threadkeep.conversations.visible",
    "threadkeep.errors",
    "threadkeep.http",
    "threadkeep.http.api",
    "threadkeep.http.auth",
    "threadkeep.http.bodies",
    "threadkeep.http.messages",
    "threadkeep.http.problems",
    "threadkeep.http.router",
    "threadkeep.http.events",
    "threadkeep.http.routes",
    *(
        f"threadkeep.http.routes.{name}"
        for name in (
            *("base", "branches", "changes", "context", "conversations", "drafts", "export_and_import"),
            *("me", "messages", "openai"),
            *("public", "rows", "search"),
            *KINDS_OF_STATE,
        )
    ),
    "threadkeep.ids",
    "threadkeep.setting_types",
    "threadkeep.settings",
    "threadkeep.signals",
    "threadkeep.storage",
    "threadkeep.storage.backends",
    "threadkeep.storage.base",
    *(type(backend).__module__ for backend in BACKENDS),
    "threadkeep.tokenizer",
    "threadkeep.users",
    "threadkeep.validation",
    "threadkeep.work",
}
# What the Worker imports beyond that, so that it is in its snapshot, and no request has to.
IN_SNAPSHOT = {
    "threadkeep.agents.journals.names",
    "threadkeep.agents.threads.cursors",
    "threadkeep.conversations.changes",
    "threadkeep.common_mistakes",
    "threadkeep.conversations.filters",
    *(
        f"threadkeep.http.descriptions{name}"
        for name in (
            "",
            ".branches",
            ".context",
            ".drafts",
            ".openai",
            ".operation",
            *(f".{kind}" for kind in KINDS_OF_STATE),
        )
    ),
    "threadkeep.http.docs",
    "threadkeep.http.openapi",
    "threadkeep.http.schemas",
    "threadkeep.storage.sql",
    "threadkeep.storage.sql.agents",
    *(f"threadkeep.storage.sql.agents.{name}" for name in ("base", *KINDS_OF_STATE)),
    "threadkeep.storage.sql.arrays",
    "threadkeep.storage.sql.base",
    "threadkeep.storage.sql.branches",
    "threadkeep.storage.sql.columns",
    "threadkeep.storage.sql.conversations",
    "threadkeep.storage.sql.database",
    "threadkeep.storage.sql.dialect",
    "threadkeep.storage.sql.drafts",
    "threadkeep.storage.sql.executor",
    "threadkeep.storage.sql.marks",
    "threadkeep.storage.sql.messages",
    "threadkeep.storage.sql.migrate",
    "threadkeep.storage.sql.statements",
    "threadkeep.validation_messages",
    "threadkeep.storage.sql.statements.expiring",
    "threadkeep.worker",
    "threadkeep.worker.event_loop",
    "threadkeep.worker.durable_object",
    "threadkeep.worker.entrypoint",
    "threadkeep.worker.environment",
    "threadkeep.worker.following",
    "threadkeep.worker.requests",
    "threadkeep.worker.sdk_patches",
    "threadkeep.worker.turnstile",
    *(
        f"threadkeep.storage.sql.statements.{name}"
        for name in (
            "base",
            "branches",
            "drafts",
            "erasing",
            "forking",
            "indexing",
            "linking",
            "messages",
            "reading",
            "searching",
            "writing",
            *KINDS_OF_STATE,
        )
    ),
}
# All that a Worker is shipped with of the products' folders.
OF_PRODUCTS = {
    f"threadkeep.storage.{'.'.join(path.with_suffix('').parts).removesuffix('.__init__')}"
    for path in (each.relative_to(PACKAGE / "storage") for each in (PACKAGE / "storage").rglob("*.py"))
    if path.parts[0] in PRODUCTS
    and path.as_posix() != f"{path.parts[0]}/__init__.py"
    and ships(f"threadkeep/storage/{path.as_posix()}", STORE_NAMES)
}
# What ours adds to what its dependencies cost: the log, what tells letters from signs, and when to look for garbage.
DEPENDENCIES = ["jwt", "msgspec", "msgspec.structs", "ulid"]
ADDED = {"atexit", "gc", "logging", "traceback", "unicodedata"}
THIRD_PARTY = {"jwt", "msgspec", "typing_extensions", "ulid"}
# Of the standard library, what takes long to load or has no place in a Worker. PyJWT brings some of it along, for keys
# that it would fetch; its share is what it is today, and anything more is a surprise.
HEAVY = {
    "argparse",
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "dataclasses",
    "doctest",
    "http.client",
    "http.server",
    "multiprocessing",
    "pdb",
    "pydoc",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "tomllib",
    "unittest",
    "unittest.mock",
    "urllib.request",
    "xml",
    "zipfile",
}
# asyncio with what it brings, which the platform has imported already; and what msgspec makes decoders with.
HEAVY_IN_SNAPSHOT = {"asyncio", "concurrent.futures", "dataclasses", "subprocess"}
HEAVY_OF_DEPENDENCIES = {"http.client", "ssl", "tempfile", "urllib.request", "zipfile"}
PLATFORM = {"_pyodide", "js", "pyodide", "pyodide_js", "workers"}
MODULES_MAX = 200  # beside ours, which are all named above


# Stands in for the platform while the entry is imported outside of workerd: whatever is asked for is a class.
STAND_INS = """
import types
for name in ("js", "pyodide", "pyodide.ffi", "workers"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__getattr__ = lambda name: type(name, (Exception,), {})
"""


# PyJWT loads cryptography where it is, as it is beside the tests: the SDK of OpenAI's agents brings it along.
HIDING = "sys.modules['cryptography'] = None"
SHOWING = "del sys.modules['cryptography']; print(*sys.modules)"


def loaded_by(modules: list[str], package: Path = PACKAGE, before: str = "") -> set[str]:
    """The modules that a fresh interpreter has once it has imported these."""
    code = f"import sys; sys.path[:0] = {[str(package.parent), str(SITE_PACKAGES)]!r}"
    lines = [code, HIDING, before, *(f"import {module}" for module in modules), SHOWING]
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", "\n".join(lines)], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def over_budget(package: Path = PACKAGE) -> list[str]:
    """What importing the core loads and should not."""
    bare = loaded_by([])
    dependencies = loaded_by(DEPENDENCIES)
    loaded = loaded_by(CORE, package)
    tops = {name.partition(".")[0] for name in loaded - bare}
    foreign = {name for name in tops if name not in sys.stdlib_module_names} - THIRD_PARTY - {"threadkeep"}
    ours = {name for name in loaded if name.partition(".")[0] == "threadkeep"}
    added = {name for name in loaded - dependencies if name.partition(".")[0] != "threadkeep"}
    return sorted(
        (ours - OURS)
        | foreign
        | (PLATFORM & loaded)
        | (HEAVY & loaded - HEAVY_OF_DEPENDENCIES)
        | (added - ADDED)
        | ({f"{len(loaded - ours)} modules"} if len(loaded - ours) > MODULES_MAX else set())
    )


def test_the_core_loads_nothing_heavy_no_driver_and_nothing_of_the_platform() -> None:
    assert over_budget() == []


def test_a_workers_snapshot_holds_what_requests_need_and_no_more() -> None:
    loaded = loaded_by(["entry"], before=STAND_INS)
    assert {name for name in loaded if name.partition(".")[0] == "threadkeep"} == (OURS | IN_SNAPSHOT | OF_PRODUCTS)
    tops = {name.partition(".")[0] for name in loaded - loaded_by([], before=STAND_INS)}
    assert {name for name in tops if name not in sys.stdlib_module_names} <= THIRD_PARTY | {"threadkeep", "entry"}
    assert (HEAVY & loaded) - HEAVY_OF_DEPENDENCIES <= HEAVY_IN_SNAPSHOT


def test_the_budget_lists_no_module_that_is_not_there() -> None:
    loaded = loaded_by(CORE)
    assert loaded >= OURS
    assert loaded >= HEAVY_OF_DEPENDENCIES


@pytest.mark.parametrize(
    ("module", "line", "reported"),
    [
        ("conversations/service.py", "import unittest.mock", "unittest.mock"),
        ("conversations/service.py", "import sqlite3", "sqlite3"),
        ("conversations/service.py", "import apsw", "apsw"),
        ("conversations/service.py", "import asyncpg", "asyncpg"),
        ("http/messages.py", "import httpx", "httpx"),
        ("http/api.py", "import threadkeep.storage.sqlite.file", "threadkeep.storage.sqlite.file"),
        ("http/routes/public.py", "import threadkeep.http.openapi", "threadkeep.http.openapi"),
        ("storage/backends.py", "from threadkeep.storage.memory import store", "threadkeep.storage.memory.store"),
        ("conversations/models.py", "import difflib", "difflib"),
    ],
)
def test_a_heavy_import_is_found_out(module: str, line: str, reported: str, tmp_path: Path) -> None:
    package = Path(shutil.copytree(PACKAGE, tmp_path / "threadkeep", ignore=shutil.ignore_patterns("__pycache__")))
    path = package / module
    path.write_text(f"{line}\n{path.read_text()}")
    assert reported in over_budget(package)


# Which rooms each room may know where it runs: a folder, or a module of the package itself. What only the type checker
# reads does not count. The registry of back ends and their objects stand alone: every process has all of them.
KNOWS: dict[str, set[str]] = {
    "__init__": set(),
    "clock": set(),
    "errors": set(),
    "ids": {"clock"},
    "tokenizer": set(),
    "work": set(),
    "users": {"errors"},
    "setting_types": {"errors"},
    "signals": set(),
    "settings": {"errors", "setting_types", "storage/backends", "users"},
    "common_mistakes": set(),
    "validation": {"conversations", "errors", "validation_messages", "work"},
    "validation_messages": {"common_mistakes"},
    "agents": {"conversations", "errors", "ids", "validation", "work"},
    "agents/openai": {"agents", "clock", "conversations", "errors"},
    "conversations": {"clock", "conversations/drafts", "errors", "ids", "tokenizer", "validation", "work"},
    "conversations/drafts": {"conversations", "errors", "ids", "validation", "work"},
    "conversations/context": {"conversations", "errors", "work"},
    "storage/objects": {"errors"},
    "storage/backends": {"errors", "storage/objects"},
    "storage/sql": {
        *("agents", "clock", "conversations", "conversations/drafts", "errors", "ids", "signals", "tokenizer", "work"),
    },
    "storage/sql/statements": {"storage/sql"},
    "http": {
        *("__init__", "agents", "conversations", "errors", "http/descriptions", "http/routes", "ids", "settings"),
        *("signals", "storage/backends", "storage/objects", "users", "validation", "work"),
    },
    "http/descriptions": set(),
    "http/routes": {
        *("__init__", "agents", "agents/openai", "clock", "conversations", "conversations/context"),
        *(
            "conversations/drafts",
            "errors",
            "http",
            "ids",
            "settings",
            "signals",
            "storage/backends",
            "storage/objects",
            "users",
        ),
    },
    "worker": {
        *("clock", "conversations", "conversations/drafts", "errors", "http", "settings", "signals"),
        *("storage/backends", "storage/objects", "validation_messages"),
    },
    "server": {"__init__", "conversations", "errors", "http", "http/routes", "settings", "signals", "storage/objects"},
    "asgi": {"server"},
    "cli": {
        *("__init__", "client", "conformance", "errors", "server", "settings", "storage/backends", "storage/objects"),
    },
    "conformance": {"agents", "conformance/helpers", "errors", "ids"},
    "conformance/helpers": {"agents", "errors", "validation"},
    "adapters": {"agents", "client", "clock", "errors", "ids"},
    "client/api": {"client", "errors", "ids"},
    "client/sync": {"client", "conversations", "errors", "ids"},
    "client": {
        *("agents", "client/api", "client/sync", "conversations", "conversations/context", "conversations/drafts"),
        *("errors", "settings"),
        *("storage/backends", "storage/objects"),
    },
}
OF_ANY_PRODUCT = {
    *("agents", "clock", "conversations", "conversations/drafts", "errors", "ids", "storage/objects", "storage/sql"),
    "storage/sql/statements",
    *("signals", "tokenizer", "work"),
}
"""What a product's folder may know."""
WORKER = {
    f"worker/{name}" for name in ("durable_object", "entrypoint", "environment", "following", "requests", "sdk_patches")
}
# Modules of others that only these may import.
RESERVED = {
    "apsw": {"storage/sqlite/file"},
    "asyncpg": {"storage/postgres/pool"},
    "sqlite3": set(),
    "pyodide": {
        *("storage/sqlite/js_values", "storage/sqlite/d1", "storage/sqlite/durable_object"),
        *("storage/postgres/workers_socket", *WORKER),
    },
    "workers": {"storage/postgres/workers_socket", *WORKER},
    "js": {"storage/sqlite/js_values", "storage/postgres/workers_socket", *WORKER},
    "jwt": {"http/auth"},
    "ulid": {"ids", "conversations/export_v1"},
    "httpx": {
        *(f"client/{name}" for name in ("client", "blobs", "conversations", "states", "transport")),
        *("client/sync/client", "client/sync/transport"),
    },
    "anyio": {"client/waiting"},
    "urllib": {
        *(
            "worker/environment",
            "worker/following",
            "http/router",
            "http/messages",
            "server/asgi",
            "storage/postgres/url",
        ),
        *(f"client/{kind}" for kind in KINDS_OF_STATE),
        *("client/api/conversations", "client/sync/conversations"),
    },
    "http": {"server/connection"},
    "os": {
        *("asgi", "http/messages", "cli/serve", "server/metrics", "server/serving", "storage/sqlite/file"),
        *("client/client", "client/sync/client", "client/states", "cli/conformance", "adapters/openai_agents"),
    },
    "uvicorn": {"server/connection", "server/serving"},
    "h11": {"server/connection"},
    "prometheus_client": {"server/metrics"},
    "random": set(),
    "secrets": {"storage/postgres/workers_socket"},
    "uuid": set(),
    "time": {
        "http/events",
        *("client/api/drafts", "client/sync/drafts", "client/sync/waiting"),
        "clock",
        "storage/sqlite/file",
        "server/application",
        "server/asgi",
        "server/serving",
        "storage/sql/database",
    },
    "datetime": {"adapters/langgraph", "conversations/export_v1", "server/logs"},
    "unicodedata": {"tokenizer", "conversations/titles", "storage/postgres/scram"},
}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(tree: ast.AST) -> set[str]:
    """The full names of what a module imports when it runs, at its top or later."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        else:
            found |= imports_of(node)
    return found


def module_of(name: str) -> str | None:
    """The module of ours that a full name is of, or None where it is somebody else's."""
    first, *parts = name.split(".")
    if first != "threadkeep":
        return None
    while parts:
        path = "/".join(parts)
        found = [module for module in (path, f"{path}/__init__") if module in MODULES]
        if found:
            return found[0]
        parts.pop()
    return "__init__"


def room_of(module: str) -> str:
    if module in OBJECTS:
        return "storage/objects"
    kind_of_state = re.fullmatch("(agents|storage/[a-z]+)/(agents|journals|tasks|blobs|threads)/[a-z_]+", module)
    if kind_of_state:
        return kind_of_state[1]
    return module if module == "storage/backends" else module.rpartition("/")[0] or module


OBJECTS = {
    *("storage/__init__", "storage/base", "storage/local"),
    *(name for name in MODULES if re.fullmatch("storage/[a-z]+/__init__", name) and name != "storage/sql/__init__"),
}
"""What every process has of every back end, and the scripts before anything is installed."""


def ours_in(imports: set[str]) -> set[str]:
    return {module for module in map(module_of, imports) if module is not None}


def rooms_known_by(module: str) -> set[str]:
    return {room_of(known) for known in ours_in(imports_of(MODULES[module]))} - {room_of(module)}


def test_every_room_has_its_place_and_knows_what_is_said_of_it() -> None:
    known: dict[str, set[str]] = {}
    for module in MODULES:
        known.setdefault(room_of(module), set()).update(rooms_known_by(module))
    of_products = {room: known.pop(room, set()) for room in [f"storage/{product}" for product in PRODUCTS]}
    assert known == KNOWS
    assert {room: rooms - OF_ANY_PRODUCT for room, rooms in of_products.items() if rooms - OF_ANY_PRODUCT} == {}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_of_others_only_what_is_its_business(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert {name for name in tops & set(RESERVED) if module not in RESERVED[name]} == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: ours_in(imports_of(tree)) - {module} for module, tree in MODULES.items()}
    while left:
        ready = [module for module, needed in left.items() if not needed & set(left)]
        assert ready, f"a circle among {sorted(left)}"
        for module in ready:
            del left[module]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import threadkeep.storage.sql.conversations", {"storage/sql/conversations"}),
        ("from threadkeep.conversations import service", {"conversations/service"}),
        ("from threadkeep.http.messages import Request", {"http/messages"}),
        ("from threadkeep import __version__", {"__init__"}),
        (
            "def f():\n    if True:\n        from threadkeep.storage.sql import statements",
            {"storage/sql/statements/__init__"},
        ),
        ("if TYPE_CHECKING:\n    from threadkeep.storage.sql import statements", set()),
        ("import json", set()),
    ],
)
def test_an_import_is_seen_wherever_it_stands(line: str, names: set[str]) -> None:
    assert ours_in(imports_of(ast.parse(line))) == names
