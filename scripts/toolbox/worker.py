"""A Worker on this machine: the project's Python on real workerd, with real D1 and Durable Object storage."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolbox import configuration, runtime, wrangler
from toolbox.checkout import ROOT, Problem, files_below, fingerprint, say
from toolbox.install import Node, install
from toolbox.processes import Group, run
from toolbox.service import LocalService


class LocalWorker(LocalService):
    """One Worker.

    `project` is where `wrangler.toml`, `src/` and `migrations/` are. `main` names the entry module, in `src/` or in one
    of `extra_sources`. `variables` are added to those of wrangler.toml, and win over them.
    """

    program = "wrangler"
    path_when_ready = "/api/health"
    start_seconds_max = 60

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
        super().__init__(state, port=port, store=store, variables=variables, service_key=service_key, fresh=fresh)
        self.project = project
        self._main = main
        self._sources = [project / "src", *extra_sources]
        self._node: Node | None = None
        self._workerd_when_ready: set[int] = set()

    def workerd_ids(self) -> set[int]:
        """The process ids of workerd: one for the Worker, one for wrangler's proxy in front of it."""
        return {pid for pid, name in self._group.members().items() if name == "workerd"} if self._group else set()

    def check(self) -> None:
        """Raises a Problem when it has ended by itself."""
        super().check()
        if not self._workerd_when_ready <= self.workerd_ids():  # wrangler starts another, which answers nothing
            raise Problem(f"workerd has ended by itself; {self.log_path} may say why")

    def _prepare(self) -> None:
        self._node = install()
        database = self._configure(self._node)
        if self.store == "d1" and database:
            self._migrate(self._node, database)
        say("starting workerd …")

    def _run(self) -> None:
        super()._run()
        self._workerd_when_ready = self.workerd_ids()

    def _end(self) -> None:
        super()._end()
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

    def _files(self) -> list[tuple[str, Path]]:
        folders = [*self._sources, self.project / "migrations"]
        return [*files_below(folders), ("wrangler.toml", self.project / "wrangler.toml")]

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

    def _launch(self) -> Group:
        assert self._node is not None  # noqa: S101 it is prepared before
        guard = (runtime.PARTS / "guard.mjs").as_uri()
        return Group(
            [
                *wrangler.command(self._node, "--import", guard),
                "dev",
                *("--ip", "127.0.0.1", "--port", str(self.port), "--inspector-port", "0"),
                *self._options(),
            ],
            cwd=self.state.folder,
            env=wrangler.environment(self._node, self.state.folder),
            log=self.log_path,
        )

    def _options(self) -> list[str | Path]:
        return ["--config", self.state.configuration, "--persist-to", self.state.data]

    def _why_it_ended(self) -> str:
        log = re.sub(r"\x1b\[[0-9;]*m", "", self.log_path.read_text(errors="replace"))
        refusal = re.search(r"Uncaught Error: (cannot import .*?)\n\s+at ", log, re.DOTALL)
        return refusal[1].rstrip() if refusal else super()._why_it_ended()
