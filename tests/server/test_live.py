"""Live changes on the plain server: each process hears what is written through another."""

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.backends import server
from support.in_process import as_user
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

API = "/api/conversations"
LISTENERS = 50
APPENDS = 15
SECONDS_MAX = 0.3


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_fifty_devices_hear_of_a_write_to_whichever_process(store: str, workers: int, tmp_path: Path) -> None:
    with server(tmp_path, store=store, workers=workers) as running:
        async with asyncio.timeout(60):
            took = await seconds_to_hear(running)
    assert len(took) == LISTENERS * APPENDS
    assert statistics.median(took) < SECONDS_MAX, (statistics.median(took), max(took))


async def seconds_to_hear(running: LocalServer) -> list[float]:
    """How long it takes each of the listeners to hear of each append."""
    took: list[float] = []
    sent: dict[str, float] = {}
    limits = httpx.Limits(max_connections=LISTENERS + 10)
    async with httpx.AsyncClient(headers=as_user("alice"), timeout=30, limits=limits) as client:
        ready = asyncio.Semaphore(0)

        async def listen(url: str) -> None:
            heard = 0
            async with client.stream("GET", f"{url}{API}/changes/stream") as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and (messages := json.loads(line[6:])["messages"]):
                        took.extend(time.monotonic() - sent[each["id"]] for each in messages)
                        heard += len(messages)
                    elif line.startswith("data: "):
                        ready.release()
                    if heard == APPENDS:
                        return

        body: dict[str, Any] = {"messages": []}
        conversation_id = (await client.post(f"{running.url}{API}", json=body)).raise_for_status().json()["id"]
        listeners = [asyncio.create_task(listen(running.url)) for _ in range(LISTENERS)]
        for _ in listeners:
            await ready.acquire()
        for number in range(APPENDS):
            message = {"id": f"m{number}", "role": "user", "content": "x"}
            sent[message["id"]] = time.monotonic()
            path = f"{running.url}{API}/{conversation_id}/messages"
            (await client.post(path, json={"messages": [message]})).raise_for_status()
            await asyncio.sleep(0.3)  # so that each is heard alone
        await asyncio.gather(*listeners)
    return took
