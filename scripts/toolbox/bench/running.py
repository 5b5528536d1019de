"""A run of the benchmark: what is measured, in which order, and what becomes of the figures."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbox.bench.load import Load
from toolbox.bench.matrix import matrix
from toolbox.bench.measuring import ROUNDS_MIN, Effort
from toolbox.bench.operations import OPERATIONS, Operation
from toolbox.bench.progress import Progress
from toolbox.bench.seeds import Shape
from toolbox.bench.tables import ratio_table
from toolbox.checkout import Problem
from toolbox.codes import Code
from toolbox.install import Node
from toolbox.worker import checked_port

WORKER_STORES = ("d1", "durable-object")
_PORTS = 6
_MAIN = Shape(10_000)
_SMALL = Shape(200, others=2)
_QUICK_SCALE, _SMOKE_SCALE = 0.3, 0.03


@dataclass(frozen=True)
class Wishes:
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

    def operations(self) -> list[Operation]:
        """Those that were asked for. Raises a Problem where there is none."""
        chosen = [operation for operation in OPERATIONS if operation.name.startswith(self.only or "")]
        if not chosen:
            names = ", ".join(operation.name for operation in OPERATIONS)
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


def run(node: Node, wishes: Wishes, folder: Path) -> int:
    """Measures, prints a table, and writes what was asked for when everything is there."""
    operations = wishes.operations()
    for number in range(_PORTS if wishes.port else 0):
        checked_port((wishes.port or 0) + number)
    if wishes.file is not None:
        _check_writable(wishes.file)
    figures: dict[str, Any] = {"command": wishes.command, "ratios": [], "latencies": []}
    progress = Progress()
    with _alone(folder / "run") as scratch, Load(node) as load:
        for store in wishes.stores():
            latencies, ratios = matrix(
                load, store, wishes.shape(), operations, wishes.effort(), progress, scratch, wishes.port
            )
            figures["latencies"] += latencies
            figures["ratios"] += ratios
        progress.finish()
    print(ratio_table(figures))
    if wishes.file is not None:
        write_whole(wishes.file, json.dumps(figures, indent=2) + "\n")
    return 0


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


def write_whole(file: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.write_text(text)
        unfinished.replace(file)
    except OSError as error:
        raise Problem(f"cannot write {file}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
