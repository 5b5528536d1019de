"""Opens the stores of users, over connections that belong to the event loop that they were made in."""

import asyncio
import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from threadkeep.agents.store import StateStore
from threadkeep.client.states import States, Target, connect

Opener = Callable[[str | None], StateStore]
Where = Target | Opener
"""The URL of a Threadkeep, a SQLite file, or what opens the store of a user; None for THREADKEEP_URL."""


class Connections:
    """One connection in each event loop, made when it is first needed there."""

    def __init__(self, where: Where, key: str | None) -> None:
        self._where = where
        self._key = key
        self._lock = threading.Lock()
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[States]] = WeakKeyDictionary()

    async def store(self, user: str | None) -> StateStore:
        """The store of a user; of None, whoever the key is of. Raises Unavailable where it cannot be opened."""
        return self._where(user) if callable(self._where) else (await self._states(self._where)).of(user)

    async def sweep(self, user: str | None) -> None:
        """Overwrite what a user has deleted, where no server does so."""
        if not callable(self._where):
            await (await self._states(self._where)).sweep(user)

    async def close(self) -> None:
        """Close the connection of this event loop, if there is one."""
        with self._lock:
            making = self._made.pop(asyncio.get_running_loop(), None)
        if making is not None:
            await (await making).aclose()

    async def _states(self, where: Target) -> States:
        loop = asyncio.get_running_loop()
        with self._lock:
            making = self._made.get(loop)
            if making is None:
                making = self._made[loop] = loop.create_task(connect(where, key=self._key))
        try:
            return await asyncio.shield(making)  # others may wait for it, too
        except Exception:
            with self._lock:
                if self._made.get(loop) is making:
                    del self._made[loop]  # the next call tries again
            raise
