"""Cursors of the state of agents as text: opaque, and safe in a URL. What stands in one is for each kind to say."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from threadkeep.conversations.cursors import invalid

C = TypeVar("C", bound=msgspec.Struct)


def encode(cursor: msgspec.Struct) -> str:
    """A cursor as text that fits into a URL as it is."""
    return f"~{urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b'=').decode()}"


def decode(text: str, into: type[C]) -> C:
    """The cursor that a text is. Raises Invalid for any text that `encode` did not make."""
    encoded = text.removeprefix("~")
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), type=into)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid() from error
    if encode(cursor) != text:  # the decoders are lenient
        raise invalid()
    return cursor
