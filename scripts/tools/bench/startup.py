"""Measures starting: the time to the first answer, what the first request takes then, and what the imports take."""

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from tools.bench.estimates import estimate
from tools.bench.http_client import send_request
from tools.bench.operations import OPERATIONS, Operation, find_target
from tools.bench.rounds import Lab
from tools.bench.seeds import Shape
from tools.checkout import ROOT, Problem
from tools.local.install import Node, node_packages, worker_packages

_SHAPE = Shape(200, others=2)
_RUNS = 5
Row = dict[str, Any]


def start_ups(lab: Lab, store: str) -> list[Row]:
    """Seconds from the start of wrangler to the first answer, in turns. The first start is not counted."""
    with ExitStack() as stack:
        names = (JAVASCRIPT, THREADKEEP)
        contestants = [stack.enter_context(Contestant(name, store, _SHAPE, lab.folder)) for name in names]
        taken: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
        lab.progress.expect(lab.effort.rounds * len(contestants))
        for _ in range(lab.effort.rounds):
            for contestant, seconds in taken.items():
                contestant.worker.restart()
                seconds.append(contestant.worker.start_seconds)
                lab.progress.step(f"start of {contestant}")
    return [{"contestant": one.name, "store": store, **estimate(values).rounded()} for one, values in taken.items()]


def first_requests(
    lab: Lab, store: str, names: Sequence[str] = ("append-one", "list", "search-one", "export")
) -> list[Row]:
    """Milliseconds of the first request of a process that has told of its health, by the kind of request, in turns.

    For each there is a fresh process, since the first of one kind makes ready what the next needs too.
    """
    chosen = [operation for operation in OPERATIONS if operation.name in names]
    rows: list[Row] = []
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(name, store, _SHAPE, lab.folder)) for name in (JAVASCRIPT, THREADKEEP)
        ]
        lab.progress.expect(lab.effort.rounds * len(contestants) * len(chosen))
        for operation in chosen:
            taken: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
            for number in range(lab.effort.rounds):
                for contestant, milliseconds in taken.items():
                    milliseconds.append(_first_request(contestant, operation, number))
                    lab.progress.step(f"first {operation.name} of {contestant}")
            rows += [
                {"contestant": one.name, "store": store, "operation": operation.name, **estimate(values).rounded()}
                for one, values in taken.items()
            ]
    return rows


def _first_request(contestant: Contestant, operation: Operation, number: int) -> float:
    target = find_target(contestant.worker.url, contestant.shape)
    (request,) = operation.requests(target, f"first {number}", 1)
    contestant.worker.restart()
    began = time.perf_counter()
    answer = send_request(contestant.worker.url, request)
    if answer.status >= 300:
        raise Problem(f"{contestant} answers {answer.status} to its first {operation.name}")
    return (time.perf_counter() - began) * 1000


def imports(lab: Lab, node: Node) -> list[Row]:
    """What each module takes, in milliseconds, in Pyodide outside of workerd: the medians of some runs."""
    lab.progress.expect(_RUNS)
    runs: list[dict[str, Row]] = []
    for _ in range(_RUNS):
        runs.append({row["module"]: row for row in _import_once(node)})
        lab.progress.step("imports, module by module")
    rows = [
        {
            "module": module,
            **{part: round(statistics.median(run[module][part] for run in runs), 2) for part in ("own", "whole")},
        }
        for module in runs[0]
        if all(module in run for run in runs)
    ]
    return sorted(rows, key=lambda row: -row["own"])


def _import_once(node: Node) -> list[Row]:
    command = [node.program, ROOT / "bench/startup/imports.mjs"]
    folders = [node_packages() / "pyodide", worker_packages(), ROOT / "src"]
    answer = subprocess.run([*command, *folders], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Problem(f"the Worker's Python cannot be imported outside of workerd: {answer.stderr[-1000:]}")
    rows: list[Row] = json.loads(answer.stdout)
    return rows
