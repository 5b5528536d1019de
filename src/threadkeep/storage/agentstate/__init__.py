"""AgentState: not built yet."""

from collections.abc import Container
from typing import TYPE_CHECKING

from threadkeep.storage.base import Planned

if TYPE_CHECKING:
    from threadkeep.settings import Settings


class AgentState(Planned):
    """The service AgentState, over its HTTP API."""

    name = "agentstate"
    setting = "agentstate_api_key"

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        return None if settings.agentstate_api_key else "AGENTSTATE_API_KEY is not set"
