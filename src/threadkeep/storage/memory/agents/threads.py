"""Threads in memory: the contract in plain Python. It is the model of the other back ends."""

from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from threadkeep.agents.threads import cursors
from threadkeep.agents.threads.metadata import as_object
from threadkeep.agents.threads.models import (
    ANCESTORS_MAX,
    PAGE_BYTES_MAX,
    ChannelDeltas,
    ChannelValue,
    Checkpoint,
    CheckpointPage,
    DeltaPage,
    PendingWrite,
    Thread,
    ThreadPage,
    Typed,
)
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    TypedRecord,
    ValueRecord,
    WriteRecord,
    WritesRecord,
)
from threadkeep.agents.threads.store import circular, fenced, no_thread
from threadkeep.storage.memory.agents.base import MemoryState


@dataclass
class KeptThread:
    """A thread, with all that belongs to it."""

    thread: Thread
    request: str = ""
    checkpoints: dict[tuple[str, str], CheckpointRecord] = field(default_factory=dict)
    """By namespace and id."""
    values: dict[tuple[str, str, str], ValueRecord] = field(default_factory=dict)
    """By namespace, channel and version."""
    writes: dict[tuple[str, str, str, int], WriteRecord] = field(default_factory=dict)
    """By namespace, checkpoint, task and idx."""

    def writes_of(self, ns: str, checkpoint: str) -> list[WriteRecord]:
        """What is pending on a checkpoint, in order."""
        found = [write for place, write in self.writes.items() if place[:2] == (ns, checkpoint)]
        return sorted(found, key=lambda write: (write.path, write.task, write.idx))

    def values_of(self, record: CheckpointRecord) -> list[ValueRecord]:
        """The values that a checkpoint names, as far as there are any."""
        places = ((record.ns, channel, version or "") for channel, version in record.stored.items())
        return [self.values[place] for place in places if place in self.values]

    def has(self, record: CheckpointRecord, channel: str) -> bool:
        """Whether a checkpoint has the value of a channel."""
        if channel not in record.stored:
            return False
        version = record.stored[channel]
        return version is None or (record.ns, channel, version) in self.values

    def remove_unnamed(self) -> None:
        """Remove the values that no checkpoint names."""
        named = {
            (record.ns, channel, version)
            for record in self.checkpoints.values()
            for channel, version in record.stored.items()
        }
        self.values = {place: value for place, value in self.values.items() if place in named}

    def remove(self, places: list[tuple[str, str]]) -> None:
        """Remove checkpoints, with their writes."""
        for place in places:
            del self.checkpoints[place]
        self.writes = {place: write for place, write in self.writes.items() if place[:2] not in places}


Threads = dict[str, KeptThread]


