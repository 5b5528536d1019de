"""What the scripts import is installed for them, also where nobody has run the tests."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from tools.checkout import ROOT

LISTED = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements/scripts.txt").read_text(), re.MULTILINE))
INSTALLED = packages_distributions()
NEEDING = ("tools.cloudflare.wrangler_toml", "tools.cloudflare.choice", "tools.cloudflare.deploy")
STANDARD = ("tools.cloudflare.diagnosis", "tools.local.worker", "tools.cloudflare.account", "tools.local.install")
PROGRAM = """
import importlib, sys
module, *absent = sys.argv[1:]
sys.modules.update(dict.fromkeys(absent))  # importing one of them fails
importlib.import_module(module)
"""


def missing_without(module: str, absent: set[str]) -> str:
    """What importing a module fails with when these packages are not there; nothing, when it does not fail."""
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'scripts'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PROGRAM, module, *absent]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.stderr.rpartition("Error: ")[2]


@pytest.mark.parametrize("module", NEEDING)
def test_what_a_script_imports_is_listed(module: str) -> None:
    others = {name for name, owners in INSTALLED.items() if not LISTED & {owner.replace("_", "-") for owner in owners}}
    assert "pytest" in others
    assert missing_without(module, others) == ""
    assert missing_without(module, set(INSTALLED)) != ""


@pytest.mark.parametrize("module", STANDARD)
def test_what_runs_before_anything_is_installed_needs_nothing(module: str) -> None:
    assert missing_without(module, set(INSTALLED)) == ""
