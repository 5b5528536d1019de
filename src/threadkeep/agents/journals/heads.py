"""Heads: a JSON Merge Patch applied to one, where the database does not do so."""

import msgspec
from msgspec import Raw

from threadkeep.conversations.content import merged


def merged_head(head: Raw, patch: Raw) -> Raw:
    """A JSON object merged into a head, whatever that is. Numbers stay as they were written."""
    before, change = (_verbatim.decode(part) for part in (head, patch))
    return Raw(msgspec.json.encode(merged(before if isinstance(before, dict) else {}, change)))


_verbatim = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))
