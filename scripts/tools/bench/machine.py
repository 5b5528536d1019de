"""What a run ran on, and with what."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path

from tools.checkout import ROOT
from tools.local.install import Node

_PACKAGES = {
    "package-lock.json": ("wrangler", "workerd", "pyodide"),
    "bench/hono-d1/package-lock.json": ("hono", "zod"),
    "bench/load/package-lock.json": ("autocannon",),
}
_REQUIREMENTS = {
    "worker": ("msgspec", "pyjwt", "workers-runtime-sdk"),
    "bench": ("apsw", "openai-agents", "langgraph-checkpoint-sqlite"),
}


def machine() -> dict[str, str]:
    """The processor, the memory and the system."""
    system = f"{platform.system()} {platform.release()}"
    return {"processor": f"{os.cpu_count()} of {_processor()}", "memory": _memory(), "system": system}


def versions(node: Node) -> dict[str, str]:
    """What was measured, and what measured it."""
    found = {"Python of the scripts": platform.python_version()}
    answer = subprocess.run([node.program, "--version"], capture_output=True, text=True, check=True)
    found["Node"] = answer.stdout.strip().removeprefix("v")
    for file, names in _PACKAGES.items():
        packages = json.loads((ROOT / file).read_text())["packages"]
        found |= {name: packages[f"node_modules/{name}"]["version"] for name in names}
    for group, names in _REQUIREMENTS.items():
        text = (ROOT / f"requirements/{group}.txt").read_text()
        found |= {name: match[1] for name in names if (match := re.search(rf"^{name}==(\S+)", text, re.MULTILINE))}
    return found


def _processor() -> str:
    match = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _memory() -> str:
    match = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return f"{int(match[1]) / 2**20:.0f} GiB" if match else "unknown"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
