"""Large bodies one after the other: an isolate of a Worker has 128 MB for all whom it answers at once.

What one request of a Worker awaits, another cannot fulfil. So each that waits looks again by a timer of its own.
"""

import asyncio

from threadkeep.clock import Clock, now
from threadkeep.errors import Unavailable

LARGE_BYTES = 1_000_000
"""How much of a body may be held by everybody who sends one."""

_WAIT_MILLISECONDS = 5_000
_GONE_MILLISECONDS = 60_000  # whoever is cut off by the platform does not leave
_LOOK_SECONDS = 0.02


class Turnstile:
    """Lets one in at a time."""

    def __init__(self, clock: Clock = now) -> None:
        self._clock = clock
        self._inside: object = None
        self._since = 0

    async def enter(self, who: object) -> None:
        """Wait until nobody else is in; nothing, for whoever is. Raises Unavailable after five seconds."""
        begin = self._clock()
        while self._is_taken_from(who):
            if self._clock() - begin >= _WAIT_MILLISECONDS:
                raise Unavailable("Other large requests are served first, one after the other. Send the same again.")
            await asyncio.sleep(_LOOK_SECONDS)
        if self._inside is not who:
            self._inside, self._since = who, self._clock()

    def leave(self, who: object) -> None:
        """Let the next one in; nothing, for whoever is not in."""
        if self._inside is who:
            self._inside = None

    def _is_taken_from(self, who: object) -> bool:
        is_gone = self._clock() - self._since > _GONE_MILLISECONDS
        return self._inside is not None and self._inside is not who and not is_gone
