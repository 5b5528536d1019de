"""Live changes on the plain server: each process hears what is written through another, and none holds up the end."""

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.backends import server
from support.in_process import as_user
from support.postgres import new_url
from support.streams import until
from threadkeep.server.limits import LIMITS
from threadkeep.server.serving import GRACE_SECONDS
from tools.bench.live import LISTENERS, followed
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

API = "/api/conversations"
STREAM = f"{API}/changes/stream"
APPENDS = 15
SECONDS_MAX = 0.3


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_fifty_devices_hear_of_a_write_to_whichever_process(store: str, workers: int, tmp_path: Path) -> None:
    with server(tmp_path, store=store, workers=workers) as running:
        async with asyncio.timeout(60), followed(running.url, as_user("alice")) as devices:
            took = await devices.seconds_until_heard(APPENDS)
    assert len(took) == LISTENERS * APPENDS
    assert statistics.median(took) < SECONDS_MAX, (statistics.median(took), max(took))


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_two_servers_over_one_database_tell_each_other(store: str, tmp_path: Path) -> None:
    url = new_url()
    with (
        server(tmp_path / "one", store=store, variables={"DATABASE_URL": url}) as one,
        second_server(tmp_path / "other", one, store, url) as other,
    ):
        async with asyncio.timeout(60), client_of("alice") as client:
            for listens, writes in ((one, other), (other, one)):
                async with client.stream("GET", f"{listens.url}{STREAM}") as response:
                    lines = response.aiter_lines()
                    await data_in(lines)
                    created = await client.post(f"{writes.url}{API}", json={})
                    (heard,) = (await data_in(lines))["conversations"]
                    assert heard["id"] == created.json()["id"]


def second_server(state: Path, first: LocalServer, store: str, url: str) -> LocalServer:
    """Another server, in a folder of its own, over what the first one keeps conversations in."""
    place = {"SQLITE_PATH": str(first.state.data / "threadkeep.sqlite")} if store == "sqlite" else {"DATABASE_URL": url}
    return server(state, store="auto", variables=place)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_server_ends_at_once_however_many_follow(workers: int, tmp_path: Path) -> None:
    with server(tmp_path, workers=workers) as running:
        async with asyncio.timeout(60), client_of("alice") as client:
            ready = asyncio.Semaphore(0)

            async def follow() -> None:
                async with client.stream("GET", f"{running.url}{STREAM}") as response:
                    lines = response.aiter_lines()
                    await data_in(lines)
                    ready.release()
                    async for _ in lines:  # to its proper end, or this raises
                        pass

            following = [asyncio.create_task(follow()) for _ in range(20)]
            for _ in following:
                await ready.acquire()
            began = time.monotonic()
            os.kill(running.group.id, signal.SIGTERM)
            assert await asyncio.to_thread(running.group.wait, 30) == 0
            assert time.monotonic() - began < GRACE_SECONDS / 2
            await asyncio.gather(*following)


async def test_who_takes_nothing_of_their_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        async with asyncio.timeout(60), client_of("alice") as client:
            message = {"role": "user", "content": "x" * 1_000_000}
            for _ in range(20):
                (await client.post(f"{running.url}{API}", json={"messages": [message]})).raise_for_status()
            _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1)
            head = "".join(f"{name}: {value}\r\n" for name, value in as_user("alice").items())
            writer.write(f"GET {STREAM}?since=0 HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
            await asyncio.sleep(2)  # until nothing more fits
            began = time.monotonic()
            os.kill(running.group.id, signal.SIGTERM)
            assert await asyncio.to_thread(running.group.wait, 30) == 0
            assert time.monotonic() - began < GRACE_SECONDS * 0.8
            writer.close()


async def test_of_200_who_come_and_go_nothing_is_left(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        process = psutil.Process(running.group.id)
        sizes = []
        for _ in range(4):
            async with asyncio.timeout(60):
                await come_and_go(running, 200)
                await until(lambda: len(process.net_connections()) == 1)
            sizes.append(process.memory_info().rss)
        assert len(process.children()) == 0
        assert sizes[3] - sizes[1] < 20_000_000, sizes


async def come_and_go(running: LocalServer, count: int) -> None:
    """So many connect, are told where to begin, and go without a word."""
    head = "".join(f"{name}: {value}\r\n" for name, value in as_user("alice").items())

    async def come(number: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        mine = head.replace("alice", f"alice{number}")
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\n{mine}\r\n".encode())
        await reader.readuntil(b"data: ")
        return writer

    for writer in await asyncio.gather(*(come(number) for number in range(count))):
        writer.transport.abort()


async def test_more_streams_of_a_user_than_may_be_are_refused_and_who_left_makes_room(
    running_server: LocalServer,
) -> None:
    limit = LIMITS.streams_of_user
    async with asyncio.timeout(60), client_of("greedy") as client, AsyncExitStack() as open_streams:

        async def follow(stack: AsyncExitStack) -> httpx.Response:
            return await stack.enter_async_context(client.stream("GET", f"{running_server.url}{STREAM}"))

        async with AsyncExitStack() as one:
            assert (await follow(one)).status_code == 200
            responses = [await follow(open_streams) for _ in range(limit - 1)]
            assert {response.status_code for response in responses} == {200}
            refused = await follow(open_streams)
            error = json.loads(await refused.aread())["error"]
            assert (refused.status_code, error["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
            assert error["message"] == f"You have {limit} streams open, and may have no more. Close one first."
        while (await follow(open_streams)).status_code == 429:  # noqa: ASYNC110 it takes a moment to take note
            await asyncio.sleep(0.05)


def client_of(user_id: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=LISTENERS + 10)
    return httpx.AsyncClient(headers=as_user(user_id), timeout=30, limits=limits)


async def data_in(lines: AsyncIterator[str]) -> dict[str, Any]:
    """The data of the next event."""
    async for line in lines:
        if line.startswith("data: "):
            data: dict[str, Any] = json.loads(line.removeprefix("data: "))
            return data
    raise AssertionError("the stream has ended")
