"""A Worker on this machine: the project's Python on real workerd, with real D1 and Durable Object storage."""

import http
import http.client
import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from toolbox import configuration, runtime, wrangler
from toolbox.checkout import ROOT, Problem, files_below, fingerprint, say
from toolbox.install import Node, install
from toolbox.processes import Group, last_lines, run
from toolbox.state import State

START_SECONDS = 60


class LocalWorker:
    """Starts and stops one Worker. Several may run at once, each on a port and a state folder of its own.

    `project` is where `wrangler.toml`, `src/` and `migrations/` are. `main` names the entry module, in `src/` or in one
    of `extra_sources`. `variables` are added to those of wrangler.toml, and win over them.
    """

    def __init__(
        self,
        state: Path,
        *,
        port: int | None = None,
        store: str = "durable-object",
        variables: Mapping[str, str] | None = None,
        service_key: str | None = None,
        fresh: bool = False,
        project: Path = ROOT,
        main: str = "entry",
        extra_sources: Sequence[Path] = (),
    ) -> None:
        self.state = State(state)
        self.store = store
        self.project = project
        self._port = port
        self._variables = dict(variables or {})
        if service_key is not None:
            self._variables |= configuration.service_key_variables(service_key)
        self._fresh = fresh
        self._main = main
        self._sources = [project / "src", *extra_sources]
        self._files_when_started: list[tuple[str, int]] = []
        self._group: Group | None = None
        self._workerd_when_ready: set[int] = set()
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
        """What wrangler, workerd and the Worker's own Python write."""
        return self.state.log

    def start(self) -> None:
        """Installs and builds what is missing, and returns when the Worker answers."""
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

    def __enter__(self) -> "LocalWorker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def workerd_ids(self) -> set[int]:
        """The process ids of workerd: one for the Worker, one for wrangler's proxy in front of it."""
        return {pid for pid, name in self._group.members().items() if name == "workerd"} if self._group else set()

    def check(self) -> None:
        """Raises a Problem when it has ended by itself."""
        if self._workerd_when_ready and self._group and self._group.exit_code() is not None:
            raise Problem(f"wrangler has ended by itself; {self.log_path} may say why")
        if not self._workerd_when_ready <= self.workerd_ids():  # wrangler starts another, which answers nothing
            raise Problem(f"workerd has ended by itself; {self.log_path} may say why")

    def has_changed_files(self) -> bool:
        """Whether the project's files are no longer those that it was started with."""
        return self._look_at_files() != self._files_when_started

    def new_output(self) -> str:
        """What has been logged since the Worker answered first, or since the last call."""
        with self.log_path.open("rb") as log:
            log.seek(self._logged)
            output = log.read()
        self._logged += len(output)
        return output.decode(errors="replace")

    def _run(self) -> None:
        node = install()
        self._files_when_started = self._look_at_files()
        database = self._configure(node)
        if self.store == "d1" and database:
            self._migrate(node, database)
        say("starting workerd …")
        began = time.monotonic()
        self._group = self._wrangler_dev(node)
        try:
            self._wait_until_it_answers()
            self.start_seconds = time.monotonic() - began
        finally:
            self._logged = self.log_path.stat().st_size
        self._workerd_when_ready = self.workerd_ids()

    def _end(self) -> None:
        if self._group:
            self._group.stop()
            self._group = None
        self._workerd_when_ready = set()

    def _configure(self, node: Node) -> Mapping[str, str] | None:
        """Writes what wrangler reads; returns the D1 database that keeps conversations, if there is one."""
        project = configuration.read_configuration(self.project)
        main_module = runtime.lay_out(
            self.state.worker,
            node,
            classes=configuration.object_classes(project),
            main=self._main,
            sources=self._sources,
            has_postgres=self.store == "postgres",
        )
        local = configuration.local_configuration(project, self.project, main_module, self.store, self._variables)
        self.state.configuration.write_text(json.dumps(local, indent=2))
        database: Mapping[str, str] | None = configuration.our_database(local)
        return database

    def _look_at_files(self) -> list[tuple[str, int]]:
        folders = [*self._sources, self.project / "migrations"]
        files = [*files_below(folders), ("wrangler.toml", self.project / "wrangler.toml")]
        return [(name, modified(path)) for name, path in files]

    def _migrate(self, node: Node, database: Mapping[str, str]) -> None:
        """Applies the migrations that these data have not seen yet.

        Without the checks of scripts/migrate: those take longer than this, want packages that nothing else here needs,
        and refuse a migration that is still being written, which is what one tries out here.
        """
        files = [path for _, path in files_below([Path(database["migrations_dir"])])]
        key = fingerprint(*(path.name for path in files), *files)
        stamp = self.state.data / "migrated"
        if not files or (stamp.exists() and stamp.read_text() == key):
            return
        say("applying the migrations …")
        run(
            [*wrangler.command(node), "d1", "migrations", "apply", database["binding"], "--local", *self._options()],
            cwd=self.state.folder,
            env=wrangler.environment(node, self.state.folder),
            log=self.state.folder / "migrations.log",
            failed="could not apply the migrations",
        )
        stamp.write_text(key)

    def _wrangler_dev(self, node: Node) -> Group:
        guard = (runtime.PARTS / "guard.mjs").as_uri()
        self.log_path.write_bytes(b"")
        return Group(
            [
                *wrangler.command(node, "--import", guard),
                "dev",
                *("--ip", "127.0.0.1", "--port", str(self.port), "--inspector-port", "0"),
                *self._options(),
            ],
            cwd=self.state.folder,
            env=wrangler.environment(node, self.state.folder),
            log=self.log_path,
        )

    def _options(self) -> list[str | Path]:
        return ["--config", self.state.configuration, "--persist-to", self.state.data]

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._group is None or self._group.exit_code() is not None:
                raise Problem(f"the Worker does not start: {self._why_it_ended()}")
            try:
                status, body = self._get("/api/health")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status == http.HTTPStatus.OK:
                return
            raise Problem(f"GET /api/health answers {status}: {body[:2000]}")
        raise Problem(f"nothing answers after {START_SECONDS} seconds:\n{last_lines(self.log_path, 20)}")

    def _why_it_ended(self) -> str:
        log = re.sub(r"\x1b\[[0-9;]*m", "", self.log_path.read_text(errors="replace"))
        refusal = re.search(r"Uncaught Error: (cannot import .*?)\n\s+at ", log, re.DOTALL)
        return refusal[1].rstrip() if refusal else f"wrangler has ended\n{last_lines(self.log_path, 20)}"

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


def modified(path: Path) -> int:
    """When a file was changed last, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # an editor replaces it just now
        return 0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def checked_port(port: int) -> int:
    """The same port, if it can be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise Problem(f"port {port} cannot be had ({reason}): name another with --port") from None
    return port
