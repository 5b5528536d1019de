"""Reading JSON strictly: what does not fit is an `Invalid` that names the place and what belongs there."""

import re
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar, get_origin

import msgspec

from threadkeep.conversations.models import NESTING_MAX
from threadkeep.errors import Invalid
from threadkeep.work import Work, finished

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

BODY = "body"
"""The path of all that was sent, where it is not a place in it that is wrong."""
QUERY = "query"
"""The same of a query string."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What may stand before a text in UTF-8, and means nothing."""


def decode(text: bytes, into: type[T]) -> T:
    """Read JSON from outside into a type, at once: it is short. Raises as `decoding` does."""
    return finished(decoding(text, into))


def decoding(text: bytes, into: type[T], *, nesting_max: int = NESTING_MAX, whole: str = BODY) -> Work[T]:
    """Read JSON from outside into a type.

    Raises Invalid where it is not UTF-8, not JSON, nested too deep, or not of that type.
    `whole` is what to call the place if no part of the text is to blame, but all of it.
    """
    yield from checking(text, nesting_max, whole)
    return parse(text, into, whole)


def checking(text: bytes, nesting_max: int = NESTING_MAX, whole: str = BODY) -> Work[None]:
    """Look at JSON from outside before it is parsed. Raises Invalid where it is not UTF-8, or nested too deep."""
    yield len(text)
    yield from check_nesting(text, nesting_max, whole)
    try:
        # msgspec checks the strings that it makes, but not what it passes on as Raw.
        text.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{whole}: The text is not UTF-8: see byte {error.start}.", whole) from error


def parse(text: bytes, into: type[T], whole: str = BODY) -> T:
    """Read JSON that went through `checking` into a type. Raises Invalid where it is not JSON, or not of that type."""
    try:
        return _decoded(text, into)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) and text != _STRING_OF_AN_OBJECT:
            raise _invalid(error, into, "", whole) from error
        raise not_json(error, text, whole) from error


def parse_one_of(text: bytes, first: type[Any], *others: type[msgspec.Struct]) -> Any:
    """Read JSON that went through `checking` into the type that it fits. Raises Invalid as `parse` does.

    It is read once, since whatever does not fit a type is not read further than to what the type refuses. Where it fits
    none, it is read again, to say what is wrong: with the first, or with another if it has all that the other requires.
    """
    if not others:
        return parse(text, first)
    for into in (first, *others):
        try:
            return _decoded(text, into)
        except msgspec.ValidationError:
            continue
        except msgspec.DecodeError:
            break
    names = parse(text, dict[str, msgspec.Raw]).keys()
    return parse(text, next((other for other in others if _required(other) <= names), first))


def _decoded(text: bytes, into: type[T]) -> T:
    if text.startswith(BYTE_ORDER_MARK):  # a reader may ignore it, by RFC 8259, section 8.1: some editors write it
        text = b"   " + text[len(BYTE_ORDER_MARK) :]  # so that an error still tells the right byte
    return msgspec.json.decode(text, type=into)


@lru_cache
def _required(struct: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(struct) if field.required)


def check_nesting(text: bytes, most: int = NESTING_MAX, whole: str = BODY) -> Work[None]:
    """Refuse JSON that is nested too deep, before anything recurses into it: in a Worker that would end the process.

    Takes time in proportion to the text, whatever the text is.
    """
    if text.count(b"[") + text.count(b"{") <= most:
        return
    brackets = _STRING.sub(b"", text).translate(_BRACKETS, _NOT_BRACKETS)
    depth = 0
    for start in range(0, len(brackets), _COUNTED_BRACKETS):
        yield 0 if start == 0 else _COUNTED_BRACKETS
        depths = list(accumulate(map(_DEPTH.__getitem__, brackets[start : start + _COUNTED_BRACKETS]), initial=depth))
        if max(depths) > most:
            raise Invalid(f"{whole}: The JSON is nested more than {most} levels deep.", whole)
        depth = depths[-1]


