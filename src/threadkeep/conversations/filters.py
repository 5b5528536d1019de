"""Filtering conversations by what is in their metadata."""

import re

import msgspec
from msgspec import Raw

_is_literal = re.compile(r"-?[0-9][0-9.eE+-]*|true|false", re.ASCII).fullmatch
"""Whether a text may be a number or a boolean in JSON."""


def as_written(name: str, value: str) -> tuple[str, str | None]:
    """How a value of this name stands in metadata that has it: as a string, and as a literal if it may be one."""
    key = f"{msgspec.json.encode(name).decode()}:"
    return f"{key}{msgspec.json.encode(value).decode()}", f"{key}{value}" if _is_literal(value) else None


def has(metadata: Raw, name: str, value: str) -> bool:
    """Whether metadata has this value under this name: a string, or a number or a boolean as it is written."""
    found = msgspec.json.decode(metadata, type=dict[str, Raw]).get(name)
    if found is None:
        return False
    text = bytes(found)
    if text.startswith(b'"'):
        return bool(msgspec.json.decode(text) == value)
    return text == value.encode() and _is_literal(value) is not None


def is_pinned(metadata: Raw) -> bool:
    """Whether `pinned` is true in metadata."""
    return bytes(msgspec.json.decode(metadata, type=dict[str, Raw]).get("pinned", Raw(b""))) == b"true"
