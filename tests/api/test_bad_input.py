"""Bad input: each gets a clear error that names the place, and loses nothing."""

import gzip
import json
from collections.abc import AsyncIterator, Callable
from itertools import product
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
from asking import (
    API,
    JSON,
    MISSING,
    Kept,
    ask,
    check_refusal,
    create,
    everything,
    import_document,
    message,
    send,
    someone,
)

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.conversations.models import APPEND_MESSAGES_MAX, MESSAGE_BYTES_MAX, METADATA_BYTES_MAX, NESTING_MAX
from threadkeep.http.routes import ROUTES
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.front_door]

CONVERSATION = f"{API}/{{id}}"
MESSAGES = f"{API}/{{id}}/messages"
MESSAGE = f"{MESSAGES}/{{mid}}"
SEARCH = f"{API}/search"
CHANGES = f"{API}/changes"
IMPORT = "/api/import"
NDJSON = {"Content-Type": "application/x-ndjson"}
HELLO = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}


class Route(NamedTuple):
    """A route that takes a body."""

    method: str
    path: str


CREATE = Route("POST", API)
PUT = Route("PUT", CONVERSATION)
EDIT = Route("PATCH", CONVERSATION)
APPEND = Route("POST", MESSAGES)
EDIT_MESSAGE = Route("PATCH", MESSAGE)
ROUTES_WITH_BODY = (CREATE, PUT, EDIT, APPEND, EDIT_MESSAGE)


class Place(NamedTuple):
    """Where a message can stand: a route, what is around the message, and the path to it."""

    route: Route
    around: Callable[[Any], Any]
    path: str


CREATED = Place(CREATE, lambda sent: {"title": "T", "messages": [HELLO, sent]}, "messages[1]")
APPENDED = Place(APPEND, lambda sent: {"messages": [HELLO, sent]}, "messages[1]")
APPENDED_ALONE = Place(APPEND, lambda sent: sent, "")
PLACES = (CREATED, APPENDED, APPENDED_ALONE)

# Wrong values, as JSON.
NO_STRING = ["5", "1.5", "true", "[]", "{}"]
NO_OBJECT = ["5", "true", '"x"', "[]", '[{"a":1}]']
NO_COUNT = [
    *('"1"', "true", "[]", "{}", "1.5", "1.0", "1e3", "-1", "-9007199254740993"),
    *("9007199254740992", "9223372036854775807", "18446744073709551616", "1" + "0" * 5_000),
]
NO_ID = [
    json.dumps(text)
    for text in (
        *("", "x" * 129, MISSING + "\n", "\n" + MISSING, MISSING + " ", " " + MISSING, "x" * 127 + "\n", "x\0"),
        *("a b", "a/b", "a\\b", "a+b", "a%20b", "a,b", "a;b", "a?b", "a#b", "a=b", "a*", '"a"', "{a}", "~a", "a\ta"),
        *(MISSING[:25] + "٣", "é", "\uff21", "\u0430bc", "😀", "a\x7f"),
        *(".", "..", "search", "changes", "status", "active", "all"),
    )
]
NO_LINE = [
    *('""', '" "', r'"\t"', r'"\u00a0\u2003"'),
    *(rf'"a\u{code:04x}b"' for code in (0x00, 0x01, 0x09, 0x0A, 0x0D, 0x1F, 0x7F, 0x80, 0x85, 0x9F)),
    *(r'"a\n"', r'"\na"'),
]


def with_json(fields: dict[str, Any], name: str, text: str) -> dict[str, Any]:
    """Fields with one more, whose value is given as JSON. It is put in place by `as_json`."""
    return {**fields, name: f"<json>{text}</json>"}


def as_json(body: Any) -> bytes:
    """A body as JSON, with the values of `with_json` put in place."""
    parts = json.dumps(body).split('"<json>')
    rest = [part.split('</json>"', 1) for part in parts[1:]]
    return "".join([parts[0], *(json.loads(f'"{text}"') + after for text, after in rest)]).encode()


def path_of(*steps: str) -> str | None:
    """The path to a field, below what may be the whole body."""
    path = ""
    for step in steps:
        path += f".{step}" if path and step and not step.startswith("[") else step
    return path or None


# Not JSON, or not what belongs there

NO_JSON = {
    "nothing": b"",
    "white space": b" \n",
    "cut off": b"{",
    "cut off later": b'{"title":"T"',
    "a bracket too many": b'{"title":"T"}}',
    "a second value": b'{"title":"T"} {}',
    "a trailing comma": b'{"title":"T",}',
    "single quotes": b"{'title':'T'}",
    "no quotes": b"{title:1}",
    "a raw line break in a string": b'{"title":"a\nb"}',
    "a raw NUL in a string": b'{"metadata":{"a":"\0"}}',
    "an escape that JSON lacks": rb'{"title":"\x41"}',
    "nan": b"nan",
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"title":"T"}',
    "UTF-16": '{"title":"T"}'.encode("utf-16"),
    "a form": b"title=T&model=m",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
}


async def test_what_is_not_json_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for route in (CREATE, PUT, EDIT, APPEND):
        for name, text in kept.some(NO_JSON.items()):
            with subtests.test(f"{name} to {route}"):
                await kept.refuses(*route, text, at="body")


async def test_a_byte_order_mark_before_a_body_means_nothing(backend: Backend) -> None:
    client, mark = someone(backend), b"\xef\xbb\xbf"
    created = await send(client, "POST", API, mark + json.dumps({"title": "\ufeffT", "messages": [HELLO]}).encode())
    assert (created.status_code, created.json()["title"]) == (201, "\ufeffT")
    path = f"{API}/{created.json()['id']}"
    for body in (HELLO, {"messages": [HELLO]}):
        assert (await send(client, "POST", f"{path}/messages", mark + json.dumps(body).encode())).status_code == 201
    edited = await send(client, "PATCH", path, mark + b'{"title":"U"}')
    assert (edited.json()["title"], edited.json()["messageCount"]) == ("U", 3)
    document = mark + json.dumps(import_document()).encode()
    assert len((await send(client, "POST", IMPORT, document)).json()["imported"]) == 1
    lines = b"\r\n".join([document, document, mark, b"{", document])  # files of several programs, one after the other
    report = (await send(client, "POST", IMPORT, lines, **NDJSON)).json()
    assert (len(report["imported"]), [skipped["index"] for skipped in report["skipped"]]) == (3, [2])


async def test_json_that_is_no_object_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for route in ROUTES_WITH_BODY:
        for text in ("null", "true", "5", '"title"', "[]", '[{"title":"T"}]'):
            with subtests.test(f"{text} to {route}"):
                await kept.refuses(*route, text.encode(), at="body", says=("Must be an object, not ",))


async def test_what_json_has_no_number_for_is_refused_everywhere(kept: Kept, subtests: pytest.Subtests) -> None:
    for number in kept.some(("NaN", "Infinity", "-Infinity", "nan", "01", "1.", ".5", "+1", "0x1")):
        for route, body in (
            (CREATE, with_json({}, "metadata", f'{{"a":[{number}]}}')),
            (CREATE, {"messages": [with_json(HELLO, "tokenCount", number)]}),
            (APPEND, with_json(HELLO, "content", f'[{{"type":"x","a":{number}}}]')),
            (APPEND, with_json({"messages": [HELLO]}, "expectedMessageCount", number)),
            (EDIT, with_json({}, "editedAt", number)),
            (EDIT, with_json({}, "metadata", f'{{"a":{number}}}')),
        ):
            with subtests.test(f"{number} in {body}"):
                await kept.refuses(*route, as_json(body))


WRONG_IN_CONVERSATIONS = {
    "title": [*NO_STRING, *NO_LINE, '"' + "x" * 301 + '"', '"' + "😀" * 301 + '"'],
    "model": [*NO_STRING, *NO_LINE, '"' + "x" * 201 + '"'],
    "metadata": NO_OBJECT,
}


WRONG_IN_REQUESTS = {
    CREATE: {
        **WRONG_IN_CONVERSATIONS,
        "id": NO_STRING + NO_ID,
        "messages": ["null", "5", '"x"', "{}", "true"],
    },
    PUT: {
        **WRONG_IN_CONVERSATIONS,
        "id": [*NO_STRING, *NO_ID, f'"{MISSING}"'],  # the last of them is not the one in the path
        "messages": ["null", "5", '"x"', "{}", "true"],
        "expectedMessageCount": NO_COUNT,
    },
    EDIT: {
        **WRONG_IN_CONVERSATIONS,
        "isArchived": ['"true"', "1", "0", "[]", "{}", '""'],
        "editedAt": [*NO_COUNT, '"2026-11-20T00:00:00Z"'],
    },
    APPEND: {"messages": ["null", "5", '"x"', "{}", "true", "[]"]},
}


@pytest.mark.parametrize("route", WRONG_IN_REQUESTS, ids=["create", "put", "edit", "append"])
async def test_a_wrong_value_in_a_request_is_refused_and_named(
    kept: Kept, subtests: pytest.Subtests, route: Route
) -> None:
    for field, texts in WRONG_IN_REQUESTS[route].items():
        for text in kept.some(texts):
            with subtests.test(f"{field} {text[:40]}"):
                await kept.refuses(*route, as_json(with_json({}, field, text)), at=field, says=(f"{field}: ",))


