"""Cursors of threads, of checkpoints and of deltas."""

from typing import Annotated

import msgspec

from threadkeep.agents.cursors import decode, encode
from threadkeep.agents.threads.models import CHANNELS_MAX
from threadkeep.agents.values import NAME_BYTES_MAX
from threadkeep.conversations.cursors import Bound

__all__ = ["AfterCheckpoint", "AfterThread", "BeforeAncestor", "decode", "encode"]

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
    """What is older of these channels comes before this ancestor."""

    id: Text
    channels: Annotated[list[Text], msgspec.Meta(max_length=CHANNELS_MAX)]
