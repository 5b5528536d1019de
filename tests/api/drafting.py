"""Write drafts over HTTP, as a producer does, and follow them, as readers do."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from asking import API, create, message, send

NDJSON = {"Content-Type": "application/x-ndjson"}
EVENT_STREAM = {"Accept": "text/event-stream"}
PATIENCE_SECONDS = 30


async def new_draft(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A draft behind a question in a new conversation."""
    created = await create(client, messages=[message("What is a monad?")])
    started = await send(client, "POST", f"{API}/{created['id']}/drafts", fields)
    assert started.status_code == 201, started.text
    draft: dict[str, Any] = started.json()
    return draft


def begin(text: str = "", block: int = 0) -> dict[str, Any]:
    return {"block": block, "set": {"type": "text", "text": text}}


def add(text: str, block: int = 0) -> dict[str, Any]:
    return {"block": block, "append": text}


async def write(client: httpx.AsyncClient, draft: dict[str, Any], first: int, *parts: Any, fence: int = 1) -> Any:
    """Write parts, each a list of changes, and answer where the draft is then."""
    body = {"fence": fence, "from": first, "parts": parts}
    response = await send(client, "POST", f"/api/drafts/{draft['id']}/parts", body)
    assert response.status_code == 200, response.text
    return response.json()


async def settle(client: httpx.AsyncClient, draft: dict[str, Any], state: str = "complete", **fields: Any) -> Any:
    body = {"fence": 1, "state": state, **fields}
    return await send(client, "PUT", f"/api/drafts/{draft['id']}", body)


async def texts(client: httpx.AsyncClient, conversation_id: str) -> list[str]:
    page = (await client.get(f"{API}/{conversation_id}/messages")).json()
    return [text_of(each["content"]) for each in page["messages"]]


def text_of(content: list[dict[str, Any]]) -> str:
    return "".join(block.get("text", "") for block in content)


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, draft_id: str, query: str = "", last: str | None = None
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a draft, as they come."""
    headers = EVENT_STREAM | ({} if last is None else {"Last-Event-ID": last})
    path = f"/api/drafts/{draft_id}/events{query}"
    async with client.stream("GET", path, headers=headers, timeout=PATIENCE_SECONDS) as response:
        assert response.status_code == 200, await response.aread()
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if not line and "data" in event:
            yield event | {"data": json.loads(event["data"])}
        if not line:
            event = {}
        elif name in ("id", "event", "data"):
            event[name] = value


class Reader:
    """Somebody who shows a draft, and may come again at any time."""

    def __init__(self, client: httpx.AsyncClient, draft_id: str) -> None:
        self._client = client
        self._draft_id = draft_id
        self._last: str | None = None
        self.blocks: list[dict[str, Any]] = []
        self.outcome: dict[str, Any] | None = None

    async def read(self, most: int | None = None, query: str = "") -> None:
        """Take in events: so many of them, or until the draft has ended."""
        while self.outcome is None and (most is None or most > 0):
            async with following(self._client, self._draft_id, query, self._last) as events:
                async for event in events:
                    self._take(event)
                    most = None if most is None else most - 1
                    if most == 0:
                        return

    def _take(self, event: dict[str, Any]) -> None:
        self._last = event.get("id", self._last)
        data = event["data"]
        if event["event"] == "content":
            self.blocks = data["content"]
        elif event["event"] == "settled":
            self.outcome = data
        elif event["event"] == "part":
            for op in data["ops"]:
                if "set" in op:
                    self.blocks[op["block"] :] = [op["set"], *self.blocks[op["block"] + 1 :]]
                elif "append" in op:
                    self.blocks[op["block"]]["text"] += op["append"]

    @property
    def text(self) -> str:
        """What it shows."""
        return text_of(self.blocks)
