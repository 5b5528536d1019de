"""What the executors that run inside workerd import of it, for the tests of what they do with it."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

NULL = object()
"""What `null` is in Python: an object of its own."""
MODULES = ("js_values", "d1", "durable_object")


class JsException(Exception):
    """An exception of JavaScript, as Pyodide shows it."""

    @property
    def message(self) -> str:
        return str(self)


class JsArray(list[Any]):
    """An array of JavaScript, as Pyodide shows it."""

    def to_py(self) -> list[Any]:
        """The same as a list."""
        return list(self)


def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put it in place, for a fixture, and forget afterwards what was imported with it."""
    ffi = ModuleType("pyodide.ffi")
    for name, value in {"JsException": JsException, "jsnull": NULL, "to_js": list}.items():
        setattr(ffi, name, value)
    monkeypatch.setitem(sys.modules, "js", ModuleType("js"))
    monkeypatch.setitem(sys.modules, "pyodide", ModuleType("pyodide"))
    monkeypatch.setitem(sys.modules, "pyodide.ffi", ffi)
    yield
    for name in MODULES:
        sys.modules.pop(f"threadkeep.storage.sqlite.{name}", None)
