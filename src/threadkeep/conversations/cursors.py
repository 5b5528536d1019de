"""Cursors: opaque texts that say where the next page begins.

They begin with `~`, which no id has, so that a list can take either. Those of earlier versions did not: such a text is
an id if there is a row of that id, and else the cursor.
"""

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec

from threadkeep.conversations.models import INTEGER_MAX, Count, Id
from threadkeep.errors import Invalid
from threadkeep.ids import is_id

HITS_MAX = 10_000
"""How far into a search anybody can page: nobody reads that far, and each page has to pass all hits before it."""

END_OF_REV = 4
"""A kind after that of every row; see `AfterChange`. Earlier versions ended their revs with a lower one."""

Bound = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX - 1)]


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


class BeforeOnPath(msgspec.Struct, tag="p", array_like=True, frozen=True):
    """The next page of messages is what this one follows, and what that follows."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]


class AfterOnPath(msgspec.Struct, tag="q", array_like=True, frozen=True):
    """The next page of messages is newer than this place on the path to a leaf, whichever is active by then."""

    seq: Count
    leaf: Count


class AfterHits(msgspec.Struct, tag="h", array_like=True, frozen=True):
    """The next page of hits comes after so many."""

    count: Annotated[int, msgspec.Meta(ge=0, le=HITS_MAX)]


class AfterChange(msgspec.Struct, tag="r", array_like=True, frozen=True):
    """The next changes come after this one: by rev, then by kind, then by row.

    Conversations are of kind 0, messages 1, removals 2, drafts 3.
    """

    epoch: Annotated[str, msgspec.Meta(max_length=26)]
    rev: Bound
    kind: Annotated[int, msgspec.Meta(ge=0, le=END_OF_REV)]
    n: Bound
    floor: Bound
    """The floor when the reader began at 0, for a reader that holds nothing which a tombstone could take away."""


MessageCursor = BeforeMessage | AfterMessage | BeforeOnPath | AfterOnPath
Cursor = AfterConversation | MessageCursor | AfterHits | AfterChange
C = TypeVar("C", bound=Cursor)


class Start(NamedTuple, Generic[C]):
    """Where a page begins: at the row of this id, if it may be one and is there; else at this place, if it is one."""

    id: str | None
    place: C | None


def encode(cursor: Cursor) -> str:
    """A cursor as text that fits into a URL as it is."""
    encoded = b2a_base64(msgspec.json.encode(cursor), newline=False)
    return _MARK + encoded.translate(_for_urls, b"=").decode()


def start_of_conversations(text: str) -> Start[AfterConversation]:
    """Where a list of conversations begins. Raises Invalid for a text that is neither an id nor a cursor of one."""
    return _start(text, _conversations)


def start_of_messages(text: str) -> Start[MessageCursor]:
    """Where a list of messages begins. Raises Invalid for a text that is neither an id nor a cursor of one."""
    return _start(text, _messages)


def decode_hits(text: str) -> AfterHits:
    """The cursor of a search. Raises Invalid for any text that `encode` did not make for one."""
    return _decode(text, _hits)


def decode_change(text: str) -> AfterChange:
    """The cursor of the changes, or "0" for the beginning. Raises Invalid for any other text."""
    return AfterChange("", 0, 0, 0, 0) if text == "0" else _decode(text, _changes, "since")


def invalid(path: str = "cursor") -> Invalid:
    """The error for a cursor that leads nowhere."""
    return Invalid(f"{path}: This is not a cursor of this list; send one unchanged, or none.", path)


def _start(text: str, decoder: msgspec.json.Decoder[C]) -> Start[C]:
    if text.startswith(_MARK) or not is_id(text):
        return Start(None, _decode(text, decoder))
    try:
        return Start(text, _decode(text, decoder))
    except Invalid:
        return Start(text, None)


def _decode(text: str, decoder: msgspec.json.Decoder[C], path: str = "cursor") -> C:
    encoded = text.removeprefix(_MARK)
    try:
        cursor = decoder.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid(path) from error
    if encode(cursor) != _MARK + encoded:  # the decoders are lenient
        raise invalid(path)
    return cursor


_MARK = "~"
_for_urls = bytes.maketrans(b"+/", b"-_")
_conversations = msgspec.json.Decoder(AfterConversation)
_messages: msgspec.json.Decoder[MessageCursor] = msgspec.json.Decoder(MessageCursor)
_hits = msgspec.json.Decoder(AfterHits)
_changes = msgspec.json.Decoder(AfterChange)
