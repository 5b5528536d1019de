"""What the local Worker is told: the project's wrangler.toml, and what differs on a developer's machine."""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox.checkout import Problem
from toolbox.codes import Code

STORES = ("durable-object", "d1")

LOCAL_DATABASE = {
    "binding": "CONVERSATIONS_D1",
    "database_name": "threadkeep",
    "database_id": "00000000-0000-4000-8000-000000000001",
    "migrations_dir": "migrations/sqlite",
}

# How wrangler loads the files that runtime.py lays out.
RULES = [
    {"type": kind, "globs": [f"**/*{suffix}"], "fallthrough": False}
    for kind, suffix in (("ESModule", ".mjs"), ("CompiledWasm", ".wasm"), ("Data", ".bin"), ("Text", ".txt"))
]


def read_configuration(project: Path) -> dict[str, Any]:
    """The project's wrangler.toml."""
    file = project / "wrangler.toml"
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise Problem(f"there is no {file}", Code.CONFIGURATION_MISSING) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{file} is not TOML: {error}", Code.CONFIGURATION_BROKEN) from None


def object_classes(configuration: Mapping[str, Any]) -> list[str]:
    """The Durable Object classes that the Worker has to export."""
    bindings = configuration.get("durable_objects", {}).get("bindings", [])
    return sorted({binding["class_name"] for binding in bindings})


def local_configuration(
    configuration: Mapping[str, Any], project: Path, main_module: Path, store: str, variables: Mapping[str, str]
) -> dict[str, Any]:
    """The configuration that wrangler runs the JavaScript Worker at `main_module` with."""
    databases = configuration.get("d1_databases", [])
    if store == "d1" and not databases:
        databases = [LOCAL_DATABASE]
    flags = [flag for flag in configuration.get("compatibility_flags", []) if not flag.startswith("python_")]
    local = {
        **configuration,
        "main": str(main_module),
        "base_dir": str(main_module.parent),
        "no_bundle": True,
        "find_additional_modules": True,
        "rules": RULES,
        "compatibility_flags": [*flags, "nodejs_compat"],
        "vars": {
            **configuration.get("vars", {}),
            "ENVIRONMENT": "development",
            "AUTH_DEV_USER": "developer",
            **variables,
            "AGENT_CONVERSATION_STORE": store,
        },
        "d1_databases": [
            {**database, "migrations_dir": str(project / database.get("migrations_dir", "migrations"))}
            for database in databases
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
    for line in file.read_text().splitlines() if file.exists() else ():
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and not name.lstrip().startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"
            variables[name.strip()] = value[1:-1] if quoted else value.partition(" #")[0].strip()
    return variables
