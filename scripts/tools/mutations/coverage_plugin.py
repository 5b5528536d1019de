"""Records which test reaches which line of a folder, and how long each takes: a plugin of pytest.

It needs coverage, and the folder and the file to write in RECORDED_FOLDER and RECORDING. Tests that have one of the
parameters in LEFT_OUT, a list in JSON, are not run.

What is made once and kept, as statements are by `cached_property`, is made anew for each test, or only the first one
would be known to reach what makes it.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

_FOLDER = Path(os.environ["RECORDED_FOLDER"])
_LEFT_OUT = json.loads(os.environ["LEFT_OUT"])
_coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(_FOLDER)])
_seconds = {"": 0.0}  # the test without a name is what is imported before any
_made: list[tuple[dict[str, Any], str]] = []
"""Where values of cached properties are kept, and by which name."""


class _Property(functools.cached_property[Any]):
    """A cached property that tells what it has made, if it is one of the folder."""

    __module__ = functools.__name__  # by which pydantic knows that it is no field of a model

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        value = super().__get__(instance, owner)
        if instance is not None and self.attrname and self.func.__code__.co_filename.startswith(f"{_FOLDER}{os.sep}"):
            _made.append((vars(instance), self.attrname))
        return value


functools.cached_property = _Property  # type: ignore[misc] # before anything of the folder is imported
_coverage.start()


def _begin(test: str) -> None:
    """Counts what is done from now on as done for a test, and has it make anew what others have made."""
    _coverage.switch_context(test)
    while _made:
        kept, name = _made.pop()
        kept.pop(name, None)
    for module in [*sys.modules.values()]:
        if str(getattr(module, "__file__", None)).startswith(f"{_FOLDER}{os.sep}"):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Counts what a file of tests does when it is imported as done for all its tests, by the name of the file."""
    if isinstance(collector, pytest.Module):
        _begin(collector.nodeid)
        _seconds[collector.nodeid] = 0.0
    return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what would not run here."""
    items[:] = [
        item
        for item in items
        if not any(f"-{name}-" in item.nodeid.replace("[", "-").replace("]", "-") for name in _LEFT_OUT)
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Counts what is done for a test as its own, with all that its fixtures do."""
    _begin(item.nodeid)
    started = time.monotonic()
    try:
        return (yield)
    finally:
        _seconds[item.nodeid] = time.monotonic() - started


def pytest_unconfigure() -> None:
    """Writes it down."""
    _coverage.stop()
    data = _coverage.get_data()
    numbers = {test: number for number, test in enumerate(_seconds)}
    lines = {
        Path(path).relative_to(_FOLDER).as_posix(): {
            line: [numbers[test] for test in tests] for line, tests in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    recorded = {"tests": list(_seconds.items()), "lines": lines}
    Path(os.environ["RECORDING"]).write_text(json.dumps(recorded))
