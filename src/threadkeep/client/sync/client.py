# Made by `scripts/lock` of client/client.py; a test fails when it is stale.

"""A client of one server, for one user."""

import os
from types import TracebackType

import httpx

from threadkeep.client.models import Hit, HitPage, Role
from threadkeep.client.sync.changes import Following
from threadkeep.client.sync.conversations import Conversations
from threadkeep.client.sync.documents import Documents
from threadkeep.client.sync.pages import Pages
from threadkeep.client.sync.transport import Transport, read
from threadkeep.errors import Invalid

TIMEOUT_SECONDS = 60.0


class Client(Documents, Following):
    """What a user keeps on a server.

        with Client("https://…", key="tk_…", user="alice") as client:
            conversation = client.conversations.create(title="Monads")
            conversation.append(role="user", content="What is a monad?")

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
        transport: httpx.BaseTransport | None = None,
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
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self._transport = Transport(self._client)
        self.conversations = Conversations(self._transport)

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
    ) -> Pages[Hit, HitPage]:
        """Find messages and titles that have all of these words, and phrases in double quotes, best first.

        `since` and `until` are times; with a `role`, only its messages; with the id of a `conversation`, only those in
        it. `only_active` leaves out what is not on the active path. `limit` is how many a page has at most.
        """
        asked = {"q": text, "role": role, "from": since, "to": until, "conversation": conversation, "limit": limit}
        asked |= {"branch": "active" if only_active else None}

        def fetch(cursor: str | None) -> HitPage:
            query = {**asked, "cursor": cursor}
            return read(self._transport.send("GET", "/api/conversations/search", query=query), HitPage)

        return Pages(fetch, lambda page: page.hits)

    def __enter__(self) -> "Client":
        self._client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._client.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Close the connections, where it is used without `with`."""
        self._client.close()