async def test_a_wrong_count_to_expect_is_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for text in NO_COUNT:
        with subtests.test(text[:40]):
            body = as_json(with_json({"messages": [HELLO]}, "expectedMessageCount", text))
            await kept.refuses(*APPEND, body, at="expectedMessageCount")


WRONG_IN_MESSAGES = {
    "id": NO_STRING + NO_ID,
    "role": [*NO_STRING, "null", '"robot"', '"User"', '"user "', '""'],
    "content": [*NO_STRING, "null", '{"type":"text","text":"Hello"}'],
    "tokenCount": NO_COUNT,
    "model": [*NO_STRING, *NO_LINE, '"' + "x" * 201 + '"'],
    "parentId": NO_STRING + NO_ID,
    "metadata": NO_OBJECT,
}


@pytest.mark.parametrize("place", [CREATED, APPENDED_ALONE], ids=["created", "appended"])
async def test_a_wrong_value_of_a_message_is_refused_and_named(
    kept: Kept, subtests: pytest.Subtests, place: Place
) -> None:
    for field, texts in WRONG_IN_MESSAGES.items():
        at = path_of(place.path, field)
        for text in kept.some(texts):
            with subtests.test(f"{field} {text[:40]}"):
                body = as_json(place.around(with_json(HELLO, field, text)))
                await kept.refuses(*place.route, body, at=at, says=(f"{at}: ",))


async def test_a_message_that_lacks_a_field_is_refused_and_the_field_named(kept: Kept) -> None:
    for place in PLACES:
        for field in ("role", "content"):
            sent = {name: value for name, value in HELLO.items() if name != field}
            await kept.refuses(*place.route, place.around(sent), at=path_of(place.path, field), says=(f"`{field}`",))


async def test_a_message_that_is_no_object_is_refused_and_named(kept: Kept) -> None:
    for route in (CREATE, PUT, APPEND):
        for sent in (None, 5, "Hello", [], True):
            await kept.refuses(*route, {"messages": [HELLO, sent]}, at="messages[1]")


TOOL_USE = {"type": "tool_use", "id": "i", "name": "n", "input": {}}
TOOL_RESULT = {"type": "tool_result", "toolUseId": "i", "content": ""}
WRONG_CONTENT: dict[str, tuple[list[Any], str]] = {
    "no block": ([], ""),
    "an array for a block": ([[]], "[0]"),
    "a string for a block": (["Hello"], "[0]"),
    "null for a block": ([None], "[0]"),
    "a number for a block": ([{"type": "x"}, 5], "[1]"),
    "no type": ([{"text": "Hello"}], "[0].type"),
    "an empty block": ([{}], "[0].type"),
    "an empty type": ([{"type": ""}], "[0].type"),
    "null for a type": ([{"type": None}], "[0].type"),
    "a number for a type": ([{"type": 5}], "[0].type"),
    "an array for a type": ([{"type": ["text"]}], "[0].type"),
    "no text": ([{"type": "text"}], "[0].text"),
    "null for a text": ([{"type": "text", "text": None}], "[0].text"),
    "a number for a text": ([{"type": "text", "text": 5}], "[0].text"),
    "an array for a text": ([{"type": "text", "text": ["Hello"]}], "[0].text"),
    "no thought": ([{"type": "thinking"}], "[0].thinking"),
    "a number for a thought": ([{"type": "thinking", "thinking": 5}], "[0].thinking"),
    "an object for a signature": ([{"type": "thinking", "thinking": "", "signature": {}}], "[0].signature"),
    "no id of a tool use": ([{"type": "tool_use", "name": "n", "input": {}}], "[0].id"),
    "a number for the id of a tool use": ([{**TOOL_USE, "id": 5}], "[0].id"),
    "null for a tool": ([{**TOOL_USE, "name": None}], "[0].name"),
    "no input of a tool use": ([{"type": "tool_use", "id": "i", "name": "n"}], "[0].input"),
    "no id of a tool result": ([{"type": "tool_result", "content": ""}], "[0]"),
    "a number for the id of a tool result": ([{**TOOL_RESULT, "toolUseId": 5}], "[0].toolUseId"),
    "null for Anthropic's id of a tool use": ([{"type": "tool_result", "tool_use_id": None}], "[0].tool_use_id"),
    "two ids of a tool use": ([{**TOOL_RESULT, "tool_use_id": "j"}], "[0]"),
    "a number for is_error": ([{**TOOL_RESULT, "is_error": 1}], "[0].is_error"),
    "a string for isError": ([{**TOOL_RESULT, "isError": "no"}], "[0].isError"),
    "a string for a source": ([{"type": "image", "source": "data:"}], "[0].source"),
    "an object for a url": ([{"type": "image", "url": {}}], "[0].url"),
    "an array for a source": ([{"type": "file", "source": []}], "[0].source"),
    "a number for a url": ([{"type": "file", "url": 5}], "[0].url"),
    "the twelfth block": ([*[{"type": "x"}] * 11, {"type": "text", "text": 5}], "[11].text"),
}
"""Content, and the path within it to what is wrong."""


async def test_wrong_content_is_refused_and_the_place_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for place in PLACES:
        for name, (content, step) in kept.some(WRONG_CONTENT.items()):
            with subtests.test(f"{name} {place.route} {place.path}"):
                at = path_of(place.path, "content", step)
                await kept.refuses(*place.route, place.around({**HELLO, "content": content}), at=at)


# Keys that nobody knows


async def test_an_unknown_key_is_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for route, body, at, unknown in (
        (CREATE, {"titel": 1}, "titel", "titel"),
        (CREATE, {"userId": "user-2"}, "userId", "userId"),
        (CREATE, {"messages": [HELLO, {**HELLO, "seq": 1}]}, "messages[1].seq", "seq"),
        (EDIT, {"version": 2}, "version", "version"),
        (EDIT, {"title": "T", "deletedAt": None}, "deletedAt", "deletedAt"),
        (APPEND, {**HELLO, "createdAt": 1}, "createdAt", "createdAt"),
        (APPEND, {**HELLO, "expectedMessageCount": 2}, "expectedMessageCount", "expectedMessageCount"),
        (APPEND, {"messages": [HELLO], "role": "user"}, "role", "role"),
        (APPEND, {"messages": [HELLO, {**HELLO, "text": ""}]}, "messages[1].text", "text"),
        (APPEND, {"message": HELLO}, "message", "message"),
        (CREATE, {"a b": 1}, "body", "a b"),
        (APPEND, {"messages": [{**HELLO, "ключ": 1}]}, "messages[0]", "ключ"),
    ):
        with subtests.test(str(body)):
            await kept.refuses(*route, body, at=at, says=(f"`{unknown}`", "The fields here are"))


async def test_words_of_the_client_are_not_taken_for_ours(kept: Kept, subtests: pytest.Subtests) -> None:
    for words in ("`str` matching regex 'x'", " - at `$.title`", "", "$", "$.", "%s {0}", "ключ 😀"):
        with subtests.test(words):
            await kept.refuses(*CREATE, {words: 1}, at="body", says=(f"`{words}`",))
            await kept.refuses(*APPEND, {**HELLO, "role": words}, at="role")


async def test_a_message_about_a_long_key_or_role_is_short(kept: Kept) -> None:
    await kept.refuses(*CREATE, {"k" * 1_000_000: 1}, at="body")
    await kept.refuses(*APPEND, {**HELLO, "role": "r" * 1_000_000}, at="role")


async def test_an_append_of_nothing_is_refused(kept: Kept) -> None:
    await kept.refuses(*APPEND, {}, at="role", says=("`role`",))
    await kept.refuses(*APPEND, {"messages": []}, at="messages")
    await kept.refuses(*APPEND, {"messages": [], "expectedMessageCount": 2}, at="messages")
    await kept.refuses(*APPEND, {"messages": [{}]}, at="messages[0].role", says=("`role`",))


# Too deep, too large, too many

AROUND = {
    "content": (b'{"messages":[{"role":"user","content":[{"type":"x","a":%b}]}]}', 5),
    "metadata": (b'{"metadata":{"a":%b}}', 2),
    "title": (b'{"title":%b}', 1),
    "an_unknown_key": (b'{"x":%b}', 1),
}
"""What is around a nested value, and how many levels that is."""


