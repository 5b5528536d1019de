"""Measures how long a message takes from when it is sent until each of many who follow the changes has it."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tools.bench.estimates import estimate
from tools.bench.rounds import Lab
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker

LISTENERS = 50
PREFIX = "live-"
STORES: dict[str, type[LocalServer] | type[LocalWorker]] = {
    "memory": LocalServer,
    "sqlite": LocalServer,
    "postgres": LocalServer,
    "durable-object": LocalWorker,
    "d1": LocalWorker,
}
OPERATIONS = tuple(f"{PREFIX}{store}" for store in STORES)
_COUNT, _COUNT_MIN = 30, 2
"""Messages of a round."""
_PAUSE_SECONDS = 0.2, 1.2
"""From one message to the next: from the least to the most, so that those who ask now and then are met at any time."""
_GOLDEN = 0.618034
_COME_AGAIN_SECONDS = 0.1
_KEY = "tk_local"
_API = "/api/conversations"

Row = dict[str, Any]


def live(lab: Lab, only: str) -> list[Row]:
    """The time until a message has arrived, over each of the stores."""
    stores = [store for store in STORES if f"{PREFIX}{store}".startswith(only)]
    lab.progress.expect(len(stores) * (lab.effort.rounds + 1))
    return [_over(lab, store) for store in stores]


def _over(lab: Lab, store: str) -> Row:
    folder: Path = lab.folder / f"{PREFIX}{store}"
    service = STORES[store]
    with service(folder, store=store, service_key=_KEY, fresh=True) as running:
        seconds = asyncio.run(_medians(lab, store, running.url))
    where = "a server" if service is LocalServer else "a Worker"
    return {"store": store, "where": where, **estimate([1_000 * each for each in seconds]).rounded()}


async def _medians(lab: Lab, store: str, url: str) -> list[float]:
    """The median of each round. The first round warms up, and is not counted."""
    headers = {"Authorization": f"Bearer {_KEY}", "X-User-Id": "bench-live"}
    count = max(_COUNT_MIN, round(_COUNT * lab.effort.scale))
    medians: list[float] = []
    async with followed(url, headers) as devices:
        for number in range(lab.effort.rounds + 1):
            found = await devices.seconds_until_heard(count)
            medians += [statistics.median(found)] if number else []
            lab.progress.step(f"{PREFIX}{store}")
    return medians


class Devices:
    """Devices of one user who follow the changes, and one that writes."""

    def __init__(self, client: httpx.AsyncClient, conversation_id: str, count: int) -> None:
        self._client = client
        self._path = f"{_API}/{conversation_id}/messages"
        self._count = count
        self._sent = 0
        self._heard: dict[str, list[float]] = {}
        self._came = asyncio.Condition()
        self._ready = 0

    async def follow(self, url: str) -> None:
        """Follow the changes, and come again whenever an answer ends."""
        last: dict[str, str] = {}
        while True:
            with suppress(httpx.TransportError):  # such as an end in the middle
                async with self._client.stream("GET", f"{url}{_API}/changes/stream", headers=last) as response:
                    # As many as may be follow: whoever comes again may find the stream before not ended yet.
                    async for line in response.aiter_lines() if response.is_success else _nothing():
                        name, _, value = line.partition(": ")
                        if name == "id":
                            self._ready += not last
                            last["Last-Event-ID"] = value
                        elif name == "data":
                            await self._hear(json.loads(value))
            await asyncio.sleep(_COME_AGAIN_SECONDS)

    async def wait_until_ready(self) -> None:
        """Wait until all have been told where to begin."""
        async with self._came:
            await self._came.wait_for(lambda: self._ready == self._count)

    async def seconds_until_heard(self, count: int) -> list[float]:
        """Send so many messages, one after the other; return how long each took to each of the devices."""
        found: list[float] = []
        for _ in range(count):
            self._sent += 1
            least, most = _PAUSE_SECONDS
            await asyncio.sleep(least + (most - least) * (self._sent * _GOLDEN % 1))
            message = {"id": f"message-{self._sent}", "role": "user", "content": "Hello"}
            began = time.monotonic()
            heard = await self._heard_of(message)
            found += [each - began for each in heard]
        return found

    async def _heard_of(self, message: dict[str, str]) -> list[float]:
        """Send a message; return when each of the devices had it."""
        heard = self._heard[message["id"]] = []
        (await self._client.post(self._path, json=message)).raise_for_status()
        async with self._came:
            await self._came.wait_for(lambda: len(heard) >= self._count)
        return heard

    async def _hear(self, changes: Mapping[str, Any]) -> None:
        now = time.monotonic()
        for message in changes["messages"]:
            self._heard[message["id"]].append(now)
        async with self._came:
            self._came.notify_all()


async def _nothing() -> AsyncIterator[str]:
    """No lines."""
    lines: tuple[str, ...] = ()
    for line in lines:
        yield line


@asynccontextmanager
async def followed(url: str, headers: Mapping[str, str], count: int = LISTENERS) -> AsyncIterator[Devices]:
    """So many devices that follow the changes of one user, as long as the context lasts."""
    limits = httpx.Limits(max_connections=count + 10)
    async with httpx.AsyncClient(base_url=url, headers=dict(headers), timeout=60, limits=limits) as client:
        created = await client.post(_API, json={})
        devices = Devices(client, created.raise_for_status().json()["id"], count)
        following = [asyncio.create_task(devices.follow(url)) for _ in range(count)]
        try:
            await devices.wait_until_ready()
            yield devices
        finally:
            for each in following:
                each.cancel()
            await asyncio.gather(*following, return_exceptions=True)
