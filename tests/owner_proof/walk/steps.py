"""The steps of a walk, whatever they are about.

Time and ids are given, so that two walks differ only by what the database answers.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest import mock

import msgspec

from support.records import plain
from threadkeep.conversations.store import Store
from threadkeep.errors import ThreadkeepError
from threadkeep.storage.sql.agents import SqlStateStore, base, blobs, journals, tasks
from threadkeep.storage.sql.conversations import SqlStore

Step = Callable[[Any], Awaitable[Any]]

SPACE = "space"
requests = count()

LARGE = "large " * 160
"""What is kept in pieces while these are small."""
_SMALLER = 1_000
_SIZES = {
    base: ("PIECE_BYTES_MAX",),
    blobs: ("_PIECE_BYTES", "_SWEPT_BYTES_MAX"),
    journals: ("WHOLE_BYTES_MAX", "PAGE_BYTES_MAX", "_SWEPT_BYTES_MAX"),
    tasks: ("WHOLE_BYTES_MAX", "_WHOLE_SETTLEMENT_BYTES_MAX", "PAGE_BYTES_MAX", "_SWEPT_BYTES_MAX"),
}


@contextmanager
def small_pieces() -> Iterator[None]:
    """While this lasts, pieces, pages and what is swept of agents' state are a thousandth of what they are."""
    with ExitStack() as patches:
        for module, names in _SIZES.items():
            sizes = {name: getattr(module, name) // _SMALLER for name in names}
            patches.enter_context(mock.patch.multiple(module, **sizes))
        yield


def state(act: Callable[[SqlStateStore], Awaitable[Any]]) -> Step:
    """Do something with the state of agents."""

    async def step(store: SqlStore) -> Any:
        return await act(store.state)

    return step


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def after_all(*steps: Step) -> Step:
    """Several steps as one."""
    return lambda store: take(store, list(steps))


def not_too_many(pages: list[Any]) -> None:
    """A statement that is broken may go round in a circle."""
    if len(pages) > 30:
        raise LookupError("There is no end of pages.")


async def walk(store: Store, steps: list[Step]) -> list[Any]:
    """Take the steps with small pieces, and answer what came of each."""
    with small_pieces():
        return await take(store, steps)


async def take(store: Store, steps: list[Step]) -> list[Any]:
    """Take the steps, and answer what came of each."""
    answers: list[Any] = []
    for step in steps:
        try:
            answers.append(plain(await step(store)))
        except ThreadkeepError as error:
            answers.append([error.code, error.message, plain(error.details)])
    return answers
