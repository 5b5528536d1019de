"""The OpenAPI document: every call with all that it takes and answers, and types that hold together."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from threadkeep import __version__
from threadkeep.conversations.models import BLOCKS, MessagePage
from threadkeep.errors import Invalid, ThreadkeepError
from threadkeep.http import routes
from threadkeep.http.descriptions import FIELDS, Operation
from threadkeep.http.descriptions import OPERATIONS as OPERATIONS_IN_WORDS
from threadkeep.http.messages import Response
from threadkeep.http.openapi import _ITEMS, document
from threadkeep.http.problems import STATUS, error_response
from threadkeep.http.routes import ROUTES
from threadkeep.http.routes.base import Call, Route

API: dict[str, Any] = json.loads(msgspec.json.encode(document(ROUTES)))
OPERATIONS = {
    f"{method.upper()} {path}": operation for path, item in API["paths"].items() for method, operation in item.items()
}
SCHEMAS = API["components"]["schemas"]

# Every call, and all that it may be answered with.
STATUSES = {
    "GET /api/conversations/status": "200 405 500",
    "GET /api/health": "200 405 500 503",
    "GET /openapi.json": "200 405 500",
    "GET /docs": "200 405 500",
    "GET /api/conversations": "200 400 401 405 500 501 503",
    "DELETE /api/conversations": "200 202 400 401 405 500 501 503",
    "POST /api/conversations": "200 201 400 401 405 409 413 415 500 501 503",
    "GET /api/conversations/changes": "200 400 401 405 410 500 501 503",
    "GET /api/conversations/changes/stream": "200 400 401 405 500 501 503",
    "GET /api/conversations/search": "200 400 401 404 405 500 501 503",
    "GET /api/conversations/{id}": "200 400 401 404 405 500 501 503",
    "PUT /api/conversations/{id}": "200 201 400 401 405 409 412 413 415 500 501 503",
    "PATCH /api/conversations/{id}": "200 400 401 404 405 412 413 415 500 501 503",
    "DELETE /api/conversations/{id}": "204 400 401 404 405 412 500 501 503",
    "POST /api/conversations/{id}/restore": "200 400 401 404 405 500 501 503",
    "GET /api/conversations/{id}/export": "200 400 401 404 405 500 501 503",
    "GET /api/export": "200 400 401 405 500 501 503",
    "POST /api/import": "200 400 401 405 413 415 500 501 503",
    "POST /api/conversations/{id}/drafts": "200 201 400 401 404 405 409 413 415 500 501 503",
    "GET /api/conversations/{id}/drafts": "200 400 401 404 405 500 501 503",
    "GET /api/drafts/{id}": "200 400 401 404 405 500 501 503",
    "GET /api/drafts/{id}/events": "200 204 400 401 404 405 500 501 503",
    "POST /api/drafts/{id}/parts": "200 400 401 404 405 409 412 413 415 500 501 503",
    "POST /api/drafts/{id}/stream": "200 201 204 400 401 404 405 409 412 413 415 500 501 503",
    "PUT /api/drafts/{id}": "200 201 204 400 401 404 405 409 412 413 415 500 501 503",
    "POST /api/drafts/{id}/take": "200 400 401 404 405 409 500 501 503",
    "POST /api/drafts/{id}/stop": "200 400 401 404 405 409 500 501 503",
    "GET /api/conversations/{id}/context": "200 400 401 404 405 409 413 500 501 503",
    "GET /api/conversations/{id}/messages": "200 400 401 404 405 500 501 503",
    "POST /api/conversations/{id}/messages": "200 201 400 401 404 405 409 412 413 415 500 501 503",
    "GET /api/conversations/{id}/messages/{mid}": "200 400 401 404 405 500 501 503",
    "PATCH /api/conversations/{id}/messages/{mid}": "200 400 401 404 405 412 413 415 500 501 503",
    "DELETE /api/conversations/{id}/messages/{mid}": "200 400 401 404 405 500 501 503",
    "POST /api/conversations/{id}/messages/{mid}/restore": "200 400 401 404 405 409 500 501 503",
    "GET /api/conversations/{id}/messages/{mid}/branches": "200 400 401 404 405 500 501 503",
    "POST /api/conversations/{id}/fork": "200 201 400 401 404 405 409 413 415 500 501 503",
    "PUT /api/conversations/{id}/leaf": "200 400 401 404 405 412 413 415 500 501 503",
    "GET /api/journals/{space}": "200 400 401 405 500 501 503",
    "PUT /api/journals/{space}/{key}": "200 201 400 401 405 409 412 413 415 500 501 503",
    "PATCH /api/journals/{space}/{key}": "200 400 401 404 405 412 413 415 500 501 503",
    "GET /api/journals/{space}/{key}": "200 400 401 404 405 500 501 503",
    "DELETE /api/journals/{space}/{key}": "204 400 401 405 412 500 501 503",
    "POST /api/journals/{space}/{key}/producer": "200 400 401 404 405 413 415 500 501 503",
    "POST /api/journals/{space}/{key}/entries": "200 201 400 401 404 405 409 412 413 415 500 501 503",
    "GET /api/journals/{space}/{key}/entries": "200 204 400 401 404 405 410 500 501 503",
    "POST /api/journals/{space}/{key}/pop": "200 400 401 404 405 409 412 500 501 503",
    "GET /api/journals/{space}/rows": "200 400 401 405 500 501 503",
    "POST /api/journals/{space}/rows": "200 400 401 405 413 415 500 501 503",
    "PUT /api/blobs/{space}/{key}": "200 201 400 401 405 409 413 415 500 501 503",
    "GET /api/blobs/{space}/{key}": "200 400 401 404 405 500 501 503",
    "DELETE /api/blobs/{space}/{key}": "204 400 401 405 500 501 503",
    "GET /api/queues/{queue}": "200 400 401 405 500 501 503",
    "POST /api/queues/{queue}/tasks": "200 201 400 401 405 409 413 415 500 501 503",
    "GET /api/queues/{queue}/tasks": "200 400 401 405 500 501 503",
    "GET /api/queues/{queue}/tasks/{task}": "200 400 401 404 405 500 501 503",
    "POST /api/queues/{queue}/tasks/{task}": "200 400 401 405 413 415 500 501 503",
    "POST /api/queues/{queue}/renew": "200 400 401 405 413 415 500 501 503",
    "POST /api/queues/{queue}/lanes/{lane}": "200 400 401 405 409 413 415 500 501 503",
    "GET /api/threads": "200 400 401 405 500 501 503",
    "DELETE /api/threads/{thread}": "204 400 401 405 500 501 503",
    "POST /api/threads/{thread}/copy": "200 400 401 404 405 412 413 415 500 501 503",
    "POST /api/threads/{thread}/owner": "200 400 401 405 500 501 503",
    "POST /api/threads/{thread}/checkpoints": "200 400 401 405 412 413 415 500 501 503",
    "POST /api/threads/{thread}/writes": "200 400 401 405 412 413 415 500 501 503",
    "GET /api/threads/{thread}/checkpoints": "200 400 401 405 413 500 501 503",
    "GET /api/threads/{thread}/deltas": "200 400 401 405 409 413 500 501 503",
    "GET /api/checkpoints": "200 400 401 405 413 500 501 503",
    "POST /api/checkpoints/prune": "200 400 401 405 413 415 500 501 503",
    "POST /api/checkpoints/delete": "200 400 401 405 413 415 500 501 503",
    "POST /api/openai/v1/conversations": "200 400 401 405 409 413 415 500 501 503",
    "GET /api/openai/v1/conversations/{conversation}": "200 400 401 404 405 500 501 503",
    "POST /api/openai/v1/conversations/{conversation}": "200 400 401 404 405 413 415 500 501 503",
    "DELETE /api/openai/v1/conversations/{conversation}": "200 400 401 405 500 501 503",
    "POST /api/openai/v1/conversations/{conversation}/items": "200 400 401 404 405 409 413 415 500 501 503",
    "GET /api/openai/v1/conversations/{conversation}/items": "200 400 401 404 405 500 501 503",
    "GET /api/openai/v1/conversations/{conversation}/items/{item}": "200 400 401 404 405 500 501 503",
    "DELETE /api/openai/v1/conversations/{conversation}/items/{item}": "200 400 401 404 405 500 501 503",
    "DELETE /api/me": "200 202 400 401 405 500 501 503",
}
PARAMETERS = {
    "GET /api/conversations": "archived createdAfter createdBefore cursor limit metadata model",
    "DELETE /api/conversations": "archived before confirm",
    "GET /api/conversations/changes": "limit since",
    "GET /api/conversations/changes/stream": "Last-Event-ID limit since",
    "GET /api/conversations/search": "branch conversation cursor from limit q role to",
    "GET /api/conversations/{id}/export": "branch id",
    "GET /api/drafts/{id}": "folded from id limit",
    "GET /api/drafts/{id}/events": "Last-Event-ID folded from id",
    "POST /api/drafts/{id}/stream": "fence from id",
    "POST /api/conversations/{id}/messages": "id interrupts",
    "GET /api/conversations/{id}/context": "branch dialect id maxBytes repair",
    "PATCH /api/conversations/{id}": "If-Match id",
    "DELETE /api/conversations/{id}": "If-Match id",
    "POST /api/import": "Idempotency-Key",
    "GET /api/conversations/{id}/messages": "after branch cursor id limit",
    "PATCH /api/conversations/{id}/messages/{mid}": "If-Match id mid",
    "GET /api/journals/{space}": "cursor limit order space status",
    "GET /api/journals/{space}/rows": "after space",
    "POST /api/journals/{space}/rows": "space",
    "PUT /api/journals/{space}/{key}": "Idempotency-Key If-Match key space",
    "PATCH /api/journals/{space}/{key}": "Idempotency-Key If-Match key space",
    "DELETE /api/journals/{space}/{key}": "If-Match key space",
    "POST /api/journals/{space}/{key}/producer": "Idempotency-Key key space",
    "POST /api/journals/{space}/{key}/entries": "Idempotency-Key key space",
    "GET /api/journals/{space}/{key}/entries": (
        "Last-Event-ID after before beyond cursor head key limit newest only space"
    ),
    "PUT /api/blobs/{space}/{key}": "Content-Digest X-Meta expiresIn key space",
    "GET /api/queues/{queue}/tasks": "after host lane limit queue view",
    "POST /api/queues/{queue}/tasks/{task}": "Idempotency-Key queue task",
    "GET /api/threads": "cursor limit",
    "DELETE /api/threads/{thread}": "thread",
    "POST /api/threads/{thread}/copy": "thread",
    "POST /api/threads/{thread}/owner": "Idempotency-Key thread",
    "POST /api/threads/{thread}/checkpoints": "thread",
    "POST /api/threads/{thread}/writes": "thread",
    "GET /api/threads/{thread}/checkpoints": "before checkpoint cursor filter limit ns thread",
    "GET /api/threads/{thread}/deltas": "channels checkpoint cursor ns thread",
    "GET /api/checkpoints": "before checkpoint cursor filter limit",
    "POST /api/openai/v1/conversations": "Idempotency-Key",
    "POST /api/openai/v1/conversations/{conversation}": "Idempotency-Key conversation",
    "POST /api/openai/v1/conversations/{conversation}/items": "Idempotency-Key X-Stainless-Retry-Count conversation",
    "GET /api/openai/v1/conversations/{conversation}/items": "after conversation limit order",
    "DELETE /api/openai/v1/conversations/{conversation}/items/{item}": "X-Stainless-Retry-Count conversation item",
    "DELETE /api/me": "confirm",
}
REQUIRED = {
    ("fence", "POST /api/drafts/{id}/stream"),
    ("q", "GET /api/conversations/search"),
    ("dialect", "GET /api/conversations/{id}/context"),
    ("before", "DELETE /api/conversations"),
    ("confirm", "DELETE /api/conversations"),
    ("confirm", "DELETE /api/me"),
    ("channels", "GET /api/threads/{thread}/deltas"),
}
"""What a query has to say."""
# How much there is on a page where nothing is said of it, and at the most, as docs/api.md has it.
LIMITS = {
    "GET /api/conversations": (20, 100),
    "GET /api/conversations/changes": (200, 500),
    "GET /api/conversations/changes/stream": (200, 500),
    "GET /api/conversations/search": (20, 100),
    "GET /api/conversations/{id}/messages": (50, 200),
    "GET /api/drafts/{id}": (500, 1_000),
    "GET /api/journals/{space}": (100, 1_000),
    "GET /api/openai/v1/conversations/{conversation}/items": (20, 100),
    "GET /api/journals/{space}/{key}/entries": (100, 1_000),
    "GET /api/queues/{queue}/tasks": (100, 1_000),
    "GET /api/threads": (100, 1_000),
    "GET /api/threads/{thread}/checkpoints": (100, 1_000),
    "GET /api/checkpoints": (100, 1_000),
}
BODIES = {
    "POST /api/conversations": ["NewConversation"],
    "PUT /api/conversations/{id}": ["PutConversation"],
    "PATCH /api/conversations/{id}": ["ConversationChanges"],
    "POST /api/conversations/{id}/messages": ["NewMessage", "NewMessages"],
    "PATCH /api/conversations/{id}/messages/{mid}": ["MessageChanges"],
    "POST /api/conversations/{id}/drafts": ["NewDraft"],
    "POST /api/drafts/{id}/parts": ["NewParts"],
    "POST /api/drafts/{id}/stream": [],  # lines
    "PUT /api/drafts/{id}": ["DraftEnd"],
    "POST /api/conversations/{id}/fork": ["NewFork"],
    "PUT /api/conversations/{id}/leaf": ["LeafChoice"],
    "POST /api/import": ["Document"],
    "PUT /api/journals/{space}/{key}": ["PutJournal"],
    "PATCH /api/journals/{space}/{key}": ["JournalChanges"],
    "POST /api/journals/{space}/{key}/producer": ["NewProducer"],
    "POST /api/journals/{space}/{key}/entries": ["NewEntries"],
    "POST /api/journals/{space}/rows": [],  # lines
    "PUT /api/blobs/{space}/{key}": [],  # bytes
    "POST /api/queues/{queue}/tasks": ["NewTask"],
    "POST /api/queues/{queue}/tasks/{task}": [
        *("Ready", "Claim", "Applied", "Recover", "Replace", "Requeue", "Settle", "Drop", "Reserve", "Finalize"),
        *("Join", "Leave", "NoteTask", "Absorb"),
    ],
    "POST /api/queues/{queue}/renew": ["Renewal"],
    "POST /api/queues/{queue}/lanes/{lane}": ["LaneChange"],
    "POST /api/threads/{thread}/copy": ["CopyThread"],
    "POST /api/threads/{thread}/checkpoints": ["NewCheckpoint"],
    "POST /api/threads/{thread}/writes": ["NewWrites"],
    "POST /api/checkpoints/prune": ["PruneThreads"],
    "POST /api/checkpoints/delete": ["DeleteRuns"],
    "POST /api/openai/v1/conversations": ["NewOpenAIConversation"],
    "POST /api/openai/v1/conversations/{conversation}": ["OpenAIConversationChanges"],
    "POST /api/openai/v1/conversations/{conversation}/items": ["NewOpenAIItems"],
}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside of a value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_document_is_an_openapi_document() -> None:
    assert set(API) == {"openapi", "info", "servers", "tags", "paths", "components"}
    assert API["servers"] == [{"url": "/"}]
    assert API["openapi"] == "3.1.0"
    assert API["info"]["version"] == __version__
    assert {"title", "version"} <= set(API["info"])
    assert set(API["components"]) == {"schemas", "securitySchemes"}
    assert all(path.startswith("/") for path in API["paths"])


def test_every_route_is_there_once() -> None:
    assert sorted(map(name_of, ROUTES)) == sorted(OPERATIONS) == sorted(STATUSES)


def test_every_file_of_routes_is_imported() -> None:
    files = {path.stem for path in Path(routes.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert {route.handler.__module__.rpartition(".")[2] for route in ROUTES} == files


def test_a_body_and_an_answer_may_be_something_else_than_json(monkeypatch: pytest.MonkeyPatch) -> None:
    async def put_picture(call: Call) -> Response:
        """Put a picture."""
        raise NotImplementedError  # it is described here, and never called

    blob = Route(
        *("PUT", "/api/pictures/{id}", {200: "text/plain"}),
        body=bytes,
        media_types=("application/octet-stream",),
        reads_body=True,
        handler=put_picture,
    )
    monkeypatch.setitem(OPERATIONS_IN_WORDS, "put_picture", Operation(tag="Messages", answers={200: "The picture."}))
    operation = document([*ROUTES, blob])["paths"]["/api/pictures/{id}"]["put"]
    assert operation["requestBody"]["content"] == {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }
    assert operation["responses"]["200"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
    assert {"413", "415"} <= set(operation["responses"])


def test_events_are_a_text_with_the_type_of_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow(call: Call) -> Response:
        """Follow the messages."""
        raise NotImplementedError  # it is described here, and never called

    events = Route("GET", "/api/events", {200: "text/event-stream"}, handler=follow)
    monkeypatch.setitem(OPERATIONS_IN_WORDS, "follow", Operation(tag="Messages", answers={200: "Events."}))
    monkeypatch.setitem(_ITEMS, "text/event-stream", ("Server-sent events, each with a page.", MessagePage))
    answered = document([*ROUTES, events])["paths"]["/api/events"]["get"]["responses"]["200"]["content"]
    assert answered == {
        "text/event-stream": {
            "schema": {"type": "string", "description": "Server-sent events, each with a page."},
            "x-itemSchema": {"$ref": "#/components/schemas/MessagePage"},
        }
    }


def test_what_is_also_sent_as_events_says_so_beside_the_page_that_generators_see() -> None:
    answer = OPERATIONS["GET /api/journals/{space}/{key}/entries"]["responses"]["200"]
    assert list(answer["content"]) == ["application/json"]
    events = answer["x-content"]["text/event-stream"]
    assert events["x-itemSchema"] == {"$ref": "#/components/schemas/Entry"}
    assert "the data of each is an `Entry`" in events["schema"]["description"]


@pytest.mark.parametrize("name", STATUSES)
def test_an_operation_says_what_it_takes_and_answers(name: str) -> None:
    operation = OPERATIONS[name]
    assert set(operation) <= {
        "operationId",
        "tags",
        "summary",
        "description",
        "parameters",
        "requestBody",
        "responses",
        "security",
    }
    assert operation["summary"]
    # One short sentence, without its full stop.
    assert re.fullmatch(r"[A-Z][a-z]+ (?:[^.:]|\.\d){5,70}", operation["summary"])
    assert sorted(operation["responses"]) == STATUSES[name].split()
    parameters = operation["parameters"]
    expected = {*PARAMETERS.get(name, " ".join(re.findall(r"{(\w+)}", name))).split()}
    expected |= {"X-User-Id", "X-D1-Bookmark"} if operation["security"] else set()
    assert sorted(parameter["name"] for parameter in parameters) == sorted(expected)
    for parameter in parameters:
        assert parameter["in"] in ("path", "query", "header")
        assert (parameter["in"] == "path") == (f"{{{parameter['name']}}}" in name)
        is_required = parameter["in"] == "path" or (parameter["name"], name) in REQUIRED
        assert parameter["required"] == is_required
        assert parameter["schema"]
    body = operation.get("requestBody")
    assert (body is not None) == (name in BODIES)
    if body is not None:
        media = "application/json" if BODIES[name] else next(iter(body["content"]))
        schema = body["content"][media]["schema"]
        references = [part["$ref"] for part in parts(schema) if "$ref" in part]
        assert body["required"]
        assert references == [f"#/components/schemas/{kind}" for kind in BODIES[name]]


def test_every_page_has_as_many_rows_as_the_documents_say() -> None:
    limits = {
        name: (parameter["schema"]["default"], parameter["schema"]["maximum"])
        for name, operation in OPERATIONS.items()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "limit"
    }
    assert limits == LIMITS


@pytest.mark.parametrize("name", STATUSES)
def test_a_response_says_what_is_in_it(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        assert response["description"]
        assert ("content" in response) == (status != "204")
        for media in response.get("content", {}).values():
            is_error = media["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
            assert is_error == (int(status) >= 400)
            assert media["schema"]
        if int(status) >= 400:
            statuses = {**STATUS, "internal": 500}
            codes = [code for code in statuses if response["description"].startswith(f"`{code}`: ")]
            assert [statuses[code] for code in codes] == [int(status)]


GOOD_AND_BAD = {
    "id": (["01ARZ3NDEKTSV4RRFFQ69G5FAV", "msg_1", "x" * 128], ["", "a b", "..", "search", "x\n", "x" * 129]),
    "If-Match": (['"0"', '"12"', 'W/"3"', "*"], ["", "3", '"03"', '"3", "4"', '"' + "9" * 16 + '"']),
    "Idempotency-Key": (["a", "A.b_c-9", "k" * 64], ["", "a b", "\u00fc", "k" * 256]),
    "X-User-Id": (["a", "a b", "\u00fc" * 255, "\U0001f600"], ["", " a", "a ", "a,b", "a\tb", "a" * 256, "a\u2003"]),
    "X-D1-Bookmark": ([f"{'0' * 8}-{'a' * 8}-{'0' * 8}-{'0' * 32}"], ["", "0", f"{'0' * 8}-{'A' * 8}-{'0' * 8}-x"]),
    "cursor": (["01ARZ3NDEKTSV4RRFFQ69G5FAV", "WyJiIiw3XQ", "~WyJiIiw3XQ", "a.b:c@d"], ["", "a=", "a b"]),
    "since": (["0", "WyJyIiwiIiwwLDIsMCwwXQ", "~WyJyIiwiIiwwLDIsMCwwXQ"], ["", "a=", "a b"]),
}


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_a_parameter_says_what_is_refused_in_it_wherever_it_is(name: str) -> None:
    good, bad = GOOD_AND_BAD[name]
    schemas = [each["schema"] for one in OPERATIONS.values() for each in one["parameters"] if each["name"] == name]
    assert schemas
    for schema in schemas:
        assert [text for text in [*good, *schema.get("examples", [])] if not re.search(schema["pattern"], text)] == []
        assert [text for text in bad if re.search(schema["pattern"], text)] == []
        assert schema.get("maxLength", 500) >= max(map(len, good))


def test_the_name_of_an_import_may_be_longer_than_that_of_a_write() -> None:
    schemas = {
        name: parameter["schema"]
        for name, operation in OPERATIONS.items()
        for parameter in operation["parameters"]
        if parameter["name"] == "Idempotency-Key"
    }
    of_an_import = schemas.pop("POST /api/import")
    assert all(re.search(of_an_import["pattern"], text) for text in ("!~", "k" * 255))
    assert not any(re.search(schema["pattern"], text) for schema in schemas.values() for text in ("!~", "k" * 65))


def test_the_export_of_a_conversation_is_the_document_that_an_import_takes() -> None:
    exported = OPERATIONS["GET /api/conversations/{id}/export"]["responses"]["200"]["content"]
    imported = OPERATIONS["POST /api/import"]["requestBody"]["content"]
    assert exported["application/json"]["schema"] == imported["application/json"]["schema"]


def test_lines_are_a_text_whose_items_are_documents() -> None:
    exported = OPERATIONS["GET /api/export"]["responses"]["200"]["content"]
    imported = OPERATIONS["POST /api/import"]["requestBody"]["content"]
    assert exported["application/x-ndjson"] == imported["application/x-ndjson"]
    assert exported["application/x-ndjson"]["schema"]["type"] == "string"
    assert exported["application/x-ndjson"]["x-itemSchema"] == {"$ref": "#/components/schemas/Document"}


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


def test_only_public_routes_are_open() -> None:
    for route in ROUTES:
        security = OPERATIONS[name_of(route)]["security"]
        assert security == ([] if route.is_public else [{"token": []}, {"serviceKey": [], "userId": []}])
    schemes = API["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "token": "http",
        "serviceKey": "http",
        "userId": "apiKey",
    }


def test_every_reference_leads_to_a_type_and_every_type_is_referred_to() -> None:
    referred = {part["$ref"] for part in parts(API) if "$ref" in part}
    assert referred == {f"#/components/schemas/{name}" for name in SCHEMAS}


def test_the_changes_are_of_conversations_or_of_what_is_left_of_them() -> None:
    either = SCHEMAS["Changes"]["properties"]["conversations"]["items"]
    assert either == {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Conversation", "Tombstone")]}
    assert SCHEMAS["Tombstone"]["required"] == ["id", "deletedAt"]
    # A client tells one from the other by what it has.
    assert not set(SCHEMAS["Conversation"]["required"]) <= set(SCHEMAS["Tombstone"]["properties"])


def test_a_hit_is_of_a_message_or_of_a_title() -> None:
    message = SCHEMAS["Hit"]["properties"]["message"]
    assert {"type": "null"} in message["anyOf"]
    assert {"$ref": "#/components/schemas/Message"} in message["anyOf"]
    assert SCHEMAS["SnippetPart"]["required"] == ["text", "match"]


def test_an_erasure_says_how_much_and_whose_and_whether_it_is_all() -> None:
    for status in ("200", "202"):
        content = OPERATIONS["DELETE /api/me"]["responses"][status]["content"]
        assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Erasure"}
    fields = {"conversations", "messages", "userId", "isComplete"}
    assert set(SCHEMAS["Erasure"]["required"]) == fields
    assert set(SCHEMAS["Erasure"]["properties"]) == fields | {
        "journals",
        "blobs",
        "tasks",
        "threads",
    }  # which is left out where there were none
    assert OPERATIONS["DELETE /api/me"]["parameters"][0]["in"] == "query"


KEYWORDS = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "discriminator",
    "enum",
    "examples",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "properties",
    "propertyNames",
    "required",
    "title",
    "type",
}
TYPES = {"array", "boolean", "integer", "null", "object", "string"}


def schemas_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    beside = [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("oneOf", []), *beside]
    for one in inner:
        yield from schemas_in(one)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_type_is_json_schema(name: str) -> None:
    for schema in schemas_in(SCHEMAS[name]):
        assert set(schema) <= KEYWORDS
        types = schema.get("type", [])
        assert set([types] if isinstance(types, str) else types) <= TYPES
        assert set(schema.get("required", [])) <= set(schema.get("properties", {}))
        assert re.compile(schema.get("pattern", ""))
        # A field that has a default is one that generated types have everybody send.
        assert "default" not in schema
        # Nothing may stand in an object of which nothing is said, to a generator.
        assert "properties" in schema or schema.get("type") != "object" or schema["additionalProperties"]


def test_what_may_stand_under_any_name_is_described() -> None:
    scalars = SCHEMAS["NoteTask"]["properties"]["if"]["additionalProperties"]["anyOf"]
    assert [scalar["type"] for scalar in scalars] == ["integer", "string", "boolean", "null"]
    versions = SCHEMAS["Checkpoint"]["properties"]["stored"]["additionalProperties"]["anyOf"]
    assert [version["type"] for version in versions] == ["string", "null"]
    metadata, _ = SCHEMAS["NewOpenAIConversation"]["properties"]["metadata"]["anyOf"]
    assert metadata["additionalProperties"] == {"type": "string", "maxLength": 512}
    assert (metadata["propertyNames"], metadata["maxProperties"]) == ({"maxLength": 64}, 16)


def test_what_we_say_is_described_and_what_we_take_is_closed() -> None:
    for name in ("NewConversation", "NewMessage", "NewMessages", "ConversationChanges"):
        assert SCHEMAS[name]["additionalProperties"] is False
    conversation = SCHEMAS["Conversation"]
    assert set(conversation["required"]) == set(conversation["properties"])
    assert {"id", "userId", "titleSource", "messageCount", "deletedAt"} < set(conversation["properties"])
    assert SCHEMAS["NewMessages"]["properties"]["messages"]["maxItems"] == 1000


def test_content_is_made_of_blocks_of_the_types_we_know_or_of_any_other() -> None:
    for name, item in (("Message", "Block"), ("NewMessage", "NewBlock"), ("DocumentMessage", "NewBlock")):
        content = SCHEMAS[name]["properties"]["content"]
        assert content["type"] == ("array" if name == "Message" else ["array", "string"])
        assert content["items"] == {"$ref": f"#/components/schemas/{item}"}
    known = [{"$ref": f"#/components/schemas/{block.__name__}"} for block in BLOCKS.values()]
    assert SCHEMAS["Block"]["oneOf"] == [*known, {"$ref": "#/components/schemas/OtherBlock"}]
    assert SCHEMAS["NewBlock"]["anyOf"] == [*known, {"$ref": "#/components/schemas/NewOtherBlock"}]
    for name in ("OtherBlock", "NewOtherBlock"):
        assert SCHEMAS[name]["required"] == ["type"]
        assert SCHEMAS[name]["properties"]["type"]["not"] == {"enum": list(BLOCKS)}
        assert SCHEMAS[name]["additionalProperties"] is True
    for kind, block in BLOCKS.items():
        schema = SCHEMAS[block.__name__]
        assert schema["properties"]["type"]["const"] == kind
        assert "type" in schema["required"]
        assert schema["additionalProperties"] is True


def test_the_type_of_a_block_that_is_read_leads_to_what_it_is() -> None:
    discriminator = SCHEMAS["Block"]["discriminator"]
    assert discriminator["propertyName"] == "type"
    others = {kind: name for kind, name in discriminator["mapping"].items() if kind not in BLOCKS}
    assert discriminator["mapping"] == {
        **{kind: f"#/components/schemas/{block.__name__}" for kind, block in BLOCKS.items()},
        **others,
    }
    assert "reasoning" in others
    assert discriminator["x-defaultMapping"] == "#/components/schemas/OtherBlock"
    assert set(others.values()) == {"#/components/schemas/OtherBlock"}


def test_the_codes_are_those_of_the_tree_of_errors_and_of_our_own_defects() -> None:
    codes = {error.code for error in descendants(ThreadkeepError)} | {"internal"}
    assert set(SCHEMAS["ErrorCode"]["enum"]) == codes
    for name in ("ErrorBody", "Refusal"):
        assert SCHEMAS[name]["properties"]["code"] == {"$ref": "#/components/schemas/ErrorCode"}
        assert SCHEMAS[name]["properties"]["details"] == {"$ref": "#/components/schemas/ErrorDetails"}


def descendants(kind: type[ThreadkeepError]) -> Iterator[type[ThreadkeepError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("threadkeep."):
            yield each
            yield from descendants(each)


def test_every_description_of_a_field_is_of_one_that_there_is() -> None:
    fields = {name: schema for type_ in SCHEMAS.values() for name, schema in type_.get("properties", {}).items()}
    assert set(FIELDS) <= set(fields)
    assert SCHEMAS["Conversation"]["properties"]["updatedAt"]["description"].endswith(" In Unix milliseconds.")
    exported = SCHEMAS["Document"]["properties"]["exportedAt"]
    assert exported["description"] == "When it was exported. In ISO 8601."


def test_every_operation_has_a_tag_and_every_tag_an_operation() -> None:
    tags = [tag["name"] for tag in API["tags"]]
    assert all(tag["description"] for tag in API["tags"])
    used = [operation["tags"] for operation in OPERATIONS.values()]
    assert all(len(each) == 1 for each in used)
    assert {tag for each in used for tag in each} == set(tags)


@pytest.mark.parametrize("error", [Invalid("No."), Invalid("No.", "title")], ids=["without details", "with details"])
def test_an_error_is_of_the_type_that_is_promised(error: Invalid) -> None:
    answered = json.loads(error_response(error).body)
    assert set(answered) == set(SCHEMAS["ErrorResponse"]["properties"])
    body = SCHEMAS["ErrorBody"]
    assert set(body["required"]) <= set(answered["error"]) <= set(body["properties"])


@pytest.mark.parametrize(
    "place", ["Conversation.id", "Message.id", "Message.conversationId", "Tombstone.id", "Receipt.id"]
)
def test_an_id_in_an_answer_is_described_as_one_in_a_request(place: str) -> None:
    name, _, field = place.partition(".")
    given = SCHEMAS["NewMessage"]["properties"]["id"]["anyOf"]
    assert SCHEMAS[name]["properties"][field] in given
