"""The OpenAPI document, made from the routes and their types."""

import re
from typing import Any

import msgspec
from msgspec import UNSET

from threadkeep import __version__
from threadkeep.agents.blobs.models import DEFAULT_MEDIA_TYPE as BYTES
from threadkeep.agents.journals.models import AppendedEntries, Entry, Journal
from threadkeep.agents.values import NAME_BYTES_MAX, SPACE_BYTES_MAX
from threadkeep.conversations.export_v1 import Document
from threadkeep.conversations.models import BLOCKS, Conversation, Tombstone
from threadkeep.http.bodies import ANYTHING, JSON, MERGE_PATCH, NDJSON, types_of
from threadkeep.http.descriptions import CODES, NAMES, OPERATIONS, TAGS
from threadkeep.http.events import EVENTS
from threadkeep.http.routes.base import FOR_EVERY_USER, Header, Route
from threadkeep.http.schemas import CODES as STATUS
from threadkeep.http.schemas import ErrorResponse, Schema, natural, schemas_of
from threadkeep.ids import ID_CHARACTERS_MAX, ID_PATTERN

_EVERYWHERE = ("method_not_allowed", "internal")
_FOR_USERS = ("invalid", "unauthenticated", "unsupported", "unavailable")
_WITH_BODY = ("too_large", "unsupported_media_type")

_DESCRIPTION = """\
Stores, searches and syncs AI conversations. Every acknowledged message is stored once and in order, even with retries
and concurrent writers, as long as you send ids of your own.

Authenticate with a JWT, or with a service key and the user it acts for in `X-User-Id`. Errors all have the same form:
`code` is for programs, `message` says what to do.
"""
_SECURITY_SCHEMES: dict[str, Schema] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JWT. Its `sub` is the user.",
    },
    "serviceKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A service key, `tk_…`: for servers that act for their users. Send `X-User-Id` too.",
    },
    "userId": {
        "type": "apiKey",
        "in": "header",
        "name": "X-User-Id",
        "description": "The id of the user that a service key acts for.",
    },
}
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"serviceKey": [], "userId": []}]

# What a stream is made of, by its media type. Generators see a text. OpenAPI has a word for the rest from 3.2 on,
# `itemSchema`; until then it is an extension.
_ITEMS: dict[str, tuple[str, Any]] = {
    NDJSON: ("Newline-delimited JSON: each line is a `{}`.", Document),
    EVENTS: ("Server-Sent Events, for `Accept: text/event-stream`: the data of each is an `{}`.", Entry),
}

_ID: Schema = {"type": "string", "pattern": ID_PATTERN, "maxLength": ID_CHARACTERS_MAX}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX, "description": "A name of your own."}
_IN_PATHS: dict[str, Schema] = {"id": _ID, "mid": _ID, "space": {**_NAME, "maxLength": SPACE_BYTES_MAX}}
"""What parameters of paths are, by their names; those of any other name are names."""
_WITH_A_VERSION = (Conversation, Journal, AppendedEntries)
_HEADERS_OF_A_VERSION = {
    "ETag": {"description": "Its version, for `If-Match`.", "schema": {"type": "string", "examples": ['"3"']}}
}
_HEADERS_OF_A_BLOB = {
    "ETag": {"description": "The digest of the bytes.", "schema": {"type": "string"}},
    "Content-Digest": {"description": "SHA-256 of the bytes, by RFC 9530.", "schema": {"type": "string"}},
    "X-Meta": {"description": "The metadata that it was put with: a JSON object.", "schema": {"type": "string"}},
    "X-Created-At": {"description": "When it was put. In Unix milliseconds.", "schema": {"type": "integer"}},
    "X-Expires-At": {"description": "When it is deleted by itself, if ever.", "schema": {"type": "integer"}},
}


