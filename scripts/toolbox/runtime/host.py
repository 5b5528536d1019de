"""The Python half of worker.mjs: imports the entry module, and calls it as the Workers runtime does."""

import functools
import importlib
import os
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import isawaitable
from types import ModuleType
from typing import Any

import workers
from pyodide.code import relaxed_call


@dataclass
class _Worker:
    """The Worker that runs in this interpreter."""

    entry: ModuleType = field(default_factory=lambda: ModuleType("entry"))
    importing: bool = False
    seeded: bool = False


_worker = _Worker()


def import_entry(name: str) -> str | None:
    """Imports the Worker, and returns the traceback when that fails.

    What draws entropy meanwhile fails, since it would at a deploy, which keeps a snapshot of what was imported.
    """
    for module, names in ((os, ["urandom"]), (random, ["_urandom", *random.__all__])):
        for function in names:
            if not isinstance(getattr(module, function), type):
                setattr(module, function, _refused_at_import(getattr(module, function)))
    _worker.importing = True
    try:
        _worker.entry = importlib.import_module(name)
    except Exception as error:
        return _traceback_from_source(error)
    _worker.importing = False
    return None


def _traceback_from_source(error: Exception) -> str:
    """Without the frames of the import machinery above the Worker's own."""
    frame = error.__traceback__
    while frame and not frame.tb_frame.f_code.co_filename.startswith("/session/src/"):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _refused_at_import(draw: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(draw)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _worker.importing:
            raise RuntimeError(
                f"{draw.__name__}() draws entropy while the Worker is imported, and a deploy refuses that: "
                "call it in a request"
            )
        return draw(*args, **kwargs)

    return guarded


def create(name: str, ctx: Any, env: Any) -> Any:
    """Makes an entrypoint, as for every request, or a Durable Object."""
    return getattr(_worker.entry, name)(ctx, env)


async def fetch(target: Any, request: Any) -> Any:
    """Lets an entrypoint or a Durable Object answer one request.

    By the same steps as the runtime that Cloudflare deploys (`wrapper_func` of its introspection.py, which is part of
    workerd), since they cost something: what crosses is converted both ways, by what the SDK has for that once the
    Worker was imported, and the signature is looked at.
    """
    if not _worker.seeded:  # the interpreter's own seed is a constant
        random.seed()
        _worker.seeded = True
    response = relaxed_call(target.fetch, workers.python_from_rpc(request))
    return workers.python_to_rpc(await response if isawaitable(response) else response)


async def scheduled(target: Any, controller: Any) -> None:
    """Runs the Worker's cron handler."""
    await target.scheduled(controller, target.env, target.ctx)


async def alarm(target: Any, info: Any) -> None:
    """Runs a Durable Object's alarm."""
    await relaxed_call(target.alarm, info)
