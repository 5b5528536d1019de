"""What a Worker is told by its environment: the API under its variables, and the place where back ends are bound.

What follows from an environment is made once. When variables or secrets change, an isolate may live on, and gets
another environment: a key that was revoked must not stay good in it.
"""

from typing import Any
from urllib.parse import quote

from threadkeep import validation_messages  # noqa: F401 for the snapshot alone
from threadkeep.errors import ThreadkeepError
from threadkeep.http import docs, openapi  # noqa: F401 likewise
from threadkeep.http.api import Api, connect
from threadkeep.settings import HYPERDRIVE_BINDING, Settings
from threadkeep.storage import backends
from threadkeep.storage.base import Backend, Database, Platform
from threadkeep.worker import sdk_patches

PLATFORM: Platform = "worker"

_ENVIRONMENTS_MAX = 8

_connections: dict[int, tuple[Any, Api, "BoundPlace"]] = {}  # by the identity of the environment, held so it stays one
_kept: dict[Backend, Database] = {}

# What requests need is imported here, so that it is in the snapshot that Cloudflare starts a Worker from.
backends.preload(PLATFORM)


class BoundPlace:
    """A Worker under one environment, or one of its Durable Objects. See `Place` in `storage/base.py`."""

    platform = PLATFORM

    def __init__(self, env: Any, settings: Settings, storage: Any = None) -> None:
        self.settings = settings
        self.storage = storage
        self._env = env
        self._bound: dict[str, Any] = {}

    def binding(self, name: str) -> Any:
        if name not in self._bound:  # to ask JavaScript takes longer
            self._bound[name] = getattr(self._env, name, None)
        return self._bound[name]


def connected(env: Any) -> tuple[Api, BoundPlace]:
    """The API under an environment, and the place to connect the back end from that it chose."""
    identity: int = env.js_id
    if identity not in _connections:
        sdk_patches.share_turns_once()
        if len(_connections) >= _ENVIRONMENTS_MAX:
            _connections.clear()
        api = connect(
            lambda name: _variable(env, name),
            lambda name: getattr(env, name, None) is not None,
            PLATFORM,
        )
        for warning in api.settings.warnings:
            print(warning)
        if isinstance(api.choice, ThreadkeepError):
            print(api.choice)
        _connections[identity] = env, api, BoundPlace(env, api.settings)
    _, api, place = _connections[identity]
    return api, place


async def database(backend: Backend, place: BoundPlace) -> Database:
    """The back end that was chosen, connected for one request, unless it may stay so for as long as the isolate."""
    if not backend.outlives_request:
        return await backend.connect(place)
    if backend not in _kept:
        _kept[backend] = await backend.connect(place)
    return _kept[backend]


def _variable(env: Any, name: str) -> str | None:
    """A variable as text; in wrangler.toml it may also be a boolean or a number, and Hyperdrive is a URL in parts."""
    value = getattr(env, name, None)
    if name == HYPERDRIVE_BINDING and value is not None:
        user, password, database = (quote(getattr(value, part), safe="") for part in ("user", "password", "database"))
        return f"postgresql://{user}:{password}@{value.host}:{value.port}/{database}?sslmode=disable"
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
