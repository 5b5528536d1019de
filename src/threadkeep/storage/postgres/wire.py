"""A connection to Postgres that only awaits: its protocol, version 3.0, over a stream of bytes that somebody carries.

What is to be done together is sent at once, and answered at once: one round trip for all of it. The messages are in the
chapter "Frontend/Backend Protocol" of Postgres's manual.
"""

import hashlib
from collections.abc import Sequence
from struct import pack, unpack_from
from typing import Any, NamedTuple, Protocol

from threadkeep.storage.postgres.connection import PostgresFailed, Prepared
from threadkeep.storage.postgres.scram import DeriveKey, Scram, ScramFailed
from threadkeep.storage.postgres.url import PostgresUrl
from threadkeep.storage.sql.executor import Row, Value

_VERSION = 196_608
_TLS = 80_877_103
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""Far above the largest page. What announces more is no Postgres."""
_SYNC = b"S\0\0\0\4"
_EXECUTE = b"D\0\0\0\6P\0" + b"E\0\0\0\x09\0\0\0\0\0"  # describe what was bound, and run it to its end
_TO_PYTHON: dict[int, Any] = {16: b"t".__eq__, 20: int, 21: int, 23: int}  # boolean, and the integers
_REFUSED = "28P01"


class Stream(Protocol):
    """Bytes to and from a server. Raises PostgresFailed where they do not come through."""

    async def read(self) -> bytes:
        """Some bytes, as they come; none where the other side has ended."""

    def write(self, data: bytes) -> None:
        """Hand over bytes. They go out in order, while others are read."""

    async def start_tls(self) -> None:
        """Speak TLS from here on, with a server whose certificate is good for its name."""

    def close(self) -> None:
        """End both directions at once. Any number of times."""


class _Column(NamedTuple):
    name: str
    to_python: Any


class WireConnection:
    """A connection, of which a `Stream` carries the bytes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._heard = bytearray()

    async def open(self, url: PostgresUrl, nonce: str, derive_key: DeriveKey) -> None:
        """Sign in. Raises PostgresFailed where that is refused."""
        if url.ssl_mode not in ("disable", "allow"):
            await self._start_tls(required=url.ssl_mode != "prefer")
        settings = {"user": url.user, "database": url.database, "client_encoding": "UTF8"}
        texts = b"".join(f"{name}\0{value}\0".encode() for name, value in settings.items())
        start = pack("!i", _VERSION) + texts + b"\0"
        self._stream.write(pack("!i", 4 + len(start)) + start)
        scram = Scram(url.password or "", nonce, derive_key)
        while True:
            kind, body = await self._message()
            if kind == b"Z":
                return
            if kind == b"E":
                raise _failure(body)
            if kind == b"R":
                await self._authenticate(url, body, scram)

    async def run(
        self, statements: Sequence[Prepared], *, begin: Sequence[str] = (), commits: bool = False
    ) -> list[list[Row]]:
        """See `Connection.run`. All of it is one round trip."""
        before: list[Prepared] = [(text, ()) for text in begin]
        after: list[Prepared] = [("COMMIT", ())] if commits else []
        sent = [*before, *statements, *after]
        self._stream.write(b"".join([*(_asked(text, values) for text, values in sent), _SYNC]))
        rows = await self._answers()
        return rows[len(before) : len(before) + len(statements)]

    def terminate(self) -> None:
        """See `Connection.terminate`."""
        self._stream.close()

    async def _start_tls(self, *, required: bool) -> None:
        self._stream.write(pack("!ii", 8, _TLS))
        answer = await self._taken(1)
        if answer == b"S":
            if self._heard:  # somebody in between would have us take it for what came by TLS
                raise PostgresFailed("there is more than the answer to the request for TLS")
            await self._stream.start_tls()
        elif required:
            raise PostgresFailed("the server does not speak TLS")

    async def _authenticate(self, url: PostgresUrl, body: bytes, scram: Scram) -> None:
        (method,) = unpack_from("!i", body)
        if method in (0, 12):
            if method == 12:
                _checked(scram, body[4:])
            return
        if url.password is None:
            raise PostgresFailed("the server asks for a password", _REFUSED)
        if method == 3:
            answer = url.password.encode() + b"\0"
        elif method == 5:
            answer = _md5(url.user, url.password, body[4:8]) + b"\0"
        elif method == 10 and b"SCRAM-SHA-256" in body[4:].split(b"\0"):
            answer = b"SCRAM-SHA-256\0" + pack("!i", len(scram.first)) + scram.first
        elif method == 11:
            try:
                answer = await scram.final(body[4:])
            except ScramFailed as error:
                raise PostgresFailed(str(error), _REFUSED) from error
        else:
            raise PostgresFailed(f"the server asks for a password in a way of its own ({method})", _REFUSED)
        self._stream.write(b"p" + pack("!i", 4 + len(answer)) + answer)

    async def _answers(self) -> list[list[Row]]:
        """The rows of each statement until the server is ready for more."""
        answers: list[list[Row]] = []
        rows: list[Row] = []
        columns: list[_Column] = []
        failure: PostgresFailed | None = None
        while True:
            try:
                kind, body = await self._message()
            except PostgresFailed as error:  # it says why before it ends
                raise failure or error from error
            if kind == b"D":
                rows.append(_row(columns, body))
            elif kind == b"T":
                columns = _columns(body)
            elif kind in (b"C", b"I"):
                answers.append(rows)
                rows = []
            elif kind == b"E":
                failure = _failure(body)
            elif kind == b"Z":
                if failure is not None:
                    raise failure
                return answers

    async def _message(self) -> tuple[bytes, bytes]:
        """The next message: what it is, and what it says."""
        head = await self._taken(5)
        size = int.from_bytes(head[1:]) - 4
        if not 0 <= size <= _MESSAGE_BYTES_MAX:
            raise PostgresFailed("what answers is no Postgres")
        return head[:1], await self._taken(size)

    async def _taken(self, size: int) -> bytes:
        while len(self._heard) < size:
            part = await self._stream.read()
            if not part:
                raise PostgresFailed("the server has gone in the middle of an answer")
            self._heard += part
        taken = bytes(self._heard[:size])
        del self._heard[:size]
        return taken


