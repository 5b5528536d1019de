"""A Worker that was started from its snapshot, as Cloudflare does: no request imports anything, not even the first."""

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKER_ON_POSTGRES, WORKERS, worker
from support.in_process import as_user
from threadkeep.http.public import PUBLIC_ROUTES
from threadkeep.http.routes import ROUTES

API = "/api/conversations"


@pytest.mark.parametrize("name", [*WORKERS, WORKER_ON_POSTGRES])
def test_no_request_of_any_kind_imports_anything(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    running = worker("postgres" if name == WORKER_ON_POSTGRES else name, tmp_path_factory.mktemp("cold"))
    message = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    document = {"version": 1, "conversation": {"title": "T", "messages": [message]}}
    with (
        running,
        httpx.Client(base_url=running.url, timeout=REQUEST_SECONDS, headers=as_user("cold")) as client,
    ):
        asked = set()

        def ask(method: str, path: str, pattern: str | None = None, **options: object) -> httpx.Response:
            asked.add((method, pattern or path))
            response = client.request(method, path, **options)  # type: ignore[arg-type]
            assert response.is_success
            imported = client.get("/imports").json()
            assert imported == [], (method, path)
            return response

        created = ask("POST", API, json={"title": "First", "messages": [message]}).json()["id"]
        own, pattern = f"{API}/{created}", f"{API}/{{id}}"
        ask("POST", f"{own}/messages", f"{pattern}/messages", json=message)
        ask("GET", f"{own}/messages", f"{pattern}/messages")
        ask("GET", f"{API}/search", params={"q": '"hello" fir'})
        ask("GET", "/api/export")
        ask("GET", f"{own}/export", f"{pattern}/export")
        ask("POST", "/api/import", json=document)
        ask("GET", f"{API}/changes", params={"since": "0"})
        ask("GET", API)
        ask("GET", own, pattern)
        ask("PATCH", own, pattern, json={"title": "Second"})
        ask("DELETE", own, pattern)
        ask("POST", f"{own}/restore", f"{pattern}/restore")
        for route in PUBLIC_ROUTES:
            ask(route.method, route.path)
        assert client.get(API, headers={"Authorization": "Bearer a.b.c"}).status_code == 401
        assert client.post(API, content=b"{").status_code == 415
        ask("DELETE", "/api/me", params={"confirm": "cold"})
        assert asked == {(route.method, route.path) for route in [*ROUTES, *PUBLIC_ROUTES]}
