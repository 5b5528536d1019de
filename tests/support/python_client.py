"""Our client over a back end under test, whether it blocks or not, asked by the same tests."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import anyio.to_thread
import httpx
from anyio import from_thread

from support.backends import Backend
from support.in_process import SERVICE_KEY
from threadkeep.client import AsyncClient, Client

KINDS = ("async", "sync")


def python_client(
    backend: Backend, user_id: str, kind: str, loses: Callable[[httpx.Request], bool] | None = None
) -> Any:
    """The client of a user. `loses` says of which requests the answer is lost, once they have been done."""
    over = _Over(backend.client, loses or (lambda request: False))
    options: dict[str, Any] = {"key": SERVICE_KEY, "user": user_id, "timeout": backend.client.timeout}
    url = str(backend.client.base_url)
    if kind == "async":
        return AsyncClient(url, transport=over, **options)
    return Awaited(Client(url, transport=_Blocking(over), **options))


class _Over(httpx.AsyncBaseTransport):
    """The connections of the back end's own client."""

    def __init__(self, client: httpx.AsyncClient, loses: Callable[[httpx.Request], bool]) -> None:
        self._transport = client._transport
        self._loses = loses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        if self._loses(request):
            await response.aclose()
            raise httpx.ReadError("The connection broke.", request=request)
        return response


class _Blocking(httpx.BaseTransport):
    """Sends, from the thread of a client that blocks, by the event loop of the test."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = from_thread.run(self._transport.handle_async_request, request)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Pieces(response))


class _Pieces(httpx.SyncByteStream):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        pieces = self._response.stream.__aiter__()
        while (piece := from_thread.run(_next, pieces)) is not None:
            yield piece

    def close(self) -> None:
        from_thread.run(self._response.aclose)


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


class Awaited:
    """Something that blocks, as a test awaits it: what it does is done in a thread."""

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.blocking, name)
        return (lambda *values, **named: _Call(value, values, named)) if callable(value) else _wrapped(value)

    async def __aenter__(self) -> Any:
        return _wrapped(await anyio.to_thread.run_sync(self.blocking.__enter__))

    async def __aexit__(self, *error: Any) -> Any:
        return await anyio.to_thread.run_sync(self.blocking.__exit__, *error)

    async def __aiter__(self) -> AsyncIterator[Any]:
        items = iter(self.blocking)
        end = object()
        while (item := await anyio.to_thread.run_sync(next, items, end)) is not end:
            yield _wrapped(item)


class _Call:
    """A call that is made when it is awaited; what it returns may be used as it is where it only prepares something."""

    def __init__(self, call: Callable[..., Any], values: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._make = lambda: call(*values, **named)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._run().__await__()

    async def _run(self) -> Any:
        return _wrapped(await anyio.to_thread.run_sync(self._make))

    def __getattr__(self, name: str) -> Any:
        return getattr(Awaited(self._make()), name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return Awaited(self._make()).__aiter__()

    async def __aenter__(self) -> Any:
        self._entered = Awaited(self._make())
        return await self._entered.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        return await self._entered.__aexit__(*error)


def _wrapped(value: Any) -> Any:
    return Awaited(value) if type(value).__module__.startswith("threadkeep.client.sync.") else value
