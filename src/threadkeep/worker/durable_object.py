"""The object of one user: their conversations, in a SQLite database of their own, and the API over it."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import js
from pyodide.ffi import JsException
from workers import DurableObject

from threadkeep.clock import now
from threadkeep.conversations import retention
from threadkeep.conversations.drafts.models import LEASE_SECONDS
from threadkeep.conversations.store import DatabaseStore
from threadkeep.http.api import Api
from threadkeep.http.messages import STREAMS_OF_USER_MAX, Request
from threadkeep.http.problems import too_many_streams
from threadkeep.signals import Signals
from threadkeep.storage.base import Database
from threadkeep.storage.sqlite import DurableObject as DurableObjectBackend
from threadkeep.worker.environment import BoundPlace, connected
from threadkeep.worker.following import LISTEN
from threadkeep.worker.requests import (
    incoming_request,
    js_options,
    large_bodies,
    let_run_by,
    outgoing_response,
    raw_request,
)
from threadkeep.worker.sdk_patches import CalledAsItIs

_RETRY_MILLISECONDS = 3_600_000
_SWEEP_MILLISECONDS = 600_000
"""How long after a write to the state of agents it is looked for what has expired, or is to be swept: as often as a
schedule does so elsewhere."""
_DRAFT_MILLISECONDS = LEASE_SECONDS * 1_000
"""How long after one was started or taken it is looked for drafts past their deadline."""
_writes_draft = re.compile(r"/api/(?:conversations/[^/]+/drafts|drafts/[^/]+/take)").fullmatch
_READS = ("GET", "HEAD", "OPTIONS")
_backend = DurableObjectBackend()  # whatever is chosen by now: an alarm may come long after


class UserConversations(DurableObject):  # type: ignore[misc]
    """The conversations of one user, in a SQLite database of their own."""

    _database: Database | None
    _user_id: str
    _looks_soon: bool
    """Whether the alarm is set for the next look at what expires."""
    _sweeps_soon: bool
    """Whether it is set for the next look at the state of agents."""
    _streams: int
    """How many answers are sent while they are made."""

    def __new__(cls, ctx: Any, env: Any) -> "UserConversations":
        self: UserConversations = super().__new__(cls)
        self._env = env
        self._storage = ctx.storage
        self._database = None
        self._signals = Signals()
        self._signals.costs = True
        self._signals.carry = self._tell
        self._context = ctx
        self._streams = 0
        self._looks_soon = False
        self._sweeps_soon = False
        self._user_id = ctx.id.name
        self.fetch = CalledAsItIs(self.fetch)  # type: ignore[method-assign]
        return self

    async def fetch(self, request: Any) -> Any:
        """Answer a request of the user whose object this is."""
        raw = raw_request(request)
        incoming = incoming_request(raw)
        api, _ = connected(self._env)
        if incoming.path == LISTEN:
            return self._listener(api, incoming)
        if incoming.method == "DELETE":  # before it is done, so that no deletion is without an alarm
            await self._look_at(now() + api.settings.retention_days * retention.DAY_MILLISECONDS)
        if api.settings.expire_days is not None and not self._looks_soon:
            await self._look_at(now() + retention.DAY_MILLISECONDS)
            self._looks_soon = True
        if incoming.method == "POST" and _writes_draft(incoming.path):
            await self._look_at(now() + _DRAFT_MILLISECONDS)
        if (
            not self._sweeps_soon
            and incoming.method not in _READS
            and not incoming.path.startswith(("/api/conversations", "/api/drafts"))
        ):
            await self._look_at(now() + _SWEEP_MILLISECONDS)
            self._sweeps_soon = True
        try:
            response = await api.handle(incoming, self._open_own_store, user_id=self._user_id, signals=self._signals)
        finally:
            large_bodies.leave(raw)
        await let_run_by(raw)
        if not isinstance(response.body, bytes):
            if self._streams >= STREAMS_OF_USER_MAX:
                return outgoing_response(api.finish(too_many_streams(STREAMS_OF_USER_MAX), incoming))
            response.body = self._counted(response.body)
        return outgoing_response(response)

    def _listener(self, api: Api, incoming: Request) -> Any:
        """Let a Worker hear of writes, which holds a stream for somebody. The object may hibernate meanwhile."""
        if len(self._context.getWebSockets()) >= STREAMS_OF_USER_MAX:
            return outgoing_response(api.finish(too_many_streams(STREAMS_OF_USER_MAX), incoming))
        theirs, ours = js.Object.values(js.WebSocketPair.new())
        self._context.acceptWebSocket(ours)
        return js.Response.new(None, js_options(status=101, webSocket=theirs))

    def _tell(self, _: str) -> None:
        """Tell those Workers of a write."""
        for socket in self._context.getWebSockets():
            with suppress(JsException):  # it is closed just now
                socket.send("")

    async def webSocketMessage(self, socket: Any, message: Any) -> None:  # noqa: N802 as the platform calls it
        """Nothing is told by this way."""

    async def webSocketClose(self, socket: Any, code: Any, reason: Any, was_clean: Any) -> None:  # noqa: N802
        """Close the other end of what a Worker has closed."""
        with suppress(JsException):
            socket.close()

    async def webSocketError(self, socket: Any, error: Any) -> None:  # noqa: N802
        """Nobody hears any more, and will come again."""

    async def _counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async with aclosing(pieces) as open_pieces:  # type: ignore[type-var]
                async for piece in open_pieces:
                    yield piece
        finally:
            self._streams -= 1

    async def alarm(self, info: Any) -> None:
        """Settle drafts, delete what has expired, purge what was deleted long ago, and come back for what is next."""
        self._looks_soon = False
        self._sweeps_soon = False
        try:
            api, _ = connected(self._env)
            time = await retention.keep_up_store(await self._open_store(None), api.settings)
            self._signals.publish(self._user_id)
        except Exception:
            await self._storage.setAlarm(now() + _RETRY_MILLISECONDS)  # the platform gives up after some tries
            raise
        if time is not None:
            await self._look_at(time)  # a request may have set it meanwhile

    async def _look_at(self, time: int) -> None:
        """Set the alarm, unless it is set for an earlier time."""
        alarm = await self._storage.getAlarm()
        if not isinstance(alarm, int | float) or alarm > time:  # null, where none is set
            await self._storage.setAlarm(time)

    async def _open_own_store(self, user_id: str, bookmark: str | None) -> DatabaseStore:
        return await self._open_store(bookmark)

    async def _open_store(self, bookmark: str | None) -> DatabaseStore:
        # The user is the object's own name: no header can say otherwise.
        if self._database is None:
            api, _ = connected(self._env)
            self._database = await _backend.connect(BoundPlace(self._env, api.settings, self._storage))
            if await self._database.users_to_purge(0, 1):  # a sweep was cut off, or an old index is left
                await self._look_at(now())
        return self._database.open_store(self._user_id)
