"""The API without a network: an httpx transport that hands requests to an `Api` in this process."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import httpx

from threadkeep.conversations.store import Store
from threadkeep.http import messages, problems
from threadkeep.http.api import Api, connect
from threadkeep.storage.memory.store import MemoryDatabase

PIECE_BYTES = 1_000
SERVICE_KEY = "tk_key_of_the_tests"
VARIABLES = {
    "AGENT_CONVERSATION_PERSISTENCE": "true",
    "ENVIRONMENT": "test",
    "AUTH_DEV_USER": "",  # scripts/dev lets everybody in
    "AUTH_SERVICE_KEYS": hashlib.sha256(SERVICE_KEY.encode()).hexdigest(),
    "AUTH_JWT_SECRET": "a secret of the tests, of 32 characters or more",
    "CORS_ORIGINS": "https://app.example, http://localhost:3000",
}
"""What a server is set to in the tests."""


class ApiTransport(httpx.AsyncBaseTransport):
    """Answers requests as a server would."""

    def __init__(self, api: Api, open_store: Callable[[str], Awaitable[Store]]) -> None:
        self._api = api
        self._open_store = open_store

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()

        async def body() -> bytes:
            if len(content) > messages.BODY_BYTES_MAX:
                raise problems.body_too_large()
            return content

        path, _, query = request.url.raw_path.decode().partition("?")

        async def stream() -> AsyncIterator[bytes]:
            for start in range(0, len(content), PIECE_BYTES):
                yield content[start : start + PIECE_BYTES]

        incoming = messages.Request(request.method, path, query, request.headers.get, body, stream)

        async def open_store(user_id: str, bookmark: str | None) -> Store:
            return await self._open_store(user_id)

        answer = await self._api.handle(incoming, open_store)
        if isinstance(answer.body, bytes):
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Pieces(answer.body))


class _Pieces(httpx.AsyncByteStream):
    """A body that is made while it is read, and no further once it is closed."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        if isinstance(self._pieces, AsyncGenerator):
            await self._pieces.aclose()


def over_memory(database: MemoryDatabase) -> ApiTransport:
    """The API over a memory that the test holds."""

    async def open_store(user_id: str) -> Store:
        return database.open_store(user_id)

    variables = {**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}
    return ApiTransport(connect(variables.get, lambda binding: False, "server"), open_store)


async def no_stream() -> AsyncIterator[bytes]:
    """The stream of a request that has no body."""
    for piece in ():
        yield piece


def as_user(user_id: str) -> dict[str, str]:
    """The headers of a request for a user."""
    return {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Id": user_id}
