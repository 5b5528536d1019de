"""The Worker on whichever Postgres a request names, in `X-Database-Url`: to try many without as many Workers."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from workers import Request, import_from_javascript

import entry
from threadkeep import backends
from threadkeep.http.api import Api

if TYPE_CHECKING:
    from threadkeep.sql.executor import Executor

_url: ContextVar[str] = ContextVar("_url")


async def _connect_postgres(api: Api) -> "Executor":
    return await backends.connect_postgres(import_from_javascript("cloudflare:sockets").connect, _url.get())


entry._connect_postgres = _connect_postgres


class Default(entry.Default):
    """The entrypoint, which remembers for as long as a request lasts."""

    async def fetch(self, request: Any) -> Any:
        _url.set(Request(request).headers.get("x-database-url", ""))
        return await super().fetch(request)


UserConversations = entry.UserConversations
