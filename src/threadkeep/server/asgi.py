"""One request and its response, between ASGI and the plain values of `http/messages.py`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from threadkeep.http import messages, problems
from threadkeep.server.limits import LIMITS, Limits
from threadkeep.server.load import Share

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Disconnected(BaseException):
    """Whoever asked has gone before the request was read. Nobody is left to answer, so nobody but us catches it."""


class Exchange:
    """A request as it came, and the way back."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits = LIMITS) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        self.share: Share | None = None
        """What it has of the load of this process, from when it is known whose it is."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            values.setdefault(name, []).append(value)
        self._headers = {name: b", ".join(each) for name, each in values.items()}
        mounted_at, path = _split(scope)
        # What is no ASCII in a query is taken for UTF-8 by whoever reads it, as in a browser's address.
        query = quote(scope["query_string"], safe="".join(map(chr, range(128))))
        self.request = messages.Request(
            scope["method"], path, query, self._header, self._body, self._stream, self._live, mounted_at
        )

    async def respond(self, response: messages.Response) -> None:
        """Send the response. A body that is made meanwhile is made no further when nobody is left to take it."""
        body, headers = response.body, dict(response.headers)
        if isinstance(body, bytes) and response.status != 204 and self.request.method != "HEAD":
            headers["content-length"] = str(len(body))
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": response.status, "headers": raw})
        if isinstance(body, bytes):
            await self._send({"type": "http.response.body", "body": body})
        else:
            await self._respond_in_pieces(body)

    async def _respond_in_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        """Send pieces as they are made, and stop wherever that is as soon as whoever asked has gone."""
        sending = asyncio.create_task(self._send_pieces(pieces))
        gone = asyncio.create_task(self._wait_until_gone())
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise Disconnected
            await sending
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait((sending, gone))

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        async with aclosing(pieces) as open_pieces:  # type: ignore[type-var]
            async for piece in open_pieces:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _wait_until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _header(self, name: str) -> str | None:
        value = self._headers.get(name.encode())
        return None if value is None else value.decode(errors="replace")

    async def _body(self) -> bytes:
        if (self._length() or 0) > messages.BODY_BYTES_MAX:
            raise problems.body_too_large()
        parts: list[bytes] = []
        size = 0
        async for part in self._stream():
            size += len(part)
            if size > messages.BODY_BYTES_MAX:
                raise problems.body_too_large()
            parts.append(part)
        return b"".join(parts)

    async def _stream(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Whoever reads it holds no more of it than `BODY_BYTES_MAX` at once."""
        length = self._length()
        await self._hold(min(length or 0, messages.BODY_BYTES_MAX))
        waited, size = 0.0, 0
        while True:
            began = time.monotonic()
            seconds = self._limits.body_seconds * (1 + size // messages.BODY_BYTES_MAX) - waited
            message = await self._piece(seconds, self._limits.body_pause_seconds)
            waited += time.monotonic() - began
            if message["type"] == "http.disconnect":
                raise Disconnected
            if body := message.get("body"):
                size += len(body)
                if length is None and size > self._limits.small_body_bytes:
                    await self._hold(messages.BODY_BYTES_MAX)
                yield body
            if not message.get("more_body", False):
                return

    async def _live(self) -> AsyncIterator[bytes]:
        """The body, piece by piece, of which nothing is held. It counts as a stream."""
        assert self.share is not None  # noqa: S101 as of `_hold`
        self.share.stream()
        while True:
            message = await self._piece(self._limits.live_pause_seconds, self._limits.live_pause_seconds)
            if message["type"] == "http.disconnect":
                raise Disconnected
            if body := message.get("body"):
                yield body
            if not message.get("more_body", False):
                return

    async def _hold(self, size: int) -> None:
        assert self.share is not None  # noqa: S101 nobody's body is read before they were admitted
        await self.share.hold(size)

    async def _piece(self, seconds: float, pause_seconds: float) -> Message:
        try:
            async with asyncio.timeout(min(seconds, pause_seconds)):
                return await self._receive()
        except TimeoutError as error:
            raise problems.TimedOut("The body of this request took too long to arrive. Send it again.") from error

    def _length(self) -> int | None:
        """How long the body is, where the request says so."""
        length = self._header("content-length")
        return int(length) if length is not None and length.isdecimal() else None


def _split(scope: Scope) -> tuple[str, str]:
    """Where the application is mounted, and the path below that, both still percent-encoded."""
    path: str = scope["path"]
    raw = (scope.get("raw_path") or quote(path).encode()).decode("latin-1")
    if raw.startswith(("http://", "https://")):  # as a request is sent to a proxy: RFC 9112, 3.2.2
        return "", "/" + raw.split("/", 3)[3] if raw.count("/") > 2 else "/"
    root: str = scope.get("root_path", "").rstrip("/")
    if not root or not (path == root or path.startswith(f"{root}/")):
        return "", raw
    steps = raw.split("/", root.count("/") + 1)
    below = root.count("/") + 1
    return "/".join(steps[:below]), "/" + "/".join(steps[below:])
