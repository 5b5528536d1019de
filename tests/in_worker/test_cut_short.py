"""An answer that is made while it is sent, and cannot be finished: it is cut off, and logged as what it is."""

import time
from collections.abc import Iterator

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS, worker
from support.in_process import as_user
from toolbox.worker import LocalWorker

API = "/api/conversations"


@pytest.fixture(scope="module", params=WORKERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    """A Worker of their own, in whose log nobody else writes."""
    with worker(request.param, tmp_path_factory.mktemp("cut")) as started:
        yield started


def log_with(running: LocalWorker, line: str) -> str:
    """What is in the log once it has this line, which wrangler passes on after the answer has ended."""
    deadline = time.monotonic() + 30
    while line not in (log := running.log_path.read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    return log


def test_an_export_that_is_overtaken_by_an_erasure_is_cut_off_and_logged_in_a_line(running: LocalWorker) -> None:
    content = [{"type": "text", "text": "x" * 1_000_000}]
    received = []
    with (
        httpx.Client(base_url=running.url, headers=as_user("ada"), timeout=REQUEST_SECONDS) as client,
        httpx.Client(base_url=running.url, headers=as_user("ada"), timeout=REQUEST_SECONDS) as other,
    ):
        for _ in range(30):  # more than what waits between the Worker and whoever reads slowly
            client.post(API, json={"messages": [{"role": "user", "content": content}]}).raise_for_status()
        with client.stream("GET", "/api/export") as export:
            pieces = export.iter_raw()
            received.append(next(pieces))
            assert other.delete("/api/me", params={"confirm": "ada"}).json()["conversations"] == 30
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                received.extend(pieces)
        assert other.get(API).json()["conversations"] == []
        log = log_with(running, "an answer was cut short: Everything was erased while it was exported.")
    assert 1 <= b"".join(received).count(b"\n") < 30
    assert "Traceback" not in log
    assert "PythonError" not in log


def test_whoever_goes_in_the_middle_of_an_export_leaves_no_error_behind(running: LocalWorker) -> None:
    content = [{"type": "text", "text": "x" * 1_000_000}]
    with httpx.Client(base_url=running.url, headers=as_user("bob"), timeout=REQUEST_SECONDS) as client:
        for _ in range(30):
            client.post(API, json={"messages": [{"role": "user", "content": content}]}).raise_for_status()
        with client.stream("GET", "/api/export") as export:
            next(export.iter_raw())
        for _ in range(5):
            assert len(client.get(API).json()["conversations"]) == 20
        log = running.log_path.read_text()
    assert "Traceback" not in log
    assert "PythonError" not in log
