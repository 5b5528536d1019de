"""Cursors of journals and of entries: opaque texts that say where the next page begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec

from threadkeep.agents.journals.models import Journal
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.cursors import Bound, invalid

Text = Annotated[str, msgspec.Meta(max_length=NAME_BYTES_MAX)]


class AfterJournal(msgspec.Struct, tag="j", array_like=True, frozen=True):
    """The next page of journals comes after this one."""

    sort: Text
    key: Text


class AfterUpdate(msgspec.Struct, tag="u", array_like=True, frozen=True):
    """The next page of journals comes after this one, in the order in which they were written."""

    updated_at: Bound
    key: Text


class AfterEntry(msgspec.Struct, tag="e", array_like=True, frozen=True):
    """The next page of entries comes after this one, as long as nothing is removed."""

    incarnation: Annotated[str, msgspec.Meta(max_length=26)]
    generation: Bound
    seq: Annotated[int, msgspec.Meta(ge=-1, le=2**53 - 2)]

    def is_of(self, journal: Journal) -> bool:
        """Whether it can still be followed."""
        return (self.incarnation, self.generation) == (journal.incarnation, journal.generation)


C = TypeVar("C", AfterJournal, AfterUpdate, AfterEntry)


def encode(cursor: AfterJournal | AfterUpdate | AfterEntry) -> str:
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
