"""ClientConnection: HTTP/1.1 with a client, read strictly, and with an end to everything that is waited for.

uvicorn and h11 do most of it. h11 knows where a body ends whatever a request wishes to become (`Upgrade`), and keeps
trailers apart from headers.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from threadkeep.errors import Invalid, ThreadkeepError, Unavailable
from threadkeep.http.messages import new_request_id
from threadkeep.http.problems import STATUS, HeadTooLarge, TimedOut, error_response
from threadkeep.server.limits import LIMITS, Limits

LINGER_SECONDS = 1.0
"""How long a client may go on sending after it was refused."""

_SLICE_BYTES = 16 * 1024
"""How much is read before others have their turn: chunks of one byte take a while, and uvloop reads megabytes."""

_TOO_LARGE = STATUS[HeadTooLarge.code]

_end_of_head = re.compile(rb"\n\r?\n").search  # as h11 finds it
# A line that ends without CR, and one that goes on in the next: some take them for one line, and some for two.
_ambiguous_line = re.compile(rb"(?<!\r)\n|\n[ \t]").search


class StrictParser(h11.Connection):
    """A parser that refuses every request that a proxy in front of it may have read differently."""

    def __init__(self, head_bytes_max: int) -> None:
        super().__init__(h11.SERVER, head_bytes_max)
        self._head_bytes_max = head_bytes_max
        self.refusal_status = 400
        """Why it has raised RemoteProtocolError, as a status of HTTP."""

    @property
    def is_between_requests(self) -> bool:
        """Whether nothing has come of the next request."""
        return self.their_state is h11.IDLE and not self.trailing_data[0]

    def next_event(self) -> Any:
        """What comes next. Raises RemoteProtocolError."""
        try:
            if self.their_state is h11.IDLE:
                self._check_head(self.trailing_data[0])
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check_framing(event)
        except h11.RemoteProtocolError as error:
            self.refusal_status = error.error_status_hint
            raise
        return event

    def _check_head(self, received: bytes) -> None:
        end = _end_of_head(received)
        if (end.end() if end else len(received)) > self._head_bytes_max:
            raise h11.RemoteProtocolError("the head is too large", error_status_hint=_TOO_LARGE)
        if end and _ambiguous_line(received, 0, end.end()):
            raise h11.RemoteProtocolError("a line of the head does not end in CR LF, or goes on in the next")


def _check_framing(request: h11.Request) -> None:
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("this version of HTTP is spoken in another way")
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise h11.RemoteProtocolError("where the body ends is said in two ways")


class _Flow(FlowControl):
    """Reads no more, whoever wishes to, while there is something that was received and not read yet."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class ClientConnection(H11Protocol):
    """A connection of a client."""

    limits: ClassVar[Limits] = LIMITS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: StrictParser = StrictParser(self.limits.head_bytes)
        self.flow: _Flow = None  # type: ignore[assignment]  # until it is connected, as all that uvicorn keeps here
        self._unread = b""
        self._owing_since: float | None = None
        self._is_refused = False
        self._is_ending = False
        self._pause_seconds = self.limits.answer_pause_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, unless there are too many who do."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(Unavailable("This server has as many connections as it can hold. Try again in a moment."))
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
        if self._unread:
            self._unread += data
        elif not self._is_refused:
            self._read(data)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._wait()
        if self._is_ending:
            self.loop.call_later(LINGER_SECONDS, self._close_when_idle)

    def pause_writing(self) -> None:
        """Write no more until the client has taken what it was sent, and see to it that it does."""
        super().pause_writing()
        self._watch()

    def shutdown(self) -> None:
        """Let the client go after its next answer, or after a while in which it asks nothing or takes nothing."""
        self._is_ending = True
        self._pause_seconds = self.limits.last_pause_seconds
        self._watch()
        if not self._is_answering():
            self.loop.call_later(LINGER_SECONDS, self._close_when_idle)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the one shape of every error, and close."""
        if self.conn.refusal_status == _TOO_LARGE:
            limit = self.limits.head_bytes
            self._refuse(HeadTooLarge(f"The address and the headers of a request may have {limit} bytes. Send less."))
        else:
            self._refuse(Invalid("This is not HTTP: the method, the address, a header or a chunk is malformed."))

    def _read(self, data: bytes) -> None:
        """Read a slice, and the rest when others have had their turn."""
        super().data_received(data[:_SLICE_BYTES])
        if self._is_refused:
            return
        self._wait()
        self._unread = data[_SLICE_BYTES:]
        self.flow.is_held = bool(self._unread)
        if self._unread:
            self.flow.pause_reading()
            self.loop.call_soon(self._read_on)
        elif self.conn.their_state is not h11.DONE and not self._is_body_full():
            self.flow.resume_reading()  # or else whoever has paused it does so

    def _read_on(self) -> None:
        data, self._unread = self._unread, b""
        if not self._is_refused and not self.transport.is_closing():
            self._read(data)

    def _should_upgrade(self) -> bool:
        """No protocol but this one is spoken here; whoever offers another is answered in this one."""
        return False

    def _is_body_full(self) -> bool:
        """Whether there is as much of a body as may wait to be read. When it is answered, nobody reads it any more."""
        return self._is_answering() and len(self.cycle.body) > HIGH_WATER_LIMIT

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        """Set how long the client may take for what it owes. While it is answered, the application waits for it."""
        self._unset_keepalive_if_required()
        if self._is_refused:
            return
        if self.transport.is_closing():
            self._watch()
        elif self._is_answering():
            self._owing_since = None
        elif self.conn.is_between_requests:
            self._owing_since = None
            self.timeout_keep_alive_task = self.loop.call_later(self.limits.idle_seconds, self._give_up)
        else:  # a head has begun, or there is more of a body than was needed for the answer
            self._owing_since = self._owing_since or self.loop.time()
            deadline = self._owing_since + self.limits.head_seconds
            self.timeout_keep_alive_task = self.loop.call_at(deadline, self._give_up)

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._owing_since is None:
            self._close()
        else:
            self._refuse(TimedOut("The head of this request took too long to arrive. Send it again."))

    def _refuse(self, error: ThreadkeepError) -> None:
        """Say why, unless an answer has begun, and hear no more.

        A client that is still sending would be reset, and may never read why, if this closed at once.
        """
        self._is_refused = True
        self._unset_keepalive_if_required()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_refusal(error))
        self.transport.write_eof()
        self.flow.is_held = False
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _close_when_idle(self) -> None:
        if not self._is_answering() and not self.transport.is_closing():
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._watch()

    def _watch(self, left_before: float = float("inf")) -> None:
        """Let go of a client that takes nothing more of what was written for it. It would be kept for ever."""
        left = self.transport.get_write_buffer_size()
        if left >= left_before:
            self.transport.abort()
        elif left:
            self.loop.call_later(self._pause_seconds, self._watch, left)


def _refusal(error: ThreadkeepError) -> bytes:
    """A whole response."""
    response = error_response(error)
    assert isinstance(response.body, bytes)  # noqa: S101 as that of every error
    headers = {
        **response.headers,
        "content-length": str(len(response.body)),
        "x-request-id": new_request_id(),
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n{head}\r\n".encode() + response.body
