"""The API: from a request to a response, over any back end.

It works in two steps, since the two may run in different places: `admit` finds out who asks, or answers at once what
anybody may know; `answer` does the work with that user's store.
"""

import logging
import re
from collections.abc import Awaitable, Callable

from threadkeep.clock import is_id
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import Invalid, ThreadkeepError, Unsupported
from threadkeep.http.auth import Authenticator
from threadkeep.http.messages import Request, Response, bookmark_in, json_response, new_request_id, query_fields
from threadkeep.http.problems import UnsupportedMediaType, error_response
from threadkeep.http.public import PUBLIC_ROUTES, Server
from threadkeep.http.router import Router
from threadkeep.http.routes import NDJSON, ROUTES, Call, Route, media_type, read_body
from threadkeep.settings import Settings
from threadkeep.storage.backends import Choice, bindings_of, choose
from threadkeep.storage.base import Backend, Platform
from threadkeep.validation import convert_texts

OpenStore = Callable[[str | None], Awaitable[DatabaseStore]]
"""Opens the store of the user who asks. The bookmark is where the client's last request ended, or None."""

_router = Router([*PUBLIC_ROUTES, *ROUTES])
_log = logging.getLogger("threadkeep")
_matches_request_id = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch

_CORS_MAX_AGE_SECONDS = 7_200
_CORS_REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, X-D1-Bookmark, X-Request-Id, X-User-Id"
_CORS_RESPONSE_HEADERS = "Content-Disposition, ETag, Location, Retry-After, X-D1-Bookmark, X-Request-Id"


class Api:
    """The API under some settings, with the back end that they chose or the reason why they chose none."""

    def __init__(self, settings: Settings, choice: Choice | ThreadkeepError) -> None:
        self.settings = settings
        self.choice = choice
        self._server = Server(settings, choice, Authenticator(settings), [*ROUTES, *PUBLIC_ROUTES])

    @property
    def backend(self) -> Backend:
        """The back end that was chosen. Raises what stands in its place, where none was."""
        if isinstance(self.choice, ThreadkeepError):
            raise self.choice
        return self.choice.backend

    async def admit(self, request: Request) -> str | Response:
        """The id of the user who asks, or the response, where none is needed or nobody may pass."""
        try:
            admitted = await self._admit(request)
        except Exception as error:
            admitted = _failure(error, request_id := _request_id(request))
        else:
            if isinstance(admitted, str):
                return admitted
            request_id = _request_id(request)
        return self._finished(admitted, request, request_id)

    async def answer(self, request: Request, user_id: str, open_store: OpenStore) -> Response:
        """The response to a request of a user who was admitted."""
        request_id = _request_id(request)
        try:
            response = await self._answer(request, user_id, open_store)
        except Exception as error:
            response = _failure(error, request_id)
        return self._finished(response, request, request_id)

    def refuse(self, request: Request, error: ThreadkeepError) -> Response:
        """The response to a request that could not be handed on. Why, the error's cause says, goes to the log."""
        request_id = _request_id(request)
        _log.error("request %s could not be handed on: %s", request_id, error.__cause__)
        return self._finished(error_response(error), request, request_id)

    def finish(self, response: Response, request: Request) -> Response:
        """Add what every response has, to one that a platform has made itself."""
        return self._finished(response, request, _request_id(request))

    async def _admit(self, request: Request) -> str | Response:
        if request.method == "OPTIONS":
            return self._preflight(request)
        route, _ = _router.match(request.method, request.path)
        if route.is_public:
            return await route.handler(self._server, request)
        choice = self._server.choice
        if isinstance(choice, ThreadkeepError):
            raise choice
        if not choice.backend.keeps_conversations:
            raise Unsupported(f"This server keeps no conversations. {choice.reason}")
        return self._server.authenticator.user_of(request)

    async def _answer(self, request: Request, user_id: str, open_store: OpenStore) -> Response:
        route, path = _router.match(request.method, request.path)
        for name, value in path.items():
            if not is_id(value):
                raise Invalid(f"{name}: {value[:40]!r} is no id; an id is a ULID, 26 characters in upper case.", name)
        self.backend.check_capability(route.needs)
        bookmark = bookmark_in(request.header("x-d1-bookmark"))
        query = convert_texts(query_fields(request.query), route.query)
        body = None
        if route.body is not None:
            _check_media_type(request, route)
            _check_content_coding(request)
            if NDJSON not in route.media_types:
                body = await read_body(route, await request.body())
        store = await open_store(bookmark)
        response = await route.handler(Call(request, user_id, store, path, query, body))
        bookmark = store.bookmark
        if bookmark is not None:
            response.headers["x-d1-bookmark"] = bookmark
        return response

    def _preflight(self, request: Request) -> Response:
        """Tell a browser, or whoever else asks, what an address takes."""
        allow = ", ".join(_router.allow(request.path))
        headers = {"allow": allow}
        if self._may_read(request.header("origin")):
            headers |= {
                "access-control-allow-methods": allow,
                "access-control-allow-headers": _CORS_REQUEST_HEADERS,
                "access-control-max-age": str(_CORS_MAX_AGE_SECONDS),
            }
        return Response(204, headers, b"")

    def _finished(self, response: Response, request: Request, request_id: str) -> Response:
        """Add what every response has."""
        if request.method == "HEAD":
            response.body = b""
        headers = response.headers
        headers["x-request-id"] = request_id
        headers["x-content-type-options"] = "nosniff"
        headers["cache-control"] = "no-store"
        if self._server.settings.cors_origins:
            headers["vary"] = "Origin"
            origin = request.header("origin")
            if origin is not None and self._may_read(origin):
                headers["access-control-allow-origin"] = origin
                headers["access-control-expose-headers"] = _CORS_RESPONSE_HEADERS
        return response

    def _may_read(self, origin: str | None) -> bool:
        return origin in self._server.settings.cors_origins


def connect(
    get: Callable[[str], str | None],
    has_binding: Callable[[str], bool],
    platform: Platform,
    default: str | None = None,
) -> Api:
    """Read the settings, choose the back end, and answer the API over it.

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


def path_pattern(path: str) -> str | None:
    """The path of the route that answers a path, such as `/api/conversations/{id}`, or None where nothing does."""
    try:
        return _router.pattern(path)
    except ThreadkeepError:
        return None


def _request_id(request: Request) -> str:
    """The caller's own name for the request, or a new one."""
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


def _check_media_type(request: Request, route: Route) -> None:
    parameters = (request.header("content-type") or "").partition(";")[2].strip().lower()
    if media_type(request) not in route.media_types or parameters not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise UnsupportedMediaType(f"Send UTF-8, with `Content-Type: {' or '.join(route.media_types)}`.")


def _check_content_coding(request: Request) -> None:
    codings = (request.header("content-encoding") or "").lower().split(",")
    if any(coding.strip() not in ("", "identity") for coding in codings):
        message = "A body is read as it comes, and this one is compressed or encoded. Send it without Content-Encoding."
        raise UnsupportedMediaType(message, {"acceptEncoding": ["identity"]})
