"""The rules of threads on every back end: what is checked and completed before a store is asked to keep it."""

from binascii import Error, a2b_base64
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from threadkeep.agents.checks import checked_name, is_name, milliseconds, request_name
from threadkeep.agents.threads import metadata
from threadkeep.agents.threads.models import (
    CHANNELS_MAX,
    METADATA_BYTES_MAX,
    NAMES_MAX,
    STORED_BYTES_MAX,
    VALUES_MAX,
    WRITES_MAX,
    CheckpointPage,
    CopyThread,
    DeleteRuns,
    DeltaPage,
    NewCheckpoint,
    NewValue,
    NewWrites,
    Progress,
    PruneThreads,
    Thread,
)
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    ValueRecord,
    WriteRecord,
    WritesRecord,
)
from threadkeep.agents.threads.store import ThreadStore
from threadkeep.errors import Invalid, TooLarge

COUNTERS = "counters_since_delta_snapshot"
"""The member of metadata that counts, for some channels, the steps since they had a value."""


async def put_checkpoint(store: ThreadStore, thread: str, new: NewCheckpoint) -> Thread:
    """Keep a checkpoint. Returns and raises as `ThreadStore.put_checkpoint`; also Invalid and TooLarge."""
    return await store.put_checkpoint(checked_name(thread, "thread"), checkpoint_record(new))


async def put_writes(store: ThreadStore, thread: str, new: NewWrites) -> Thread:
    """Keep writes. Returns and raises as `ThreadStore.put_writes`; also Invalid and TooLarge."""
    return await store.put_writes(checked_name(thread, "thread"), writes_record(new))


async def claim_thread(store: ThreadStore, thread: str, *, request: str | None) -> Thread:
    """Claim a thread. Returns and raises as `ThreadStore.claim_thread`; also Invalid."""
    return await store.claim_thread(checked_name(thread, "thread"), request=request_name(request))


async def list_checkpoints(
    store: ThreadStore,
    thread: str | None = None,
    *,
    ns: str | None = None,
    id: str | None = None,  # noqa: A002 what clients call it
    before: str | None = None,
    filter: Raw | None = None,  # noqa: A002 what clients call it
    cursor: str | None = None,
    limit: int = 100,
) -> CheckpointPage:
    """List checkpoints. Returns and raises as `ThreadStore.list_checkpoints`; also Invalid."""
    query = CheckpointQuery(
        thread=None if thread is None else checked_name(thread, "thread"),
        ns=None if ns is None else _namespace(ns),
        id=None if id is None else checked_name(id, "checkpoint"),
        before=None if before is None else checked_name(before, "before"),
        filter=[] if filter is None else metadata.members_of(_object(filter, "filter")),
        cursor=cursor,
        limit=limit,
    )
    return await store.list_checkpoints(query)


async def checkpoint_deltas(
    store: ThreadStore,
    thread: str,
    *,
    channels: list[str],
    ns: str = "",
    id: str | None = None,  # noqa: A002 what clients call it
    cursor: str | None = None,
) -> DeltaPage:
    """Find what channels became. Returns and raises as `ThreadStore.checkpoint_deltas`; also Invalid and TooLarge."""
    _check_count(channels, "channels", CHANNELS_MAX)
    query = DeltaQuery(
        ns=_namespace(ns),
        id=None if id is None else checked_name(id, "checkpoint"),
        channels=[checked_name(name, f"channels[{index}]") for index, name in enumerate(dict.fromkeys(channels))],
        cursor=cursor,
    )
    return await store.checkpoint_deltas(checked_name(thread, "thread"), query)


async def copy_thread(store: ThreadStore, thread: str, new: CopyThread) -> Progress:
    """Copy a thread. Returns and raises as `ThreadStore.copy_thread`; also Invalid."""
    source = checked_name(new.source, "source")
    if source == thread:
        raise Invalid("source: It is the thread itself. Copy it to another name.", "source")
    return Progress(await store.copy_thread(checked_name(thread, "thread"), source, epoch=new.epoch))


async def delete_thread(store: ThreadStore, thread: str) -> None:
    """Delete a thread. Raises as `ThreadStore.delete_thread`; also Invalid."""
    await store.delete_thread(checked_name(thread, "thread"))


async def prune_threads(store: ThreadStore, new: PruneThreads) -> Progress:
    """Prune threads. Returns and raises as `ThreadStore.prune_threads`; also Invalid and TooLarge."""
    if (new.threads is None) == (new.updated_before is None):
        raise Invalid("threads: Say which, either by their names or by `updatedBefore`.", "threads")
    _check_count(new.threads or [], "threads", NAMES_MAX)
    names = None if new.threads is None else list(dict.fromkeys(new.threads))
    record = PruneRecord(
        threads=names and [checked_name(name, f"threads[{index}]") for index, name in enumerate(names)],
        updated_before=new.updated_before,
        keeps_latest=new.keep == "latest",
    )
    return Progress(await store.prune_threads(record) if names or names is None else False)


