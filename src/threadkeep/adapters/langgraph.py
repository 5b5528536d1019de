"""A checkpointer of LangGraph over Threadkeep. docs/langgraph.md shows how it is used."""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    EXCLUDED_METADATA_KEYS,
    BaseCheckpointSaver,
    ChannelVersions,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.base import Checkpoint as GraphCheckpoint
from langgraph.checkpoint.serde.base import SerializerProtocol
from msgspec import Raw

from threadkeep.adapters.background import BackgroundLoop
from threadkeep.adapters.connections import Connections, Where
from threadkeep.adapters.langgraph_checkpoints import (
    as_json,
    as_tuple,
    document_of,
    in_parts,
    is_inline,
    loaded,
    new_checkpoint,
    new_writes,
    pending,
    place,
)
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service
from threadkeep.agents.threads.models import (
    NAMES_MAX,
    CopyThread,
    DeleteRuns,
    Keep,
    NewWrites,
    Progress,
    PruneThreads,
)
from threadkeep.clock import now
from threadkeep.errors import NotFound, Stale
from threadkeep.ids import new_id

User = str | Callable[[RunnableConfig], str]

PAGE_MAX = 100
_KEEP: dict[str, Keep] = {"keep_latest": "latest", "delete": "none"}
"""What to keep, by what LangGraph calls it."""

Tuples = list[CheckpointTuple]  # the class below has a method of this name


@dataclass(frozen=True)
class Listing:
    """Which checkpoints to list."""

    thread: str | None
    ns: str | None
    id: str | None
    before: str | None = None
    filter: Raw | None = None
    cursor: str | None = None


class StaleWriteOwner(Stale):
    """Another writer has claimed the thread since. Claim it again, and go on from its latest checkpoint."""

    is_stale_write_owner_error = True
    """By which LangGraph's conformance kit is to know it."""


