"""Work that takes long: done in pieces, so that nobody waits for another's.

Work is a generator. Before each piece it yields about how many bytes or characters that has, and in the end it returns
what it has made. What is small is done at once. The rest of what is large is done in a thread beside the event loop;
where there are no threads, as in a Worker, others have their turn between its pieces.
"""

import gc
import sys
from collections.abc import Generator
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")
Work = Generator[int, None, T]

SMALL = 65_536
"""How much is done at once: some tens of milliseconds at the worst."""

_THREADS = 2  # Python runs one at a time: more of them would only leave less of it to the event loop
_HAS_THREADS = sys.platform != "emscripten"
_BREAK_SECONDS = 0.003  # a real timer: Pyodide runs what is due sooner before anybody else has their turn


async def done(work: Work[T]) -> T:
    """Do work, and return what it returns. Raises what it raises."""
    size = 0
    try:
        while True:
            size += next(work)
            if size > SMALL:
                if _HAS_THREADS:
                    return await _done_beside(work)
                await give_way()
                size = _next(work)
    except StopIteration as end:
        value: T = end.value
        return value


def finished(work: Work[T]) -> T:
    """Do work without a break, in the thread that calls, and return what it returns. Raises what it raises."""
    try:
        while True:
            _next(work)
    except StopIteration as end:
        value: T = end.value
        return value


async def give_way(seconds: float = 0) -> None:
    """Let others have their turn, for so long at the least."""
    import asyncio

    await asyncio.sleep(max(seconds, 0 if _HAS_THREADS else _BREAK_SECONDS))


async def _done_beside(work: Work[T]) -> T:
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(_threads(), finished, work)


def _next(work: Work[T]) -> int:
    """Do a piece, which may make a million objects. To look for garbage among them would keep everybody waiting."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        return next(work)
    finally:
        if is_enabled:
            gc.enable()


@cache
def _threads() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_THREADS, thread_name_prefix="threadkeep-work")
