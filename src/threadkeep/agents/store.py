"""The contract of every back end that keeps the state of agents. Read this first, then that of each kind.

A store is opened for one user, as `conversations/store.py` says, and all that stands there of calls holds here too:
each is all or nothing, one round trip, and Unavailable where the back end cannot be reached. What belongs to somebody
else does not exist.

- `journals/store.py`: a head and an ordered list of entries.
- `threads/store.py`: the checkpoints of a graph, with their values and pending writes.
"""

from typing import Protocol

from threadkeep.agents.journals.store import JournalStore
from threadkeep.agents.threads.store import ThreadStore


class StateStore(JournalStore, ThreadStore, Protocol):
    """The state of the agents of one user."""

    @property
    def bookmark(self) -> str | None:
        """See `Store.bookmark` in `conversations/store.py`."""
