"""Records the statements that Threadkeep sends to D1, for a Worker that runs them and does nothing else: the floor."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Unavailable
from threadkeep.http import messages
from threadkeep.http.api import Api, connect
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Statement
from threadkeep.storage.sqlite.dialect import SQLITE
from tools.bench.http_client import USER, Request

_VARIABLES = {
    "AGENT_CONVERSATION_PERSISTENCE": "true",
    "AGENT_CONVERSATION_STORE": "memory",  # no store is asked; the API only has to have one
    "ENVIRONMENT": "test",
}


class _Recorder:
    """Takes statements down, and goes no further."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self) -> None:
        self.taken_down: tuple[Statement, ...] = ()

    async def run(self, *statements: Statement) -> Any:
        self.taken_down = statements
        raise Unavailable("This is taken down, and not run.")

    async def clear(self, *statements: Statement) -> None:
        """Nothing is cleared here."""


def statements_of(request: Request) -> Request:
    """The request that has the statements of another run, those of its first round trip."""
    recorder = _Recorder()
    path, _, query = request.path.partition("?")
    headers = request.all_headers()

    async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
        return SqlStore(recorder, user_id)

    async def body() -> bytes:
        return (request.body or "").encode()

    async def stream() -> AsyncIterator[bytes]:
        yield await body()

    asked = messages.Request(request.method, path, query, headers.get, body, stream)
    asyncio.run(_api().handle(asked, open_store, user_id=USER))
    statements = [[statement.query.numbered, *statement.values] for statement in recorder.taken_down]
    return Request("POST", "/statements", json.dumps(statements, ensure_ascii=False))


@lru_cache(maxsize=1)
def _api() -> Api:
    return connect(_VARIABLES.get, lambda name: False, "server")
