"""The Worker with what tests need to see or bring about, such as what takes days, what was imported, what fails.

It is one entry for all of these, since each has to be imported, and a snapshot made of it.

`POST /clock` with `{"offset": 1000}` puts the clock that many milliseconds ahead of the machine's. With
`"is_broken": true` in it, no object can open its store until the clock is set again.
`POST /patience` with `{"milliseconds": 0}` has nobody wait longer than that for whoever has a large body before them.
`POST /purge` with `{"user_id": "u", "until": 1000, "parts": 9}` purges what a user deleted until then, and sweeps so
many parts at the most. `POST /expire` with `{"user_id": "u", "before": 1000, "spares": []}` deletes a part of what
expires. `POST /check` with `{"user_id": "u"}` fails where the index that this user is in is not as it
should be. `POST /rows` counts the rows of the state of this user's agents. `POST /able` tells what the store of this
user can do, and `POST /alarm` for when the alarm of the user's object is set.
`POST /quiet` with `{"heartbeat": 1, "quiet": 2}` has streams tell that they are there, and end, after so many seconds
without anything to tell. `POST /listeners` tells how many follow something of this user in their object, how many in a
Worker, and since when the object is in memory.
`GET /imports` tells what was imported since the Worker was started from its snapshot. The object of a user fails where
a request says so, in `X-Fail`.
A request may be answered under other variables, those in `X-Variables`, or, in a Worker on Postgres, from another
database, the one in `X-Database-Url`.
"""

import json
import sys
from contextvars import ContextVar
from typing import Any

from threadkeep import clock

_machine = clock.now
_offset = [0]
_is_broken = [False]
clock.now = lambda: _machine() + _offset[0]

import js  # noqa: E402
import probes  # noqa: E402
from msgspec.structs import replace  # noqa: E402
from workers import Response  # noqa: E402

import entry  # noqa: E402
from threadkeep.conversations.store import DatabaseStore  # noqa: E402
from threadkeep.errors import Unavailable  # noqa: E402
from threadkeep.http import events  # noqa: E402
from threadkeep.storage.base import Database, Place  # noqa: E402
from threadkeep.storage.postgres import workers_socket  # noqa: E402
from threadkeep.storage.sql.executor import read, write  # noqa: E402
from threadkeep.storage.sqlite.dialect import SQLITE  # noqa: E402
from threadkeep.worker import environment, turnstile  # noqa: E402
from threadkeep.worker.requests import raw_request  # noqa: E402

_in_snapshot = set(sys.modules)
_CHANGES = ("clock", "patience", "quiet")
_ORDERS = (*_CHANGES, "purge", "expire", "check", "able", "alarm", "rows", "listeners")
_CHECK = write("INSERT INTO search_index_2 (search_index_2, rank) VALUES ('integrity-check', 1)")
_STATE = (
    *("journals", "entries", "pieces", "tasks", "lanes", "blobs"),
    *("threads", "checkpoints", "checkpoint_values", "checkpoint_writes"),
)
_COUNT = read(
    f"SELECT {' + '.join(f'(SELECT count(*) FROM {table} WHERE user_id = :user)' for table in _STATE)} AS value"
)
_database_url: ContextVar[str | None] = ContextVar("_database_url")
_connect_to_postgres = workers_socket.connect


async def _connect_as_told(place: Place) -> Database:
    url = _database_url.get(None)
    if url is None:
        return await _connect_to_postgres(place)
    return await _connect_to_postgres(
        environment.BoundPlace(None, replace(place.settings, database_url=url), place.storage)
    )


workers_socket.connect = _connect_as_told


def _header(raw: Any, name: str) -> str | None:
    """A header of JavaScript's own request: the SDK's would copy all of them first."""
    value = raw.headers.get(name)
    return value if isinstance(value, str) else None


def _imported_since() -> Response:
    """What is new in this isolate, whose objects share its modules."""
    since = set(sys.modules) - _in_snapshot
    return Response.json(sorted(name for name in since if not name.startswith("_cloudflare.")))  # the runtime's own


def _change(what: str, order: dict[str, Any]) -> None:
    """Have all of this isolate go on in another way."""
    if what == "patience":
        turnstile._WAIT_MILLISECONDS = order["milliseconds"]
    elif what == "quiet":
        events.HEARTBEAT_SECONDS, events.QUIET_SECONDS = order["heartbeat"], order["quiet"]
    else:
        _offset[0] = order["offset"]
        _is_broken[0] = order.get("is_broken", False)


async def _do(what: str, order: dict[str, Any], store: DatabaseStore, database: Any) -> Response:
    if what == "expire":
        more = await store.expire(order["before"], order["spares"])
        return Response.json([more, await store.oldest_append(order["spares"])])
    if what == "check":
        executor = database.executor
        if executor.statements is SQLITE:  # others keep no index of their own making
            await executor.run(_CHECK())
        return Response.json(None)
    if what == "rows":
        (rows,) = await database.executor.run(_COUNT(user=order["user_id"]))
        return Response.json(rows[0]["value"])
    if what == "able":
        return Response.json(await probes.able(store))
    earliest = await store.purge(order["until"])
    for _ in range(order["parts"]):
        if not await store.sweep():
            break
    while await store.tidy():
        pass
    return Response.json(earliest)


class Default(entry.Default):
    """The entrypoint, with these routes before its own."""

    async def fetch(self, request: Any) -> Any:
        raw = raw_request(request)
        what = raw.url.split("/", 3)[3]
        if what == "imports":
            return _imported_since()
        if what not in _ORDERS:
            _database_url.set(_header(raw, "x-database-url"))
            if variables := _header(raw, "x-variables"):
                self._env = js.Object.assign(js.Object.create(self._env), js.JSON.parse(variables))
            return await super().fetch(raw)
        order = json.loads(await raw.text())
        if what in _CHANGES:
            _change(what, order)
            return Response.json(None)
        api, place = environment.connected(self._env)
        if not api.backend.purges_itself:
            database = await environment.database(api.backend, place)
            return await _do(what, order, database.open_store(order["user_id"]), database)
        user = self.env.AGENT_CONVERSATIONS_DO.getByName(order["user_id"])
        return await user.fetch(raw.url, method="POST", body=json.dumps(order))


class UserConversations(entry.UserConversations):
    """An object that does as it is told there."""

    def __new__(cls, ctx: Any, env: Any) -> "UserConversations":
        self: UserConversations = super().__new__(cls, ctx, env)
        self._since = _machine()
        return self

    async def fetch(self, request: Any) -> Any:
        raw = raw_request(request)
        if _header(raw, "x-fail"):
            raise ValueError("a secret of the object")
        what = raw.url.split("/", 3)[3]
        if what not in _ORDERS:
            return await super().fetch(raw)
        if what == "alarm":
            return Response.json(await self.ctx.storage.getAlarm())
        if what == "listeners":
            waiting = self._signals._waiting.get(self._user_id, ())
            return Response.json([len(waiting), len(self._context.getWebSockets()), self._since])
        store = await self._open_store(None)
        return await _do(what, json.loads(await raw.text()), store, self._database)

    async def _open_store(self, bookmark: str | None) -> DatabaseStore:
        if _is_broken[0]:
            raise Unavailable("It is broken, for a test.")
        return await super()._open_store(bookmark)
