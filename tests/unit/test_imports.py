"""What importing the core loads, what a Worker's snapshot holds beyond it, and which module may know which.

A server pays for every module at its start, and a Worker once, when it is deployed. What pulls in the platform or a
driver would end the one code base for all of them.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import threadkeep

PACKAGE = Path(threadkeep.__file__).parent
SITE_PACKAGES = Path(msgspec.__file__).parents[1]

# What every process imports, and all of ours that this may load.
CORE = ["threadkeep.http.api", "threadkeep.backends", "threadkeep.retention"]
OURS = {
    "threadkeep",
    "threadkeep.backends",
    "threadkeep.clock",
    "threadkeep.content",
    "threadkeep.drafts",
    "threadkeep.errors",
    "threadkeep.http",
    "threadkeep.http.api",
    "threadkeep.http.auth",
    "threadkeep.http.public",
    "threadkeep.http.router",
    "threadkeep.http.routes",
    "threadkeep.http.wire",
    "threadkeep.models",
    "threadkeep.retention",
    "threadkeep.search",
    "threadkeep.service",
    "threadkeep.settings",
    "threadkeep.store",
    "threadkeep.tokens",
    "threadkeep.transfer",
    "threadkeep.users",
    "threadkeep.validation",
    "threadkeep.work",
}
# What the Worker imports beyond that, so that it is in its snapshot, and no request has to.
IN_SNAPSHOT = {
    "threadkeep.cursors",
    "threadkeep.feed",
    "threadkeep.http.docs",
    "threadkeep.http.openapi",
    "threadkeep.sql",
    "threadkeep.sql.columns",
    "threadkeep.sql.crossing",
    "threadkeep.sql.d1",
    "threadkeep.sql.dialect",
    "threadkeep.sql.durable_object",
    "threadkeep.sql.executor",
    "threadkeep.sql.first_sqlite_index",
    "threadkeep.sql.marks",
    "threadkeep.sql.migrations",
    "threadkeep.sql.schema",
    "threadkeep.sql.sqlite_dialect",
    "threadkeep.sql.statements",
    *(
        f"threadkeep.sql.statements.{name}"
        for name in ("base", "erasing", "indexing", "reading", "searching", "writing")
    ),
    "threadkeep.sql.store",
    "threadkeep.stores",
    "threadkeep.stores.memory",
    "threadkeep.tokens",
    "threadkeep.turns",
    "threadkeep.worker",
    "threadkeep.worker.sdk_patches",
    "threadkeep.worker.turnstile",
}
IN_SNAPSHOT_WITH_POSTGRES = {
    f"threadkeep.sql.postgres{name}"
    for name in ("", "_connection", "_dialect", "_schema", "_scram", "_socket", "_url", "_wire")
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
MODULES_MAX = 225  # about 205 on Python 3.11


# Stands in for the platform while the entry is imported outside of workerd: whatever is asked for is a class.
STAND_INS = """
import types
for name in ("js", "pyodide", "pyodide.ffi", "workers"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__getattr__ = lambda name: type(name, (Exception,), {})
"""


def loaded_by(modules: list[str], package: Path = PACKAGE, before: str = "") -> set[str]:
    """The modules that a fresh interpreter has once it has imported these."""
    code = f"import sys; sys.path[:0] = {[str(package.parent), str(SITE_PACKAGES)]!r}"
    lines = [code, before, *(f"import {module}" for module in modules), "print(*sys.modules)"]
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
        | ({f"{len(loaded)} modules"} if len(loaded) > MODULES_MAX else set())
    )


def test_the_core_loads_nothing_heavy_no_driver_and_nothing_of_the_platform() -> None:
    assert over_budget() == []


def test_a_workers_snapshot_holds_what_requests_need_and_no_more() -> None:
    loaded = loaded_by(["entry"], before=STAND_INS)
    assert {name for name in loaded if name.partition(".")[0] == "threadkeep"} == (
        OURS | IN_SNAPSHOT | IN_SNAPSHOT_WITH_POSTGRES
    )
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
        ("service.py", "import unittest.mock", "unittest.mock"),
        ("service.py", "import sqlite3", "sqlite3"),
        ("service.py", "import apsw", "apsw"),
        ("service.py", "import asyncpg", "asyncpg"),
        ("http/wire.py", "import httpx", "httpx"),
        ("http/api.py", "import threadkeep.sql.sqlite", "threadkeep.sql.sqlite"),
        ("http/public.py", "import threadkeep.http.openapi", "threadkeep.http.openapi"),
        ("backends.py", "from threadkeep.stores import memory", "threadkeep.stores.memory"),
        ("models.py", "import difflib", "difflib"),
    ],
)
def test_a_heavy_import_is_found_out(module: str, line: str, reported: str, tmp_path: Path) -> None:
    package = Path(shutil.copytree(PACKAGE, tmp_path / "threadkeep", ignore=shutil.ignore_patterns("__pycache__")))
    path = package / module
    path.write_text(f"{line}\n{path.read_text()}")
    assert reported in over_budget(package)


# Which of ours each module may import where it runs; what only the type checker reads does not count.
DOMAIN = {"clock", "content", "cursors", "drafts", "errors", "models", "validation"}
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "clock": set(),
    "errors": set(),
    "models": {"clock"},
    "users": {"errors"},
    "settings": {"errors", "users"},
    "validation": {"clock", "errors", "models", "work"},
    "cursors": {"errors", "models"},
    "content": {"errors", "models", "validation"},
    "drafts": {"models"},
    "store": {"drafts", "errors", "models"},
    "feed": {"cursors", "models", "store"},
    "tokens": set(),
    "work": set(),
    "search": {"errors", "models", "tokens", "work"},
    "service": {
        *("clock", "content", "drafts", "errors", "models", "search", "store", "tokens", "validation", "work"),
    },
    "transfer": {
        *("clock", "content", "drafts", "errors", "models", "search", "service", "store", "validation", "work"),
    },
    "retention": {"clock", "models", "store", "work"},
    "turns": set(),
    "worker/__init__": set(),
    "worker/sdk_patches": {"turns"},
    "worker/turnstile": {"clock", "errors"},
    "backends": {"errors", "settings", "store", "sql", "stores"},
    "asgi": {"server"},
    "server/__init__": set(),
    "server/limits": {"http"},
    "server/load": {"errors", "server"},
    "server/exchange": {"http", "server"},
    "server/database": {"backends", "errors", "settings", "sql", "store"},
    "server/metrics": {"errors", "http"},
    "server/logs": set(),
    "server/connection": {"errors", "http", "server"},
    "server/serving": {"server"},
    "server/application": {"__init__", "backends", "clock", "errors", "http", "retention", "server", "store"},
    "server/command": {"__init__", "backends", "errors", "server", "settings"},
    "http/__init__": set(),
    "http/wire": {"errors"},
    "http/router": {"errors", "http"},
    "http/auth": {"errors", "http", "settings", "users", "validation"},
    "http/routes": {
        "drafts",
        "errors",
        "http",
        "models",
        "retention",
        "service",
        "store",
        "transfer",
        "validation",
        "work",
    },
    "http/public": {"__init__", "backends", "errors", "http", "settings"},
    "http/openapi": {"__init__", "clock", "http", "models", "transfer", "users"},
    "http/docs": set(),
    "http/api": {"backends", "clock", "errors", "http", "settings", "store", "validation"},
    "sql/__init__": set(),
    "sql/executor": {"errors", "models"},
    "sql/dialect": {"search", "sql"},
    "sql/columns": set(),
    "sql/marks": set(),
    "sql/statements/__init__": {"sql"},
    "sql/statements/base": {"sql"},
    "sql/statements/erasing": {"sql"},
    "sql/statements/indexing": {"sql"},
    "sql/statements/reading": {"sql"},
    "sql/statements/searching": {"sql"},
    "sql/statements/writing": {"sql"},
    "sql/sqlite_dialect": {"search", "sql"},
    "sql/first_sqlite_index": {"search", "sql"},
    "sql/schema": {"sql"},
    "sql/migrations": {"errors", "sql"},
    "sql/store": {*DOMAIN, "feed", "search", "sql", "store", "tokens", "work"},
    "sql/sqlite": {"errors", "sql"},
    "sql/postgres": {"errors", "sql"},
    "sql/postgres_connection": {"sql"},
    "sql/postgres_pool": {"errors", "sql"},
    "sql/postgres_scram": set(),
    "sql/postgres_socket": {"errors", "sql"},
    "sql/postgres_wire": {"sql"},
    "sql/postgres_schema": {"sql"},
    "sql/postgres_dialect": {"search", "sql"},
    "sql/postgres_url": {"errors"},
    "sql/crossing": {"sql"},
    "sql/d1": {"errors", "sql"},
    "sql/durable_object": {"errors", "sql"},
    "stores/__init__": set(),
    "stores/memory": {*DOMAIN, "feed", "search", "store", "tokens", "work"},
    # The one that is a client of our own HTTP.
    "stores/remote": {*DOMAIN, "http"},
}
# Modules of others that only these may import.
RESERVED = {
    "apsw": {"sql/sqlite"},
    "asyncpg": {"sql/postgres_pool"},
    "sqlite3": set(),
    "pyodide": {"sql/crossing", "sql/d1", "sql/durable_object", "sql/postgres_socket", "worker/sdk_patches"},
    "workers": {"worker/sdk_patches"},
    "js": {"sql/crossing", "sql/postgres_socket", "worker/sdk_patches"},
    "jwt": {"http/auth"},
    "ulid": {"clock", "transfer"},
    "httpx": {"stores/remote"},
    "urllib": {"http/router", "http/wire", "server/exchange", "sql/postgres_url"},
    "http": {"server/connection"},
    "os": {"asgi", "http/wire", "server/command", "server/metrics", "server/serving", "sql/sqlite"},
    "uvicorn": {"server/connection", "server/serving"},
    "h11": {"server/connection"},
    "prometheus_client": {"server/metrics"},
    "random": set(),
    "secrets": {"sql/postgres_socket"},
    "uuid": set(),
    "time": {"clock", "sql/sqlite", "server/application", "server/database", "server/exchange", "server/serving"},
    "datetime": {"transfer", "server/logs"},
    "unicodedata": {"tokens", "sql/postgres_scram"},
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


def ours_in(imports: set[str]) -> set[str]:
    parts = [name.split(".") for name in imports if name.partition(".")[0] == "threadkeep"]
    return {"__init__" if part[1].startswith("__") else part[1] for part in parts}


def test_every_module_has_its_place() -> None:
    assert set(ALLOWED) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_what_is_beneath_it(module: str) -> None:
    assert ours_in(imports_of(MODULES[module])) <= ALLOWED[module]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_of_others_only_what_is_its_business(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert {name for name in tops & set(RESERVED) if module not in RESERVED[name]} == set()


def test_the_table_allows_nothing_that_is_not_used_and_no_circle() -> None:
    for module, allowed in ALLOWED.items():
        if not allowed >= DOMAIN:
            assert allowed == ours_in(imports_of(MODULES[module])), module
    # What is imported at the top of each can be put in an order.
    left = {
        module: {name.split(".")[1] for name in imports_of(tree) if name.startswith("threadkeep.")} - {"__version__"}
        for module, tree in MODULES.items()
        if "/" not in module and module != "backends"
    }
    while left:
        ready = [module for module, needed in left.items() if not needed & set(left)]
        assert ready, f"a circle among {sorted(left)}"
        for module in ready:
            del left[module]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import threadkeep.sql.store", {"sql"}),
        ("from threadkeep import service", {"service"}),
        ("from threadkeep.http.wire import Request", {"http"}),
        ("from threadkeep import __version__", {"__init__"}),
        ("def f():\n    if True:\n        from threadkeep.sql import statements", {"sql"}),
        ("if TYPE_CHECKING:\n    from threadkeep.sql import statements", set()),
        ("import json", set()),
    ],
)
def test_an_import_is_seen_wherever_it_stands(line: str, names: set[str]) -> None:
    assert ours_in(imports_of(ast.parse(line))) == names
