"""Runs the benchmark: what is measured, in which order, and what becomes of the figures."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.bench.agents import agents
from tools.bench.agents_contestants import OPERATIONS as AGENTS_OPERATIONS
from tools.bench.agents_report import agents_section, agents_table, with_section
from tools.bench.chart import chart
from tools.bench.growth import growth
from tools.bench.live import OPERATIONS as LIVE_OPERATIONS
from tools.bench.live import live
from tools.bench.live_report import live_section, live_table
from tools.bench.load import Load
from tools.bench.machine import machine, versions
from tools.bench.matrix import matrix
from tools.bench.memory import memory, memory_of_export
from tools.bench.native import OPERATIONS as NATIVE_OPERATIONS
from tools.bench.native import native
from tools.bench.operations import OPERATIONS, Operation
from tools.bench.progress import Progress
from tools.bench.proxy import proxy
from tools.bench.report import chart_name, report
from tools.bench.rounds import ROUNDS_MIN, Effort, Lab
from tools.bench.seeds import Shape
from tools.bench.startup import first_requests, imports, start_ups
from tools.bench.state_growth import OPERATIONS as STATE_OPERATIONS
from tools.bench.state_growth import state_growth
from tools.bench.state_memory import memory_of_session
from tools.bench.tables import first_table, growth_table, native_table, proxy_line, ratio_table, state_table
from tools.checkout import ROOT, Problem, write_atomically
from tools.exit_codes import Code
from tools.local.install import Node
from tools.local.ports import checked_port

WORKER_STORES = ("d1", "durable-object")
_PARTS = (
    *("ratios", "latencies", "growth", "sizes", "native", "native_ratios"),
    *("proxy", "startup", "first", "imports", "memory", "exports"),
    *("state", "sessions", "agents", "agents_ratios", "live"),
)
_DOCUMENT = ROOT / "docs/benchmarks.md"
_PORTS = 2
_MAIN = Shape(10_000)
_SMALL = Shape(200, others=2)
_QUICK_SCALE, _SMOKE_SCALE = 0.5, 0.04


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    command: str
    quick: bool = False
    smoke: bool = False
    store: str | None = None
    only: str | None = None
    rounds: int = ROUNDS_MIN
    file: Path | None = None
    port: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether everything is measured, so that the documents are written."""
        return not (self.quick or self.smoke or self.store or self.only)

    @property
    def has_all_of_agents(self) -> bool:
        """Whether all that there is about agents is measured, and that alone, so that its section is written."""
        return (
            bool(self.only)
            and self.agents() == AGENTS_OPERATIONS
            and not (self.operations() or self.quick or self.smoke)
        )

    @property
    def has_all_of_live(self) -> bool:
        """Whether all that there is about live changes is measured, and that alone, so that its section is written."""
        return (
            bool(self.only) and self.live() == LIVE_OPERATIONS and not (self.operations() or self.quick or self.smoke)
        )

    def agents(self) -> tuple[str, ...]:
        """The operations of agent frameworks' stores that were asked for."""
        return self._beside_the_stores(AGENTS_OPERATIONS)

    def live(self) -> tuple[str, ...]:
        """What was asked for about live changes."""
        return self._beside_the_stores(LIVE_OPERATIONS)

    def _beside_the_stores(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if self.store or not (self.only or self.is_full):
            return ()
        return tuple(name for name in names if name.startswith(self.only or ""))

    def operations(self) -> list[Operation]:
        """Those that were asked for. Raises a Problem where there is none."""
        chosen = [operation for operation in OPERATIONS if operation.name.startswith(self.only or "")]
        offered = (
            [*NATIVE_OPERATIONS, *STATE_OPERATIONS]
            if self.store == "sqlite"
            else [
                *(operation.name for operation in OPERATIONS),
                *(() if self.store else (*AGENTS_OPERATIONS, *LIVE_OPERATIONS)),
            ]
        )
        if not any(name.startswith(self.only or "") for name in offered):
            names = ", ".join(offered)
            raise Problem(f"--only {self.only}: there is no such operation. There are {names}", Code.WRONG_VALUE)
        return [operation for operation in chosen if operation.is_main or self.only or not (self.quick or self.smoke)]

    def stores(self) -> list[str]:
        """The stores of the Workers that were asked for."""
        return [store for store in WORKER_STORES if self.store in (None, store)]

    def effort(self) -> Effort:
        """How much is measured."""
        return Effort(self.rounds, _SMOKE_SCALE if self.smoke else _QUICK_SCALE if self.quick else 1.0)

    def shape(self) -> Shape:
        """The data."""
        return _SMALL if self.smoke else _MAIN


def run(node: Node, options: Options, folder: Path) -> int:
    """Measures, prints tables, and writes what was asked for when everything is there."""
    options.operations()
    for number in range(_PORTS if options.port else 0):
        checked_port((options.port or 0) + number)
    if options.file is not None:
        _check_writable(options.file)
    figures: dict[str, Any] = {
        "command": options.command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(node),
        "messages": options.shape().messages,
        "rounds": options.rounds,
        **{name: [] for name in _PARTS},
    }
    progress = Progress()
    with _alone(folder / ("smoke" if options.smoke else "run")) as scratch, Load(node) as load:
        _measure(Lab(load, options.effort(), progress, scratch), node, options, figures)
        progress.finish()
    for part, text in (
        ("ratios", ratio_table),
        ("growth", growth_table),
        ("native", native_table),
        ("state", state_table),
        ("agents", agents_table),
        ("live", live_table),
        ("first", first_table),
        ("proxy", proxy_line),
    ):
        if figures[part]:
            print(text(figures), end="\n\n")
    if options.is_full:
        for store in options.stores():
            rows = [row for row in figures["sizes"] if row["store"] == store]
            write_figures(ROOT / "docs" / chart_name(store), chart(store, rows))
        write_figures(_DOCUMENT, report(figures))
    elif options.has_all_of_agents:
        write_figures(_DOCUMENT, with_section(_DOCUMENT.read_text(), agents_section(figures)))
    elif options.has_all_of_live:
        write_figures(_DOCUMENT, with_section(_DOCUMENT.read_text(), live_section(figures)))
    if options.file is not None:
        write_figures(options.file, json.dumps(figures, indent=2) + "\n")
    return 0


def _measure(lab: Lab, node: Node, options: Options, figures: dict[str, Any]) -> None:
    operations, shape = options.operations(), options.shape()
    for store in options.stores() if operations else ():
        with_floor = options.is_full and store == "d1"
        latencies, ratios = matrix(lab, store, shape, operations, port=options.port, with_floor=with_floor)
        figures["latencies"] += latencies
        figures["ratios"] += ratios
    if options.is_full or (options.quick and not options.only and "d1" in options.stores()):
        figures["proxy"] = proxy(lab, shape)
    if options.is_full or options.store == "sqlite":
        figures["native"], figures["native_ratios"] = native(lab, options.only or "")
        figures["state"] = state_growth(lab, options.only or "")
    if options.agents():
        figures["agents"], figures["agents_ratios"] = agents(lab, node, options.only or "")
    if options.live():
        figures["live"] = live(lab, options.only or "")
    if options.quick and not options.only:
        for store in options.stores():
            figures["first"] += first_requests(lab, store, ["append-one"])
    for store in options.stores() if options.is_full else ():
        sizes, grown = growth(lab, store, [operation for operation in operations if operation.is_main])
        figures["sizes"] += sizes
        figures["growth"] += grown
        figures["startup"] += start_ups(lab, store)
        figures["first"] += first_requests(lab, store)
        figures["memory"] += memory(lab, store, shape)
        figures["exports"] += memory_of_export(lab, store)
    if options.is_full:
        figures["imports"] = imports(lab, node)
        figures["sessions"] = memory_of_session(lab)


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """A folder for the data of this run. Two runs at once would measure each other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("another benchmark runs in this checkout: two at once would measure each other") from None
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_writable(file: Path) -> None:
    if file.is_dir() or not os.access(file.absolute().parent, os.W_OK):
        raise Problem(f"--json {file}: it cannot be written")


def write_figures(file: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all."""
    try:
        write_atomically(file, text.encode())
    except OSError as error:
        raise Problem(f"cannot write {file}: {error.strerror}") from None
