"""Measures contestants in rounds, in which they take turns: A B A B …, so that drift of the machine hurts all alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.contestants import FLOOR, Contestant
from tools.bench.floor import statements_of
from tools.bench.http_client import Request, send_request
from tools.bench.load import Load
from tools.bench.operations import Operation, Target
from tools.bench.progress import Progress
from tools.bench.seeds import long_conversation
from tools.checkout import Problem

ROUNDS_MIN = 5


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    scale: float
    """Of the requests in a round of each operation."""


@dataclass(frozen=True)
class Lab:
    """What every measurement needs."""

    load: Load
    effort: Effort
    progress: Progress
    folder: Path
    """Where contestants keep their data."""


def take_turns(
    lab: Lab,
    contestants: Sequence[Contestant],
    targets: Mapping[Contestant, Target],
    operation: Operation,
    connections: int,
) -> dict[Contestant, list[float]]:
    """The median latency of each round, in milliseconds. The first round warms up, and is not counted."""
    medians: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
    count = operation.count(connections, lab.effort.scale)
    for number in range(lab.effort.rounds + 1):
        for contestant in contestants:
            requests = operation.requests(targets[contestant], f"{connections} {number}", count)
            if contestant.name == FLOOR:
                requests = [statements_of(request) for request in requests]
            try:
                sample = lab.load.send(contestant.worker.url, requests, connections)
            except Problem as problem:
                raise Problem(f"{contestant} fails at {operation.title}: {problem}") from None
            if number > 0:
                medians[contestant].append(sample.median)
            lab.progress.step(f"{operation.name}, {connections} connections, {contestant}")
    return medians


def steps(contestants: int, effort: Effort) -> int:
    """How many steps `take_turns` makes."""
    return contestants * (effort.rounds + 1)


def check_counts(contestants: Sequence[Contestant]) -> None:
    """Raises a Problem where one has kept fewer messages than another: it has skipped work."""
    newest = Request("GET", f"/api/conversations/{long_conversation()}/messages?limit=1")
    counts = {
        contestant: send_request(contestant.worker.url, newest).json()["messages"][0]["seq"]
        for contestant in contestants
    }
    first = contestants[0]
    for contestant, count in counts.items():
        added, expected = count - contestant.shape.long_messages, counts[first] - first.shape.long_messages
        if added != expected:
            raise Problem(f"{contestant} has kept {added} new messages, and {first} {expected}")
