"""The API: from a request to a response, over any back end.

`Api.handle` does all of it, in one place. Where each user's store is somewhere else, as with Durable Objects, `admit`
finds out who asks, and the request is handed on as it came: there `handle` does the rest, for a user who is known.
"""

import logging
import re
from collections.abc import Awaitable, Callable

from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, ThreadkeepError, Unsupported
from threadkeep.http.auth import Authenticator
from threadkeep.http.bodies import check_headers, read_json
from threadkeep.http.messages import Request, Response, bookmark_in, json_response, new_request_id, query_fields
from threadkeep.http.problems import OPENAI, error_response, say_for_openai
from threadkeep.http.router import Router
from threadkeep.http.routes import ROUTES
from threadkeep.http.routes.base import FOR_EVERY_USER, Call, Route
from threadkeep.http.routes.public import Server
from threadkeep.ids import ID_IN_WORDS, is_id
from threadkeep.settings import Settings
from threadkeep.signals import Signals
from threadkeep.storage.backends import Choice, bindings_of, choose
from threadkeep.storage.base import Backend, Platform
from threadkeep.validation import convert_texts

OpenStore = Callable[[str, str | None], Awaitable[DatabaseStore]]
"""Opens the store of a user. The second is the bookmark where the client's last request ended, or None."""

_Found = tuple[Route, dict[str, str]]
"""The route that a request was matched with, and the parameters in its path."""

_router = Router(ROUTES)
_log = logging.getLogger("threadkeep")
_matches_request_id = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch

_CORS_MAX_AGE_SECONDS = 7_200
_CORS_REQUEST_HEADERS = ", ".join(
    sorted(
        {"Authorization", "Content-Type", "X-Request-Id"}
        | {header.name for header in FOR_EVERY_USER}
        | {header.name for route in ROUTES for header in route.headers}
    )
)
_CORS_RESPONSE_HEADERS = (
    "Content-Digest, Content-Disposition, ETag, Location, Retry-After, X-Created-At, X-D1-Bookmark, X-Expires-At, "
    "X-Meta, X-Request-Id"
)


