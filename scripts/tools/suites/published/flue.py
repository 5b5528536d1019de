"""What Flue publishes for whoever writes a store for it, through the package in JavaScript."""

import json
from pathlib import Path
from typing import Any

from tools.checkout import ROOT
from tools.local.install import Node, install_flue
from tools.suites.suite import Outcome, Suite, Target

_PACKAGE = "@flue/runtime"
_RETRIES = 8
"""How often a test is run again: one of them waits a fixed 50 ms for what is a request here."""


class _Flue(Suite):
    """The contract tests of one version, run by vitest in a folder of its name in tests/suites/."""

    _node: Node

    @property
    def title(self) -> str:
        manifest = json.loads((ROOT / "tests/suites" / self.name / "package.json").read_text())
        return f"what Flue tests stores with, `{_PACKAGE}` {manifest['dependencies'][_PACKAGE]}"

    def install(self, node: Node) -> None:
        self._node, _ = install_flue(node, self.name)

    def run(self, target: Target) -> Outcome:
        folder = ROOT / "tests/suites" / self.name
        command: list[str | Path] = [self._node.program, folder / "node_modules/vitest/vitest.mjs", "run"]
        command += ["published.test.js", "--no-file-parallelism", "--testTimeout=60000", f"--retry={_RETRIES}"]
        command += ["--reporter=json", f"--outputFile={target.folder / f'{self.name}.json'}"]
        return outcome_of(self.result(target, command, cwd=folder))


class Flue0(_Flue):
    """Flue 0.10: sessions, submissions and chunks of streams."""

    name = "flue-0.10"


class Flue2(_Flue):
    """Flue 2: submissions, conversation streams and attachments."""

    name = "flue-2"


def outcome_of(found: dict[str, Any]) -> Outcome:
    """What vitest's report in JSON says."""
    tests = [test for file in found["testResults"] for test in file["assertionResults"]]
    failures = [f"{test['fullName']}: {_why(test)}" for test in tests if test["status"] == "failed"]
    passed = sum(test["status"] == "passed" for test in tests)
    left_out = len(tests) - passed - len(failures)
    failures += [f"{Path(file['name']).name}: {file['message']}" for file in found["testResults"] if file["message"]]
    return Outcome(passed, tuple(failures), left_out)


def _why(test: dict[str, Any]) -> str:
    """The first line of what a failed test says."""
    return str((test["failureMessages"] or ["it says nothing"])[0]).partition("\n")[0]


SUITES = (Flue0(), Flue2())
