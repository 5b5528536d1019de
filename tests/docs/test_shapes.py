"""The lines of docs/shapes.md do what it says, with the real SDKs, and these return what the tests have of them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.local.install import install, install_sdks

SDKS = ROOT / "tests" / "sdks"
KEPT = ROOT / "tests" / "data" / "sdks"
LINES = dict(re.findall(r"```\w+ ([a-z-]+)\n(.*?)```", (ROOT / "docs/shapes.md").read_text(), re.DOTALL))
SECONDS = 120

sys.path.insert(0, str(SDKS))

from provider import listening  # noqa: E402 it stands beside what asks it


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening() as url:
        yield url


def test_each_sdk_has_one_line_each_way() -> None:
    assert sorted(LINES) == sorted(path.stem for path in KEPT.iterdir())
    for name, lines in LINES.items():
        assert len(lines.splitlines()) == 2, name


@pytest.mark.parametrize("name", LINES)
def test_an_sdk_returns_what_the_tests_have_of_it_and_takes_it_back(name: str, url: str, tmp_path: Path) -> None:
    node, python = install(development=True), install_sdks(install(development=True))
    mapping = tmp_path / f"mapping.{'mjs' if name == 'ai-sdk' else 'py'}"
    mapping.write_text(LINES[name])
    command = [node.program, "ai_sdk.mjs"] if name == "ai-sdk" else [python, "python_sdks.py", name]
    made = subprocess.run(
        [*command, url, mapping], cwd=SDKS, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == json.loads((KEPT / f"{name}.json").read_text())
