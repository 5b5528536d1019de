"""A plain server on this machine: `threadkeep serve`, as it is installed anywhere, over a back end of its own."""

import http
import http.client
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from toolbox import configuration
from toolbox.checkout import ROOT, Problem, files_below, say
from toolbox.install import install_server
from toolbox.postgres import LocalPostgres
from toolbox.processes import Group, last_lines
from toolbox.state import State
from toolbox.worker import checked_port, free_port, modified

START_SECONDS = 30
STOP_SECONDS = 30
STORES = ("sqlite", "postgres")


class LocalServer:
    """Starts and stops one server, and with it the Postgres that it is to use, where `variables` name none.

    Several may run at once, each on a port and a state folder of its own. `variables` are its environment, beside what
    a developer's machine needs, and win over that.
    """

    def __init__(
        self,
        state: Path,
        *,
        port: int | None = None,
        store: str = "sqlite",
        variables: Mapping[str, str] | None = None,
        service_key: str | None = None,
        fresh: bool = False,
        workers: int = 1,
    ) -> None:
        self.state = State(state)
        self.store = store
        self._port = port
        self._variables = dict(variables or {})
        if service_key is not None:
            self._variables |= configuration.service_key_variables(service_key)
        self._fresh = fresh
        self._workers = workers
        self._files_when_started: list[tuple[str, int]] = []
        self._group: Group | None = None
        self._postgres: LocalPostgres | None = None
        self._logged = 0  # bytes of the log

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
        """What the server writes."""
        return self.state.log

    @property
    def group(self) -> Group:
        """Its processes, once it is started."""
        if self._group is None:
            raise RuntimeError("it is not started")
        return self._group

    def start(self) -> None:
        """Installs what is missing, and returns when the server answers."""
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
        """Ends it, as SIGTERM does, with everything that it started."""
        self._end()
        if self._postgres:
            self._postgres.stop()
            self._postgres = None
        self.state.release()

    def kill(self) -> None:
        """Ends it as a power cut would: nothing gets to clean up."""
        if self._group:
            self._group.kill()
        self.stop()

    def __enter__(self) -> "LocalServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raises a Problem when it has ended by itself."""
        if self._group and self._group.exit_code() is not None:
            raise Problem(f"the server has ended by itself; {self.log_path} may say why")

    def has_changed_files(self) -> bool:
        """Whether the project's files are no longer those that it was started with."""
        return _look_at_files() != self._files_when_started

    def new_output(self) -> str:
        """What has been logged since the server answered first, or since the last call."""
        with self.log_path.open("rb") as log:
            log.seek(self._logged)
            output = log.read()
        self._logged += len(output)
        return output.decode(errors="replace")

    def _run(self) -> None:
        command = install_server()
        self._files_when_started = _look_at_files()
        self.state.data.mkdir(exist_ok=True)
        if self.store == "postgres" and "DATABASE_URL" not in self._variables and self._postgres is None:
            say("starting Postgres …")
            self._postgres = LocalPostgres(self.state.data / "postgres")
            self._postgres.start()
        self.log_path.write_bytes(b"")
        say("starting the server …")
        self._group = Group(
            [command, "serve", "--port", str(self.port), "--workers", str(self._workers)],
            cwd=self.state.folder,
            env=self._environment(),
            log=self.log_path,
        )
        try:
            self._wait_until_it_answers()
        finally:
            self._logged = self.log_path.stat().st_size

    def _end(self) -> None:
        if self._group:
            self._group.stop(STOP_SECONDS)
            self._group = None

    def _environment(self) -> dict[str, str]:
        """Nothing of this process's own that could be a setting."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        return {
            **own,
            "ENVIRONMENT": "development",
            "AUTH_DEV_USER": "developer",
            **self._variables,
            "AGENT_CONVERSATION_STORE": self.store,
            **self._variables_of_store(),
        }

    def _variables_of_store(self) -> dict[str, str]:
        """What tells the server where its back end is."""
        if self.store == "sqlite":
            return {"SQLITE_PATH": str(self.state.data / "threadkeep.sqlite")}
        return {"DATABASE_URL": self._postgres.url()} if self._postgres else {}

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._group is None or self._group.exit_code() is not None:
                raise Problem(f"the server does not start:\n{last_lines(self.log_path, 20)}")
            try:
                status, body = self._get("/api/ready")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status == http.HTTPStatus.OK:
                return
            raise Problem(f"GET /api/ready answers {status}: {body[:2000]}")
        raise Problem(f"nothing answers after {START_SECONDS} seconds:\n{last_lines(self.log_path, 20)}")

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


def _look_at_files() -> list[tuple[str, int]]:
    return [(name, modified(path)) for name, path in files_below([ROOT / "src", ROOT / "migrations"])]
