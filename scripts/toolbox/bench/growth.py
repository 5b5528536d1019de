"""Does it stay as fast with more data? The same operations over a thousand messages and over a hundred thousand."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from toolbox.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from toolbox.bench.figures import figure, ratio
from toolbox.bench.load import Load
from toolbox.bench.measuring import Effort, check_counts, steps, take_turns
from toolbox.bench.operations import Operation, find_target
from toolbox.bench.progress import Progress
from toolbox.bench.seeds import Shape

SHAPES = (Shape(1_000), Shape(10_000), Shape(100_000))
Row = dict[str, Any]


def growth(
    load: Load, store: str, operations: Sequence[Operation], effort: Effort, progress: Progress, folder: Path
) -> tuple[list[Row], list[Row]]:
    """The latencies of both contestants by size, with one connection, and what the largest costs by the smallest."""
    latencies: list[Row] = []
    ratios: list[Row] = []
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(name, store, shape, folder))
            for name in (JAVASCRIPT, THREADKEEP)
            for shape in SHAPES
        ]
        targets = {contestant: find_target(contestant.worker.url, contestant.shape) for contestant in contestants}
        progress.expect(steps(len(contestants), effort) * len(operations))
        for operation in operations:
            medians = take_turns(load, contestants, targets, operation, 1, effort, progress)
            check_counts(contestants)
            cell = {"operation": operation.name, "store": store, "connections": 1}
            for name in (JAVASCRIPT, THREADKEEP):
                values = {one.shape.messages: found for one, found in medians.items() if one.name == name}
                for messages, found in values.items():
                    latencies.append({**cell, "contestant": name, "messages": messages, **figure(found).rounded()})
                sizes = {"contestant": name, "from": min(values), "to": max(values)}
                grown = ratio(values[max(values)], values[min(values)]).rounded()
                ratios.append({**cell, **sizes, "ratio": grown.pop("median"), **grown})
    return latencies, ratios
