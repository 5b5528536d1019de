"""What Flue publishes for stores holds as well where every third answer is lost."""

from pathlib import Path

import pytest

from support.flue import SUITES, run_tests, served
from tools.local.install import install, install_flue
from tools.suites.suite import Outcome


@pytest.mark.parametrize(("name", "tests"), [("flue-0.10", 41), ("flue-2", 101)])
def test_what_flue_publishes_passes_though_answers_are_lost(name: str, tests: int, tmp_path: Path) -> None:
    assert name in SUITES
    with served(tmp_path / "server") as url:
        outcome = run_tests(install_flue(install(development=True), name), url, tmp_path, "lost.test.js")
    assert outcome == Outcome(tests)
