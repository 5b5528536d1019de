"""Application: the API as an ASGI application, over a back end that it opens, purges and closes."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from threadkeep import __version__
from threadkeep.conversations import retention
from threadkeep.conversations.store import DatabaseStore
from threadkeep.errors import ThreadkeepError, Unavailable
from threadkeep.http.api import Api, connect
from threadkeep.http.messages import Request, Response, json_response
from threadkeep.http.problems import STATUS, error_response
from threadkeep.http.routes import ROUTES
from threadkeep.server.asgi import Disconnected, Exchange, Receive, Scope, Send
from threadkeep.server.limits import LIMITS, Limits
from threadkeep.server.load import Load
from threadkeep.server.logs import CutShort
from threadkeep.server.metrics import Metrics, new_metrics
from threadkeep.settings import Settings
from threadkeep.signals import Signals
from threadkeep.storage.base import Database, Platform

PLATFORM: Platform = "server"

READY_PATH = "/api/ready"
METRICS_PATH = "/metrics"
PURGE_SECONDS = 600
"""How often what was deleted long ago is purged: as on D1."""

DRAFTS_SECONDS = 30
"""How often it is looked for drafts past their deadline. Whoever reads one settles it sooner."""

_NEXT_PARTS_SECONDS = 1  # where there was more than may be done at once
_FIRST_PURGE_SECONDS = 30  # when whoever waited for the server to start has been served
HEAR_AGAIN_SECONDS = 1.0
"""How long after other processes could not be heard any more that is tried again."""
END_STREAMS = "threadkeep.end_streams"
"""What in the state of the lifespan ends the streams that would otherwise go on for minutes, as the server stops."""

_READY_SECONDS = 5
_GONE_STATUS = 499  # what is logged for a request whose sender has gone; nobody gets it
_METHODS = {"HEAD", "OPTIONS", *(route.method for route in ROUTES)}

_log = logging.getLogger("threadkeep")
_requests_log = logging.getLogger("threadkeep.requests")


class ServerPlace:
    """A process of a server. It has no bindings. See `Place` in `storage/base.py`."""

    platform = PLATFORM
    storage = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def binding(self, name: str) -> None:
        """There is none."""


class Application:
    """The API under the settings of an environment.

    It opens its back end as the server starts, or, mounted where nobody tells it of that, with the first request.
    """

    def __init__(
        self, get: Callable[[str], str | None], default_store: str | None = None, limits: Limits = LIMITS
    ) -> None:
        """`get` gives the value of a variable; `default_store` is the back end to take where none is set up."""
        self._get = get
        self._load = Load(limits)
        self._default_store = default_store
        self._api: Api | None = None
        self._database: Database | None = None
        self._signals = Signals()
        self._opening = asyncio.Lock()
        self._purging: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._metrics: Metrics | None = None

    @property
    def api(self) -> Api:
        """The API, once the environment is read."""
        if self._api is None:
            api = connect(self._get, lambda binding: False, PLATFORM, self._default_store)
            for warning in api.settings.warnings:
                _log.warning(warning)
            try:
                self._metrics = new_metrics() if api.settings.metrics else None
            except ThreadkeepError as error:
                api = Api(api.settings, error)
            self._api = api
        return self._api

    async def open(self) -> None:
        """Open the back end. Raises Unavailable where the settings are wrong, or it cannot be opened."""
        if self.api.backend.keeps_conversations:
            await self._open_database()

    def end_streams(self) -> None:
        """End the streams of those who wait for something to happen. They come again, and find the next server."""
        self._signals.end()

    async def close(self) -> None:
        """Close the back end. The next request would open it again."""
        self.end_streams()
        self._signals = Signals()
        for task in (self._purging, self._settling, self._hearing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._purging = self._settling = self._hearing = None
        if self._database is not None:
            database, self._database = self._database, None
            await database.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the start and the end of the server."""
        if scope["type"] == "http":
            await self._answer(Exchange(scope, receive, send, self._load.limits))
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})  # there are none

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope.get("state", {})[END_STREAMS] = self.end_streams
        try:
            await self.open()
        except ThreadkeepError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, exchange: Exchange) -> None:
        began = time.perf_counter()
        status, request_id = 500, None
        try:
            response = await self._response_to(exchange)
            request_id = response.headers["x-request-id"]
            await exchange.respond(response)
            status = response.status
        except Disconnected:
            status = _GONE_STATUS
        except ThreadkeepError as error:  # of the store, while the answer is made
            status = STATUS[error.code]
            _log.warning("request %s was cut short: %s", request_id, error.message)
            raise CutShort(error.message) from error
        except Exception:
            status = 500
            raise  # the server logs it, and cuts off what it has begun to send
        finally:
            if exchange.share is not None:
                await exchange.share.end()
            self._note(exchange.request, status, request_id, time.perf_counter() - began)

    def _note(self, request: Request, status: int, request_id: str | None, seconds: float) -> None:
        """Log and count a request, without anything that the caller chose: no id, no query, no header."""
        method = request.method if request.method in _METHODS else "other"
        route = request.path if request.path in (READY_PATH, METRICS_PATH) else request.route or "none"
        _requests_log.info(
            "request",
            extra={
                "fields": {
                    "requestId": request_id,
                    "method": method,
                    "route": route,
                    "status": status,
                    "milliseconds": round(seconds * 1000, 3),
                }
            },
        )
        if self._metrics is not None:
            self._metrics.note_request(method, route, status, seconds)

    async def _response_to(self, exchange: Exchange) -> Response:
        api, request = self.api, exchange.request
        if request.method in ("GET", "HEAD"):
            if request.path == READY_PATH:
                return api.finish(await self._readiness(api), request)
            if request.path == METRICS_PATH and self._metrics is not None:
                return api.finish(self._metrics.response(), request)

        def begin(user_id: str) -> None:
            exchange.share = self._load.begin(user_id)

        async def open_store(user_id: str, bookmark: str | None) -> DatabaseStore:
            return (await self._open_database()).open_store(user_id)

        response = await api.handle(request, open_store, begin=begin, signals=self._signals)
        if exchange.share is not None and not isinstance(response.body, bytes):
            try:
                exchange.share.stream()
            except ThreadkeepError as error:
                return api.finish(error, request)
        return response

    async def _readiness(self, api: Api) -> Response:
        """Whether the database answers, and takes writes."""
        try:
            backend = api.backend
            if backend.keeps_conversations:
                async with asyncio.timeout(_READY_SECONDS):
                    await (await self._open_database()).check()
        except TimeoutError:
            return error_response(Unavailable(f"The database has not answered for {_READY_SECONDS} seconds."))
        except ThreadkeepError as error:
            return error_response(error)
        return json_response(200, {"status": "ready", "store": backend.name, "version": __version__})

    async def _open_database(self) -> Database:
        if self._database is None:
            async with self._opening:  # once, however many ask
                self._database = self._database or await self._opened_database()
        return self._database

    async def _opened_database(self) -> Database:
        database = await self.api.backend.connect(ServerPlace(self.api.settings))
        self._purging = asyncio.create_task(self._purge_for_ever(database))
        self._settling = asyncio.create_task(self._settle_for_ever(database))
        self._hearing = asyncio.create_task(self._hear_for_ever(database, self._signals))
        return database

    async def _hear_for_ever(self, database: Database, signals: Signals) -> None:
        """Hear of what other processes write, and begin again whenever that ends; meanwhile, everybody asks."""
        while True:
            hearings = signals.hearings
            try:
                await database.hear(signals)
                return  # there is nobody to hear
            except Exception as error:  # whatever it was: nobody else would see it
                if not signals.is_deaf:
                    _log.warning("what other processes write is not heard just now, and is asked for", exc_info=error)
            if signals.hearings == hearings:
                signals.go_deaf()
            await asyncio.sleep(HEAR_AGAIN_SECONDS)

    async def _settle_for_ever(self, database: Database) -> None:
        """Settle drafts past their deadline. Several processes may do so at once: a draft is settled once."""
        while True:
            await asyncio.sleep(DRAFTS_SECONDS)
            try:
                await retention.settle_drafts(database, self._signals.publish)
            except Exception:  # likewise
                _log.exception("drafts could not be settled, which is tried again in %d seconds", DRAFTS_SECONDS)

    async def _purge_for_ever(self, database: Database) -> None:
        """Purge on a timer. Several processes may do so at once: each finds what the others have left."""
        await asyncio.sleep(_FIRST_PURGE_SECONDS)
        while True:
            seconds = PURGE_SECONDS
            try:
                is_complete = await retention.keep_up(database, self.api.settings, self._signals.publish)
                seconds = PURGE_SECONDS if is_complete else _NEXT_PARTS_SECONDS
            except Exception:  # whatever it was, the next time may do better, and nobody else would see it
                _log.exception("a purge has failed, and is tried again in %d seconds", PURGE_SECONDS)
            await asyncio.sleep(seconds)
