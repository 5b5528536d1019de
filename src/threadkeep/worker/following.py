"""Changes that are followed in a Worker, of a user whose object hibernates meanwhile.

The Worker holds the stream, which costs it nothing while it waits, and asks the object for changes when that gives a
signal: over a WebSocket, which outlives the object's sleep.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import urlencode

import js
import msgspec
from pyodide.ffi import JsException, create_proxy

from threadkeep.conversations.models import CHANGES_LIMIT_MAX, Changes
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import CursorExpired, Invalid, Unavailable
from threadkeep.http.api import Api
from threadkeep.http.events import QUESTIONS_MAX
from threadkeep.http.messages import Request
from threadkeep.signals import Signals
from threadkeep.worker.requests import js_options, outgoing_response

STREAM = "/api/conversations/changes/stream"
LISTEN = "/listen"
"""Where an object takes a WebSocket. Nobody else gets there, since this is the path of no route."""
_OBJECT = "https://object"


class _ChangesOfObject:
    """The changes of a user, as their object tells them; the rest of a store nobody needs here."""

    bookmark: str | None = None

    def __init__(self, stub: Any, signals: Signals) -> None:
        self._stub = stub
        self._signals = signals
        self._questions = 0

    async def changes(self, since: str | None = None, *, limit: int = CHANGES_LIMIT_MAX) -> Changes:
        """See `Store.changes`."""
        self._questions += 1
        if self._questions == QUESTIONS_MAX:
            self._signals.end()  # whoever follows comes again
        query = {"limit": limit} if since is None else {"since": since, "limit": limit}
        try:
            response = await self._stub.fetch(f"{_OBJECT}/api/conversations/changes?{urlencode(query)}")
            body: bytes = (await response.arrayBuffer()).to_bytes()
        except JsException as error:
            raise Unavailable("The user's object could not be reached, or failed. Try again.") from error
        if response.status == 200:
            return msgspec.json.decode(body, type=Changes)
        told = msgspec.json.decode(body)["error"]
        if response.status == 410:
            raise CursorExpired(told["message"])
        if response.status == 400:
            raise Invalid(told["message"], told["details"]["path"])
        raise Unavailable(told["message"])


async def follow_changes(api: Api, incoming: Request, user_id: str, stub: Any) -> Any:
    """Answer with the changes of a user as they happen. It hears from before it asks for the first time."""
    headers = js.Headers.new()
    headers.set("upgrade", "websocket")
    answer = await stub.fetch(f"{_OBJECT}{LISTEN}", js_options(headers=headers))
    if answer.status != 101:  # there are too many
        return answer
    socket, signals = answer.webSocket, Signals()
    heard = create_proxy(lambda _: signals.wake(user_id))
    gone = create_proxy(lambda _: signals.end())
    socket.addEventListener("message", heard)
    socket.addEventListener("close", gone)
    socket.accept()

    def hang_up() -> None:
        for name, proxy in (("message", heard), ("close", gone)):
            socket.removeEventListener(name, proxy)
            proxy.destroy()
        with suppress(JsException):  # the object has closed it
            socket.close()

    store = _ChangesOfObject(stub, signals)

    async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
        return store  # type: ignore[return-value]  # for this one route

    response = await api.handle(incoming, open_store, user_id=user_id, signals=signals)
    if isinstance(response.body, bytes):
        hang_up()
    else:
        response.body = _until_the_end(response.body, hang_up)
    return outgoing_response(response)


async def _until_the_end(pieces: AsyncIterator[bytes], hang_up: Any) -> AsyncIterator[bytes]:
    try:
        async with aclosing(pieces) as open_pieces:  # type: ignore[type-var]
            async for piece in open_pieces:
                yield piece
    finally:
        hang_up()
