"""Values of Python as JSON that every back end keeps to the letter."""

import json
import re
from typing import Any

from msgspec import Raw

DEPTH_MAX = 90
"""What is nested deeper is kept as the text of its JSON. A server takes 100 levels, some of them around this."""

_KEY = "$json"
_brackets = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])').finditer


def to_json(value: Any) -> Raw:
    """A value as JSON. Raises TypeError for what has none.

    Half a surrogate, a number without end and what is nested deep are no JSON for everybody. They go into a string:
    `{"$json": "<the text>"}`.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode()
    except (ValueError, UnicodeEncodeError):
        return _wrapped(value)
    if _is_wrapped(value) or _depth(text) > DEPTH_MAX:
        return _wrapped(value)
    return Raw(data)


def from_json(raw: Raw) -> Any:
    """The value that `to_json` was given."""
    value = json.loads(bytes(raw))
    return json.loads(value[_KEY]) if _is_wrapped(value) else value


def _wrapped(value: Any) -> Raw:
    return Raw(json.dumps({_KEY: json.dumps(value)}).encode())


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == [_KEY] and isinstance(value[_KEY], str)


def _depth(text: str) -> int:
    """How deep the brackets of a text of JSON are nested."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > DEPTH_MAX:
        for match in _brackets(text):
            depth += (match[1] is not None) - (match[2] is not None)
            deepest = max(deepest, depth)
    return deepest
