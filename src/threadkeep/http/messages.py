"""Request and Response: what is left of HTTP when the platform is taken away."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from threadkeep.errors import Invalid

BODY_BYTES_MAX = 8 * 1024 * 1024
STREAMS_OF_USER_MAX = 50
"""How many answers a user may be sent at once while they are made, by one process or one Durable Object."""

_QUERY_FIELDS_MAX = 20

# Weak tags too: whatever compresses an answer on its way makes its tag weak.
IF_MATCH_PATTERN = r'^(?:\*|(?:W/)?"(0|[1-9][0-9]{0,14})")$'
BOOKMARK_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$"
_matches_name = re.compile(r"[A-Za-z]\w{0,59}", re.ASCII).fullmatch
_matches_if_match = re.compile(IF_MATCH_PATTERN[:-1]).fullmatch
_matches_bookmark = re.compile(BOOKMARK_PATTERN[:-1]).fullmatch


class Request(Struct):
    """A request as it came. Headers and body are functions: on some platforms each look-up crosses into JavaScript."""

    method: str
    path: str
    """As in the URL: still percent-encoded."""
    query: str
    header: Callable[[str], str | None]
    """The value of a header by its name in lower case, or None."""
    body: Callable[[], Awaitable[bytes]]
    """Read the body, once. Raises TooLarge over `BODY_BYTES_MAX`, and reads no further than that."""
    stream: Callable[[], AsyncIterator[bytes]]
    """Read the body piece by piece instead, however long it is."""
    live: Callable[[], AsyncIterator[bytes]] | None = None
    """The same, of a body that is still being made: there may be long pauses in it. None where `stream` waits, too."""
    mounted_at: str = ""
    """What stands before `path` in the URL, where the API is mounted below a path of something else."""
    route: str | None = None
    """The declared path that it leads to, such as `/api/conversations/{id}`, once known: for logs and metrics."""


class Response(Struct):
    """A response: whole, or with a body that is made while it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes | AsyncIterator[bytes]


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a value as a JSON response. Its line ends, for whoever reads it in a terminal."""
    return Response(status, {"content-type": "application/json", **(headers or {})}, msgspec.json.encode(value) + b"\n")


def query_fields(query: str, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the fields of a query string but those to ignore. Raises Invalid if it is malformed, or has one twice."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError as error:
        raise Invalid(
            f"query: The query string must be UTF-8, percent-encoded, with at most {_QUERY_FIELDS_MAX} parameters.",
            "query",
        ) from error
    pairs = [pair for pair in pairs if pair[0] not in ignored]
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        if _matches_name(twice):
            raise Invalid(f"{twice}: The query parameter `{twice}` is there twice; send it once.", twice)
        raise Invalid("query: A query parameter is there twice; send it once.", "query")
    return fields


def new_request_id() -> str:
    """Return a name for a request that came without one: 32 hexadecimal digits, as a trace has."""
    return os.urandom(16).hex()


def version_in(if_match: str | None) -> int | None:
    """Return the version that an `If-Match` header names; None where there is none, or for `*`. Raises Invalid."""
    if if_match is None or if_match == "*":
        return None
    match = _matches_if_match(if_match)
    if match is None:
        raise Invalid('if-match: This is not a version; send an `ETag` unchanged, such as "3".', "if-match")
    return int(match[1])


def bookmark_in(header: str | None) -> str | None:
    """Return the bookmark that an `X-D1-Bookmark` header carries, or None. Raises Invalid if D1 did not make it."""
    if header is None:
        return None
    if not _matches_bookmark(header):
        raise Invalid("x-d1-bookmark: This is not a bookmark; send one unchanged, or none.", "x-d1-bookmark")
    return header


def etag(version: int) -> str:
    """Return the `ETag` of a version."""
    return f'"{version}"'
