"""MemoryStateStore: the state of agents in memory. It is the model of the other back ends."""

from threadkeep.storage.memory.agents.journals import Journals, MemoryJournals
from threadkeep.storage.memory.agents.tasks import MemoryTasks, Tasks

__all__ = ["Journals", "MemoryStateStore", "Tasks"]


class MemoryStateStore(MemoryJournals, MemoryTasks):
    """A `StateStore` in memory. See `agents/store.py` for what each method promises."""

    bookmark: str | None = None
