"""Finds the tests that may notice what was changed since the last commit."""

import subprocess
from pathlib import Path

# By what the path of a changed file begins with: the first that fits. What nothing fits concerns the documents alone.
_TESTS = (
    ("src/threadkeep/server/", ["tests/unit", "tests/server"]),
    ("src/threadkeep/asgi.py", ["tests/unit", "tests/server"]),
    ("src/threadkeep/cli/", ["tests/server"]),
    ("src/threadkeep/worker/", ["tests/in_worker", "tests/conformance"]),
    ("src/entry.py", ["tests/in_worker", "tests/conformance"]),
    ("src/threadkeep/storage/postgres/", ["tests/unit", "tests/postgres", "tests/owner_proof", "tests/conformance"]),
    ("src/threadkeep/storage/", ["tests/unit", "tests/owner_proof", "tests/conformance"]),
    ("src/threadkeep/http/", ["tests/unit", "tests/api", "tests/clients"]),
    ("src/", ["tests/unit", "tests/conformance", "tests/api"]),
    ("migrations/", ["tests/unit", "tests/owner_proof", "tests/scripts", "tests/conformance"]),
    ("scripts/tools/bench/", ["tests/bench"]),
    ("scripts/", ["tests/scripts", "tests/local_runtime"]),
    ("requirements/", ["tests/scripts", "tests/local_runtime"]),
    ("bench/", ["tests/bench"]),
    ("docs/clients.md", ["tests/clients", "tests/docs"]),
    ("packages/", ["tests/clients/test_flue.py", "tests/in_worker/test_flue_sessions.py"]),
    ("tests/suites/", ["tests/clients/test_flue.py", "tests/scripts/test_suites.py"]),
    ("tests/clients/", ["tests/clients"]),
    ("tests/support/", ["tests"]),
    ("tests/conftest.py", ["tests"]),
    ("pyproject.toml", ["tests"]),
    ("", ["tests/docs", "tests/scripts/test_readme.py"]),
)


def tests_of_changes(root: Path) -> list[str]:
    """The folders and files of tests to run; none where nothing was changed."""
    found: dict[str, None] = {}
    for path in _changed(root):
        name = Path(path).name
        if path.startswith("tests/") and name.startswith("test_"):
            found |= {path: None} if (root / path).exists() else {}
        else:
            found |= dict.fromkeys(next(tests for start, tests in _TESTS if path.startswith(start)))
    return ["tests"] if "tests" in found else list(found)


def _changed(root: Path) -> list[str]:
    command = ["git", "status", "--porcelain", "--no-renames", "--untracked-files=all"]
    lines = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line[3:].strip('"') for line in lines]
