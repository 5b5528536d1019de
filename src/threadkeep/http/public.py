"""The routes that answer anybody: is it up, what would it do, and how is it used."""

from msgspec import Struct

from threadkeep import __version__
from threadkeep.errors import ThreadkeepError
from threadkeep.http.auth import Authenticator
from threadkeep.http.messages import Request, Response, json_response
from threadkeep.http.problems import error_response
from threadkeep.http.routes import Route
from threadkeep.settings import Settings
from threadkeep.storage.backends import LOCAL, Choice
from threadkeep.storage.base import CAPABILITIES, Capability


class Server(Struct):
    """What is known before any request: the settings, and the back end that they chose, or why they chose none."""

    settings: Settings
    choice: Choice | ThreadkeepError
    authenticator: Authenticator
    routes: list[Route]


class Status(Struct, rename="camel"):
    """Where the conversations of whoever asks are kept."""

    enabled: bool
    """Whether they are kept on this server."""
    requested_store: str
    store: str | None
    """The back end; `local` where the client keeps them itself, null where none could be chosen."""
    persistent: bool
    """Whether they outlive the server's process."""
    reason: str
    capabilities: list[Capability] = []
    """What the back end can do of what not every one can."""


class Health(Struct, rename="camel"):
    """It is up, and set up."""

    status: str
    store: str
    version: str


async def status(server: Server, request: Request) -> Response:
    """Tell where conversations are kept, and why. Who is not signed in keeps them on the client: `local`."""
    choice = server.choice
    requested = server.settings.store
    if isinstance(choice, ThreadkeepError):
        return json_response(200, Status(False, requested, None, False, choice.message))
    try:
        server.authenticator.user_of(request)
    except ThreadkeepError as error:
        return json_response(200, Status(False, requested, LOCAL.name, False, error.message))
    backend = choice.backend
    capabilities = [capability for capability in CAPABILITIES if capability in backend.capabilities]
    kept = Status(
        backend.keeps_conversations, requested, backend.name, backend.is_persistent, choice.reason, capabilities
    )
    return json_response(200, kept)


async def health(server: Server, request: Request) -> Response:
    """Tell whether the server is up and its settings are right. It does not ask the database."""
    if isinstance(server.choice, ThreadkeepError):
        return error_response(server.choice)
    return json_response(200, Health("ok", server.choice.store, __version__))


async def openapi(server: Server, request: Request) -> Response:
    """This API as an OpenAPI 3.1 document."""
    from threadkeep.http.openapi import document

    return json_response(200, document(server.routes, request.mounted_at))


async def docs(server: Server, request: Request) -> Response:
    """This API as a page to read."""
    from threadkeep.http.docs import page
    from threadkeep.http.openapi import document

    return Response(200, {"content-type": "text/html; charset=utf-8"}, page(document(server.routes)).encode())


PUBLIC_ROUTES = [
    Route(
        method="GET",
        path="/api/conversations/status",
        handler=status,
        answers={200: Status},
        is_public=True,
    ),
    Route(method="GET", path="/api/health", handler=health, answers={200: Health}, is_public=True),
    Route(method="GET", path="/openapi.json", handler=openapi, answers={200: dict}, is_public=True),
    Route(method="GET", path="/docs", handler=docs, answers={200: "text/html"}, is_public=True),
]
