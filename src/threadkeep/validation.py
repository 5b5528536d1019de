"""Reading JSON strictly: what does not fit is an `Invalid` that names the place and what belongs there."""

import re
from typing import Any, TypeVar

import msgspec

from threadkeep.clock import ID_PATTERN
from threadkeep.errors import Invalid
from threadkeep.models import LINE_PATTERN, NESTING_MAX

T = TypeVar("T")

_REGEX_IN_MESSAGE = re.compile(r"`str` matching regex (?P<quoted>'.*'|\".*\")", re.DOTALL)
_PATTERNS_IN_WORDS = {
    repr(ID_PATTERN): "an id: a ULID, 26 characters of Crockford base32 in upper case",
    repr(LINE_PATTERN): "one line of text that is not blank and has no control characters",
}


def decode(text: bytes, into: type[T]) -> T:
    """Read JSON from outside into a type.

    Raises Invalid where it is not UTF-8, not JSON, nested too deep, or not of that type.
    """
    check_nesting(text)
    try:
        # msgspec checks the strings that it makes, but not what it passes on as Raw.
        text.decode()
        return msgspec.json.decode(text, type=into)
    except UnicodeDecodeError as error:
        raise Invalid(f"The text is not UTF-8: see byte {error.start}.") from error
    except msgspec.ValidationError as error:
        raise _invalid(error, "") from error
    except msgspec.DecodeError as error:
        raise not_json(error, "") from error


def check_nesting(text: bytes) -> None:
    """Refuse JSON that is nested too deep, before anything recurses into it: in a Worker that would end the process.

    Written so that it takes time in proportion to the text, whatever the text is.
    """
    if text.count(b"[") + text.count(b"{") <= NESTING_MAX:
        return
    brackets = _STRING.sub(b"", text).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(NESTING_MAX):
        if not brackets or _TOO_DEEP in brackets:
            break
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    if brackets:
        raise Invalid(f"The JSON is nested more than {NESTING_MAX} levels deep, or its brackets do not match.")


def not_json(error: Exception, path: str) -> Invalid:
    """The error for a text that is not JSON, or holds halves of characters, as in `"\\ud800"`."""
    return Invalid(f"{path or 'body'}: This is not JSON of whole Unicode characters: {error}.", path)


def convert(value: Any, into: type[T], path: str = "", *, from_text: bool = False) -> T:
    """Check plain values against a type; with `from_text`, "20" counts as 20, as in a query string.

    Raises Invalid with the path of what does not fit.
    """
    try:
        return msgspec.convert(value, into, strict=not from_text)
    except msgspec.ValidationError as error:
        raise _invalid(error, path) from error


def join(path: str, step: str) -> str:
    """A path and one more step: `join("messages[0]", "role")` is `messages[0].role`."""
    return f"{path}.{step}" if path and step and not step.startswith("[") else path + step


def _invalid(error: msgspec.ValidationError, path: str) -> Invalid:
    """Take msgspec's sentence apart: what is wrong, and where."""
    wrong, _, place = str(error).partition(" - at `$")
    pattern = _REGEX_IN_MESSAGE.search(wrong)
    if pattern and pattern["quoted"] in _PATTERNS_IN_WORDS:
        wrong = wrong.replace(pattern.group(), _PATTERNS_IN_WORDS[pattern["quoted"]])
    path = join(path, place.rstrip("`").removeprefix("."))
    return Invalid(f"{path}: {wrong}." if path else f"{wrong}.", path)


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_TOO_DEEP = b"[" * (NESTING_MAX + 1)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
