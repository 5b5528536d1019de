"""ClickHouse: not built yet."""

from collections.abc import Container
from typing import TYPE_CHECKING

from threadkeep.storage.base import Planned

if TYPE_CHECKING:
    from threadkeep.settings import Settings


class ClickHouse(Planned):
    """A table of ClickHouse, over its HTTP interface. It is taken only where the table is named."""

    name = "clickhouse"

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        return None if settings.has_clickhouse_table else "CLICKHOUSE_AGENT_CONVERSATIONS_TABLE is not set"
