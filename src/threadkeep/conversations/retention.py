"""Deleting what is old, erasing a user, and purging what was deleted long ago.

What is old is deleted in parts, so that nobody has to wait for all of it.

Erasing and purging hide what has to go at once, and remove it in parts, since there may be more than fits into one
batch. If this is cut off, the next purge continues, or the same request sent again. Purging also moves what an earlier
version has indexed into the index of this one, in the same parts.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING

from threadkeep.clock import Clock, now
from threadkeep.conversations.models import Deleted, Erased
from threadkeep.conversations.store import DatabaseStore, Store, Upkeep
from threadkeep.work import give_way

if TYPE_CHECKING:
    from threadkeep.settings import Settings
    from threadkeep.storage.base import Database

DAY_MILLISECONDS = 86_400_000
PARTS_MAX = 45
"""How many parts are removed, and users purged, at once. A part takes up to 12 statements and a user 3, of the 1,000
that D1 allows in one go on the paid plan."""
DELETED_PARTS_MAX = 20
"""How many parts are deleted at once, of 500 conversations each, by 3 statements."""
USERS_LOOKED_AT = 5_000
"""Of how many users one statement finds out who has something that expires."""

_PAUSE_SECONDS = 0.05  # twice what a part takes, so that others wait for one of them, and not for all


async def delete_conversations(store: Store, before: int, is_archived: bool | None) -> Deleted:
    """Delete what `Store.delete_conversations` deletes, as far as may be at once."""
    deleted = Deleted(0, is_complete=False)
    for _ in range(DELETED_PARTS_MAX):
        part = await store.delete_conversations(before, is_archived=is_archived)
        deleted = Deleted(deleted.conversations + part.conversations, part.is_complete)
        if part.is_complete:
            break
        await give_way(_PAUSE_SECONDS)
    return deleted


async def expire(store: Upkeep, days: int, spares: Collection[str], clock: Clock = now) -> int | None:
    """Delete what a user last appended to so long ago; return when to do so again, in Unix milliseconds, or None."""
    time = clock()
    _, is_complete = await _expire_parts(store, time - days * DAY_MILLISECONDS, spares, DELETED_PARTS_MAX)
    if not is_complete:
        return time
    oldest = await store.oldest_append(spares)
    # What was restored stays for longer. It is looked at once a day.
    return None if oldest is None else max(oldest + days * DAY_MILLISECONDS, time + DAY_MILLISECONDS)


async def expire_database(
    database: "Database",
    days: int,
    spares: Collection[str],
    clock: Clock = now,
    publish: Callable[[str], None] = lambda user_id: None,
) -> bool:
    """Delete what anybody last appended to so long ago, as far as may be at once; return whether that was all of it.

    `publish` is told of each user. A failure with one does not stop the others; raises an ExceptionGroup in the end.
    """
    before = clock() - days * DAY_MILLISECONDS
    parts = DELETED_PARTS_MAX
    failures: list[Exception] = []
    last: str | None = ""
    while last is not None and parts > 0:
        found = await database.users_to_expire(before, spares, last, USERS_LOOKED_AT)
        for user_id in found.users:
            if parts == 0:
                break
            try:
                done, _ = await _expire_parts(database.open_store(user_id), before, spares, parts)
                parts -= done
                publish(user_id)
            except Exception as error:
                parts -= 1
                failures.append(error)
        last = found.last
        await give_way(_PAUSE_SECONDS)
    if failures:
        raise ExceptionGroup("what is old could not be deleted of some users", failures)
    return parts > 0


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


async def settle_drafts(database: "Database", publish: Callable[[str], None] = lambda user_id: None) -> None:
    """Settle drafts past their deadline, of some users of a database.

    `publish` is told of each user. A failure with one does not stop the others; raises an ExceptionGroup in the end.
    """
    failures: list[Exception] = []
    for user_id in await database.users_with_overdue_drafts(PARTS_MAX):
        try:
            await database.open_store(user_id).settle_overdue_drafts()
            publish(user_id)
        except Exception as error:
            failures.append(error)
        await give_way(_PAUSE_SECONDS)
    if failures:
        raise ExceptionGroup("drafts of some users could not be settled", failures)


async def keep_up_store(store: Upkeep, settings: "Settings", clock: Clock = now) -> int | None:
    """Settle drafts, delete what has expired and purge what was deleted long ago, of one user.

    Returns when to do so again, or None.
    """
    times = [await store.settle_overdue_drafts()]
    if settings.expire_days is not None:
        times.append(await expire(store, settings.expire_days, settings.expire_spares, clock))
    times.append(await purge(store, settings.retention_days, clock))
    return min((time for time in times if time is not None), default=None)


async def keep_up(
    database: "Database", settings: "Settings", publish: Callable[[str], None] = lambda user_id: None
) -> bool:
    """Settle drafts, delete what has expired and purge what was deleted long ago, of some users.

    Returns whether that was all of it. `publish` is told of whom something has changed. Raises an ExceptionGroup for
    those users with whom it fails.
    """
    is_complete = True
    try:
        await settle_drafts(database, publish)
    finally:  # none of these is to stop the others
        try:
            if settings.expire_days is not None:
                days, spares = settings.expire_days, settings.expire_spares
                is_complete = await expire_database(database, days, spares, publish=publish)
        finally:
            is_complete = await purge_database(database, settings.retention_days) and is_complete
    return is_complete


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


async def _expire_parts(store: Upkeep, before: int, spares: Collection[str], most: int) -> tuple[int, bool]:
    """Delete parts, at most so many; return how many it took, and whether nothing is left."""
    for count in range(1, most + 1):
        if not await store.expire(before, spares):
            return count, True
        await give_way(_PAUSE_SECONDS)
    return most, False


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
