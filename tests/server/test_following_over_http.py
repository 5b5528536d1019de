"""Following a journal on the plain server: whoever goes away leaves nothing running, and nobody follows too much."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from support.backends import server
from support.in_process import as_user
from tools.local.server import LocalServer

ENTRIES = "/api/journals/runs/1/entries"
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_whoever_goes_away_is_noticed_within_seconds(running: LocalServer) -> None:
    with httpx.Client(base_url=running.url, headers=as_user("alice"), timeout=30) as client:
        client.post(ENTRIES, json={"entries": [{"data": 1}], "create": True}).raise_for_status()
        for _ in range(3):
            with client.stream("GET", ENTRIES, headers=EVENTS) as response:
                assert next(response.iter_raw()).startswith(b"retry: ")
        deadline = time.monotonic() + 15
        while len(ended := answers_in(running)) < 3:
            assert time.monotonic() < deadline, running.log_path.read_text()
            time.sleep(0.05)
        assert [fields["status"] for fields in ended] == [499] * 3
        assert max(fields["milliseconds"] for fields in ended) < 10_000


def answers_in(running: LocalServer) -> list[dict[str, float]]:
    """What was logged of those who followed."""
    lines = [json.loads(line) for line in running.log_path.read_text().splitlines() if line.startswith("{")]
    return [each for each in lines if each.get("route", "").endswith("/entries") and each.get("method") == "GET"]
