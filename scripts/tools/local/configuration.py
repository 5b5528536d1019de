"""Makes the configuration of the local Worker: wrangler.toml, and what differs on a developer's machine."""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threadkeep.storage.sqlite import D1_BINDINGS
from tools.checkout import Problem
from tools.cloudflare.wrangler_schema import parts, what_is_wrong
from tools.exit_codes import Code
from tools.local import pyodide_bundle

DEFAULT_STORE = "durable-object"
"""The back end that `scripts/dev` takes by itself."""

MIGRATIONS = "migrations/sqlite"

LOCAL_DATABASE = {
    "binding": D1_BINDINGS[0],
    "database_name": "threadkeep",
    "database_id": "00000000-0000-4000-8000-000000000001",
    "migrations_dir": MIGRATIONS,
}


def read_configuration(project: Path) -> dict[str, Any]:
    """The project's wrangler.toml."""
    file = project / "wrangler.toml"
    try:
        configuration = parsed(file, file.read_bytes())
    except FileNotFoundError:
        message = f"there is no {file}: `git checkout wrangler.toml` brings it back"
        raise Problem(message, Code.CONFIGURATION_MISSING) from None
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}", Code.CONFIGURATION_BROKEN) from None
    sources = (project / "src").resolve()
    for before, part in parts(configuration).items():
        # Its folder is copied, and all that is below that.
        if "main" in part and not (project / part["main"]).resolve().is_relative_to(sources):
            message = f"{file} is wrong: {before}main has to be a file in src/, such as src/entry.py"
            raise Problem(message, Code.CONFIGURATION_BROKEN)
    return configuration


def parsed(file: Path, content: bytes) -> dict[str, Any]:
    """What is in a wrangler.toml. Raises a Problem unless it has the shape that is relied on here."""
    try:
        configuration = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise Problem(f"{file} is wrong: it is nested without end", Code.CONFIGURATION_BROKEN) from None
    except ValueError as error:
        raise Problem(f"{file} is not TOML: {error}", Code.CONFIGURATION_BROKEN) from None
    if wrong := what_is_wrong(configuration):
        raise Problem(f"{file} is wrong: {wrong}", Code.CONFIGURATION_BROKEN)
    return configuration


def our_database(part: Mapping[str, Any]) -> Any:
    """The D1 binding, in an environment or at the top, that keeps conversations; None where there is none."""
    ours = [each for each in part.get("d1_databases", []) if each.get("binding") in D1_BINDINGS]
    if len(ours) > 1:
        names = " and ".join(each["binding"] for each in ours)
        raise Problem(f"wrangler.toml binds two databases, {names}: leave one of them", Code.CONFIGURATION_BROKEN)
    return ours[0] if ours else None


def migrations_folder(project: Path, database: Mapping[str, Any]) -> Path:
    """Where the migrations of a D1 database are, which may leave that out."""
    folder: str = database.get("migrations_dir", MIGRATIONS)
    return project / folder


def object_classes(configuration: Mapping[str, Any]) -> list[str]:
    """The Durable Object classes that the Worker has to export."""
    bindings = configuration.get("durable_objects", {}).get("bindings", [])
    return sorted({binding["class_name"] for binding in bindings})


def local_configuration(
    configuration: Mapping[str, Any],
    project: Path,
    main_module: Path,
    store: str,
    variables: Mapping[str, str],
    *,
    needs_d1: bool = False,
) -> dict[str, Any]:
    """The configuration that wrangler runs the Worker at `main_module` with on this machine.

    With `needs_d1` it has a D1 database, whether one is bound or not.
    """
    databases = configuration.get("d1_databases", [])
    if needs_d1 and our_database(configuration) is None:
        databases = [*databases, LOCAL_DATABASE]
    local = {
        **configuration,
        "main": str(main_module),
        "compatibility_flags": [*configuration.get("compatibility_flags", []), pyodide_bundle.FLAG],
        "vars": {
            **configuration.get("vars", {}),
            "ENVIRONMENT": "development",
            "AUTH_DEV_USER": "developer",
            **variables,
            "AGENT_CONVERSATION_STORE": store,
        },
        "d1_databases": [
            {**database, "migrations_dir": str(migrations_folder(project, database))} for database in databases
        ],
    }
    if "assets" in configuration:
        assets = configuration["assets"]
        local["assets"] = {**assets, "directory": str(project / assets["directory"])}
    return local


def service_key_variables(key: str) -> dict[str, str]:
    """The variable that lets `key` in. The Worker knows its hash only."""
    if not key.startswith("tk_") or len(key) == len("tk_"):
        raise Problem("a service key begins with tk_, as in --service-key tk_0123456789abcdef")
    return {"AUTH_SERVICE_KEYS": hashlib.sha256(key.encode()).hexdigest()}


def dev_vars(project: Path) -> dict[str, str]:
    """The developer's own variables, from `.dev.vars`: lines of NAME=value, as wrangler reads them."""
    file = project / ".dev.vars"
    variables = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    except UnicodeDecodeError:
        raise Problem(f"{file} is not text in UTF-8") from None
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}") from None
    for line in lines:
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and not name.lstrip().startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"
            variables[name.strip()] = value[1:-1] if quoted else value.partition(" #")[0].strip()
    return variables
