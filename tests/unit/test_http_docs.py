"""The page for people: well formed, complete, and nothing is loaded from elsewhere."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from threadkeep import __version__
from threadkeep.http.docs import page
from threadkeep.http.openapi import document
from threadkeep.http.routes import ROUTES

API: dict[str, Any] = json.loads(msgspec.json.encode(document(ROUTES)))
OPERATIONS = {
    f"{method.upper()} {path}": operation for path, item in API["paths"].items() for method, operation in item.items()
}
SCHEMAS = API["components"]["schemas"]


class Page(HTMLParser):
    """What a page consists of, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes what is not open"

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(types: dict[str, Any]) -> str:
    """The page of a document that has these types, and no operations."""
    info = {"version": "1", "description": ""}
    return page({"info": info, "tags": [], "paths": {}, "components": {"schemas": types}})


@pytest.fixture(scope="module")
def html() -> str:
    return page(API)


@pytest.fixture(scope="module")
def parsed(html: str) -> Page:
    return Page(html)


def test_the_page_is_well_formed(html: str, parsed: Page) -> None:
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert parsed.open == []
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert not re.search(r"&(?!(amp|lt|gt|quot|#x27);)", html)


def test_the_page_tells_of_every_route_and_type(parsed: Page) -> None:
    for name, operation in OPERATIONS.items():
        assert name in parsed.text
        assert operation["operationId"] in parsed.ids
        assert operation["summary"].replace("`", "") in parsed.text
    assert set(SCHEMAS) <= set(parsed.ids)
    assert f"Version {__version__}." in parsed.text


def test_the_calls_are_in_the_groups_of_their_tags(html: str, parsed: Page) -> None:
    heads = [re.escape(f">{tag['name']}</h2>") for tag in API["tags"]]
    parts = re.split("|".join(heads), html)
    for tag, part in zip(API["tags"], parts[1:], strict=True):
        assert tag["description"] in Page(part.rpartition("<h2")[0] or part).text
        calls = [operation["operationId"] for operation in OPERATIONS.values() if operation["tags"] == [tag["name"]]]
        assert [name for name in calls if f'<section id="{name}">' not in part] == []


def test_the_page_shows_the_examples_of_requests_and_answers(parsed: Page) -> None:
    examples = [
        media["example"]
        for operation in OPERATIONS.values()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for media in part.get("content", {}).values()
        if "example" in media
    ]
    assert len(examples) > 10
    for example in examples:
        assert json.dumps(example, indent=2, ensure_ascii=False) in parsed.text


def test_nothing_on_the_page_is_wider_than_a_phone(html: str) -> None:
    """What cannot be broken is scrolled or stacked, since nothing here can measure it."""
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "body, code { overflow-wrap: anywhere; }" in style
    assert re.search(r"pre \{ overflow-x: auto;", style)
    narrow = style.partition("@media (max-width: 40rem)")[2]
    assert "table, tbody, tr, td { display: block; }" in narrow
    assert [width for width in re.findall(r"(?<!max-)width: (\d+)rem", style) if int(width) > 10] == []


def test_the_page_loads_nothing_and_runs_nothing(html: str, parsed: Page) -> None:
    assert parsed.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"})
    assert {name for name, _ in parsed.attributes} <= {"lang", "charset", "name", "content", "id", "href"}
    addresses = {value for name, value in parsed.attributes if name == "href"}
    assert {address for address in addresses if address and not address.startswith("#")} == {"openapi.json"}
    assert {address[1:] for address in addresses if address and address.startswith("#")} <= set(parsed.ids)
    assert not re.search(r"url\(|@import|//", html.partition("</style>")[0])


def test_text_of_ours_cannot_become_markup() -> None:
    operation = {
        "operationId": "x",
        "tags": ["<q>"],
        "summary": "Take <b>&amp; `a<b`",
        "description": "More </section> here.",
        "parameters": [{"name": "<u>", "in": "query", "required": False, "schema": {"enum": ["<s>"]}}],
        "responses": {"200": {"description": "<em>", "content": {"x": {"schema": {}, "example": ["<dfn>"]}}}},
    }
    schemas = {"T": {"properties": {"<var>": {"type": "string", "description": "<kbd>", "default": "<del>"}}}}
    tags = [{"name": "<q>", "description": "<small>"}]
    made = page(
        {
            "info": {"version": "<ins>", "description": "<cite>"},
            "tags": tags,
            "paths": {"/<i>": {"get": operation}},
            "components": {"schemas": schemas},
        }
    )
    assert "Take &lt;b&gt;&amp;amp; <code>a&lt;b</code>." in made
    assert "More &lt;/section&gt; here." in made
    ours = {"b", "u", "s", "em", "var", "kbd", "del", "ins", "i", "q", "small", "cite", "dfn"}
    assert Page(made).tags.isdisjoint(ours)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "string"}, "string"),
        ({"type": ["object", "null"]}, "object or null"),
        ({"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}, "string, at most 5 characters or null"),
        ({"type": "integer", "minimum": 0, "maximum": 9}, "integer, from 0, to 9"),
        ({"type": "boolean", "default": False}, "boolean, false by default"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/T"}, "minItems": 1}, "array of T, at least 1"),
        ({"type": "array", "items": {"type": "string"}, "default": [], "maxItems": 3}, "array of string, at most 3"),
        ({"enum": ["a", "b"]}, "a or b"),
        ({"const": "a"}, "a"),
        ({"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/T"}]}, "string or T"),
        ({"$ref": "#/components/schemas/T"}, "T"),
        ({"type": "string", "default": None}, "string"),
    ],
)
def test_a_field_is_told_in_words(schema: dict[str, Any], words: str) -> None:
    types = {"T": {"properties": {"x": schema, "y": schema}, "required": ["x"]}}
    parsed = Page(page_of(types))
    assert f"x{words}y{words}, optional" in parsed.text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "description": "What it is."},
        {"anyOf": [{"type": "string", "description": "What it is."}, {"type": "null"}]},
    ],
)
def test_a_field_is_described(schema: dict[str, Any]) -> None:
    types = {"T": {"properties": {"x": schema}}}
    assert "What it is." in Page(page_of(types)).text


def test_a_type_without_fields_is_told_in_words() -> None:
    types = {"T": {"description": "One\n\ntwo", "anyOf": [{"type": "string"}, {"type": "null"}]}}
    made = page_of(types)
    assert "<p>One</p><p>two</p><p>string or null</p>" in made
