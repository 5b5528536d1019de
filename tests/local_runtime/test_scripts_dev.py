"""`scripts/dev` as people and programs use it: one line when it is ready, clear refusals, nothing left behind."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest

from support.postgres import new_folder
from tools.checkout import ROOT
from tools.local.ports import free_port

PATIENCE_SECONDS = 60


@contextmanager
def scripts_dev(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [ROOT / "scripts/dev", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def read_until(stream: IO[str] | None, text: str) -> str:
    assert stream is not None
    for line in stream:
        if text in line:
            return line
    raise AssertionError(f"{text!r} was never said")


def processes_in(folder: Path) -> list[psutil.Process]:
    """What works in the state folder or below it: everything that serves a Worker does."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(folder)
    ]


def wait_until_empty(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while processes := processes_in(folder):
        assert time.monotonic() < deadline, processes
        time.sleep(0.05)


def wait_until_healthy(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/api/health").raise_for_status()
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_says_when_it_is_ready_and_ends_cleanly_by_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    with scripts_dev(f"--port={port}", f"--state={tmp_path}", "--store=d1", "--service-key=tk_secret") as process:
        assert read_until(process.stdout, "") == f"ready http://127.0.0.1:{port} store=d1\n"
        assert httpx.get(f"http://127.0.0.1:{port}/api/health").status_code == 200
        assert [each.info["name"] for each in processes_in(tmp_path)].count("workerd") == 2
        process.send_signal(signal.SIGINT)
        output, progress = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert output == ""
    assert "GET /api/health 200 OK" in progress
    assert "Traceback" not in progress
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(("store", "number"), [("sqlite", signal.SIGTERM), ("postgres", signal.SIGINT)])
def test_it_serves_the_plain_server_and_ends_it_by_a_signal(store: str, number: signal.Signals) -> None:
    state, port = new_folder(), free_port()
    state.chmod(0o755)  # Postgres does not run as root, and must get to its data
    arguments = (f"--port={port}", f"--state={state}", f"--store={store}", "--service-key=tk_secret")
    url = f"http://127.0.0.1:{port}/api/conversations"
    service = {"Authorization": "Bearer tk_secret", "X-User-Id": "ada"}
    for fresh, count in ((), 1), ((), 2), (("--fresh",), 1):
        with scripts_dev(*arguments, *fresh) as process:
            assert read_until(process.stdout, "") == f"ready http://127.0.0.1:{port} store={store}\n"
            for headers in (service, {}):  # without credentials it is the user `developer`
                assert httpx.post(url, json={}, headers=headers).status_code == 201
                assert len(httpx.get(url, headers=headers).json()["conversations"]) == count
            process.send_signal(number)
            output, progress = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, output) == (0, "")
        assert '"route":"/api/conversations","status":201' in progress
        assert "Traceback" not in progress
        assert processes_in(state) == []


def test_it_may_be_ended_while_it_starts(tmp_path: Path) -> None:
    with scripts_dev("--port=0", f"--state={tmp_path}") as process:
        read_until(process.stderr, "starting workerd")
        process.send_signal(signal.SIGTERM)
        output, progress = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output, progress) == (0, "", "")
    assert processes_in(tmp_path) == []


def test_a_worker_that_crashes_is_started_again_and_goes_even_when_what_started_it_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with scripts_dev(f"--port={port}", f"--state={tmp_path}") as process:
        read_until(process.stdout, "ready")
        for each in processes_in(tmp_path):
            if each.info["name"] == "workerd":
                each.kill()
        read_until(process.stderr, "the Worker has crashed: starting again")
        read_until(process.stderr, "starting workerd")
        wait_until_healthy(port)
        process.kill()
        process.wait()
        wait_until_empty(tmp_path)


def refusal(*arguments: str) -> str:
    """The one line that it refuses with."""
    with scripts_dev(*arguments) as process:
        output, message = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    assert output == ""
    assert len(message.splitlines()) == 1, message
    return message


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = refusal(f"--port={port}", f"--state={tmp_path}")
        assert f"port {port} is not available (Address already in use)" in said


def test_a_port_that_cannot_be_is_named(tmp_path: Path) -> None:
    assert "port 70000 is not available" in refusal("--port=70000", f"--state={tmp_path}")


def test_a_service_key_begins_with_its_prefix(tmp_path: Path) -> None:
    assert "a service key begins with tk_" in refusal("--service-key=secret", f"--state={tmp_path}")


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot keep data in" in refusal("--port=0", f"--state={tmp_path / 'file'}")


def test_an_old_python_is_told_so() -> None:
    program = "import sys; sys.version_info = (3, 10, 4); import tools"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr == "Python 3.11 or newer is needed, and this is 3.10.4: run the script with a newer python3.\n"
