"""Starts child processes that never outlive the script: each in a group of its own, which is ended as a whole.

With the standard library alone: this installs the packages, and psutil knows no groups and adopts no orphans.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tools.checkout import Problem

PR_SET_CHILD_SUBREAPER = 36


class Group:
    """A program and everything that it starts.

    Its standard input is a pipe that nothing is ever written to. The pipe closes when this process ends, in
    whatever way: a program may take that as its sign to end too.
    """

    def __init__(
        self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None, log: Path
    ) -> None:
        adopt_orphans()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.id = self._process.pid  # of the group, and of its first process

    def exit_code(self) -> int | None:
        """What the program ended with; None while it runs."""
        return self._process.poll()

    def wait(self, patience_seconds: float | None = None) -> int | None:
        """Waits until the program ends, and says with what; None when it has not ended in time."""
        try:
            return self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            return None

    def members(self) -> dict[int, str]:
        """The processes of the group that live: their ids and names."""
        return {process.id: process.name for process in living_processes() if process.group == self.id}

    def stop(self, patience_seconds: float = 5) -> None:
        """Asks the program to end, which ends what it started; kills what is left after `patience_seconds`."""
        self._process.terminate()
        if not self._ended_within(patience_seconds):
            self.kill()
        self._close_pipe()

    def kill(self) -> None:
        """Ends the group at once, as a power cut would."""
        self._send(signal.SIGKILL)
        self._ended_within(5)
        with suppress(subprocess.TimeoutExpired):  # on a machine that is very busy
            self._process.wait(60)
        self._close_pipe()

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.id, number)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._process.poll() is None or self._reap_orphans() or self.members():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _reap_orphans(self) -> bool:
        """Takes note of the ends of what the program has left to us; whether there was one."""
        with suppress(ChildProcessError):  # nothing is left
            return os.waitpid(-self.id, os.WNOHANG)[0] != 0
        return False

    def _close_pipe(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()


def adopt_orphans() -> None:
    """Makes this process the one that orphans below it are given to, where the system can do that (Linux).

    Otherwise they go to the first process of the machine, and in many containers that one never reaps them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None, log: Path, failed: str
) -> None:
    """Runs a program to its end, its output in `log`. When it fails, the problem is `failed` and what it said last."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    group = Group(command, cwd=cwd, env=env, log=log)
    try:
        code = group.wait()
    finally:
        group.stop()
    if code != 0:
        raise Problem(f"{failed}:\n{last_lines(log, 20)}")


def last_lines(log: Path, count: int) -> str:
    """The end of a log, for a message."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line[:300]}" for line in lines[-count:])  # a minified program shows itself whole


def kill_children() -> None:
    """Ends what is left of the processes that this one has started, or was given as orphans."""
    for process in list(living_processes()):
        if process.parent == os.getpid():
            with suppress(ProcessLookupError):
                os.kill(process.id, signal.SIGKILL)
                if process.group == process.id:
                    os.killpg(process.group, signal.SIGKILL)


class Process(NamedTuple):
    """What the system tells of a process."""

    id: int
    parent: int
    group: int
    name: str


def living_processes() -> Iterator[Process]:
    """Every process of this machine; not those that are dead and only wait to be reaped."""
    if Path("/proc/self/stat").exists():
        for folder in filter(str.isdigit, os.listdir("/proc")):  # not by `glob`, which fails where one ends meanwhile
            with suppress(OSError):  # it ended meanwhile
                pid, _, rest = Path("/proc", folder, "stat").read_text(errors="replace").partition(" (")
                name, _, fields = rest.rpartition(") ")
                state, parent, group = fields.split()[:3]
                if state != "Z":
                    yield Process(int(pid), int(parent), int(group), name)
    else:
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,comm="], capture_output=True, text=True, check=True
        )
        for line in listing.stdout.splitlines():
            number, parent, group, state, name = line.split(maxsplit=4)
            if not state.startswith("Z"):
                yield Process(int(number), int(parent), int(group), name)
