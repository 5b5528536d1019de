"""The plain server under load: it stops without failing what it accepted, and loses nothing when it is killed."""

import asyncio
import errno
import json
import os
import re
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.backends import over_http, server
from support.in_process import as_user
from support.postgres import SETTINGS, new_folder, new_url
from support.records import all_messages
from support.stores import open_postgres, open_sql, open_sqlite_file
from threadkeep.ids import new_id
from threadkeep.server.serving import let_nobody_connect, listen
from tools.checkout import Problem
from tools.local.postgres import LocalPostgres
from tools.local.processes import living_processes
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

STORES = ("sqlite", "postgres")
CONNECTIONS = 16
WRITERS, WORKERS = 64, 4
LIMITS = httpx.Limits(max_connections=WRITERS, max_keepalive_connections=WRITERS)
API = "/api/conversations"


def message(text: str = "Hello") -> dict[str, Any]:
    return {"id": new_id(), "role": "user", "content": [{"type": "text", "text": text}]}


async def created(client: httpx.AsyncClient) -> str:
    response = await client.post(API, json={"id": new_id()})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def kept_by(client: httpx.AsyncClient, conversation_id: str) -> list[dict[str, Any]]:
    """Every message of a conversation, in order."""
    kept: list[dict[str, Any]] = []
    while True:
        query = {"after": kept[-1]["seq"] if kept else 0, "limit": 200}
        page = (await client.get(f"{API}/{conversation_id}/messages", params=query)).raise_for_status().json()
        kept += page["messages"]
        if not page["messages"]:
            return kept


