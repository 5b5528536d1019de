"""The store of sessions of the npm package, in a Worker, over a service binding to a Worker that is Threadkeep."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKER_FIXTURES, WORKERS
from support.in_process import SERVICE_KEY
from tools.checkout import ROOT
from tools.local.lifecycle import wait_for_answer
from tools.local.ports import free_port
from tools.local.processes import Group, last_lines
from tools.local.runtime import workerd
from tools.local.worker import LocalWorker

CONFIGURATION = """\
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "sessions", worker = .sessions),
    (name = "threadkeep", external = (address = "127.0.0.1:{threadkeep}", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "sessions")],
);

const sessions :Workerd.Worker = (
  modules = [
{modules}
  ],
  bindings = [(name = "THREADKEEP", service = "threadkeep")],
  compatibilityDate = "2026-09-01",
);
"""
TIME = "2026-06-03T00:00:00.000Z"


@pytest.fixture(scope="module", params=WORKERS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the Worker of sessions answers. It has the package as it is, without a build and without Flue."""
    threadkeep: LocalWorker = request.getfixturevalue(WORKER_FIXTURES[request.param])
    folder, port = tmp_path_factory.mktemp("sessions"), free_port()
    shutil.copy(Path(__file__).with_name("flue_sessions.js"), folder / "main.js")
    shutil.copytree(ROOT / "packages/threadkeep/src", folder / "threadkeep/src")
    names = ["main.js", *(str(file.relative_to(folder)) for file in sorted(folder.glob("threadkeep/src/*.js")))]
    modules = "\n".join(f'    (name = "{name}", esModule = embed "{name}"),' for name in names)
    written = CONFIGURATION.format(threadkeep=threadkeep.port, port=port, modules=modules)
    (folder / "config.capnp").write_text(written)
    group = Group([workerd(), "serve", "config.capnp"], cwd=folder, log=folder / "log")
    try:
        assert wait_for_answer(group, port, "/", 30) is not None, last_lines(folder / "log", 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        group.stop()


def called(url: str, user: str, *calls: Any, **options: str) -> list[Any]:
    """What each call of the store returned, by its method and arguments."""
    body = {"options": {"key": SERVICE_KEY, "user": f"flue-{user}", **options}, "calls": calls}
    content = json.dumps(body)  # in ASCII, since half a surrogate is no UTF-8
    answers = httpx.post(url, content=content, timeout=REQUEST_SECONDS).json()
    return [answer.get("returned", answer) for answer in answers]


def entry(id_: str) -> dict[str, Any]:
    return {"type": "message", "id": id_, "parentId": None, "timestamp": TIME, "message": {"text": id_}}


def session(*ids: str, **more: Any) -> dict[str, Any]:
    fixed = {"version": 5, "affinityKey": "a", "metadata": {}, "createdAt": TIME, "updatedAt": TIME}
    return {**fixed, "entries": [entry(id_) for id_ in ids], "leafId": ids[-1] if ids else None, **more}


def test_sessions_are_saved_loaded_and_deleted_over_a_service_binding(url: str) -> None:
    key = 'agent-session:["agent-1","default","default"]'
    first, second = session("a", "b"), session("a", "c", updatedAt="2026-06-04T00:00:00.000Z")
    answers = called(
        *(url, "all", ["load", key], ["save", key, first], ["load", key], ["save", key, second], ["load", key]),
        *(["delete", key], ["load", key], ["delete", key]),
    )
    assert answers == [None, None, first, None, second, None, None, None]


def test_another_isolate_finds_them_and_another_user_does_not(url: str) -> None:
    assert called(url, "one", ["save", "s", session("a")]) == [None]
    delta = {"version": 5, "leafId": "b", "newEntries": [entry("b")], "removedEntryIds": ["a"]}
    assert called(url, "one", ["load", "s"], ["saveDelta", "s", delta]) == [session("a"), None]
    assert called(url, "one", ["load", "s"]) == [session("b")]
    assert called(url, "other", ["load", "s"]) == [None]


def test_a_session_of_many_megabytes_comes_back(url: str) -> None:
    large = session(*(f"{number}-{'x' * 50_000}"[:500] for number in range(40)), metadata={"cut": "\ud83d"})
    large["entries"][3]["message"]["text"] = "é" * 1_200_000
    [_, found] = called(url, "large", ["save", "s", large], ["load", "s"])
    assert found == large


def test_conflicts_and_a_wrong_key_are_errors_that_say_what_to_do(url: str) -> None:
    assert called(url, "conflict", ["save", "s", session("a")]) == [None]
    [refused] = called(url, "conflict", ["save", "s", session("b")], conflict="error")
    assert refused["failed"] == "SessionConflict"
    assert "Load it again, then repeat the change." in refused["message"]
    [refused] = called(url, "conflict", ["load", "s"], key="wrong")
    assert refused["failed"] == "ThreadkeepError"
