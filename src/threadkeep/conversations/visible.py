"""What of a content people see: the strings in it that are searched, whichever provider or SDK it came from.

A block is kept as it came, so its fields have the names that its maker gave them. There is one list of the names under
which words stand, whatever the type of the block; what has another name is ids, signatures, settings and bytes. See
docs/decisions/0035-shapes-of-their-own.md.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

# Words, or blocks that have some in turn.
_WORDS = frozenset(
    (
        *("text", "thinking", "reasoning", "summary", "refusal", "transcript", "title", "filename", "errorText"),
        *("content", "parts", "message", "function", "custom", "tool_calls", "kwargs", "file"),
        *("action", "query", "queries", "commands", "code", "results", "outputs", "logs"),
    )
)
# JSON of a tool's own, in which every string counts: what it was called with, and what it returned.
_OF_TOOLS = frozenset(("input", "arguments", "args", "output"))
_FILES = frozenset(("image", "file"))
_WORDS_OF_FILES = frozenset(("title", "filename", "file"))

# Bytes in base64, of which no word is anybody's.
_BYTES = re.compile(r"data:[^\s,]*;base64,[\w+/=-]*|[\w+/=-]{200,}", re.ASCII)
_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+')
_JSON_CHARACTERS_MAX = 100_000  # of which more is left than is searched, whatever is escaped


class _Json(NamedTuple):
    """JSON of a tool's own, among blocks."""

    value: Any


def visible_strings(blocks: list[Any]) -> Iterator[str]:
    """The strings of a content that people see, in order."""
    rest = blocks[::-1]  # from the last to the first: a generator within each other would take a step of each
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, _Json):
            yield from _strings(value.value)
        elif isinstance(value, list):
            rest.extend(reversed(value))
        elif isinstance(value, dict):
            rest.extend(reversed(_visible_fields(value)))


def _visible_fields(block: dict[str, Any]) -> list[Any]:
    """What stands in the fields of a block that people see."""
    kind = block.get("type")
    if not isinstance(kind, str):
        kind = ""
    if kind == "text":
        return [block.get("text")]
    words = _WORDS_OF_FILES if kind in _FILES else _WORDS
    seen: list[Any] = []
    for name, value in block.items():
        if name in _OF_TOOLS or (name == "content" and kind.endswith("tool_result")):
            seen.append(_Json(_unescaped(value) if isinstance(value, str) else value))
        elif name in words or (name == "url" and kind == "source-url"):
            seen.append(value)
        elif name == "data":  # of the AI SDK's `data-…`, or a message of LangChain's; elsewhere it is bytes
            if kind.startswith("data-"):
                seen.append(_Json(value))
            elif isinstance(value, dict):
                seen.append(value)
    return seen


def _strings(value: Any) -> Iterator[str]:
    """The strings in any JSON, in order; in blocks within a tool's result, those that are words."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            if not _BYTES.fullmatch(value):
                yield value
        elif isinstance(value, list):
            rest.extend(reversed(value))
        elif isinstance(value, dict):
            if value.get("type") == "text" and isinstance(value.get("text"), str):
                yield value["text"]
            elif value.get("type") not in ("image", "file"):
                rest.extend(reversed(value.values()))


def _unescaped(text: str) -> str:
    """A text that is JSON itself, as OpenAI's `arguments` are, with what is escaped in it as people read it.

    It is not taken apart: it may be cut off, and nested as deep as it likes.
    """
    if not text.startswith(("{", "[", '"')):
        return text
    return _ESCAPES.sub(_read_escapes, text[:_JSON_CHARACTERS_MAX])


def _read_escapes(match: re.Match[str]) -> str:
    try:
        return msgspec.json.decode(f'"{match[0]}"', type=str)
    except msgspec.DecodeError:  # half of a character
        return match[0]
