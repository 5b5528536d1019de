"""The contract of every back end that keeps the state of agents. Read this first, then that of each kind.

A store is opened for one user, as `conversations/store.py` says, and all that stands there of calls holds here too:
each is all or nothing, one round trip, and Unavailable where the back end cannot be reached. What belongs to somebody
else does not exist.

- `journals/store.py`: a head and an ordered list of entries.
- `blobs/store.py`: bytes that never change.
- `tasks/store.py`: a queue of work with lanes, held by leases.
- `threads/store.py`: the checkpoints of a graph, with their values and pending writes.
"""

from typing import Protocol

from threadkeep.agents.blobs.store import BlobStore
from threadkeep.agents.journals.store import JournalStore
from threadkeep.agents.tasks.store import TaskStore
from threadkeep.agents.threads.store import ThreadStore


class StateStore(JournalStore, TaskStore, BlobStore, ThreadStore, Protocol):
    """The state of the agents of one user."""

    @property
    def bookmark(self) -> str | None:
        """See `Store.bookmark` in `conversations/store.py`."""
