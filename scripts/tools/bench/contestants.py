"""Runs the Workers that are measured: all by `LocalWorker`, behind the same proxy and with their data on the disk."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.bench.http_client import SERVICE_KEY
from tools.bench.seeds import Shape, place
from tools.checkout import ROOT, Problem
from tools.local import configuration, runtime
from tools.local.install import Node, install_bench
from tools.local.worker import LocalWorker

BENCH = ROOT / "bench"
THREADKEEP, JAVASCRIPT, FLOOR = "threadkeep", "hono", "floor"


class JavaScriptWorker(LocalWorker):
    """A Worker in JavaScript, with the bindings of Threadkeep's, bundled by wrangler as for a deploy."""

    def __init__(self, main_module: Path, state: Path, *, store: str, port: int | None = None) -> None:
        super().__init__(state, store=store, port=port, service_key=SERVICE_KEY)
        self._main_module = main_module

    def _configure(self, node: Node) -> dict[str, Any]:
        install_bench(node)
        project = configuration.read_configuration(self.project)
        project = {name: value for name, value in project.items() if name not in ("triggers", "assets")}
        if self.is_on_d1:
            project = {name: value for name, value in project.items() if name not in ("durable_objects", "migrations")}
        local = configuration.local_configuration(
            project, self.project, self._main_module, self.store, self._variables, needs_d1=self.is_on_d1
        )
        return {**local, "compatibility_flags": ["nodejs_compat"]}

    def _prepare_workerd(self, local: Mapping[str, Any]) -> None:
        self.state.workerd.unlink(missing_ok=True)
        self.state.workerd.symlink_to(runtime.workerd())


def hono(state: Path, store: str, port: int | None = None) -> LocalWorker:
    """The Worker that a good JavaScript developer would write."""
    return JavaScriptWorker(BENCH / "hono-d1" / "src" / f"{store}.js", state, store=store, port=port)


def threadkeep(state: Path, store: str, port: int | None = None) -> LocalWorker:
    """Threadkeep, as it is deployed."""
    return LocalWorker(state, store=store, port=port, service_key=SERVICE_KEY)


def floor(state: Path, store: str, port: int | None = None) -> LocalWorker:
    """No service: it runs the statements that it is sent."""
    return JavaScriptWorker(BENCH / "floor" / f"{store}.js", state, store=store, port=port)


MAKERS = {THREADKEEP: threadkeep, JAVASCRIPT: hono, FLOOR: floor}


class Contestant:
    """One Worker over data of one shape."""

    def __init__(self, name: str, store: str, shape: Shape, folder: Path, port: int | None = None) -> None:
        self.name = name
        self.store = store
        self.shape = shape
        state = folder / f"{name}-{store}-{shape.messages}"
        shutil.rmtree(state, ignore_errors=True)
        self.worker = MAKERS[name](state, store, port)

    def __str__(self) -> str:
        return f"{self.name} on {self.store}"

    def __enter__(self) -> "Contestant":
        try:
            self.worker.state.claim()  # the mark goes before the data
            self.worker.state.release()
            place(self.shape, self.store, self.worker.state.folder, lambda state: hono(state, self.store))
            self.worker.start()
        except Problem as problem:
            raise Problem(f"{self} does not start: {problem}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        shutil.rmtree(self.worker.state.folder, ignore_errors=True)
