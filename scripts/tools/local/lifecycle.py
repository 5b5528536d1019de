"""Starts, watches and stops whatever serves the API on this machine, on a port and a state folder."""

import http
import http.client
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from threadkeep.storage.backends import BACKENDS, named
from tools.checkout import Problem
from tools.local import configuration
from tools.local.ports import checked_port, free_port
from tools.local.processes import Group, last_lines
from tools.local.state import State

STORES = tuple(backend.name for backend in BACKENDS if backend.is_built and backend.is_persistent)
"""The back ends that keep something from one run to the next."""
STORES_OF_SERVERS = tuple(name for name in STORES if "server" in named(name).runs_on)
"""Those for which the plain server is run, and not the Worker."""


class LocalService(ABC):
    """Starts and stops one service. Several may run at once, each on a port and a state folder of its own."""

    program: ClassVar[str]
    """What is started, in a sentence."""
    path_when_ready: ClassVar[str]
    """What answers 200 once it can be used."""
    start_seconds_max: ClassVar[int]
    stop_seconds_max: ClassVar[int] = 5

    def __init__(
        self,
        state: Path,
        *,
        port: int | None,
        store: str,
        variables: Mapping[str, str] | None,
        service_key: str | None,
        fresh: bool,
    ) -> None:
        self.state = State(state)
        self.store = store
        self._port = port
        self._variables = dict(variables or {})
        if service_key is not None:
            self._variables |= configuration.service_key_variables(service_key)
        self._fresh = fresh
        self._files_when_started: list[tuple[str, int]] = []
        self._group: Group | None = None
        self._logged = 0  # bytes of the log
        self.start_seconds = 0.0
        """From the start of the process to the first answer, the last time."""

    @property
    def port(self) -> int:
        """The port that it listens on, once it is started."""
        if self._port is None:
            raise RuntimeError("it is not started")
        return self._port

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """What it and everything that it starts write."""
        return self.state.log

    @property
    def group(self) -> Group:
        """Its processes, once it is started."""
        if self._group is None:
            raise RuntimeError("it is not started")
        return self._group

    def start(self) -> None:
        """Installs and builds what is missing, and returns when it answers."""
        self._port = free_port() if not self._port else checked_port(self._port)
        self.state.claim()
        try:
            if self._fresh:
                self.state.clear()
            self._run()
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """Starts it again, on the same port and data, with the project's files of now."""
        self._end()
        try:
            self._run()
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """Ends it with everything that it started, as Ctrl-C does."""
        self._end()
        self.state.release()

    def kill(self) -> None:
        """Ends it as a power cut would: nothing gets to clean up."""
        if self._group:
            self._group.kill()
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raises a Problem when it has ended by itself."""
        if self._group and self._group.exit_code() is not None:
            raise Problem(f"{self.program} has ended by itself; {self.log_path} may say why")

    def has_crashed(self) -> bool:
        """Whether what serves has ended by itself, while the program that watches over it goes on."""
        return False

    def has_changed_files(self) -> bool:
        """Whether the project's files are no longer those that it was started with."""
        return self._look_at_files() != self._files_when_started

    def new_output(self) -> str:
        """What has been logged since it answered first, or since the last call."""
        with self.log_path.open("rb") as log:
            log.seek(self._logged)
            output = log.read()
        self._logged += len(output)
        return output.decode(errors="replace")

    @abstractmethod
    def _prepare(self) -> None:
        """Installs, builds and starts what the program needs."""

    @abstractmethod
    def _launch(self) -> Group:
        """Starts the program."""

    @abstractmethod
    def _files(self) -> list[tuple[str, Path]]:
        """The project's files that it runs, by name."""

    def _why_it_ended(self) -> str:
        return f"{self.program} has ended\n{last_lines(self.log_path, 20)}"

    def _run(self) -> None:
        self._files_when_started = self._look_at_files()
        self._prepare()
        self.log_path.write_bytes(b"")
        began = time.monotonic()
        self._group = self._launch()
        try:
            self._wait_until_it_answers()
            self.start_seconds = time.monotonic() - began
        finally:
            self._logged = self.log_path.stat().st_size

    def _end(self) -> None:
        if self._group:
            self._group.stop(self.stop_seconds_max)
            self._group = None

    def _look_at_files(self) -> list[tuple[str, int]]:
        return [(name, _modified(path)) for name, path in self._files()]

    def _wait_until_it_answers(self) -> None:
        answer = wait_for_answer(self.group, self.port, self.path_when_ready, self.start_seconds_max)
        if answer is None:
            if self.group.exit_code() is not None:
                raise Problem(f"it does not start: {self._why_it_ended()}")
            raise Problem(f"nothing answers after {self.start_seconds_max} seconds:\n{last_lines(self.log_path, 20)}")
        status, body = answer
        if status != http.HTTPStatus.OK:
            raise Problem(f"GET {self.path_when_ready} answers {status}: {body[:2000]}")


def wait_for_answer(group: Group, port: int, path: str, patience_seconds: float) -> tuple[int, str] | None:
    """Returns the first status and body that a program answers with; None once it has ended, or time is up."""
    deadline = time.monotonic() + patience_seconds
    while group.exit_code() is None and time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            return _get(port, path)
        time.sleep(0.02)
    return None


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _modified(path: Path) -> int:
    """When a file was changed last, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # an editor replaces it just now
        return 0
