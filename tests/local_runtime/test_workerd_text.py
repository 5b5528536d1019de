"""The parts of workerd's Python runtime that our bundle is made for: somebody has read them as they are now."""

import hashlib
import json
import re

import pytest

from support.workerd_text import modules, releases
from tools.checkout import ROOT
from tools.local.install import node_packages

DECISION = (ROOT / "docs/decisions/0008-local-runtime.md").read_text()
READ = dict(re.findall(r"^\|.*?\| `(pyodide[^`]+)` \|.*\| `([0-9a-f]{12})` \|$", DECISION, re.MULTILINE))


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]


@pytest.mark.parametrize("name", READ)
def test_a_module_that_the_bundle_is_made_for_is_as_it_was_when_somebody_read_it(name: str) -> None:
    assert digest(modules()[name]) == READ[name], f"{name} has changed: read it, and see docs/decisions/0008"


def test_every_module_that_takes_something_from_the_bundle_was_read() -> None:
    assert {name for name, text in modules().items() if b"pyodideRuntime-internal:" in text} <= READ.keys()
    assert len(READ) == 8


def test_npms_pyodide_is_one_whose_bundle_workerd_knows() -> None:
    assert json.loads((node_packages() / "pyodide/package.json").read_text())["version"] in releases()
