"""Server-Sent Events: what is new of something, sent as it comes, for as long as one answer may last.

Whoever follows something comes again by itself when the answer ends: that is what `EventSource` does in a browser, with
the last `id` that it was sent in `Last-Event-ID`. So an answer may end at any time, and nothing is missed.
"""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from msgspec import Struct

from threadkeep.errors import ThreadkeepError
from threadkeep.http.messages import Request, Response
from threadkeep.signals import Listener
from threadkeep.work import give_way

EVENTS = "text/event-stream"
PAUSES_SECONDS = (0.25, 0.5, 1.0)
"""How long to wait before the store is asked again: longer each time that it has nothing new."""
SECONDS_MAX = 60.0
QUESTIONS_MAX = 45
"""How often the store is asked for one answer: on Cloudflare, a request may ask D1 50 times where nothing is paid."""
RETRY_MILLISECONDS = 1_000
HEARTBEAT_SECONDS = 15.0
QUIET_SECONDS = 300.0
"""How long an answer that waits for signals lasts while nothing comes, where a Durable Object is paid for meanwhile."""
LISTENING_SECONDS_MAX = 900.0
"""How long it lasts at all: whoever asks shows again who they are."""
QUIET_RETRY_MILLISECONDS = 60_000
"""How long whoever heard nothing for all that time had better wait before they come again."""
ELSEWHERE_RETRY_MILLISECONDS = 2_000
ELSEWHERE_SPREAD_MILLISECONDS = 3_000
"""How long they had better wait where a server stops: not all the same, or they would all ask the next one at once."""
HEARTBEAT = b":\n\n"
"""A comment, which nobody reads. Where it cannot be sent any more, whoever asked has gone."""

_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class Found(Struct):
    """What the store has to say to a question."""

    events: list[bytes] = []
    has_more: bool = False
    """Whether there is more right now."""
    is_last: bool = False
    """Whether nothing will ever follow."""
    seconds: float = math.inf
    """After how long to ask again, even without a signal."""


Ask = Callable[[], Awaitable[Found]]


def wants_events(request: Request) -> bool:
    """Whether whoever asks wants events, and not a page."""
    ranges = (request.header("accept") or "").lower().split(",")
    return any(each.partition(";")[0].strip() == EVENTS for each in ranges)


def last_event_id(request: Request) -> str | None:
    """Where whoever asks left off; None where they begin."""
    return request.header("last-event-id") or None


def event(data: bytes, *, id_: str | None = None, name: str | None = None) -> bytes:
    """Write an event whose data is JSON. An empty id has a browser forget the last one, and begin again."""
    lines = [] if name is None else [f"event: {name}\n".encode()]
    lines += [] if id_ is None else [f"id: {id_}\n".encode()]
    # Between the parts of JSON a break is white space, and in a string there is none.
    return b"".join([*lines, b"data: ", data.translate(_BREAKS), b"\n\n"])


def no_further(error: ThreadkeepError) -> Found:
    """The event that says that there is nothing to follow any more, so that whoever comes again begins anew."""
    data = msgspec.json.encode({"code": error.code, "message": error.message})
    return Found([event(data, id_="", name="expired")], is_last=True)


def events_response(first: Found, ask: Ask, listener: Listener | None) -> Response:
    """Answer with what was found first, and then with whatever else is found.

    With a listener, the store is asked when there is a signal, and without one, now and then.
    """
    pieces = following(first, ask) if listener is None else listening(first, ask, listener)
    return Response(200, {"content-type": EVENTS, "x-accel-buffering": "no"}, pieces)


async def following(
    found: Found,
    ask: Ask,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = give_way,
) -> AsyncIterator[bytes]:
    """Ask again and again, less often while nothing comes, until it ends or has lasted long enough."""
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    end, in_vain = clock() + SECONDS_MAX, 0
    questions = 1
    while True:
        yield b"".join(found.events) or HEARTBEAT
        if found.is_last or questions == QUESTIONS_MAX or clock() >= end:
            return
        if not found.has_more:
            in_vain = 0 if found.events else in_vain + 1
            await pause(PAUSES_SECONDS[min(in_vain, len(PAUSES_SECONDS) - 1)])
        found = await ask()
        questions += 1


async def listening(
    found: Found, ask: Ask, listener: Listener, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[bytes]:
    """Ask again when there is a signal, until it ends, has been quiet for long, or has lasted long enough."""
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    end = clock() + LISTENING_SECONDS_MAX
    quiet_seconds = QUIET_SECONDS if listener.costs else LISTENING_SECONDS_MAX
    quiet_end = clock() + quiet_seconds
    while True:
        if found.events:
            yield b"".join(found.events)
            quiet_end = clock() + quiet_seconds
        if found.is_last:
            return
        ask_from = clock() + found.seconds
        while not (
            listener.is_over
            or found.has_more
            or await listener.wait(max(0.0, min(HEARTBEAT_SECONDS, ask_from - clock())))
            or clock() >= ask_from
        ):
            yield HEARTBEAT
            if clock() >= min(end, quiet_end):
                break
        if listener.is_over:
            spread = time.monotonic_ns() // 1_000 % ELSEWHERE_SPREAD_MILLISECONDS
            yield b"retry: %d\n\n" % (ELSEWHERE_RETRY_MILLISECONDS + spread)
            return
        if clock() >= min(end, quiet_end):
            if clock() >= quiet_end and listener.costs:
                yield b"retry: %d\n\n" % QUIET_RETRY_MILLISECONDS
            return
        found = await ask()
