"""Measures how what agents keep grows: the same operations over a hundred rows and over a hundred thousand."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks import service as tasks
from threadkeep.agents.tasks.models import Change, Claim, NewTask, Requeue
from threadkeep.agents.threads import service as threads
from threadkeep.storage.postgres import migrations as of_postgres
from threadkeep.storage.postgres.url import parse_url
from threadkeep.storage.sql.executor import SharedExecutor
from threadkeep.storage.sqlite import migrations as of_sqlite
from threadkeep.storage.sqlite.file import SqliteFile
from tools.bench.estimates import ratio
from tools.bench.rounds import Lab
from tools.bench.state_seeds import FIRST, JOURNAL, QUEUE, SPACE, THREAD, append, filled, payload, put_checkpoint
from tools.checkout import Problem
from tools.local.postgres import LocalPostgres

SIZES = (100, 100_000)
STORES = ("sqlite", "postgres")
_COUNT = 40
_READ = 20
_TASKS = 90  # of those that even the smaller one has

Row = dict[str, Any]
Work = Callable[[StateStore, int], Awaitable[object]]
"""Something to do with the state of a user's agents, for the so-many-th time."""


class Operation(NamedTuple):
    """What is measured, and what undoes it beside the clock, where it can be done only once."""

    work: Work
    undo: Work | None = None


async def _append(store: StateStore, number: int) -> None:
    await append(store, f"new {number}")


async def _read_newest(store: StateStore, number: int) -> None:
    page = await store.read_entries(SPACE, JOURNAL, EntryQuery(newest=True, limit=_READ))
    _expect(len(page.entries) == _READ)


async def _admit(store: StateStore, number: int) -> None:
    new = NewTask(id=f"new {number}", lane=f"new lane {number}", payload=payload())
    _, is_new = await tasks.admit_task(store, QUEUE, new)
    _expect(is_new)


async def _claim(store: StateStore, number: int) -> None:
    await _change(store, number, Claim(attempt="attempt", holder="holder", lease_until=0))


async def _put_checkpoint(store: StateStore, number: int) -> None:
    await put_checkpoint(store, 2 * FIRST + number)


async def _latest_checkpoint(store: StateStore, number: int) -> None:
    page = await threads.list_checkpoints(store, THREAD, ns="", limit=1)
    _expect((len(page.checkpoints), len(page.values), len(page.checkpoints[0].writes)) == (1, 1, 1))


async def _requeue(store: StateStore, number: int) -> None:
    await _change(store, number, Requeue(attempt="attempt"))


async def _change(store: StateStore, number: int, change: Change) -> None:
    changed = await tasks.change_task(store, QUEUE, f"task {FIRST + 1 + number % _TASKS}", change, request=None)
    _expect(changed.applied)


OPERATIONS: dict[str, Operation] = {
    "append": Operation(_append),
    "read-newest": Operation(_read_newest),
    "admit": Operation(_admit),
    "claim": Operation(_claim, undo=_requeue),
    "latest-checkpoint": Operation(_latest_checkpoint),
    "put-checkpoint": Operation(_put_checkpoint),
}


def state_growth(lab: Lab, only: str) -> list[Row]:
    """The latencies over the most rows by those over the fewest, of each operation and store, in this process."""
    operations = {name: operation for name, operation in OPERATIONS.items() if name.startswith(only)}
    lab.progress.expect(len(STORES) * len(operations) * (lab.effort.rounds + 1))
    rows: list[Row] = []
    for store in STORES if operations else ():
        folder = lab.folder / f"state-{store}"
        folder.mkdir(parents=True)
        rows += asyncio.run(_growth_of(lab, store, folder, operations))
    return rows


async def _growth_of(lab: Lab, store: str, folder: Path, operations: Mapping[str, Operation]) -> list[Row]:
    rows = []
    async with AsyncExitStack() as ending:
        sizes = await ending.enter_async_context(_filled(store, folder))
        for name, operation in operations.items():
            medians: dict[int, list[float]] = {size: [] for size in SIZES}
            for number in range(lab.effort.rounds + 1):  # the first warms up
                count = max(5, round(_COUNT * lab.effort.scale))
                found = await _median_latencies(sizes, operation, range(number * count, (number + 1) * count))
                for size, median in found.items() if number else ():
                    medians[size].append(median)
                lab.progress.step(f"{name}, {store}")
            few, many = (statistics.median(medians[size]) for size in SIZES)
            grown = ratio(medians[SIZES[1]], medians[SIZES[0]]).rounded()
            row = {"operation": name, "store": store, "from": SIZES[0], "to": SIZES[1], "few": few, "many": many}
            rows.append({**row, "ratio": grown.pop("median"), **grown})
    return rows


async def _median_latencies(sizes: Mapping[int, StateStore], operation: Operation, numbers: range) -> dict[int, float]:
    """The median of an operation over each size, in milliseconds. The sizes take turns."""
    latencies: dict[int, list[float]] = {size: [] for size in sizes}
    for number in numbers:
        for size, store in sizes.items():
            began = time.perf_counter()
            await operation.work(store, number)
            latencies[size].append((time.perf_counter() - began) * 1_000)
            if operation.undo is not None:
                await operation.undo(store, number)
    return {size: statistics.median(found) for size, found in latencies.items()}


@asynccontextmanager
async def _filled(store: str, folder: Path) -> AsyncIterator[dict[int, StateStore]]:
    """The state of a user's agents in each size: in two files, or in two schemas of one Postgres."""
    async with AsyncExitStack() as ending:
        sizes: dict[int, StateStore] = {}
        postgres = ending.enter_context(LocalPostgres(folder / "postgres")) if store == "postgres" else None
        for size in SIZES:
            executor: SharedExecutor
            if postgres is None:
                executor = await SqliteFile.open(str(folder / f"{size}.sqlite"), of_sqlite.MIGRATIONS)
            else:
                from threadkeep.storage.postgres.pool import open_pool  # noqa: PLC0415 no other part needs its driver

                executor = await open_pool(parse_url(postgres.url(schema=f"of_{size}")), of_postgres.MIGRATIONS)
            ending.push_async_callback(executor.close)
            sizes[size] = await filled(executor, size)
        if postgres is not None:
            await _analyze(postgres.url())
        yield sizes


async def _analyze(url: str) -> None:
    """Have Postgres look at what it has, as it does by itself within a minute."""
    import asyncpg  # noqa: PLC0415 no other part needs it

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def _expect(is_done: bool) -> None:
    if not is_done:
        raise Problem("an operation does not do what is measured")
