"""Callbacks that share a turn of an event loop: the same ones, in the same order."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from threadkeep.worker.event_loop import share_turns


class Turns:
    """What is asked of the event loop that lies below, counted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = 0
        self._ask = loop.call_soon

    def ask(self, run: Callable[[], None]) -> None:
        self.count += 1
        self._ask(run)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def turns(loop: asyncio.AbstractEventLoop) -> Turns:
    turns = Turns(loop)
    loop.call_soon(share_turns, turns.ask)
    run_what_is_due(loop)
    return turns


def run_what_is_due(loop: asyncio.AbstractEventLoop) -> None:
    """Turn the loop once."""
    loop.stop()
    loop.run_forever()


@contextmanager
def outside_of_loops() -> Iterator[None]:
    """Where a turn is called by somebody who knows no loops, as JavaScript."""
    hooks = sys.get_asyncgen_hooks()
    try:
        yield
    finally:
        asyncio._set_running_loop(None)
        sys.set_asyncgen_hooks(*hooks)


def test_what_is_due_runs_in_one_turn_in_its_order_with_what_it_makes_due(
    loop: asyncio.AbstractEventLoop, turns: Turns
) -> None:
    seen: list[Any] = []
    loop.call_soon(lambda: (seen.append(1), loop.call_soon(seen.append, 3)))
    loop.call_soon(seen.append, 2)
    assert seen == []
    run_what_is_due(loop)
    assert seen == [1, 2, 3]
    assert turns.count == 1
    loop.call_soon(seen.append, 4)
    run_what_is_due(loop)
    assert turns.count == 2
    assert seen == [1, 2, 3, 4]


@pytest.mark.usefixtures("turns")
def test_what_was_cancelled_does_not_run(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[Any] = []
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    early = loop.call_soon(seen.append, 1)
    early.cancel()
    loop.call_soon(lambda: late[0].cancel())  # noqa: PLW0108 there is none yet
    late = [loop.call_soon(seen.append, 2)]
    runs = loop.call_soon(seen.append, 3)
    run_what_is_due(loop)
    assert seen == [3]
    assert [handle.cancelled() for handle in (early, late[0], runs)] == [True, True, False]


@pytest.mark.usefixtures("turns")
def test_a_callback_that_fails_is_told_to_the_loop_and_keeps_nobody_from_their_turn(
    loop: asyncio.AbstractEventLoop,
) -> None:
    seen: list[Any] = []
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(seen.append, "next")
    run_what_is_due(loop)
    assert seen == ["ZeroDivisionError('division by zero')", "next"]


@pytest.mark.usefixtures("turns")
def test_what_a_callback_leaves_that_ends_the_turn_has_another(loop: asyncio.AbstractEventLoop) -> None:
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


def test_a_turn_that_never_comes_is_asked_for_again(loop: asyncio.AbstractEventLoop) -> None:
    asked: list[Callable[[], None]] = []
    seen: list[int] = []
    loop.call_soon(share_turns, asked.append)
    run_what_is_due(loop)
    for number in range(3):
        loop.call_soon(seen.append, number)
    lost, again = asked
    with outside_of_loops():
        again()
        lost()  # which comes after all
    assert seen == [0, 1, 2]


@pytest.mark.usefixtures("turns")
def test_each_callback_runs_in_its_own_context(loop: asyncio.AbstractEventLoop) -> None:
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


def test_a_task_that_waits_takes_a_turn_to_begin_and_one_for_each_wait(
    loop: asyncio.AbstractEventLoop, turns: Turns
) -> None:
    async def work() -> None:
        for _ in range(3):
            future = loop.create_future()
            future.add_done_callback(lambda _: None)
            loop.call_later(0.001, future.set_result, None)
            await future

    loop.run_until_complete(work())
    assert turns.count == 1 + 3


def test_in_a_turn_the_loop_is_known_and_so_are_its_hooks(loop: asyncio.AbstractEventLoop) -> None:
    asked: list[Callable[[], None]] = []
    seen: list[Any] = []

    def look() -> None:
        seen.append((asyncio.get_running_loop(), sys.get_asyncgen_hooks()))

    loop.call_soon(share_turns, asked.append)
    loop.call_soon(look)
    run_what_is_due(loop)
    loop.call_soon(look)
    with outside_of_loops():
        asked[0]()
    assert seen == [seen[0], seen[0]]
    assert seen[0][0] is loop
    assert seen[0][1].finalizer is not None
