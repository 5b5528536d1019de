"""Turns of JavaScript's event loop, each of which Python is entered for: as few as there are waits.

Pyodide's event loop asks JavaScript for a turn for every single callback. Each takes a proxy, a stack, and a state of
its own in the interpreter, and all of that longer than most callbacks. When a promise is fulfilled that somebody awaits
two are due, and two more when the task of a request has ended.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any


def share_turns(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is due in the turn that the first of it was given, in its order. Once for a loop.

    What a callback makes due has its turn with it, too. So nothing may wait by `asyncio.sleep(0)` for something that
    JavaScript does; but neither could it in Cloudflare's runtime, where such turns are microtasks. As they are, nothing
    else can come between, and all that is due in a turn belongs to one request.
    """
    ask_for_turn = loop.call_soon
    due: deque[asyncio.Handle] = deque()
    is_asked = False

    def call_soon(callback: Callable[..., Any], *arguments: Any, context: Context | None = None) -> asyncio.Handle:
        nonlocal is_asked
        handle = asyncio.Handle(callback, arguments, loop, context)
        due.append(handle)
        if not is_asked:
            is_asked = True
            ask_for_turn(run)
        return handle

    def run() -> None:
        nonlocal is_asked
        try:
            while due:
                handle = due.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 as every event loop does
        finally:
            is_asked = bool(due)
            if is_asked:  # a callback has ended the turn by SystemExit or the like
                ask_for_turn(run)

    loop.call_soon = call_soon  # type: ignore[method-assign, assignment]
