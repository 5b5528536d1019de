"""Cursors of journals and of entries: opaque texts that say where the next page begins."""

from typing import Annotated

import msgspec

from threadkeep.agents.cursors import decode, encode
from threadkeep.agents.journals.models import Journal
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.cursors import Bound

__all__ = ["AfterEntry", "AfterJournal", "decode", "encode"]

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