def document(routes: list[Route], mounted_at: str = "") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these routes. `mounted_at` is the path that the API is below, if any."""
    bodies = [body for route in routes for body in types_of(route.body)]
    answers = [answer for route in routes for answer in route.answers.values() if _is_type(answer)]
    items = [*(item for _, item in _ITEMS.values()), *(route.item for route in routes if route.item is not None)]
    types = list(dict.fromkeys([*bodies, *answers, *items, *BLOCKS.values(), Tombstone, ErrorResponse]))
    schema_of, components = schemas_of(types)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Threadkeep",
            "version": __version__,
            "summary": "Keeps AI conversations.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to where the document is. Not `.`, to which `/api` would be added as `//api`.
        "servers": [{"url": mounted_at or "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(route: Route, schema_of: dict[Any, Schema]) -> Schema:
    name = route.handler.__name__
    told = OPERATIONS[name]
    summary, _, description = (route.handler.__doc__ or "").partition("\n")
    operation: Schema = {
        "operationId": name,
        "tags": [told.tag],
        "summary": summary.strip().rstrip("."),
        "description": re.sub(r"\n\s+", "\n", description).strip(),
        "parameters": _parameters(route),
        "responses": {},
        "security": [] if route.is_public else _SECURITY,
    }
    bodies = [schema_of[body] for body in types_of(route.body)]
    if bodies:
        body = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        medias = [BYTES if media == ANYTHING else media for media in route.media_types if media != MERGE_PATCH]
        content = {media: _media_type(media, schema_of, body, told.request, route.item) for media in medias}
        operation["requestBody"] = {"required": True, "content": content}
    for status, answer in route.answers.items():
        response: Schema = {"description": told.answers[status]}
        if isinstance(answer, str):
            response["content"] = {answer: _media_type(answer, schema_of, item=route.item)}
        elif answer is not None:
            response["content"] = {JSON: _media_type(JSON, schema_of, schema_of[answer], told.response)}
            if route.sends_events:  # beside what a page is, or generators would have whoever asks tell them apart
                response["x-content"] = {EVENTS: _media_type(EVENTS, schema_of)}
        if answer in _WITH_A_VERSION:
            response["headers"] = _HEADERS_OF_A_VERSION
        elif answer == BYTES:
            response["headers"] = _HEADERS_OF_A_BLOB
        operation["responses"][str(status)] = response
    for code in sorted({*_codes(route)}, key=STATUS.__getitem__):
        operation["responses"][str(STATUS[code])] = {
            "description": f"`{code}`: {CODES[code]}",
            "content": {JSON: {"schema": schema_of[ErrorResponse]}},
        }
    return operation


def _parameters(route: Route) -> list[Schema]:
    queries = msgspec.json.schema_components([route.query])[1]
    query = queries[route.query.__name__]
    return [
        *(_parameter(name, "path", _in_path(name)) for name in re.findall(r"{(\w+)}", route.path)),
        *(
            _query_parameter(name, _without_null(schema), is_required=name in query.get("required", ()))
            for name, schema in query["properties"].items()
        ),
        *(_parameter(header.name, "header", header.schema) for header in _headers(route)),
    ]


def _in_path(name: str) -> Schema:
    return {**_IN_PATHS.get(name, _NAME), "examples": [NAMES[name]]}


def _headers(route: Route) -> tuple[Header, ...]:
    return route.headers if route.is_public else (*route.headers, *FOR_EVERY_USER)


def _media_type(
    media: str, schema_of: dict[Any, Schema], schema: Schema | None = None, example: Any = UNSET, item: Any = None
) -> Schema:
    """Describe a body of this media type: JSON by its schema, anything else as a text."""
    if media in _ITEMS:
        description, usual = _ITEMS[media]
        item = item or usual
        described = {"type": "string", "description": description.format(item.__name__)}
        return {"schema": described, "x-itemSchema": schema_of[item]}
    if media != JSON:
        return {"schema": {"type": "string", **({"format": "binary"} if media == BYTES else {})}}
    return {"schema": schema, **({} if example is UNSET else {"example": example})}


def _codes(route: Route) -> tuple[str, ...]:
    if route.is_public:
        return (*route.fails, *_EVERYWHERE)
    return (*route.fails, *_EVERYWHERE, *_FOR_USERS, *(_WITH_BODY if route.body is not None else ()))


def _parameter(name: str, place: str, schema: dict[str, Any], *, is_required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": is_required or place == "path", "schema": schema}


def _query_parameter(name: str, schema: Schema, *, is_required: bool) -> Schema:
    """Describe a field of a query. An object is sent as `name.key=value`: each of its keys is `name.key` as a whole."""
    if schema.get("type") != "object":
        return _parameter(name, "query", natural(schema), is_required=is_required)
    keys = {"propertyNames": {"pattern": rf"^{name}\."}, "maxProperties": 1}
    return {**_parameter(name, "query", {**schema, **keys}), "style": "form", "explode": True}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop null from the schema of a query field: it can be left out, but nobody can say null."""
    if {"type": "null"} not in schema.get("anyOf", []):
        return schema
    return next(option for option in schema["anyOf"] if option != {"type": "null"})


def _is_type(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)
