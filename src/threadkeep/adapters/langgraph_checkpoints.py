"""Turns what LangGraph keeps into threads of ours, and back.

What LangGraph's serializer makes of a value is bytes with a type, which go as they are. Small plain values stand in the
checkpoint itself; the others are kept once for each version of their channel.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
)
from langgraph.checkpoint.base import Checkpoint as GraphCheckpoint
from langgraph.checkpoint.serde.base import SerializerProtocol
from msgspec import Raw

from threadkeep.agents.threads.models import (
    WRITES_MAX,
    ChannelValue,
    Checkpoint,
    NewCheckpoint,
    NewValue,
    NewWrite,
    Typed,
)
from threadkeep.agents.threads.models import PendingWrite as StoredWrite

INLINE_CHARACTERS_MAX = 200
"""How long a text may be that stands in the checkpoint itself."""
PART_BYTES_MAX = 6_000_000
"""How many bytes of writes are sent together, of the 8 MiB that a request may have."""

Values = Mapping[tuple[str, str, str, str], ChannelValue]
"""By thread, namespace, channel and version."""


def new_checkpoint(
    serde: SerializerProtocol,
    checkpoint: GraphCheckpoint,
    *,
    ns: str,
    parent: str | None,
    metadata: Mapping[str, Any],
    new_versions: ChannelVersions,
    epoch: int,
    expires_in: int | None,
) -> NewCheckpoint:
    """A checkpoint as it is sent: with the values that are new, and that do not stand in it."""
    values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
    inline = {channel: value for channel, value in values.items() if is_inline(value) or channel not in versions}
    apart = {channel: str(versions[channel]) for channel in values if channel not in inline}
    document = {**checkpoint, "channel_values": inline}
    return NewCheckpoint(
        id=checkpoint["id"],
        ns=ns,
        parent=parent,
        metadata=as_json(metadata),
        stored={**dict.fromkeys(inline), **apart},
        values=[
            NewValue(channel=channel, version=version, **typed(serde, values[channel]))
            for channel, version in apart.items()
            if channel in new_versions
        ],
        epoch=epoch,
        expires_in=expires_in,
        **typed(serde, document),
    )


def is_inline(value: Any) -> bool:
    """Whether a value stands in the checkpoint: it is plain, and small."""
    if isinstance(value, str):
        return type(value) is str and len(value) <= INLINE_CHARACTERS_MAX
    return value is None or type(value) in (bool, int, float)


def new_writes(serde: SerializerProtocol, writes: Sequence[tuple[str, Any]]) -> list[NewWrite]:
    """The writes of a task as they are sent. LangGraph gives errors, interrupts and the like a place below 0."""
    return [
        NewWrite(idx=WRITES_IDX_MAP.get(channel, index), channel=channel, **typed(serde, value))
        for index, (channel, value) in enumerate(writes)
    ]


def in_parts(writes: list[NewWrite]) -> Iterator[list[NewWrite]]:
    """Writes of a task, in as many parts as it takes to send them."""
    part: list[NewWrite] = []
    size = 0
    for write in writes:
        if part and (len(part) == WRITES_MAX or size + len(write.data) > PART_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(write)
        size += len(write.data)
    if part:
        yield part


def as_tuple(serde: SerializerProtocol, kept: Checkpoint, values: Values, more: Mapping[str, Any]) -> CheckpointTuple:
    """A checkpoint as LangGraph knows it. `more` goes into each `configurable` beside what names the checkpoint."""
    document = document_of(serde, kept)
    for channel, version in kept.stored.items():
        value = None if version is None else values.get((kept.thread, kept.ns, channel, version))
        if value is not None:
            document["channel_values"][channel] = loaded(serde, value)
    return CheckpointTuple(
        config={"configurable": {**more, **place(kept.thread, kept.ns, kept.id)}},
        checkpoint=document,
        metadata=cast(CheckpointMetadata, json.loads(bytes(kept.metadata))),
        parent_config=(
            {"configurable": {**more, **place(kept.thread, kept.ns, kept.parent)}} if kept.parent is not None else None
        ),
        pending_writes=[pending(serde, write) for write in kept.writes],
    )


def document_of(serde: SerializerProtocol, kept: Checkpoint | Typed) -> GraphCheckpoint:
    """The checkpoint itself, with the values that stand in it."""
    return cast(GraphCheckpoint, loaded(serde, kept))


def pending(serde: SerializerProtocol, write: StoredWrite) -> PendingWrite:
    """A write as LangGraph knows it."""
    return write.task, write.channel, loaded(serde, write)


def place(thread: str, ns: str, id_: str) -> dict[str, str]:
    """By what LangGraph finds a checkpoint again."""
    return {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": id_}


def typed(serde: SerializerProtocol, value: Any) -> dict[str, str]:
    """A value as bytes with a type."""
    kind, data = serde.dumps_typed(value)
    return {"type": kind, "data": b64encode(data).decode()}


def loaded(serde: SerializerProtocol, kept: Typed | Checkpoint | ChannelValue | StoredWrite) -> Any:
    """The value again."""
    return serde.loads_typed((kept.type, b64decode(kept.data)))


def as_json(metadata: Mapping[str, Any]) -> Raw:
    """Metadata as JSON. Half a character, which JSON cannot hold in UTF-8, becomes a question mark.

    Raises ValueError for what is no JSON.
    """
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"metadata: It has to be JSON, so that it can be searched: {error}.") from error
    return Raw(text.encode(errors="replace"))
