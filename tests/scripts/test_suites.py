"""scripts/suites: what it refuses, how it runs a program, and what it writes."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.checkout import ROOT, Problem
from tools.exit_codes import Code
from tools.local.install import Node
from tools.suites import table
from tools.suites.registry import suites
from tools.suites.runner import pairs, run
from tools.suites.suite import SERVED, STORES, Outcome, Suite, Target

SCRIPT = ROOT / "scripts/suites"


class Example(Suite):
    """A suite whose program is in Python."""

    name = "example"
    title = "an example"
    minutes = 1 / 10

    def __init__(self, program: str = "") -> None:
        self.program = program

    def install(self, node: Node) -> None:
        """There is nothing to install."""

    def run(self, target: Target) -> Outcome:
        found = self.result(target, [sys.executable, "-c", self.program])
        return Outcome(found["passed"], found["failures"])


def called(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=seconds)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nope"], "unrecognized arguments: --nope"),
        (["nothing"], "there is no suite nothing: choose from "),
        (["langgraph", "--store", "redis"], "invalid choice: 'redis'"),
        (["--store", ""], "invalid choice: ''"),
    ],
)
def test_what_is_not_there_is_refused(arguments: list[str], said: str) -> None:
    done = called(*arguments)
    assert (done.returncode, done.stdout) == (Code.WRONG_VALUE, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_suite_is_not_run_where_it_does_not_belong() -> None:
    with pytest.raises(Problem, match=r"^example is not for the store file. Run it with --store memory, ") as refusal:
        pairs([Example()], ["file"])
    assert refusal.value.code == Code.WRONG_VALUE
    everywhere = Example()
    assert pairs([everywhere], STORES) == {store: [everywhere] for store in SERVED}


def test_every_suite_says_what_it_is() -> None:
    offered = suites()
    assert "langgraph" in offered
    for name, suite in offered.items():
        assert suite.name == name
        assert re.search(r"\d\.\d", suite.title)
        assert set(suite.stores) <= set(STORES)


# Running a program.


def test_a_program_is_told_where_the_store_is_and_its_result_is_read(tmp_path: Path) -> None:
    program = """
import json, os
assert "HTTP_PROXY" not in os.environ
names = [name for name in os.environ if name.startswith("THREADKEEP")]
open(os.environ["RESULT"], "w").write(json.dumps({"passed": 2, "failures": [*sorted(names)]}))
exit(1)  # some tests failed
"""
    served = Example(program).run(Target("sqlite", tmp_path, "http://127.0.0.1:1", "tk_1"))
    assert served == Outcome(2, ["THREADKEEP_KEY", "THREADKEEP_URL"])
    assert Example(program).run(Target("file", tmp_path)) == Outcome(2, ["THREADKEEP_FILE"])


def test_a_program_without_a_result_is_a_problem_that_shows_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"(?s)^example ends without a result:.*no such module"):
        Example("print('no such module')").run(Target("file", tmp_path))


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Problem, match=r"(?s)^example does not end within .*so far"):
        Example("import time; print('so far', flush=True); time.sleep(600)").run(Target("file", tmp_path))
    assert time.monotonic() - began < 60


def written(passed: int, *failures: str) -> str:
    """A program that writes this result."""
    result = json.dumps({"passed": passed, "failures": failures})
    return f"import os; open(os.environ['RESULT'], 'w').write({result!r})"


class InAFile(Example):
    """The same, without a server."""

    stores = ("file",)


def test_each_suite_is_run_and_told_of_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = InAFile(written(2, "a: why"))
    assert run({"file": [suite]}, tmp_path) == {("example", "file"): Outcome(2, ["a: why"])}
    assert re.fullmatch(r"example on file: 2 of 3 \(\d+ s\)\n  failed: a: why\n", capsys.readouterr().out)


def test_a_suite_that_runs_nothing_has_not_passed(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"^example has run no test on file"):
        run({"file": [InAFile(written(0))]}, tmp_path)


# The table.

DOCUMENT = f"# A document\n\n{table.BEGIN}\n{table.END}\n\nMore.\n"


def test_results_are_written_between_the_marks_and_what_was_not_run_stays(tmp_path: Path) -> None:
    document, offered = tmp_path / "document.md", {"example": Example()}
    document.write_text(DOCUMENT)
    table.write(document, offered, {("example", "sqlite"): Outcome(3), ("example", "d1"): Outcome(2, ["a: why"])})
    table.write(document, offered, {("example", "d1"): Outcome(2, left_out=1)})
    assert document.read_text() == DOCUMENT.replace(
        f"{table.BEGIN}\n",
        f"{table.BEGIN}\n"
        "| Suite | Tests | file | memory | sqlite | postgres | d1 | durable-object |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| `example`: an example | 3 | - |  | 3 |  | 2 of 3, 1 left out |  |\n",
    )


@pytest.mark.parametrize("text", ["", "# A document\n", DOCUMENT.replace(table.END, "")])
def test_a_document_without_a_place_for_the_table_is_refused(tmp_path: Path, text: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(text)
    with pytest.raises(Problem, match="has no place for the table"):
        table.check(document)
    assert document.read_text() == text


def test_the_document_of_the_project_has_a_place_for_it() -> None:
    table.check(ROOT / "docs/agent-state.md")


def test_an_outcome_says_what_failed_and_what_was_left_out() -> None:
    assert [str(outcome) for outcome in (Outcome(5), Outcome(4, ["a"]), Outcome(3, ["a"], 2))] == [
        "5",
        "4 of 5",
        "3 of 6, 2 left out",
    ]


# A part that is fast enough for every push.


@pytest.mark.parametrize(("suite", "store", "tests"), [("langgraph", "sqlite", 81)])
def test_a_suite_passes(suite: str, store: str, tests: int) -> None:
    done = called(suite, "--store", store, seconds=600)
    assert re.fullmatch(rf"{suite} on {store}: {tests} \(\d+ s\)\n", done.stdout), done.stdout + done.stderr
    assert done.returncode == 0
