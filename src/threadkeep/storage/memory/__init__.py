"""Memory: plain Python, for tests and for trying things."""

from collections.abc import Container
from typing import TYPE_CHECKING

from threadkeep.storage.base import CAPABILITIES, Backend

if TYPE_CHECKING:
    from threadkeep.settings import Settings


class Memory(Backend):
    """The process itself. What it keeps goes with it, and no other process sees it."""

    name = "memory"
    worker_driver = server_driver = "threadkeep.storage.memory.store"
    capabilities = frozenset(CAPABILITIES)
    is_persistent = False
    outlives_request = True

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        return "ENVIRONMENT is production" if settings.environment == "production" else None
