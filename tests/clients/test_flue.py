"""The npm package for Flue: its types, what Flue publishes and what we add, and an agent that is killed at work.

On the plain server with a SQLite file; scripts/suites runs what Flue publishes on every store, and by night it is run
where answers are lost.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.flue import SUITES, environment, run_tests, served
from tools.checkout import ROOT
from tools.local.install import Node, install, install_flue
from tools.suites.suite import Outcome

PACKAGE = ROOT / "packages/threadkeep"
PUBLISHED = {"flue-0.10": 41, "flue-2": 101}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> tuple[Node, Path]:
    """A version of Flue with our package beside it, and a Node to run them."""
    return install_flue(install(development=True), request.param)


@pytest.fixture(scope="module")
def flue_2() -> tuple[Node, Path]:
    return install_flue(install(development=True), "flue-2")


def test_the_code_is_of_the_types_that_it_says_and_of_those_that_flue_asks_for(suite: tuple[Node, Path]) -> None:
    node, where = suite
    command = [node.program, "node_modules/typescript/bin/tsc", "--project", "."]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout + done.stderr == ""


def test_what_the_pages_show_compiles(flue_2: tuple[Node, Path], tmp_path: Path) -> None:
    node, where = flue_2
    pages = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("flue", "flue-connector")}
    blocks = {name: re.findall(r"```ts\n(.*?)```", page, re.DOTALL) for name, page in pages.items()}
    (tmp_path / "node_modules").symlink_to(where / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "db.ts").write_text(blocks["flue"][0])
    (tmp_path / "connector.ts").write_text(blocks["flue-connector"][0])
    (tmp_path / "wrong.ts").write_text('import { threadkeep } from "threadkeep/flue";\nthreadkeep({ adress: "" });\n')
    command = [node.program, "node_modules/typescript/bin/tsc", "--module", "nodenext", "--strict", "--skipLibCheck"]
    options = ["--lib", "es2024,dom", "--noEmit", "db.ts", "connector.ts", "wrong.ts"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert re.findall(r"^(\S+)\(.*error (TS\d+)", done.stdout, re.MULTILINE) == [("wrong.ts", "TS2353")]
    # It begins as the connectors of Flue do.
    begin, _, _ = pages["flue-connector"].removeprefix("---\n").partition("---\n")
    assert json.loads(begin) == {"category": "persist"}


def test_what_flue_publishes_passes(suite: tuple[Node, Path], url: str, tmp_path: Path) -> None:
    outcome = run_tests(suite, url, tmp_path, "published.test.js")
    assert outcome == Outcome(PUBLISHED[suite[1].name])


def test_what_we_add_passes(suite: tuple[Node, Path], url: str, tmp_path: Path) -> None:
    outcome = run_tests(suite, url, tmp_path, "ours/")
    assert outcome.passed > 10
    assert outcome == Outcome(outcome.passed)


def test_an_agent_that_is_killed_at_work_is_gone_on_with_by_another_process(
    flue_2: tuple[Node, Path], url: str, tmp_path: Path
) -> None:
    node, where = flue_2
    variables = environment(url, THREADKEEP_USER="flue-killed")
    command: list[str | Path] = [node.program, "agent.js"]
    with subprocess.Popen(
        [*command, "begin", "agent-1", tmp_path], cwd=where, env=variables, stdout=subprocess.PIPE, text=True
    ) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == "in the middle\n"
        begun.kill()
    resume = [*command, "resume", "agent-1", tmp_path]
    done = subprocess.run(resume, cwd=where, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"text": "All three steps are done."}
    # What was done before the end is not done again; what was under way is begun again.
    steps = (tmp_path / "steps").read_text().splitlines()
    assert steps == ["begin first", "begin second", "resume second", "resume third"]
    assert (tmp_path / "calls").read_text().split() == ["begin", "resume"]


def test_the_package_has_its_sources_and_types_and_needs_nothing(suite: tuple[Node, Path]) -> None:
    installed = suite[1] / "node_modules/threadkeep"
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    sources = {str(path.relative_to(PACKAGE)) for folder in ("src", "types") for path in (PACKAGE / folder).iterdir()}
    assert files == {"package.json", "README.md", "LICENSE", *sources}
    manifest: dict[str, Any] = json.loads((installed / "package.json").read_text())
    assert "dependencies" not in manifest
    assert {path for export in manifest["exports"].values() for path in export.values()} <= {
        f"./{path}" for path in sources
    }
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
