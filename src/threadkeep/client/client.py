"""A client of one server, for one user."""

import os
from types import TracebackType

import httpx

from threadkeep.client.api.changes import AsyncFollowing
from threadkeep.client.api.conversations import AsyncConversations
from threadkeep.client.api.documents import AsyncDocuments
from threadkeep.client.api.pages import AsyncPages
from threadkeep.client.conversations import RemoteStore  # async only
from threadkeep.client.models import Hit, HitPage, Role
from threadkeep.client.state import RemoteState  # async only
from threadkeep.client.transport import Transport, read
from threadkeep.errors import Invalid

TIMEOUT_SECONDS = 60.0


class AsyncClient(AsyncDocuments, AsyncFollowing):
    """What a user keeps on a server.

        async with AsyncClient("https://…", key="tk_…", user="alice") as client:
            conversation = await client.conversations.create(title="Monads")
            await conversation.append(role="user", content="What is a monad?")

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
        self._transport = Transport(self._client)
        self.conversations = AsyncConversations(self._transport)
        self.store = RemoteStore(self._transport, user or "")  # async only: the contract of conversations/store.py
        self.state = RemoteState(self._transport)  # async only: what agents keep, by the contract of agents/store.py

    def search(
        self,
        text: str,
        *,
        role: Role | None = None,
        since: int | None = None,
        until: int | None = None,
        conversation: str | None = None,
        only_active: bool = False,
        limit: int = 20,
    ) -> AsyncPages[Hit, HitPage]:
        """Find messages and titles that have all of these words, and phrases in double quotes, best first.

        `since` and `until` are times; with a `role`, only its messages; with the id of a `conversation`, only those in
        it. `only_active` leaves out what is not on the active path. `limit` is how many a page has at most.
        """
        asked = {"q": text, "role": role, "from": since, "to": until, "conversation": conversation, "limit": limit}
        asked |= {"branch": "active" if only_active else None}

        async def fetch(cursor: str | None) -> HitPage:
            query = {**asked, "cursor": cursor}
            return read(await self._transport.send("GET", "/api/conversations/search", query=query), HitPage)

        return AsyncPages(fetch, lambda page: page.hits)

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
