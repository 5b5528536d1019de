"""scripts/mutate: on a project of a few lines, with tests that notice some mistakes and not others."""

import ast
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.checkout import ROOT, Problem, files_below
from tools.mutations.mutants import Mutant, find_mutants
from tools.mutations.trial import CAUGHT, ENDLESS, SURVIVED, UNTESTED, Project, choose, judge

SCRIPT = ROOT / "scripts/mutate"
SOURCE = '''\
"""Counts."""

LEAST = 1
SPARE = 1


def is_enough(count):
    return count > LEAST


def count_down(count):
    while count > 0:
        count -= 1
    return count


def one_more(count):
    return count + 1


def nobody_asks(count):
    return count > 5
'''
STATEMENTS = '''\
"""What is asked."""

_FEW = "n IS NULL"
FIRST = f"SELECT n FROM numbers WHERE {_FEW} AND n > :least ORDER BY n DESC"
'''
CACHED = '''\
"""What is asked in the words of a product, and made when it is first asked for."""

from functools import cached_property, lru_cache


@lru_cache
def limit(count):
    return f"LIMIT {count + 1}"


class Statements:
    @cached_property
    def last(self):
        return f"SELECT n FROM {self.look_up('n = :n AND n > :least')} ORDER BY n {limit(1)}"

    def look_up(self, condition):
        return f"numbers CROSS JOIN numbers ON {condition}"


ASKED = Statements()
'''
TESTS = """\
import counts
from statements import few, made

THREE = counts.one_more(2)


def test_is_enough():
    assert counts.is_enough(5)
    assert not counts.is_enough(0)


def test_counting_down_ends():
    counts.count_down(3)


def test_what_was_counted_as_this_was_imported():
    assert THREE == 3


def test_the_order():
    assert few.FIRST.endswith("DESC")


def test_that_there_is_a_last():
    assert made.ASKED.last


def test_the_last():
    assert made.ASKED.last.endswith("ON n = :n AND n > :least ORDER BY n LIMIT 2")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all tests, so that what its tests reach is recorded once. Whoever changes a file puts it back."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in {
        "src/counts.py": SOURCE,
        "src/statements/few.py": STATEMENTS,
        "src/statements/made.py": CACHED,
        "tests/test_counts.py": TESTS,
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\nfilterwarnings = ["error"]\n',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Project(folder, Path(sys.executable), ["tests"])


@pytest.fixture
def unchanged(project: Project) -> Iterator[None]:
    before = contents(project)
    yield
    assert contents(project) == before
    assert not list(project.root.rglob("*.pyc"))


def contents(project: Project) -> dict[str, bytes]:
    folders = [project.root / "src", project.root / "tests"]
    return {name: path.read_bytes() for name, path in files_below(folders)}


def mutants_of(source: str, name: str = "some.py") -> dict[str, Mutant]:
    return {mutant.difference(source.encode()): mutant for mutant in find_mutants(name, source.encode())}


def verdicts(project: Project, name: str, *differences: str) -> list[str]:
    found = mutants_of((project.source / name).read_text(), name)
    return [verdict for _, verdict in judge(project, [found[difference] for difference in differences])]


@pytest.mark.usefixtures("unchanged")
def test_a_mistake_is_caught_or_survives_or_is_reached_by_no_test(project: Project) -> None:
    assert verdicts(
        project,
        "counts.py",
        "[-return count > LEAST-]{+return None+}",
        "return count [->-]{+>=+} LEAST",
        "LEAST = [-1-]{+2+}",
        "return count [->-]{+>=+} 5",
        "return count [-+-]{+-+} 1",
    ) == [CAUGHT, SURVIVED, SURVIVED, UNTESTED, CAUGHT]


@pytest.mark.usefixtures("unchanged")
def test_a_constant_is_reached_by_those_who_read_it(project: Project) -> None:
    source = project.source / "counts.py"
    source.write_text(SOURCE.replace("LEAST = 1", "LEAST = 4"))
    assert verdicts(project, "counts.py", "LEAST = [-4-]{+5+}", "SPARE = [-1-]{+2+}") == [CAUGHT, UNTESTED]
    source.write_text(SOURCE)


@pytest.mark.usefixtures("unchanged")
def test_a_statement_is_reached_by_tests_that_read_its_module(project: Project) -> None:
    assert verdicts(
        project,
        "statements/few.py",
        '_FEW = "n [-IS NULL-]{+IS NOT NULL+}"',
        _in_first("DESC", "ASC"),
        _in_first(">", ">="),
    ) == [SURVIVED, CAUGHT, SURVIVED]


@pytest.mark.usefixtures("unchanged")
def test_a_statement_that_is_made_once_is_reached_by_all_who_ask_it(project: Project) -> None:
    """The first test that asks it would notice none of these."""
    made = """return f"SELECT n FROM {self.look_up('n = :n AND n > :least')} ORDER BY n {limit(1)}\""""
    assert (
        verdicts(
            project,
            "statements/made.py",
            made.replace("=", "[-=-]{+<>+}"),
            made.replace(">", "[->-]{+>=+}"),
            made.replace(":least", "[-:least-]{+:n+}"),
            '[-return f"LIMIT {count + 1}"-]{+return None+}',
        )
        == [CAUGHT] * 4
    )