def arrays(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def unclosed(depth: int) -> bytes:
    return b"[" * depth


async def test_json_that_is_nested_too_deep_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    depths = (NESTING_MAX + 1, 10_000, 1_000_000)
    for nested, depth, place in kept.some(product((arrays, objects, unclosed), depths, AROUND)):
        around, levels = AROUND[place]
        with subtests.test(f"{depth} {nested.__name__} in {place}"):
            await kept.refuses(*CREATE, around % nested(depth - levels), at="body", says=("nested",))


async def test_what_is_nested_too_deep_is_refused_by_every_route(kept: Kept) -> None:
    for route in (CREATE, EDIT, APPEND):
        await kept.refuses(*route, b'{"metadata":{"a":%b}}' % arrays(100_000), says=("nested",))


@pytest.mark.reaches_a_store
@pytest.mark.parametrize("place", ["content", "metadata"])
@pytest.mark.parametrize("nested", [arrays, objects])
@pytest.mark.parametrize("depth", [95, NESTING_MAX])
async def test_json_that_is_nested_as_deep_as_may_be_is_kept(
    backend: Backend, place: str, nested: Callable[[int], bytes], depth: int
) -> None:
    client = someone(backend)
    around, levels = AROUND[place]
    value = nested(depth - levels)
    created = await send(client, "POST", API, around % value)
    assert created.status_code == 201
    url = f"{API}/{created.json()['id']}"
    answer = await ask(client, "GET", f"{url}/messages" if place == "content" else url)
    assert value in answer.content
    assert (await send(client, "PATCH", url, {"metadata": {"b": 1}})).status_code == 200
    assert value in (await ask(client, "GET", f"{url}/messages" if place == "content" else url)).content


@pytest.mark.reaches_a_store
async def test_brackets_in_strings_are_no_nesting(backend: Backend) -> None:
    text = '"[{' * 1_000 + "\\"
    client = someone(backend)
    created = await create(client, messages=[message(text)], metadata={"a": text})
    listed = (await ask(client, "GET", f"{API}/{created['id']}/messages")).json()
    assert listed["messages"][0]["content"] == [{"type": "text", "text": text}]
    assert created["metadata"] == {"a": text}


@pytest.mark.parametrize("is_chunked", [False, True], ids=["of_known_length", "chunked"])
async def test_a_body_over_8_mebibytes_is_refused(kept: Kept, subtests: pytest.Subtests, is_chunked: bool) -> None:
    part = b"x" * 65_536

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"title":"'
        for _ in range(144):
            yield part
        yield b'"}'

    for route in ROUTES_WITH_BODY:
        with subtests.test(str(route)):
            content = parts() if is_chunked else b'{"title":"' + part * 144 + b'"}'
            path = kept.path(route.path)
            response = await ask(kept.client, route.method, path, content=content, headers=JSON)
            check_refusal(response, "too_large", at="body", says=("8388608",))


async def test_a_chunked_body_within_the_limit_is_read_whole(backend: Backend) -> None:
    text = "ü" * 500_000
    body = json.dumps({"messages": [message(text)]}, ensure_ascii=False).encode()

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 9_999):
            yield body[start : start + 9_999]

    client = someone(backend)
    created = await ask(client, "POST", API, content=parts(), headers=JSON)
    assert created.status_code == 201
    listed = await ask(client, "GET", f"{API}/{created.json()['id']}/messages")
    assert listed.json()["messages"][0]["content"][0]["text"] == text


