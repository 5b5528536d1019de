"""The routes that answer anybody: is it up, what would it do, and how is it used."""

from msgspec import Struct

from threadkeep import __version__
from threadkeep.errors import ThreadkeepError
from threadkeep.http.auth import Authenticator
from threadkeep.http.messages import Request, Response, json_response
from threadkeep.http.problems import error_response
from threadkeep.http.routes.base import ROUTES, Route
from threadkeep.settings import Settings
from threadkeep.storage.backends import LOCAL, Choice
from threadkeep.storage.base import CAPABILITIES, Capability


class Server(Struct):
    """What is known before any request: the settings, and the back end that they chose, or why they chose none."""

    settings: Settings
    choice: Choice | ThreadkeepError
    authenticator: Authenticator


class Keeping(Struct):
    """What the server does for those who are signed in."""

    enabled: bool
    persistent: bool


class Status(Struct, rename="camel"):
    """Where conversations are kept, for whoever asks."""

    enabled: bool
    """Whether they are kept on this server."""
    requested_store: str
    store: str | None
    """The back end; `local` where the client keeps them itself, null where none could be chosen."""
    persistent: bool
    """Whether they outlive the server's process."""
    reason: str
    server: Keeping
    """The same of the server itself, whoever asks."""
    capabilities: list[Capability] = []
    """What the back end can do of what not every one can."""


class Health(Struct, rename="camel"):
    """The server is up, and its settings are valid."""

    status: str
    store: str
    version: str


@Route("GET", "/api/conversations/status", answers={200: Status}, is_public=True)
async def get_status(server: Server, request: Request) -> Response:
    """Say where conversations are kept, and why.

    Without credentials, this reports `local`.
    """
    choice = server.choice
    requested = server.settings.store
    if isinstance(choice, ThreadkeepError):
        return json_response(200, Status(False, requested, None, False, choice.message, Keeping(False, False)))
    backend = choice.backend
    keeping = Keeping(backend.keeps_conversations, backend.is_persistent)
    try:
        server.authenticator.user_of(request)
    except ThreadkeepError as error:
        return json_response(200, Status(False, requested, LOCAL.name, False, error.message, keeping))
    capabilities = [capability for capability in CAPABILITIES if capability in backend.capabilities]
    kept = Status(keeping.enabled, requested, backend.name, keeping.persistent, choice.reason, keeping, capabilities)
    return json_response(200, kept)


@Route("GET", "/api/health", answers={200: Health}, fails=("unavailable",), is_public=True)
async def get_health(server: Server, request: Request) -> Response:
    """Check that the server is up and its settings are valid.

    This does not ask the database.
    """
    if isinstance(server.choice, ThreadkeepError):
        return error_response(server.choice)
    return json_response(200, Health("ok", server.choice.store, __version__))


@Route("GET", "/openapi.json", answers={200: dict}, is_public=True)
async def get_openapi(server: Server, request: Request) -> Response:
    """Get this API as an OpenAPI 3.1 document."""
    from threadkeep.http.openapi import document

    return json_response(200, document(ROUTES, request.mounted_at))


@Route("GET", "/docs", answers={200: "text/html"}, is_public=True)
async def get_docs(server: Server, request: Request) -> Response:
    """Read about this API on a page."""
    from threadkeep.http.docs import page
    from threadkeep.http.openapi import document

    return Response(200, {"content-type": "text/html; charset=utf-8"}, page(document(ROUTES)).encode())
