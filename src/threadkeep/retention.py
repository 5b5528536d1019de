"""Getting rid of what nobody wants any more: erasing a user, and purging what was deleted long ago.

Both hide it at once and remove it in parts, since there may be more than fits into one batch. What is cut off in
between goes on with the next purge, or when it is asked for again.
"""

from collections.abc import Awaitable, Callable, Iterable

from threadkeep.clock import Clock, now
from threadkeep.models import Erased
from threadkeep.store import Store

DAY_MILLISECONDS = 86_400_000
PARTS_MAX = 45
"""How many parts are removed, and users purged, at once. A user takes 6 statements and a part up to 14, of
the 1,000 that D1 allows in one go."""


async def erase(store: Store) -> tuple[Erased, bool]:
    """Erase everything of a user; answer how much it was, and whether all of it is removed."""
    erased = await store.erase()
    _, is_complete = await _sweep(store, PARTS_MAX)
    return erased, is_complete


async def purge(store: Store, retention_days: int, clock: Clock = now) -> int | None:
    """Purge what a user deleted that long ago; answer when to do so again, in Unix milliseconds, or None."""
    time = clock()
    earliest = await store.purge(time - retention_days * DAY_MILLISECONDS)
    _, is_complete = await _sweep(store, PARTS_MAX)
    if not is_complete:
        return time
    return None if earliest is None else earliest + retention_days * DAY_MILLISECONDS


async def purge_users(
    user_ids: Iterable[str], open_store: Callable[[str], Awaitable[Store]], retention_days: int, clock: Clock = now
) -> None:
    """Purge what these users deleted that long ago, as far as may be at once.

    One with whom it fails keeps nobody else from it; raises an ExceptionGroup in the end.
    """
    parts = PARTS_MAX
    failures: list[Exception] = []
    for user_id in user_ids:
        if parts == 0:
            break
        try:
            store = await open_store(user_id)
            await store.purge(clock() - retention_days * DAY_MILLISECONDS)
            swept, _ = await _sweep(store, parts)
        except Exception as error:
            failures.append(error)
        else:
            parts -= swept
    if failures:
        raise ExceptionGroup("some users could not be purged", failures)


async def _sweep(store: Store, parts_max: int) -> tuple[int, bool]:
    """Remove parts; answer how many it took, and whether nothing is left."""
    for parts in range(1, parts_max + 1):
        if not await store.sweep():
            return parts, True
    return parts_max, False
