"""Sends requests through autocannon, in one process of Node for the whole run."""

import json
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tools.bench.http_client import Request
from tools.checkout import ROOT, Problem
from tools.local.install import Node, install_bench


@dataclass(frozen=True)
class Sample:
    """What a round of requests took."""

    latencies: list[float]
    """Of each request, in milliseconds."""
    seconds: float
    """Of all of them."""

    @property
    def median(self) -> float:
        """The median latency, in milliseconds."""
        return statistics.median(self.latencies)


class Load:
    """Runs bench/load/load.mjs."""

    def __init__(self, node: Node) -> None:
        install_bench(node)
        self._process = subprocess.Popen(
            [node.program, ROOT / "bench/load/load.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=node.environment(),
        )

    def send(self, url: str, requests: Sequence[Request], connections: int) -> Sample:
        """Sends each request once, and measures. Raises a Problem where one is not answered with success."""
        job = {"url": url, "connections": connections, "requests": [request.as_json() for request in requests]}
        answer = self._ask(job)
        if "error" in answer:
            raise Problem(str(answer["error"]))
        if len(answer["latencies"]) != len(requests):
            raise Problem(f"of {len(requests)} requests {len(answer['latencies'])} were answered")
        return Sample(answer["latencies"], answer["seconds"])

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018
        try:
            stdin.write(json.dumps(job) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Problem("the load generator has ended by itself; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "Load":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
