"""Work: what is small is done at once, and of what is large nobody waits for the rest."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable

import pytest

from threadkeep import work
from threadkeep.work import SMALL, Work, done, finished

pytestmark = pytest.mark.anyio


def pieces(sizes: list[int], handle: Callable[[], None] = lambda: None) -> Work[list[str]]:
    """Work in pieces of these sizes, which tells in which thread each was done."""
    threads: list[str] = []
    for size in sizes:
        yield size
        handle()
        threads.append(threading.current_thread().name)
    return threads


HERE = threading.current_thread().name


async def test_what_is_small_is_done_at_once() -> None:
    seen: list[str] = []
    asyncio.get_running_loop().call_soon(seen.append, "somebody else")
    assert await done(pieces([SMALL // 2, SMALL // 2])) == [HERE, HERE]
    assert seen == []


async def test_what_is_left_of_what_is_large_is_done_in_a_thread() -> None:
    first, *others = await done(pieces([SMALL, 1, 1]))
    assert first == HERE
    assert [other.startswith("threadkeep-work") for other in others] == [True, True]


async def test_nobody_waits_for_what_is_large() -> None:
    answered = threading.Event()
    large = asyncio.create_task(done(pieces([SMALL + 1], lambda: _wait(answered))))
    await asyncio.sleep(0)
    answered.set()  # which only somebody can do who has their turn
    assert len(await large) == 1


async def test_only_so_much_is_done_beside_the_event_loop_at_once() -> None:
    running: list[int] = []
    most: list[int] = []

    def handle() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.005)
        running.pop()

    await asyncio.gather(*(done(pieces([SMALL + 1], handle)) for _ in range(8)))
    assert len(most) == 8
    assert max(most) <= 2


async def test_where_there_are_no_threads_others_have_their_turn_between_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "_HAS_THREADS", False)
    turns: list[str] = []

    async def others() -> None:
        while True:
            turns.append("others")
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    assert await done(pieces([SMALL, SMALL, 1, SMALL], lambda: turns.append("piece"))) == [HERE] * 4
    other.cancel()
    parts = "".join("." if turn == "piece" else " " for turn in turns).split()
    assert parts == [".", "..", "."]


@pytest.mark.parametrize("size", [1, SMALL + 1])
async def test_what_work_raises_is_raised(size: int) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await done(pieces([size], fail))


def test_work_can_be_done_without_a_break() -> None:
    assert finished(pieces([SMALL, SMALL])) == [HERE, HERE]


def _wait(event: threading.Event) -> None:
    assert event.wait(30)


async def test_nobody_looks_for_garbage_while_a_large_piece_is_done() -> None:
    seen: list[bool] = []
    await done(pieces([1, SMALL], lambda: seen.append(gc.isenabled())))
    assert seen == [True, False]
    assert gc.isenabled()


async def test_where_nobody_looks_for_garbage_nobody_begins_to() -> None:
    gc.disable()
    try:
        finished(pieces([1]))
        assert not gc.isenabled()
    finally:
        gc.enable()
