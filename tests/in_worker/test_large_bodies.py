"""Large bodies: an isolate takes one at a time, however they are sent, and small ones meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS, running_worker
from support.in_process import as_user
from threadkeep.worker import turnstile
from tools.local.worker import LocalWorker

pytestmark = pytest.mark.anyio

API = "/api/conversations"
TEXT = [{"type": "text", "text": "word " * 3_000}]
CONVERSATION = {"messages": [{"role": "user", "content": TEXT}] * 100}
LARGE = json.dumps(CONVERSATION).encode()
DOCUMENT = json.dumps({"version": 1, "conversation": CONVERSATION}).encode()
AT_ONCE = 4
PATIENCE = turnstile._WAIT_MILLISECONDS


@pytest.fixture(scope="module", params=WORKERS)
def running(request: pytest.FixtureRequest) -> Iterator[LocalWorker]:
    """A Worker in which nobody waits for whoever has a large body before them."""
    worker = running_worker(request.param, request)
    try:
        httpx.post(f"{worker.url}/patience", json={"milliseconds": 0}).raise_for_status()
        yield worker
    finally:
        httpx.post(f"{worker.url}/patience", json={"milliseconds": PATIENCE}).raise_for_status()


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize(
    ("path", "media_type", "body", "has_length"),
    [
        (API, "application/json", LARGE, True),
        (API, "application/json", LARGE, False),
        ("/api/import", "application/json", DOCUMENT, True),
        ("/api/import", "application/x-ndjson", DOCUMENT + b"\n" + DOCUMENT, False),
    ],
)
async def test_an_isolate_takes_one_large_body_at_a_time(
    running: LocalWorker, path: str, media_type: str, body: bytes, has_length: bool
) -> None:
    async with httpx.AsyncClient(base_url=running.url, timeout=REQUEST_SECONDS) as client:

        async def send(user_id: str) -> httpx.Response:
            headers = {**as_user(user_id), "Content-Type": media_type}
            content = body if has_length else in_pieces(body)
            return await client.post(path, content=content, headers=headers)

        sending = [asyncio.create_task(send(f"user-{number}")) for number in range(AT_ONCE)]
        while not any(sent.done() for sent in sending):
            small = await client.post(API, json={"title": "small"}, headers=as_user("somebody else"))
            assert small.status_code == 201
        responses = await asyncio.gather(*sending)
        taken = {response.status_code for response in responses}
        assert taken <= {200, 201, 503}
        assert len(taken) == 2
        for response in responses:
            if response.status_code == 503:
                assert response.json()["error"]["code"] == "unavailable"
                assert response.headers["retry-after"] == "1"
        assert (await send("user-0")).status_code in (200, 201)
