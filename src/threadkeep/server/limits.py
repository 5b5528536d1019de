"""Limits of one process of the plain server, all in one place: how much it holds, and how long it waits."""

from msgspec import Struct

from threadkeep.http.messages import BODY_BYTES_MAX, STREAMS_OF_USER_MAX


class Limits(Struct, frozen=True):
    """What a process does not exceed. Each name says its unit; a name without one is a count."""

    head_bytes: int = 64 * 1024
    """The request line and the headers, as they came."""
    head_seconds: float = 10
    """From the first byte of a head to its last; also how long the rest of a body is read after the answer."""
    idle_seconds: float = 5
    """Between an answer, or the beginning of a connection, and the first byte of a request."""
    body_pause_seconds: float = 15
    """From one piece of a body to the next."""
    body_seconds: float = 120
    """Waiting for each 8 MiB of a body, in total."""
    live_pause_seconds: float = 300
    """The same of a body that is still being made, such as an answer of a model. There is no limit in total."""
    answer_pause_seconds: float = 60
    """How long a client may take nothing of its answer."""
    last_pause_seconds: float = 5
    """The same, once the server stops."""
    connections: int = 3_000
    requests: int = 1_000
    """Requests of users that are being answered."""
    streams: int = 1_000
    """Answers that are sent while they are made. They are no longer counted as requests."""
    streams_of_user: int = STREAMS_OF_USER_MAX
    small_body_bytes: int = 64 * 1024
    """A body up to here is not counted: `requests` bounds those."""
    body_bytes: int = 8 * BODY_BYTES_MAX
    """Of the bodies that are not small."""
    body_bytes_of_user: int = 2 * BODY_BYTES_MAX
    body_turn_seconds: float = 1
    """How long a body that is not small waits for others to be done with."""


LIMITS = Limits()
