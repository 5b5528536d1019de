"""Metadata: a JSON object as its members, each the text of its JSON, so that a database finds those that have one.

`"step":1` and `"step":1.0` are two: numbers are compared as they were written. The order of members within a member
does not count.
"""

from typing import Any

import msgspec
from msgspec import Raw

_verbatim = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))


def decoded(document: Raw) -> Any:
    """What a JSON text says. Raises msgspec.DecodeError."""
    return _verbatim.decode(document)


def members_of(values: dict[str, Any]) -> list[str]:
    """The members of an object."""
    return [f"{_text(name)}:{_text(value)}" for name, value in values.items()]


def as_object(members: list[str]) -> Raw:
    """The object that has these members."""
    return Raw(f"{{{','.join(members)}}}".encode())


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
