"""Measures the memory of workerd: after its start, while it answers ten thousand requests, and for a long export."""

from contextlib import suppress
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant
from tools.bench.http_client import Request, send_request
from tools.bench.operations import OPERATIONS, find_target
from tools.bench.process_info import forget_peak, is_supported, peak_bytes, resident_bytes, worker_process
from tools.bench.rounds import Lab
from tools.bench.seeds import Shape, long_conversation

_STEPS, _REQUESTS = 10, 1_000
_MIXED = ("page-newest", "list", "search-one", "append-one")
_CONNECTIONS = 16
EXPORTED = 100_000
_MEBIBYTE = 2**20
Row = dict[str, Any]


def memory(lab: Lab, store: str, shape: Shape) -> list[Row]:
    """Megabytes after the start, and after each thousand of a mixture of requests."""
    rows: list[Row] = []
    for name in (JAVASCRIPT, THREADKEEP) if is_supported() else ():
        lab.progress.expect(_STEPS)
        with Contestant(name, store, shape, lab.folder) as contestant:
            pid = worker_process(contestant.worker)
            after = [_megabytes(resident_bytes(pid))]
            target = find_target(contestant.worker.url, shape)
            for step in range(_STEPS):
                for operation in OPERATIONS:
                    if operation.name in _MIXED:
                        requests = operation.requests(target, f"memory {step}", _REQUESTS // len(_MIXED))
                        lab.load.send(contestant.worker.url, requests, _CONNECTIONS)
                after.append(_megabytes(resident_bytes(pid)))
                lab.progress.step(f"memory, {contestant}")
            rows.append({"contestant": name, "store": store, "after": after})
    return rows


def memory_of_export(lab: Lab, store: str) -> list[Row]:
    """Megabytes that a streamed export of one conversation of 100,000 messages adds, at the most."""
    shape = Shape(EXPORTED, others=0, long=EXPORTED)
    rows: list[Row] = []
    for name in (JAVASCRIPT, THREADKEEP) if is_supported() else ():
        lab.progress.expect(1)
        with Contestant(name, store, shape, lab.folder) as contestant:
            pid = worker_process(contestant.worker)
            path = f"/api/conversations/{long_conversation()}"
            for _ in range(20):
                send_request(contestant.worker.url, Request("GET", f"{path}/messages?limit=200"))
            before = resident_bytes(pid)
            with suppress(OSError):  # not every container lets us; then the peak since the start counts
                forget_peak(pid)
            answer = send_request(contestant.worker.url, Request("GET", f"{path}/export"))
            added = _megabytes(peak_bytes(pid) - before)
            rows.append({"contestant": name, "store": store, "bytes": len(answer.body), "added": added})
        lab.progress.step(f"memory of an export, {contestant}")
    return rows


def _megabytes(size: int) -> float:
    return round(size / _MEBIBYTE, 1)
