"""What every kind of agents' state has in common in memory: whose it is, and by which clock."""

from typing import TYPE_CHECKING, Protocol

from threadkeep.clock import Clock, now

if TYPE_CHECKING:
    from threadkeep.storage.memory.agents.blobs import Blobs
    from threadkeep.storage.memory.agents.journals import Journals
    from threadkeep.storage.memory.agents.tasks import Tasks
    from threadkeep.storage.memory.agents.threads import Threads


class Keeps(Protocol):
    """Whoever keeps the state of a user's agents: each kind, to read and to change."""

    def journals_of(self, user_id: str) -> "Journals":
        """The journals of a user."""

    def blobs_of(self, user_id: str) -> "Blobs":
        """The blobs of a user."""

    def threads_of(self, user_id: str) -> "Threads":
        """The threads of a user."""

    def tasks_of(self, user_id: str) -> "Tasks":
        """The tasks of a user, and the lanes that are closed."""


class MemoryState:
    """The state of one user's agents in memory, whatever kind it is."""

    def __init__(self, database: Keeps, user_id: str, clock: Clock = now) -> None:
        self._database = database
        self._user_id = user_id
        self._clock = clock
