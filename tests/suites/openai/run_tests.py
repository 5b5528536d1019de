"""Runs tests of OpenAI's Agents SDK with our session in the place of its own, and a new user for each of their files.

They stand below the working directory; arguments are their paths. The store is the SQLite file that THREADKEEP_FILE
names, opened in this process, or else the Threadkeep that THREADKEEP_URL and THREADKEEP_KEY lead to. What is left out,
and why, is in left_out.txt. The result goes to the file that RESULT names.
"""

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import agents.memory.sqlite_session
import pytest

from threadkeep.adapters.openai_agents import ThreadkeepSession

USERS: dict[str, str] = {}
"""A user for each file that the SDK's own session would have."""


class SQLiteSession(ThreadkeepSession):
    """Our session, made as the SDK's own is."""

    def __init__(
        self,
        session_id: str,
        db_path: str | Path = ":memory:",
        sessions_table: str = "",
        messages_table: str = "",
        session_settings: Any = None,
    ) -> None:
        new = f"openai-{uuid.uuid4().hex}"
        user = new if str(db_path) == ":memory:" else USERS.setdefault(str(db_path), new)
        super().__init__(session_id, os.environ.get("THREADKEEP_FILE"), user=user, session_settings=session_settings)

    def close(self) -> None:  # type: ignore[override]  # the SDK's own does not wait
        """There is nothing to close: other tests have the same connection."""


class Report:
    """What is run, and what comes of it."""

    def __init__(self, left_out: dict[str, str]) -> None:
        self.reasons = left_out
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.left_out = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid.partition("[")[0] not in self.reasons]
        self.left_out = len(items) - len(chosen)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when == "call":
            self.passed.add(report.nodeid)
        elif not report.passed:  # a test that skips itself has no result, and is no success
            self.failed[report.nodeid] = str(report.longrepr).strip().splitlines()[-1][:200]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr).strip().splitlines()[-1][:200]


def main() -> None:
    """Runs them."""
    lines = (Path(__file__).parent / "left_out.txt").read_text().splitlines()
    report = Report(dict(line.split(": ", 1) for line in lines if line and not line.startswith("#")))
    for module in (agents, agents.memory, agents.memory.sqlite_session):
        setattr(module, "SQLiteSession", SQLiteSession)  # noqa: B010 the tests import it from any of these
    pytest.main([*sys.argv[1:], "-q", "-p", "no:cacheprovider"], plugins=[report])
    found = {
        "passed": len(report.passed - report.failed.keys()),
        "failures": [f"{name}: {why}" for name, why in report.failed.items()],
        "left_out": report.left_out,
    }
    Path(os.environ["RESULT"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
