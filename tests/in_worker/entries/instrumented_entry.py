"""The Worker with what tests need to see or bring about: what takes days, what was imported, an object that fails.

It is one entry for all of these, since each has to be imported, and a snapshot made of it.

`POST /clock` with `{"offset": 1000}` puts the clock that many milliseconds ahead of the machine's. With
`"is_broken": true` in it, no object can open its store until the clock is set again.
`POST /purge` with `{"user_id": "u", "until": 1000, "parts": 9}` purges what a user deleted until then, and sweeps so
many parts at the most. `POST /check` with `{"user_id": "u"}` fails where the index that this user is in is not as it
should be, and `POST /alarm` tells for when the alarm of the user's object is set.
`GET /imports` tells what was imported since the Worker was started from its snapshot. The object of a user fails where
a request says so, in `X-Fail`.
"""

import json
import sys
from typing import Any

from threadkeep import clock

_machine = clock.now
_offset = [0]
_is_broken = [False]
clock.now = lambda: _machine() + _offset[0]

from workers import Request, Response  # noqa: E402

import entry  # noqa: E402
from threadkeep import backends  # noqa: E402
from threadkeep.errors import Unavailable  # noqa: E402
from threadkeep.sql import statements as sqlite_statements  # noqa: E402
from threadkeep.sql.executor import Executor, Query  # noqa: E402
from threadkeep.store import Store  # noqa: E402

_in_snapshot = set(sys.modules)
_CHECK = Query("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


def _imported_since() -> Response:
    """What is new in this isolate, whose objects share its modules."""
    since = set(sys.modules) - _in_snapshot
    return Response.json(sorted(name for name in since if not name.startswith("_cloudflare.")))  # the runtime's own


async def _do(what: str, order: dict[str, Any], store: Store, executor: Executor) -> Response:
    if what == "check":
        if executor.dialect is sqlite_statements:  # others keep no index of their own making
            await executor.run(_CHECK())
        return Response.json(None)
    earliest = await store.purge(order["until"])
    for _ in range(order["parts"]):
        if not await store.sweep():
            break
    return Response.json(earliest)


class Default(entry.Default):
    """The entrypoint, with these routes before its own."""

    async def fetch(self, request: Any) -> Any:
        request = Request(request)
        what = request.url.split("/", 3)[3]
        if what == "imports":
            return _imported_since()
        if what not in ("clock", "purge", "check", "alarm"):
            return await super().fetch(request)
        order = await request.json()
        if what == "clock":
            _offset[0] = order["offset"]
            _is_broken[0] = order.get("is_broken", False)
            return Response.json(None)
        executor: Executor | None = None
        if self.env.AGENT_CONVERSATION_STORE == "d1":
            executor = backends.open_d1(self._env.CONVERSATIONS_D1)
        elif self.env.AGENT_CONVERSATION_STORE == "postgres":
            executor = await entry._connect_postgres(entry._connected(self._env)[0])
        if executor is not None:
            return await _do(what, order, backends.open_sql(executor, order["user_id"]), executor)
        user = self.env.AGENT_CONVERSATIONS_DO.getByName(order["user_id"])
        return await user.fetch(request.url, method="PUT", body=json.dumps(order))


class UserConversations(entry.UserConversations):
    """An object that does as it is told there."""

    async def fetch(self, request: Any) -> Any:
        request = Request(request)
        if request.headers.get("x-fail"):
            raise ValueError("a secret of the object")
        if request.method != "PUT":
            return await super().fetch(request)
        what = request.url.split("/", 3)[3]
        if what == "alarm":
            return Response.json(await self.ctx.storage.getAlarm())
        store = await self._open_store(None)
        return await _do(what, await request.json(), store, self._executor)

    async def _open_store(self, bookmark: str | None) -> Store:
        if _is_broken[0]:
            raise Unavailable("It is broken, for a test.")
        return await super()._open_store(bookmark)
