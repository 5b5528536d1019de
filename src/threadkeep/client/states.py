"""The state of the agents of any user, over one connection: to a server, or to a SQLite file with no server at all."""

import os
from abc import ABC, abstractmethod

import httpx

from threadkeep.agents.store import StateStore
from threadkeep.client.client import TIMEOUT_SECONDS, AsyncClient
from threadkeep.conversations import retention
from threadkeep.conversations.store import DatabaseStore
from threadkeep.settings import Settings
from threadkeep.storage.backends import named
from threadkeep.storage.base import Database, Platform

LOCAL_USER = "local"
IN_MEMORY = ":memory:"
USERS_MAX = 1_000
"""Of how many users a client of a server remembers the last bookmark, by which each sees what they wrote."""
_DAYS_MAX = 36_500

Target = str | os.PathLike[str] | None


class States(ABC):
    """What one connection leads to. It belongs to the event loop that it was made in."""

    @abstractmethod
    def of(self, user: str | None) -> StateStore:
        """The state of a user's agents. None is the user of THREADKEEP_USER, or whoever the key is of."""

    @abstractmethod
    async def sweep(self, user: str | None) -> None:
        """Overwrite what a user has deleted or has let expire, unless a server does so."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connection."""


async def connect(
    target: Target = None, *, key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> States:
    """Connect by the URL of a server, or open a SQLite file by its path, or `:memory:`. See `open_state`."""
    place = None if target is None else os.fspath(target)
    if place is None or place.startswith(("http://", "https://")):
        return _Served(place, key, transport)
    return _Opened(await named("memory" if place == IN_MEMORY else "sqlite").connect(_Here(place)))


class _Served(States):
    def __init__(self, url: str | None, key: str | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self._url = url
        self._key = key
        self._connections = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport)
        self._clients: dict[str | None, AsyncClient] = {}

    def of(self, user: str | None) -> StateStore:
        client = self._clients.pop(user, None)
        if client is None:
            client = AsyncClient(self._url, key=self._key, user=user, transport=_Shared(self._connections))
        self._clients[user] = client  # as the last of them
        if len(self._clients) > USERS_MAX:
            del self._clients[next(iter(self._clients))]
        return client.state

    async def sweep(self, user: str | None) -> None:
        """The server does so."""

    async def aclose(self) -> None:
        await self._connections.aclose()


class _Shared(httpx.AsyncBaseTransport):
    """The connections of a client, which other clients send over, too."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request, stream=True)


class _Opened(States):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._stores: dict[str, DatabaseStore] = {}

    def of(self, user: str | None) -> StateStore:
        return self._store(user).state

    async def sweep(self, user: str | None) -> None:
        # Conversations may wait for theirs: nothing here deletes any.
        await retention.purge(self._store(user), _DAYS_MAX)
        await self._database.tidy()

    async def aclose(self) -> None:
        try:
            for user in self._stores:
                await self.sweep(user)
        finally:
            await self._database.close()

    def _store(self, user: str | None) -> DatabaseStore:
        name = user or os.environ.get("THREADKEEP_USER") or LOCAL_USER
        if name not in self._stores:
            self._stores[name] = self._database.open_store(name)
        return self._stores[name]


class _Here:
    """This process, as a back end sees it when it connects."""

    platform: Platform = "server"
    storage = None

    def __init__(self, path: str) -> None:
        self.settings = Settings.read({"SQLITE_PATH": path}.get)

    def binding(self, name: str) -> None:
        """There is none."""
