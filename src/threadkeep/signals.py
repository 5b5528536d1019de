"""Signals: whoever waits for news of a user is woken by a write, and asks the store for nothing until then.

A signal says only that something of a user may have changed, never what: whoever hears it asks the store. So signals
may be joined, and one too many costs a question. None may be missed: a listener notes how many there were before it
asks, and does not wait for one that has come since.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

DEAF_SECONDS = 1.0
"""How long anybody waits before asking anyway, while other processes cannot be heard."""
_USERS_MAX = 10_000


class Signals:
    """The signals of one process, or of one Durable Object."""

    def __init__(self) -> None:
        self.count = 0
        """How many there were."""
        self.carry: Callable[[str], None] | None = None
        """Tells other processes of a write, where somebody has undertaken to."""
        self.hearings = 0
        """How often other processes have begun to be heard."""
        self.is_deaf = False
        """Whether they cannot be heard just now, so that everybody asks now and then."""
        self.costs = False
        """Whether it costs something that anybody waits, as in a Durable Object that cannot hibernate meanwhile."""
        self.is_over = False
        """Whether whoever follows something is to end at once, since the process does."""
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._last: dict[str, int] = {}  # the number of the last of each user, oldest first
        self._last_of_others = 0

    @property
    def anybody_waits(self) -> bool:
        """Whether anybody waits for any user."""
        return bool(self._waiting)

    def publish(self, user: str) -> None:
        """Say that something of a user has been written here."""
        self.wake(user)
        if self.carry is not None:
            self.carry(user)

    def wake(self, user: str) -> None:
        """Wake whoever waits for a user in this process."""
        self.count += 1
        self._last.pop(user, None)
        self._last[user] = self.count
        if len(self._last) > _USERS_MAX:
            self._last_of_others = self._last.pop(next(iter(self._last)))
        for waiting in self._waiting.get(user, ()):
            _wake(waiting)

    def wake_all(self) -> None:
        """Wake everybody who waits in this process: something has been written, and it is not known of whom."""
        self.count += 1
        self._last.clear()
        self._last_of_others = self.count
        for waiting in [each for of_user in self._waiting.values() for each in of_user]:
            _wake(waiting)

    def begin_to_hear(self) -> None:
        """Say that other processes are heard from now on: everybody asks once for what was missed until then."""
        self.hearings += 1
        self.is_deaf = False
        self.wake_all()

    def go_deaf(self) -> None:
        """Say that other processes cannot be heard."""
        if not self.is_deaf:
            self.is_deaf = True
            self.wake_all()

    def end(self) -> None:
        """Have everybody who follows something end, now and from now on."""
        self.is_over = True
        self.wake_all()

    def last_of(self, user: str) -> int:
        """The number of the last signal of a user, or a higher one where that is no longer known."""
        return self._last.get(user, self._last_of_others)

    async def wait(self, user: str, seconds: float, since: int | None = None) -> bool:
        """Wait for a signal of a user after the one of this number; return whether it is time to ask.

        Without a number, wait for the next one.
        """
        since = self.count if since is None else since
        if self.is_over or self.last_of(user) > since:
            return True
        import asyncio

        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, set()).add(waiting)
        is_deaf = self.is_deaf
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, DEAF_SECONDS) if is_deaf else seconds):
                    await waiting
        finally:
            self._waiting[user].discard(waiting)
            if not self._waiting[user]:
                del self._waiting[user]
        return is_deaf or self.last_of(user) > since


class Listener:
    """Somebody who follows a user. Make one before the store is asked for the first time."""

    def __init__(self, signals: Signals, user: str) -> None:
        self._signals = signals
        self._user = user
        self._heard = signals.count

    @property
    def costs(self) -> bool:
        """Whether it costs something to wait."""
        return self._signals.costs

    @property
    def is_over(self) -> bool:
        """Whether to end at once, and ask no more."""
        return self._signals.is_over

    async def wait(self, seconds: float) -> bool:
        """Wait until it is time to ask the store again, or to end; return whether it is."""
        is_time = await self._signals.wait(self._user, seconds, self._heard)
        self._heard = self._signals.count
        return is_time


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
