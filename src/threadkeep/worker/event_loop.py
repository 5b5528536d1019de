"""Turns of JavaScript's event loop in which Python is entered: as few as there are waits, and each as light as can be.

Pyodide's event loop asks JavaScript for a turn for every single callback: two when a promise is fulfilled that somebody
awaits, and two more when the task of a request has ended. And each is made ready to be suspended in the middle, with a
new proxy, a stack, and a state of its own in the interpreter, which takes longer than most callbacks.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from msgspec import Struct

_DUE_MAX = 2  # as many as one wait makes due, or the end of one request


class _Due(Struct):
    """A callback that is due, made without a call of any function of Python's, as `asyncio.Handle` takes five."""

    callback: Callable[..., Any]
    arguments: tuple[Any, ...]
    context: Context
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


def share_turns(ask_for_turn: Callable[[Callable[[], None]], Any]) -> None:
    """Have the running event loop run what is due in the turn that the first of it was given, in its order.

    `ask_for_turn` has JavaScript call a function, always the same, as soon as it has ended what it does.

    What a callback makes due has its turn with it, too. So nothing may wait by `asyncio.sleep(0)` for something that
    JavaScript does. The turns are microtasks, so that nothing else can come between, and all that is due in a turn
    belongs to one request. Nor can anything wait by `run_sync`. Raises AttributeError where the loop is another than is
    known here, and leaves it as it is.
    """
    loop = asyncio.get_running_loop()
    set_running_loop = asyncio._set_running_loop  # noqa: SLF001 as every event loop does
    hooks = sys.get_asyncgen_hooks()  # the loop's own
    due: deque[_Due] = deque()
    is_asked = False

    def call_soon(callback: Callable[..., Any], *arguments: Any, context: Context | None = None) -> _Due:
        nonlocal is_asked
        handle = _Due(callback, arguments, copy_context() if context is None else context)
        due.append(handle)
        # Where so much waits, the turn may have been lost: the platform ends by force what computes for too long.
        if not is_asked or len(due) > _DUE_MAX:
            ask_for_turn(run)
            is_asked = True
        return handle

    def run() -> None:
        nonlocal is_asked
        # The state of the interpreter may be another one in each turn, and knows of no loop.
        set_running_loop(loop)
        sys.set_asyncgen_hooks(*hooks)
        try:
            while due:
                handle = due.popleft()
                if handle.is_cancelled:
                    continue
                try:
                    handle.context.run(handle.callback, *handle.arguments)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    message = f"a callback failed: {handle.callback!r}"
                    loop.call_exception_handler({"message": message, "exception": error})
        finally:
            is_asked = False
            if due:  # a callback has ended the turn by SystemExit or the like
                ask_for_turn(run)
                is_asked = True

    loop.call_soon = call_soon  # type: ignore[method-assign, assignment]
