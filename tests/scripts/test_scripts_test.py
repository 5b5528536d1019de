"""scripts/test, called as nobody should call it, interrupted, and without a network."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.local.processes import living_processes

NO_NETWORK = {
    name: "http://127.0.0.1:9"  # where nobody listens
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    for name in (proxy, proxy.lower())
}
CONFTEST = f"""
import sys
sys.path.append({str(ROOT / "tests")!r})
from support.interrupts import pytest_keyboard_interrupt
"""
WAITING = """
import subprocess, time
import pytest

@pytest.fixture
def service():
    other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield other.pid
    time.sleep(1.5)  # a second later it is told once more
    print("stopped", flush=True)

def test_it_waits(service):
    print(service, flush=True)
    time.sleep(1000)
"""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, str(ROOT / "scripts/test"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tier", "slow"], "argument --tier: invalid choice: 'slow' (choose from"),
        (["--tier"], "argument --tier: expected one argument"),
        (["--fast", "--tier", "worker"], "argument --tier: not allowed with argument --fast"),
        (["--changed", "--fast"], "argument --fast: not allowed with argument --changed"),
    ],
)
def test_a_tier_that_there_is_not_is_refused_in_a_line(arguments: list[str], says: str) -> None:
    finished = run(*arguments)
    assert finished.returncode == 2
    assert says in finished.stderr.splitlines()[-1]
    assert finished.stdout == ""


def test_where_everything_is_installed_it_needs_no_network() -> None:
    finished = run("tests/unit/test_clock.py", "-q", **NO_NETWORK)
    assert finished.returncode == 0, finished.stderr
    assert "passed" in finished.stdout


def test_when_it_is_interrupted_nothing_is_left_running(tmp_path: Path) -> None:
    waiting = tmp_path / "test_waiting.py"
    waiting.write_text(WAITING)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, str(ROOT / "scripts/test"), str(waiting), "-s", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    try:
        assert running.stdout is not None
        other = next(int(line) for line in iter(running.stdout.readline, "") if line.strip().isdecimal())
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does, for Ctrl-C
        output, errors = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "stopped" in output.splitlines()
    assert "Traceback" not in errors
    assert other not in {process.id for process in living_processes()}
    assert list(tmp_path.glob("__pycache__/test_waiting.*.pyc"))  # what is compiled is kept, whatever is set
