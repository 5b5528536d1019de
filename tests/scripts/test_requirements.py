"""What the scripts import is installed for them, also where nobody has run the tests."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from toolbox.checkout import ROOT

LISTED = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements/scripts.txt").read_text(), re.MULTILINE))
PROGRAM = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module(sys.argv[1])
json.dump(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names), sys.stdout)
"""


def imported(module: str) -> set[str]:
    """The distributions whose packages a module imports."""
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'scripts'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PROGRAM, module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    ours = {"toolbox", "threadkeep"}
    return {packages_distributions()[name][0] for name in set(json.loads(done.stdout)) - ours}


@pytest.mark.parametrize("module", ["toolbox.binding", "toolbox.choosing", "toolbox.deploying"])
def test_what_a_script_imports_is_listed(module: str) -> None:
    packages = imported(module)
    assert packages
    assert packages <= LISTED


@pytest.mark.parametrize("module", ["toolbox.diagnosis", "toolbox.worker", "toolbox.cloudflare", "toolbox.install"])
def test_what_runs_before_anything_is_installed_imports_nothing(module: str) -> None:
    assert imported(module) == set()
