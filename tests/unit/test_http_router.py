"""The router: which route answers, and what is said where none does."""

import re
from typing import NamedTuple

import pytest

from threadkeep.errors import Invalid, NotFound
from threadkeep.http.problems import MethodNotAllowed
from threadkeep.http.router import Router


class Route(NamedTuple):
    method: str
    path: str


LIST, CREATE = Route("GET", "/api/things"), Route("POST", "/api/things")
STATUS = Route("GET", "/api/things/status")
SHOW, EDIT, DELETE = (Route(method, "/api/things/{id}") for method in ("GET", "PATCH", "DELETE"))
PART = Route("POST", "/api/things/{id}/parts/{part}")
ROUTER = Router([SHOW, EDIT, DELETE, PART, LIST, CREATE, STATUS])


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        ("GET", "/api/things", LIST, {}),
        ("POST", "/api/things", CREATE, {}),
        ("HEAD", "/api/things", LIST, {}),
        ("GET", "/api/things/status", STATUS, {}),
        ("GET", "/api/things/x", SHOW, {"id": "x"}),
        ("HEAD", "/api/things/x", SHOW, {"id": "x"}),
        ("PATCH", "/api/things/x", EDIT, {"id": "x"}),
        ("DELETE", "/api/things/x", DELETE, {"id": "x"}),
        ("POST", "/api/things/x/parts/y", PART, {"id": "x", "part": "y"}),
        ("POST", "/api/things//parts/y", PART, {"id": "", "part": "y"}),
        ("GET", "/api/things/Status", SHOW, {"id": "Status"}),
        ("GET", "/api/things/{id}", SHOW, {"id": "{id}"}),
    ],
)
def test_a_path_leads_to_its_route(method: str, path: str, route: Route, parameters: dict[str, str]) -> None:
    resource, found = ROUTER.match(path)
    assert (resource.route(method), resource.path, found) == (route, route.path, parameters)


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("%C3%A9", "\u00e9"),
        ("%f0%9f%98%80", "\U0001f600"),
        ("a%2Fb", "a/b"),
        ("%2e%2E", ".."),
        ("%00", "\x00"),
        ("%", "%"),
        ("%zz", "%zz"),
        ("%2525", "%25"),
        ("\u00e9", "\u00e9"),
    ],
)
def test_a_parameter_is_decoded_once(segment: str, value: str) -> None:
    resource, parameters = ROUTER.match(f"/api/things/{segment}")
    assert (resource.route("GET"), parameters) == (SHOW, {"id": value})


@pytest.mark.parametrize("segment", ["%ff", "%C3", "a%ED%A0%80b", "%C0%80"])
def test_a_parameter_that_is_not_utf_8_is_refused(segment: str) -> None:
    with pytest.raises(Invalid, match="What the path has here is not UTF-8") as raised:
        ROUTER.match(f"/api/things/{segment}")
    assert raised.value.path == "id"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/api",
        "/api/",
        "api/things",
        "//api/things",
        "/API/things",
        "/api/things/x/parts",
        "/api/things/x/parts/y/z",
        "/api/things/x/other/y",
        "/api/%74hings",
        "/\u00e9",
    ],
)
def test_nothing_is_found_anywhere_else(path: str) -> None:
    with pytest.raises(NotFound, match="There is nothing at this address"):
        ROUTER.match(path)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/things/", "/api/things"),
        ("/api/things//", "/api/things"),
        ("//api/things", "/api/things"),
        ("/api//things/status/", "/api/things/status"),
        ("/api/things/x/", "/api/things/{id}"),
        ("//api/things/x", "/api/things/{id}"),
        ("/api/things/x/parts/y/", "/api/things/{id}/parts/{part}"),
    ],
)
def test_a_slash_too_many_is_not_found_and_the_path_without_it_is_named(path: str, meant: str) -> None:
    """Not answered as without it: `DELETE /api/things/` has an empty id, and must not mean all of them."""
    with pytest.raises(NotFound, match=f"Did you mean {re.escape(meant)}, without the extra slash\\? The page /docs"):
        ROUTER.match(path)


@pytest.mark.parametrize("path", ["/", "//", "/nowhere/", "//nowhere", "/api/things/%ff/", "/api/things/x/parts/"])
def test_no_other_path_is_named_where_nothing_is_without_the_slash(path: str) -> None:
    with pytest.raises(NotFound, match=r"^There is nothing at this address\. The page /docs"):
        ROUTER.match(path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/things", ["GET", "HEAD", "OPTIONS", "POST"]),
        ("get", "/api/things", ["GET", "HEAD", "OPTIONS", "POST"]),
        ("POST", "/api/things/x", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH"]),
        ("DELETE", "/api/things/status", ["GET", "HEAD", "OPTIONS"]),
        ("GET", "/api/things/x/parts/y", ["OPTIONS", "POST"]),
        ("HEAD", "/api/things/x/parts/y", ["OPTIONS", "POST"]),
    ],
)
def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_does(
    method: str, path: str, allow: list[str]
) -> None:
    resource, _ = ROUTER.match(path)
    with pytest.raises(MethodNotAllowed) as raised:
        resource.route(method)
    assert raised.value.details == {"allow": allow}
    assert raised.value.message == f"This address takes {', '.join(allow)}, and not {method}."
    assert resource.allow() == allow
