"""Runs a Worker on this machine: the project's Python on real workerd, with real D1 and Durable Object storage."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from threadkeep.storage.backends import AUTO, built_for, named
from threadkeep.storage.base import Backend
from threadkeep.storage.sqlite import D1
from tools.checkout import ROOT, Problem, files_below, fingerprint, remove, say
from tools.cloudflare import wrangler
from tools.local import configuration, runtime
from tools.local.install import Node, install
from tools.local.lifecycle import LocalService, wait_for_answer
from tools.local.ports import free_port
from tools.local.processes import Group, last_lines, run

_GUARD = Path(__file__).parent / "guard.mjs"


class LocalWorker(LocalService):
    """One Worker.

    `project` is where `wrangler.toml`, `src/` and `migrations/` are. `main` names the entry module, in `src/` or in one
    of `extra_sources`. `variables` are added to those of wrangler.toml, and win over them. `other_stores` are back ends
    whose code it has beside that of its own: Workers that have all the same code share a snapshot.
    """

    program = "wrangler"
    path_when_ready = "/api/health"
    start_seconds_max = 60

    def __init__(
        self,
        state: Path,
        *,
        port: int | None = None,
        store: str = configuration.DEFAULT_STORE,
        variables: Mapping[str, str] | None = None,
        service_key: str | None = None,
        fresh: bool = False,
        project: Path = ROOT,
        main: str = "entry",
        extra_sources: Sequence[Path] = (),
        other_stores: Collection[str] = (),
    ) -> None:
        super().__init__(state, port=port, store=store, variables=variables, service_key=service_key, fresh=fresh)
        self.project = project
        self._main = main
        self._sources = [project / "src", *extra_sources]
        self._other_stores = other_stores
        self._node: Node | None = None
        self._workerd_when_ready: set[int] = set()

    def workerd_ids(self) -> set[int]:
        """The process ids of workerd: one for the Worker, one for wrangler's proxy in front of it."""
        return {pid for pid, name in self._group.members().items() if name == "workerd"} if self._group else set()

    def has_crashed(self) -> bool:
        """Whether workerd has ended by itself, as it does when Python has crashed. wrangler starts another."""
        return not self._workerd_when_ready <= self.workerd_ids()

    def check(self) -> None:
        """Raises a Problem when it has ended by itself."""
        super().check()
        if self.has_crashed():
            raise Problem(f"workerd has ended by itself; {self.log_path} may say why")

    def _prepare(self) -> None:
        self._node = install()
        local = self._configure(self._node)
        self.state.configuration.write_text(json.dumps(local, indent=2))
        self._prepare_workerd(local)
        database = configuration.our_database(local)
        if self.is_on_d1 and database:
            self._migrate(self._node, database)
        say("starting workerd …")

    def _run(self) -> None:
        super()._run()
        self._workerd_when_ready = self.workerd_ids()

    def _end(self) -> None:
        super()._end()
        self._workerd_when_ready = set()

    def _configure(self, node: Node) -> dict[str, Any]:
        """Lays out what wrangler reads, and returns its configuration."""
        project = configuration.read_configuration(self.project)
        main = self.state.source / f"{self._main}.py"
        local = configuration.local_configuration(
            project, self.project, main, self.store, self._variables, needs_d1=self.is_on_d1
        )
        runtime.lay_out(self.state.folder, self._sources, self._stores())
        return local

    @property
    def is_on_d1(self) -> bool:
        """Whether it keeps conversations in a D1 database."""
        return isinstance(_backend(self.store), D1)

    def _stores(self) -> set[str]:
        """The back ends whose code it has: the one that it is told to use, or all, where it is to choose itself.

        So do those that wake up by themselves, in the data of an earlier run.
        """
        offered = built_for("worker")
        awake = {backend.name for backend in offered if backend.purges_itself}
        chosen = {self.store} if _backend(self.store) else {backend.name for backend in offered}
        return {*chosen, *awake, *self._other_stores}

    def _prepare_workerd(self, local: Mapping[str, Any]) -> None:
        """Has workerd start as Cloudflare starts a Worker: from a snapshot of what it is when it has been imported."""
        bundle = runtime.prepare()

        def save(folder: Path) -> None:
            options = (f"--python-snapshot-dir={folder}", "--python-save-snapshot")
            runtime.write_program(self.state.workerd, bundle, *options)
            self._import(folder / runtime.SNAPSHOT)

        folder = runtime.snapshot(bundle, self.state.source, local, save)
        options = (f"--python-snapshot-dir={folder}", f"--python-load-snapshot={runtime.SNAPSHOT}")
        runtime.write_program(self.state.workerd, bundle, *options)

    def _import(self, snapshot: Path) -> None:
        """Runs workerd until it has imported the Worker and saved the snapshot."""
        say("importing the Worker …")
        port, data, log = free_port(), self.state.folder / "importing", self.state.folder / "importing.log"
        log.write_bytes(b"")
        group = self._wrangler_dev(port, data, log)
        try:
            if wait_for_answer(group, port, "/", self.start_seconds_max) is None:  # the snapshot is written before
                if group.exit_code() is not None:
                    raise Problem(f"it cannot be imported: {_why_not_imported(log)}")
                raise Problem(f"it is not imported after {self.start_seconds_max} seconds:\n{last_lines(log, 20)}")
            if not snapshot.exists():
                raise Problem(f"workerd has saved no snapshot of the Worker:\n{last_lines(log, 20)}")
        finally:
            group.stop()
            remove(data)

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

        def apply(data: Path) -> None:
            say("applying the migrations …")
            run(
                [
                    *wrangler.command(node),
                    *("d1", "migrations", "apply", database["binding"], "--local"),
                    *("--config", self.state.configuration, "--persist-to", data),
                ],
                cwd=self.state.folder,
                env=wrangler.environment(node, self.state.folder),
                log=self.state.folder / "migrations.log",
                failed="could not apply the migrations",
            )

        if any(self.state.data.glob("*/d1")):
            apply(self.state.data)
        else:
            told = json.dumps({**database, "migrations_dir": ""}, sort_keys=True)
            new = runtime.new_database(fingerprint(key, told, runtime.workerd().parents[1] / "package.json"), apply)
            shutil.copytree(new, self.state.data, dirs_exist_ok=True)
        stamp.write_text(key)

    def _launch(self) -> Group:
        return self._wrangler_dev(self.port, self.state.data, self.log_path)

    def _wrangler_dev(self, port: int, data: Path, log: Path) -> Group:
        assert self._node is not None  # noqa: S101 it is prepared before
        return Group(
            [
                *wrangler.command(self._node, "--import", _GUARD.as_uri()),
                "dev",
                *("--ip", "127.0.0.1", "--port", str(port), "--inspector-port", "0"),
                *("--config", self.state.configuration, "--persist-to", data),
            ],
            cwd=self.state.folder,
            env={
                **wrangler.environment(self._node, self.state.folder),
                "MINIFLARE_WORKERD_PATH": str(self.state.workerd),
            },
            log=log,
        )


def _backend(store: str) -> Backend | None:
    """The back end of this name; None for one that the Worker is to choose itself."""
    return None if store == AUTO else named(store)


def _why_not_imported(log: Path) -> str:
    """What workerd says of a Worker that cannot be imported: Python's traceback, from the Worker's own files on."""
    for line in log.read_text(errors="replace").splitlines():
        if line.lstrip().startswith("{"):
            _, _, traceback = json.loads(line, strict=False)["message"].partition("Uncaught Error: ")
            heading, at, rest = traceback.partition('  File "/session/metadata/')
            if at:
                heading = "Traceback (most recent call last):\n"
            return f"{heading}{at}{rest}".partition("\n\n  at ")[0].rstrip()
    return f"\n{last_lines(log, 20)}"
