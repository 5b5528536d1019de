"""What comes over a socket and is no ordinary HTTP: nothing of a body becomes a request, and nobody else waits."""

import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from support.backends import server
from support.in_process import as_user
from threadkeep.ids import new_id
from threadkeep.server.limits import LIMITS
from tools.local.server import LocalServer

API = "/api/conversations"
PATIENCE_SECONDS = 10
"""For whoever else asks meanwhile, and is answered within milliseconds."""

USER = "raw"
AS_USER = "".join(f"{name}: {value}\r\n" for name, value in as_user(USER).items())
POST = f"POST {API} HTTP/1.1\r\nHost: x\r\n{AS_USER}Content-Type: application/json\r\n"
GET = "GET /api/health HTTP/1.1\r\nHost: x\r\n"
BODY = '{"title":"x"}'
LENGTH = f"Content-Length: {len(BODY)}\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = f"d\r\n{BODY}\r\n0\r\n\r\n"
HIDDEN = f"DELETE /api/me?confirm={USER} HTTP/1.1\r\nHost: x\r\n{AS_USER}\r\n"
"""A request that erases everything, if it is taken for one."""

# What is sent, with `|` between segments, and the statuses of what is answered; after `end` nothing more is heard.
REQUESTS: dict[str, tuple[str, str]] = {
    "a request": (f"{POST}{LENGTH}\r\n{BODY}", "201"),
    "two at once": (f"{POST}{LENGTH}\r\n{BODY}{GET}\r\n", "201 200"),
    "in many segments": (f"{POST}{LENGTH[:9]}|{LENGTH[9:]}\r|\n|{BODY[:5]}|{BODY[5:]}", "201"),
    "a length and chunks": (f"{POST}{LENGTH}{CHUNKED}\r\n0\r\n\r\n{HIDDEN}", "400 end"),
    "chunks and a length": (f"{POST}{CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n{HIDDEN}", "400 end"),
    "two lengths": (f"{POST}{LENGTH}Content-Length: 0\r\n\r\n{BODY}{HIDDEN}", "400 end"),
    "a length with a sign": (f"{POST}Content-Length: +13\r\n\r\n{BODY}", "400 end"),
    "a length in hexadecimal": (f"{POST}Content-Length: 0xd\r\n\r\n{BODY}", "400 end"),
    "a length that is empty": (f"{POST}Content-Length: \r\n\r\n{BODY}", "400 end"),
    "a length of 64 bits and more": (f"{POST}Content-Length: 18446744073709551629\r\n\r\n{BODY}", "413"),
    "a space before the colon": (f"{POST}Content-Length : 13\r\n\r\n{BODY}", "400 end"),
    "a coding that there is not": (f"{POST}Transfer-Encoding: xchunked\r\n\r\n{CHUNKS}", "400 end"),
    "chunks, and then something else": (f"{POST}Transfer-Encoding: chunked, identity\r\n\r\n{CHUNKS}", "400 end"),
    "chunks of HTTP/1.0": (f"{POST.replace('1.1', '1.0')}{CHUNKED}\r\n{CHUNKS}", "400 end"),
    "chunks": (f"{POST}{CHUNKED}\r\n{CHUNKS}{GET}\r\n", "201 200"),
    "a chunk with an extension": (f"{POST}{CHUNKED}\r\nd;a=b\r\n{BODY}\r\n0\r\n\r\n", "201"),
    "an extension that ends without CR": (f"{POST}{CHUNKED}\r\nd;\n{BODY}\r\n0\r\n\r\n{HIDDEN}", "400 end"),
    "a chunk with 0x": (f"{POST}{CHUNKED}\r\n0xd\r\n{BODY}\r\n0\r\n\r\n", "400 end"),
    "a chunk of less than nothing": (f"{POST}{CHUNKED}\r\n-d\r\n{BODY}\r\n0\r\n\r\n", "400 end"),
    "a chunk that is longer than it says": (f"{POST}{CHUNKED}\r\nd\r\n{BODY}0\r\n\r\n{HIDDEN}", "400 end"),
    "a header that is continued": (f"{GET}X: a\r\n b\r\n\r\n", "400 end"),
    "a header that ends without CR": (f"{GET}X: a\nX-Request-Id: mine\r\n\r\n", "400 end"),
    "a head that ends without CR": (f"{GET}\n{GET}\r\n", "400 end"),
    "NUL in a header": (f"{GET}X: a\0b\r\n\r\n", "400 end"),
    "CR in a header": (f"{GET}X: a\rb\r\n\r\n", "400 end"),
    "a header without a colon": (f"{GET}Xabc\r\n\r\n", "400 end"),
    "no host": ("GET /api/health HTTP/1.1\r\n\r\n", "400 end"),
    "two hosts": (f"{GET}Host: y\r\n\r\n", "400 end"),
    "no version": ("GET /api/health\r\n\r\n", "400 end"),
    "another version": ("GET /api/health HTTP/2.0\r\nHost: x\r\n\r\n", "400 end"),
    "the preface of HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 end"),
    "the beginning of TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01", "400 end"),
    "an address with its host": ("GET http://x/api/health HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
    "an address of nothing but a host": ("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
    "a tunnel": (f"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n{GET}\r\n", "404 200"),
    "a body that is refused": (f"{POST.replace(AS_USER, '')}{LENGTH}\r\n{BODY}{GET}\r\n", "401 200"),
    "a body after the answer": (f"{POST.replace(AS_USER, '')}Content-Length: {len(HIDDEN)}\r\n\r\n|{HIDDEN}", "401"),
    "leave to send a body": (f"{POST}Expect: 100-continue\r\n{LENGTH}\r\n|{BODY}", "100 201"),
    "identity in trailers": (
        f"{POST.replace(AS_USER, '')}{CHUNKED}\r\nd\r\n{BODY}\r\n0\r\n{AS_USER}\r\n",
        "401",
    ),
    "another user in trailers": (f"{POST}{CHUNKED}\r\nd\r\n{BODY}\r\n0\r\nX-User-Id: evil\r\n\r\n{GET}\r\n", "201 200"),
}
UPGRADES = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: A\r\n",
    "TLS": "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
    "nothing known": "Connection: keep-alive, Upgrade\r\nUpgrade: foo\r\n",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("raw")) as running:
        yield running


