"""Steps that purge, erase and sweep, also late, or what they should not."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import msgspec

from owner_proof.walk.steps import Step, not_too_many, take
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor, Row, Statement


def erase() -> Step:
    return lambda store: store.erase()


def purge(ago: int = 1) -> Step:
    """Purge what was deleted so many ticks of the clock ago, or before: by default everything, up to the last step."""
    return lambda store: store.purge(store._clock() - ago)


def purge_again(store: SqlStore) -> Awaitable[Any]:
    """Purge when nothing is due."""
    return store.purge(1)


def sweep(parts: int | None = None, **limits: int) -> Step:
    """Sweep so many parts, or until nothing of the user is left; and merge the index, whose parts are nobody's."""

    async def step(store: SqlStore) -> Any:
        with swept_at_once(**limits):
            answers = [await store.sweep()]
            while answers[-1] and len(answers) != parts:
                answers.append(await store.sweep())
                not_too_many(answers)
        merged = [await store.tidy()]
        while merged[-1]:
            merged.append(await store.tidy())
            not_too_many(merged)
        return answers

    return step


def swept_at_once(conversations: int = 100, messages: int = 500, size: int = 8_000_000) -> Any:
    """While this lasts, so many conversations, messages and bytes make a part."""
    return mock.patch.multiple(
        sql_store,
        _SWEPT_CONVERSATIONS_MAX=conversations,
        _SWEPT_MESSAGES_MAX=messages,
        _SWEPT_BYTES_MAX=size,
    )


class Late:
    """An executor that does something else before it runs the first batch that writes."""

    bookmark: str | None = None

    def __init__(self, executor: Executor, before: Callable[[], Awaitable[Any]]) -> None:
        self.statements = executor.statements
        self._executor = executor
        self._before: Callable[[], Awaitable[Any]] | None = before

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if self._before and any(statement.query.writes for statement in batch):
            before, self._before = self._before, None
            await before()
        return await self._executor.run(*batch)


def sweep_late(*steps: Step) -> Step:
    """Sweep one part, and take these steps when it is chosen and not yet swept."""

    async def step(store: SqlStore) -> Any:
        answers: list[Any] = []

        async def before() -> None:
            answers.append(await take(store, list(steps)))

        late = copy.copy(store)
        late._executor = Late(store._executor, before)
        return [await late._sweep_marked(), answers]

    return step


class Choosing:
    """An executor that chooses every place there is to be swept, whoever's it is, and whatever stands there."""

    bookmark: str | None = None

    def __init__(self, executor: Executor) -> None:
        self.statements = executor.statements
        self._executor = executor

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if batch[0].query is not self.statements.sweepable:
            return await self._executor.run(*batch)
        places = list(range(1, 1000))
        return [[{"answer": msgspec.json.encode({"conversations": places, "messages": places}).decode()}]]


async def sweep_anything(store: SqlStore) -> Any:
    """Sweep what is chosen from all there is, as if the `n` of what was to be swept were given to anything else."""
    choosing = copy.copy(store)
    choosing._executor = Choosing(store._executor)
    return await choosing._sweep_marked()
