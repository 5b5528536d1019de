"""A graph that is killed in the middle of a turn goes on from what the checkpointer has, in another process."""

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from support.graph_turn import take_turn
from support.graphs import build, plain
from tools.local.server import LocalServer

SECONDS = 60
FORKS = multiprocessing.get_context("forkserver")
KEY = "tk_key_of_a_graph"
ONCE = ["plan", "search", "recall", "ask", "ask", "write", "end"]
"""What runs where nothing is killed: what asks a question begins again with the answer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServer(tmp_path_factory.mktemp("server"), store="sqlite", service_key=KEY) as running:
        yield running.url


@pytest.fixture(scope="module", autouse=True)
def _forks_have_imported_everything() -> None:
    """A process to fork others from, so that LangGraph is imported once. It ends with this one."""
    FORKS.set_forkserver_preload(["support.graph_turn"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # which it does not take over from us
        ensure_running()


class Turns:
    """The turns of one graph, each in a process of its own."""

    def __init__(self, where: str, folder: Path, *, awaits: bool) -> None:
        self._log = folder / "log"
        self._turn = {
            "where": where,
            "key": KEY,
            "user": "alice",
            "thread": str(folder),
            "log": str(self._log),
            "awaits": awaits,
        }

    def take(self, **turn: Any) -> Any:
        """Take a turn to its end; return what the graph knows then."""
        told, process = self._start(turn)
        assert told.poll(SECONDS)
        known = told.recv()
        process.join(SECONDS)
        assert process.exitcode == 0
        return known

    def kill(self, node: str, **turn: Any) -> None:
        """Take a turn until a node has begun, and kill it there, as a machine that goes down would."""
        told, process = self._start({**turn, "stop_in": node})
        assert told.poll(SECONDS)
        assert told.recv() == "stopped"
        process.kill()
        process.join(SECONDS)
        assert process.exitcode == -signal.SIGKILL

    def nodes(self) -> Counter[str]:
        """How often each node has begun."""
        return Counter(self._log.read_text().split())

    def _start(self, turn: dict[str, Any]) -> tuple[Connection, Any]:
        ours, theirs = FORKS.Pipe()
        process = FORKS.Process(target=take_turn, args=({**self._turn, **turn}, theirs), daemon=True)
        process.start()
        theirs.close()
        return ours, process


@pytest.fixture(params=["file", "server"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return str(tmp_path / "agents.sqlite")
    url: str = request.getfixturevalue("server")
    return url


@pytest.fixture
def undisturbed() -> Any:
    """What the graph knows where nobody kills it."""
    graph, config = build(InMemorySaver()), {"configurable": {"thread_id": "thread"}}
    graph.invoke({"topic": "monads"}, config)  # type: ignore[arg-type] a config is any dictionary
    done = graph.invoke(Command(resume="both"), config)  # type: ignore[arg-type]
    return plain(done)


@pytest.mark.parametrize("awaits", [False, True], ids=["sync", "async"])
def test_a_graph_killed_in_every_turn_goes_on(where: str, tmp_path: Path, undisturbed: Any, *, awaits: bool) -> None:
    turns = Turns(where, tmp_path, awaits=awaits)
    turns.kill("search", input={"topic": "monads"})
    turns.kill("ask")
    asked = turns.take()
    assert asked["found"] == ["a memory", "a book"]
    assert "answer" not in asked
    turns.kill("write", resume="both")
    turns.kill("end")
    assert turns.take() == undisturbed
    # What was running is run again, and nothing else. `recall` may have been done when `search` was killed, or not.
    again = turns.nodes() - Counter(ONCE)
    assert again - Counter(["recall"]) == Counter(["search", "ask", "write", "end"])


@pytest.mark.parametrize("awaits", [False, True], ids=["sync", "async"])
def test_two_graphs_killed_in_different_places_do_not_meet(
    where: str, tmp_path: Path, undisturbed: Any, *, awaits: bool
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (Turns(where, tmp_path / name, awaits=awaits) for name in ("one", "two"))
    one.kill("plan", input={"topic": "monads"})
    two.kill("ask", input={"topic": "functors"})
    one.take()
    two.take()
    assert one.take(resume="both") == undisturbed
    assert two.take(resume="one")["draft"]["title"] == "functors"
