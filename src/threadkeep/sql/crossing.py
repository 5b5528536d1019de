"""What the executors that run inside workerd share: values from Python to JavaScript and back, in few crossings.

The SDK wraps bindings, so that any value can be passed to them and comes back as Python's own. To find out what a value
is, it crosses over several times for each. Ours are texts, integers and None, which Pyodide converts by itself.
"""

from typing import Any

from pyodide.ffi import jsnull

from threadkeep.sql.executor import Row, Value


def bare(binding: Any) -> Any:
    """A binding as JavaScript has it, whether the SDK has wrapped it or not."""
    return getattr(binding, "_binding", binding)


def bound(values: tuple[Value, ...]) -> list[Any]:
    """Values to bind. Only None needs a word: by itself it becomes `undefined`, which nothing binds."""
    return [jsnull if value is None else value for value in values]


def rows_of(rows: Any) -> list[Row]:
    """Rows from an array of JavaScript objects."""
    return [{name: None if value is jsnull else value for name, value in row.items()} for row in rows.to_py()]