def _in_first(old: str, new: str) -> str:
    (line,) = (line for line in STATEMENTS.splitlines() if line.startswith("FIRST"))
    return line.replace(old, f"[-{old}-]{{+{new}+}}")


@pytest.mark.usefixtures("unchanged")
def test_a_mistake_that_loops_for_ever_is_ended(project: Project) -> None:
    hasty = replace(project, patience_seconds=1)
    assert verdicts(hasty, "counts.py", "[-count -= 1-]{+pass+}") == [ENDLESS]


@pytest.mark.usefixtures("unchanged")
def test_a_test_over_what_runs_elsewhere_is_left_out(project: Project) -> None:
    tests = project.root / "tests/test_counts.py"
    asking = '@pytest.mark.parametrize("where", ["here", "far away"])\ndef test_asking(where):\n'
    asking += '    assert where == "here"\n    counts.nobody_asks(7)\n'
    tests.write_text(f"import pytest\n{TESTS}\n\n{asking}")
    selective = replace(project, left_out=["far away"])
    assert verdicts(selective, "counts.py", "return count > [-5-]{+6+}") == [SURVIVED]
    tests.write_text(TESTS)


@pytest.mark.usefixtures("unchanged")
def test_tests_that_fail_already_are_refused(project: Project) -> None:
    tests = project.root / "tests/test_counts.py"
    tests.write_text(tests.read_text().replace("is_enough(5)", "is_enough(1)"))
    try:
        with pytest.raises(Problem, match="the tests fail already"):
            verdicts(project, "counts.py", "LEAST = [-1-]{+2+}")
    finally:
        tests.write_text(TESTS)


@pytest.mark.usefixtures("unchanged")
def test_what_is_reached_is_recorded_once_until_something_changes(project: Project) -> None:
    def recorded() -> int:
        verdicts(project, "counts.py", "SPARE = [-1-]{+2+}")
        return max(kept.stat().st_mtime_ns for kept in (project.root / ".local/mutate").iterdir())

    first = recorded()
    assert recorded() == first
    source = project.source / "counts.py"
    source.write_text(SOURCE + "\n")
    assert recorded() > first
    source.write_text(SOURCE)


INTERRUPTED = """
import sys
from pathlib import Path
from tools.script import run_script
from tools.mutations.mutants import find_mutants
from tools.mutations.trial import Project, judge

def main():
    project = Project(Path(sys.argv[1]), Path(sys.executable), ["tests"])
    mutants = find_mutants("counts.py", (project.source / "counts.py").read_bytes())
    for mutant, verdict in judge(project, [mutant for mutant in mutants if mutant.text == "pass"]):
        raise AssertionError("it does not end")
    return 0

run_script(main, when_interrupted=130)
"""


@pytest.mark.usefixtures("unchanged")
def test_ctrl_c_leaves_nothing_behind(project: Project) -> None:
    scratch = project.root / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(scratch)}
    running = subprocess.Popen([sys.executable, "-c", INTERRUPTED, project.root], env=environment)
    try:
        wait_until(lambda: any(b"pass" in path.read_bytes() for path in scratch.glob("*/src/counts.py")))
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 130
    finally:
        running.kill()
        running.wait()
    assert list(scratch.iterdir()) == []


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_found_in_python() -> None:
    source = """\
def f(a, b):
    "Not this: 1 + 1."
    if a and b is not None:
        raise ValueError(f"{a + 1}")
    while not a:
        a = max(a, 7) if a in b else True
        break
    g("é", a == b)
    return (a or
            b)
"""
    assert list(mutants_of(source)) == [
        "if [-a and b is not None-]{+not (a and b is not None)+}:",
        "if a [-and-]{+or+} b is not None:",
        "if a and b [-is not-]{+is+} None:",
        '[-raise ValueError(f"{a + 1}")-]{+pass+}',
        "while [-not-]{++} a:",
        "a = [-max-]{+min+}(a, 7) if a in b else True",
        "a = max(a, [-7-]{+8+}) if a in b else True",
        "a = max(a, 7) if a [-in-]{+not in+} b else True",
        "a = max(a, 7) if a in b else [-True-]{+False+}",
        "[-break-]{+continue+}",
        '[-g("é", a == b)-]{+pass+}',
        'g("é", a [-==-]{+!=+} b)',
        "[-return (a or b)-]{+return None+}",
        "return (a [-or-]{+and+}",
    ]


