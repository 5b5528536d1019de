"""The examples of the OpenAPI document are of the types that it promises, and are what the API really answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from jsonschema import Draft202012Validator

from support.backends import Backend, connected
from threadkeep.conversations.models import ConversationChanges
from threadkeep.errors import Invalid
from threadkeep.http.descriptions import NAMES, OPERATIONS
from threadkeep.http.openapi import document
from threadkeep.http.routes import ROUTES
from threadkeep.validation import decode

API: dict[str, Any] = json.loads(msgspec.json.encode(document(ROUTES)))
CALLS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in API["paths"].items()
    for method, operation in item.items()
}
WITHOUT_EXAMPLES = {
    *(
        "delete_conversation",
        "delete_journal",
        "delete_thread",
        "export_everything",
        "export_rows",
        "stream_changes",
        "follow_draft",
        "stream_draft",
        "get_blob",
        "delete_blob",
    ),
    *("get_openapi", "get_docs"),
}
"""What answers nothing, lines, this document, or a page."""
VARYING = {
    *("created_at", "createdAt", "updatedAt", "exportedAt", "at", "deadline", "next", "nextCursor", "changes"),
    "incarnation",
    *(f"{name}At" for name in ("accepted", "ready", "started", "applied", "settled", "noted", "abort", "closed")),
    *("requestedStore", "store", "persistent", "reason"),
}
"""Times, cursors, and what depends on where the server runs: of these only the type is compared."""


def examples_of(name: str) -> list[tuple[dict[str, Any], Any]]:
    """The examples of an operation, each with the schema of where it stands."""
    _, _, operation = CALLS[name]
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    medias = [media for each in contents for media in each.get("content", {}).values()]
    return [(media["schema"], media["example"]) for media in medias if "example" in media]


@pytest.mark.parametrize("name", CALLS)
def test_an_example_is_of_the_type_that_is_promised(name: str) -> None:
    examples = examples_of(name)
    assert bool(examples) == (name not in WITHOUT_EXAMPLES)
    for schema, example in examples:
        Draft202012Validator({**schema, "components": API["components"]}).validate(example)


def test_an_example_of_another_type_is_found_out() -> None:
    (schema, example), *_ = examples_of("append_messages")
    validator = Draft202012Validator({**schema, "components": API["components"]})
    assert validator.is_valid(example)
    for wrong in (
        {"role": "robot"},
        {"content": {}},
        {"content": [{"type": "text"}]},
        {"text": "Hello"},
        {"id": "a b"},
    ):
        assert not validator.is_valid({**example, **wrong})


def test_every_operation_is_described_and_nothing_else_is() -> None:
    assert set(OPERATIONS) == set(CALLS)
    for name, (_, _, operation) in CALLS.items():
        statuses = {int(status) for status in operation["responses"] if int(status) < 400}
        assert set(OPERATIONS[name].answers) == statuses


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with connected("memory", tmp_path) as backend:
        yield backend


@pytest.mark.anyio
async def test_the_examples_are_what_the_api_answers_one_after_the_other(backend: Backend) -> None:
    compared = []
    async with backend.client_of("alice") as client:
        for name, operation in OPERATIONS.items():
            if name == "copy_thread":  # from another one, which nothing before is about
                other = {"id": "1", "type": "json", "data": ""}
                await client.post("/api/threads/alice%2F0/checkpoints", json=other)
            response = await _ask(client, name)
            await client.delete("/api/threads/alice%2F0")
            assert response.status_code in operation.answers, response.text
            if operation.response is not msgspec.UNSET:
                assert _comparable(response.json()) == _comparable(operation.response), name
                compared.append(name)
    assert set(compared) == set(OPERATIONS) - WITHOUT_EXAMPLES


async def _ask(client: httpx.AsyncClient, name: str) -> httpx.Response:
    method, path, _ = CALLS[name]
    example = OPERATIONS[name]
    url = path.format(**{place: quote(name, safe="") for place, name in NAMES.items()})
    body = {} if example.request is msgspec.UNSET else {"json": example.request}
    headers = {} if example.name is None else {"Idempotency-Key": example.name}
    if isinstance(example.request, bytes):
        body = {"content": example.request}
        headers["Content-Type"] = next(iter(CALLS[name][2]["requestBody"]["content"]))
    return await client.request(method, f"{url}?{example.query}", headers=headers, **body)


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "imported" in value:  # the ids are new
        return [{**each, "id": len(each["id"])} for each in value["imported"]], value["skipped"]
    if value.get("forkedFrom"):  # the ids of its messages are new
        value = {**value, "leafId": len(value["leafId"]), "forkedFrom": {**value["forkedFrom"], "at": 0}}
    return {name: type(item) if name in VARYING else _comparable(item) for name, item in value.items()}


def test_the_example_of_an_error_is_what_the_api_says() -> None:
    (example,) = API["components"]["schemas"]["ErrorResponse"]["examples"]
    with pytest.raises(Invalid) as raised:
        decode(b'{"isArchived":"true"}', ConversationChanges)
    assert example["error"] == {"code": "invalid", "message": raised.value.message, "details": raised.value.details}
