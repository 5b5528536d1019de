"""Requests and responses between JavaScript and `http/messages.py`. JavaScript's own objects are not converted."""

from collections.abc import AsyncGenerator, AsyncIterator
from functools import cache
from typing import Any

import js
import msgspec
from pyodide.ffi import JsException, to_js
from workers import Request, wait_until

from threadkeep.errors import ThreadkeepError, Unavailable
from threadkeep.http import messages, problems
from threadkeep.worker.turnstile import LARGE_BYTES, Turnstile

large_bodies = Turnstile()
_LET_RUN_BY_BYTES_MAX = 4 * messages.BODY_BYTES_MAX


def raw_request(request: Any) -> Any:
    """JavaScript's own request, of one that was converted nevertheless, too."""
    return request.js_object if isinstance(request, Request) else request


def incoming_request(raw: Any) -> messages.Request:
    path, _, query = raw.url.partition("#")[0].partition("//")[2].partition("/")[2].partition("?")
    get = raw.headers.get

    def header(name: str) -> str | None:
        value = get(name)
        return value if isinstance(value, str) else None  # null is an object of its own

    async def body() -> bytes:
        # Most requests say how long they are.
        length = header("content-length")
        if length is not None:
            if int(length) > messages.BODY_BYTES_MAX:
                raise problems.body_too_large()
            if int(length) > LARGE_BYTES:
                await large_bodies.enter(raw)
            whole: bytes = (await raw.arrayBuffer()).to_bytes()
            return whole
        parts: list[bytes] = []
        size = 0
        rest = pieces()
        async for part in rest:
            size += len(part)
            if size > LARGE_BYTES:
                await enter(rest)
            if size <= messages.BODY_BYTES_MAX:
                parts.append(part)
            elif size > _LET_RUN_BY_BYTES_MAX:
                break
        if size > messages.BODY_BYTES_MAX:
            raise problems.body_too_large()
        return b"".join(parts)

    async def stream() -> AsyncIterator[bytes]:
        line = 0
        rest = pieces()
        async for piece in rest:
            line += len(piece)
            if line > LARGE_BYTES:
                await enter(rest)
            yield piece
            end = piece.rfind(b"\n") + 1
            if end:  # whoever asks for more has done with the line
                large_bodies.leave(raw)
                line = len(piece) - end

    async def enter(rest: AsyncIterator[bytes]) -> None:
        try:
            await large_bodies.enter(raw)
        except Unavailable:
            async for _ in rest:  # whoever is still sending does not hear the answer
                pass
            raise

    async def pieces() -> AsyncIterator[bytes]:
        if raw.body:
            async for part in raw.body:
                yield part.to_bytes()

    return messages.Request(raw.method, f"/{path}", query, header, body, stream)


async def let_run_by(raw: Any) -> None:
    """Take in what nobody has read of a request: whoever is still sending does not hear the answer."""
    body = raw.body  # null where none was sent, with whatever method
    if body and not raw.bodyUsed:
        await body.pipeTo(js.WritableStream.new())


def js_options(**values: Any) -> Any:
    """An object of JavaScript with these values, which are not converted."""
    options = js.Object.new()
    for name, value in values.items():
        setattr(options, name, value)
    return options


def outgoing_response(response: messages.Response) -> Any:
    """A response as JavaScript has it: the SDK's own takes as long to make as it takes to find out what to answer."""
    if not isinstance(response.body, bytes):
        stream = js.TransformStream.new()
        wait_until(_pump(response.body, stream.writable.getWriter()))
        body = stream.readable
    else:
        body = to_js(response.body) if response.body else None
    options = msgspec.json.encode({"status": response.status, "headers": response.headers}).decode()
    make, parse = _functions()
    return make(body, parse(options))


@cache  # at first use, since nothing of JavaScript may be held before
def _functions() -> tuple[Any, Any]:
    """What a response is made by, found once: to look a function up takes longer than to call it."""
    return js.Response.new, js.JSON.parse


async def _pump(pieces: AsyncIterator[bytes], writer: Any) -> None:
    """Write a body while it is made. If that fails the stream ends in an error, and not as if it were whole."""
    try:
        async for piece in pieces:
            if not isinstance(writer.desiredSize, int | float):  # null: whoever asked has gone
                break  # a write would never end, and keep the object in memory
            await writer.write(to_js(piece))
        else:
            await writer.close()
    except ThreadkeepError as error:  # of the store, while the answer was made
        print(f"an answer was cut short: {error.message}")
        await writer.abort("cut short")
    except JsException:  # whoever asked has gone just now
        pass
    except Exception:  # which the platform logs
        await writer.abort("cut short")
        raise
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
