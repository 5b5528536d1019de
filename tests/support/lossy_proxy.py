"""A proxy on loopback that passes every request on, and loses the answer to every so many of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class LossyProxy(ThreadingHTTPServer):
    """What was asked has been done by the time its answer is lost."""

    def __init__(self, url: str, every: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._every = every
        self._count = 0
        self._counting = threading.Lock()
        self.lost = 0
        self.upstream = httpx.Client(base_url=url, timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def loses(self) -> bool:
        """Whether the answer that has come is lost."""
        with self._counting:
            self._count += 1
            is_lost = self._count % self._every == 0
            self.lost += is_lost
            return is_lost


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LossyProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION}
        answer = self.server.upstream.request(self.command, self.path, content=body, headers=headers)
        if self.server.loses():
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 the names that it is asked for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name that it is given
        """Nobody reads it."""


_OF_A_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "content-encoding", "accept-encoding"}


@contextmanager
def lossy_proxy(url: str, *, every: int = 3) -> Iterator[LossyProxy]:
    """A proxy before a server, for as long as it is needed."""
    with LossyProxy(url, every) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            proxy.upstream.close()
