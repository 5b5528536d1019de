"""What every kind of agents' state has in common in memory: where it is kept, whose it is, and what time it is."""

from typing import TYPE_CHECKING, Protocol

from threadkeep.clock import Clock, now

if TYPE_CHECKING:
    from threadkeep.storage.memory.agents.journals import Journals
    from threadkeep.storage.memory.agents.threads import Threads


class Keeps(Protocol):
    """Whoever keeps the state of the agents of users."""

    def journals_of(self, user_id: str) -> "Journals":
        """The journals of a user, to read and to change."""

    def threads_of(self, user_id: str) -> "Threads":
        """The threads of a user, to read and to change."""


class MemoryState:
    """The state of one user's agents in memory, whatever kind it is."""

    def __init__(self, database: Keeps, user_id: str, clock: Clock = now) -> None:
        self._database = database
        self._user_id = user_id
        self._clock = clock
