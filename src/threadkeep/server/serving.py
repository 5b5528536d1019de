"""What uvicorn does not do by itself: end without failing anybody, and several processes that stay in step.

A client that keeps its connection may send a request just as the server closes it, and one that connects may still be
waiting to be accepted. So before a server ends it lets nobody new connect, takes in who waits, tells everybody with the
next answer that it is the last, and lets go of those who ask nothing more for a while.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from uvicorn import Config, Server

from threadkeep.server.application import END_STREAMS
from threadkeep.server.connection import ClientConnection

BACKLOG = 2048
_HANDSHAKE_SECONDS = 0.2  # how long a client may take to finish connecting: a round trip around the world
GRACE_SECONDS = 25
"""How long requests that were accepted may take to end: less than the 30 seconds after which Kubernetes kills."""

_ENDING = (signal.SIGINT, signal.SIGTERM)
_SO_ATTACH_FILTER = 26  # of <asm-generic/socket.h>, which the module `socket` leaves out
# In classic BPF, on what begins with a TCP header: load its flags; is SYN set? If so keep 0 bytes of it, or else all.
_NO_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)

_START_SECONDS_MIN = 1.0  # a process that ends sooner by itself would do so again and again
_KILL_SECONDS = GRACE_SECONDS + 3


class GracefulServer(Server):
    """A server that has accepted whoever could connect, and answers them before it ends."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody new connect, accept who waits, listen no more, and finish."""
        # All answers take these along, also those that are being made.
        self.server_state.default_headers.append((b"connection", b"close"))
        for listening in sockets or []:
            let_nobody_connect(listening)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        waiting = [accepted for listening in sockets or [] for accepted in _accept_all(listening)]
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        loop = asyncio.get_running_loop()
        for accepted in waiting:
            await loop.connect_accepted_socket(self._new_connection, accepted)
        end_streams = self.lifespan.state.get(END_STREAMS)
        if end_streams is not None:
            end_streams()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take a signal that ends the server, also one that came before there was a server to end."""
        with super().capture_signals():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            yield

    def _new_connection(self) -> asyncio.Protocol:
        connection: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return connection(self.config, self.server_state, self.lifespan.state)


def new_config(application: str, connection: type[ClientConnection] = ClientConnection) -> Config:
    """How each process serves the application that a function of this name makes."""
    return Config(
        application,
        factory=True,
        http=connection,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def let_nobody_connect(listening: socket.socket) -> None:
    """Have the system overhear who begins to connect.

    Who connects between the last that was accepted and the end of the socket would be reset, with what they have sent.
    Whoever is not heard tries again after a second, and finds the next server, or nobody. Only Linux can do this.
    """
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
        with suppress(OSError):  # of a sandbox that knows no filters: the moment in which one may connect stays short
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program)))


def serve_alone(application: str, listening: socket.socket) -> None:
    """Serve in this process, until SIGTERM or Ctrl-C. Clients may have connected already, and are answered."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    GracefulServer(new_config(application)).run([listening])


class Supervisor:
    """Several processes that serve from one socket. One that dies is replaced; they all end with this one."""

    def __init__(self, application: str, listening: socket.socket, count: int, log: Callable[..., None]) -> None:
        self._application = application
        self._listening = listening
        self._count = count
        self._log = log
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[SpawnProcess, float] = {}  # and when each was started
        # Its other end closes with this process, however that ends, and tells them.
        self._theirs, self._ours = self._context.Pipe(duplex=False)
        self._wake, self._waker = os.pipe()

    def run(self) -> bool:
        """Serve until SIGTERM or Ctrl-C; return whether that was the reason to end."""
        for number in _ENDING:
            signal.signal(number, lambda *_: os.write(self._waker, b"!"))
        for _ in range(self._count):
            self._start()
        is_asked = self._watch()
        self._end()
        return is_asked

    def _start(self) -> None:
        process = self._context.Process(target=_work, args=(self._application, self._listening, self._theirs))
        process.start()
        self._processes[process] = time.monotonic()

    def _watch(self) -> bool:
        while True:
            sentinels = {process.sentinel: process for process in self._processes}
            for ended in wait([self._wake, *sentinels]):
                if ended == self._wake:
                    return True
                process = sentinels[ended]  # type: ignore[index]
                lived = time.monotonic() - self._processes.pop(process)
                process.join()
                self._log("process %s has ended with %s", process.pid, process.exitcode)
                if lived < _START_SECONDS_MIN and not _is_killed(process):
                    return False
                self._start()

    def _end(self) -> None:
        self._listening.close()  # or else clients would wait here for nobody
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _KILL_SECONDS
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                self._log("process %s does not end, and is killed", process.pid)
                process.kill()
                process.join()


def _work(application: str, listening: socket.socket, parent: "Connection[Any, Any]") -> None:
    """What each process does."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    serve_alone(application, listening)


def _end_with(parent: "Connection[Any, Any]") -> None:
    """Stop this process when its parent has ended without a word."""
    wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)


def _is_killed(process: SpawnProcess) -> bool:
    """Whether a signal has ended it, and not itself."""
    return process.exitcode is not None and process.exitcode < 0


def _accept_all(listening: socket.socket) -> list[socket.socket]:
    """Whoever waits to be accepted."""
    accepted: list[socket.socket] = []
    listening.setblocking(False)
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # nobody
            return accepted
        connection.setblocking(False)
        accepted.append(connection)
