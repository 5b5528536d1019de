"""The content of a message: whether it is well formed, and its digest."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from threadkeep.conversations.models import (
    BLOCKS,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    AnthropicToolResult,
    ToolResultBlock,
)
from threadkeep.errors import Invalid, TooLarge
from threadkeep.validation import convert, join, not_json

# Metadata may be sent with white space and escapes, but so much that reading it is a burden is too much.
_METADATA_BYTES_READ_MAX = 8 * METADATA_BYTES_MAX

_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_EXPONENT_CHARACTERS_MAX = 9
_FLOAT_DIGITS = 15
_FLOAT_EXPONENT_MAX = 290
_INTEGER_DIGITS = 21
_LONG_INTEGER = re.compile(rb"[0-9]{%d}" % (_INTEGER_DIGITS + 1))


def as_blocks(raw: Raw) -> Raw:
    """Content as it is kept: a string is one block of text, and everything else is what it was."""
    return Raw(b'[{"type":"text","text":%b}]' % raw) if bytes(memoryview(raw)[:1]) == b'"' else raw


def read_content(raw: Raw, path: str, *, may_be_empty: bool = False) -> list[dict[str, Any]]:
    """The blocks of a content as plain values, with the known fields of known types checked.

    Numbers come back in one form for each value, so that the result can be compared; see `digest`.
    Raises Invalid with the path of the block or field that is wrong.
    """
    blocks = _parse(raw, path, _canonical)
    if type(blocks) is not list or not (blocks or may_be_empty):
        raise Invalid(
            f"{path}: Content must be a string, or an array of at least one block, such as "
            '[{"type": "text", "text": "Hello"}]. Only an assistant\'s may be empty.',
            path,
        )
    for index, block in enumerate(blocks):
        _check_block(block, f"{path}[{index}]")
    return blocks


def read_metadata(raw: Raw | UnsetType, path: str) -> dict[str, Any] | None:
    """Metadata as plain values, its numbers as they were written; None where there is none or it is null.

    Raises Invalid for anything but an object, and for NUL in a name, where SQLite would cut it; TooLarge over 16 KiB.
    """
    if isinstance(raw, UnsetType):
        return None
    if len(memoryview(raw)) > _METADATA_BYTES_READ_MAX:
        raise metadata_too_large(path)
    metadata = _parse(raw, path, _verbatim)
    if metadata is None:
        return None
    if type(metadata) is not dict:
        raise Invalid(f"{path}: Metadata must be a JSON object.", path)
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES_MAX:
        raise metadata_too_large(path)
    if _has_nul_in_key(metadata):
        raise Invalid(f"{path}: The names in metadata must not contain NUL.", path)
    return metadata


def metadata_too_large(path: str) -> TooLarge:
    """The error for metadata over its limit, whether as sent or as merged."""
    return TooLarge(
        f"{path}: Metadata may have {METADATA_BYTES_MAX} bytes as JSON, and this would be more; keep less in it.",
        {"path": path},
    )


def message_too_large(path: str, size: int) -> TooLarge:
    """The error for a message over its limit, whether as sent or as edited."""
    return TooLarge(
        f"{path}: A message may have {MESSAGE_BYTES_MAX} bytes as JSON; this one has {size}. "
        "Keep large things elsewhere, and a link to them here.",
        {"path": path},
    )


def canonical(raw: Raw | UnsetType) -> Any:
    """Return a JSON text as plain values to compare; None where there is none.

    `read_metadata` has read it before, but keeps numbers as they were written, and two may be one value.
    """
    return None if isinstance(raw, UnsetType) else _parse(raw, "", _canonical)


def digest(*values: Any, sent: Struct | None = None, later: Sequence[FieldInfo] = ()) -> str:
    """SHA-256, in hexadecimal, of plain values in canonical JSON: keys sorted, no white space.

    Those of the later fields of what was `sent` that are given come last; without them, the digest is what it was.
    """
    given = {}
    for field in later:
        value = getattr(sent, field.name)
        if isinstance(value, Raw):
            value = canonical(value)
        if value is not None and value != field.default:
            given[field.encode_name] = value
    if given:
        values = (*values, given)
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()


def later_fields(kind: type[Struct], *first: str) -> list[FieldInfo]:
    """The fields of what clients send that came after the first ones, each of which has its place in the digest."""
    return [field for field in fields(kind) if field.name not in first]


def merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON Merge Patch applied. Source: RFC 7396, section 2."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif type(value) is dict:
            before = result.get(name)
            result[name] = merged(before if type(before) is dict else {}, value)
        else:
            result[name] = value
    return result


def merged_metadata(target: Raw, patch: Raw) -> Raw:
    """A JSON Merge Patch applied to metadata, as it is kept."""
    before, change = (read_metadata(raw, "metadata") or {} for raw in (target, patch))
    return Raw(msgspec.json.encode(merged(before, change)))


def _check_block(block: Any, path: str) -> None:
    if type(block) is not dict:
        raise Invalid(
            f'{path}: A block must be an object with a `type`, such as {{"type": "text", "text": "Hello"}}.', path
        )
    name = block.get("type")
    if type(name) is not str or not name:
        raise Invalid(f"{path}: A block must have a `type`, such as `text`.", join(path, "type"))
    if name in BLOCKS:
        known = convert(block, BLOCKS[name], path)
        if isinstance(known, ToolResultBlock):
            _check_call(known, convert(block, AnthropicToolResult, path), path)


def _check_call(result: ToolResultBlock, as_anthropic: AnthropicToolResult, path: str) -> None:
    """Refuse a tool's result that is of no call, or of two."""
    ids = {result.tool_use_id, as_anthropic.tool_use_id} - {UNSET}
    if not ids:
        raise Invalid(f"{path}: A tool result must name its call, as `toolUseId` or as `tool_use_id`.", path)
    if len(ids) > 1:
        raise Invalid(f"{path}: `toolUseId` and `tool_use_id` must be the same; send one of them.", path)


