"""Measures Threadkeep on a SQLite file in one process, beside what else keeps conversations in SQLite in Python."""

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tools.bench.estimates import estimate, ratio
from tools.bench.peers import Peer
from tools.bench.rounds import Lab
from tools.checkout import ROOT
from tools.local.install import install_peers

OURS = "threadkeep"
PEERS = ("openai-agents", "langgraph")
HISTORY = 1_000
OPERATIONS = {"append-turn": 60, "load-50": 100}
Row = dict[str, Any]


def _peer(name: str, program: Path, folder: Path) -> Peer:
    folder.mkdir(parents=True)
    file = folder / "conversation.sqlite"
    return Peer(name, [program, ROOT / "bench/peers/native.py", name, file, str(HISTORY)])


def native(lab: Lab, only: str) -> tuple[list[Row], list[Row]]:
    """The latencies of all, and the ratios of Threadkeep to each of the others."""
    program = install_peers()
    latencies: list[Row] = []
    ratios: list[Row] = []
    operations = {name: count for name, count in OPERATIONS.items() if name.startswith(only)}
    lab.progress.expect((1 + len(PEERS)) * (lab.effort.rounds + 1) * len(operations))
    with ExitStack() as stack:
        peers = [stack.enter_context(_peer(name, program, lab.folder / f"native-{name}")) for name in (OURS, *PEERS)]
        for peer in peers:
            peer.wait_until_ready()
        for operation, count in operations.items():
            medians: dict[str, list[float]] = {peer.name: [] for peer in peers}
            for number in range(lab.effort.rounds + 1):  # the first warms up
                for peer in peers:
                    job = {"operation": operation, "seed": f"{operation} {number}"}
                    found = peer.latencies({**job, "count": max(5, round(count * lab.effort.scale))})
                    medians[peer.name] += [statistics.median(found)] if number else []
                    lab.progress.step(f"{operation}, {peer.name}")
            cell = {"operation": operation, "store": "sqlite", "messages": HISTORY}
            for name, values in medians.items():
                latencies.append({**cell, "contestant": name, **estimate(values).rounded()})
            for name in PEERS:
                compared = ratio(medians[OURS], medians[name]).rounded()
                ratios.append({**cell, "to": name, "ratio": compared.pop("median"), **compared})
    return latencies, ratios
