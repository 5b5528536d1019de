"""The Worker with one patch of the SDK or the runtime taken away: the one that a request names in `X-Without`.

For each there is a copy of the entry, imported and asked for the first time as if the name were gone or the hook were
not called.
"""

import asyncio
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import pyodide.code
import workers
from pyodide.code import relaxed_call
from workers import DurableObject, WorkerEntrypoint


@contextmanager
def _removed(owner: Any, name: str) -> Iterator[None]:
    held = getattr(owner, name)
    delattr(owner, name)
    try:
        yield
    finally:
        setattr(owner, name, held)


@contextmanager
def _loop_that_is_closed_to_us() -> Iterator[None]:
    class Loop:
        __slots__ = ()

    get, asyncio.get_running_loop = asyncio.get_running_loop, Loop
    try:
        yield
    finally:
        asyncio.get_running_loop = get


@contextmanager
def _signatures_that_are_found() -> Iterator[None]:
    def signature(_: Any) -> inspect.Signature:
        return inspect.Signature([inspect.Parameter("request", inspect.Parameter.POSITIONAL_ONLY)])

    pyodide.code._relaxed_call_sig_cached.cache_clear()
    found, pyodide.code.signature = pyodide.code.signature, signature
    try:
        yield
    finally:
        pyodide.code.signature = found


def _nothing() -> ExitStack:
    return ExitStack()


# What is taken away while the Worker is imported, and what while it is asked for the first time.
_REMOVED = {
    "nothing": (_nothing, _nothing),
    "python_from_rpc": (lambda: _removed(workers, "python_from_rpc"), _nothing),
    "python_to_rpc": (lambda: _removed(workers, "python_to_rpc"), _nothing),
    "conversions that were taken before": (_nothing, _nothing),
    "_set_running_loop": (_nothing, lambda: _removed(asyncio, "_set_running_loop")),
    "call_soon": (_nothing, _loop_that_is_closed_to_us),
    "__signature__": (_nothing, _signatures_that_are_found),
}


def _imported(name: str) -> ModuleType:
    for module in [name for name in sys.modules if name == "entry" or name.startswith("threadkeep.worker")]:
        del sys.modules[module]
    with _REMOVED[name][0]():
        return importlib.import_module("entry")


_from_rpc, _to_rpc = workers.python_from_rpc, workers.python_to_rpc
_entries = {name: _imported(name) for name in _REMOVED}


async def _asked(name: str, target: Any, request: Any, env: Any, ctx: Any) -> Any:
    """The answer of an entrypoint or an object, called as the runtime calls it."""
    converts = name in ("python_from_rpc", "conversions that were taken before")
    asyncio.get_running_loop().__dict__.pop("call_soon", None)  # of the copy before
    with _REMOVED[name][1]():
        _entries[name].sdk_patches.share_turns_once()
        answer = relaxed_call(target.fetch, _from_rpc(request) if converts else request, env, ctx)
    return _to_rpc(await answer)


class Default(WorkerEntrypoint):
    """Asks the copy that a request names."""

    def __new__(cls, ctx: Any, env: Any) -> "Default":
        self: Default = super().__new__(cls)
        self._made_of = ctx, env
        return self

    async def fetch(self, request: Any) -> Any:
        request = getattr(request, "js_object", request)
        name = request.headers.get("x-without")
        name = name if isinstance(name, str) else "nothing"
        return await _asked(name, _entries[name].Default(*self._made_of), request, *self._made_of)


class UserConversations(DurableObject):
    """Asks the copy's object that a request names."""

    def __new__(cls, ctx: Any, env: Any) -> "UserConversations":
        self: UserConversations = super().__new__(cls)
        self._made_of = ctx, env
        return self

    async def fetch(self, request: Any) -> Any:
        request = getattr(request, "js_object", request)
        name = request.headers.get("x-without")
        return await _asked(name, _entries[name].UserConversations(*self._made_of), request, *self._made_of)
