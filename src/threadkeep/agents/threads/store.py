"""The contract of every back end that keeps threads.

A thread has checkpoints in namespaces, `""` being the first. A checkpoint has a parent, and an id, of which the
greatest is the latest. It says which channels have a value, and in which version: each value is kept once, whichever
checkpoints name it. Writes that are pending on a checkpoint are kept beside it, and may come before it does.

Whoever writes to a thread tells by which claim: where somebody has claimed it since, the write is Stale, with the
reason `fenced`. Until anybody has, the epoch is 0. A thread that has expired is one that was deleted.
"""

from typing import Protocol

from threadkeep.agents.threads.models import CheckpointPage, DeltaPage, Thread, ThreadPage
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    WritesRecord,
)
from threadkeep.errors import Conflict, NotFound, Stale


class ThreadStore(Protocol):
    """The threads of one user."""

    async def put_checkpoint(self, thread: str, record: CheckpointRecord) -> Thread:
        """Keep a checkpoint with the values that are new; return the thread, which is created where there is none.

        It takes the place of one with the same id, whose writes stay. Of values of one channel and version, the first
        stays. Raises Stale `fenced`.
        """

    async def put_writes(self, thread: str, record: WritesRecord) -> Thread:
        """Keep writes of a task; return the thread, which is created where there is none.

        Of two of one task and `idx`, the first stays where that is 0 or more, and the last where it is less. Raises
        Stale `fenced`.
        """

    async def claim_thread(self, thread: str, *, request: str) -> Thread:
        """Let only the caller write from now on, by the epoch that is returned; create the thread where there is none.

        If the last claim had the same name, this one is a repeat.
        """

    async def list_threads(self, *, cursor: str | None = None, limit: int = 100) -> ThreadPage:
        """Threads, last written first. A page has at most `limit` rows (1 to 1,000).

        Raises Invalid for a text that is no cursor.
        """

    async def list_checkpoints(self, query: CheckpointQuery) -> CheckpointPage:
        """Checkpoints, by id, thread and namespace, all descending, with the values that they name and their writes.

        A page has at most `limit` checkpoints (1 to 1,000), and fewer where they are large, but always one if there is
        any. Where there is no such thread, there are none. Raises Invalid for a text that is no cursor.
        """

    async def checkpoint_deltas(self, thread: str, query: DeltaQuery) -> DeltaPage:
        """What channels became before a checkpoint: for each, its value in the nearest ancestor, and all writes since.

        The checkpoint's own value and writes are not looked at, and those of the ancestor are. Where there is no such
        checkpoint, there is nothing. A page ends where it would be large, or has come 1,000 ancestors far, but has what
        one of them has, if there is any. Raises Invalid for a text that is no cursor; Conflict `circular` where parents
        go in a circle in which some channel has no value.
        """

    async def copy_thread(self, thread: str, source: str, *, epoch: int = 0) -> bool:
        """Copy a part of what another thread has and this one has not; return whether there may be more.

        Checkpoints come last, so that whichever is there has all that it needs. Raises NotFound where there is no
        source; Stale `fenced`.
        """

    async def delete_thread(self, thread: str) -> None:
        """Delete a thread. Where there is none, nothing is to be done.

        Its name is free at once; `sweep` removes the rest.
        """

    async def prune_threads(self, record: PruneRecord) -> bool:
        """Prune a part of these threads; return whether there may be more.

        The latest checkpoint of each namespace is kept, and so are its ancestors, up to where each channel that its
        metadata count in `counters_since_delta_snapshot` has a value; or else all of the thread is deleted. `sweep`
        removes the rest.
        """

    async def delete_runs(self, runs: list[str]) -> bool:
        """Delete a part of the checkpoints of these runs, with their writes and what nothing else needs.

        Returns whether there may be more. `sweep` removes the rest.
        """


# The words in which every back end refuses.


def no_thread(thread: str) -> NotFound:
    """There is none of this name, or it is somebody else's."""
    return NotFound(f"There is no thread {thread[:80]}. Copy one that is there.")


def circular(checkpoint: str) -> Conflict:
    """The ancestors of a checkpoint have no end."""
    return Conflict(
        f"The checkpoint {checkpoint[:80]} is an ancestor of itself, so what channels became has no beginning."
        " Put one of these checkpoints again, with another parent or none.",
        {"reason": "circular"},
    )


def fenced() -> Stale:
    """A write came by another claim than the last one."""
    return Stale(
        "Another writer has claimed this thread. Claim it again, and read its latest checkpoint first.",
        {"reason": "fenced"},
    )
