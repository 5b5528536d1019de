"""What patches the SDK or the runtime may find a name gone, or a hook that is not called: every request is answered."""

from collections.abc import Iterator

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS, worker
from support.in_process import as_user

API = "/api/conversations"
REMOVED = (
    "nothing",
    "python_from_rpc",
    "python_to_rpc",
    "conversions that were taken before",
    "_set_running_loop",
    "call_soon",
    "__signature__",
)


@pytest.fixture(scope="module", params=WORKERS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with worker(request.param, tmp_path_factory.mktemp("unpatched"), "unpatched_entry") as running:
        yield running.url


@pytest.mark.parametrize("name", REMOVED)
def test_without_what_it_patches_a_worker_answers_all_the_same(url: str, name: str) -> None:
    headers = {**as_user(f"without {name}".replace(" ", "-")), "X-Without": name}
    message = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    with httpx.Client(base_url=url, headers=headers, timeout=REQUEST_SECONDS) as client:

        def ask(method: str, path: str, **options: object) -> httpx.Response:
            return client.request(method, path, **options).raise_for_status()  # type: ignore[arg-type]

        assert ask("GET", "/api/health").json()["status"] == "ok"
        own = f"{API}/{ask('POST', API, json={'title': 'Kept', 'messages': [message]}).json()['id']}"
        ask("POST", f"{own}/messages", json=message)
        assert [each["seq"] for each in ask("GET", f"{own}/messages").json()["messages"]] == [1, 2]
        assert len(ask("GET", f"{API}/search", params={"q": "hello"}).json()["hits"]) == 2
        assert len(ask("GET", "/api/export").json()["conversation"]["messages"]) == 2
        assert ask("DELETE", own).status_code == 204
        assert ask("GET", API).json()["conversations"] == []
        assert client.get(own).status_code == 404
