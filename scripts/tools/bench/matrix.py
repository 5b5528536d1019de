"""Measures Threadkeep against the JavaScript Worker: every operation, on one store, over data of one shape."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tools.bench.contestants import FLOOR, JAVASCRIPT, THREADKEEP, Contestant
from tools.bench.estimates import estimate, ratio
from tools.bench.operations import Operation, find_target
from tools.bench.response_comparison import compare
from tools.bench.rounds import Lab, check_counts, steps, take_turns
from tools.bench.seeds import Shape

CONNECTIONS = (1, 16)
Row = dict[str, Any]


def matrix(
    lab: Lab,
    store: str,
    shape: Shape,
    operations: Sequence[Operation],
    *,
    port: int | None = None,
    with_floor: bool = False,
) -> tuple[list[Row], list[Row]]:
    """The latencies of both contestants, and the ratios between them. On D1 the floor can run beside them."""
    latencies: list[Row] = []
    ratios: list[Row] = []
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(name, store, shape, lab.folder, port and port + number))
            for number, name in enumerate((JAVASCRIPT, THREADKEEP))
        ]
        target = find_target(contestants[0].worker.url, shape)
        floors = [stack.enter_context(Contestant(FLOOR, store, shape, lab.folder))] if with_floor else []
        targets = dict.fromkeys([*contestants, *floors], target)
        running = sum(len(_those_of(operation, contestants, floors)) for operation in operations)
        lab.progress.expect(steps(running, lab.effort) * len(CONNECTIONS))
        for operation in operations:
            compare(contestants, operation, target, "before")
            for connections in CONNECTIONS:
                those = _those_of(operation, contestants, floors)
                medians = take_turns(lab, those, targets, operation, connections)
                cell = {"operation": operation.name, "store": store, "connections": connections}
                for contestant, values in medians.items():
                    row = {**cell, "contestant": contestant.name, "messages": shape.messages}
                    latencies.append({**row, **estimate(values).rounded()})
                javascript, ours = (medians[contestant] for contestant in contestants)
                found = ratio(ours, javascript).rounded()
                ratios.append({**cell, "ratio": found.pop("median"), **found})
            compare(contestants, operation, target, "after")
            check_counts(contestants)
    return latencies, ratios


def _those_of(operation: Operation, contestants: list[Contestant], floors: list[Contestant]) -> list[Contestant]:
    """Who takes part: the floor only where all that there is to do is one round trip."""
    return contestants if operation.is_slow else [*contestants, *floors]
