"""Finds the suites: each module of `published/` has some."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from tools.suites import published
from tools.suites.suite import Suite


def suites() -> dict[str, Suite]:
    """All suites by their names, sorted."""
    return {suite.name: suite for suite in sorted(_found(), key=lambda suite: suite.name)}


def _found() -> Iterator[Suite]:
    for module in iter_modules(published.__path__):
        yield from import_module(f"{published.__name__}.{module.name}").SUITES
