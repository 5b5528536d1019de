"""Threads as tests make them: through the service, as the HTTP API does."""

from base64 import b64decode, b64encode
from typing import Any

import msgspec
from msgspec import Raw

from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.agents.threads.models import (
    Checkpoint,
    CheckpointPage,
    CopyThread,
    DeleteRuns,
    NewCheckpoint,
    NewValue,
    NewWrite,
    NewWrites,
    PendingWrite,
    PruneThreads,
    Thread,
)

THREAD = 'a/thread "of" [ours]'


def encoded(value: Any) -> dict[str, str]:
    """A plain value as a serializer gives it: what type it says it is, and its bytes in base64."""
    return {"type": "json", "data": b64encode(msgspec.json.encode(value)).decode()}


def plain(value: Any) -> Any:
    """The plain value of whatever has a type and data; of None, None."""
    return value and msgspec.json.decode(b64decode(value.data))


async def put(
    store: StateStore, id_: str, parent: str | None = None, *, thread: str = THREAD, values: Any = None, **fields: Any
) -> Thread:
    """Put a checkpoint that says its id. `values` are of channels, by version: what it names, and sends."""
    metadata = Raw(msgspec.json.encode(fields.pop("metadata", {})))
    sent = [
        NewValue(channel=channel, version=version, **encoded(value))
        for (channel, version), value in (values or {}).items()
    ]
    stored = fields.pop("stored", {}) | {value.channel: value.version for value in sent}
    new = NewCheckpoint(
        id=id_,
        parent=parent,
        metadata=metadata,
        stored=stored,
        values=sent,
        **{**encoded(f"checkpoint {id_}"), **fields},
    )
    return await service.put_checkpoint(store, thread, new)


async def write(
    store: StateStore, checkpoint: str, *writes: Any, task: str = "task", thread: str = THREAD, **fields: Any
) -> Thread:
    """Put writes of a task: pairs of a channel and a value, or triples that begin with an idx."""
    numbered = [each if len(each) == 3 else (index, *each) for index, each in enumerate(writes)]
    sent = [NewWrite(idx=idx, channel=channel, **encoded(value)) for idx, channel, value in numbered]
    new = NewWrites(checkpoint=checkpoint, task=task, writes=sent, **fields)
    return await service.put_writes(store, thread, new)


async def page(store: StateStore, thread: str | None = THREAD, **query: Any) -> CheckpointPage:
    """List checkpoints. A filter is a plain value."""
    if "filter" in query:
        query["filter"] = Raw(msgspec.json.encode(query["filter"]))
    return await service.list_checkpoints(store, thread, **query)


async def pages(store: StateStore, thread: str | None = THREAD, **query: Any) -> list[CheckpointPage]:
    """List checkpoints page by page."""
    found = [await page(store, thread, **query)]
    while found[-1].next_cursor:
        found.append(await page(store, thread, **{**query, "cursor": found[-1].next_cursor}))
    return found


async def ids(store: StateStore, thread: str | None = THREAD, **query: Any) -> list[str]:
    """The ids of all checkpoints, in the order of the list."""
    return [each.id for part in await pages(store, thread, **query) for each in part.checkpoints]


async def latest(store: StateStore, thread: str = THREAD, ns: str = "") -> Checkpoint:
    """The latest checkpoint."""
    return (await page(store, thread, ns=ns, limit=1)).checkpoints[0]


def written(writes: list[PendingWrite]) -> list[Any]:
    """Writes as pairs of a channel and a plain value."""
    return [(each.channel, plain(each)) for each in writes]


def valued(found: CheckpointPage) -> dict[tuple[str, str], Any]:
    """The plain values of a page, by channel and version."""
    return {(value.channel, value.version): plain(value) for value in found.values}


async def deltas(store: StateStore, *channels: str, thread: str = THREAD, **query: Any) -> dict[str, Any]:
    """What channels became: for each its seed, and what was written, as plain values; with what page it took."""
    found: dict[str, Any] = {channel: (None, []) for channel in channels}
    cursor = None
    while True:
        part = await service.checkpoint_deltas(store, thread, channels=list(channels), cursor=cursor, **query)
        for each in part.channels:
            seed, writes = found[each.channel]
            here = plain(each.seed or each.checkpoint)
            found[each.channel] = (seed if here is None else here, [*(plain(one) for one in each.writes), *writes])
        cursor = part.next_cursor
        if cursor is None:
            return found


async def copy(store: StateStore, thread: str, source: str = THREAD, **fields: Any) -> int:
    """Copy a thread; return in how many parts."""
    parts = 1
    while (await service.copy_thread(store, thread, CopyThread(source=source, **fields))).more:
        parts += 1
    return parts


async def prune(store: StateStore, *threads: str, keep: Any = "latest", **fields: Any) -> int:
    """Prune threads; return in how many parts."""
    new = PruneThreads(threads=None if "updated_before" in fields else list(threads or [THREAD]), keep=keep, **fields)
    parts = 1
    while (await service.prune_threads(store, new)).more:
        parts += 1
    return parts


async def delete_runs(store: StateStore, *runs: str) -> int:
    """Delete the checkpoints of runs; return in how many parts."""
    parts = 1
    while (await service.delete_runs(store, DeleteRuns(runs=list(runs)))).more:
        parts += 1
    return parts
