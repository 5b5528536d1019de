"""Callbacks that share a turn of an event loop: the same ones, in the same order."""

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from threadkeep.turns import share_turns


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts what is asked of it."""

    turns = 0

    def call_soon(self, *arguments: Any, **options: Any) -> asyncio.Handle:
        self.turns += 1
        return super().call_soon(*arguments, **options)


@pytest.fixture
def loop() -> Iterator[CountingLoop]:
    loop = CountingLoop()
    share_turns(loop)
    yield loop
    loop.close()


def run_what_is_due(loop: CountingLoop) -> int:
    """Turn the loop once, and answer how many turns it was asked for so far."""
    loop.stop()
    loop.run_forever()
    return loop.turns


def test_what_is_due_runs_in_one_turn_in_its_order_with_what_it_makes_due(loop: CountingLoop) -> None:
    seen: list[Any] = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(lambda: (seen.append(2), loop.call_soon(seen.append, 4)))
    loop.call_soon(seen.append, 3)
    assert seen == []
    turns = run_what_is_due(loop)
    assert seen == [1, 2, 3, 4]
    assert turns == 1
    loop.call_soon(seen.append, 5)
    assert run_what_is_due(loop) == 2
    assert seen == [1, 2, 3, 4, 5]


def test_what_was_cancelled_does_not_run(loop: CountingLoop) -> None:
    seen: list[int] = []
    loop.call_soon(seen.append, 1).cancel()
    loop.call_soon(lambda: late[0].cancel())  # noqa: PLW0108 there is none yet
    late = [loop.call_soon(seen.append, 2)]
    loop.call_soon(seen.append, 3)
    run_what_is_due(loop)
    assert seen == [3]


def test_a_callback_that_fails_is_told_to_the_loop_and_keeps_nobody_from_their_turn(loop: CountingLoop) -> None:
    seen: list[Any] = []
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(seen.append, "next")
    run_what_is_due(loop)
    assert seen == ["ZeroDivisionError('division by zero')", "next"]


def test_what_a_callback_leaves_that_ends_the_turn_has_another(loop: CountingLoop) -> None:
    def leave() -> None:
        raise SystemExit

    seen: list[str] = []
    loop.call_soon(leave)
    loop.call_soon(seen.append, "next")
    with pytest.raises(SystemExit):
        run_what_is_due(loop)
    assert seen == []
    run_what_is_due(loop)
    assert seen == ["next"]


def test_each_callback_runs_in_its_own_context(loop: CountingLoop) -> None:
    name: ContextVar[str] = ContextVar("name")
    seen: list[str] = []

    async def tell() -> None:
        mine = asyncio.current_task()
        assert mine is not None
        name.set(mine.get_name())
        await asyncio.sleep(0)
        seen.append(name.get())

    tasks = [loop.create_task(tell(), name=each) for each in ("ada", "bea")]
    loop.run_until_complete(asyncio.gather(*tasks))
    assert seen == ["ada", "bea"]


def test_a_task_that_waits_takes_a_turn_to_begin_and_one_for_each_wait(loop: CountingLoop) -> None:
    async def work() -> None:
        for _ in range(3):
            future = loop.create_future()
            future.add_done_callback(lambda _: None)
            loop.call_later(0.001, future.set_result, None)
            await future

    loop.run_until_complete(work())
    assert loop.turns == 1 + 3
