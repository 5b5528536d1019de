"""Puts mistakes into a copy of `src/`, one at a time, and runs the tests that reach each to see whether one fails.

The checkout itself is never changed. Only tests that run in pytest's own process are known to reach anything.
"""

import json
import os
import random
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import ROOT, Problem, files_below, fingerprint, local_folder, say, write_atomically
from tools.local.processes import Group, last_lines
from tools.mutations.coverage_map import CoverageMap
from tools.mutations.mutants import Mutant, find_mutants

CAUGHT, ENDLESS, SURVIVED, UNTESTED = VERDICTS = "caught", "endless", "survived", "untested"
PASSED, NO_TESTS = 0, 5
RECORDING_SECONDS = 3600


@dataclass(frozen=True)
class Project:
    """What is to be broken, and the tests that should notice."""

    root: Path
    python: Path
    tests: Sequence[str]
    """Files and folders, below the root."""
    left_out: Sequence[str] = ()
    """Parameters of tests that would run elsewhere, where it cannot be seen what they reach."""
    patience_seconds: float = 30
    """For how long tests may run beside five times what they took before. What takes longer never ends."""

    @property
    def source(self) -> Path:
        """What is copied, and broken."""
        return self.root / "src"


def choose(project: Project, paths: Iterable[Path], count: int, seed: int) -> list[Mutant]:
    """Chooses so many lines of some files at random, and one mutant of each."""
    by_line: dict[tuple[str, int], list[Mutant]] = {}
    for path in sorted(set(paths)):
        for mutant in find_mutants(path.relative_to(project.source).as_posix(), path.read_bytes()):
            by_line.setdefault((mutant.path, mutant.line), []).append(mutant)
    chance = random.Random(seed)  # noqa: S311 it keeps no secret
    lines = chance.sample(list(by_line), min(count, len(by_line)))
    return [chance.choice(by_line[line]) for line in lines]


def judge(project: Project, mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Says of each mutant whether it was caught, never ended, has survived, or is reached by no test."""
    with _copied(project) as copy:
        coverage = _coverage(project, copy)
        for mutant in mutants:
            tests = coverage.tests_of(mutant.path, mutant.line)
            yield mutant, copy.judge(mutant, tests) if tests else UNTESTED


@contextmanager
def _copied(project: Project) -> Iterator["_Copy"]:
    """A copy of the sources, in a folder that also takes whatever the tests leave behind."""
    with tempfile.TemporaryDirectory(prefix="threadkeep-mutate-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # whoever Postgres runs as in a test must get to its folder
        shutil.copytree(project.source, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        yield _Copy(project, folder)


class _Copy:
    def __init__(self, project: Project, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src"
        self.log = folder / "log"
        self._project = project
        options = tomllib.loads((project.root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
        paths = [str(self.source) if path == "src" else str(project.root / path) for path in options["pythonpath"]]
        self._command: list[str | Path] = [project.python, "-m", "pytest", "-q", "-x", "-o"]
        self._command += [f"pythonpath={shlex.join(paths)}", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.source), str(ROOT / "scripts")]),
            "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may be as long and as old as what it stands for
            "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
            "TMPDIR": str(folder),
            "COVERAGE_CORE": "ctrace",  # what newer Pythons take would tell only of the first test that reaches a line
        }

    def run(self, *arguments: str, seconds: float, **variables: str) -> int | None:
        """Runs pytest over the copy; None when it has not ended in time."""
        self.log.write_bytes(b"")
        environment = {**self._environment, **variables}
        group = Group([*self._command, *arguments], cwd=self._project.root, env=environment, log=self.log)
        try:
            return group.wait(seconds)
        finally:
            group.kill()

    def judge(self, mutant: Mutant, tests: dict[str, float]) -> str:
        """Runs the tests over a mutant, up to the first that fails."""
        file = self.source / mutant.path
        original = file.read_bytes()
        selected = self.folder / "selected"
        selected.write_text("\n".join(tests))
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        limit = self._project.patience_seconds + 5 * sum(tests.values())
        file.write_bytes(mutant.apply(original))
        try:
            code = self.run("-p", "tools.mutations.selection_plugin", *files, seconds=limit, SELECTED=str(selected))
        finally:
            file.write_bytes(original)
        return {None: ENDLESS, PASSED: SURVIVED, NO_TESTS: UNTESTED}.get(code, CAUGHT)


def _coverage(project: Project, copy: _Copy) -> CoverageMap:
    """What the tests reach, recorded anew when anything has changed since the last time."""
    tests = [path for _, path in files_below([project.root / "tests"])]
    chosen = [path for path in tests if any(path.is_relative_to(project.root / test) for test in project.tests)]
    helpers = [path for path in tests if not path.name.startswith("test_")]
    read = [*(path for _, path in files_below([project.source])), *helpers, *chosen]
    key = fingerprint(*(part for path in read for part in (str(path), path)))
    name = fingerprint(*project.tests, *project.left_out)[:12]
    kept = local_folder(project.root) / "mutate" / f"{name}.json"
    recorded = json.loads(kept.read_text()) if kept.exists() else {}
    if recorded.get("key") != key:
        say("recording what each test reaches …")
        recording = copy.folder / "recording"
        variables = {
            "RECORDED_FOLDER": str(copy.source),
            "RECORDING": str(recording),
            "LEFT_OUT": json.dumps(list(project.left_out)),
        }
        if (
            copy.run("-p", "tools.mutations.coverage_plugin", *project.tests, seconds=RECORDING_SECONDS, **variables)
            != PASSED
        ):
            raise Problem(f"the tests fail already:\n{last_lines(copy.log, 20)}")
        recorded = {"key": key, **json.loads(recording.read_text())}
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(recorded).encode())
    texts = {path.relative_to(project.root).as_posix(): path.read_text() for path in tests if path.suffix == ".py"}
    return CoverageMap(copy.source, texts, recorded)
