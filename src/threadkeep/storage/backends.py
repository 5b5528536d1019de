"""Every back end, in the order in which `auto` takes the first that is set up; and which one some settings choose.

This is the only list of them. Where they can run, what they need and can do, and what of the code they are made of,
each says itself: see `base.py`.
"""

from collections.abc import Callable, Collection, Container
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from threadkeep.errors import Unavailable
from threadkeep.storage import agentstate, clickhouse, local, memory, postgres, sqlite
from threadkeep.storage.base import Backend, Platform

if TYPE_CHECKING:
    from threadkeep.settings import Settings

LOCAL = local.Local()
BACKENDS: tuple[Backend, ...] = (
    agentstate.AgentState(),
    sqlite.D1(),
    sqlite.DurableObject(),
    postgres.Postgres(),
    clickhouse.ClickHouse(),
    memory.Memory(),
    sqlite.SqliteFile(),
    LOCAL,
)

AUTO = "auto"
STORE_NAMES = (AUTO, *(backend.name for backend in BACKENDS))
"""What AGENT_CONVERSATION_STORE may be."""


class Choice(NamedTuple):
    """The back end that was chosen, and why."""

    requested: str
    backend: Backend
    reason: str

    @property
    def store(self) -> str:
        """Its name."""
        return self.backend.name


def named(name: str) -> Backend:
    """The back end of this name."""
    return next(backend for backend in BACKENDS if backend.name == name)


def built_for(platform: Platform) -> list[Backend]:
    """The back ends that can run on a platform."""
    return [backend for backend in BACKENDS if backend.is_built and platform in backend.runs_on]


def bindings_of(settings: "Settings", has_binding: Callable[[str], bool]) -> set[str]:
    """The bindings that a platform has, of those by which a back end is reached."""
    names = {name for backend in BACKENDS for name in backend.bindings(settings)}
    return {name for name in names if has_binding(name)}


def choose(settings: "Settings", bindings: Container[str], platform: Platform, default: str | None = None) -> Choice:
    """Choose the back end. `bindings` are those that the platform has.

    `default` is the one that `auto` takes where no other is set up that outlives the process.
    A store that was asked for by name is that store or an error, never another.
    Raises Unavailable for one that is not built yet, cannot run here, or lacks what it needs.
    """
    if not settings.persistence:
        reason = "AGENT_CONVERSATION_PERSISTENCE is not true, so nothing is kept here."
        return Choice(settings.store, LOCAL, reason)
    if settings.store == AUTO:
        candidates = [backend for backend in BACKENDS if backend.is_automatic]
        if default is not None:
            candidates = [*(backend for backend in candidates if backend.is_persistent), named(default)]
        backend = next((each for each in candidates if each.missing(settings, bindings) is None), None)
        if backend is None:
            raise Unavailable(_nothing_is_set_up(settings, platform))
        reason = "It is the first of those that are set up."
        if backend.name == default:
            reason = f"No other back end is set up, and this server then takes {default}."
    else:
        backend = named(settings.store)
        reason = "AGENT_CONVERSATION_STORE asks for it."
    if not backend.is_built:
        raise Unavailable(f"The back end {backend.name} is not built yet. {_choose(platform)}")
    missing = backend.missing(settings, bindings)
    if missing is not None:
        raise Unavailable(f"The back end {backend.name} is not set up: {missing}.")
    if platform not in backend.runs_on:
        raise Unavailable(f"The back end {backend.name} cannot run here. {_choose(platform)}")
    return Choice(settings.store, backend, reason)


def preload(platform: Platform) -> None:
    """Import what the first request to any back end would import. One that was not shipped is left out.

    Cloudflare starts a Worker from a snapshot of what it had imported when it was deployed, so that whatever a request
    imports comes late, and from source.
    """
    for backend in built_for(platform):
        driver = backend.driver(platform)
        if driver is not None and find_spec(driver) is not None:
            import_module(driver)


def ships(file: str, stores: Collection[str]) -> bool:
    """Whether a Worker that can use these back ends is shipped with a file, which is named from `src/` on.

    Of a product's folder it gets `__init__.py`; and all else, if it can use one of the product's back ends, but for the
    drivers of servers and of the others.
    """
    folder, _, name = file.rpartition("/")
    of_product = [backend for backend in BACKENDS if f"{folder}/".startswith(f"{backend.folder}/")]
    if not of_product or (folder, name) == (of_product[0].folder, "__init__.py"):
        return True
    module = file.removesuffix(".py").replace("/", ".")
    used = [backend.worker_driver for backend in of_product if backend.name in stores and backend.worker_driver]
    is_driver = any(module in (backend.worker_driver, backend.server_driver) for backend in of_product)
    return module in used if is_driver else bool(used)


def _choose(platform: Platform) -> str:
    return f"Set AGENT_CONVERSATION_STORE to one of {', '.join(backend.name for backend in built_for(platform))}."


def _nothing_is_set_up(settings: "Settings", platform: Platform) -> str:
    in_production = settings.environment == "production"
    why = f"No back end is set up{', and in production nothing is kept in memory' if in_production else ''}."
    candidates = built_for(platform)
    hint = next((hint for backend in candidates if (hint := backend.hint(settings)) is not None), None)
    if hint is None:
        how = ", ".join(backend.how for backend in candidates if backend.how is not None)
        hint = f"{how[0].upper()}{how[1:]}, or set AGENT_CONVERSATION_STORE."
    return f"{why} {hint}"
