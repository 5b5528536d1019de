"""The state of agents, wherever it is kept: on a server, or in a SQLite file with no server at all."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from threadkeep.agents.store import StateStore
from threadkeep.client.client import AsyncClient
from threadkeep.conversations import retention
from threadkeep.settings import Settings
from threadkeep.storage.backends import named
from threadkeep.storage.base import Database, Platform

LOCAL_USER = "local"
IN_MEMORY = ":memory:"
_DAYS_MAX = 36_500


@asynccontextmanager
async def open_state(
    target: str | os.PathLike[str] | None = None, *, key: str | None = None, user: str | None = None
) -> AsyncIterator[StateStore]:
    """Open the state of a user's agents: by the URL of a server, or in a SQLite file by its path, or `:memory:`.

        async with open_state("agents.sqlite") as state:
            ...

    Without a target, THREADKEEP_URL is asked. `key` and `user` are those of `AsyncClient`; a file needs no key, and
    `user`, or THREADKEEP_USER, is only whose it is: `local` unless it is said. A file is made where there is none.

    A file needs `threadkeep[sqlite]`. Raises Unavailable where that is not installed, or the file cannot be used.
    """
    place = None if target is None else os.fspath(target)
    if place is None or place.startswith(("http://", "https://")):
        async with AsyncClient(place, key=key, user=user) as client:
            yield client.state
    else:
        database = await _connected(place)
        try:
            store = database.open_store(user or os.environ.get("THREADKEEP_USER") or LOCAL_USER)
            yield store.state
            # No server does so: what was deleted or has expired is overwritten. Conversations may wait for theirs.
            await retention.purge(store, _DAYS_MAX)
        finally:
            await database.close()


async def _connected(path: str) -> Database:
    return await named("memory" if path == IN_MEMORY else "sqlite").connect(_Here(path))


class _Here:
    """This process, as a back end sees it when it connects."""

    platform: Platform = "server"
    storage = None

    def __init__(self, path: str) -> None:
        self.settings = Settings.read({"SQLITE_PATH": path}.get)

    def binding(self, name: str) -> None:
        """There is none."""
