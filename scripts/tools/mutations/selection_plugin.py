"""Selects and orders tests among the files that pytest is given: a plugin of pytest, for `scripts/mutate`.

SELECTED is a file with a test in each line. One that is no longer there is left out.
"""

import os
from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out the others, whatever pytest would do with them."""
    order = {test: number for number, test in enumerate(Path(os.environ["SELECTED"]).read_text().splitlines())}
    items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
