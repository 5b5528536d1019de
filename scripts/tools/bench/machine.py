"""Describes the machine that a run ran on, and the versions of what ran."""

import json
import os
import platform
import re
from pathlib import Path

import psutil

from tools.checkout import ROOT
from tools.local.install import Node, node_version

_PACKAGES = {
    "package-lock.json": ("wrangler", "workerd", "pyodide"),
    "bench/hono-d1/package-lock.json": ("hono", "zod"),
    "bench/load/package-lock.json": ("autocannon",),
    "tests/suites/flue-2/package-lock.json": ("@flue/runtime",),
}
_REQUIREMENTS = {
    "worker": ("msgspec", "pyjwt", "workers-runtime-sdk"),
    "bench": (
        *("apsw", "asyncpg", "psycopg", "openai-agents"),
        *("langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres"),
    ),
}


def machine() -> dict[str, str]:
    """The processor, the memory and the system."""
    system = f"{platform.system()} {platform.release()}"
    return {
        "processor": f"{os.cpu_count()} of {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": system,
    }


def versions(node: Node) -> dict[str, str]:
    """What was measured, and what measured it."""
    found = {"Python of the scripts": platform.python_version(), "Node": node_version(node.program)}
    for file, names in _PACKAGES.items():
        packages = json.loads((ROOT / file).read_text())["packages"]
        found |= {name: packages[f"node_modules/{name}"]["version"] for name in names}
    for group, names in _REQUIREMENTS.items():
        text = (ROOT / f"requirements/{group}.txt").read_text()
        found |= {name: match[1] for name in names if (match := re.search(rf"^{name}==(\S+)", text, re.MULTILINE))}
    return found


def _processor() -> str:
    file = Path("/proc/cpuinfo")  # by hand, as no library of ours tells the name of a processor
    match = re.search(r"^model name\s*: (.*)$", file.read_text() if file.exists() else "", re.MULTILINE)
    return match[1].strip() if match else platform.machine()
