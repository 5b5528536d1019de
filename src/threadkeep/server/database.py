"""Database: what a server keeps open for all of its users."""

import time
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Unavailable
from threadkeep.settings import Settings
from threadkeep.storage import backends
from threadkeep.storage.backends import Choice
from threadkeep.storage.sql.executor import KeepsLog, read

if TYPE_CHECKING:
    from threadkeep.storage.sql.executor import SharedExecutor

TRIAL_SECONDS = 5
"""How long the result of a trial write is reused: anybody may ask, as often as they like, and a write costs."""

_ASK = read("SELECT 1 AS value")


class Database(Protocol):
    """The back end of a server, open as long as the process lives."""

    def open_store(self, user_id: str) -> DatabaseStore:
        """A user's store."""

    async def check(self) -> None:
        """Raises Unavailable where it does not answer, or has taken no write when that was last tried."""

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        """Some of the users who deleted something then or before, in Unix milliseconds."""

    async def tidy_index(self) -> bool:
        """See `Upkeep.tidy`. Raises Unavailable."""

    async def tidy(self) -> None:
        """Remove what is left in logs of what was erased. Raises Unavailable."""

    async def close(self) -> None:
        """Finish what is running, and let go of it."""


async def open_database(choice: Choice, settings: Settings) -> Database:
    """The back end that was chosen. Raises Unavailable where it cannot be opened."""
    executor = await backends.open_executor(choice, settings)
    return _Memory() if executor is None else _Sql(executor)


class _Sql:
    """A database that speaks SQL."""

    def __init__(self, executor: "SharedExecutor") -> None:
        self._executor = executor
        self.close = executor.close
        self._try_from = 0.0
        self._refusal: str | None = None

    def open_store(self, user_id: str) -> DatabaseStore:
        return backends.open_sql(self._executor, user_id)

    async def check(self) -> None:
        await self._executor.run(_ASK())
        if time.monotonic() >= self._try_from:
            self._try_from = time.monotonic() + TRIAL_SECONDS
            try:
                await self._executor.try_to_write()
                self._refusal = None
            except Unavailable as error:
                self._refusal = error.message
        if self._refusal is not None:
            raise Unavailable(self._refusal)

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        return await backends.users_to_purge(self._executor, until, limit)

    async def tidy_index(self) -> bool:
        return await backends.tidy_index(self._executor)

    async def tidy(self) -> None:
        if isinstance(self._executor, KeepsLog):
            await self._executor.empty_log()


class _Memory:
    """What this process keeps for itself."""

    def __init__(self) -> None:
        self._database = backends.new_memory()

    def open_store(self, user_id: str) -> DatabaseStore:
        return backends.open_memory(self._database, user_id)

    async def check(self) -> None:
        """It answers as long as the process does."""

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        found = (
            user_id
            for user_id, owner in self._database.owners.items()
            if any((kept.conversation.deleted_at or until + 1) <= until for kept in owner.conversations.values())
        )
        return list(islice(found, limit))

    async def tidy_index(self) -> bool:
        return False

    async def tidy(self) -> None:
        """It has no logs."""

    async def close(self) -> None:
        """It goes with the process."""