def _parse(raw: Raw, path: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        value = decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise not_json(error, raw, path) from error
    return _with_long_integers(value) if decoder is _canonical and _LONG_INTEGER.search(raw) else value


def _has_nul_in_key(value: Any) -> bool:
    if type(value) is dict:
        return any("\0" in name or _has_nul_in_key(item) for name, item in value.items())
    return type(value) is list and any(_has_nul_in_key(item) for item in value)


def _number(text: str) -> int | float | Raw:
    """One form for each value: 1.0, 1e0 and 1 are the same number, to a client that reads and resends them too."""
    if len(text) <= _FLOAT_DIGITS and "e" not in text and "E" not in text:  # as most are, and there may be many
        value = float(text)
        return int(value) if value.is_integer() else value
    sign, whole, fraction, exponent_text = _NUMBER.fullmatch(text).groups(default="")  # type: ignore[union-attr]
    if len(exponent_text) > _EXPONENT_CHARACTERS_MAX:
        return Raw(text.encode())
    digits = whole + fraction
    exponent = int(exponent_text or 0) - len(fraction) + len(digits) - len(digits.rstrip("0"))
    digits = digits.strip("0")
    if not digits:
        return 0
    if exponent < 0 and len(digits) <= _FLOAT_DIGITS and -exponent < _FLOAT_EXPONENT_MAX:
        return float(text)  # of so few digits each double is one number, and the other way round
    return _written(sign, digits, exponent)


def _written(sign: str, digits: str, exponent: int) -> int | Raw:
    """A number by its digits, which neither begin nor end in 0: short, whatever the exponent."""
    if exponent >= 0 and len(digits) + exponent <= _INTEGER_DIGITS:
        return int(f"{sign}{digits}{'0' * exponent}")
    return Raw(f"{sign}{digits}e{exponent}".encode())


def _with_long_integers(value: Any) -> Any:
    """The same with integers of many digits in the one form that `_number` gives them."""
    if type(value) is dict:
        return {name: _with_long_integers(item) for name, item in value.items()}
    if type(value) is list:
        return [_with_long_integers(item) for item in value]
    if type(value) is int and abs(value) >= 10**_INTEGER_DIGITS:
        digits = str(abs(value))
        return _written("-" if value < 0 else "", digits.rstrip("0"), len(digits) - len(digits.rstrip("0")))
    return value


_canonical = msgspec.json.Decoder(float_hook=_number)
_verbatim = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))