@pytest.fixture
def kept(running: LocalServer) -> Iterator[str]:
    """A conversation of the user, which is still there at the end, and whoever else asks is answered meanwhile."""
    with httpx.Client(base_url=running.url, headers=as_user(USER)) as client, others_served(running):
        conversation_id = client.post(API, json={"id": new_id()}).json()["id"]
        yield conversation_id
        assert client.get(f"{API}/{conversation_id}").status_code == 200
    with httpx.Client(base_url=running.url, headers=as_user("evil")) as client:
        assert client.get(API).json()["conversations"] == []


@contextmanager
def others_served(running: LocalServer) -> Iterator[list[int]]:
    """Ask for somebody else all the while, each time on a new connection."""
    answered: list[int] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.02):
            with urllib.request.urlopen(f"{running.url}/api/health", timeout=PATIENCE_SECONDS) as response:
                answered.append(response.status)
        answered.append(0)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answered
    finally:
        is_over.set()
        asking.join()
    assert {*answered[:-1]} <= {200}
    assert answered[-1] == 0  # it went on to the end


def answers(port: int, *segments: bytes, patience_seconds: float = 0.25) -> str:
    """The statuses that are answered, and `end` if the server has ended the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(patience_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for number, segment in enumerate(segments):
                if number:
                    time.sleep(0.05)  # so that it is a segment of its own
                connection.sendall(segment)
            while piece := connection.recv(1_000_000):
                received += piece
            end = ["end"]
        except TimeoutError:
            end = []
    return " ".join([*re.findall(r"HTTP/1\.1 (\d{3}) ", received.decode()), *end])


@pytest.mark.parametrize("case", REQUESTS)
def test_a_body_is_never_a_request_and_what_can_be_read_in_two_ways_is_refused(
    running: LocalServer, kept: str, case: str
) -> None:
    request, expected = REQUESTS[case]
    segments = [segment.encode("latin-1") for segment in request.split("|")]
    assert answers(running.port, *segments) == expected


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("between", ["", "|"], ids=["in one segment", "in two segments"])
def test_whoever_offers_another_protocol_is_answered_in_this_one_and_the_body_is_intact(
    running: LocalServer, kept: str, upgrade: str, between: str
) -> None:
    body = f'{{"title":"{HIDDEN}"}}'.replace("\r\n", "\\r\\n")
    request = f"{POST}{UPGRADES[upgrade]}Content-Length: {len(body)}\r\n\r\n{between}{body}"
    assert answers(running.port, *(segment.encode() for segment in request.split("|"))) == "400"  # a title is one line
    request = f"{POST}{UPGRADES[upgrade]}{LENGTH}\r\n{between}{BODY}{GET}\r\n"
    assert answers(running.port, *(segment.encode() for segment in request.split("|"))) == "201 200"
    lines = f"POST /api/import HTTP/1.1\r\nHost: x\r\n{AS_USER}Content-Type: application/x-ndjson\r\n"
    request = f"{lines}{UPGRADES[upgrade]}Content-Length: {len(HIDDEN)}\r\n\r\n{between}{HIDDEN}"
    assert answers(running.port, *(segment.encode() for segment in request.split("|"))) == "200"


def head_of(size: int) -> str:
    """A request whose head has so many bytes."""
    return f"{GET}X: {'a' * (size - len(GET) - 7)}\r\n\r\n"


HEADS = {
    "the largest": (head_of(LIMITS.head_bytes), "200"),
    "one byte more": (head_of(LIMITS.head_bytes + 1), "431 end"),
    "one byte more, after another request": (f"{GET}\r\n{head_of(LIMITS.head_bytes + 1)}", "200 431 end"),
    "100,000 headers": (GET + "a:b\r\n" * 100_000 + "\r\n", "431 end"),
    "100,000 headers without values": (GET + "a:\r\n" * 100_000 + "\r\n", "431 end"),
    "a header of 20 MB": (f"{GET}X: {'a' * 20_000_000}\r\n\r\n", "431 end"),
    "an address of 20 MB": (f"GET /{'a' * 20_000_000} HTTP/1.1\r\nHost: x\r\n\r\n", "431 end"),
    "a trailer of 20 MB": (f"{POST}{CHUNKED}\r\n0\r\nX: {'a' * 20_000_000}\r\n\r\n", "431 end"),
    "an extension of 20 MB": (f"{POST}{CHUNKED}\r\n1;{'a' * 20_000_000}\r\n", "431 end"),
}


def memory_of(running: LocalServer) -> int:
    """The bytes that the server has in memory."""
    return int(psutil.Process(running.group.id).memory_info().rss)


@pytest.mark.parametrize("case", HEADS)
def test_a_head_has_a_limit_and_nothing_over_it_is_kept_in_memory(running: LocalServer, kept: str, case: str) -> None:
    request, expected = HEADS[case]
    before = memory_of(running)
    assert answers(running.port, request.encode(), patience_seconds=1) == expected
    assert memory_of(running) - before < 5_000_000


def test_what_is_refused_is_said_in_the_one_shape_of_every_error(running: LocalServer) -> None:
    for request, code in ((f"{GET}X\r\n\r\n", "invalid"), (head_of(100_000), "head_too_large")):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(request.encode())
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        response = httpx.Response(200, content=body)
        assert response.json()["error"]["code"] == code
        for header in (b"x-request-id: ", b"x-content-type-options: nosniff", b"cache-control: no-store"):
            assert header in head


def test_bodies_that_are_never_finished_do_not_fill_the_memory(running: LocalServer, kept: str) -> None:
    before = memory_of(running)
    size = 8 * 1024 * 1024
    connections = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(100)]
    for connection in connections:
        connection.setblocking(False)
        connection.send(f"{POST}Content-Length: {size}\r\n\r\n".encode())
    left = dict.fromkeys(connections, size - 10)
    piece = b"x" * 256 * 1024
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for connection in connections:
            try:
                left[connection] -= connection.send(piece[: left[connection]])
            except BlockingIOError:
                continue
        time.sleep(0.05)
    grown = memory_of(running) - before
    for connection in connections:
        connection.close()
    # What one user may hold, and of each connection what is read at once (256 KiB) and waits; not 100 bodies of 8 MiB.
    assert grown < LIMITS.body_bytes_of_user * 6


def test_chunks_of_one_byte_keep_nobody_waiting_until_the_last(running: LocalServer) -> None:
    head = f"POST /api/import HTTP/1.1\r\nHost: x\r\n{AS_USER}Content-Type: application/x-ndjson\r\n{CHUNKED}"
    with others_served(running) as answered:
        before = len(answered)
        request = f"{head}Connection: close\r\n\r\n".encode() + b"1\r\nx\r\n" * 400_000 + b"0\r\n\r\n"
        assert answers(running.port, request, patience_seconds=60) == "200 end"
        assert len(answered) - before > 10
