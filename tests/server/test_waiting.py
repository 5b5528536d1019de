"""What a server waits for, and for how long: the real one in this process, with limits that a test can wait for."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from uvicorn.config import Config

from support.in_process import VARIABLES, as_user
from threadkeep.server.application import Application
from threadkeep.server.connection import ClientConnection
from threadkeep.server.limits import Limits
from threadkeep.server.serving import GracefulServer, listen

pytestmark = pytest.mark.anyio

API = "/api/conversations"
PATIENCE_SECONDS = 20
SHORT = Limits(
    head_seconds=0.8,
    idle_seconds=0.5,
    body_pause_seconds=0.4,
    body_seconds=1.2,
    answer_pause_seconds=1.5,  # a busy machine lets a reader wait for some of it
    connections=8,
)
AS_USER = "".join(f"{name}: {value}\r\n" for name, value in as_user("ada").items())
GET = "GET /api/health HTTP/1.1\r\nHost: x\r\n"
POST = f"POST {API} HTTP/1.1\r\nHost: x\r\n{AS_USER}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
IMPORT = f"POST /api/import HTTP/1.1\r\nHost: x\r\n{AS_USER}Content-Type: application/x-ndjson\r\n"


class ShortConnection(ClientConnection):
    limits = SHORT


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = listen("127.0.0.1", 0)
    application = Application({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, limits=SHORT)
    served = GracefulServer(Config(application, http=ShortConnection, ws="none", lifespan="on", log_config=None))
    serving = threading.Thread(target=served.run, args=([listening],))
    address = listening.getsockname()[1]
    serving.start()
    yield address
    served.should_exit = True
    serving.join()


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(PATIENCE_SECONDS)
    return connection


def all_of(connection: socket.socket) -> bytes:
    """Whatever comes until the server ends the connection."""
    received = b""
    while piece := connection.recv(100_000):
        received += piece
    return received


def send_slowly(connection: socket.socket, pieces: Iterator[str]) -> bytes:
    """What is answered to somebody who sends piece by piece, and would do so for long, until the server has enough."""
    connection.setblocking(False)
    until = time.monotonic() + PATIENCE_SECONDS
    for piece in pieces:
        assert time.monotonic() < until
        connection.sendall(piece.encode())
        time.sleep(0.1)
        try:
            return connection.recv(100_000)
        except BlockingIOError:
            continue
    raise AssertionError


def for_ever(*pieces: str) -> Iterator[str]:
    """All of these, and the last again and again."""
    yield from pieces
    while True:
        yield pieces[-1]


def test_who_says_nothing_is_let_go_without_a_word(port: int) -> None:
    with connected(port) as connection:
        assert all_of(connection) == b""
    with connected(port) as connection:
        connection.sendall(f"{GET}\r\n".encode())
        assert all_of(connection).startswith(b"HTTP/1.1 200")  # and then nothing, until it is let go


def answers(port: int, *senders: tuple[str, ...]) -> list[bytes]:
    """What is answered to several who send slowly, all at once: each its pieces, and the last of them for ever."""

    def answer(pieces: tuple[str, ...]) -> bytes:
        with connected(port) as connection:
            if pieces[0].endswith("\r\n\r\n") and pieces[0].startswith("GET"):
                connection.sendall(pieces[0].encode())
                assert connection.recv(100_000).startswith(b"HTTP/1.1 200")
                pieces = pieces[1:]
            return send_slowly(connection, for_ever(*pieces))

    with ThreadPoolExecutor(len(senders)) as pool:
        return list(pool.map(answer, senders))


def test_a_head_has_to_arrive_in_time_however_it_drips(port: int) -> None:
    a_long_header, a_long_method, many_headers = (f"{GET}X: ", "a"), ("G",), (GET, "a:b\r\n")
    after_another_request = (f"{GET}\r\n", *a_long_header)
    for answer in answers(port, a_long_header, a_long_method, many_headers, after_another_request):
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"timed_out"' in answer
        assert b"connection: close" in answer


@pytest.mark.parametrize(
    "head",
    [POST, f"{IMPORT}Content-Length: 1000\r\n\r\n", f"{IMPORT}Transfer-Encoding: chunked\r\n\r\n"],
    ids=["a body", "an import", "an import in chunks"],
)
def test_a_body_that_does_not_come_is_not_waited_for(port: int, head: str) -> None:
    with connected(port) as connection:
        connection.sendall(head.encode())
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"timed_out"' in answer


def test_a_body_that_drips_is_waited_for_no_longer_than_one_that_does_not_come(port: int) -> None:
    heads = (POST.replace("100", "100000"), f"{IMPORT}Content-Length: 100000\r\n\r\n")
    for answer in answers(port, *((head, "x") for head in heads)):
        assert answer.startswith(b"HTTP/1.1 408")


def test_what_is_left_of_a_body_after_the_answer_is_not_read_for_ever(port: int) -> None:
    head = f"POST {API} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with connected(port) as connection:
        assert send_slowly(connection, for_ever(head)).startswith(b"HTTP/1.1 401")
        assert send_slowly(connection, for_ever("x")) == b""


def test_connections_have_a_limit_which_is_said_to_whoever_comes_then(port: int) -> None:
    held = [connected(port) for _ in range(SHORT.connections)]
    with connected(port) as late:
        answer = all_of(late)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in answer
    for connection in held:
        connection.close()
    until = time.monotonic() + PATIENCE_SECONDS
    while not answer.startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < until
        with connected(port) as again:
            again.sendall(f"{GET}Connection: close\r\n\r\n".encode())
            answer = all_of(again)


def test_who_takes_nothing_of_an_answer_is_let_go_and_who_takes_it_slowly_gets_it_all(port: int) -> None:
    content = [{"type": "text", "text": "x" * 1_400_000}]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=as_user("grace")) as client:
        for _ in range(8):
            assert client.post(API, json={"messages": [{"role": "user", "content": content}]}).status_code == 201
        with client.stream("GET", "/api/export") as export:
            pieces = export.iter_raw(500_000)
            size = 0
            for piece in pieces:
                size += len(piece)
                time.sleep(0.05)
    assert size > 8 * 1_400_000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.settimeout(PATIENCE_SECONDS)
        as_grace = "".join(f"{name}: {value}\r\n" for name, value in as_user("grace").items())
        connection.sendall(f"GET /api/export HTTP/1.1\r\nHost: x\r\n{as_grace}\r\n".encode())
        time.sleep(4)
        cut = all_of(connection)
    assert len(cut) < 8 * 1_400_000
    assert not cut.endswith(b"0\r\n\r\n")  # so that nobody takes it for the whole


async def test_a_body_that_is_cut_off_keeps_nothing(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST.encode() + b'{"title":"half')
    await writer.drain()
    writer.close()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=as_user("ada")) as client:
        assert (await client.get(API)).json()["conversations"] == []
