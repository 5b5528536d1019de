"""One transport for everything that is asked of a Threadkeep: requests and answers, errors, and what is sent again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Raw, Struct

from threadkeep.client.waiting import sleep as wait
from threadkeep.conversations.models import Conversation
from threadkeep.errors import Invalid, ThreadkeepError, Unavailable

T = TypeVar("T")

CREATED = 201
TRIES_MAX = 4
PAUSE_SECONDS = 0.1
"""Before the second try; twice as long before each further one, unless the server says how long."""
PAUSE_SECONDS_MAX = 30.0
_BOOKMARK = "X-D1-Bookmark"
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class BrokenOff(Unavailable):
    """An answer ended before it was whole."""


class Transport:
    """Sends what one user asks, each request after the bookmark of the last one.

    Where nothing comes of a request, since the connection breaks or the server is busy, it is sent again up to three
    times, if it is one that does nothing twice: whoever sends it says so.
    """

    def __init__(self, client: httpx.AsyncClient, sleep: Callable[[float], Awaitable[None]] = wait) -> None:
        self._client = client
        self._sleep = sleep
        self.bookmark: str | None = None

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        is_repeatable: bool | None = None,
    ) -> httpx.Response:
        """Send a request and return the answer, which is a success. What is neither bytes nor None is sent as JSON.

        `is_repeatable` is whether it does nothing twice; what is read never does. Raises what the server raised, and
        Unavailable where it could not be reached.
        """
        request = self._request(method, path, body, query, headers)
        tries = TRIES_MAX if (method == "GET" if is_repeatable is None else is_repeatable) else 1
        response = await self._answer(request, tries)
        self.bookmark = response.headers.get(_BOOKMARK, self.bookmark)
        if not response.is_success:
            raise _error(response)
        return response

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Get an answer that is read as it comes.

        Raises as `send` does, and Unavailable where the answer breaks off.
        """
        response = await self._answer(self._request("GET", path, None, query, headers), TRIES_MAX, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise _error(response)
            yield response
        except httpx.TransportError as error:
            raise BrokenOff("The answer broke off. Try again.") from error
        finally:
            await response.aclose()

    def _request(
        self, method: str, path: str, body: Any, query: dict[str, Any] | None, headers: dict[str, str] | None
    ) -> httpx.Request:
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            headers.setdefault("Content-Type", "application/json")
            body = msgspec.json.encode(body)
        if self.bookmark is not None:
            headers[_BOOKMARK] = self.bookmark
        return self._client.build_request(
            method,
            path,
            content=body,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers=headers,
        )

    async def _answer(self, request: httpx.Request, tries: int, *, stream: bool = False) -> httpx.Response:
        pause = PAUSE_SECONDS
        while True:
            tries -= 1
            try:
                response = await self._client.send(request, stream=stream)
            except httpx.TransportError as error:
                if tries == 0 or isinstance(error, httpx.UnsupportedProtocol):
                    raise Unavailable(
                        f"Threadkeep at {self._client.base_url} could not be reached. Try again."
                    ) from error
                await self._sleep(pause)
            else:
                if tries == 0 or response.status_code not in _TRY_AGAIN:
                    return response
                await response.aclose()
                await self._sleep(_seconds(response.headers.get("Retry-After"), pause))
            pause *= 2


async def lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The lines of an answer that is read as it comes. Only a line feed ends one: text may have other breaks in it."""
    begun: list[bytes] = []
    async for piece in response.aiter_bytes():
        first, *others = piece.split(b"\n")
        begun.append(first)
        for following in others:
            yield b"".join(begun)
            begun = [following]
    if last := b"".join(begun):
        yield last


class Remote:  # async only
    """What is asked over a transport, of whatever kind it is."""  # async only

    def __init__(self, transport: Transport) -> None:  # async only
        self._transport = transport  # async only

    @property  # async only
    def bookmark(self) -> str | None:  # async only
        return self._transport.bookmark  # async only


def read(response: httpx.Response, into: type[T]) -> T:
    """Read the JSON of an answer. Raises Unavailable where something else answered."""
    try:
        return msgspec.json.decode(response.content, type=into)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"Something that is not Threadkeep answered {response.status_code}. Try again.") from error


def if_match(version: int | None) -> dict[str, str]:
    """The header of a request that is for one version."""
    return {} if version is None else {"If-Match": f'"{version}"'}


def _seconds(retry_after: str | None, otherwise: float) -> float:
    """How long to wait: what the server says in seconds, and not for ever."""
    return min(float(retry_after), PAUSE_SECONDS_MAX) if retry_after and retry_after.isdecimal() else otherwise


class _Body(Struct):
    code: str
    message: str
    details: dict[str, Raw] = {}


class _ErrorBody(Struct):
    error: _Body


def _error(response: httpx.Response) -> Exception:
    """The error that the other side raised. One that is no `ThreadkeepError` is a defect, there or in between."""
    body = read(response, _ErrorBody).error
    kind = next((kind for kind in ThreadkeepError.__subclasses__() if kind.code == body.code), None)
    if kind is None:
        return RuntimeError(f"Threadkeep answered {response.status_code} {body.code}: {body.message}")
    details: dict[str, Any] = {
        name: msgspec.json.decode(value, type=Conversation if name == "conversation" else Any)
        for name, value in body.details.items()
    }
    return Invalid(body.message, details.get("path", "")) if kind is Invalid else kind(body.message, details or None)
