"""The Worker that every request reaches first.

With most back ends, the API runs here. One may say that it answers elsewhere: with a Durable Object per user, the whole
request goes on to the object of the user who asks, and the same API runs there.
"""

from typing import Any

from pyodide.ffi import JsException
from workers import WorkerEntrypoint

from threadkeep.conversations import retention
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, ThreadkeepError, Unavailable
from threadkeep.http import messages
from threadkeep.worker.environment import connected, database
from threadkeep.worker.following import STREAM, follow_changes
from threadkeep.worker.requests import incoming_request, large_bodies, let_run_by, outgoing_response, raw_request
from threadkeep.worker.sdk_patches import CalledAsItIs


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
        api, place = connected(self._env)
        incoming = incoming_request(raw)
        if (incoming.header("upgrade") or "").lower() == "websocket":
            # workerd hands a user's object a GET without a body in its place, and the answer would be to that.
            refusal = Invalid("upgrade: No WebSocket is spoken here. Send the request without it.", "upgrade")
            await let_run_by(raw)
            return outgoing_response(api.finish(refusal, incoming))
        objects = None if isinstance(api.choice, ThreadkeepError) else api.backend.elsewhere(place)
        if objects is not None:
            admitted = await api.admit(incoming)
            if isinstance(admitted, messages.Response):
                await let_run_by(raw)
                return outgoing_response(admitted)
            try:
                stub = objects.getByName(admitted)
                if incoming.path == STREAM:
                    return await follow_changes(api, incoming, admitted, stub)
                return await stub.fetch(raw)
            except JsException as error:
                unavailable = Unavailable("The user's object could not be reached, or failed. Try again.")
                unavailable.__cause__ = error
                return outgoing_response(api.refuse(incoming, unavailable))

        async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
            return (await database(api.backend, place)).open_store(user_id, bookmark)

        try:
            response = await api.handle(incoming, open_store)
        finally:
            large_bodies.leave(raw)
        await let_run_by(raw)
        return outgoing_response(response)

    async def scheduled(self, controller: Any, env: Any, ctx: Any) -> None:
        """Delete what has expired, and purge what was deleted long ago, where nothing else does so."""
        api, place = connected(self._env)
        if isinstance(api.choice, ThreadkeepError):
            return
        backend = api.backend
        if backend.keeps_conversations and not backend.purges_itself:
            await retention.keep_up(await database(backend, place), api.settings)