async def test_a_large_body_that_nobody_reads_does_not_lose_the_answer(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    client = someone(backend)
    for method, path, status, headers in (
        ("POST", "/nowhere", 404, JSON),
        ("PUT", API, 405, JSON),
        ("POST", API, 415, {"Content-Type": "text/plain"}),
        ("POST", API, 401, {"Authorization": "Bearer x"}),
        ("POST", f"{API}/x/messages", 400, JSON),
        ("POST", f"{API}?x=1", 400, JSON),
        ("POST", f"{API}/{MISSING}/restore", 404, JSON),
        ("DELETE", f"{API}/{MISSING}", 404, JSON),
        ("DELETE", "/api/me?confirm=nobody", 400, JSON),
        ("GET", API, 200, JSON),
    ):
        for size in (1, 100_000, 1_000_000):
            with subtests.test(f"{method} {path} {size} bytes"):
                response = await ask(client, method, path, content=b"x" * size, headers=headers)
                assert response.status_code == status


async def test_a_message_over_1_5_megabytes_is_refused_and_named(kept: Kept) -> None:
    for place in PLACES:
        for sent in (
            message("x" * MESSAGE_BYTES_MAX),
            message("x" * (MESSAGE_BYTES_MAX - 10_000), metadata={"a": "x" * 10_000}),
        ):
            at = path_of(place.path, "content")
            await kept.refuses(*place.route, place.around(sent), code="too_large", at=at, says=("1500000",))


async def test_metadata_over_16_kibibytes_is_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for text, size in (("x", 1), ("ü", 2), ('"', 2), ("\n", 2)):
        metadata = {"a": text * (METADATA_BYTES_MAX // size)}
        sent = {**HELLO, "metadata": metadata}
        for route, body, at in (
            (CREATE, {"metadata": metadata}, "metadata"),
            (EDIT, {"metadata": metadata}, "metadata"),
            (EDIT, {"title": "T", "metadata": {"b": metadata}}, "metadata"),
            (CREATE, {"messages": [HELLO, sent]}, "messages[1].metadata"),
            (APPEND, {"messages": [HELLO, sent]}, "messages[1].metadata"),
            (APPEND, sent, "metadata"),
        ):
            with subtests.test(f"{text!r} {route} {at}"):
                await kept.refuses(*route, body, code="too_large", at=at, says=("16384",))


@pytest.mark.reaches_a_store
async def test_metadata_of_16_kibibytes_is_kept(backend: Backend) -> None:
    metadata = {"a": "x" * (METADATA_BYTES_MAX - len('{"a":""}'))}
    client = someone(backend)
    created = await create(client, metadata=metadata, messages=[message(metadata=metadata)])
    assert created["metadata"] == metadata
    listed = (await ask(client, "GET", f"{API}/{created['id']}/messages")).json()
    assert listed["messages"][0]["metadata"] == metadata


async def test_more_than_a_thousand_messages_at_once_are_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for route in (CREATE, PUT, APPEND):
        with subtests.test(str(route)):
            body = {"messages": [HELLO] * (APPEND_MESSAGES_MAX + 1)}
            await kept.refuses(*route, body, code="too_large", at="messages", says=("1000",))


@pytest.mark.reaches_a_store
async def test_a_title_and_a_model_of_the_largest_length_are_kept(backend: Backend) -> None:
    client = someone(backend)
    for title, model in (("x" * 300, "x" * 200), ("😀" * 300, "ü" * 200)):
        created = await create(client, title=title, model=model)
        assert (created["title"], created["model"]) == (title, model)
        edited = await send(client, "PATCH", f"{API}/{created['id']}", {"title": title[::-1], "model": model})
        assert edited.status_code == 200


# Characters

NO_UTF_8 = {
    "a byte that never is": b"\xff",
    "a lone continuation": b"\x80",
    "cut off": b"\xe2\x82",
    "Latin-1": b"\xfc",
    "an overlong NUL": b"\xc0\x80",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
}


async def test_what_is_not_utf_8_is_refused_everywhere(kept: Kept, subtests: pytest.Subtests) -> None:
    for route, body in (
        (CREATE, b'{"title":"%b"}'),
        (CREATE, b'{"%b":1}'),
        (CREATE, b'{"metadata":{"%b":1}}'),
        (CREATE, b'{"messages":[{"role":"user","content":[{"type":"text","text":"%b"}]}]}'),
        (EDIT, b'{"metadata":{"a":"%b"}}'),
        (APPEND, b'{"role":"user","content":[{"type":"x","%b":1}]}'),
    ):
        for name, broken in kept.some(NO_UTF_8.items()):
            with subtests.test(f"{name} in {body.decode()}"):
                await kept.refuses(*route, body % (b"a" + broken + b"b"), says=("UTF-8",))


async def test_a_half_of_a_character_is_refused_everywhere(kept: Kept, subtests: pytest.Subtests) -> None:
    for route, body in (
        (CREATE, '{"title":"%s"}'),
        (CREATE, '{"model":"%s"}'),
        (CREATE, '{"metadata":{"%s":1}}'),
        (CREATE, '{"metadata":{"a":["%s"]}}'),
        (CREATE, '{"messages":[{"role":"user","content":[{"type":"text","text":"%s"}]}]}'),
        (EDIT, '{"title":"%s"}'),
        (EDIT, '{"metadata":{"%s":null}}'),
        (APPEND, '{"role":"user","content":[{"type":"x","a":{"%s":1}}]}'),
        (APPEND, '{"role":"user","content":[{"type":"%s"}]}'),
        (APPEND, '{"messages":[{"role":"user","content":[{"type":"x"}],"metadata":{"%s":1}}]}'),
    ):
        for half in (r"\ud800", r"a\udc00\ud800b", r"\ud83dA"):
            with subtests.test(f"{half} in {body}"):
                await kept.refuses(*route, (body % half).encode(), at=ANY)


@pytest.mark.reaches_a_store
async def test_every_character_is_kept_in_content_and_metadata(backend: Backend) -> None:
    text = "".join(map(chr, range(0xD800))) + "\ue000\ufffd\ufffe\uffff\U00010000\U0001f600\U0010ffff"
    client = someone(backend)
    metadata = {text[1:1_000]: text[:2_000]}
    created = await create(client, metadata=metadata, messages=[message(text, metadata=metadata)])
    assert created["metadata"] == metadata
    listed = (await ask(client, "GET", f"{API}/{created['id']}/messages")).json()
    assert listed["messages"][0]["content"] == [{"type": "text", "text": text}]
    assert listed["messages"][0]["metadata"] == metadata


async def test_nul_in_a_name_of_metadata_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for metadata in ({"a\0b": 1}, {"\0": 1}, {"a": {"\0": 1}}, {"a": [{"b\0": None}]}):
        for route, body, at in (
            (CREATE, {"metadata": metadata}, "metadata"),
            (EDIT, {"metadata": metadata}, "metadata"),
            (APPEND, {"messages": [HELLO, {**HELLO, "metadata": metadata}]}, "messages[1].metadata"),
        ):
            with subtests.test(f"{metadata} {route}"):
                await kept.refuses(*route, body, at=at, says=("NUL",))


async def test_a_number_of_too_many_digits_is_refused_and_named(kept: Kept) -> None:
    digits = "1" * 5_000
    for route, body, at in (
        (CREATE, with_json({}, "metadata", f'{{"a":{digits}}}'), "metadata"),
        (EDIT, with_json({}, "metadata", f'{{"a":[-{digits}]}}'), "metadata"),
        (APPEND, with_json(HELLO, "content", f'[{{"type":"x","a":{digits}}}]'), "content"),
    ):
        await kept.refuses(*route, as_json(body), at=at)


# Ids


async def test_a_path_with_what_is_no_id_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    no_ids = [
        *("x" * 129, "a%20b", "all", MISSING + "%0A", "a%2Fb", MISSING + "%20", "%00", "%C3%BC", "a%25b", "a+b", "~a"),
        *("messages", "active", "a;b", "a,b", "%", "%zz", "'%20OR%20'1'='1", "A" * 5_000),
    ]
    for route in USER_ROUTES:
        if "{id}" in route.path:
            for escaped in kept.some(no_ids if route.method == "GET" else no_ids[:5]):
                with subtests.test(f"{route.method} {route.path} {escaped[:40]}"):
                    path = route.path.replace("{id}", escaped)
                    await kept.refuses(route.method, path, route.body and {}, at="id", says=("1 to 128",))
            for escaped in ("%ff", "%C0%80", "%ED%A0%80"):
                with subtests.test(f"{route.method} {route.path} {escaped}"):
                    path = route.path.replace("{id}", escaped)
                    await kept.refuses(route.method, path, route.body and {}, says=("UTF-8",))


async def test_a_path_with_what_is_no_id_of_a_message_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for method, body in (("GET", None), ("PATCH", {})):
        for escaped in kept.some(("x" * 129, "a%20b", "all", "%00", "a%2Fb", "%C3%BC", "~a", "restore", "%zz")):
            with subtests.test(f"{method} {escaped[:40]}"):
                await kept.refuses(method, f"{MESSAGES}/{escaped}", body, at="mid", says=("1 to 128",))
        await kept.refuses(method, f"{MESSAGES}/%ff", body, at="mid", says=("UTF-8",))
        for missing in (MISSING, kept.elsewhere_id):
            await kept.refuses(method, f"{MESSAGES}/{missing}", body, code="not_found", says=(missing, kept.id))
        await kept.refuses(method, f"{API}/{MISSING}/messages/{{mid}}", body, code="not_found", says=(MISSING,))


@pytest.mark.reaches_a_store
async def test_a_wrong_edit_of_a_message_is_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for body, at, code in (
        ({"metadata": "up"}, "metadata", "invalid"),
        ({"metadata": ["up"]}, "metadata", "invalid"),
        ({"metadata": {"a\0b": 1}}, "metadata", "invalid"),
        ({"metadata": {"a": "x" * METADATA_BYTES_MAX}}, "metadata", "too_large"),
        ({"metadata": {"a": 1}, "editedAt": -1}, "editedAt", "invalid"),
        ({"metadata": {"a": 1}, "editedAt": "now"}, "editedAt", "invalid"),
        *(({name: None, "metadata": {"a": 1}}, name, "invalid") for name in ("content", "role", "id", "vote", "seq")),
    ):
        with subtests.test(str(body)[:60]):
            await kept.refuses(*EDIT_MESSAGE, body, at=at, code=code)
    for version in ('"x"', "1", '"1", "2"', '"-1"'):  # an empty one is of a conversation, below
        with subtests.test(version):
            await kept.refuses(*EDIT_MESSAGE, {"metadata": {"a": 1}}, at="if-match", **{"If-Match": version})
    for version in ('"0"', '"2"', '"999999999999999"'):
        with subtests.test(version):
            await kept.refuses(*EDIT_MESSAGE, {"metadata": {"a": 1}}, code="stale", **{"If-Match": version})


async def test_the_same_id_twice_in_one_request_is_refused_and_named(kept: Kept) -> None:
    twice = message()
    for route in (CREATE, PUT, APPEND):
        for sent in ([twice, message(), twice], [twice, message(), {**message(), "id": twice["id"]}]):
            await kept.refuses(*route, {"messages": sent}, at="messages[2].id", says=(twice["id"], "messages[0]"))


@pytest.mark.reaches_a_store
async def test_other_content_under_a_known_id_is_a_conflict(kept: Kept, subtests: pytest.Subtests) -> None:
    first, second = kept.message_ids
    as_kept = kept.before[kept.id][1][1]
    known = {name: as_kept[name] for name in ("id", "role", "content", "tokenCount", "metadata")}
    for change in (
        {"content": [{"type": "text", "text": "A poet."}]},
        {"role": "user"},
        {"tokenCount": 5},
        {"tokenCount": None},
        {"metadata": None},
        {"model": "m"},
        {"parentId": first},
    ):
        with subtests.test(str(change)):
            await kept.refuses(*APPEND, {**known, **change}, code="conflict")
            several = {"messages": [message(), {**known, **change}]}
            await kept.refuses(*APPEND, several, code="conflict")
            await kept.refuses(*PUT, several, code="conflict")
            response = await send(kept.client, "POST", f"{API}/{kept.id}/messages", several)
            assert response.json()["error"]["details"] == {"ids": [second]}


@pytest.mark.reaches_a_store
async def test_the_id_of_a_message_of_another_conversation_is_a_conflict(kept: Kept) -> None:
    taken = message("elsewhere", id=kept.elsewhere_id)
    for method, path, body in (
        ("POST", MESSAGES, taken),
        ("POST", MESSAGES, {"messages": [message(), taken], "expectedMessageCount": 99}),
        ("POST", API, {"messages": [message(), taken]}),
        ("POST", API, {"id": new_id(), "messages": [taken]}),
        ("PUT", CONVERSATION, {"messages": [message(), taken], "expectedMessageCount": 99}),
        ("PUT", f"{API}/{new_id()}", {"messages": [message(), taken], "expectedMessageCount": 99}),
    ):
        response = await send(kept.client, method, kept.path(path), body)
        check_refusal(response, "conflict")
        assert response.json()["error"]["details"] == {"ids": [kept.elsewhere_id]}


@pytest.mark.reaches_a_store
async def test_another_conversation_under_a_known_id_is_a_conflict(kept: Kept) -> None:
    for fields in ({}, {"title": "Ada"}, {"title": "Other", "model": "m"}, {"messages": [message()]}):
        await kept.refuses(*CREATE, {"id": kept.id, **fields}, code="conflict", says=(kept.id,))


# Queries


async def test_a_wrong_limit_is_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    wrong = (
        "0",
        "-1",
        "abc",
        "1e9",
        "",
        "1.5",
        "null",
        "true",
        "+5",
        "%205",
        "5%20",
        "0x5",
        "NaN",
        "%D9%A3",
        "9" * 5_000,
    )
    for path, most in ((API, 100), (MESSAGES, 200)):
        for value in kept.some((str(most + 1), *wrong)):
            with subtests.test(f"{path} {value[:40]}"):
                await kept.refuses("GET", f"{path}?limit={value}", at="limit")
        await kept.refuses("GET", f"{path}?limit=5&limit=5", says=("twice",))


async def test_a_wrong_query_is_refused_and_the_field_named(kept: Kept, subtests: pytest.Subtests) -> None:
    for query, at in (
        *((f"{API}?archived={value}", "archived") for value in ("maybe", "", "2", "null")),
        *((f"{MESSAGES}?after={value}", "after") for value in ("-1", "x", "", "1.5", "null", "9007199254740992")),
        (f"{MESSAGES}?after=0&cursor={MISSING}", "after"),
        (f"{API}?after=0", "after"),
        *(
            (f"{API}?{field}={value}", field)
            for field in ("createdAfter", "createdBefore")
            for value in ("-1", "x", "")
        ),
        (f"{API}?createdAfter=5&createdBefore=5", "createdBefore"),
        *((f"{API}?model={value}", "model") for value in ("", "%20", "a%0Ab", "x" * 201)),
        (f"{API}?metadata=x", "metadata"),
        (f"{API}?metadata.a=1&metadata.b=1", "metadata.b"),
        (f"{API}?metadata.a=1&metadata.a=1", "query"),
        (f"{API}?metadata.a=%ff", "query"),
        *((f"{API}?{field}.a=1", "query") for field in ("x", "Metadata", "model", "limit", ".metadata")),
        (f"{MESSAGES}?metadata.a=1", "query"),
        (f"{MESSAGES}?archived=true", "archived"),
        (f"{CONVERSATION}?limit=1", "limit"),
        (f"{API}?archived=true&archived=true", "archived"),
        (f"{API}?%0A=1&%0A=1", "query"),
        *((f"{API}?{field}=1", field) for field in ("x", "Limit")),
        *((f"{API}?{field}=1", "query") for field in ("", "%00", "limit%20", "%C3%BC")),
        (f"{API}?limit=%ff", "query"),
        (f"{API}?{'&'.join(f'a{number}=1' for number in range(1_000))}", "query"),
    ):
        with subtests.test(query[:60]):
            await kept.refuses("GET", query, at=at)


async def test_an_unknown_field_of_a_query_is_named_whatever_the_method(kept: Kept) -> None:
    for route in USER_ROUTES:
        await kept.refuses(route.method, f"{route.path}?titel=1", route.body and {}, at="titel", says=("`titel`",))


@pytest.mark.reaches_a_store
async def test_a_cursor_that_leads_nowhere_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    cursors = (
        *("", "garbage", "null", "%00", "AA%00AA", "%C3%BC", "%F0%9F%98%80", "%", "%zz", "A" * 500, "W10", "e30"),
        *("bnVsbA", "WyJjIl0", "WyJiIiwtMV0", "WyJiIiwiMSJd", "WyJhIiwxZTNd", "WyJjIiwwLCIiXQ", "W1tbW1tb", "__8"),
        *(MISSING, MISSING.lower(), MISSING + "%0A", "'%20OR%20'1'='1", "../../x"),
    )
    for path in (API, MESSAGES):
        for cursor in kept.some(cursors):
            with subtests.test(f"{path} {cursor[:40]}"):
                await kept.refuses("GET", f"{path}?cursor={cursor}", at="cursor", says=("unchanged",))
        for cursor in ("A" * 501, "A" * 8_000):
            with subtests.test(f"{path} {len(cursor)} characters"):
                await kept.refuses("GET", f"{path}?cursor={cursor}", at="cursor")
        for cursor in ("%ff", "%C0%80", "%ED%A0%80"):
            with subtests.test(f"{path} {cursor}"):
                await kept.refuses("GET", f"{path}?cursor={cursor}", says=("query",))


@pytest.mark.reaches_a_store
async def test_a_cursor_of_another_list_is_refused(kept: Kept) -> None:
    of_messages = (await ask(kept.client, "GET", f"{API}/{kept.id}/messages?limit=1")).json()["nextCursor"]
    for path, cursor in ((API, of_messages), (API, kept.message_ids[0]), (MESSAGES, kept.id)):
        await kept.refuses("GET", f"{path}?cursor={cursor}", at="cursor")
    await kept.refuses("GET", f"{MESSAGES}?cursor={kept.elsewhere_id}", at="cursor")


# Searching


@pytest.mark.reaches_a_store
async def test_syntax_of_the_full_text_search_is_words_or_nothing(kept: Kept, subtests: pytest.Subtests) -> None:
    """What is a syntax error of FTS5, or would mean something to it, finds what its words alone find."""
    ada, both = await found(kept, "ada"), await found(kept, "ada was")
    assert ada != []
    around_a_word = (
        *("ada*", "*ada", "^ada", "+ada", "-ada", "(ada", "ada)", "ada(", "{ada}", "ada:", ":ada", "ada -", "'ada'"),
        *("ada;", "ada\\", "ada \0", "\0ada", "ada\n", "ADA 😀", "ada ()", "ada ''", "ada %", "ada --", "ada /*"),
    )
    for query in kept.some(around_a_word):
        with subtests.test(query):
            assert await found(kept, query) == ada
    for query in ('"ada', '"ada"', '"ada" "', '""ada"', 'who "ada', '"who was" ada'):
        with subtests.test(query):
            assert await found(kept, query) != []
    for query in (
        *("NEAR(ada)", "NEAR(ada was, 5)", "ada AND", "AND", "ada AND was", "ada OR x", "ada NOT was", "NOT ada", "OR"),
        *(
            "words:ada",
            "title:ada",
            "rowid:1",
            "{title}:ada",
            "- title:ada",
            "' OR 1=1 --",
            "'; DROP TABLE messages; --",
        ),
        *("ada^2", "messages_fts", "* OR *", '"ada" + "zzz"', "NEAR/5", "ada\0was"),
    ):
        with subtests.test(query):
            assert await found(kept, query) in ([], both)


async def found(kept: Kept, query: str) -> list[Any]:
    """What a query finds: the conversation and the message of each hit."""
    response = await ask(kept.client, "GET", SEARCH, params={"q": query})
    assert response.status_code == 200, response.text
    return [(hit["conversation"]["id"], hit["message"] and hit["message"]["id"]) for hit in response.json()["hits"]]


@pytest.mark.reaches_a_store
async def test_a_query_of_signs_or_emoji_alone_finds_nothing(kept: Kept, subtests: pytest.Subtests) -> None:
    signs = (
        *('"', '""', '" "', '"""', "*", "(", ")", "-", "^", ":", "\\", "'", "...", "?!,;", "* * *", "\0", "\0\0"),
        *("😀", "😀😀", "👨\u200d👩\u200d👧", "\u200b", "\ufeff", "\u3002", "\x7f", "\ufffd", "\uffff", "\u00ad"),
    )
    for query in kept.some(signs):
        with subtests.test(query):
            assert await found(kept, query) == []


async def test_a_blank_query_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for query in ("", " ", "%20%20", "%0A", "%C2%A0", "%E3%80%80"):
        with subtests.test(query):
            await kept.refuses("GET", f"{SEARCH}?q={query}", at="q", says=("no word",))


async def test_a_query_that_is_missing_is_refused(kept: Kept) -> None:
    await kept.refuses("GET", SEARCH, says=("`q`",))
    await kept.refuses("GET", f"{SEARCH}?limit=5", says=("`q`",))
    await kept.refuses("GET", f"{SEARCH}?q=ada&q=ada", says=("twice",))
    await kept.refuses("GET", f"{SEARCH}?query=ada", says=("`query`",))
    for broken in ("%ff", "%C0%80", "%ED%A0%80"):
        await kept.refuses("GET", f"{SEARCH}?q={broken}", says=("query",))


async def test_a_query_that_is_too_long_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for query in ("x" * 501, "x" * 10_240, "x " * 5_120, "*" * 10_240, '"' * 10_240, "語" * 501, "😀" * 501):
        with subtests.test(f"{len(query)} of {query[:2]}"):
            response = await ask(kept.client, "GET", SEARCH, params={"q": query})
            check_refusal(response, at="q", says=("500",))
    for query in ("x " * 33, "語 " * 33, "x " * 32 + '"x"', "x " * 250):
        with subtests.test(f"33 words: {query[:40]}"):
            response = await ask(kept.client, "GET", SEARCH, params={"q": query})
            check_refusal(response, at="q", says=("32",))
    response = await ask(kept.client, "GET", SEARCH, params={"q": "㍿" * 129})  # which is four words each time
    check_refusal(response, at="q", says=("512",))
    for query in ("ada " * 32, "語" * 500, "-".join("x" * 250), "x" * 500, "*" * 499 + "x", '"' + "ada " * 32):
        with subtests.test(f"as long as may be: {query[:40]}"):
            assert (await ask(kept.client, "GET", SEARCH, params={"q": query})).status_code == 200


async def test_wrong_filters_of_a_search_are_refused_and_named(kept: Kept, subtests: pytest.Subtests) -> None:
    no_time = (
        "x",
        "",
        "-1",
        "1.5",
        "1e3",
        "null",
        "true",
        "2026-01-01",
        "9007199254740992",
        "9" * 5_000,
        "%D9%A3",
        "NaN",
    )
    wrong = (
        *((f"from={value}", "from") for value in no_time),
        *((f"to={value}", "to") for value in no_time),
        *((f"from={since}&to={until}", "to") for since, until in ((5, 5), (6, 5), (0, 0), (9007199254740991, 0))),
        *((f"role={value}", "role") for value in ("robot", "", "User", "user%20", "null", "%00", "user,assistant")),
        *((f"limit={value}", "limit") for value in ("0", "101", "-1", "abc", "", "1.5", "null", "1e1", "9" * 5_000)),
        *((f"{field}=1", None) for field in ("since", "until", "after", "archived", "text", "x")),
    )
    for query, at in kept.some(wrong):
        with subtests.test(query[:60]):
            await kept.refuses("GET", f"{SEARCH}?q=ada&{query}", at=at)
    for query in ("from=0&to=1", "from=9007199254740990&to=9007199254740991", "to=0", "role=tool"):
        with subtests.test(query):
            response = await ask(kept.client, "GET", f"{SEARCH}?q=ada&{query}")
            assert (response.status_code, response.json()) == (200, {"hits": [], "nextCursor": None})


# Cursors of searches and of the changes

NO_CURSOR = (
    *(
        "",
        "garbage",
        "null",
        "%00",
        "AA%00AA",
        "%C3%BC",
        "%F0%9F%98%80",
        "%",
        "A" * 500,
        "W10",
        "e30",
        "bnVsbA",
        "1",
        "-1",
    ),
    # ["h"], ["h",-1], ["h","1"], ["h",10001], ["h",1e3], ["r"], ["r","",-1,0,0,0], ["r","",1,0,0]
    *(
        "WyJoIl0",
        "WyJoIiwtMV0",
        "WyJoIiwiMSJd",
        "WyJoIiwxMDAwMV0",
        "WyJoIiwxZTNd",
        "WyJyIl0",
        "WyJyIiwiIiwtMSwwLDAsMF0",
    ),
    *("WyJyIiwiIiwxLDAsMF0", "W1tbW1tb", "__8", MISSING, MISSING + "%0A", "'%20OR%20'1'='1", "00", "0%20", "%200"),
)


async def cursors_of(kept: Kept) -> dict[str, str]:
    """A cursor of each list."""
    lists = {API: "nextCursor", MESSAGES: "nextCursor", SEARCH: "nextCursor", CHANGES: "next"}
    cursors = {}
    for path, field in lists.items():
        query = {"limit": 1, **({"q": "ada"} if path == SEARCH else {}), **({"since": 0} if path == CHANGES else {})}
        response = await ask(kept.client, "GET", kept.path(path), params=query)
        cursors[path] = response.json()[field]
    return cursors


@pytest.mark.reaches_a_store
@pytest.mark.parametrize("path", [f"{SEARCH}?q=ada&cursor=", f"{CHANGES}?since="], ids=["search", "changes"])
async def test_what_is_no_cursor_of_a_search_or_the_changes_is_refused(
    kept: Kept, subtests: pytest.Subtests, path: str
) -> None:
    at = "cursor" if "cursor" in path else "since"
    for cursor in kept.some((*NO_CURSOR, *(["0"] if at == "cursor" else []))):
        with subtests.test(cursor[:40]):
            await kept.refuses("GET", path + cursor, at=at, says=("unchanged",))
    for cursor in ("A" * 501, "A" * 8_000):
        with subtests.test(f"{len(cursor)} characters"):
            await kept.refuses("GET", path + cursor, at=at)
    for cursor in ("%ff", "%C0%80", "%ED%A0%80"):
        with subtests.test(cursor):
            await kept.refuses("GET", path + cursor, says=("query",))
    for other, cursor in (await cursors_of(kept)).items():
        if cursor is not None and other not in path:
            with subtests.test(f"of {other}"):
                await kept.refuses("GET", path + cursor, at=at, says=("unchanged",))
    for id_ in (kept.id, kept.message_ids[0], kept.elsewhere_id):
        await kept.refuses("GET", path + id_, at=at)


@pytest.mark.reaches_a_store
async def test_a_cursor_of_the_changes_that_cannot_be_followed_has_expired(backend: Backend, kept: Kept) -> None:
    other = someone(backend)
    await create(other)
    foreign = (await ask(other, "GET", f"{CHANGES}?since=0")).json()["next"]
    # ["r", an epoch of nobody, 1, 2, 0, 0]
    nobodys = "WyJyIiwiMDFBUlozTkRFS1RTVjRSUkZGUTY5RzVGQVYiLDEsMiwwLDBd"
    for cursor in (foreign, nobodys):
        await kept.refuses("GET", f"{CHANGES}?since={cursor}", code="cursor_expired", says=("since=0",))


async def test_a_wrong_query_of_the_changes_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for value in ("0", "501", "-1", "abc", "", "1.5", "null", "1e1", "9" * 5_000):
        for query in (f"limit={value}", f"since=0&limit={value}"):
            with subtests.test(query[:40]):
                await kept.refuses("GET", f"{CHANGES}?{query}", at="limit")
    await kept.refuses("GET", f"{CHANGES}?since=0&since=0", says=("twice",))
    for field in ("cursor", "next", "after", "archived"):
        await kept.refuses("GET", f"{CHANGES}?{field}=0", says=(f"`{field}`",))


# Importing


async def skipped(kept: Kept, body: bytes, **headers: str) -> dict[str, Any]:
    """Why one document was skipped. Nothing is imported."""
    response = await send(kept.client, "POST", IMPORT, body, **headers)
    assert response.status_code == 200, response.text
    report = response.json()
    assert report["imported"] == []
    (entry,) = report["skipped"]
    assert entry["index"] == 0
    error: dict[str, Any] = entry["error"]
    return error


AFTER_1970 = "2024-05-18T02:40:00Z"
GOOD = json.dumps(import_document()).encode()


async def test_a_document_that_is_not_json_is_skipped_and_says_so(kept: Kept, subtests: pytest.Subtests) -> None:
    broken = {**NO_JSON, "a document cut off": GOOD[:-1], "cut off in a string": GOOD[:60], "two": GOOD + b"\n" + GOOD}
    for name, text in broken.items():
        with subtests.test(name):
            error = await skipped(kept, text)
            assert error["code"] == "invalid"
            # What comes after a whole object is seen only once all of the object fits.
            if name not in ("a bracket too many", "a second value"):
                assert error["details"] == {"path": "document"}
                assert "not JSON" in error["message"] or "UTF-8" in error["message"]
    for name, bad in NO_UTF_8.items():
        with subtests.test(name):
            error = await skipped(kept, GOOD.replace(b"Hello", bad))
            assert (error["code"], "UTF-8" in error["message"]) == ("invalid", True)
    for nested in (arrays, objects, unclosed):
        with subtests.test(nested.__name__):
            text = b'{"version":1,"conversation":{"messages":[],"x":%b}}' % nested(100_000)
            assert "nested" in (await skipped(kept, text))["message"]


async def test_a_document_that_is_none_is_skipped_and_the_place_named(kept: Kept, subtests: pytest.Subtests) -> None:
    whole = import_document()
    conversation = whole["conversation"]
    hello = conversation["messages"][0]
    wrong: list[tuple[Any, str | None]] = [
        *((value, "document") for value in (None, True, 5, "x", [], [whole])),
        *(({}, "version"), ({"version": 1}, "conversation"), ({"conversation": conversation}, "version")),
        *(({**whole, "version": value}, "version") for value in (0, 2, 1.5, "1", None, True, [], 10**30)),
        *(({**whole, "conversation": value}, "conversation") for value in (None, [], "x", 5)),
        ({**whole, "conversation": {}}, "conversation.messages"),
        *(
            (import_document(**fields), f"conversation.{at}")
            for fields, at in (
                *(({"title": value}, "title") for value in (5, "", " ", "a\nb", "x" * 301, [])),
                *(({"model": value}, "model") for value in (5, "", "x" * 201)),
                *(({"createdAt": value}, "createdAt") for value in (5, "", "x", "2024-05-18", "2024-13-01T00:00:00Z")),
                ({"createdAt": "1969-12-31T23:59:59.999Z"}, "createdAt"),
                ({"createdAt": "0001-01-01T00:00:00+14:00"}, "createdAt"),
                *(({"metadata": value}, "metadata") for value in (5, "x", [], [{"a": 1}], {"\0": 1})),
                *(({"isArchived": value}, "isArchived") for value in (1, "true", None, [])),
                *(({"messages": value}, "messages") for value in (None, {}, "x", 5)),
                *(({"messages": [hello, value]}, "messages[1]") for value in (None, [], "x")),
                ({"messages": [hello, {}]}, "messages[1].role"),
                ({"messages": [hello, {"role": "user"}]}, "messages[1].content"),
                *(
                    (
                        {"createdAt": AFTER_1970, "messages": [hello, {**hello, "id": None, **fields}]},
                        f"messages[1].{at}",
                    )
                    for fields, at in (
                        ({"id": 5}, "id"),
                        ({"role": "robot"}, "role"),
                        ({"role": None}, "role"),
                        ({"content": {}}, "content"),
                        ({"content": []}, "content"),
                        ({"content": [{}]}, "content[0].type"),
                        ({"content": [{"type": "text", "text": 5}]}, "content[0].text"),
                        ({"createdAt": "yesterday"}, "createdAt"),
                        ({"createdAt": 1716000000000}, "createdAt"),
                        ({"createdAt": "1960-01-01T00:00:00Z"}, "createdAt"),
                        ({"tokenCount": -1}, "tokenCount"),
                        ({"tokenCount": 1.5}, "tokenCount"),
                        ({"parentId": 5}, "parentId"),
                        ({"metadata": []}, "metadata"),
                    )
                ),
            )
        ),
    ]
    for document, at in wrong:
        with subtests.test(f"{at} {str(document)[:60]}"):
            error = await skipped(kept, json.dumps(document).encode())
            assert (error["code"], error.get("details", {}).get("path")) == ("invalid", at), error


async def test_a_document_with_what_is_too_large_is_skipped_and_named(kept: Kept) -> None:
    large = {"role": "user", "content": [{"type": "text", "text": "x" * MESSAGE_BYTES_MAX}]}
    metadata = {"a": "x" * METADATA_BYTES_MAX}
    for fields, at in (
        ({"messages": [HELLO, large]}, "conversation.messages[1].content"),
        ({"metadata": metadata}, "conversation.metadata"),
        ({"messages": [HELLO, {**HELLO, "metadata": metadata}]}, "conversation.messages[1].metadata"),
    ):
        error = await skipped(kept, json.dumps(import_document(**fields)).encode())
        assert (error["code"], error["details"]) == ("too_large", {"path": at})


async def test_half_of_a_character_in_a_document_is_skipped(kept: Kept) -> None:
    for half in (r"\ud800", r"a\udc00\ud800b", r"\ud83dA"):
        error = await skipped(kept, GOOD.replace(b"Hello", half.encode()))
        assert error["code"] == "invalid"
        error = await skipped(kept, GOOD[:-1] + b',"theirs":"%b"}' % half.encode())
        assert error["code"] == "invalid"


async def test_an_import_of_nothing_imports_nothing(kept: Kept) -> None:
    for body in (b"", b"\n", b" \n\r\n\n"):
        response = await ask(kept.client, "POST", IMPORT, content=body, headers=NDJSON)
        assert (response.status_code, response.json()) == (200, {"imported": [], "skipped": []})
    assert (await skipped(kept, b""))["code"] == "invalid"


async def test_one_document_over_8_mebibytes_is_refused(kept: Kept) -> None:
    part = b"x" * 65_536

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"version":1,"x":"'
        for _ in range(144):
            yield part
        yield b'"}'

    for content in (parts(), b'{"version":1,"x":"' + part * 144 + b'"}'):
        response = await ask(kept.client, "POST", IMPORT, content=content, headers=JSON)
        check_refusal(response, "too_large", at="body", says=("8388608",))


async def test_a_line_over_8_mebibytes_is_skipped_and_its_neighbours_are_imported(backend: Backend) -> None:
    client = someone(backend)
    body = b"\n".join([GOOD, b'{"version":1,"x":"' + b"x" * 9 * 1024 * 1024 + b'"}', GOOD])
    response = await ask(client, "POST", IMPORT, content=body, headers=NDJSON)
    assert response.status_code == 200
    report = response.json()
    assert (len(report["imported"]), len(report["skipped"])) == (2, 1)
    assert (report["skipped"][0]["index"], report["skipped"][0]["error"]["code"]) == (1, "too_large")
    assert len(await everything(client)) == 2


async def test_an_import_of_another_type_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for content_type in (
        *("text/plain", "text/csv", "application/jsonl", "application/ndjson", "application/x-ndjson2", "text/json"),
        *("application/merge-patch+json", "multipart/form-data; boundary=x", "application/gzip", "", None, "*/*"),
        *("application/json; charset=latin-1", "application/x-ndjson; charset=utf-16", "application/json, text/plain"),
    ):
        with subtests.test(str(content_type)):
            headers = {} if content_type is None else {"Content-Type": content_type}
            response = await ask(kept.client, "POST", IMPORT, content=GOOD, headers=headers)
            says = ("`Content-Type: application/json` or `application/x-ndjson`.",)
            check_refusal(response, "unsupported_media_type", at="content-type", says=says)


async def test_an_idempotency_key_that_is_none_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for key in (b"", b"a b", b"x" * 256, b"x" * 5_000, "é".encode(), b"\xe9", b"a\tb", b"a, b", "😀".encode()):
        for headers in (JSON, NDJSON):
            with subtests.test(f"{key[:20]!r} {headers}"):
                sent = [(name.encode(), value.encode()) for name, value in headers.items()]
                response = await ask(
                    kept.client, "POST", IMPORT, content=GOOD, headers=[*sent, (b"Idempotency-Key", key)]
                )
                check_refusal(response, at="idempotency-key", says=("255",))


async def test_an_import_and_an_export_take_no_query(kept: Kept) -> None:
    for method, path in (("POST", IMPORT), ("GET", "/api/export"), ("GET", f"{CONVERSATION}/export")):
        await kept.refuses(method, f"{path}?limit=1", {} if method == "POST" else None, says=("`limit`",))


@pytest.mark.reaches_a_store
async def test_only_the_wrong_lines_of_a_stream_are_skipped(backend: Backend) -> None:
    client = someone(backend)
    body = b"\n".join([GOOD, b"{", b"", b"\xff", GOOD + b"\r", b"[]", GOOD[:-9], b'{"version":2}', GOOD])
    report = (await ask(client, "POST", IMPORT, content=body, headers=NDJSON)).json()
    assert len(report["imported"]) == 3
    assert [entry["index"] for entry in report["skipped"]] == [1, 2, 4, 5, 6]
    assert {entry["error"]["code"] for entry in report["skipped"]} == {"invalid"}
    assert {*await everything(client)} == {entry["id"] for entry in report["imported"]}


# Erasing


async def test_an_erasure_that_nobody_confirms_is_refused(kept: Kept) -> None:
    await kept.refuses("DELETE", "/api/me", says=("`confirm`",))
    await kept.refuses("DELETE", "/api/me?", says=("`confirm`",))
    await kept.refuses("DELETE", "/api/me", {"confirm": kept.user_id}, says=("`confirm`",))
    for field in ("Confirm", "CONFIRM", "confirm%20", "confirm[]", "confirmed", "user", "userId", "%00"):
        await kept.refuses("DELETE", f"/api/me?{field}={kept.user_id}")


async def test_an_erasure_that_is_confirmed_by_what_is_not_ones_own_id_is_refused(
    kept: Kept, subtests: pytest.Subtests
) -> None:
    own = kept.user_id
    for confirm in (
        *("", "x", "true", "1", "0", "null", "yes", "me", "*", "%25", "_", "%", "%zz", ".", own[:-1], own[1:]),
        *(own.upper(), own.lower(), own.capitalize(), own + "x", own + "%00", "%00" + own, own + "%0A", own + "%20"),
        *("%20" + own, "+" + own, own + "/", f"{own},{own}", f"'{own}'", f"%22{own}%22", f"[%22{own}%22]"),
        *("%EF%BB%BF" + own, own + "%E2%80%8B", own.replace("u", "%EF%BD%95"), own.replace("-", "%E2%80%90")),
        *("'%20OR%20'1'='1", "developer", kept.id, "x" * 10_240, own * 100, "%F0%9F%98%80" * 2_000),
    ):
        with subtests.test(confirm[:40]):
            assert confirm != own
            await kept.refuses("DELETE", f"/api/me?confirm={confirm}", at="confirm", says=("Nothing was erased",))
    for confirm in ("%ff", "%C0%80", "%ED%A0%80", own + "%ff"):
        with subtests.test(confirm):
            await kept.refuses("DELETE", f"/api/me?confirm={confirm}", says=("query",))


async def test_an_erasure_that_is_confirmed_twice_or_with_something_else_is_refused(kept: Kept) -> None:
    own = f"confirm={kept.user_id}"
    for other in (own, "confirm=", "confirm=x", "c%6Fnfirm=x"):
        await kept.refuses("DELETE", f"/api/me?{own}&{other}", says=("twice",))
        await kept.refuses("DELETE", f"/api/me?{other}&{own}", says=("twice",))
    for field in ("x", "force", "userId", "limit", "Confirm", "id"):
        await kept.refuses("DELETE", f"/api/me?{own}&{field}=1", says=(f"`{field}`",))
    await kept.refuses("DELETE", f"/api/me?{own}&{'&'.join(f'a{number}=1' for number in range(1_000))}")
    headers = {"X-D1-Bookmark": "abc"}
    await kept.refuses("DELETE", f"/api/me?{own}", at="x-d1-bookmark", **headers)


async def test_only_the_one_address_erases(kept: Kept, subtests: pytest.Subtests) -> None:
    own = f"confirm={kept.user_id}"
    for path in (
        "/api/me/",
        "/api/ME",
        "/API/me",
        "/api//me",
        "/me",
        "/api/me/x",
        f"/api/{kept.user_id}",
        "/api/m%65/",
    ):
        with subtests.test(path):
            await kept.refuses("DELETE", f"{path}?{own}", code="not_found")
    for method in ("GET", "POST", "PUT", "PATCH"):
        with subtests.test(method):
            await kept.refuses(method, f"/api/me?{own}", code="method_not_allowed", says=(method,))
    await kept.refuses("DELETE", f"{API}?{own}", says=("`before`",))
    headers = {"X-HTTP-Method-Override": "DELETE"}
    await kept.refuses("POST", f"/api/me?{own}", {}, code="method_not_allowed", **headers)


async def test_many_are_not_deleted_without_a_time_and_the_users_own_id(kept: Kept, subtests: pytest.Subtests) -> None:
    own = f"confirm={kept.user_id}"
    ever = f"before={2**53 - 1}"
    for query, at, says in (
        ("", None, ("`before`",)),
        (own, None, ("`before`",)),
        (ever, None, ("`confirm`",)),
        (f"{ever}&archived=any", None, ("`confirm`",)),
        *(
            (f"{ever}&confirm={value}", "confirm", ("Nothing was deleted",))
            for value in ("", "yes", "true", "all", "*")
        ),
        (f"{ever}&confirm={kept.user_id.upper()}x", "confirm", ("Nothing was deleted",)),
        *((f"{own}&before={value}", "before", ()) for value in ("", "-1", "x", "1.5", "null", "9007199254740992")),
        *((f"{own}&before={value}", "before", ()) for value in ("2026-01-01", "1e3", "now")),
        *((f"{own}&{ever}&archived={value}", "archived", ()) for value in ("both", "", "null", "Any")),
        (f"{own}&{ever}&{ever}", None, ("twice",)),
        (f"{own}&{own}&{ever}", None, ("twice",)),
        *((f"{own}&{ever}&{field}=1", None, (f"`{field}`",)) for field in ("limit", "model", "metadata.a", "ids")),
    ):
        with subtests.test(query[:60]):
            await kept.refuses("DELETE", f"{API}?{query}", at=at, says=says)


# Methods, addresses and headers

TAKEN: dict[str, set[str]] = {}
for _route in ROUTES:
    TAKEN.setdefault(_route.path, {"OPTIONS"}).update({_route.method, *(["HEAD"] if _route.method == "GET" else [])})


async def test_a_method_that_an_address_does_not_take_is_refused_and_the_others_named(
    kept: Kept, subtests: pytest.Subtests
) -> None:
    for path, taken in TAKEN.items():
        for method in sorted({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - taken):
            with subtests.test(f"{method} {path}"):
                response = await ask(kept.client, method, kept.path(path))
                assert response.status_code == 405
                assert response.headers["allow"] == ", ".join(sorted(taken))
                if method != "HEAD":
                    check_refusal(response, "method_not_allowed", says=(method,))
                    assert response.json()["error"]["details"] == {"allow": sorted(taken)}


async def test_a_method_that_nobody_knows_is_refused(backend: Backend, kept: Kept) -> None:
    response = await kept.client.request("FOO", f"{API}/{kept.id}")
    # workerd refuses it before the API is asked.
    assert response.status_code == (501 if backend.is_worker else 405)


async def test_an_address_where_nothing_is_is_not_found(kept: Kept, subtests: pytest.Subtests) -> None:
    for path in (
        *("/", "/nowhere", "/api", "/api/", "/API/conversations", "//api/conversations", "/api//conversations"),
        *("/docs/", "/openapi.json/", "/api/health/x", "/api/conversations;x=1", "/api/conversations%3Flimit=1"),
        *(f"{CONVERSATION}/nowhere", f"{CONVERSATION}/restore/x", f"{MESSAGES}/", f"{MESSAGE}/x"),
        *("/api%2Fconversations", "/%ff", "/%00", "/" + "x" * 10_000),
    ):
        for method in ("GET", "POST", "DELETE"):
            with subtests.test(f"{method} {path[:40]}"):
                await kept.refuses(method, path, code="not_found", says=("/docs",))


async def test_an_address_with_an_empty_id_is_refused(kept: Kept) -> None:
    for method in ("GET", "POST"):
        await kept.refuses(method, f"{API}//messages", {} if method == "POST" else None, at="id")


async def test_a_slash_too_many_is_not_found_and_the_address_without_it_is_named(
    kept: Kept, subtests: pytest.Subtests
) -> None:
    for path, meant in (
        (f"{API}/", API),
        (f"{API}//", API),
        ("/api//conversations", API),
        (f"{API}/status/", f"{API}/status"),
        (f"{CONVERSATION}/", CONVERSATION),
        (f"{MESSAGES}/", MESSAGES),
        (f"{MESSAGE}/", MESSAGE),
        ("/api/me/", "/api/me"),
        ("/docs/", "/docs"),
    ):
        for method in ("GET", "POST", "PATCH", "DELETE"):
            with subtests.test(f"{method} {path}"):
                says = (f"Did you mean {meant}, without the extra slash? The page /docs",)
                response = await ask(kept.client, method, kept.path(path))
                check_refusal(response, "not_found", says=says)


async def test_a_body_of_another_type_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for route in ROUTES_WITH_BODY:
        for content_type in (
            *(
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/json",
                "",
                None,
            ),
            *("application/json; charset=latin-1", "application/json; charset=utf-16", "application/jsonp", "*/*"),
            *("application/json, text/plain", "application/x-ndjson"),
        ):
            with subtests.test(f"{content_type} to {route}"):
                headers = {} if content_type is None else {"Content-Type": content_type}
                path = kept.path(route.path)
                response = await ask(kept.client, route.method, path, content=b"{}", headers=headers)
                others = " or `application/merge-patch+json`" if route in (EDIT, EDIT_MESSAGE) else ""
                says = (f"with `Content-Type: application/json`{others}.",)
                check_refusal(response, "unsupported_media_type", at="content-type", says=says)


async def test_a_body_that_is_compressed_is_refused_whatever_it_is_sent_to(
    kept: Kept, subtests: pytest.Subtests
) -> None:
    for method, path in (*ROUTES_WITH_BODY, ("POST", IMPORT)):
        for content_type in (JSON, NDJSON) if path == IMPORT else (JSON,):
            for coding in ("gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip", "gzip, identity", "x"):
                with subtests.test(f"{coding} to {path} as {content_type}"):
                    headers = {**content_type, "Content-Encoding": coding}
                    body = gzip.compress(b"{}") if "gzip" in coding else b"{}"
                    place = kept.path(path)
                    response = await ask(kept.client, method, place, content=body, headers=headers)
                    says = ("Send it without Content-Encoding.",)
                    check_refusal(response, "unsupported_media_type", at="content-encoding", says=says)
                    assert response.headers["accept-encoding"] == "identity"


async def test_a_body_that_says_it_is_not_compressed_is_read(backend: Backend) -> None:
    client = someone(backend)
    for coding in ("identity", "Identity", "", "identity, identity"):
        assert (await send(client, "POST", API, {"title": "T"}, **{"Content-Encoding": coding})).status_code == 201


async def test_json_in_utf_8_is_read_however_its_type_is_written(backend: Backend, subtests: pytest.Subtests) -> None:
    for content_type in (
        *("application/json", "application/json; charset=UTF-8", "application/json;charset=utf-8", "Application/JSON"),
        'application/json; charset="utf-8"',
    ):
        with subtests.test(content_type):
            headers = {"Content-Type": content_type}
            response = await ask(someone(backend), "POST", API, content='{"title":"ü"}'.encode(), headers=headers)
            assert (response.status_code, response.json()["title"]) == (201, "ü")


async def test_an_if_match_that_names_no_version_is_refused(kept: Kept, subtests: pytest.Subtests) -> None:
    for if_match in (
        *("abc", '"abc"', "1", '"1", "2"', '"-1"', '"1', "'1'", '"1.0"', '"1 "', '""', 'w/"1"', 'W/"*"', '"*"', "*, *"),
        *('"' + "1" * 400 + '"', '"' + "9" * 16 + '"', '"01"'),
    ):
        with subtests.test(if_match[:20]):
            headers = {"If-Match": if_match}
            await kept.refuses(*EDIT, {"title": "New"}, at="if-match", **headers)
            await kept.refuses("DELETE", CONVERSATION, at="if-match", **headers)


async def test_an_empty_if_match_is_refused_where_it_arrives(backend: Backend) -> None:
    client = someone(backend)
    created = await create(client)
    headers = {"If-Match": ""}
    edited = await send(client, "PATCH", f"{API}/{created['id']}", {"title": "New"}, **headers)
    # workerd takes a header that it knows, and that is empty, for none.
    assert edited.status_code == (200 if backend.is_worker else 400)


@pytest.mark.reaches_a_store
async def test_an_if_match_that_names_the_version_or_any_goes_through(backend: Backend) -> None:
    client = someone(backend)
    for if_match in ("*", '"1"', 'W/"1"'):
        created = await create(client)
        headers = {"If-Match": if_match}
        edited = await send(client, "PATCH", f"{API}/{created['id']}", {"title": "New"}, **headers)
        assert (edited.status_code, edited.json()["title"]) == (200, "New")


async def test_a_malformed_bookmark_is_refused_by_every_route(kept: Kept, subtests: pytest.Subtests) -> None:
    good = "00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683"
    for bookmark in (
        "",
        "abc",
        "first-primary",
        good.upper(),
        good[:-1],
        good + "0",
        f"{good},{good}",
        "'; DROP TABLE",
    ):
        with subtests.test(bookmark):
            headers = {"X-D1-Bookmark": bookmark}
            await kept.refuses("GET", API, at="x-d1-bookmark", **headers)
    for route in USER_ROUTES:
        with subtests.test(f"{route.method} {route.path}"):
            headers = {"X-D1-Bookmark": "abc"}
            await kept.refuses(route.method, route.path, route.body and {}, at="x-d1-bookmark", **headers)
    headers = {"X-D1-Bookmark": good}
    assert (await ask(kept.client, "GET", API, headers=headers)).status_code == 200
