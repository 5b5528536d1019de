"""What the executors that run inside workerd share: values from Python to JavaScript and back, in few crossings.

The SDK wraps bindings, so that any value can be passed to them and comes back as Python's own. To find out what a value
is, it crosses over several times for each. Ours are texts, integers and None, which Pyodide converts by itself.
"""

from functools import cache
from typing import Any

import js
from pyodide.ffi import jsnull

from threadkeep.storage.sql.executor import Query, Row, Value


def bound(values: tuple[Value, ...]) -> list[Any]:
    """Values to bind. Only None needs a word: by itself it becomes `undefined`, which nothing binds."""
    return [jsnull if value is None else value for value in values]


def rows_of(query: Query, rows: Any) -> list[Row]:
    """Rows from an array of JavaScript objects. A query that writes has none, and one that answers has one at most."""
    if query.writes:
        return []
    if not query.answers:
        return [{name: None if value is jsnull else value for name, value in row.items()} for row in rows.to_py()]
    if not rows.length:
        return []
    apply, values, encode, encoder = _functions()
    answer = apply(encode, encoder, values(rows[0])).to_bytes()
    return [{"answer": None if answer == b"null" else answer}]


def answers_of(rows: Any) -> list[Row]:
    """Rows of a query that answers, from an array of arrays. That is a crossing and two proxies less.

    To be encoded, an array of one text becomes that text, and an array of null nothing.
    """
    if not rows.length:
        return []
    apply, _, encode, encoder = _functions()
    return [{"answer": apply(encode, encoder, rows).to_bytes() or None}]


@cache  # at first use, since nothing of JavaScript may be held before
def _functions() -> tuple[Any, Any, Any, Any]:
    """What an answer crosses by, found once: to look a function up takes longer than to call it.

    A text crosses as UTF-8 some ten times faster than character by character. NULL becomes `null`.
    """
    encoder = js.TextEncoder.new()
    return js.Reflect.apply, js.Object.values, encoder.encode, encoder
