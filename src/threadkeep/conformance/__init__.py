"""The conformance suite of stores that keep the state of agents: what `StateStore` promises, as tests.

Each module is one kind of state. Its tests take a `backend`, which opens the state of a new user.
"""

from typing import Protocol

from threadkeep.agents.store import StateStore


class Backend(Protocol):
    """A store under test."""

    async def state(self, user_id: str | None = None) -> StateStore:
        """The state of a user's agents: of a new user, unless one is named. It is closed when the test ends."""