class MemoryThreads(MemoryState):
    """A `ThreadStore` in memory. See `agents/threads/store.py` for what each method promises."""

    @property
    def _threads(self) -> Threads:
        """Those that have not expired."""
        threads, time = self._database.threads_of(self._user_id), self._clock()
        for name, kept in list(threads.items()):
            if kept.thread.expires_at is not None and kept.thread.expires_at <= time:
                del threads[name]
        return threads

    async def put_checkpoint(self, thread: str, record: CheckpointRecord) -> Thread:
        kept = self._written_thread(thread, record.epoch, record.expires_in)
        kept.checkpoints[record.ns, record.id] = record
        for value in record.values:
            kept.values.setdefault((record.ns, value.channel, value.version), value)
        return replace(kept.thread)

    async def put_writes(self, thread: str, record: WritesRecord) -> Thread:
        kept = self._written_thread(thread, record.epoch)
        for write in record.writes:
            place = (record.ns, record.checkpoint, write.task, write.idx)
            if write.idx < 0 or place not in kept.writes:
                kept.writes[place] = write
        return replace(kept.thread)

    async def claim_thread(self, thread: str, *, request: str) -> Thread:
        kept = self._ensured_thread(thread)
        if kept.request != request:
            kept.request = request
            time = max(kept.thread.updated_at, self._clock())
            kept.thread = replace(kept.thread, epoch=kept.thread.epoch + 1, updated_at=time)
        return replace(kept.thread)

    async def list_threads(self, *, cursor: str | None = None, limit: int = 100) -> ThreadPage:
        after = None if cursor is None else cursors.decode(cursor, cursors.AfterThread)
        found = [kept.thread for kept in self._threads.values()]
        found.sort(key=lambda thread: (thread.updated_at, thread.thread), reverse=True)
        if after is not None:
            place = (after.updated_at, after.thread)
            found = [thread for thread in found if (thread.updated_at, thread.thread) < place]
        page = [replace(thread) for thread in found[:limit]]
        if len(page) == len(found):
            return ThreadPage(page, None)
        return ThreadPage(page, cursors.encode(cursors.AfterThread(page[-1].updated_at, page[-1].thread)))

    async def list_checkpoints(self, query: CheckpointQuery) -> CheckpointPage:
        after = None if query.cursor is None else cursors.decode(query.cursor, cursors.AfterCheckpoint)
        found = [
            (record.id, name, record.ns, record, kept)
            for name, kept in self._threads.items()
            for record in kept.checkpoints.values()
            if query.thread in (None, name)
            and query.ns in (None, record.ns)
            and query.id in (None, record.id)
            and (query.before is None or record.id < query.before)
            and (after is None or (record.id, name, record.ns) < (after.id, after.thread, after.ns))
            and set(query.filter) <= set(record.metadata)
        ]
        found.sort(key=lambda each: each[:3], reverse=True)
        page = CheckpointPage([], [], None)
        values: dict[tuple[str, str, str, str], ValueRecord] = {}
        total = 0
        for index, (id_, name, ns, record, kept) in enumerate(found):
            writes = kept.writes_of(ns, id_)
            new = {(name, ns, value.channel, value.version): value for value in kept.values_of(record)}
            new = {place: value for place, value in new.items() if place not in values}
            total += sum(each.size for each in (record, *writes, *new.values()))
            if index == query.limit or (index and total > PAGE_BYTES_MAX):
                last = page.checkpoints[-1]
                page.next_cursor = cursors.encode(cursors.AfterCheckpoint(last.id, last.thread, last.ns))
                break
            values |= new
            page.checkpoints.append(_shown(name, record, writes))
        page.values = [
            ChannelValue(thread=place[0], ns=place[1], channel=place[2], version=place[3], **_typed(value))
            for place, value in sorted(values.items())
        ]
        return page

    async def checkpoint_deltas(self, thread: str, query: DeltaQuery) -> DeltaPage:
        cursor = None if query.cursor is None else cursors.decode(query.cursor, cursors.BeforeAncestor)
        sought = query.channels if cursor is None else cursor.channels
        found = {channel: ChannelDeltas(channel=channel, writes=[]) for channel in sought}
        page = DeltaPage(list(found.values()), None)
        kept = self._threads.get(thread)
        if kept is None:
            return page
        id_ = query.id if cursor is None else cursor.id
        if id_ is None:
            id_ = max((place[1] for place in kept.checkpoints if place[0] == query.ns), default="")
        record = kept.checkpoints.get((query.ns, id_))
        total = 0
        depth = 0
        while True:
            ancestor = None if record is None else kept.checkpoints.get((query.ns, record.parent or ""))
            if record is None or ancestor is None or not sought:
                break
            if cursor is not None and ancestor.id == cursor.remembered:
                raise circular(ancestor.id)
            seeds = [channel for channel in sought if kept.has(ancestor, channel)]
            writes = [write for write in kept.writes_of(query.ns, ancestor.id) if write.channel in sought]
            values = {channel: _value(kept, ancestor, channel) for channel in seeds}
            total += sum(each.size for each in (*writes, *values.values()))
            if depth == ANCESTORS_MAX or (depth and total > PAGE_BYTES_MAX):
                page.next_cursor = cursors.encode(cursors.after_page(cursor, record.id, sorted(sought)))
                break
            for write in reversed(writes):
                found[write.channel].writes.insert(0, _pending(write))
            for channel, value in values.items():
                typed = Typed(**_typed(value))
                if value is ancestor:
                    found[channel].checkpoint = typed
                else:
                    found[channel].seed = typed
            sought = [channel for channel in sought if channel not in seeds]
            record = ancestor
            depth += 1
        return page

    async def copy_thread(self, thread: str, source: str, *, epoch: int = 0) -> bool:
        copied = self._threads.get(source)
        if copied is None:
            raise no_thread(source)
        kept = self._written_thread(thread, epoch)
        kept.checkpoints = {**copied.checkpoints, **kept.checkpoints}
        kept.values = {**copied.values, **kept.values}
        kept.writes = {**copied.writes, **kept.writes}
        return False

    async def delete_thread(self, thread: str) -> None:
        self._threads.pop(thread, None)

    async def prune_threads(self, record: PruneRecord) -> bool:
        threads = self._threads
        for name, kept in list(threads.items()):
            is_old = record.updated_before is not None and kept.thread.updated_at < record.updated_before
            if not is_old and name not in (record.threads or []):
                continue
            if record.keeps_latest:
                latest = _kept_of(kept)
                kept.remove([place for place in kept.checkpoints if place not in latest])
                kept.remove_unnamed()
            else:
                del threads[name]
        return False

    async def delete_runs(self, runs: list[str]) -> bool:
        for kept in self._threads.values():
            of_runs = [place for place, record in kept.checkpoints.items() if record.run_id in runs]
            if of_runs:
                kept.remove(of_runs)
                kept.remove_unnamed()
        return False

    def _ensured_thread(self, name: str) -> KeptThread:
        """The thread of this name, which is created where there is none."""
        threads, time = self._threads, self._clock()
        new = Thread(thread=name, epoch=0, created_at=time, updated_at=time, expires_at=None)
        return threads.setdefault(name, KeptThread(new))

    def _written_thread(self, name: str, epoch: int, expires_in: int | None = None) -> KeptThread:
        """A thread that the holder of an epoch writes to. Raises Stale."""
        there = self._threads.get(name)
        if epoch != (0 if there is None else there.thread.epoch):
            raise fenced()
        kept, time = self._ensured_thread(name), self._clock()
        expires_at = kept.thread.expires_at if expires_in is None else time + expires_in
        kept.thread = replace(kept.thread, updated_at=max(kept.thread.updated_at, time), expires_at=expires_at)
        return kept


