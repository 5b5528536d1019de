"""What spares the runtime and its SDK work that nobody here has a use for.

Nobody has promised what is patched here. So each of these may find its name gone, or its hook not called: then requests
take longer, and are answered all the same. Tests take each away in turn, and others count what each of them spares.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import js
import workers
from pyodide.ffi import create_proxy

from threadkeep.worker.event_loop import share_turns


def leave_what_is_javascripts() -> None:
    """Keep the runtime from converting JavaScript's own objects. We take its requests, and answer its responses.

    To convert a request, the SDK looks eleven times at its constructor, to compare names, and each look makes a proxy.
    That was two thirds of all proxies that a request took. The runtime has these functions from the SDK once it has
    imported the Worker. Source: `initPython` of workerd.
    """
    for name in ("python_from_rpc", "python_to_rpc"):
        convert = getattr(workers, name, None)
        if convert is not None:
            setattr(workers, name, _only_pythons_own(convert))


def _only_pythons_own(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: value if hasattr(value, "js_id") else convert(value)  # as `isinstance` would say, but slowly


class CalledAsItIs:
    """A `fetch` whose signature the runtime looks for once, and not for every request.

    It would look at the signature to leave out what the method does not take, and remember it by the method, which is
    another one for each request: as many calls of Python functions as we take to answer. All of these are equal, and
    have no signature. So they are called with all that the runtime has: `request`, `env` and `ctx`.
    """

    __slots__ = ("_method",)
    __signature__ = ()  # is none, and so refused by `inspect`

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self._method = method

    def __call__(self, request: Any, *_: Any) -> Any:
        return self._method(request)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalledAsItIs)

    def __hash__(self) -> int:
        return 0


@cache  # in a request, since an isolate's loop may be another than that of its snapshot
def share_turns_once() -> None:
    """Have the event loop of Pyodide ask JavaScript for fewer turns."""
    with suppress(AttributeError):
        queue, kept = js.queueMicrotask, cache(create_proxy)
        share_turns(lambda run: queue(kept(run)))
