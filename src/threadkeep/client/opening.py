"""The state of agents, wherever it is kept: on a server, or in a SQLite file with no server at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from threadkeep.agents.store import StateStore
from threadkeep.client.states import Target, connect


@asynccontextmanager
async def open_state(
    target: Target = None, *, key: str | None = None, user: str | None = None
) -> AsyncIterator[StateStore]:
    """Open the state of a user's agents: by the URL of a server, or in a SQLite file by its path, or `:memory:`.

        async with open_state("agents.sqlite") as state:
            ...

    Without a target, THREADKEEP_URL is asked. `key` and `user` are those of `AsyncClient`; a file needs no key, and
    `user`, or THREADKEEP_USER, is only whose it is: `local` unless it is said. A file is made where there is none. What
    was deleted in it, or has expired, is overwritten when it is closed.

    A file needs `threadkeep[sqlite]`. Raises Unavailable where that is not installed, or the file cannot be used.
    """
    states = await connect(target, key=key)
    try:
        yield states.of(user)
    finally:
        await states.aclose()
