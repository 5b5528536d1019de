"""scripts/README.md tells of every script, every flag and every exit code."""

import re
import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.exit_codes import Code

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)
README = (ROOT / "scripts/README.md").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_flag_is_explained_where_its_script_is(script: Path) -> None:
    (paragraph,) = re.findall(rf"^- `scripts/{script.name}\b.*?(?=^- |\n\n)", README, re.MULTILINE | re.DOTALL)
    answer = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=60)
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", answer.stdout)) - {"--help"}
    assert {flag for flag in flags if not re.search(rf"{flag}(?![\w-])", paragraph)} == set()


def test_every_exit_code_is_explained() -> None:
    explained = re.findall(r"^\| (\d+) \|", README, re.MULTILINE)
    assert [int(code) for code in explained] == [*(code.value for code in Code), 130]
