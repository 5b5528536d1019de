"""Does the jobs that scripts/bench sends, and says how long each of them takes."""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

Messages = list[dict[str, Any]]


class Contestant(Protocol):
    """Something that keeps one conversation."""

    def prepared(self, turn: Messages) -> Any:
        """A turn as whoever calls it would have it. It is not measured."""

    async def fill(self, turn: Any) -> None:
        """Append a turn to the conversation, before anything is measured."""

    async def append(self, turn: Any) -> None:
        """Append a turn."""

    async def load(self) -> None:
        """Load what is measured, and exit where it is not all there."""


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """What it takes, in milliseconds."""
    began = time.perf_counter_ns()
    await work()
    return (time.perf_counter_ns() - began) / 1e6


async def do_jobs(contestant: Contestant) -> None:
    """Read jobs from standard input, a line of JSON each, and answer each with a line of latencies.

    {"operation": "fill" or "append", "turns": [[message, …], …]}, and {"operation": "load", "count"}.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if job["operation"] == "load":
            latencies = [await timed(contestant.load) for _ in range(job["count"])]
        else:
            add = contestant.fill if job["operation"] == "fill" else contestant.append
            turns = [contestant.prepared(turn) for turn in job["turns"]]
            latencies = [await timed(partial(add, turn)) for turn in turns]
        print(json.dumps(latencies), flush=True)
