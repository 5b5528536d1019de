"""SQLite: a file, D1, and the database inside a Durable Object."""

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from threadkeep.storage.base import CAPABILITIES, Backend, Place

if TYPE_CHECKING:
    from threadkeep.settings import Settings

D1_BINDINGS = ("CONVERSATIONS_D1", "CHM_CLOUD_D1")
"""The names that a D1 binding may have, the first being the one to use."""


class D1(Backend):
    """One Cloudflare D1 database for all users. scripts/migrate brings it to the newest schema."""

    name = "d1"
    worker_driver = "threadkeep.storage.sqlite.d1"
    capabilities = frozenset(CAPABILITIES)
    how = "bind a D1 database"

    def bindings(self, settings: "Settings") -> tuple[str, ...]:
        return D1_BINDINGS

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        is_bound = any(name in bindings for name in D1_BINDINGS)
        return None if is_bound else f"there is no D1 binding {D1_BINDINGS[0]}"


class DurableObject(Backend):
    """A Durable Object for each user, with a SQLite database of its own. Each purges itself, by its alarm."""

    name = "durable-object"
    worker_driver = "threadkeep.storage.sqlite.durable_object"
    capabilities = frozenset(CAPABILITIES)
    purges_itself = True
    how = "bind a Durable Object"

    def bindings(self, settings: "Settings") -> tuple[str, ...]:
        return (settings.durable_object_binding,)

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        name = settings.durable_object_binding
        return None if name in bindings else f"there is no Durable Object binding {name}"

    def elsewhere(self, place: Place) -> Any:
        return place.binding(place.settings.durable_object_binding)


class SqliteFile(Backend):
    """A SQLite file, of which a server's processes are the only users."""

    name = "sqlite"
    server_driver = "threadkeep.storage.sqlite.file"
    capabilities = frozenset(CAPABILITIES)
    is_automatic = False
    setting = "sqlite_path"

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        if settings.sqlite_path is None:
            return "SQLITE_PATH is not set"
        if settings.sqlite_path != ":memory:":
            return None
        how = "AGENT_CONVERSATION_STORE to memory"
        if settings.environment == "production":
            how = "it to the path of one, and AGENT_CONVERSATION_STORE to sqlite"
        return f"SQLITE_PATH is :memory:, which is no file; set {how}"

    def hint(self, settings: "Settings") -> str | None:
        if settings.sqlite_path is None:
            return None
        alone = "SQLITE_PATH alone does not ask for a file; set AGENT_CONVERSATION_STORE to sqlite"
        return f"{self.missing(settings, ()) or alone}."

    def shown(self, settings: "Settings") -> str:
        return f"file={settings.sqlite_path}"
