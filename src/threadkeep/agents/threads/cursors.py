"""Cursors of threads, of checkpoints and of deltas."""

from typing import Annotated

import msgspec

from threadkeep.agents.cursors import decode, encode
from threadkeep.agents.threads.models import CHANNELS_MAX
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.cursors import Bound
from threadkeep.conversations.models import INTEGER_MAX

__all__ = ["AfterCheckpoint", "AfterThread", "BeforeAncestor", "after_page", "decode", "encode"]

Text = Annotated[str, msgspec.Meta(max_length=NAME_BYTES_MAX)]


class AfterThread(msgspec.Struct, tag="t", array_like=True, frozen=True):
    """The next page of threads comes after this one, last written first."""

    updated_at: Bound
    thread: Text


class AfterCheckpoint(msgspec.Struct, tag="k", array_like=True, frozen=True):
    """The next page of checkpoints comes after this one, the greatest id first."""

    id: Text
    thread: Text
    ns: Text


class BeforeAncestor(msgspec.Struct, tag="d", array_like=True, frozen=True):
    """What is older of these channels comes before this ancestor.

    Nothing keeps a client from putting checkpoints whose parents go in a circle. So a cursor remembers one ancestor,
    another one each time that twice as many pages were read: whoever comes to it again has gone in a circle (Brent).
    """

    id: Text
    channels: Annotated[list[Text], msgspec.Meta(max_length=CHANNELS_MAX)]
    remembered: Text
    pages: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]


def after_page(before: BeforeAncestor | None, last: str, channels: list[str]) -> BeforeAncestor:
    """The cursor of what comes after a page, which ended with this ancestor."""
    pages = 1 if before is None else before.pages + 1
    is_power_of_two = pages & (pages - 1) == 0
    return BeforeAncestor(last, channels, last if before is None or is_power_of_two else before.remembered, pages)
