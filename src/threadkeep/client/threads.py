"""Threads that another Threadkeep keeps."""

from typing import Any
from urllib.parse import quote

import msgspec

from threadkeep.agents.threads.metadata import as_object
from threadkeep.agents.threads.models import (
    CheckpointPage,
    CopyThread,
    DeleteRuns,
    DeltaPage,
    NewCheckpoint,
    NewValue,
    NewWrite,
    NewWrites,
    Progress,
    PruneThreads,
    Thread,
    ThreadPage,
)
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    WritesRecord,
)
from threadkeep.client.transport import Remote, read


class RemoteThreads(Remote):
    """A `ThreadStore` over the HTTP API. See `agents/threads/store.py` for what each method promises.

    Whatever is sent again leaves the same behind: a claim, since it has a name, and all else by itself.
    """

    async def put_checkpoint(self, thread: str, record: CheckpointRecord) -> Thread:
        new = NewCheckpoint(
            id=record.id,
            ns=record.ns,
            parent=record.parent,
            metadata=as_object(record.metadata),
            stored=record.stored,
            type=record.type,
            data=record.data,
            values=[
                NewValue(channel=value.channel, version=value.version, type=value.type, data=value.data)
                for value in record.values
            ],
            epoch=record.epoch,
            expires_in=None if record.expires_in is None else record.expires_in // 1_000,
        )
        return await self._written(f"{_path(thread)}/checkpoints", new)

    async def put_writes(self, thread: str, record: WritesRecord) -> Thread:
        new = NewWrites(
            checkpoint=record.checkpoint,
            ns=record.ns,
            task=record.task,
            path=record.path,
            writes=[
                NewWrite(idx=write.idx, channel=write.channel, type=write.type, data=write.data)
                for write in record.writes
            ],
            epoch=record.epoch,
        )
        return await self._written(f"{_path(thread)}/writes", new)

    async def claim_thread(self, thread: str, *, request: str) -> Thread:
        headers = {"Idempotency-Key": request}
        response = await self._transport.send("POST", f"{_path(thread)}/owner", headers=headers, is_repeatable=True)
        return read(response, Thread)

    async def list_threads(self, *, cursor: str | None = None, limit: int = 100) -> ThreadPage:
        query = {"cursor": cursor, "limit": limit}
        return read(await self._transport.send("GET", "/api/threads", query=query), ThreadPage)

    async def list_checkpoints(self, query: CheckpointQuery) -> CheckpointPage:
        asked = {
            "ns": query.ns,
            "checkpoint": query.id,
            "before": query.before,
            "filter": bytes(as_object(query.filter)).decode() if query.filter else None,
            "cursor": query.cursor,
            "limit": query.limit,
        }
        path = "/api/checkpoints" if query.thread is None else f"{_path(query.thread)}/checkpoints"
        return read(await self._transport.send("GET", path, query=asked), CheckpointPage)

    async def checkpoint_deltas(self, thread: str, query: DeltaQuery) -> DeltaPage:
        asked = {
            "ns": query.ns,
            "checkpoint": query.id,
            "channels": msgspec.json.encode(query.channels).decode(),
            "cursor": query.cursor,
        }
        return read(await self._transport.send("GET", f"{_path(thread)}/deltas", query=asked), DeltaPage)

    async def copy_thread(self, thread: str, source: str, *, epoch: int = 0) -> bool:
        return await self._has_more(f"{_path(thread)}/copy", CopyThread(source=source, epoch=epoch))

    async def delete_thread(self, thread: str) -> None:
        await self._transport.send("DELETE", _path(thread), is_repeatable=True)

    async def prune_threads(self, record: PruneRecord) -> bool:
        new = PruneThreads(
            threads=record.threads,
            updated_before=record.updated_before,
            keep="latest" if record.keeps_latest else "none",
        )
        return await self._has_more("/api/checkpoints/prune", new)

    async def delete_runs(self, runs: list[str]) -> bool:
        return await self._has_more("/api/checkpoints/delete", DeleteRuns(runs=runs))

    async def _written(self, path: str, body: msgspec.Struct) -> Thread:
        return read(await self._transport.send("POST", path, body, is_repeatable=True), Thread)

    async def _has_more(self, path: str, body: Any) -> bool:
        return read(await self._transport.send("POST", path, body, is_repeatable=True), Progress).more


def _path(thread: str) -> str:
    return f"/api/threads/{quote(thread, safe='')}"