def _kept_of(kept: KeptThread) -> set[tuple[str, str]]:
    """What pruning keeps: the latest of each namespace, and the ancestors that its channels need."""
    places: set[tuple[str, str]] = set()
    for ns in {place[0] for place in kept.checkpoints}:
        record = kept.checkpoints[max(place for place in kept.checkpoints if place[0] == ns)]
        sought = set(record.counted)
        seen: set[str] = set()
        while record.id not in seen:
            seen.add(record.id)
            sought -= {channel for channel in sought if kept.has(record, channel)}
            record = kept.checkpoints.get((ns, record.parent or ""), record) if sought else record
        places |= {(ns, id_) for id_ in seen}
    return places


def _value(kept: KeptThread, record: CheckpointRecord, channel: str) -> TypedRecord:
    """The value of a channel that a checkpoint has: the checkpoint itself, where it stands in that."""
    version = record.stored[channel]
    return record if version is None else kept.values[record.ns, channel, version]


def _shown(thread: str, record: CheckpointRecord, writes: list[WriteRecord]) -> Checkpoint:
    return Checkpoint(
        thread=thread,
        ns=record.ns,
        id=record.id,
        parent=record.parent,
        metadata=as_object(record.metadata),
        stored=dict(record.stored),
        writes=[_pending(write) for write in writes],
        **_typed(record),
    )


def _pending(write: WriteRecord) -> PendingWrite:
    return PendingWrite(**msgspec.structs.asdict(write))


def _typed(record: TypedRecord) -> dict[str, str]:
    return {"type": record.type, "data": record.data}
