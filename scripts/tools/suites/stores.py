"""Starts a store of this machine's own for the suites, on a free loopback port."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local.lifecycle import LocalService
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker
from tools.suites.suite import FILE, Target

_OF_WORKERS = ("d1", "durable-object")


@contextmanager
def running(store: str, folder: Path) -> Iterator[Target]:
    """A store with nothing in it, for as long as the suites take. Its data is in the folder, and goes with it."""
    results = folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    if store == FILE:
        yield Target(store, results)
        return
    key = f"tk_{secrets.token_hex(16)}"
    kind: type[LocalService] = LocalWorker if store in _OF_WORKERS else LocalServer
    with kind(folder / "state", port=None, store=store, variables=None, service_key=key, fresh=True) as service:
        yield Target(store, results, service.url, key)
