"""Ask the API, and hold every answer to what all answers have in common."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from support.backends import Backend
from support.examples import T, some
from threadkeep.http.problems import OPENAI, STATUS
from threadkeep.ids import new_id

API = "/api/conversations"
STREAM = f"{API}/changes/stream"
JSON = {"Content-Type": "application/json"}
ANSWER_SECONDS = 60
MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""The id of nothing that any test makes."""

# A line that begins like a sentence, after the name of a place or without one, and ends like one, or like a question.
_SENTENCE = re.compile(r"(?:[\w.\[\]-]+: )?[A-Z0-9`'\"].*[.?]")
_INSIDE = re.compile(
    r"\bTraceback\b|\bFile \"|\b[A-Z]\w*Error\b|(?i:sqlite|d1_|msgspec|pyodide|json_each)"
    r"|\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|BEGIN)\b"
)
# What msgspec and Python call what JSON calls a string, a number, true or false, null.
_PYTHON = re.compile(r"`(?:str|int|float|bool|bytes|list|dict|None)(?: \| \w+)*`|\bExpected `|\bNone\b")
_SENT = re.compile(r"Unknown (?:field|query parameter) `.*?`\.")
_MESSAGE_CHARACTERS_MAX = 1_000


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """Send a request. Fails on an answer that no caller should ever get, and where none comes.

    Of the changes as they happen, whose answer has no end to wait for, it takes what comes up to the first event.
    """
    if path.partition("?")[0] == STREAM and method == "GET":
        response = await _ask_for_events(client, path, **options)
    else:
        response = await client.request(method, path, timeout=ANSWER_SECONDS, **options)
    check(response)
    return response


async def _ask_for_events(client: httpx.AsyncClient, path: str, **options: Any) -> httpx.Response:
    came = ""
    async with client.stream("GET", path, timeout=ANSWER_SECONDS, **options) as response:
        async for line in response.aiter_lines():
            came += f"{line}\n"
            if line.startswith("data: "):
                break
    headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}
    return httpx.Response(response.status_code, headers=headers, text=came, request=response.request)


async def send(client: httpx.AsyncClient, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
    """Send a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(client, method, path, content=content, headers={**JSON, **headers})


def check(response: httpx.Response) -> None:
    """Hold an answer to what is true of all: no defect, the headers, and the one shape of every error."""
    assert response.status_code < 500, f"{response.status_code}: {response.text[:2_000]}"
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", headers["x-request-id"])
    if response.is_error and response.request.method != "HEAD":
        _check_error(response)


def _check_error(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    error = body["error"]
    of_openai = {"type", "param"} if response.request.url.path.startswith(OPENAI) else set()
    assert {"code", "message", *of_openai} <= {*error} <= {"code", "message", "details", *of_openai}
    assert STATUS[error["code"]] == response.status_code
    assert isinstance(error.get("details", {}), dict)
    if error["code"] == "invalid":
        assert error["details"]["path"], error
    check_message(error["message"])


def check_message(message: str) -> None:
    """Hold a message to be a sentence, in the words of whoever asks."""
    assert len(message) <= _MESSAGE_CHARACTERS_MAX, f"a message of {len(message)} characters: {message[:100]}"
    assert _SENTENCE.fullmatch(message), message
    assert not _INSIDE.search(message), message
    assert not _PYTHON.search(_SENT.sub("", message)), message


def check_refusal(
    response: httpx.Response, code: str = "invalid", at: str | None = None, says: tuple[str, ...] = ()
) -> None:
    """Hold an answer to be this error, at this place of the request, with these words in its message.

    An error `invalid` has always a place, which may be any if none is given; others have none unless one is given.
    """
    assert response.is_error, f"{response.status_code}: {response.text[:200]}"
    error = response.json()["error"]
    assert error["code"] == code, error
    path = error.get("details", {}).get("path")
    assert path == at or (at is None and code == "invalid"), error
    for words in says:
        assert words in error["message"], error


def someone(backend: Backend) -> httpx.AsyncClient:
    """A user who has nothing yet."""
    return backend.client_of(f"user-{new_id()}")


def message(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """A message to send, with an id of its own unless it is given one."""
    return {"id": new_id(), "role": "user", "content": [{"type": "text", "text": text}], **fields}


def import_document(text: str = "Hello", id_: str = "theirs", message_id: str = "1", **fields: Any) -> dict[str, Any]:
    """A document to import: its title and its two messages are the text. Ids are only names within it."""
    first = {"id": message_id, "role": "user", "content": [{"type": "text", "text": text}]}
    second = {"role": "assistant", "content": first["content"], "parentId": message_id}
    return {"version": 1, "conversation": {"id": id_, "title": text, "messages": [first, second], **fields}}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Create a conversation, and answer it."""
    response = await send(client, "POST", API, {"id": new_id(), **fields})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def everything(client: httpx.AsyncClient) -> dict[str, Any]:
    """All that a user can see: each conversation with all of its messages."""
    seen = {}
    for archived in ("false", "true"):
        for listed in await _pages(client, API, "conversations", {"archived": archived, "limit": 100}):
            seen[listed["id"]] = (listed, await _pages(client, f"{API}/{listed['id']}/messages", "messages", {}))
    return seen


async def _pages(client: httpx.AsyncClient, path: str, rows: str, query: dict[str, Any]) -> list[Any]:
    found = []
    while True:
        response = await ask(client, "GET", path, params=query)
        assert response.status_code == 200
        page = response.json()
        found += page[rows]
        if page["nextCursor"] is None:
            return found
        query = {**query, "cursor": page["nextCursor"]}


@dataclass
class Kept:
    """Two conversations of one user, which nothing that is refused may change."""

    user_id: str
    client: httpx.AsyncClient
    id: str
    """A conversation of two messages."""
    message_ids: list[str]
    elsewhere_id: str
    """The id of a message of the other conversation, which is archived."""
    before: dict[str, Any]
    """All of it, as `everything` tells it."""
    is_worker: bool
    """Whether a Worker keeps it."""

    def path(self, path: str) -> str:
        """A path, with the conversation for `{id}`, and its first message for `{mid}`."""
        return path.replace("{id}", self.id).replace("{mid}", self.message_ids[0])

    def some(self, values: Iterable[T]) -> list[T]:
        """All of these; on a push, every third where a Worker is asked: the other front doors are asked for all."""
        return some(values, in_a_worker=self.is_worker)

    async def refuses(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        code: str = "invalid",
        at: str | None = None,
        says: tuple[str, ...] = (),
        **headers: str,
    ) -> None:
        """Ask for something that must be refused. In `path`, `{id}` and `{mid}` stand for the conversation and its
        first message."""
        path = self.path(path)
        if body is None:
            response = await ask(self.client, method, path, headers=headers)
        else:
            response = await send(self.client, method, path, body, **headers)
        check_refusal(response, code, at, says)
