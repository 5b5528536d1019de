"""The Worker that scripts and tests start: real workerd, real storage, Python at the rules of a deploy."""

import hashlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tools.checkout import Problem
from tools.local.state import MARK
from tools.local.worker import LocalWorker

REFUSED = """
import asyncio
import uuid

refusals = []
for attempt in (lambda: asyncio.get_event_loop().call_later(1, print), uuid.uuid4):
    try:
        attempt()
    except BaseException as error:
        refusals.append(" ".join(str(error).split()))
raise RuntimeError(" BESIDES ".join(refusals))
"""


def get(worker: LocalWorker, path: str) -> Any:
    return httpx.get(f"{worker.url}{path}").raise_for_status().json()


def post(worker: LocalWorker, path: str, body: str) -> Any:
    return httpx.post(f"{worker.url}{path}", content=body).raise_for_status().json()


def eventually(ask: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + 60
    while (answer := ask()) != expected:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


def test_a_fresh_worker_has_every_handler_and_another_runs_beside_it_and_outlives_it(
    project: Path, tmp_path: Path
) -> None:
    """The other has another entry module, which imports the first's."""
    state, variables = tmp_path / "state", {"GREETING": "hi"}
    (state / "data").mkdir(parents=True)
    (state / MARK).touch()
    (state / "data/earlier").write_text("of an earlier run")
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "other_entry.py").write_text(
        "from entry import Default as Ours, Notes\nfrom workers import Response\n"
        "class Default(Ours):\n    async def fetch(self, request):\n"
        "        return Response.json('other') if request.url.endswith('/') else await super().fetch(request)\n"
    )
    worker = LocalWorker(state, project=project, service_key="tk_secret", variables=variables, fresh=True)
    other = LocalWorker(tmp_path / "other", project=project, main="other_entry", extra_sources=[extra])
    with ThreadPoolExecutor() as pool, ExitStack() as stopping:
        list(pool.map(stopping.enter_context, (worker, other)))
        assert not (state / "data/earlier").exists()
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

        with pytest.raises(Problem, match=r"another Worker runs on .*/state: stop it, or name another"):
            LocalWorker(state, project=project).start()

        assert get(other, "/") == "other"
        assert get(other, "/object/alice") == []

        # One ends by itself: that is noticed, and it leaves no process.
        worker.check()
        os.kill(min(worker.workerd_ids()), signal.SIGKILL)
        with pytest.raises(Problem, match="workerd has ended by itself"):
            eventually(worker.check, "never")
        worker.stop()
        assert not [process for process in psutil.process_iter() if is_at_work_in(process, state)]
        other.check()
        assert get(other, "/") == "other"


def test_what_was_stored_survives_a_power_cut_and_a_restart_with_other_files(project: Path, tmp_path: Path) -> None:
    state, entry = tmp_path / "state", project / "src/entry.py"
    with LocalWorker(state, project=project, store="d1") as worker:
        post(worker, "/d1", "in D1")
        post(worker, "/object/alice", "in an object")
        worker.kill()
    with LocalWorker(state, project=project, store="d1") as worker:
        assert get(worker, "/d1") == ["in D1"]
        assert get(worker, "/object/alice") == ["in an object"]

        # A restart runs the files of now, and applies new migrations.
        port, text = worker.port, entry.read_text()
        assert not worker.has_changed_files()
        entry.write_text(f"{REFUSED}{text}")
        assert worker.has_changed_files()
        with pytest.raises(Problem, match=r"setting a timeout.* BESIDES .*Randomness is not allowed"):
            worker.restart()
        entry.write_text(text.replace('prepare("SELECT body FROM note")', 'prepare("SELECT body FROM memo")'))
        (project / "migrations/sqlite/0002_memo.sql").write_text("ALTER TABLE note RENAME TO memo;\n")
        worker.restart()
        assert get(worker, "/d1") == ["in D1"]
        assert get(worker, "/object/alice") == ["in an object"]
        assert worker.port == port


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("import js; held = js.Object.new()", "Can't serialize top-level variable"),
        ("raise SystemExit", "ExitStatus"),
        # And randomness and timers, as the restart above shows.
    ],
)
def test_what_a_deploy_would_refuse_at_import_fails_the_start(
    project: Path, tmp_path: Path, statement: str, refusal: str
) -> None:
    (project / "src/entry.py").write_text(f"{statement}\n{(project / 'src/entry.py').read_text()}")
    with pytest.raises(Problem, match=refusal):
        LocalWorker(tmp_path / "state", project=project).start()


def is_at_work_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()) == folder
    except psutil.Error:
        return False


def test_a_folder_that_holds_something_else_is_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").write_text("Dear")
    with pytest.raises(Problem, match="letters holds something else"):
        LocalWorker(tmp_path / "letters", project=project, fresh=True).start()
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]
