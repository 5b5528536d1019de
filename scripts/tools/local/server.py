"""Runs a plain server on this machine: `threadkeep serve`, as it is installed anywhere, over its own back end."""

import os
from collections.abc import Mapping
from pathlib import Path

from threadkeep.storage.backends import AUTO, named
from tools.checkout import ROOT, files_below, say
from tools.local.install import install_server, python
from tools.local.lifecycle import LocalService
from tools.local.postgres import LocalPostgres
from tools.local.processes import Group

_DATABASE_URL, _SQLITE_PATH = "database_url", "sqlite_path"


class LocalServer(LocalService):
    """One server, and with it the Postgres that it is to use, where `variables` name none.

    `variables` are its environment, beside what a developer's machine needs, and win over that.
    """

    program = "the server"
    path_when_ready = "/api/ready"
    start_seconds_max = 60
    stop_seconds_max = 30

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
        super().__init__(state, port=port, store=store, variables=variables, service_key=service_key, fresh=fresh)
        self._workers = workers
        self._postgres: LocalPostgres | None = None

    def stop(self) -> None:
        """Ends it, as SIGTERM does, with everything that it started."""
        self._end()
        if self._postgres:
            self._postgres.stop()
            self._postgres = None
        super().stop()

    def _prepare(self) -> None:
        install_server()
        self.state.data.mkdir(exist_ok=True)
        is_named = "DATABASE_URL" in self._variables
        if self._setting == _DATABASE_URL and not is_named and self._postgres is None:
            say("starting Postgres …")
            self._postgres = LocalPostgres(self.state.data / "postgres")
            self._postgres.start()
        say("starting the server …")

    def _launch(self) -> Group:
        return Group(
            [python().parent / "threadkeep", "serve", "--port", str(self.port), "--workers", str(self._workers)],
            cwd=self.state.folder,
            env=self._environment(),
            log=self.log_path,
        )

    def _files(self) -> list[tuple[str, Path]]:
        return list(files_below([ROOT / "src", ROOT / "migrations"]))

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

    @property
    def _setting(self) -> str | None:
        """The setting that says where its back end is; None where it chooses one itself."""
        return None if self.store == AUTO else named(self.store).setting

    def _variables_of_store(self) -> dict[str, str]:
        """What tells the server where its back end is."""
        if self._setting == _SQLITE_PATH:
            return {"SQLITE_PATH": str(self.state.data / "threadkeep.sqlite")}
        return {"DATABASE_URL": self._postgres.url()} if self._postgres else {}
