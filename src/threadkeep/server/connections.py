"""What uvicorn does not do by itself: end without failing a request that was on its way.

A client that keeps its connection may send a request just as the server closes it. So whoever is connected is told with
the next answer that it is the last, and who asks nothing more for a while is let go.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

LINGER_SECONDS = 1.0
GRACE_SECONDS = 25
"""How long requests that were accepted may take to end: less than the 30 seconds after which Kubernetes kills."""

_LAST = (b"connection", b"close")


class Connection(HttpToolsProtocol):
    """A connection of a client."""

    def shutdown(self) -> None:
        """Let the client go after its next answer, or after a while in which it asks nothing."""
        headers = self.server_state.default_headers
        if _LAST not in headers:
            headers.append(_LAST)  # all responses take theirs from this list, also those that are being made
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS, self._close_when_idle)

    def _close_when_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Supervisor(Multiprocess):
    """Several processes that serve from one socket. One that dies is replaced."""

    def terminate_all(self) -> None:
        """Stop listening, and end them all."""
        for listening in self.sockets:
            listening.close()  # or else clients would wait here for nobody
        super().terminate_all()