class Api:
    """The API under some settings, with the back end that they chose or the reason why they chose none."""

    def __init__(self, settings: Settings, choice: Choice | ThreadkeepError) -> None:
        self.settings = settings
        self.choice = choice
        self._server = Server(settings, choice, Authenticator(settings))

    async def handle(
        self,
        request: Request,
        open_store: OpenStore,
        *,
        user_id: str | None = None,
        begin: Callable[[str], None] | None = None,
        signals: Signals | None = None,
    ) -> Response:
        """Answer a request.

        `user_id` says who asks, where that is known already. `begin` is told who asks before any of the body is read,
        and may raise, so that a server takes on no more than it can. `signals` are told of every write, and tell
        whoever follows something.
        """
        outcome: Response | Exception
        try:
            found = await self._find(request)
            if isinstance(found, Response):
                outcome = found
            else:
                user_id = self._user_of(request) if user_id is None else user_id
                if begin is not None:
                    begin(user_id)
                outcome = await self._serve(request, found, user_id, open_store, signals)
        except Exception as error:
            outcome = error
        return self.finish(outcome, request)

    @property
    def backend(self) -> Backend:
        """The back end that was chosen. Raises what stands in its place, where none was."""
        if isinstance(self.choice, ThreadkeepError):
            raise self.choice
        return self.choice.backend

    async def admit(self, request: Request) -> str | Response:
        """Return who asks, of a request that is to be handed on to where their store is, or answer it here.

        It is answered here if it is public, or nobody may pass.
        """
        outcome: Response | Exception
        try:
            found = await self._find(request)
            if not isinstance(found, Response):
                return self._user_of(request)
            outcome = found
        except Exception as error:
            outcome = error
        return self.finish(outcome, request)

    def refuse(self, request: Request, error: ThreadkeepError) -> Response:
        """Answer a request that could not be handed on. The log says why: the cause of the error."""
        response = self.finish(error_response(error), request)
        _log.error("request %s could not be handed on: %s", response.headers["x-request-id"], error.__cause__)
        return response

    def finish(self, outcome: Response | Exception, request: Request) -> Response:
        """Return a response with what every response has, whether the API or a platform made it, or an error."""
        request_id = _request_id(request)
        response = outcome if isinstance(outcome, Response) else _failure(outcome, request_id)
        if request.method == "HEAD":
            response.body = b""
        if request.path.startswith(OPENAI) and response.status >= 400:
            say_for_openai(response)
        headers = response.headers
        headers["x-request-id"] = request_id
        headers["x-content-type-options"] = "nosniff"
        headers["cache-control"] = "no-store"
        if self.settings.cors_origins:
            headers["vary"] = "Origin"
            origin = request.header("origin")
            if origin is not None and self._may_read(origin):
                headers["access-control-allow-origin"] = origin
                headers["access-control-expose-headers"] = _CORS_RESPONSE_HEADERS
        return response

    async def _find(self, request: Request) -> _Found | Response:
        """Match a request, once, and answer what anybody may know."""
        resource, path = _router.match(request.path)
        request.route = resource.path
        if request.method == "OPTIONS":
            return self._preflight(request, resource.allow())
        route = resource.route(request.method)
        if route.is_public:
            return await route.handler(self._server, request)
        return route, path

    def _user_of(self, request: Request) -> str:
        """Return the id of the user who asks, if this server keeps anything for anybody."""
        if isinstance(self.choice, ThreadkeepError):
            raise self.choice
        if not self.choice.backend.keeps_conversations:
            raise Unsupported(f"This server keeps no conversations. {self.choice.reason}")
        return self._server.authenticator.user_of(request)

    async def _serve(
        self, request: Request, found: _Found, user_id: str, open_store: OpenStore, signals: Signals | None
    ) -> Response:
        """Check all that was sent, open the store of the user, and call the handler."""
        route, path = found
        for name in ("id", "mid"):  # everything else in a path is a name, which the services check
            if not is_id(path.get(name, "none")):
                raise Invalid(f"{name}: {path[name][:40]!r} is not {ID_IN_WORDS}.", name)
        self.backend.check_capability(route.needs)
        bookmark = bookmark_in(request.header("x-d1-bookmark"))
        query = convert_texts(query_fields(request.query, route.ignores), route.query)
        body = None
        if route.body is not None:
            check_headers(request, route.media_types)
            if not route.reads_body:
                body = await read_json(await request.body(), route.body)
        store = await open_store(user_id, bookmark)
        try:
            response = await route.handler(Call(request, user_id, store, path, query, body, signals))
        finally:  # also where it fails: a part of it may have been kept
            if signals is not None and route.writes:
                signals.publish(user_id)
        bookmark = store.bookmark
        if bookmark is not None:
            response.headers["x-d1-bookmark"] = bookmark
        return response

    def _preflight(self, request: Request, methods: list[str]) -> Response:
        """Tell a browser, or anybody else, what an address takes."""
        allow = ", ".join(methods)
        headers = {"allow": allow}
        if self._may_read(request.header("origin")):
            headers |= {
                "access-control-allow-methods": allow,
                "access-control-allow-headers": _CORS_REQUEST_HEADERS,
                "access-control-max-age": str(_CORS_MAX_AGE_SECONDS),
            }
        return Response(204, headers, b"")

    def _may_read(self, origin: str | None) -> bool:
        return origin in self.settings.cors_origins


def connect(
    get: Callable[[str], str | None],
    has_binding: Callable[[str], bool],
    platform: Platform,
    default: str | None = None,
) -> Api:
    """Read the settings, choose the back end, and return the API over it.

    `get` gives the value of a variable, `has_binding` tells whether the platform has a binding, `platform` is what runs
    this, and `default` is the back end to take where none is set up. If anything is wrong with that, the API says so to
    whoever asks.
    """
    try:
        settings = Settings.read(get)
    except ThreadkeepError as error:
        return Api(Settings.read(lambda name: None), error)
    try:
        return Api(settings, choose(settings, bindings_of(settings, has_binding), platform, default))
    except ThreadkeepError as error:
        return Api(settings, error)


def _request_id(request: Request) -> str:
    """Return the caller's own name for the request, or a new one."""
    given = request.header("x-request-id")
    return given if given is not None and _matches_request_id(given) else new_request_id()


def _failure(error: Exception, request_id: str) -> Response:
    if isinstance(error, ThreadkeepError):
        if error.code == "unavailable" and error.__cause__ is not None:
            _log.warning("request %s found the store unavailable: %s", request_id, error.__cause__)
        return error_response(error)
    _log.error("request %s failed", request_id, exc_info=error)
    return json_response(
        500,
        {
            "error": {
                "code": "internal",
                "message": "Something went wrong on the server. Report it with this request id.",
                "details": {"requestId": request_id},
            }
        },
    )
