"""Runs programs that keep a conversation, and does jobs with them by lines of JSON."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.checkout import ROOT, Problem


class Peer:
    """One program, for as long as it is measured."""

    def __init__(self, name: str, command: Sequence[str | Path], more: Mapping[str, str] | None = None) -> None:
        """`more` is what it has in its environment beside what this process has."""
        self.name = name
        paths = os.pathsep.join(str(ROOT / part) for part in ("src", "scripts"))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})},
        )

    def wait_until_ready(self) -> None:
        """Returns when it can do jobs."""
        if self._line() != "ready\n":
            raise Problem(f"{self.name} does not start; what it said is above")

    def latencies(self, job: Mapping[str, Any]) -> list[float]:
        """Have it do a job; how long each part of it took, in milliseconds."""
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Problem(f"{self.name} has ended by itself; what it said is above") from None
        line = self._line()
        if not line:
            raise Problem(f"{self.name} fails at {job['operation']}; what it said is above")
        found: list[float] = json.loads(line)
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdout.readline()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
