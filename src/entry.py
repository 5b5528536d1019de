"""The Worker: the only file that knows the platform. Everything else runs anywhere.

On D1, the API runs here. With a Durable Object per user, the whole request goes on to the object of the user who asks,
and the same API runs there.
"""

from collections.abc import AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import js
import msgspec
from pyodide.ffi import JsException, to_js
from workers import DurableObject, Request, WorkerEntrypoint, import_from_javascript, wait_until

from threadkeep.clock import now
from threadkeep.conversations import retention
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, ThreadkeepError, Unavailable
from threadkeep.http import docs, messages, openapi, problems  # noqa: F401 the first two for the snapshot alone
from threadkeep.http.api import Api, connect
from threadkeep.settings import D1_BINDINGS, HYPERDRIVE_BINDING
from threadkeep.storage import backends
from threadkeep.worker import sdk_patches
from threadkeep.worker.sdk_patches import CalledAsItIs
from threadkeep.worker.turnstile import LARGE_BYTES, Turnstile

if TYPE_CHECKING:
    from threadkeep.storage.sql.executor import Executor

_OFFERED = ("d1", "durable-object", "postgres", "memory", "local")

# What follows from an environment is made once. When variables or secrets change, an isolate may live on, and gets
# another environment: a key that was revoked must not stay good in it.
_connections: dict[int, tuple[Any, Api, Any]] = {}  # by the identity of the environment, held so that it stays one
_ENVIRONMENTS_MAX = 8
_memory: list[Any] = []
_large_bodies = Turnstile()

_RETRY_MILLISECONDS = 3_600_000
_LET_RUN_BY_BYTES_MAX = 4 * messages.BODY_BYTES_MAX


# What requests need is imported here, so that it is in the snapshot that Cloudflare starts a Worker from.
backends.preload(_OFFERED)
sdk_patches.leave_what_is_javascripts()


class Default(WorkerEntrypoint):  # type: ignore[misc]
    """Finds out who asks, and answers, or hands the request to the user's object."""

    def __new__(cls, _ctx: Any, env: Any) -> "Default":  # before the SDK wraps what it is handed, as for `__init__`
        self: Default = super().__new__(cls)
        self._env = env
        self.fetch = CalledAsItIs(self.fetch)  # type: ignore[method-assign]
        return self

    async def fetch(self, request: Any) -> Any:
        """Answer a request. It is JavaScript's own `Request`, and the answer its own `Response`."""
        raw = _raw(request)
        api, backend = _connected(self._env)
        incoming = _incoming(raw)
        if (incoming.header("upgrade") or "").lower() == "websocket":
            # workerd hands a user's object a GET without a body in its place, and the answer would be to that.
            refusal = Invalid("upgrade: No WebSocket is spoken here. Send the request without it.", "upgrade")
            await _let_run_by(raw)
            return _outgoing(api.finish(problems.error_response(refusal), incoming))
        admitted = await api.admit(incoming)
        if isinstance(admitted, messages.Response):
            await _let_run_by(raw)
            return _outgoing(admitted)
        if isinstance(api.choice, backends.Choice) and api.choice.store == "durable-object":
            try:
                return await backend.getByName(admitted).fetch(raw)
            except JsException as error:
                unavailable = Unavailable("The user's object could not be reached, or failed. Try again.")
                unavailable.__cause__ = error
                return _outgoing(api.refuse(incoming, unavailable))

        async def open_store(bookmark: str | None) -> DatabaseStore:
            if isinstance(api.choice, backends.Choice) and api.choice.store == "memory":
                if not _memory:
                    _memory.append(backends.new_memory())
                return backends.open_memory(_memory[0], admitted)
            if isinstance(api.choice, backends.Choice) and api.choice.store == "postgres":
                return backends.open_sql(await _connect_postgres(api), admitted)
            return backends.open_sql(backends.open_d1(backend, bookmark), admitted)

        try:
            response = await api.answer(incoming, admitted, open_store)
        finally:
            _large_bodies.leave(raw)
        await _let_run_by(raw)
        return _outgoing(response)

    async def scheduled(self, controller: Any, env: Any, ctx: Any) -> None:
        """Purge what was deleted long ago from D1 or Postgres. A Durable Object does that by its own alarm."""
        api, database = _connected(self._env)
        if not isinstance(api.choice, backends.Choice) or api.choice.store not in ("d1", "postgres"):
            return
        is_d1 = api.choice.store == "d1"
        executor = backends.open_d1(database) if is_d1 else await _connect_postgres(api)

        async def open_store(user_id: str) -> DatabaseStore:
            return backends.open_sql(executor, user_id)

        days = api.settings.retention_days
        until = now() - days * retention.DAY_MILLISECONDS
        user_ids = await backends.users_to_purge(executor, until, retention.PARTS_MAX)
        await retention.purge_users(user_ids, open_store, days)
        await retention.tidy(lambda: backends.tidy_index(executor))