def _asked(text: str, values: Sequence[Value]) -> bytes:
    """A statement without a name: parsed, bound, described, run."""
    parsed = b"\0" + text.encode() + b"\0\0\0"
    bound = [b"\0\0\0\0", pack("!H", len(values))]
    for value in values:
        data = None if value is None else str(value).encode()
        bound.append(b"\xff\xff\xff\xff" if data is None else pack("!i", len(data)) + data)
    bound.append(b"\0\0")
    values_bound = b"".join(bound)
    return b"".join(
        [b"P", pack("!i", 4 + len(parsed)), parsed, b"B", pack("!i", 4 + len(values_bound)), values_bound, _EXECUTE]
    )


def _columns(body: bytes) -> list[_Column]:
    columns = []
    at = 2
    for _ in range(int.from_bytes(body[:2])):
        end = body.index(b"\0", at)
        (kind,) = unpack_from("!i", body, end + 7)
        columns.append(_Column(body[at:end].decode(), _TO_PYTHON.get(kind, bytes.decode)))
        at = end + 19
    return columns


def _row(columns: list[_Column], body: bytes) -> Row:
    row = {}
    at = 2
    for name, to_python in columns:
        (size,) = unpack_from("!i", body, at)
        at += 4
        row[name] = None if size < 0 else to_python(body[at : at + size])
        at += max(size, 0)
    return row


def _failure(body: bytes) -> PostgresFailed:
    fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
    return PostgresFailed(fields.get(b"M", ""), fields.get(b"C", ""))


def _checked(scram: Scram, outcome: bytes) -> None:
    try:
        scram.check(outcome)
    except ScramFailed as error:
        raise PostgresFailed(str(error), _REFUSED) from error


def _md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()
