"""The OpenAPI document, made from the routes and their types."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from threadkeep import __version__
from threadkeep.clock import ID_PATTERN
from threadkeep.conversations.models import BLOCKS, Tombstone
from threadkeep.http.bodies import JSON, MERGE_PATCH, types_of
from threadkeep.http.problems import STATUS
from threadkeep.http.routes.base import FOR_EVERY_USER, Header, Route

_EVERYWHERE = ("method_not_allowed", "internal")
_FOR_USERS = ("invalid", "unauthenticated", "unsupported", "unavailable")
_WITH_BODY = ("too_large", "unsupported_media_type")
_STATUS = {**STATUS, "internal": 500}  # which is not an error that we raise

_ID: dict[str, Any] = {"type": "string", "pattern": ID_PATTERN, "maxLength": 26}


class ErrorBody(Struct, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class Error(Struct):
    """The one shape of every error. `code` is for programs, `message` says what to do."""

    error: ErrorBody


def document(routes: list[Route], mounted_at: str = "") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these routes. `mounted_at` is the path that the API is below, if any."""
    bodies = [body for route in routes for body in types_of(route.body)]
    answers = [answer for route in routes for answer in route.answers.values() if _is_type(answer)]
    types = list(
        dict.fromkeys([*bodies, *answers, *BLOCKS.values(), Tombstone, Error, *(route.query for route in routes)])
    )
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, schemas, strict=True))
    _link_blocks(components)
    queries = {route.query.__name__ for route in routes}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        query = components[route.query.__name__]
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, query, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Threadkeep",
            "version": __version__,
            "description": "Keeps AI conversations.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to where the document is. Not `.`, to which `/api` would be added as `//api`.
        "servers": [{"url": mounted_at or "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JWT whose `sub` is the user, or a service key with the user in `X-User-Id`.",
                }
            },
        },
    }


def _link_blocks(components: dict[str, Any]) -> None:
    """Say what content is made of. The types cannot: to them it is JSON that is passed on."""
    other = {"type": "string", "minLength": 1, "not": {"enum": list(BLOCKS)}}
    anything = {"type": "object", "required": ["type"], "properties": {"type": other}}
    blocks = [{"$ref": f"#/components/schemas/{block.__name__}"} for block in BLOCKS.values()]
    components["Block"] = {
        "title": "Block",
        "description": "A part of a content. Fields that are not listed, and blocks of any other `type`, are kept.",
        "anyOf": [*blocks, anything],
    }
    either = [{"$ref": f"#/components/schemas/{name}"} for name in ("Conversation", "Tombstone")]
    components["Changes"]["properties"]["conversations"]["items"] = {"anyOf": either}
    for name in ("Message", "NewMessage", "DocumentMessage"):
        components[name]["properties"]["content"]["items"] = {"$ref": "#/components/schemas/Block"}


def _operation(route: Route, query: dict[str, Any], schema_of: dict[Any, Any]) -> dict[str, Any]:
    summary, _, description = (route.handler.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": summary.strip().rstrip("."),
        "description": re.sub(r"\n\s+", "\n", description).strip(),
        "parameters": [
            *(_parameter(name, "path", _ID) for name in re.findall(r"{(\w+)}", route.path)),
            *(
                _parameter(name, "query", _without_null(schema), is_required=name in query.get("required", ()))
                for name, schema in query["properties"].items()
            ),
            *(_parameter(header.name, "header", header.schema) for header in _headers(route)),
        ],
        "responses": {},
        "security": [] if route.is_public else [{"bearer": []}],
    }
    bodies = [schema_of[body] for body in types_of(route.body)]
    if bodies:
        operation["requestBody"] = {
            "required": True,
            "content": {media: {"schema": _body(media, bodies)} for media in route.media_types if media != MERGE_PATCH},
        }
    for status, answer in route.answers.items():
        response: dict[str, Any] = {"description": "Done." if answer is None else "The answer."}
        if isinstance(answer, str):
            response["content"] = {answer: {"schema": {"type": "string"}}}
        elif answer is not None:
            response["content"] = {"application/json": {"schema": schema_of[answer]}}
        operation["responses"][str(status)] = response
    for code in sorted({*_codes(route)}, key=_STATUS.__getitem__):
        operation["responses"][str(_STATUS[code])] = {
            "description": f"`{code}`",
            "content": {"application/json": {"schema": schema_of[Error]}},
        }
    return operation


def _headers(route: Route) -> tuple[Header, ...]:
    return route.headers if route.is_public else (*route.headers, *FOR_EVERY_USER)


def _body(media: str, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if media != JSON:
        return {"type": "string"}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _codes(route: Route) -> tuple[str, ...]:
    if route.is_public:
        return (*route.fails, *_EVERYWHERE)
    return (*route.fails, *_EVERYWHERE, *_FOR_USERS, *(_WITH_BODY if route.body is not None else ()))


def _parameter(name: str, place: str, schema: dict[str, Any], *, is_required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": is_required or place == "path", "schema": schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop null from the schema of a query field: it can be left out, but nobody can say null."""
    if "anyOf" not in schema:
        return schema
    return next(option for option in schema["anyOf"] if option != {"type": "null"})


def _is_type(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)
