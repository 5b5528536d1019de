"""Measures how latency grows with the data: the same operations over a thousand messages and a hundred thousand."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from tools.bench.estimates import estimate, ratio
from tools.bench.operations import Operation, find_target
from tools.bench.response_comparison import compare
from tools.bench.rounds import Lab, check_counts, steps, take_turns
from tools.bench.seeds import Shape

SHAPES = (Shape(1_000), Shape(10_000), Shape(100_000))
Row = dict[str, Any]


def growth(lab: Lab, store: str, operations: Sequence[Operation]) -> tuple[list[Row], list[Row]]:
    """The latencies of both contestants by size, with one connection, and what the largest costs by the smallest."""
    latencies: list[Row] = []
    ratios: list[Row] = []
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(name, store, shape, lab.folder))
            for name in (JAVASCRIPT, THREADKEEP)
            for shape in SHAPES
        ]
        targets = {contestant: find_target(contestant.worker.url, contestant.shape) for contestant in contestants}
        lab.progress.expect(steps(len(contestants), lab.effort) * len(operations))
        for operation in operations:
            for shape in SHAPES:
                same = [contestant for contestant in contestants if contestant.shape == shape]
                compare(same, operation, targets[same[0]], "growth")
            medians = take_turns(lab, contestants, targets, operation, 1)
            check_counts(contestants)
            cell = {"operation": operation.name, "store": store, "connections": 1}
            for name in (JAVASCRIPT, THREADKEEP):
                values = {one.shape.messages: found for one, found in medians.items() if one.name == name}
                for messages, found in values.items():
                    latencies.append({**cell, "contestant": name, "messages": messages, **estimate(found).rounded()})
                sizes = {"contestant": name, "from": min(values), "to": max(values)}
                grown = ratio(values[max(values)], values[min(values)]).rounded()
                ratios.append({**cell, **sizes, "ratio": grown.pop("median"), **grown})
    return latencies, ratios
