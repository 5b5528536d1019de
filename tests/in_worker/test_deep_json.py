"""JSON nested without end, which would overflow the stack in workerd and take every later request with it."""

from base64 import urlsafe_b64encode

import httpx
import pytest

from support.backends import WORKER_ON_POSTGRES, WORKERS, running_worker
from support.in_process import as_user

DEEP = {
    "lists": b"[" * 50_000 + b"]" * 50_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "left open": b"[" * 100_000,
}


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


@pytest.fixture(params=[*WORKERS, WORKER_ON_POSTGRES])
def url(request: pytest.FixtureRequest) -> str:
    return f"{running_worker(request.param, request).url}/api/conversations"


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
def test_a_body_nested_without_end_is_refused_and_the_worker_goes_on(url: str, deep: bytes) -> None:
    for body in (deep, b'{"metadata":%b}' % deep, b'{"messages":[{"role":"user","content":%b}]}' % deep):
        response = httpx.post(url, content=body, headers={**as_user("u"), "Content-Type": "application/json"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid")
    assert httpx.get(url, headers=as_user("u")).status_code == 200


@pytest.mark.parametrize("deep", [part[:5_000] for part in DEEP.values()], ids=DEEP)
def test_a_token_nested_without_end_is_refused_and_the_worker_goes_on(url: str, deep: bytes) -> None:
    good = encoded(b'{"alg":"HS256","typ":"JWT"}')
    for token in (f"{encoded(deep)}.e30.x", f"{good}.{encoded(deep)}.x"):
        response = httpx.get(url, headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated")
    assert httpx.get(url, headers=as_user("u")).status_code == 200
