"""Local: conversations stay with the client, and none is kept here."""

from collections.abc import Container
from typing import TYPE_CHECKING

from threadkeep.storage.base import PLATFORMS, Backend, Platform

if TYPE_CHECKING:
    from threadkeep.settings import Settings


class Local(Backend):
    """No back end: what a server says that keeps nothing."""

    name = "local"
    is_automatic = False
    is_persistent = False
    keeps_conversations = False

    @property
    def runs_on(self) -> frozenset[Platform]:
        return PLATFORMS

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        return None
