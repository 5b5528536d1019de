"""A client of one server, for one user."""

import os
from types import TracebackType

import httpx

from threadkeep.client.conversations import RemoteStore
from threadkeep.client.state import RemoteState
from threadkeep.client.transport import Transport
from threadkeep.errors import Invalid

TIMEOUT_SECONDS = 60.0


class AsyncClient:
    """What a user keeps on a server: conversations, and the state of agents.

        async with AsyncClient("https://…", key="tk_…", user="alice") as client:
            await client.state.get_journal("sessions", "1")

    `key` is a service key, with the `user` that it acts for, or a JWT alone. What is left out is read from
    THREADKEEP_URL, THREADKEEP_KEY and THREADKEEP_USER. Raises Invalid where it is not said which server to ask.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        key: str | None = None,
        user: str | None = None,
        timeout: float | httpx.Timeout = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        base_url = base_url or os.environ.get("THREADKEEP_URL")
        key = key or os.environ.get("THREADKEEP_KEY")
        user = user or os.environ.get("THREADKEEP_USER")
        if not base_url:
            raise Invalid("base_url: Say which server to ask: by its URL, or set THREADKEEP_URL.", "base_url")
        headers: list[tuple[bytes, bytes]] = []
        if key:
            headers.append((b"Authorization", f"Bearer {key}".encode()))
        if user:
            headers.append((b"X-User-Id", user.encode()))
        self._client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        sender = Transport(self._client)
        self.conversations = RemoteStore(sender, user or "")
        """A `Store`: see `conversations/store.py`."""
        self.state = RemoteState(sender)
        """A `StateStore`: see `agents/store.py`."""

    async def __aenter__(self) -> "AsyncClient":
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def aclose(self) -> None:
        """Close the connections, where it is used without `async with`."""
        await self._client.aclose()
