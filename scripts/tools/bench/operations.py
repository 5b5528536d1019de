"""Makes the requests of each operation that is measured: the same for every contestant, to the letter."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote_plus

from threadkeep.conversations import cursors
from tools.bench.conversations import BEGIN, WORDS, Writer
from tools.bench.http_client import USER, Request, send_request
from tools.bench.seeds import Shape, long_conversation

IMPORTER = f"{USER}-imports"
"""Whom imports are for, so that what is measured after them has not grown."""
IMPORTED_CONVERSATIONS = 100
_IMPORTED_MESSAGES = 4
_QUERIES = 40
_CHANGES_BEFORE, _CHANGES_LIMIT = 400, 50


@dataclass(frozen=True)
class Target:
    """What requests have to name of the data."""

    shape: Shape
    since: str
    """A cursor of the changes, in the middle of the data."""


def find_target(url: str, shape: Shape) -> Target:
    """Looks at the data of a contestant."""
    changes = Request("GET", f"/api/conversations/changes?since=0&limit={_CHANGES_BEFORE}")
    return Target(shape, send_request(url, changes).json()["next"])


@dataclass(frozen=True)
class Operation:
    """One thing that is measured."""

    name: str
    title: str
    """What it is, for people."""
    requests: Callable[[Target, str, int], list[Request]]
    """So many requests. Those that write are others for every text that is given as the second argument."""
    counts: tuple[int, int]
    """Requests in a round, with one connection and with 16."""
    is_main: bool = False
    """Whether it is part of a quick run, and of the growth."""
    is_slow: bool = False

    def count(self, connections: int, scale: float) -> int:
        """How many requests a round has: at least one for each connection."""
        return max(connections, round(self.counts[connections > 1] * scale))


def _messages_path() -> str:
    return f"/api/conversations/{long_conversation()}/messages"


def _append_one(target: Target, seed: str, count: int) -> list[Request]:
    writer = Writer(f"append-one {seed}")
    messages = (message for _ in range(count) for message in writer.turn()[::3])
    return [_post({"id": writer.new_id(BEGIN), **message}) for message in islice(messages, count)]


def _append_turn(target: Target, seed: str, count: int) -> list[Request]:
    writer = Writer(f"append-turn {seed}")
    return [
        _post({"messages": [{"id": writer.new_id(BEGIN), **message} for message in writer.turn()]})
        for _ in range(count)
    ]


def _post(body: dict[str, Any]) -> Request:
    return Request("POST", _messages_path(), json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _get(*paths: str) -> Callable[[Target, str, int], list[Request]]:
    return lambda target, seed, count: _repeated(list(paths), count)


def _repeated(paths: list[str], count: int) -> list[Request]:
    return [Request("GET", path) for path in islice(cycle(paths), count)]


def _page_deep(target: Target, seed: str, count: int) -> list[Request]:
    most = target.shape.long_messages
    places = [most // 10 + most * number // 50 for number in range(1, 20)]
    paths = [f"{_messages_path()}?cursor={cursors.encode(cursors.BeforeMessage(max(place, 51)))}" for place in places]
    return _repeated(paths, count)


def _changes(target: Target, seed: str, count: int) -> list[Request]:
    return _repeated([f"/api/conversations/changes?since={target.since}&limit={_CHANGES_LIMIT}"], count)


def _search(queries: list[str]) -> Callable[[Target, str, int], list[Request]]:
    return _get(*(f"/api/conversations/search?q={quote_plus(query)}" for query in queries))


def _words(first: int, last: int) -> list[str]:
    """Words of these ranks, longer than those that are the beginning of many others."""
    return [word for word in WORDS[first:last] if len(word) >= 6 and word.isascii()]


def _import(target: Target, seed: str, count: int) -> list[Request]:
    writer = Writer(f"import {seed}")
    return [
        Request(
            "POST",
            "/api/import",
            "\n".join(
                json.dumps(
                    {"version": 1, "conversation": {"messages": list(writer.messages(_IMPORTED_MESSAGES))}},
                    ensure_ascii=False,
                )
                for _ in range(IMPORTED_CONVERSATIONS)
            ),
            {
                "content-type": "application/x-ndjson",
                "x-user-id": IMPORTER,
                "idempotency-key": f"{seed}-{number}".replace(" ", "-"),
            },
        )
        for number in range(count)
    ]


OPERATIONS = (
    Operation("page-newest", "page of the newest 50", _get(_messages_path()), (100, 400), is_main=True),
    Operation("page-deep", "page of 50 deep in a history", _page_deep, (80, 320)),
    Operation("list", "list of 20", _get("/api/conversations"), (100, 400), is_main=True),
    Operation("changes", "changes since, 50 of them", _changes, (80, 320)),
    Operation("search-one", "search for one word", _search(_words(900, 1_400)[:_QUERIES]), (80, 320), is_main=True),
    Operation(
        "search-three",
        "search for three words",
        _search([" ".join(WORDS[rank + step] for step in (0, 7, 15)) for rank in range(20, 20 + _QUERIES)]),
        (50, 200),
    ),
    # Before anything is appended: of appends at once, the order is not the same twice.
    Operation(
        "export",
        "export of a long conversation",
        _get(f"/api/conversations/{long_conversation()}/export"),
        (4, 16),
        is_slow=True,
    ),
    Operation("append-one", "append one message", _append_one, (100, 400), is_main=True),
    Operation("append-turn", "append a turn of 4 with tool calls", _append_turn, (80, 320), is_main=True),
    Operation("import", f"import of {IMPORTED_CONVERSATIONS} conversations", _import, (3, 16), is_slow=True),
)