def not_json(error: msgspec.DecodeError, text: bytes | msgspec.Raw, path: str) -> Invalid:
    """The error for a text that is not JSON, or that holds half of a character or a number without end."""
    from threadkeep.validation_messages import explain_json

    if _HALF.search(_WHOLE.sub(b"", text)):
        what = (
            r"A string holds half of a character, such as \ud83d alone. Cut texts between characters, not within one; "
            "or, where any JSON may be, send it as the text of a string"
        )
    elif text == _STRING_OF_AN_OBJECT:
        what = "This is not JSON but what JavaScript makes of an object. Send JSON.stringify(object)"
    elif isinstance(error, msgspec.ValidationError):  # where any JSON may be, only numbers can be wrong
        what = "A number has too many digits"
    else:
        what = f"This is not JSON: {explain_json(str(error), bytes(text))}"
    return Invalid(f"{path}: {what}.", path)


def convert(value: Any, into: type[T], path: str = "") -> T:
    """Check plain values against a type. Raises Invalid with the path of what does not fit."""
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        raise _invalid(error, into, path) from error


def convert_texts(fields: dict[str, str], into: type[S]) -> S:
    """The fields of a query string as a struct: "20" is 20 where a number belongs, and "true" is true.

    A field that is a dict takes what begins with its name and a dot: `metadata.a=1` is {"metadata": {"a": "1"}}.

    Raises Invalid with the name of the field that does not fit.
    """
    texts: dict[str, Any] = fields
    if not fields.keys() <= _plain(into):
        texts = _grouped(fields, into)
    try:
        result = msgspec.convert(texts, into, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error, into, "", QUERY, fields) from error
    for name, text in texts.items():
        value = getattr(result, _attributes(into)[name])
        # msgspec is more lenient here than anybody means: it takes null as nothing, and 1e1 as 10.
        if value is None or (type(value) is int and not text.isdecimal()):
            raise _invalid(msgspec.ValidationError(f"Expected `int` - at `$.{name}`"), into, "", QUERY, fields)
    return result


@lru_cache
def _attributes(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The attributes of a struct, by what they are called outside."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(struct)}


@lru_cache
def _plain(struct: type[msgspec.Struct]) -> frozenset[str]:
    """What the fields of a struct are called outside, but for those that are a dict."""
    return frozenset(_attributes(struct)) - _dicts(struct)


@lru_cache
def _dicts(struct: type[msgspec.Struct]) -> frozenset[str]:
    """The fields of a struct that are a dict."""
    return frozenset(
        field.encode_name
        for field in msgspec.structs.fields(struct)
        if get_origin(getattr(field.type, "__origin__", field.type)) is dict  # within Annotated
    )


def _grouped(fields: dict[str, str], into: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a query string, with those of a dict in it. Raises Invalid for a dict that is not told a name."""
    grouped: dict[str, Any] = {}
    for name, text in fields.items():
        group, dot, key = name.partition(".")
        if group not in _dicts(into):
            grouped[name] = text
        elif not dot:
            raise Invalid(f"{name}: Say what of it: {name}.<name>=<value>.", name)
        else:
            grouped.setdefault(group, {})[key] = text
    return grouped


def join(path: str, step: str) -> str:
    """A path and one more step: `join("messages[0]", "role")` is `messages[0].role`."""
    return f"{path}.{step}" if path and step and not step.startswith("[") else path + step


def _invalid(
    error: msgspec.ValidationError, into: Any, path: str, whole: str = BODY, texts: dict[str, str] | None = None
) -> Invalid:
    """Say in our words what is wrong, and where. `whole` is what to call the place if it is all that was sent."""
    from threadkeep.validation_messages import explain

    place, sentence = explain(str(error), into, texts)
    path = join(path, place.removeprefix(".")) or whole
    return Invalid(f"{path}: {sentence}", path)


_STRING_OF_AN_OBJECT = b"[object Object]"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_COUNTED_BRACKETS = 65_536
_DEPTH = {ord("["): 1, ord("]"): -1}
# Escapes of characters: those that are whole (backslashes, and pairs of halves), and halves.
_WHOLE = re.compile(rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