@dataclass
class Load:
    """What those who send all the time have seen."""

    acknowledged: list[str] = field(default_factory=list)
    refused: int = 0
    """How often nobody listened any more."""
    failed: list[str] = field(default_factory=list)
    is_over: bool = False

    async def send(self, port: int, conversation_id: str, headers: dict[str, str]) -> None:
        """Append one message after the other on one connection, and on a new one where the server ends that."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        while not self.is_over:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                self.refused += 1
                return
            try:
                while await self._append(reader, writer, conversation_id, head):
                    pass
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failed.append(repr(error))
            finally:
                writer.close()

    async def _append(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, conversation_id: str, head: str
    ) -> bool:
        """Append a message, and answer whether the connection goes on."""
        sent = message()
        body = json.dumps(sent)
        writer.write(
            f"POST {API}/{conversation_id}/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n{body}".encode()
        )
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", answer)
        assert length is not None, answer
        await reader.readexactly(int(length[1]))
        if answer.startswith("http/1.1 201"):
            self.acknowledged.append(sent["id"])
        else:
            self.failed.append(answer)
        return "connection: close" not in answer and not self.is_over


def headers_of(client: httpx.AsyncClient) -> dict[str, str]:
    return {name: client.headers[name] for name in ("authorization", "x-user-id")}


async def until(is_so: Callable[[], bool], patience_seconds: float = 60) -> None:
    async with asyncio.timeout(patience_seconds):
        while not is_so():  # noqa: ASYNC110 what it waits for happens in another process
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("store", "workers"), [("sqlite", 3), ("postgres", 1)])
async def test_it_stops_under_load_without_failing_what_it_accepted(tmp_path: Path, store: str, workers: int) -> None:
    url = new_url()
    with server(tmp_path, store=store, workers=workers, variables={"DATABASE_URL": url}) as running:
        async with over_http(store, running.url) as backend:
            client = backend.client_of("ada")
            conversation_id = await created(client)
            load = Load()
            sending = [load.send(running.port, conversation_id, headers_of(client)) for _ in range(CONNECTIONS)]
            tasks = [asyncio.create_task(each) for each in sending]
            await until(lambda: len(load.acknowledged) > 200)
            os.kill(running.group.id, signal.SIGTERM)
            await asyncio.wait_for(asyncio.gather(*tasks), 60)
            assert await asyncio.to_thread(running.group.wait, 30) == 0
        assert load.failed == []
        assert load.refused == CONNECTIONS
    opening = open_sqlite_file(str(tmp_path / "data/threadkeep.sqlite")) if store == "sqlite" else open_postgres(url)
    database = await opening
    kept = await all_messages(open_sql(database, "ada"), conversation_id)
    await database.close()
    # Neither lost, nor kept without having been acknowledged.
    assert sorted(each.id for each in kept) == sorted(load.acknowledged)
    assert [each.seq for each in kept] == list(range(1, len(kept) + 1))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone filters sockets; others do without")
async def test_before_the_end_nobody_new_can_connect_and_those_who_wait_are_accepted() -> None:
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()[:2]
        with socket.create_connection(address) as waiting, socket.socket(listening.family) as late:
            let_nobody_connect(listening)
            late.setblocking(False)
            assert late.connect_ex(address) == errno.EINPROGRESS
            assert select.select([], [late], [], 0.3)[1] == []
            accepted, _ = listening.accept()
            with accepted:
                waiting.sendall(b"still heard")
                assert accepted.recv(100) == b"still heard"
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()
            listening.close()
            select.select([], [late], [], 10)
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


async def append_persistently(
    client: httpx.AsyncClient, conversation_id: str, written: list[str], is_over: asyncio.Event
) -> None:
    """Append messages one by one, each as often as it takes, and write down their ids, until it is over."""
    number = 0
    while not is_over.is_set():
        sent = message(f"Number {number}")
        while True:
            with suppress(httpx.TransportError):  # nobody knows whether it was kept: sent again, it is kept once
                response = await client.post(f"{API}/{conversation_id}/messages", json=sent)
                if response.status_code in (200, 201):
                    break
                assert response.status_code == 503, response.text
            await asyncio.sleep(0.05)
        written.append(sent["id"])
        number += 1


@asynccontextmanager
async def writing(client: httpx.AsyncClient, conversation_id: str) -> AsyncIterator[list[str]]:
    """Many append all the while; answers the ids of what was acknowledged so far."""
    written: list[str] = []
    is_over = asyncio.Event()
    writers = [
        asyncio.create_task(append_persistently(client, conversation_id, written, is_over)) for _ in range(WRITERS)
    ]
    try:
        yield written
    finally:
        is_over.set()
        await asyncio.gather(*writers)


async def until_more_is(written: list[str]) -> None:
    """Until so much more was acknowledged that everybody writes."""
    enough = len(written) + 2 * WRITERS
    await until(lambda: len(written) >= enough)


def children_of(running: LocalServer) -> set[int]:
    """The processes that serve: those that the first has started, but for the one that watches over what they share."""
    serving = set()
    for process in psutil.Process(running.group.id).children():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if any("spawn_main" in argument for argument in process.cmdline()):
                serving.add(process.pid)
    return serving


@pytest.mark.parametrize("store", STORES)
async def test_what_many_were_told_is_kept_outlives_processes_that_are_killed_and_a_postgres_that_is_restarted(
    tmp_path: Path, store: str
) -> None:
    with ExitStack() as ending:
        postgres = ending.enter_context(LocalPostgres(new_folder(), settings=SETTINGS)) if store == "postgres" else None
        variables = {} if postgres is None else {"DATABASE_URL": postgres.url()}
        running = ending.enter_context(server(tmp_path, store=store, workers=WORKERS, variables=variables))
        async with httpx.AsyncClient(base_url=running.url, headers=as_user("ada"), limits=LIMITS, timeout=60) as client:
            conversation_id = await created(client)
            async with writing(client, conversation_id) as written:
                for _ in range(2):
                    await until(lambda: len(children_of(running)) == WORKERS)
                    await until_more_is(written)
                    os.kill(min(children_of(running)), signal.SIGKILL)
                await until_more_is(written)
                for at_once in (
                    (False, True) if postgres is not None else ()
                ):  # as it is told to end, and as if it crashed
                    await asyncio.to_thread(postgres.stop, at_once=at_once)
                    refused = await client.get(f"{API}/{conversation_id}")
                    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
                    await asyncio.to_thread(postgres.start)
                    await until_more_is(written)
            await until(lambda: len(children_of(running)) == WORKERS)
            kept = await kept_by(client, conversation_id)
        assert "has ended with -9" in running.log_path.read_text()
    assert [each["seq"] for each in kept] == list(range(1, len(kept) + 1))
    assert sorted(each["id"] for each in kept) == sorted(written)


async def test_the_processes_go_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    with server(tmp_path, workers=2) as running:
        await until(lambda: len(children_of(running)) == 2)
        started = children_of(running)
        os.kill(running.group.id, signal.SIGKILL)
        await until(lambda: not started & {process.id for process in living_processes()})


async def test_a_request_that_takes_its_time_is_answered_though_the_server_stops(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        sent = json.dumps({"messages": [message()]})
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        head = "".join(f"{name}: {value}\r\n" for name, value in as_user("ada").items())
        writer.write(
            f"POST {API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n{head}\r\n{sent[:20]}".encode()
        )
        await asyncio.sleep(0.2)
        os.kill(running.group.id, signal.SIGTERM)
        await asyncio.sleep(2)  # more than it lingers for whoever asks nothing
        writer.write(sent[20:].encode())
        answer = (await asyncio.wait_for(reader.read(), 60)).decode().lower()
        writer.close()
        assert answer.startswith("http/1.1 201")
        assert "connection: close" in answer
        assert await asyncio.to_thread(running.group.wait, 30) == 0


def asking(path: str) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in as_user("ada").items())
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode()


async def test_a_client_that_was_idle_is_answered_once_more_and_told_to_go(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)

        async def is_last() -> bool:
            """Ask, and find in the answer whether it is the last."""
            writer.write(asking("/api/health"))
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert answer.startswith("http/1.1 200")
            length = re.search(r"content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
            return "connection: close" in answer

        assert not await is_last()
        os.kill(running.group.id, signal.SIGTERM)
        while not await is_last():  # noqa: ASYNC110 it takes a moment to take note
            await asyncio.sleep(0.05)
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", running.port)


async def test_who_was_connected_and_not_yet_accepted_is_answered(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        os.kill(running.group.id, signal.SIGSTOP)
        waiting = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(CONNECTIONS)]
        for _, writer in waiting:
            writer.write(asking("/api/health"))
        os.kill(running.group.id, signal.SIGTERM)
        await asyncio.sleep(0.2)
        os.kill(running.group.id, signal.SIGCONT)
        for reader, writer in waiting:
            assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_a_server_that_did_not_start_again_is_started_by_the_next_change(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        running._variables["RETENTION_DAYS"] = "never"
        with pytest.raises(Problem, match="RETENTION_DAYS is 'never'"):
            running.restart()
        running.check()  # it has not ended by itself
        running._variables["RETENTION_DAYS"] = "7"
        running.restart()
        async with httpx.AsyncClient(base_url=running.url) as client:
            assert (await client.get("/api/ready")).status_code == 200
