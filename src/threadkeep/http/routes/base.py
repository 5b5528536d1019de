"""What a route is, and how it is declared: by `@Route(…)` above the handler that serves it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from threadkeep.agents.store import StateStore
from threadkeep.agents.values import REQUEST_PATTERN
from threadkeep.conversations.store import DatabaseStore
from threadkeep.http.bodies import JSON
from threadkeep.http.messages import BOOKMARK_PATTERN, IF_MATCH_PATTERN, Request, Response, version_in
from threadkeep.signals import Listener, Signals
from threadkeep.storage.base import Capability
from threadkeep.users import HEADER_PATTERN, USER_ID_CHARACTERS_MAX

CURSOR_PATTERN = "^~?[A-Za-z0-9._:@-]+$"
Cursor = Annotated[
    str,
    Meta(
        max_length=500,
        description="`nextCursor` of the page before, unchanged, or the id to continue from.",
        extra_json_schema={"pattern": CURSOR_PATTERN},
    ),
]
StateCursor = Annotated[
    str,
    Meta(
        max_length=4_000,
        description="`nextCursor` of an earlier page, unchanged.",
        extra_json_schema={"pattern": CURSOR_PATTERN},
    ),
]
"""A cursor of the state of agents, which may hold two names that need escapes."""

Handler = Callable[..., Awaitable[Response]]
H = TypeVar("H", bound=Handler)


class NoQuery(Struct, forbid_unknown_fields=True):
    """Nothing."""


class Header(Struct, frozen=True):
    """A request header that a route reads."""

    name: str
    schema: dict[str, Any]
    """Its JSON Schema, with a description."""


FOR_EVERY_USER = (
    Header(
        "X-User-Id",
        {
            "type": "string",
            "pattern": HEADER_PATTERN,
            "examples": ["alice"],
            "maxLength": USER_ID_CHARACTERS_MAX,
            "description": "With a service key: the user that it acts for. A user whose id has a comma needs a JWT.",
        },
    ),
    Header(
        "X-D1-Bookmark",
        {
            "type": "string",
            "pattern": BOOKMARK_PATTERN,
            "examples": ["00000001-00000002-00004f3a-9f86d081884c7d659a2feaa0c55ad015"],
            "description": "From an earlier response, on D1: the request sees at least what that one saw.",
        },
    ),
)
"""The request headers of every route that is not public."""

IF_MATCH = Header(
    "If-Match",
    {
        "type": "string",
        "pattern": IF_MATCH_PATTERN,
        "examples": ["*", '"3"'],
        "description": "The `ETag` of an earlier response: the request is for that version, or fails with `stale`.",
    },
)
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    {
        "type": "string",
        "pattern": REQUEST_PATTERN,
        "examples": ["01KAGQ3W6ZJ8Y0V4M2T7N5C9XB"],
        "maxLength": 64,
        "description": "A name for this write, made once: sent again under the same name, nothing is done twice.",
    },
)


LAST_EVENT_ID = Header(
    "Last-Event-ID",
    {
        "type": "string",
        "pattern": CURSOR_PATTERN,
        "examples": ["~WyJlIiwiMDFLQUdRNUQ4VzJSNlkwVDRCN00zTjlLWEMiLDAsMF0"],
        "maxLength": 4_000,
        "description": "With `Accept: text/event-stream`: the `id` of the last event that came, to go on after it.",
    },
)


class Call(Struct):
    """A request to a route, once it is known who asks and that everything fits."""

    request: Request
    user_id: str
    store: DatabaseStore
    path: dict[str, str]
    query: Any
    body: Any
    signals: Signals | None = None
    """What tells of writes as they happen; None where nothing does."""

    def listener(self) -> Listener | None:
        """Begin to listen for what is written of this user; None where nothing tells."""
        return None if self.signals is None else Listener(self.signals, self.user_id)

    def publish(self) -> None:
        """Tell whoever follows this user that something was written, before the answer is there."""
        if self.signals is not None:
            self.signals.publish(self.user_id)

    @property
    def id(self) -> str:
        """The conversation that the path names."""
        return self.path["id"]

    @property
    def state(self) -> StateStore:
        """The state of the user's agents."""
        return self.store.state

    @property
    def request_name(self) -> str | None:
        """The name that the client gave this write; None where it gave none. The services check it."""
        return self.request.header("idempotency-key")

    @property
    def expected_version(self) -> int | None:
        """The version that `If-Match` names; None where there is none, or for `*`. Raises Invalid."""
        return version_in(self.request.header("if-match"))


class Route(Struct):
    """One method of one path: what it takes, what it answers, and who serves it.

    It is the decorator of its handler, whose name and docstring are the operation and its description.
    """

    method: str
    path: str
    answers: dict[int, Any]
    """The type of the body, by status; None where there is no body, a media type where it is not JSON."""
    fails: tuple[str, ...] = ()
    """Codes of errors of its own, beside those that any route may have."""
    query: type[Struct] = NoQuery
    body: Any = None
    """The type of its JSON, or several types; None where it takes no body."""
    media_types: tuple[str, ...] = (JSON,)
    """What its body may be."""
    item: Any = None
    """The type of each item, where a stream of it is of another type than most."""
    sends_events: bool = False
    """Whether it also answers with Server-Sent Events, to whoever accepts them."""
    reads_body: bool = False
    """Whether the handler itself reads the body, as bytes or as a stream. Otherwise it gets it as `Call.body`."""
    headers: tuple[Header, ...] = ()
    """Request headers of its own."""
    ignores: tuple[str, ...] = ()
    """Names in a query that say nothing here, however often they come."""
    is_public: bool = False
    """Whether it answers anybody, without a store."""
    needs: Capability | None = None
    """What a back end must be able to do for it, if not all are."""
    handler: Handler = None  # type: ignore[assignment]
    """What it decorates. It gets a `Call`, or, if the route is public, a `Server` and a `Request`."""

    @property
    def writes(self) -> bool:
        """Whether it may change what is kept."""
        return self.method not in ("GET", "HEAD")

    def __call__(self, handler: H) -> H:
        """Register the route, served by this handler."""
        self.handler = handler
        ROUTES.append(self)
        return handler


ROUTES: list[Route] = []
"""Every route, in the order in which they are documented."""
