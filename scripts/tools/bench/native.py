"""Measures Threadkeep on a SQLite file in one process, beside what else keeps conversations in SQLite in Python."""

import json
import os
import statistics
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.bench.estimates import estimate, ratio
from tools.bench.rounds import Lab
from tools.checkout import ROOT, Problem
from tools.local.install import install_peers

OURS = "threadkeep"
PEERS = ("openai-agents", "langgraph")
HISTORY = 1_000
OPERATIONS = {"append-turn": 60, "load-50": 100}
Row = dict[str, Any]


class Peer:
    """Runs bench/peers/native.py for one contestant."""

    def __init__(self, name: str, program: Path, folder: Path) -> None:
        self.name = name
        folder.mkdir(parents=True)
        paths = os.pathsep.join(str(ROOT / part) for part in ("src", "scripts"))
        self._process = subprocess.Popen(
            [program, ROOT / "bench/peers/native.py", name, folder / "conversation.sqlite", str(HISTORY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def wait_until_ready(self) -> None:
        """Returns when its conversation is there."""
        if self._line() != "ready\n":
            raise Problem(f"{self.name} does not start; what it said is above")

    def measure(self, operation: str, seed: str, count: int) -> float:
        """The median of so many of an operation, in milliseconds."""
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps({"operation": operation, "count": count, "seed": seed}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Problem(f"{self.name} has ended by itself; what it said is above") from None
        line = self._line()
        if not line:
            raise Problem(f"{self.name} fails at {operation}; what it said is above")
        latencies: list[float] = json.loads(line)
        return statistics.median(latencies)

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdout.readline()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def native(lab: Lab, only: str) -> tuple[list[Row], list[Row]]:
    """The latencies of all, and the ratios of Threadkeep to each of the others."""
    program = install_peers()
    latencies: list[Row] = []
    ratios: list[Row] = []
    operations = {name: count for name, count in OPERATIONS.items() if name.startswith(only)}
    lab.progress.expect((1 + len(PEERS)) * (lab.effort.rounds + 1) * len(operations))
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(name, program, lab.folder / f"native-{name}")) for name in (OURS, *PEERS)]
        for peer in peers:
            peer.wait_until_ready()
        for operation, count in operations.items():
            medians: dict[str, list[float]] = {peer.name: [] for peer in peers}
            for number in range(lab.effort.rounds + 1):  # the first warms up
                for peer in peers:
                    median = peer.measure(operation, f"{operation} {number}", max(5, round(count * lab.effort.scale)))
                    medians[peer.name] += [median] if number else []
                    lab.progress.step(f"{operation}, {peer.name}")
            cell = {"operation": operation, "store": "sqlite", "messages": HISTORY}
            for name, values in medians.items():
                latencies.append({**cell, "contestant": name, **estimate(values).rounded()})
            for name in PEERS:
                found = ratio(medians[OURS], medians[name]).rounded()
                ratios.append({**cell, "to": name, "ratio": found.pop("median"), **found})
    return latencies, ratios
