"""Load: the work that a process has taken on, so that no number of clients makes it take on more than it can."""

import asyncio
from collections import Counter

from threadkeep.errors import Unavailable
from threadkeep.http.problems import too_many_streams
from threadkeep.server.limits import Limits


class Load:
    """All requests that are being answered, and the share of each user."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self.streams: Counter[str] = Counter()
        self.body_bytes: Counter[str] = Counter()
        self.freed = asyncio.Condition()

    def begin(self, user_id: str) -> "Share":
        """Count a request of a user. Raises Unavailable where there are too many."""
        if self.requests >= self.limits.requests:
            raise Unavailable("This server has as many requests as it can take. Send this one again in a moment.")
        self.requests += 1
        return Share(self, user_id)

    def has_room(self, user_id: str, size: int) -> bool:
        """Whether so much more of a body can be held for a user."""
        return (
            self.body_bytes[user_id] + size <= self.limits.body_bytes_of_user
            and self.body_bytes.total() + size <= self.limits.body_bytes
        )


class Share:
    """The share of one request in the load, until it is over."""

    def __init__(self, load: Load, user_id: str) -> None:
        self._load = load
        self._user_id = user_id
        self._is_stream = False
        self._body_bytes = 0

    async def hold(self, size: int) -> None:
        """Wait until a body of this size can be held, once. Raises Unavailable where that takes too long."""
        load = self._load
        if size <= load.limits.small_body_bytes or self._body_bytes:
            return
        try:
            async with asyncio.timeout(load.limits.body_turn_seconds), load.freed:
                await load.freed.wait_for(lambda: load.has_room(self._user_id, size))
                self._body_bytes = size
                load.body_bytes[self._user_id] += size
        except TimeoutError:
            message = "This server reads as many large requests as it can hold. Send this one again in a moment."
            raise Unavailable(message) from None

    def stream(self) -> None:
        """Count this as a stream from now on, and no longer as a request. Raises RateLimited, or Unavailable."""
        streams, limits = self._load.streams, self._load.limits
        if streams[self._user_id] >= limits.streams_of_user:
            raise too_many_streams(limits.streams_of_user)
        if streams.total() >= limits.streams:
            raise Unavailable("This server has as many streams open as it can. Send this again in a moment.")
        streams[self._user_id] += 1
        self._load.requests -= 1
        self._is_stream = True

    async def end(self) -> None:
        """Give everything back."""
        load = self._load
        if self._is_stream:
            _take(load.streams, self._user_id, 1)
        else:
            load.requests -= 1
        if self._body_bytes:
            async with load.freed:
                _take(load.body_bytes, self._user_id, self._body_bytes)
                load.freed.notify_all()


def _take(counts: Counter[str], user_id: str, count: int) -> None:
    """Lower a user's count, and forget the user when it is zero."""
    counts[user_id] -= count
    if counts[user_id] == 0:
        del counts[user_id]
