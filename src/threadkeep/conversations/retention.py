"""Erasing a user, and purging what was deleted long ago.

Both hide it at once and remove it in parts, since there may be more than fits into one batch. If this is cut off, the
next purge continues, or the same request sent again. Purging also moves what an earlier version has indexed into the
index of this one, in the same parts.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from threadkeep.clock import Clock, now
from threadkeep.conversations.models import Erased
from threadkeep.conversations.store import DatabaseStore, Upkeep
from threadkeep.work import give_way

if TYPE_CHECKING:
    from threadkeep.storage.base import Database

DAY_MILLISECONDS = 86_400_000
PARTS_MAX = 45
"""How many parts are removed, and users purged, at once. A part takes up to 12 statements and a user 3, of the 1,000
that D1 allows in one go on the paid plan."""


_PAUSE_SECONDS = 0.05  # twice what a part takes, so that others wait for one of them, and not for all


async def erase(store: DatabaseStore) -> tuple[Erased, bool]:
    """Erase everything of a user; return how much it was, and whether all of it is removed."""
    erased, is_complete = await store.erase(), await _sweep(store)
    await tidy(store.tidy)
    return erased, is_complete


async def purge(store: Upkeep, retention_days: int, clock: Clock = now) -> int | None:
    """Purge what a user deleted that long ago; return when to do so again, in Unix milliseconds, or None."""
    time = clock()
    earliest = await store.purge(time - retention_days * DAY_MILLISECONDS)
    if not await _sweep(store) or not await tidy(store.tidy):
        return time
    return None if earliest is None else earliest + retention_days * DAY_MILLISECONDS


async def purge_database(database: "Database", retention_days: int) -> bool:
    """Purge what was deleted that long ago, of some users of a database; return whether that was all of it.

    Raises an ExceptionGroup for those users with whom it fails.
    """

    async def open_store(user_id: str) -> Upkeep:
        return database.open_store(user_id)

    user_ids = await database.users_to_purge(now() - retention_days * DAY_MILLISECONDS, PARTS_MAX)
    is_complete = await purge_users(user_ids, open_store, retention_days)
    is_complete = await tidy(database.tidy_index) and is_complete
    await database.tidy()
    return is_complete and len(user_ids) < PARTS_MAX


async def purge_users(
    user_ids: Iterable[str], open_store: Callable[[str], Awaitable[Upkeep]], retention_days: int, clock: Clock = now
) -> bool:
    """Purge what these users deleted that long ago, as far as may be at once; return whether that was all of it.

    A failure with one user does not stop the others; raises an ExceptionGroup in the end.
    """
    parts = PARTS_MAX
    failures: list[Exception] = []
    for user_id in user_ids:
        if parts == 0:
            break
        try:
            store = await open_store(user_id)
            await store.purge(clock() - retention_days * DAY_MILLISECONDS)
            is_complete = False
            while parts > 0 and not is_complete:
                parts -= 1
                is_complete = await _sweep_part(store)
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("some users could not be purged", failures)
    return parts > 0


async def tidy(tidy_part: Callable[[], Awaitable[bool]]) -> bool:
    """Remove what is left in an index, as far as may be at once; return whether nothing is left."""
    for _ in range(PARTS_MAX):
        if not await tidy_part():
            return True
        await give_way(_PAUSE_SECONDS)
    return False


async def _sweep(store: Upkeep) -> bool:
    """Remove parts; return whether nothing is left."""
    for _ in range(PARTS_MAX):
        if await _sweep_part(store):
            return True
    return False


async def _sweep_part(store: Upkeep) -> bool:
    """Remove a part, and let others go first before the next; return whether nothing is left."""
    has_more = await store.sweep()
    if has_more:
        await give_way(_PAUSE_SECONDS)
    return not has_more
