"""The Worker whose objects fail where a request says so, in `X-Fail`."""

from typing import Any

import entry

Default = entry.Default


class UserConversations(entry.UserConversations):
    """An object that fails when it is told to."""

    async def fetch(self, request: Any) -> Any:
        if isinstance(request.headers.get("x-fail"), str):
            raise ValueError("a secret of the object")
        return await super().fetch(request)