def test_what_is_found_in_sql() -> None:
    source = 'F"SELECT 1, max(n) FROM t WHERE u = :u AND n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2"\n'
    found = [
        mutant.partition("SELECT 1, ")[2][:-1] for mutant in mutants_of(f"A = {source}B = 'n = 1'", "statements/few.py")
    ]
    assert found == [
        "[-max(-]{+min(+}n) FROM t WHERE u = :u AND n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE [-u = :u AND-]{++}n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u [-=-]{+<>+} :u AND n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = [-:u-]{+:n+} AND n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u[-AND n IS NULL-]{++} AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u [-AND-]{+OR+} n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND [-n IS NULL AND-]{++}n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n [-IS NULL-]{+IS NOT NULL+} AND n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n IS NULL [-AND-]{+OR+} n::int >= {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n IS NULL AND n::int [->=-]{+>+} {a + 1} ORDER BY :n DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n IS NULL AND n::int >= {a + 1} ORDER BY [-:n-]{+:u+} DESC LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n IS NULL AND n::int >= {a + 1} ORDER BY :n [-DESC-]{+ASC+} LIMIT 2",
        "max(n) FROM t WHERE u = :u AND n IS NULL AND n::int >= {a + 1} ORDER BY :n DESC LIMIT [-2-]{+3+}",
    ]
    assert mutants_of(f"A = {source}") == {}


def test_what_is_found_in_sql_that_an_f_string_is_given() -> None:
    source = """a = f'{{"n":1}} {join("t", "t.n = :n AND t.m = s.m")} AND {value({"a": 1})} > {b}'"""
    inside = """t", "t.n = :n AND t.m = s.m")} AND {value({"a": 1})} > {b}'"""
    assert [mutant.partition('join("')[2] for mutant in mutants_of(source, "some_dialect.py")][:-3] == [
        inside.replace("t.n = :n AND ", "[-t.n = :n AND-]{++}"),
        inside.replace("t.n =", "t.n [-=-]{+<>+}"),
        inside.replace(" AND t.m = s.m", "[-AND t.m = s.m-]{++}"),
        inside.replace("AND t", "[-AND-]{+OR+} t"),
        inside.replace("m = s", "m [-=-]{+<>+} s"),
    ]


def test_what_is_found_in_our_own_sources_is_python_still() -> None:
    files = [path for name in ("sql", "http") for path in (ROOT / "src/threadkeep" / name).rglob("*.py")]
    sources = {path.relative_to(ROOT / "src").as_posix(): path.read_bytes() for path in files}
    mutants = [mutant for name, source in sources.items() for mutant in find_mutants(name, source)]
    for mutant in random.Random(1).sample(mutants, 100):
        broken = mutant.apply(sources[mutant.path])
        assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(sources[mutant.path])), mutant


def test_the_same_seed_chooses_the_same_lines_and_each_once(project: Project) -> None:
    files = list(project.source.rglob("*.py"))
    chosen = choose(project, files, 5, seed=1)
    assert choose(project, reversed(files), 5, seed=1) == chosen
    assert choose(project, files, 5, seed=2) != chosen
    assert len({(mutant.path, mutant.line) for mutant in choose(project, files, 1_000, seed=1)}) == 13


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["src/threadkeep/nothing.py"], "src/threadkeep/nothing.py is no file or folder below src/threadkeep"),
        (["scripts"], "scripts is no file or folder below src/threadkeep"),
        (["--tests", "src"], "--tests: src is no file or folder below tests"),
        (["--count", "0"], "--count: 1 or more"),
        (["--count", "x"], "argument --count: invalid int value: 'x'"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["src/threadkeep/storage/sqlite/d1.py"], "there is nothing to put a mistake into"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(arguments: list[str], said: str) -> None:
    refused = subprocess.run([SCRIPT, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == f"mutate: error: {said}".replace("mutate", "scripts/mutate")


def test_what_would_be_tried_is_listed(project: Project) -> None:
    command = [SCRIPT, "src/threadkeep/conversations/service.py", "--count", "3", "--seed", "4", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert [line.partition(":")[0] for line in listed.stdout.splitlines()] == [
        "src/threadkeep/conversations/service.py"
    ] * 3
