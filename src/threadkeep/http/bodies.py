"""The body of a request: what it may be, and how its JSON is read, once."""

from typing import Any, get_args

from threadkeep.http.messages import Request
from threadkeep.http.problems import UnsupportedMediaType
from threadkeep.validation import checking, parse, parse_one_of
from threadkeep.work import Work, done

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # by RFC 7396, for a PATCH
NDJSON = "application/x-ndjson"
ANYTHING = "*/*"
"""Among the media types of a route: bytes of any kind, which nobody reads."""


def media_type(request: Request) -> str:
    """Return the media type of a request's body, without its parameters."""
    return _content_type(request)[0]


def check_headers(request: Request, media_types: tuple[str, ...]) -> None:
    """Raise UnsupportedMediaType for a body that is of none of these types, not in UTF-8, or encoded for its way."""
    media, parameters = _content_type(request)
    is_text = media in media_types and parameters in ("", "charset=utf-8", 'charset="utf-8"')
    if not is_text and ANYTHING not in media_types:
        raise UnsupportedMediaType(
            f"content-type: Send the body in UTF-8, with `Content-Type: {'` or `'.join(media_types)}`.",
            {"path": "content-type"},
        )
    codings = (request.header("content-encoding") or "").lower().split(",")
    if any(coding.strip() not in ("", "identity") for coding in codings):
        raise UnsupportedMediaType(
            "content-encoding: A body is read as it comes, and this one is compressed or encoded. "
            "Send it without Content-Encoding.",
            {"path": "content-encoding", "acceptEncoding": ["identity"]},
        )


def types_of(body: Any) -> tuple[Any, ...]:
    """Return the types that the body of a route may be."""
    return () if body is None else get_args(body) or (body,)


async def read_json(text: bytes, body: Any) -> Any:
    """Read the JSON of a body as the type that its route takes, or as one of several. Raises Invalid."""
    return await done(_reading(text, body))


def _reading(text: bytes, body: Any) -> Work[Any]:
    yield from checking(text)
    types = types_of(body)
    if all(isinstance(each.__struct_config__.tag, str) for each in types):  # each says which it is
        return parse(text, body)
    return parse_one_of(text, *types)


def _content_type(request: Request) -> tuple[str, str]:
    media, _, parameters = (request.header("content-type") or "").partition(";")
    return media.strip().lower(), parameters.strip().lower()