class UserConversations(DurableObject):  # type: ignore[misc]
    """The conversations of one user, in a SQLite database of their own."""

    def __new__(cls, ctx: Any, env: Any) -> "UserConversations":
        self: UserConversations = super().__new__(cls)
        self._env = env
        self._storage = ctx.storage
        self._executor: Any = None
        self._user_id: str = ctx.id.name
        self.fetch = CalledAsItIs(self.fetch)  # type: ignore[method-assign]
        return self

    async def fetch(self, request: Any) -> Any:
        """Answer a request of the user whose object this is."""
        raw = _raw(request)
        incoming = _incoming(raw)
        api, _ = _connected(self._env)
        if incoming.method == "DELETE":  # before it is done, so that no deletion is without an alarm
            await self._purge_at(now() + api.settings.retention_days * retention.DAY_MILLISECONDS)
        try:
            response = await api.answer(incoming, self._user_id, self._open_store)
        finally:
            _large_bodies.leave(raw)
        await _let_run_by(raw)
        return _outgoing(response)

    async def alarm(self, info: Any) -> None:
        """Purge what was deleted long ago, and come back for what was deleted since."""
        try:
            api, _ = _connected(self._env)
            time = await retention.purge(await self._open_store(None), api.settings.retention_days)
        except Exception:
            await self._storage.setAlarm(now() + _RETRY_MILLISECONDS)  # the platform gives up after some tries
            raise
        if time is not None:
            await self._storage.setAlarm(time)

    async def _purge_at(self, time: int) -> None:
        """Set the alarm, unless it is set for an earlier time."""
        alarm = await self._storage.getAlarm()
        if not isinstance(alarm, int | float) or alarm > time:  # null, where none is set
            await self._storage.setAlarm(time)

    async def _open_store(self, bookmark: str | None) -> DatabaseStore:
        # The user is the object's own name: no header can say otherwise.
        if self._executor is None:
            self._executor = await backends.open_durable_object(self._storage)
            if await backends.users_to_purge(self._executor, 0, 1):  # a sweep was cut off, or an old index is left
                await self._purge_at(now())
        return backends.open_sql(self._executor, self._user_id)


def _connected(env: Any) -> tuple[Api, Any]:
    """The API under an environment, and the binding of the back end that it chose, all of it as JavaScript has it."""
    identity: int = env.js_id
    if identity not in _connections:
        sdk_patches.share_turns_once()
        if len(_connections) >= _ENVIRONMENTS_MAX:
            _connections.clear()
        api = connect(
            lambda name: _variable(env, name),
            lambda name: getattr(env, name, None) is not None,
            offered=_OFFERED,
        )
        for warning in api.settings.warnings:
            print(warning)
        name = None
        if isinstance(api.choice, ThreadkeepError):
            print(api.choice)
        elif api.choice.store == "d1":
            name = next(name for name in D1_BINDINGS if getattr(env, name, None) is not None)
        elif api.choice.store == "durable-object":
            name = api.settings.durable_object_binding
        _connections[identity] = env, api, getattr(env, name) if name else None
    _, api, backend = _connections[identity]
    return api, backend


async def _connect_postgres(api: Api) -> "Executor":
    """The Postgres database that was chosen, for one request."""
    connect = import_from_javascript("cloudflare:sockets").connect
    return await backends.connect_postgres(connect, api.settings.database_url or "")


