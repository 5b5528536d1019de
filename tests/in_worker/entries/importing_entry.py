"""The Worker that tells, at `GET /imports`, what was imported since it was started from its snapshot."""

import sys
from typing import Any

from workers import Request, Response

import entry

_in_snapshot = set(sys.modules)


def _imported_since() -> Response:
    since = set(sys.modules) - _in_snapshot
    return Response.json(sorted(name for name in since if not name.startswith("_cloudflare.")))  # the runtime's own


class Default(entry.Default):
    """The entrypoint, and what it imported. An object in the same isolate shares its modules."""

    async def fetch(self, request: Any) -> Any:
        return _imported_since() if Request(request).url.endswith("/imports") else await super().fetch(request)


UserConversations = entry.UserConversations
