"""Runs tests of the npm package by vitest, against the plain server with a SQLite file."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local.install import Node
from tools.local.server import LocalServer
from tools.suites.published.flue import outcome_of
from tools.suites.suite import Outcome

SUITES = ("flue-0.10", "flue-2")
"""The folders in tests/suites/."""
_KEY = "tk_local"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of its own; its address. Its log is a file: a pipe would fill up."""
    with LocalServer(folder, store="sqlite", service_key=_KEY, fresh=True) as server:
        yield server.url


def environment(url: str, **more: str) -> dict[str, str]:
    """What a program is told, and nothing else."""
    return {"PATH": os.environ["PATH"], "THREADKEEP_URL": url, "THREADKEEP_KEY": _KEY, "NO_COLOR": "1", **more}


def run_tests(suite: tuple[Node, Path], url: str, folder: Path, *names: str) -> Outcome:
    """What vitest says of tests in files with these names."""
    node, where = suite
    report = folder / "report.json"
    command = [node.program, "node_modules/vitest/vitest.mjs", "run", *names, "--no-file-parallelism"]
    options = ["--testTimeout=60000", "--retry=3", "--reporter=json", f"--outputFile={report}"]
    subprocess.run([*command, *options], cwd=where, env=environment(url), capture_output=True, check=False, timeout=300)
    return outcome_of(json.loads(report.read_text()))
