"""Measures what wrangler's development proxy adds to every latency, for both contestants alike."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from tools.bench.estimates import estimate
from tools.bench.http_client import Request
from tools.bench.operations import OPERATIONS, find_target
from tools.bench.process_info import direct_url, is_supported
from tools.bench.rounds import Lab
from tools.bench.seeds import Shape

_COUNT = 200
Row = dict[str, Any]


def proxy(lab: Lab, shape: Shape) -> list[Row]:
    """Latencies through the proxy and around it, in turns, with one connection."""
    if not is_supported():
        return []
    rows: list[Row] = []
    with ExitStack() as stack:
        for name in (JAVASCRIPT, THREADKEEP):
            contestant = stack.enter_context(Contestant(name, "d1", shape, lab.folder))
            target = find_target(contestant.worker.url, shape)
            page = OPERATIONS[0].requests(target, "", 1)[0]
            for operation, request in (("health", Request("GET", "/api/health")), (OPERATIONS[0].name, page)):
                rows.append({"contestant": name, "operation": operation, "store": "d1"})
                rows[-1] |= _around(lab, contestant, [request])
    return rows


def _around(lab: Lab, contestant: Contestant, requests: Sequence[Request]) -> dict[str, Any]:
    ways = {"through": contestant.worker.url, "around": direct_url(contestant.worker)}
    medians: dict[str, list[float]] = {way: [] for way in ways}
    lab.progress.expect(lab.effort.rounds + 1)
    for number in range(lab.effort.rounds + 1):  # the first warms up
        for way, url in ways.items():
            sample = lab.load.send(url, list(requests) * max(5, round(_COUNT * lab.effort.scale)), 1)
            medians[way] += [sample.median] if number else []
        lab.progress.step(f"wrangler's proxy, {contestant}")
    shares = [1 - around / through for through, around in zip(medians["through"], medians["around"], strict=True)]
    return {**{way: estimate(values).rounded() for way, values in medians.items()}, "share": estimate(shares).rounded()}
