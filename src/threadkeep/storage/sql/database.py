"""A database that speaks SQL, connected, with the conversations of all of its users. See `Database` in `base.py`."""

import time
from collections.abc import Collection

from threadkeep.conversations.store import UsersToExpire
from threadkeep.errors import Unavailable
from threadkeep.signals import Signals
from threadkeep.storage.sql.conversations import SqlStore, tidy_index, users_to_expire, users_to_purge
from threadkeep.storage.sql.drafts import users_with_overdue_drafts
from threadkeep.storage.sql.executor import Executor, KeepsLog, SharedExecutor, read

TRIAL_SECONDS = 5
"""How long the result of a trial write is reused: anybody may ask, as often as they like, and a write costs."""

_ASK = read("SELECT 1 AS value")


class SqlDatabase:
    """A database as one request sees it, or a Durable Object its own. Whoever connected it ends the connection."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def open_store(self, user_id: str, bookmark: str | None = None) -> SqlStore:
        return SqlStore(self.executor, user_id)

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        return await users_to_purge(self.executor, until, limit)

    async def users_to_expire(self, before: int, spares: Collection[str], after: str, limit: int) -> UsersToExpire:
        return await users_to_expire(self.executor, before, spares, after, limit)

    async def users_with_overdue_drafts(self, limit: int) -> list[str]:
        return await users_with_overdue_drafts(self.executor, limit)

    async def tidy_index(self) -> bool:
        return await tidy_index(self.executor)

    async def tidy(self) -> None:
        """It has no logs, or whoever runs it sees to them."""

    async def hear(self, signals: Signals) -> None:
        """Whoever shares it with others says how they hear of each other."""

    async def check(self) -> None:
        await self.executor.run(_ASK())

    async def close(self) -> None:
        """It ends with the request, or with the object."""


class SharedSqlDatabase(SqlDatabase):
    """A database that a server opens once, for all users."""

    def __init__(self, executor: SharedExecutor) -> None:
        super().__init__(executor)
        self._shared = executor
        self._try_from = 0.0
        self._refusal: str | None = None

    async def tidy(self) -> None:
        if isinstance(self._shared, KeepsLog):
            await self._shared.empty_log()

    async def check(self) -> None:
        await super().check()
        if time.monotonic() >= self._try_from:
            self._try_from = time.monotonic() + TRIAL_SECONDS
            try:
                await self._shared.try_to_write()
                self._refusal = None
            except Unavailable as error:
                self._refusal = error.message
        if self._refusal is not None:
            raise Unavailable(self._refusal)

    async def close(self) -> None:
        await self._shared.close()
