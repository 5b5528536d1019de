"""Measures the stores that agent frameworks bring, and Threadkeep's adapters beside them, natively and over HTTP."""

import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tools.bench.agents_contestants import FRAMEWORKS, Contestant, Framework
from tools.bench.agents_places import Places, started
from tools.bench.conversations import BEGIN, TURN, Writer
from tools.bench.estimates import estimate, ratio
from tools.bench.peers import Peer
from tools.bench.rounds import Lab
from tools.local.install import Node

_HISTORY, _HISTORY_MIN = 250, 20
"""Turns that a conversation has before it is measured."""
_COUNT, _COUNT_MIN = 30, 5
"""Of each operation in a round."""

Row = dict[str, Any]
Peers = Mapping[Contestant, Peer]


def agents(lab: Lab, node: Node, only: str) -> tuple[list[Row], list[Row]]:
    """The latencies of all, and the ratios of Threadkeep's adapters to what the frameworks bring."""
    latencies: list[Row] = []
    ratios: list[Row] = []
    chosen = [(framework, operations) for framework in FRAMEWORKS if (operations := framework.chosen(only))]
    for framework, operations in chosen:
        lab.progress.expect(len(framework.contestants) * (1 + len(operations) * (lab.effort.rounds + 1)))
    with Places(lab.folder / "agents") as places:
        for framework, operations in chosen:
            with ExitStack() as stack:
                peers = {
                    contestant: stack.enter_context(started(framework, contestant, places.of(contestant), node))
                    for contestant in framework.contestants
                }
                turns = _fill(lab, peers)
                for operation, job in operations.items():
                    medians = _take_turns(lab, peers, operation, job)
                    cell = {"operation": operation, "messages": turns * TURN}
                    latencies += [{**cell, **row} for row in _latencies(medians)]
                    ratios += [{**cell, **row} for row in _ratios(framework, medians)]
    return latencies, ratios


def _fill(lab: Lab, peers: Peers) -> int:
    """Give all of them the same conversation; how many turns it has."""
    count = max(_HISTORY_MIN, round(_HISTORY * lab.effort.scale))
    for peer in peers.values():
        peer.wait_until_ready()
        peer.latencies({"operation": "fill", "turns": _turns("history", count)})
        lab.progress.step(f"filling {peer.name}")
    return count


def _take_turns(lab: Lab, peers: Peers, operation: str, job: str) -> dict[Contestant, list[float]]:
    """The median latency of each round, in milliseconds. The first round warms up, and is not counted."""
    medians: dict[Contestant, list[float]] = {contestant: [] for contestant in peers}
    count = max(_COUNT_MIN, round(_COUNT * lab.effort.scale))
    for number in range(lab.effort.rounds + 1):
        work = {"count": count} if job == "load" else {"turns": _turns(f"{operation} {number}", count)}
        for contestant, peer in peers.items():
            median = statistics.median(peer.latencies({"operation": job, **work}))
            medians[contestant] += [median] if number else []
            lab.progress.step(f"{operation}, {peer.name}")
    return medians


def _turns(seed: str, count: int) -> list[list[dict[str, Any]]]:
    """So many turns, each message with an id: always the same ones."""
    writer = Writer(seed)
    return [[{"id": writer.new_id(BEGIN), **message} for message in writer.turn()] for _ in range(count)]


def _latencies(medians: Mapping[Contestant, list[float]]) -> list[Row]:
    return [
        {"contestant": contestant.name, "place": contestant.place, **estimate(values).rounded()}
        for contestant, values in medians.items()
    ]


def _ratios(framework: Framework, medians: Mapping[Contestant, list[float]]) -> list[Row]:
    """Each of Threadkeep's adapters by the store of the framework's own that it stands beside."""
    own = {contestant.name: medians[contestant] for contestant in framework.contestants if contestant.beside is None}
    rows = []
    for contestant, values in medians.items():
        if contestant.beside is not None:
            found = ratio(values, own[contestant.beside]).rounded()
            row = {"contestant": contestant.name, "place": contestant.place, "to": contestant.beside}
            rows.append({**row, "ratio": found.pop("median"), **found})
    return rows
