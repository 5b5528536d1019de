"""What a Worker is told by its environment: the API under its variables, and the binding of the back end they chose.

What follows from an environment is made once. When variables or secrets change, an isolate may live on, and gets
another environment: a key that was revoked must not stay good in it.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workers import import_from_javascript

from threadkeep.errors import ThreadkeepError
from threadkeep.http import docs, openapi  # noqa: F401 for the snapshot alone
from threadkeep.http.api import Api, connect
from threadkeep.settings import D1_BINDINGS, HYPERDRIVE_BINDING
from threadkeep.storage import backends
from threadkeep.worker import sdk_patches

if TYPE_CHECKING:
    from threadkeep.storage.sql.executor import Executor

_OFFERED = ("d1", "durable-object", "postgres", "memory", "local")
_ENVIRONMENTS_MAX = 8

_connections: dict[int, tuple[Any, Api, Any]] = {}  # by the identity of the environment, held so that it stays one

# What requests need is imported here, so that it is in the snapshot that Cloudflare starts a Worker from.
backends.preload(_OFFERED)


def connected(env: Any) -> tuple[Api, Any]:
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


async def connect_postgres(api: Api) -> "Executor":
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
