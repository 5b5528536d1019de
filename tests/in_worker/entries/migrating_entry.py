"""The Worker with one more migration than was released; asked with `X-Tell`, an object tells what it has applied."""

from typing import Any

from threadkeep.storage.sql.migrate import Migration
from threadkeep.storage.sqlite import migrations

migrations.MIGRATIONS = (
    *migrations.MIGRATIONS,
    Migration(
        "9999_stars.sql",
        (
            "ALTER TABLE conversations ADD COLUMN stars INTEGER NOT NULL DEFAULT 5",
            "CREATE INDEX conversations_by_stars ON conversations (user_id, stars)",
        ),
    ),
)

from workers import Request, Response  # noqa: E402

import entry  # noqa: E402


class Default(entry.Default):
    """The entrypoint as it is."""


class UserConversations(entry.UserConversations):
    """An object that also tells what it has applied."""

    async def fetch(self, request: Any) -> Any:
        response = await super().fetch(request)
        if "x-tell" not in Request(request).headers:
            return response
        names = self.ctx.storage.sql.exec("SELECT name FROM schema_migrations ORDER BY name").toArray()
        stars = self.ctx.storage.sql.exec("SELECT id, stars FROM conversations WHERE user_id <> ''").toArray()
        applied: dict[str, Any] = {
            "migrations": [row["name"] for row in names],
            "stars": {row["id"]: row["stars"] for row in stars},
        }
        return Response.json(applied)
