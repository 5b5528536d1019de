"""Starts what the stores of agent frameworks are measured with: their programs, a Postgres, and plain servers."""

from contextlib import ExitStack
from pathlib import Path

from tools.bench.agents_contestants import (
    FILE,
    FLUE,
    LANGGRAPH,
    OPENAI,
    POSTGRES,
    SERVED_FILE,
    Contestant,
    Framework,
)
from tools.bench.peers import Peer
from tools.checkout import ROOT
from tools.local.install import Node, install_flue, install_peers
from tools.local.postgres import LocalPostgres
from tools.local.server import LocalServer

_KEY = "tk_local"
_PROGRAMS = {LANGGRAPH: "langgraph_savers.py", OPENAI: "openai_sessions.py"}


class Places:
    """Where contestants keep things. What serves them is started when the first of them needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ending = ExitStack()
        self._postgres: LocalPostgres | None = None
        self._servers: dict[str, LocalServer] = {}

    def of(self, contestant: Contestant) -> str:
        """The file or the URL for a contestant."""
        if contestant.place == FILE:
            return str(self._folder / f"{contestant.name.strip('()')}.sqlite")
        if contestant.place == POSTGRES:
            return self._url() if contestant.beside is None else self._url(schema="threadkeep")
        if contestant.place not in self._servers:
            self._servers[contestant.place] = self._ending.enter_context(self._server(contestant.place))
        return self._servers[contestant.place].url

    def _server(self, place: str) -> LocalServer:
        if place == SERVED_FILE:
            return LocalServer(self._folder / "served-sqlite", store="sqlite", service_key=_KEY, fresh=True)
        where = {"DATABASE_URL": self._url(schema="served")}
        folder = self._folder / "served-postgres"
        return LocalServer(folder, store="postgres", variables=where, service_key=_KEY, fresh=True)

    def _url(self, **parameters: str) -> str:
        """The URL of a Postgres, in which each contestant has a schema."""
        if self._postgres is None:
            self._postgres = self._ending.enter_context(LocalPostgres(self._folder / "postgres"))
        return self._postgres.url(**parameters)

    def __enter__(self) -> "Places":
        self._folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()


def started(framework: Framework, contestant: Contestant, place: str, node: Node) -> Peer:
    """The program of a contestant."""
    command: list[str | Path]
    if framework.name == FLUE:
        node, folder = install_flue(node, "flue-2")
        command = [node.program, folder / "bench.js"]
    else:
        command = [install_peers(), ROOT / "bench/peers" / _PROGRAMS[framework.name]]
    whose = {"THREADKEEP_KEY": _KEY, "THREADKEEP_USER": f"bench-{framework.name}"}
    return Peer(str(contestant), [*command, contestant.name, place], whose)
