"""A user's object that fails: the Worker before it answers in its place, and does not say why."""

from collections.abc import Iterator

import httpx
import pytest

from support.backends import REQUEST_SECONDS
from support.in_process import as_user
from threadkeep.ids import new_id
from tools.local.worker import LocalWorker

API = "/api/conversations"
FAIL = {"X-Fail": "now", "X-Request-Id": "mine"}


@pytest.fixture
def client(durable_object_worker: LocalWorker) -> Iterator[httpx.Client]:
    user = as_user(f"failing-{new_id()}")
    with httpx.Client(base_url=durable_object_worker.url, timeout=REQUEST_SECONDS, headers=user) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_an_object_that_fails_is_unavailable_and_says_no_more(client: httpx.Client, method: str) -> None:
    body = {"content": b" " * 1_000_000} if method == "POST" else {}
    response = client.request(method, API, headers={"Content-Type": "application/json", **FAIL}, **body)
    assert response.status_code == 503
    assert (response.headers["x-request-id"], response.headers["retry-after"]) == ("mine", "1")
    assert "secret" not in response.text
    assert method == "HEAD" or response.json()["error"]["code"] == "unavailable"


def test_after_it_has_failed_it_answers_again(client: httpx.Client) -> None:
    created = client.post(API, json={"title": "Kept"}).json()
    assert client.get(f"{API}/{created['id']}", headers=FAIL).status_code == 503
    assert client.get(f"{API}/{created['id']}").json()["title"] == "Kept"
