"""The OpenAPI document, and the page for people: both made from the routes and their types."""

import re
from html import escape
from typing import Any, get_args

import msgspec
from msgspec import Struct

from threadkeep import __version__
from threadkeep.http.routes import Route
from threadkeep.http.wire import STATUS
from threadkeep.models import BLOCKS

_EVERYWHERE = ("invalid", "unavailable")
_FOR_USERS = ("unauthenticated", "unsupported")
_WITH_BODY = ("too_large", "unsupported_media_type")


class ErrorBody(Struct, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class Error(Struct):
    """The one shape of every error. `code` is for programs, `message` says what to do."""

    error: ErrorBody


def document(routes: list[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes."""
    bodies = [arm for route in routes for arm in _arms(route.body)]
    answers = [answer for route in routes for answer in route.answers.values() if _is_type(answer)]
    types = list(dict.fromkeys([*bodies, *answers, *BLOCKS.values(), Error, *(route.query for route in routes)]))
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, schemas, strict=True))
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


def page(routes: list[Route]) -> str:
    """The same as a page: no script, nothing loaded from elsewhere."""
    api = document(routes)
    operations = "".join(
        _section(method.upper(), path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3>{_prose(schema.get("description", ""))}'
        f"<pre>{_linked(schema)}</pre></section>"
        for name, schema in api["components"]["schemas"].items()
    )
    return _PAGE.format(version=escape(__version__), operations=operations, schemas=schemas)


def _operation(route: Route, query: dict[str, Any], schema_of: dict[Any, Any]) -> dict[str, Any]:
    summary, _, description = (route.handler.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": summary.strip().rstrip("."),
        "description": re.sub(r"\n\s+", "\n", description).strip(),
        "parameters": [
            *(_parameter(name, "path", {"type": "string"}) for name in re.findall(r"{(\w+)}", route.path)),
            *(_parameter(name, "query", schema) for name, schema in query["properties"].items()),
            *(_parameter(name, "header", {"type": "string"}) for name in route.headers),
        ],
        "responses": {},
        "security": [] if route.is_public else [{"bearer": []}],
    }
    bodies = [schema_of[arm] for arm in _arms(route.body)]
    if bodies:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}},
        }
    for status, answer in route.answers.items():
        response: dict[str, Any] = {"description": "Done." if answer is None else "The answer."}
        if isinstance(answer, str):
            response["content"] = {answer: {"schema": {"type": "string"}}}
        elif answer is not None:
            response["content"] = {"application/json": {"schema": schema_of[answer]}}
        operation["responses"][str(status)] = response
    for code in sorted({*_codes(route)}, key=STATUS.__getitem__):
        operation["responses"][str(STATUS[code])] = {
            "description": f"`{code}`",
            "content": {"application/json": {"schema": schema_of[Error]}},
        }
    return operation


def _codes(route: Route) -> tuple[str, ...]:
    if route.is_public:
        return ("unavailable",) if route.path == "/api/health" else ()
    return (*route.fails, *_EVERYWHERE, *_FOR_USERS, *(_WITH_BODY if route.body is not None else ()))


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _arms(body: Any) -> tuple[Any, ...]:
    """The types that a body may be."""
    return () if body is None else get_args(body) or (body,)


def _is_type(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h3><code>{method} {escape(path)}</code></h3>",
        f"<p><strong>{escape(operation['summary'])}.</strong></p>",
        _prose(operation["description"]),
    ]
    if operation["parameters"]:
        rows = "".join(
            f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td>"
            f"<td><code>{_linked(parameter['schema'], indent=0)}</code></td></tr>"
            for parameter in operation["parameters"]
        )
        parts.append(f"<table><tr><th>Parameter</th><th>In</th><th>Is</th></tr>{rows}</table>")
    if "requestBody" in operation:
        parts.append(f"<p>Body: <code>{_linked(_schema_in(operation['requestBody']), indent=0)}</code></p>")
    rows = "".join(
        f"<tr><td>{status}</td><td>{_prose(response['description'], 'span')}</td>"
        f"<td><code>{_linked(_schema_in(response), indent=0)}</code></td></tr>"
        for status, response in operation["responses"].items()
    )
    parts.append(f"<table><tr><th>Status</th><th></th><th>Body</th></tr>{rows}</table></section>")
    return "".join(parts)


def _schema_in(part: dict[str, Any]) -> Any:
    for media in part.get("content", {}).values():
        return media["schema"]
    return {}


def _linked(schema: Any, indent: int = 2) -> str:
    """A schema as text, its references as links; a schema that is only a reference is only the link."""
    if not schema:
        return ""
    if isinstance(schema, dict) and list(schema) == ["$ref"]:
        return _link(schema["$ref"].rpartition("/")[2])
    if isinstance(schema, dict) and list(schema) == ["anyOf"] and not indent:
        return " or ".join(_linked(option, indent) for option in schema["anyOf"])
    text = msgspec.json.format(msgspec.json.encode(schema), indent=indent).decode()
    return re.sub(
        r'\{\s*"\$ref":\s*"#/components/schemas/(\w+)"\s*\}',
        lambda match: _link(match[1]),
        escape(text, quote=False),
    )


def _link(name: str) -> str:
    return f'<a href="#{name}">{name}</a>'


def _prose(text: str, tag: str = "p") -> str:
    paragraphs = (escape(paragraph, quote=False) for paragraph in text.split("\n\n") if paragraph)
    return "".join(f"<{tag}>{_CODE.sub(_CODE_TAG, paragraph)}</{tag}>" for paragraph in paragraphs)


_CODE = re.compile("`([^`]+)`")
_CODE_TAG = r"<code>\1</code>"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Threadkeep API</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }}
  section {{ border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0 1rem; }}
  pre, td code {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }}
  table {{ border-collapse: collapse; width: 100%; }}
  th, td {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }}
</style>
<h1>Threadkeep API</h1>
<p>Version {version}. For programs: <a href="/openapi.json">openapi.json</a>.</p>
<h2>Calls</h2>
{operations}
<h2>Types</h2>
{schemas}
</html>
"""
