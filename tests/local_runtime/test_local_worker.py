"""The Worker that scripts and tests start: real workerd, real storage, Python at the rules of a deploy."""

import hashlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.checkout import Problem
from toolbox.processes import living_processes
from toolbox.worker import LocalWorker


def get(worker: LocalWorker, path: str) -> Any:
    return httpx.get(f"{worker.url}{path}").raise_for_status().json()


def post(worker: LocalWorker, path: str, body: str) -> Any:
    return httpx.post(f"{worker.url}{path}", content=body).raise_for_status().json()


def eventually(ask: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + 60
    while (answer := ask()) != expected:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


def test_a_worker_has_every_handler_and_the_variables_of_a_developer(project: Path, tmp_path: Path) -> None:
    variables = {"GREETING": "hi"}
    with LocalWorker(tmp_path / "state", project=project, service_key="tk_secret", variables=variables) as worker:
        answer = get(worker, "/")
        assert answer["GREETING"] == "hi"
        assert answer["ENVIRONMENT"] == "development"
        assert answer["AUTH_DEV_USER"] == "developer"
        assert answer["AUTH_SERVICE_KEYS"] == hashlib.sha256(b"tk_secret").hexdigest()
        assert answer["AGENT_CONVERSATION_STORE"] == "durable-object"
        assert answer["random"] != get(worker, "/")["random"]

        assert post(worker, "/object/mallory", "for mallory") == ["for mallory"]
        httpx.put(f"{worker.url}/object/alice")
        eventually(lambda: get(worker, "/object/alice"), ["alarm of alice"])
        httpx.get(f"{worker.url}/later")
        eventually(lambda: get(worker, "/object/later"), ["written later"])
        httpx.get(f"{worker.url}/cdn-cgi/handler/scheduled?cron=0+3+*+*+*")
        eventually(lambda: get(worker, "/object/scheduled"), ["0 3 * * *"])

        assert httpx.get(f"{worker.url}/mistake").status_code == 500
        eventually(lambda: "ValueError: a mistake in a request" in worker.log_path.read_text(), True)


def test_what_was_stored_survives_a_power_cut_but_not_a_fresh_start(project: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with LocalWorker(state, project=project, store="d1") as worker:
        post(worker, "/d1", "in D1")
        post(worker, "/object/alice", "in an object")
        worker.kill()
    with LocalWorker(state, project=project, store="d1") as worker:
        assert get(worker, "/d1") == ["in D1"]
        assert get(worker, "/object/alice") == ["in an object"]
    with LocalWorker(state, project=project, store="d1", fresh=True) as worker:
        assert get(worker, "/d1") == []
        assert get(worker, "/object/alice") == []


def test_a_restart_runs_the_files_of_now_and_applies_new_migrations(project: Path, tmp_path: Path) -> None:
    entry = project / "src/entry.py"
    with LocalWorker(tmp_path / "state", project=project, store="d1") as worker:
        port = worker.port
        post(worker, "/d1", "before")
        assert not worker.has_changed_files()
        entry.write_text(f"from nowhere import something\n{entry.read_text()}")
        assert worker.has_changed_files()
        with pytest.raises(Problem, match="No module named 'nowhere'"):
            worker.restart()
        entry.write_text(entry.read_text().partition("\n")[2].replace("FROM note", "FROM memo"))
        (project / "migrations/sqlite/0002_memo.sql").write_text("ALTER TABLE note RENAME TO memo;\n")
        worker.restart()
        assert get(worker, "/d1") == ["before"]
        assert worker.port == port


def test_two_workers_run_side_by_side(project: Path, tmp_path: Path) -> None:
    workers = [LocalWorker(tmp_path / name, project=project) for name in ("one", "two")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(LocalWorker.start, workers))
    try:
        post(workers[0], "/object/alice", "in the first")
        assert get(workers[0], "/object/alice") == ["in the first"]
        assert get(workers[1], "/object/alice") == []
    finally:
        for worker in workers:
            worker.stop()


def test_another_entry_module_may_import_ours(project: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "other_entry.py").write_text(
        "from entry import Default as Ours, Notes\nfrom workers import Response\n"
        "class Default(Ours):\n    async def fetch(self, request):\n        return Response.json('other')\n"
    )
    with LocalWorker(tmp_path / "state", project=project, main="other_entry", extra_sources=[extra]) as worker:
        assert get(worker, "/") == "other"


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("import uuid; uuid.uuid4()", "Randomness is not allowed while a Worker is starting"),
        ("import asyncio; asyncio.get_event_loop().call_later(1, print)", "setting a timeout"),
        ("import js; held = js.Object.new()", "Can't serialize top-level variable"),
        ("raise SystemExit", "ExitStatus"),
    ],
)
def test_what_a_deploy_would_refuse_at_import_fails_the_start(
    project: Path, tmp_path: Path, statement: str, refusal: str
) -> None:
    (project / "src/entry.py").write_text(f"{statement}\n{(project / 'src/entry.py').read_text()}")
    with pytest.raises(Problem, match=refusal):
        LocalWorker(tmp_path / "state", project=project).start()


def test_a_worker_that_ends_by_itself_is_noticed_and_leaves_no_process(project: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with LocalWorker(state, project=project) as worker:
        worker.check()
        os.kill(min(worker.workerd_ids()), signal.SIGKILL)
        with pytest.raises(Problem, match="workerd has ended by itself"):
            eventually(worker.check, "never")
    assert not [process for process in living_processes() if is_at_work_in(process.id, state)]


def is_at_work_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == folder
    except OSError:
        return False


def test_a_state_folder_serves_one_worker_at_a_time(project: Path, tmp_path: Path) -> None:
    with (
        LocalWorker(tmp_path / "state", project=project),
        pytest.raises(Problem, match=r"another Worker runs on .*/state: stop it, or name another"),
    ):
        LocalWorker(tmp_path / "state", project=project).start()


def test_a_folder_that_holds_something_else_is_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").write_text("Dear")
    with pytest.raises(Problem, match="letters holds something else"):
        LocalWorker(tmp_path / "letters", project=project, fresh=True).start()
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]
