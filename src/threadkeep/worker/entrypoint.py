"""The Worker that every request reaches first.

On D1, the API runs here. With a Durable Object per user, the whole request goes on to the object of the user who asks,
and the same API runs there.
"""

from typing import Any

from pyodide.ffi import JsException
from workers import WorkerEntrypoint

from threadkeep.clock import now
from threadkeep.conversations import retention
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, Unavailable
from threadkeep.http import messages
from threadkeep.storage import backends
from threadkeep.worker.environment import connect_postgres, connected
from threadkeep.worker.requests import incoming_request, large_bodies, let_run_by, outgoing_response, raw_request
from threadkeep.worker.sdk_patches import CalledAsItIs

_memory: list[Any] = []


class Default(WorkerEntrypoint):  # type: ignore[misc]
    """Finds out who asks, and answers, or hands the request to the user's object."""

    def __new__(cls, _ctx: Any, env: Any) -> "Default":  # before the SDK wraps what it is handed, as for `__init__`
        self: Default = super().__new__(cls)
        self._env = env
        self.fetch = CalledAsItIs(self.fetch)  # type: ignore[method-assign]
        return self

    async def fetch(self, request: Any) -> Any:
        """Answer a request. It is JavaScript's own `Request`, and the answer its own `Response`."""
        raw = raw_request(request)
        api, backend = connected(self._env)
        incoming = incoming_request(raw)
        if (incoming.header("upgrade") or "").lower() == "websocket":
            # workerd hands a user's object a GET without a body in its place, and the answer would be to that.
            refusal = Invalid("upgrade: No WebSocket is spoken here. Send the request without it.", "upgrade")
            await let_run_by(raw)
            return outgoing_response(api.finish(refusal, incoming))
        if isinstance(api.choice, backends.Choice) and api.choice.store == "durable-object":
            admitted = await api.admit(incoming)
            if isinstance(admitted, messages.Response):
                await let_run_by(raw)
                return outgoing_response(admitted)
            try:
                return await backend.getByName(admitted).fetch(raw)
            except JsException as error:
                unavailable = Unavailable("The user's object could not be reached, or failed. Try again.")
                unavailable.__cause__ = error
                return outgoing_response(api.refuse(incoming, unavailable))

        async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
            if isinstance(api.choice, backends.Choice) and api.choice.store == "memory":
                if not _memory:
                    _memory.append(backends.new_memory())
                return backends.open_memory(_memory[0], user_id)
            if isinstance(api.choice, backends.Choice) and api.choice.store == "postgres":
                return backends.open_sql(await connect_postgres(api), user_id)
            return backends.open_sql(backends.open_d1(backend, bookmark), user_id)

        try:
            response = await api.handle(incoming, open_store)
        finally:
            large_bodies.leave(raw)
        await let_run_by(raw)
        return outgoing_response(response)

    async def scheduled(self, controller: Any, env: Any, ctx: Any) -> None:
        """Purge what was deleted long ago from D1 or Postgres. A Durable Object does that by its own alarm."""
        api, database = connected(self._env)
        if not isinstance(api.choice, backends.Choice) or api.choice.store not in ("d1", "postgres"):
            return
        is_d1 = api.choice.store == "d1"
        executor = backends.open_d1(database) if is_d1 else await connect_postgres(api)

        async def open_store(user_id: str) -> DatabaseStore:
            return backends.open_sql(executor, user_id)

        days = api.settings.retention_days
        until = now() - days * retention.DAY_MILLISECONDS
        user_ids = await backends.users_to_purge(executor, until, retention.PARTS_MAX)
        await retention.purge_users(user_ids, open_store, days)
        await retention.tidy(lambda: backends.tidy_index(executor))
