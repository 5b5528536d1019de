"""Threadkeep against the JavaScript Worker: every operation, on one store, over data of one shape."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from toolbox.bench.comparing import compare
from toolbox.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from toolbox.bench.figures import figure, ratio
from toolbox.bench.load import Load
from toolbox.bench.measuring import Effort, check_counts, steps, take_turns
from toolbox.bench.operations import Operation, find_target
from toolbox.bench.progress import Progress
from toolbox.bench.seeds import Shape

CONNECTIONS = (1, 16)
Row = dict[str, Any]


def matrix(
    load: Load,
    store: str,
    shape: Shape,
    operations: Sequence[Operation],
    effort: Effort,
    progress: Progress,
    folder: Path,
    port: int | None = None,
) -> tuple[list[Row], list[Row]]:
    """The latencies of both contestants, and the ratios between them."""
    latencies: list[Row] = []
    ratios: list[Row] = []
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(name, store, shape, folder, port and port + number))
            for number, name in enumerate((JAVASCRIPT, THREADKEEP))
        ]
        targets = {contestant: find_target(contestant.worker.url, shape) for contestant in contestants}
        target = targets[contestants[0]]
        progress.expect(steps(len(contestants), effort) * len(operations) * len(CONNECTIONS))
        for operation in operations:
            compare(contestants, operation, target, "before")
            for connections in CONNECTIONS:
                medians = take_turns(load, contestants, targets, operation, connections, effort, progress)
                cell = {"operation": operation.name, "store": store, "connections": connections}
                for contestant, values in medians.items():
                    row = {**cell, "contestant": contestant.name, "messages": shape.messages}
                    latencies.append({**row, **figure(values).rounded()})
                javascript, ours = medians.values()
                found = ratio(ours, javascript).rounded()
                ratios.append({**cell, "ratio": found.pop("median"), **found})
            compare(contestants, operation, target, "after")
            check_counts(contestants)
    return latencies, ratios
