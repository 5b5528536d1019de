"""Notes of tasks: how a patch is written before it is merged, and whether a note has what it must."""

from typing import Any

import msgspec
from msgspec import Raw

from threadkeep.agents.journals.heads import merged_head
from threadkeep.errors import Invalid


def canonical(patch: Raw) -> Raw:
    """A patch with each name once, and no more escaped than it must be, so that all databases read it alike.

    Raises Invalid for half of a surrogate pair, which a merge cannot keep.
    """
    try:
        return Raw(msgspec.json.encode(_verbatim.decode(patch)))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(
            "note: It has half of a surrogate pair. Send such a text as JSON within a text.", "note"
        ) from error


def merged_note(note: Raw, patch: Raw) -> Raw:
    """A patch merged into a note, or into nothing."""
    return merged_head(note, patch)


def has(note: Raw, wanted: dict[str, Any]) -> bool:
    """Whether a note has each of these, of the same type and value. What is absent counts as null."""
    found = _verbatim.decode(note) or {}
    return all(type(found.get(name)) is type(value) and found.get(name) == value for name, value in wanted.items())


_verbatim = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))
