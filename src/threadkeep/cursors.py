"""Cursors: opaque texts that say where the next page begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec

from threadkeep.errors import Invalid
from threadkeep.models import INTEGER_MAX, Count, Id


class AfterConversation(msgspec.Struct, tag="c", array_like=True, frozen=True):
    """The next page of conversations comes after this one, latest first."""

    updated_at: Count
    id: Id


class BeforeMessage(msgspec.Struct, tag="b", array_like=True, frozen=True):
    """The next page of messages is older than this place in the order."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]


class AfterMessage(msgspec.Struct, tag="a", array_like=True, frozen=True):
    """The next page of messages is newer than this place in the order."""

    seq: Count


MessageCursor = BeforeMessage | AfterMessage
Cursor = AfterConversation | MessageCursor
C = TypeVar("C", bound=Cursor)


def encode(cursor: Cursor) -> str:
    """A cursor as text that fits into a URL as it is."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_conversation(text: str) -> AfterConversation:
    """The cursor of a list of conversations. Raises Invalid for any text that `encode` did not make for one."""
    return _decode(text, _conversations)


def decode_message(text: str) -> MessageCursor:
    """The cursor of a list of messages. Raises Invalid for any text that `encode` did not make for one."""
    return _decode(text, _messages)


def invalid() -> Invalid:
    """The error for a cursor that leads nowhere."""
    return Invalid("cursor: This is no cursor of this list; use a `nextCursor` as it came, or leave it out.", "cursor")


def _decode(text: str, decoder: msgspec.json.Decoder[C]) -> C:
    try:
        cursor = decoder.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid() from error
    if encode(cursor) != text:  # the decoders are lenient
        raise invalid()
    return cursor


_conversations = msgspec.json.Decoder(AfterConversation)
_messages: msgspec.json.Decoder[MessageCursor] = msgspec.json.Decoder(MessageCursor)
