"""What a published suite is: one object that installs it, and runs it against a store."""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tools.checkout import ROOT, Problem
from tools.local.install import Node
from tools.local.processes import Group, last_lines

FILE = "file"
"""The store of a suite in Python that opens a SQLite file by itself, without a server."""
SERVED = ("memory", "sqlite", "postgres", "d1", "durable-object")
"""The stores that are served, and reached by HTTP."""
STORES = (FILE, *SERVED)


def pinned(distribution: str) -> str:
    """The version of a package from PyPI that requirements/suites.txt has."""
    (version,) = re.findall(
        rf"^{distribution}==(\S+)", (ROOT / "requirements" / "suites.txt").read_text(), re.MULTILINE
    )
    return str(version)


@dataclass(frozen=True)
class Target:
    """Where a suite finds the store that it is run against."""

    store: str
    folder: Path
    """A folder of this run alone, empty: for logs, results and the SQLite file."""
    url: str = ""
    """Where the store is served; empty for `FILE`."""
    key: str = ""
    """The service key by which it is reached, for any user: a suite takes a new user for each test."""

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a program that runs a suite: it says where the store is."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        file = {"THREADKEEP_FILE": str(self.folder / "threadkeep.sqlite")}
        where = {"THREADKEEP_URL": self.url, "THREADKEEP_KEY": self.key} if self.url else file
        return {**own, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", **where, **(more or {})}


@dataclass(frozen=True)
class Outcome:
    """What became of the tests of a suite."""

    passed: int
    failures: Sequence[str] = ()
    """The names of those that failed, each with a word about why."""
    left_out: int = 0
    """How many were not run: each has its reason in the skip list of the suite."""

    @property
    def total(self) -> int:
        """How many tests the suite has."""
        return self.passed + len(self.failures) + self.left_out

    def __str__(self) -> str:
        """What stands in the table."""
        if not self.failures and not self.left_out:
            return f"{self.passed}"
        text = f"{self.passed} of {self.total}"
        return f"{text}, {self.left_out} left out" if self.left_out else text


class Suite(ABC):
    """One suite. `install` is called once, and `run` for each store."""

    name: ClassVar[str]
    """What it is called on the command line."""
    stores: ClassVar[Sequence[str]] = SERVED
    """What it can be run against."""
    minutes: ClassVar[float] = 10
    """For how long it may run."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, with its version, for the table."""

    @abstractmethod
    def install(self, node: Node) -> None:
        """Make ready what it needs: exactly the packages that are pinned, and only from PyPI and npm."""

    @abstractmethod
    def run(self, target: Target) -> Outcome:
        """Run all of it. Raises a Problem where it does not get as far as a result."""

    def result(
        self, target: Target, command: Sequence[str | Path], *, cwd: Path = ROOT, more: Mapping[str, str] | None = None
    ) -> Any:
        """Run a program that writes its result, in JSON, to the file that `RESULT` names; return that.

        Its exit code says nothing: a test that fails is a result. What it prints is in a log.
        """
        log, file = target.folder / f"{self.name}.log", target.folder / f"{self.name}.json"
        environment = target.environment({"RESULT": str(file), **(more or {})})
        group = Group(command, cwd=cwd, env=environment, log=log)
        try:
            code = group.wait(60 * self.minutes)
        finally:
            group.stop()
        if code is None:
            raise Problem(f"{self.name} does not end within {self.minutes} minutes:\n{last_lines(log, 20)}")
        if not file.exists():
            raise Problem(f"{self.name} ends without a result:\n{last_lines(log, 20)}")
        return json.loads(file.read_text())