async def delete_runs(store: ThreadStore, new: DeleteRuns) -> Progress:
    """Delete the checkpoints of runs. Returns and raises as `ThreadStore.delete_runs`; also Invalid and TooLarge."""
    _check_count(new.runs, "runs", NAMES_MAX)
    runs = [checked_name(run, f"runs[{index}]") for index, run in enumerate(dict.fromkeys(new.runs))]
    return Progress(await store.delete_runs(runs) if runs else False)


def checkpoint_record(new: NewCheckpoint) -> CheckpointRecord:
    """Check a checkpoint. Raises Invalid or TooLarge with the path of what is wrong."""
    described = {} if new.metadata is UNSET else _object(new.metadata, "metadata")
    _check_count(new.values, "values", VALUES_MAX)
    _check_count(list(new.stored), "stored", VALUES_MAX)
    if len(msgspec.json.encode(new.stored)) > STORED_BYTES_MAX:
        raise TooLarge(f"stored: It has at most {STORED_BYTES_MAX:,} bytes. Shorten names.", {"path": "stored"})
    run_id, counters = described.get("run_id"), described.get(COUNTERS)
    id_ = checked_name(new.id, "id")
    if new.parent == id_:
        raise Invalid("parent: A checkpoint has another one as its parent, or none.", "parent")
    return CheckpointRecord(
        ns=_namespace(new.ns),
        id=id_,
        parent=None if new.parent is None else checked_name(new.parent, "parent"),
        run_id=run_id if isinstance(run_id, str) and is_name(run_id) else None,
        metadata=metadata.members_of(described),
        stored={
            checked_name(channel, "stored"): version if version is None else checked_name(version, "stored")
            for channel, version in new.stored.items()
        },
        counted=list(counters) if isinstance(counters, dict) else [],
        type=checked_name(new.type, "type"),
        data=_base64(new.data, "data"),
        values=_values(new.values),
        epoch=new.epoch,
        expires_in=milliseconds(new.expires_in),
    )


def writes_record(new: NewWrites) -> WritesRecord:
    """Check writes. Raises Invalid or TooLarge with the path of what is wrong."""
    _check_count(new.writes, "writes", WRITES_MAX)
    task = checked_name(new.task, "task")
    path = new.path and checked_name(new.path, "path")
    writes: dict[int, WriteRecord] = {}
    for index, write in enumerate(new.writes):
        at = f"writes[{index}]"
        record = WriteRecord(
            task=task,
            path=path,
            idx=write.idx,
            channel=checked_name(write.channel, f"{at}.channel"),
            type=checked_name(write.type, f"{at}.type"),
            data=_base64(write.data, f"{at}.data"),
        )
        if write.idx < 0 or write.idx not in writes:
            writes[write.idx] = record
    return WritesRecord(
        ns=_namespace(new.ns),
        checkpoint=checked_name(new.checkpoint, "checkpoint"),
        task=task,
        path=path,
        writes=list(writes.values()),
        epoch=new.epoch,
    )


def _values(values: list[NewValue]) -> list[ValueRecord]:
    """The values of a checkpoint, of which the first of a channel and version counts."""
    records: dict[tuple[str, str], ValueRecord] = {}
    for index, value in enumerate(values):
        at = f"values[{index}]"
        record = ValueRecord(
            channel=checked_name(value.channel, f"{at}.channel"),
            version=checked_name(value.version, f"{at}.version"),
            type=checked_name(value.type, f"{at}.type"),
            data=_base64(value.data, f"{at}.data"),
        )
        records.setdefault((record.channel, record.version), record)
    return list(records.values())


def _namespace(ns: str) -> str:
    return ns and checked_name(ns, "ns")


def _object(document: Raw, path: str) -> dict[str, Any]:
    """A JSON object, as it was written. Raises Invalid or TooLarge."""
    if len(memoryview(document)) > METADATA_BYTES_MAX:
        raise TooLarge(f"{path}: It has at most {METADATA_BYTES_MAX:,} bytes. Keep less in it.", {"path": path})
    try:
        values = metadata.decoded(document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"{path}: It is not JSON. Send a JSON object.", path) from error
    if not isinstance(values, dict):
        raise Invalid(f"{path}: It is not an object. Send a JSON object.", path)
    return values


def _base64(data: str, path: str) -> str:
    """Bytes in base64. Raises Invalid."""
    try:
        a2b_base64(data.encode(), strict_mode=True)
    except (Error, UnicodeEncodeError) as error:
        raise Invalid(f"{path}: It is not base64 with padding, as RFC 4648 has it in section 4.", path) from error
    return data


def _check_count(values: list[Any], path: str, most: int) -> None:
    if len(values) > most:
        raise TooLarge(f"{path}: At most {most:,} can be sent together.", {"path": path})
