"""Who offers a WebSocket: workerd makes a GET of what they send, and nobody may take its answer for theirs."""

from collections.abc import Iterator

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS
from support.in_process import as_user
from threadkeep.ids import new_id
from tools.local.worker import LocalWorker

API = "/api/conversations"
WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "WebSocket"}


@pytest.fixture(params=WORKERS)
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    running: LocalWorker = request.getfixturevalue(f"{request.param.replace('-', '_')}_worker")
    user = as_user(f"upgrading-{new_id()}")
    with httpx.Client(base_url=running.url, timeout=REQUEST_SECONDS, headers=user) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_websocket_is_refused_and_the_connection_goes_on(client: httpx.Client, method: str) -> None:
    body = {"json": {"title": "Lost"}} if method == "POST" else {}
    refused = client.request(method, API, headers=WEBSOCKET, **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["details"] == {"path": "upgrade"}
    assert client.get(API).json()["conversations"] == []


def test_another_protocol_is_let_be(client: httpx.Client) -> None:
    offered = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    assert client.post(API, headers=offered, json={"title": "Kept"}).status_code == 201
    assert [each["title"] for each in client.get(API).json()["conversations"]] == ["Kept"]
