"""Streams of an application in this process, one piece after the other, as a server has them sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from support.in_process import as_user
from threadkeep.http.events import HEARTBEAT
from threadkeep.server.application import Application
from threadkeep.server.limits import LIMITS, Limits

API = "/api/conversations"
STREAM = f"{API}/changes/stream"
PATIENCE_SECONDS = 30


class Stream:
    """Somebody who follows their changes."""

    def __init__(self, app: Application, user: str = "ada", query: str = "") -> None:
        self.ended = False
        """Whether the answer has come to its end."""
        self.heartbeats = 0
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._text = ""
        self._came = asyncio.Condition()
        self._asked = False
        self._gone = asyncio.Event()
        raw = [(name.lower().encode(), value.encode()) for name, value in as_user(user).items()]
        scope = {"type": "http", "method": "GET", "path": STREAM, "query_string": query.encode(), "headers": raw}
        self.answering = asyncio.create_task(app(scope, self._receive, self._send))

    async def status(self) -> int:
        """The status of the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._status

    async def next(self) -> dict[str, Any]:
        """The data of the next event."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._came:
            while True:
                event, end, rest = self._text.partition("\n\n")
                if not end:
                    assert not self.ended
                    await self._came.wait()
                    continue
                self._text = rest
                for line in event.splitlines():
                    if line.startswith("data: "):
                        data: dict[str, Any] = json.loads(line.removeprefix("data: "))
                        return data

    async def end(self) -> None:
        """Wait for the end of the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.answering

    async def leave(self) -> None:
        """Go, as somebody does who closes the page, and wait until that has been noticed."""
        self._gone.set()
        await self.end()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        async with self._came:
            if message["type"] == "http.response.start":
                self._status.set_result(message["status"])
            else:
                self.heartbeats += message.get("body") == HEARTBEAT
                self._text += message.get("body", b"").decode()
                self.ended = not message.get("more_body", False)
            self._came.notify_all()


@asynccontextmanager
async def followed(app: Application, *users: str, query: str = "") -> AsyncIterator[list[Stream]]:
    """Users who follow their changes, once each has been told where that begins."""
    streams = [Stream(app, user, query) for user in users]
    try:
        for stream in streams:
            await stream.next()
        yield streams
    finally:
        for stream in streams:
            await stream.leave()


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so that becomes so by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 nobody tells of it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(*settings: dict[str, str], limits: Limits = LIMITS) -> AsyncIterator[list[Application]]:
    """An application for each of these settings, open: as many servers. Each hears of the others already."""
    apps = [Application(each.get, limits=limits) for each in settings]
    try:
        for app in apps:
            await app.open()
            await until(lambda app=app: app._signals.hearings or app._signals.is_deaf or app._hearing.done())
        yield apps
    finally:
        for app in apps:
            await app.close()


async def create(app: Application, user: str = "ada") -> str:
    """Create a conversation of a user; return its id."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://threadkeep", headers=as_user(user)) as client:
        conversation_id: str = (await client.post(API, json={})).raise_for_status().json()["id"]
        return conversation_id