def _variable(env: Any, name: str) -> str | None:
    """A variable as text; in wrangler.toml it may also be a boolean or a number, and Hyperdrive is a URL in parts."""
    value = getattr(env, name, None)
    if name == HYPERDRIVE_BINDING and value is not None:
        user, password, database = (quote(getattr(value, part), safe="") for part in ("user", "password", "database"))
        return f"postgresql://{user}:{password}@{value.host}:{value.port}/{database}?sslmode=disable"
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _raw(request: Any) -> Any:
    """JavaScript's own request, of one that was converted nevertheless, too."""
    return request.js_object if isinstance(request, Request) else request


def _incoming(raw: Any) -> messages.Request:
    path, _, query = raw.url.partition("#")[0].partition("//")[2].partition("/")[2].partition("?")
    get = raw.headers.get

    def header(name: str) -> str | None:
        value = get(name)
        return value if isinstance(value, str) else None  # null is an object of its own

    async def body() -> bytes:
        # Most requests say how long they are.
        length = header("content-length")
        if length is not None:
            if int(length) > messages.BODY_BYTES_MAX:
                raise problems.body_too_large()
            if int(length) > LARGE_BYTES:
                await _large_bodies.enter(raw)
            whole: bytes = (await raw.arrayBuffer()).to_bytes()
            return whole
        parts: list[bytes] = []
        size = 0
        rest = pieces()
        async for part in rest:
            size += len(part)
            if size > LARGE_BYTES:
                await enter(rest)
            if size <= messages.BODY_BYTES_MAX:
                parts.append(part)
            elif size > _LET_RUN_BY_BYTES_MAX:
                break
        if size > messages.BODY_BYTES_MAX:
            raise problems.body_too_large()
        return b"".join(parts)

    async def stream() -> AsyncIterator[bytes]:
        line = 0
        rest = pieces()
        async for piece in rest:
            line += len(piece)
            if line > LARGE_BYTES:
                await enter(rest)
            yield piece
            end = piece.rfind(b"\n") + 1
            if end:  # whoever asks for more has done with the line
                _large_bodies.leave(raw)
                line = len(piece) - end

    async def enter(rest: AsyncIterator[bytes]) -> None:
        try:
            await _large_bodies.enter(raw)
        except Unavailable:
            async for _ in rest:  # whoever is still sending does not hear the answer
                pass
            raise

    async def pieces() -> AsyncIterator[bytes]:
        if raw.body:
            async for part in raw.body:
                yield part.to_bytes()

    return messages.Request(raw.method, f"/{path}", query, header, body, stream)


async def _let_run_by(raw: Any) -> None:
    """Take in what nobody has read of a request: whoever is still sending does not hear the answer."""
    body = raw.body  # null where none was sent, with whatever method
    if body and not raw.bodyUsed:
        await body.pipeTo(js.WritableStream.new())


def _outgoing(response: messages.Response) -> Any:
    """A response as JavaScript has it: the SDK's own takes as long to make as it takes to find out what to answer."""
    if not isinstance(response.body, bytes):
        stream = js.TransformStream.new()
        wait_until(_pump(response.body, stream.writable.getWriter()))
        body = stream.readable
    else:
        body = to_js(response.body) if response.body else None
    options = msgspec.json.encode({"status": response.status, "headers": response.headers}).decode()
    make, parse = _functions()
    return make(body, parse(options))


@cache  # at first use, since nothing of JavaScript may be held before
def _functions() -> tuple[Any, Any]:
    """What a response is made by, found once: to look a function up takes longer than to call it."""
    return js.Response.new, js.JSON.parse


async def _pump(pieces: AsyncIterator[bytes], writer: Any) -> None:
    """Write a body while it is made. If that fails the stream ends in an error, and not as if it were whole."""
    try:
        async for piece in pieces:
            await writer.write(to_js(piece))
        await writer.close()
    except ThreadkeepError as error:  # of the store, while the answer was made
        print(f"an answer was cut short: {error.message}")
        await writer.abort("cut short")
    except JsException:  # whoever asked has gone
        await pieces.aclose()
    except Exception:  # which the platform logs
        await writer.abort("cut short")
        raise
