"""What people send by mistake, and exactly what they are told."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import API, JSON, MISSING, Kept, ask, check_message, import_document, message
from hypothesis import given
from hypothesis import strategies as st

from support.backends import NATIVE
from threadkeep.http.problems import OPENAI
from threadkeep.http.routes import ROUTES

HELLO = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
CONVERSATION = f"{API}/{{id}}"
MESSAGES = f"{CONVERSATION}/messages"
ONE_MESSAGE = f"{MESSAGES}/{{mid}}"

MESSAGE = (
    "The fields here are `id`, `role`, `content`, `tokenCount`, `model`, `parentId`, `metadata`, "
    "`siblingOf`, `isRoot` and `select`."  # of a message
)
NEW = "The fields here are `id`, `title`, `model`, `metadata` and `messages`."  # of a new conversation
CHANGED = "The fields here are `title`, `isArchived`, `model`, `metadata` and `editedAt`."  # of an edit
LIST = (
    "The query parameters here are `cursor`, `limit`, `archived`, `model`, `createdAfter`, `createdBefore` and "
    "`metadata.…`."
)
PAGES = "The query parameters here are `branch`, `cursor`, `after` and `limit`."
SEARCH = "The query parameters here are `q`, `role`, `from`, `to`, `conversation`, `branch`, `cursor` and `limit`."
ROLES = "Must be `assistant`, `developer`, `system`, `tool` or `user`"
BLOCKS = '[{"type": "text", "text": "Hello"}]'
NEXT_PAGE = "For the next page, send the `nextCursor` of this one as `cursor`."
MORE = "To get more, send the cursor of this answer with the next request."
USER = "The user comes from the credentials, and is not sent."
TWICE = "body: Must be an object, not a string. It seems to be encoded as JSON twice: send the object itself."
SEVERAL = 'body: Must be an object, not an array. Send several messages as {"messages": [...]}.'
A_VALUE = "an object, an array, a string in double quotes, a number, true, false or null was expected."

# A message

JOURNAL = "/api/journals/{space}/{key}"
THREAD = "/api/threads/{thread}"
QUEUE = "/api/queues/{queue}"
TYPED = {"type": "json", "data": "MQ=="}
WRITE = {"idx": 0, "channel": "a", **TYPED}

APPENDS: list[tuple[Any, str]] = [
    ([HELLO], SEVERAL),
    (json.dumps(HELLO), TWICE),
    (
        {"message": HELLO},
        (
            f"message: Unknown field `message`. Send the fields of one message by themselves, or several messages as "
            f"`messages`. {MESSAGE}"
        ),
    ),
    (
        {"messages": HELLO},
        (
            "messages: Must be an array of at least 1 item, not an object. Put one message into an array, or send it "
            "without `messages`."
        ),
    ),
    (
        {"role": "user", "text": "Hello"},
        f"text: Unknown field `text`. Send what the message says as `content`, such as {BLOCKS}. {MESSAGE}",
    ),
    (
        {"role": "user", "parts": HELLO["content"]},
        f"parts: Unknown field `parts`. Send what the message says as `content`, such as {BLOCKS}. {MESSAGE}",
    ),
    (
        {"role": "user"},
        f"content: The field `content` is missing. It must be a string, or an array of blocks such as {BLOCKS}.",
    ),
    (
        {"content": HELLO["content"]},
        "role: The field `role` is missing. It must be `assistant`, `developer`, `system`, `tool` or `user`.",
    ),
    ({**HELLO, "role": "human"}, f"role: {ROLES}, not `human`. Did you mean `user`?"),
    ({**HELLO, "role": "ai"}, f"role: {ROLES}, not `ai`. Did you mean `assistant`?"),
    ({**HELLO, "role": "bot"}, f"role: {ROLES}, not `bot`. Did you mean `assistant`?"),
    ({**HELLO, "role": "model"}, f"role: {ROLES}, not `model`. Did you mean `assistant`?"),
    ({**HELLO, "role": "USER"}, f"role: {ROLES}, not `USER`. Did you mean `user`?"),
    ({**HELLO, "role": "robot"}, f"role: {ROLES}, not `robot`."),
    ({**HELLO, "role": None}, f"role: {ROLES}, not null."),
    (
        {**HELLO, "conversation_id": MISSING},
        f"conversation_id: Unknown field `conversation_id`. The path names the conversation. {MESSAGE}",
    ),
    (
        {**HELLO, "parent_id": MISSING},
        f"parent_id: Unknown field `parent_id`. Did you mean `parentId`? {MESSAGE}",
    ),
    (
        {"messages": [HELLO, {**HELLO, "token_count": 3}]},
        f"messages[1].token_count: Unknown field `token_count`. Did you mean `tokenCount`? {MESSAGE}",
    ),
    (
        {**HELLO, "created_at": 3},
        (
            "created_at: Unknown field `created_at`. The server sets this time. To keep the times of old messages, use "
            f"POST /api/import. {MESSAGE}"
        ),
    ),
    ({**HELLO, "userId": "ada"}, f"userId: Unknown field `userId`. {USER} {MESSAGE}"),
    (
        {**HELLO, "tool_calls": []},
        (
            "tool_calls: Unknown field `tool_calls`. Send it in `content`, as a block such as "
            f'{{"type": "tool_use", "id": "1", "name": "search", "input": {{}}}}. {MESSAGE}'
        ),
    ),
    (
        {**HELLO, "expectedMessageCount": 1},
        (
            "expectedMessageCount: Unknown field `expectedMessageCount`. It goes beside `messages`: send the message "
            f"in an array there. {MESSAGE}"
        ),
    ),
    (
        {"messages": [HELLO], "expected_message_count": 1},
        (
            "expected_message_count: Unknown field `expected_message_count`. Did you mean `expectedMessageCount`? "
            "The fields here are `messages`, `expectedMessageCount` and `expectedLeafId`."
        ),
    ),
    (
        {"messages": [HELLO], "role": "user"},
        (
            "role: Unknown field `role`. It belongs in each of `messages`. "
            "The fields here are `messages`, `expectedMessageCount` and `expectedLeafId`."
        ),
    ),
    (
        {**HELLO, "tokenCount": "12"},
        "tokenCount: Must be a whole number from 0 to 9007199254740991, or null, not a string.",
    ),
    (b"", "body: This is not JSON: there is nothing in it."),
    (b"{'role': 'user'}", "body: This is not JSON: at byte 1, a name was expected, in double quotes."),
    (
        b'{"role": "user",}',
        "body: This is not JSON: at byte 16, a name was expected after the comma, or no comma before }.",
    ),
    (b'{"role": undefined}', f"body: This is not JSON: at byte 9, {A_VALUE}"),
    (b'{"messages": None}', f"body: This is not JSON: at byte 13, {A_VALUE}"),
    (
        b"[object Object]",
        "body: This is not JSON but what JavaScript makes of an object. Send JSON.stringify(object).",
    ),
    (b'{"role": "user", "content": "', "body: This is not JSON: it ends before it is complete."),
]

# A conversation

CREATES: list[tuple[Any, str]] = [
    ([HELLO], 'body: Must be an object, not an array. Send messages as {"messages": [...]}.'),
    ({"message": HELLO}, f"message: Unknown field `message`. Did you mean `messages`? {NEW}"),
    ({"messages": HELLO}, "messages: Must be an array, not an object. Put one message into an array."),
    (HELLO, f"role: Unknown field `role`. Send messages as `messages`, each with its `role` and `content`. {NEW}"),
    ({"name": "Ada"}, f"name: Unknown field `name`. Did you mean `title`? {NEW}"),
    ({"conversation_id": MISSING}, f"conversation_id: Unknown field `conversation_id`. Did you mean `id`? {NEW}"),
    ({"user_id": "ada"}, f"user_id: Unknown field `user_id`. {USER} {NEW}"),
    (
        {"systemPrompt": "Be brief."},
        f"systemPrompt: Unknown field `systemPrompt`. Send it as a message with the role `system`. {NEW}",
    ),
    (
        {"title": ""},
        "title: Must be one line of 1 to 300 characters, not blank and without control characters, or null.",
    ),
]
EDITS: list[tuple[Any, str]] = [
    ({"archived": True}, f"archived: Unknown field `archived`. Did you mean `isArchived`? {CHANGED}"),
    ({"is_archived": True}, f"is_archived: Unknown field `is_archived`. Did you mean `isArchived`? {CHANGED}"),
    ({"isArchived": "true"}, "isArchived: Must be true or false, or null, not a string."),
    ({"isArchived": 1}, "isArchived: Must be true or false, or null, not a number."),
    ({"version": 3}, f"version: Unknown field `version`. Send the version in the header `If-Match`. {CHANGED}"),
    (
        {"deletedAt": None},
        (
            "deletedAt: Unknown field `deletedAt`. DELETE /api/conversations/{id} deletes it, and "
            f"POST /api/conversations/{{id}}/restore restores it. {CHANGED}"
        ),
    ),
    (
        {"messages": [HELLO]},
        (
            "messages: Unknown field `messages`. To append messages, use POST /api/conversations/{id}/messages. "
            f"{CHANGED}"
        ),
    ),
    (
        {"editedAt": "2026-11-20T00:00:00Z"},
        "editedAt: Must be a whole number of milliseconds since 1970, such as 1795176819164, or null, not a string.",
    ),
    (
        {"editedAt": 1.5},
        (
            "editedAt: Must be a whole number of milliseconds since 1970, such as 1795176819164, or null, "
            "not one with a fraction or an exponent."
        ),
    ),
]

VOTED = "The fields here are `metadata` and `editedAt`."  # of an edit of a message
VOTES: list[tuple[Any, str]] = [
    (
        {"content": "Hello"},
        (
            "content: Unknown field `content`. Of a message, only `metadata` can be edited. To say something else, "
            f"append another message. {VOTED}"
        ),
    ),
    ({"vote": 1}, f'vote: Unknown field `vote`. Send it in `metadata`: {{"metadata": {{…}}}}. {VOTED}'),
    ({"version": 1}, f"version: Unknown field `version`. Send the version in the header `If-Match`. {VOTED}"),
    ({"metadata": "up"}, "metadata: Metadata must be a JSON object."),
]

# A query

QUERIES = {
    f"{API}?limit=1000": f"limit: Must be a whole number from 1 to 100, not `1000`. {MORE}",
    f"{API}?limit=ten": "limit: Must be a whole number from 1 to 100, not `ten`.",
    f"{API}?limit=5&limit=6": "limit: The query parameter `limit` is there twice; send it once.",
    f"{API}?archived=yes": "archived: Must be true or false, or `any`, not `yes`.",
    f"{API}?isArchived=true": f"isArchived: Unknown query parameter `isArchived`. Did you mean `archived`? {LIST}",
    f"{API}?page=2": f"page: Unknown query parameter `page`. {NEXT_PAGE} {LIST}",
    f"{API}?page_size=20": f"page_size: Unknown query parameter `page_size`. Did you mean `limit`? {LIST}",
    f"{API}?after={MISSING}": f"after: Unknown query parameter `after`. {NEXT_PAGE} {LIST}",
    f"{API}?sort=asc": f"sort: Unknown query parameter `sort`. The order is fixed: the latest comes first. {LIST}",
    f"{API}?user_id=ada": f"user_id: Unknown query parameter `user_id`. {USER} {LIST}",
    f"{API}?q=ada": f"q: Unknown query parameter `q`. To search, use GET /api/conversations/search. {LIST}",
    f"{MESSAGES}?limit=1000": f"limit: Must be a whole number from 1 to 200, not `1000`. {MORE}",
    f"{MESSAGES}?after=1&cursor=x": (
        "after: Send either `after`, to start reading forward, or `cursor`, to go on from a page."
    ),
    f"{MESSAGES}?before=5": (
        "before: Unknown query parameter `before`. The newest page comes first, and its `nextCursor`, sent as "
        f"`cursor`, leads to older messages. {PAGES}"
    ),
    f"{API}/search": "q: The query parameter `q` is missing. It must be a string of at most 500 characters.",
    f"{API}/search?query=ada": f"query: Unknown query parameter `query`. Did you mean `q`? {SEARCH}",
    f"{API}/search?q=ada&role=human": f"role: {ROLES}, not `human`. Did you mean `user`?",
    f"{API}/search?q=ada&from=2026-01-01": (
        "from: Must be a whole number of milliseconds since 1970, such as 1795176819164, not `2026-01-01`."
    ),
    f"{API}/search?q=ada&before=2026-01-01": f"before: Unknown query parameter `before`. Did you mean `to`? {SEARCH}",
    f"{API}/changes?cursor=0": (
        "cursor: Unknown query parameter `cursor`. Did you mean `since`? Send the `next` of the last answer. "
        "The query parameters here are `since` and `limit`."
    ),
    f"{CONVERSATION}?include=messages": (
        "include: Unknown query parameter `include`. There are no query parameters here."
    ),
}


def mistakes() -> Iterator[tuple[str, str, Any, str]]:
    for method, path, rows in (
        ("POST", MESSAGES, APPENDS),
        ("POST", API, CREATES),
        ("PATCH", CONVERSATION, EDITS),
        ("PATCH", ONE_MESSAGE, VOTES),
    ):
        yield from ((method, path, body, told) for body, told in rows)
    yield from (("GET", path, None, told) for path, told in QUERIES.items())


@pytest.mark.anyio
@pytest.mark.front_door
async def test_a_common_mistake_is_told_what_to_send_instead(kept: Kept, subtests: pytest.Subtests) -> None:
    for method, path, body, told in kept.some(mistakes()):
        with subtests.test(f"{method} {path} {str(body)[:60]}"):
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            headers = {} if content is None else JSON
            response = await ask(kept.client, method, kept.path(path), content=content, headers=headers)
            assert response.status_code == 400, response.text
            error = response.json()["error"]
            assert error["message"] == told
            assert error["details"]["path"] == told.partition(":")[0]


# Whatever else somebody sends

GOOD: dict[tuple[str, str], list[Any]] = {
    ("POST", API): [{"id": MISSING, "title": "T", "model": "m", "metadata": {"a": 1}, "messages": [message()]}],
    ("PUT", CONVERSATION): [{"title": "T", "model": "m", "metadata": {"a": 1}, "messages": [message()]}],
    ("PATCH", CONVERSATION): [{"title": "T", "isArchived": True, "model": None, "metadata": {"a": 1}, "editedAt": 1}],
    ("PUT", f"{CONVERSATION}/leaf"): [{"messageId": MISSING, "descend": False, "expectedLeafId": MISSING}],
    ("POST", f"{CONVERSATION}/fork"): [{"id": MISSING, "messageId": MISSING, "title": "T"}],
    ("POST", f"{CONVERSATION}/drafts"): [
        {"id": MISSING, "parentId": MISSING, "role": "tool", "model": "m", "metadata": {"a": 1}, "leaseSeconds": 60}
    ],
    ("POST", "/api/drafts/{id}/parts"): [
        {"fence": 1, "from": 0, "parts": [[{"block": 0, "set": {"type": "text", "text": "a"}}]]},
        {"fence": 1, "from": 0, "parts": [[{"block": 0, "append": "a"}, {"event": {"a": 1}}]]},
    ],
    ("PUT", "/api/drafts/{id}"): [
        {"fence": 1, "state": "failed", "tokenCount": 1, "usage": {"a": 1}, "error": "why", "content": HELLO["content"]}
    ],
    ("PATCH", ONE_MESSAGE): [{"metadata": {"a": 1}, "editedAt": 1}],
    ("POST", MESSAGES): [
        {**message(), "tokenCount": 1, "model": "m", "parentId": MISSING, "select": False, "metadata": {"a": 1}},
        {**message(), "siblingOf": MISSING},
        {**message(), "isRoot": True},
        {"messages": [message(), {**HELLO, "content": [{"type": "tool_use", "id": "1", "name": "n", "input": {}}]}]},
        {"messages": [message()], "expectedMessageCount": 1, "expectedLeafId": MISSING},
    ],
    ("POST", "/api/import"): [import_document()],
    ("PUT", JOURNAL): [
        {"mode": "save", "head": {"a": 1}, "identity": [1], "kind": "k", "status": "s", "sort": "1", "expiresIn": 60}
    ],
    ("PATCH", JOURNAL): [{"head": {"a": None}, "status": "s", "sort": "1", "statusIs": "t"}],
    ("POST", f"{JOURNAL}/producer"): [{"producer": "p"}],
    ("POST", f"{JOURNAL}/entries"): [
        {"entries": [{"id": "a", "data": {"b": 1}}, {"data": 1}], "cut": 1, "remove": ["a"], "head": 1, "status": "s"},
        {"entries": [{"data": 1}], "producer": {"id": "p", "incarnation": "i", "epoch": 1, "seq": 0}, "expected": 1},
        {"entries": [{"data": 1}], "at": 3, "sort": "1", "create": True, "close": True, "expiresIn": 60},
    ],
    ("POST", f"{QUEUE}/tasks"): [
        {"id": "a", "lane": "l", "payload": {"b": 1}, "kind": "k", "target": "t", "ready": False, "acceptedAt": 1},
        {"id": "a", "lane": "l", "payload": 1, "attemptsMax": 3, "timeoutAt": 5},
    ],
    ("POST", f"{QUEUE}/tasks/{{task}}"): [
        {"do": "claim", "attempt": "a", "holder": "h", "leaseUntil": 1, "attemptsMax": 1, "restart": True},
        {"do": "reserve", "attempt": "a", "settlementId": "s", "settlement": {"b": 1}, "error": "e"},
        {"do": "note", "attempt": "a", "note": {"b": 1}, "if": {"b": None}},
        {"do": "absorb", "attempt": "a", "target": "t"},
    ],
    ("POST", f"{QUEUE}/renew"): [{"holder": "h", "tasks": ["a"], "leaseUntil": 1}],
    ("POST", f"{QUEUE}/lanes/{{lane}}"): [{"do": "clear", "keep": "k"}],
    ("POST", f"{THREAD}/checkpoints"): [
        {"id": "2", "ns": "n", "parent": "1", "metadata": {"a": 1}, "stored": {"a": "1"}, "epoch": 0, **TYPED},
        {"id": "2", "values": [{"channel": "a", "version": "1", **TYPED}], "expiresIn": 60, **TYPED},
    ],
    ("POST", f"{THREAD}/writes"): [
        {"checkpoint": "1", "ns": "n", "task": "t", "path": "p", "epoch": 0, "writes": [WRITE]},
    ],
    ("POST", f"{THREAD}/copy"): [{"source": "s", "epoch": 0}],
    ("POST", "/api/checkpoints/prune"): [
        {"threads": ["a"], "keep": "latest"},
        {"updatedBefore": 1, "keep": "none"},
    ],
    ("POST", "/api/checkpoints/delete"): [{"runs": ["r"]}],
    ("POST", f"{OPENAI}conversations"): [{"items": [{"role": "user", "content": "a"}], "metadata": {"a": "b"}}],
    ("POST", f"{OPENAI}conversations/{{conversation}}"): [{"metadata": {"a": "b"}}],
    ("POST", f"{OPENAI}conversations/{{conversation}}/items"): [
        {"items": [{"role": "assistant", "content": [{"type": "output_text", "text": "a"}], "id": "b", "status": "c"}]}
    ],
}
"""What each route takes."""

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each object or array in a value, with the name or the index of each of its parts."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield value, name
        yield from places_in(part)


@st.composite
def wrong_bodies(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A route, and a body that is a good one but for one place, or in one byte."""
    (method, path), bodies = draw(st.sampled_from(sorted(GOOD.items())))
    body = json.loads(json.dumps(draw(st.sampled_from(bodies))))
    around, name = draw(st.sampled_from([*places_in(body)]))
    kind = draw(st.sampled_from(("another value", "left out", "one more", "another byte", "all of it")))
    if kind == "another value":
        around[name] = draw(VALUES)
    elif kind == "left out":
        del around[name]
    elif kind == "one more" and isinstance(around, dict):
        around[draw(st.text(max_size=80))] = draw(VALUES)
    elif kind == "all of it":
        body = draw(VALUES)
    text = json.dumps(body).encode()
    if kind == "another byte":
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.binary(max_size=2)) + text[place + draw(st.integers(0, 2)) :]
    return method, path, text


def test_every_route_that_takes_json_is_tried() -> None:
    takes_json = [route for route in ROUTES if route.body is not None and "application/json" in route.media_types]
    assert {(route.method, route.path) for route in takes_json} == GOOD.keys()


@given(wrong_bodies())
def test_whatever_is_wrong_with_a_body_is_told_with_its_place_and_without_words_of_python(
    tmp_path_factory: pytest.TempPathFactory, wrong: tuple[str, str, bytes]
) -> None:
    method, path, body = wrong

    async def send(folder: Path) -> None:
        async with NATIVE["memory"](folder) as backend:
            client = backend.client_of("ada")
            response = await ask(
                client, method, path.replace("{id}", MISSING).replace("{mid}", MISSING), content=body, headers=JSON
            )
            if path == "/api/import" and response.is_success:
                for skipped in response.json()["skipped"]:
                    assert skipped["error"]["code"] != "invalid" or skipped["error"]["details"]["path"]
                    check_message(skipped["error"]["message"])

    asyncio.run(send(tmp_path_factory.getbasetemp()))
