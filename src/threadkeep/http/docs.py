"""The API as a page for people, made from the OpenAPI document: no script, and nothing loaded from elsewhere."""

import re
from html import escape
from typing import Any

Schema = dict[str, Any]


def page(api: dict[str, Any]) -> str:
    """Return the HTML page of an OpenAPI document."""
    calls = "".join(
        _call(method.upper(), path, operation)
        for path, operations in api["paths"].items()
        for method, operation in operations.items()
    )
    types = "".join(_type(name, schema) for name, schema in api["components"]["schemas"].items())
    return _PAGE.format(version=escape(api["info"]["version"]), calls=calls, types=types)


def _call(method: str, path: str, operation: Schema) -> str:
    parameters = [
        [f"<code>{escape(parameter['name'])}</code>", parameter["in"], _is(parameter["schema"])]
        for parameter in operation["parameters"]
    ]
    body = operation.get("requestBody")
    answers = [
        [status, _inline(response["description"]), _is(_schema_in(response)) if "content" in response else ""]
        for status, response in operation["responses"].items()
    ]
    return _section(
        operation["operationId"],
        f"<code>{method} {escape(path)}</code>",
        f"<p><strong>{_inline(operation['summary'])}.</strong></p>",
        _prose(operation["description"]),
        _table(["Parameter", "In", "Is"], parameters),
        f"<p>The body is {_is(_schema_in(body))}.</p>" if body else "",
        _table(["Status", "", "Body"], answers),
    )


def _type(name: str, schema: Schema) -> str:
    required = schema.get("required", [])
    fields = [
        [
            f"<code>{escape(field)}</code>",
            _is(property_schema) + ("" if field in required else ", optional"),
            _inline(_description(property_schema)),
        ]
        for field, property_schema in schema.get("properties", {}).items()
    ]
    return _section(
        name,
        f"<code>{escape(name)}</code>",
        _prose(schema.get("description", "")),
        _table(["Field", "Is", ""], fields) if fields else f"<p>{_is(schema)}</p>",
    )


def _is(schema: Schema) -> str:
    """Say in a few words what a schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(choice))}</code>" for choice in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_is(option) for option in schema["anyOf"])
    kind = schema.get("type", "anything")
    words = [" or ".join(kind) if isinstance(kind, list) else kind]
    if kind == "array":
        words = [f"array of {_is(schema.get('items', {}))}"]
    words += [
        f"{escape(phrase)} {schema[keyword]}"
        for keyword, phrase in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("minItems", "at least"),
            ("maxItems", "at most"),
        )
        if keyword in schema
    ]
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if schema.get("default") is not None and schema["default"] != []:
        words.append(f"<code>{escape(str(schema['default']).lower())}</code> by default")
    return ", ".join(words)


def _description(schema: Schema) -> str:
    """Return the description of a field, which may stand at what it is when it is not null."""
    options = (option.get("description", "") for option in schema.get("anyOf", []))
    return schema.get("description") or next(options, "")


def _schema_in(part: Schema) -> Schema:
    return next((media["schema"] for media in part.get("content", {}).values()), {})


def _section(anchor: str, title: str, *parts: str) -> str:
    return f'<section id="{escape(anchor)}"><h3>{title}</h3>{"".join(parts)}</section>\n'


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _inline(text: str) -> str:
    """Return a text as HTML, with code where there are backquotes."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Threadkeep API</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }}
  section {{ border-top: 1px solid #8884; padding: .5rem 0 1rem; }}
  code {{ font-size: .9em; overflow-wrap: anywhere; }}
  table {{ border-collapse: collapse; width: 100%; table-layout: fixed; margin: .5rem 0 1rem; }}
  th, td {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }}
  th:first-child {{ width: 10rem; }}
</style>
</head>
<body>
<h1>Threadkeep API</h1>
<p>Version {version}. For programs: <a href="openapi.json">openapi.json</a>.</p>
<h2>Calls</h2>
{calls}<h2>Types</h2>
{types}</body>
</html>
"""
