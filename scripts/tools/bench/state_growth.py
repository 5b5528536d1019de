"""Measures how what agents keep grows: the same operations over a hundred rows and over a hundred thousand."""

from collections.abc import Awaitable, Callable

from msgspec.structs import asdict

from threadkeep.agents.journals.records import EntryQuery
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks import service as tasks
from threadkeep.agents.tasks.models import Claim, NewTask, Requeue
from tools.bench.state_seeds import FIRST, JOURNAL, QUEUE, SPACE, append, payload
from tools.checkout import Problem

SIZES = (100, 100_000)

Work = Callable[[StateStore, int], Awaitable[object]]
"""What is measured, for the so-many-th time."""


async def _append(store: StateStore, number: int) -> None:
    await append(store, f"new {number}")


async def _read_newest(store: StateStore, number: int) -> None:
    page = await store.read_entries(SPACE, JOURNAL, EntryQuery(newest=True, limit=20))
    _expect(len(page.entries) == 20)


async def _admit(store: StateStore, number: int) -> None:
    new = NewTask(id=f"new {number}", lane=f"new lane {number}", payload=payload())
    _, is_new = await tasks.admit_task(store, QUEUE, new)
    _expect(is_new)


async def _claim(store: StateStore, number: int) -> None:
    change = Claim(attempt="attempt", holder="holder", lease_until=0)
    changed = await tasks.change_task(store, QUEUE, f"task {FIRST + 1 + number}", change, request=None)
    _expect(changed.applied)


OPERATIONS: dict[str, Work] = {
    "append": _append,
    "read-newest": _read_newest,
    "admit": _admit,
    "claim": _claim,
}


def _expect(is_done: bool) -> None:
    if not is_done:
        raise Problem("an operation does not do what is measured")