class ThreadkeepSaver(BaseCheckpointSaver[str]):
    """Keeps the checkpoints of graphs. Each method is there twice, with `a` in front for those who await.

    `where` is the URL of a Threadkeep, a SQLite file to open in this process, or a function that opens the store of a
    user; without it, THREADKEEP_URL says where. `key` is a service key of that Threadkeep, or a JWT (THREADKEEP_KEY).

    `user` is whose threads they are: one user (THREADKEEP_USER), or a function that finds them in a config. What has no
    config, such as deleting a thread, is then asked of `for_user`.

    `expires_in` has a thread deleted so long after its last checkpoint.
    """

    def __init__(
        self,
        where: Where = None,
        *,
        user: User | None = None,
        key: str | None = None,
        expires_in: timedelta | None = None,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde)
        if where == ":memory:":
            raise ValueError("where: What is in memory alone is for LangGraph's own InMemorySaver. Name a file.")
        self._user = user
        self._connections = Connections(where, key)
        self._background = BackgroundLoop()
        self._expires_in = None if expires_in is None else max(1, round(expires_in.total_seconds()))
        self._epochs: Mapping[str, int] = {}

    # Whose, and by which claim.

    def for_user(self, user: str) -> Self:
        """This checkpointer, for one user, and without what was claimed. Both have the same connections."""
        return self._clone(_user=user, _epochs={})

    async def aclaim_write_ownership(self, thread_id: str) -> Self:
        """Take a thread over, and return the checkpointer that may write to it.

        Whoever claimed it before, or never did, is refused from now on: their next write raises StaleWriteOwner.
        """
        claimed = await service.claim_thread(await self._store(), str(thread_id), request=new_id())
        return self._clone(_epochs={**self._epochs, claimed.thread: claimed.epoch})

    # What LangGraph asks for.

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: GraphCheckpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint, with the values of the channels that have changed."""
        thread, ns, parent = _place_of(config)
        new = new_checkpoint(
            self.serde,
            checkpoint,
            ns=ns,
            parent=parent,
            metadata=get_serializable_checkpoint_metadata(config, metadata),
            new_versions=new_versions,
            epoch=self._epochs.get(thread, 0),
            expires_in=self._expires_in,
        )
        with _refusals():
            await service.put_checkpoint(await self._store(config), thread, new)
        return {"configurable": {**self._more(config), **place(thread, ns, checkpoint["id"])}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote, until the checkpoint that it leads to is there."""
        thread, ns, checkpoint = _place_of(config)
        store = await self._store(config)
        for part in in_parts(new_writes(self.serde, writes)):
            new = NewWrites(
                checkpoint=checkpoint or "",
                ns=ns,
                task=task_id,
                path=task_path,
                writes=part,
                epoch=self._epochs.get(thread, 0),
            )
            with _refusals():
                await service.put_writes(store, thread, new)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or else the latest; None where there is none."""
        thread, ns, checkpoint = _place_of(config)
        found, _ = await self._page(config, Listing(thread=thread, ns=ns, id=checkpoint), limit=1)
        return found[0] if found else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, the latest first; of all threads where there is no config. `filter` is what metadata have."""
        listing: Listing | None = _listing(config, filter, before)
        while listing is not None and (limit is None or limit > 0):
            found, listing = await self._page(config, listing, limit)
            limit = None if limit is None else limit - len(found)
            for each in found:
                yield each

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread, whoever has claimed it."""
        await service.delete_thread(await self._store(), str(thread_id))
        await self._sweep()

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of runs: those whose metadata have one of these as `run_id`."""
        store, runs = await self._store(), [str(run) for run in run_ids]
        for begin in range(0, len(runs), NAMES_MAX):
            await _all_parts(partial(service.delete_runs, store, DeleteRuns(runs=runs[begin : begin + NAMES_MAX])))
        await self._sweep()

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with all of its checkpoints. Where there is none, nothing is to be copied."""
        store, target = await self._store(), str(target_thread_id)
        new = CopyThread(source=str(source_thread_id), epoch=self._epochs.get(target, 0))
        with suppress(NotFound), _refusals():
            await _all_parts(partial(service.copy_thread, store, target, new))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep of threads the latest checkpoint of each namespace, with what it needs; or delete them."""
        keep, store, threads = _keep(strategy), await self._store(), [str(thread) for thread in thread_ids]
        for begin in range(0, len(threads), NAMES_MAX):
            new = PruneThreads(threads=threads[begin : begin + NAMES_MAX], keep=keep)
            await _all_parts(partial(service.prune_threads, store, new))
        await self._sweep()

    async def aprune_idle(self, idle_for: timedelta, *, strategy: str = "keep_latest") -> None:
        """`aprune` of all threads that nobody has written to for so long."""
        before = now() - round(idle_for.total_seconds() * 1_000)
        new = PruneThreads(updated_before=max(0, before), keep=_keep(strategy))
        await _all_parts(partial(service.prune_threads, await self._store(), new))
        await self._sweep()

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What channels became before a checkpoint: the nearest value that is kept, and the writes since."""
        thread, ns, checkpoint = _place_of(config)
        found: dict[str, DeltaChannelHistory] = {channel: {"writes": []} for channel in channels}
        store, cursor = await self._store(config), None
        while channels:
            page = await service.checkpoint_deltas(
                store, thread, channels=list(channels), ns=ns, id=checkpoint, cursor=cursor
            )
            for deltas in page.channels:
                history = found[deltas.channel]
                history["writes"] = [*(pending(self.serde, write) for write in deltas.writes), *history["writes"]]
                if deltas.seed is not None:
                    history["seed"] = loaded(self.serde, deltas.seed)
                elif deltas.checkpoint is not None:
                    history["seed"] = document_of(self.serde, deltas.checkpoint)["channel_values"][deltas.channel]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The next version of a channel: a count, and what no other branch of the thread has."""
        count = 0 if current is None else int(str(current).partition(".")[0])
        return f"{count + 1:032}.{new_id()}"

    # The same for those who do not await.

    def claim_write_ownership(self, thread_id: str) -> Self:
        """See `aclaim_write_ownership`."""
        return self._background.run(self.aclaim_write_ownership(thread_id))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: GraphCheckpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See `aput`."""
        return self._background.run(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See `aput_writes`."""
        self._background.run(self.aput_writes(config, writes, task_id, task_path))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `aget_tuple`."""
        return self._background.run(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """See `alist`."""
        found = self.alist(config, filter=filter, before=before, limit=limit)
        while (each := self._background.run(_next(found))) is not None:
            yield each

    def delete_thread(self, thread_id: str) -> None:
        """See `adelete_thread`."""
        self._background.run(self.adelete_thread(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `adelete_for_runs`."""
        self._background.run(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `acopy_thread`."""
        self._background.run(self.acopy_thread(source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See `aprune`."""
        self._background.run(self.aprune(thread_ids, strategy=strategy))

    def prune_idle(self, idle_for: timedelta, *, strategy: str = "keep_latest") -> None:
        """See `aprune_idle`."""
        self._background.run(self.aprune_idle(idle_for, strategy=strategy))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """See `aget_delta_channel_history`."""
        return self._background.run(self.aget_delta_channel_history(config=config, channels=channels))

    # Its connections.

    async def aclose(self) -> None:
        """Close what was opened in this event loop, and for those who do not await."""
        await self._connections.close()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close what was opened for those who do not await."""
        if self._background.is_running:
            self._background.run(self._connections.close())
            self._background.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _store(self, config: RunnableConfig | None = None) -> StateStore:
        """The store of the user whom a config belongs to."""
        return await self._connections.store(self._user_of(config))

    async def _sweep(self) -> None:
        """Overwrite what was deleted, where no server does so."""
        await self._connections.sweep(self._user_of(None))

    def _user_of(self, config: RunnableConfig | None) -> str | None:
        if not callable(self._user):
            return self._user
        if config is None:
            raise ValueError("user: It is not said whose threads are meant. Call `for_user` first, with the user.")
        user = self._user(config)
        if not isinstance(user, str) or not user:  # nobody else's threads instead
            raise ValueError(f"user: The function of the checkpointer returned {user!r}. It has to return a user's id.")
        return user

    def _more(self, config: RunnableConfig | None) -> dict[str, Any]:
        """What the configs that it returns have of the one it was given, so that its user is found in them, too."""
        if not callable(self._user) or config is None:
            return {}
        return {
            name: value
            for name, value in config["configurable"].items()
            if name not in EXCLUDED_METADATA_KEYS and not name.startswith("__") and is_inline(value)
        }

    async def _page(
        self, config: RunnableConfig | None, listing: Listing, limit: int | None
    ) -> tuple[Tuples, Listing | None]:
        """A page of checkpoints, and where the next one begins; None on the last one."""
        page = await service.list_checkpoints(
            await self._store(config),
            listing.thread,
            ns=listing.ns,
            id=listing.id,
            before=listing.before,
            filter=listing.filter,
            cursor=listing.cursor,
            limit=PAGE_MAX if limit is None else min(limit, PAGE_MAX),
        )
        values = {(value.thread, value.ns, value.channel, value.version): value for value in page.values}
        more = self._more(config)
        found = [as_tuple(self.serde, kept, values, more) for kept in page.checkpoints]
        return found, None if page.next_cursor is None else replace(listing, cursor=page.next_cursor)

    def _clone(self, **changed: Any) -> Self:
        clone = copy.copy(self)
        vars(clone).update(changed)
        return clone


async def _next(found: AsyncIterator[CheckpointTuple]) -> CheckpointTuple | None:
    return await anext(found, None)


async def _all_parts(do_part: Callable[[], Awaitable[Progress]]) -> None:
    """Do a part, and the next, until there is no more."""
    while (await do_part()).more:
        pass


def _keep(strategy: str) -> Keep:
    if strategy not in _KEEP:
        raise ValueError(f"strategy: It is {strategy!r}, and has to be one of {', '.join(_KEEP)}.")
    return _KEEP[strategy]


def _place_of(config: RunnableConfig) -> tuple[str, str, str | None]:
    """The thread, the namespace and the checkpoint that a config names."""
    configurable = config["configurable"]
    return str(configurable["thread_id"]), configurable.get("checkpoint_ns") or "", _checkpoint_of(config)


def _checkpoint_of(config: RunnableConfig | None) -> str | None:
    """The checkpoint that a config names; an empty name is none."""
    return (config["configurable"].get("checkpoint_id") or None) if config else None


def _listing(
    config: RunnableConfig | None, filter_: Mapping[str, Any] | None, before: RunnableConfig | None
) -> Listing:
    configurable = {} if config is None else config["configurable"]
    thread = configurable.get("thread_id")
    return Listing(
        thread=None if thread is None else str(thread),
        ns=configurable.get("checkpoint_ns"),
        id=_checkpoint_of(config),
        before=_checkpoint_of(before),
        filter=as_json(filter_) if filter_ else None,
    )


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns the refusal of a writer who is not the owner into one that LangGraph knows."""
    try:
        yield
    except Stale as error:
        raise StaleWriteOwner(error.message, error.details) from error
