"""The API as a page for people, made from the OpenAPI document: no script, and nothing loaded from elsewhere."""

import re
from html import escape
from typing import Any

from msgspec import json

Schema = dict[str, Any]


def page(api: Schema) -> str:
    """Return the HTML page of an OpenAPI document."""
    calls: dict[str, list[tuple[str, str, Schema]]] = {tag["name"]: [] for tag in api["tags"]}
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            calls[operation["tags"][0]].append((method.upper(), path, operation))
    groups = "".join(_group(tag, calls[tag["name"]]) for tag in api["tags"])
    contents = "".join(_contents(name, inner) for name, inner in calls.items())
    types = "".join(_type(name, schema) for name, schema in api["components"]["schemas"].items())
    return _PAGE.format(
        version=escape(api["info"]["version"]),
        description=_prose(api["info"]["description"]),
        contents=contents,
        groups=groups,
        types=types,
    )


def _contents(tag: str, calls: list[tuple[str, str, Schema]]) -> str:
    """Return a group of the table of contents, with a line for each call."""
    lines = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{_inline(operation["summary"])}</a></li>'
        for _, _, operation in calls
    )
    return f'<li><a href="#{_anchor(tag)}">{escape(tag)}</a><ul>{lines}</ul></li>'


def _group(tag: Schema, calls: list[tuple[str, str, Schema]]) -> str:
    inner = "".join(_call(method, path, operation) for method, path, operation in calls)
    head = f'<h2 id="{_anchor(tag["name"])}">{escape(tag["name"])}</h2>'
    return f"{head}{_prose(tag['description'])}{inner}"


def _anchor(tag: str) -> str:
    return "tag-" + re.sub(r"\W+", "-", tag.lower())


def _call(method: str, path: str, operation: Schema) -> str:
    parameters = [
        [
            f"<code>{escape(parameter['name'])}</code>",
            parameter["in"] + (", required" if parameter["required"] else ""),
            _is(parameter["schema"]),
            _inline(_description(parameter["schema"])),
        ]
        for parameter in operation["parameters"]
    ]
    body = operation.get("requestBody", {})
    answers = [
        [status, _inline(response["description"]), _is(_schema_in(response)) if "content" in response else ""]
        for status, response in operation["responses"].items()
    ]
    return _section(
        operation["operationId"],
        f"<code>{method} {escape(path)}</code>",
        f"<p><strong>{_inline(operation['summary'])}.</strong></p>",
        _prose(operation["description"]),
        _table(["Parameter", "In", "Type", ""], parameters),
        f"<p>The body is {_is(_schema_in(body))}.</p>" if body else "",
        _example("Example of a request", body),
        _table(["Status", "", "Body"], answers),
        *(_example("Example of an answer", response) for response in list(operation["responses"].values())[:1]),
    )


def _example(title: str, part: Schema) -> str:
    media: Schema = next(iter(part.get("content", {}).values()), {})
    if "example" not in media:
        return ""
    text = json.format(json.encode(media["example"]), indent=2).decode()
    return f"<p>{title}:</p><pre>{escape(text, quote=False)}</pre>"


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
        _table(["Field", "Type", ""], fields) if fields else f"<p>{_is(schema)}</p>",
    )


def _is(schema: Schema) -> str:
    """Say in a few words what a schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'
    choices = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if choices:
        return " or ".join(f"<code>{escape(str(choice))}</code>" for choice in choices)
    options = schema.get("anyOf", schema.get("oneOf", []))
    if options:
        return " or ".join(_is(option) for option in options)
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
  body, code {{ overflow-wrap: anywhere; }}
  section {{ border-top: 1px solid #8884; padding: .5rem 0 1rem; }}
  code, pre {{ font-size: .9em; }}
  pre {{ overflow-x: auto; padding: .6rem .8rem; border-radius: .4rem; background: #8881; line-height: 1.35; }}
  table {{ border-collapse: collapse; width: 100%; table-layout: fixed; margin: .5rem 0 1rem; }}
  th, td {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }}
  th:first-child {{ width: 10rem; }}
  @media (max-width: 40rem) {{
    table, tbody, tr, td {{ display: block; }}
    th {{ display: none; }}
    tr {{ padding: .3rem 0; }}
    td {{ padding: 0; }}
    td + td {{ padding-left: 1rem; }}
    td:empty {{ display: none; }}
    nav ul ul {{ padding-left: 1rem; }}
  }}
</style>
</head>
<body>
<h1>Threadkeep API</h1>
{description}<p>Version {version}. For programs: <a href="openapi.json">openapi.json</a>.</p>
<nav><ul>{contents}<li><a href="#types">Types</a></li></ul></nav>
{groups}<h2 id="types">Types</h2>
{types}</body>
</html>
"""
