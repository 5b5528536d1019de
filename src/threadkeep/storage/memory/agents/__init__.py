"""MemoryStateStore: the state of agents in memory. It is the model of the other back ends."""

from threadkeep.storage.memory.agents.blobs import Blobs, MemoryBlobs
from threadkeep.storage.memory.agents.journals import Journals, MemoryJournals
from threadkeep.storage.memory.agents.tasks import MemoryTasks, Tasks
from threadkeep.storage.memory.agents.threads import MemoryThreads, Threads

__all__ = ["Blobs", "Journals", "MemoryStateStore", "Tasks", "Threads"]


class MemoryStateStore(MemoryJournals, MemoryTasks, MemoryBlobs, MemoryThreads):
    """A `StateStore` in memory. See `agents/store.py` for what each method promises."""

    bookmark: str | None = None
