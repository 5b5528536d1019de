"""Postgres: on a server through asyncpg, in a Worker through a protocol of our own."""

from collections.abc import Container
from typing import TYPE_CHECKING

from threadkeep.storage.base import CAPABILITIES, Backend

if TYPE_CHECKING:
    from threadkeep.settings import Settings


class Postgres(Backend):
    """A schema of a Postgres database."""

    name = "postgres"
    worker_driver = "threadkeep.storage.postgres.workers_socket"
    server_driver = "threadkeep.storage.postgres.pool"
    capabilities = frozenset(CAPABILITIES)
    setting = "database_url"
    how = "set DATABASE_URL"

    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        return None if settings.database_url else "DATABASE_URL is not set"
