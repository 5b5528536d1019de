"""Errors as HTTP says them: the status of each code, and the one shape that every error has."""

from typing import Any

import msgspec

from threadkeep.errors import RateLimited, ThreadkeepError, TooLarge
from threadkeep.http.messages import BODY_BYTES_MAX, Response, json_response


class MethodNotAllowed(ThreadkeepError):
    """The path is there, but not for this method. `details["allow"]` names those it takes."""

    code = "method_not_allowed"


class UnsupportedMediaType(ThreadkeepError):
    """The body is not what this route reads. `details["acceptEncoding"]` names the codings that are read."""

    code = "unsupported_media_type"


class TimedOut(ThreadkeepError):
    """The request did not arrive in time."""

    code = "timed_out"


class HeadTooLarge(ThreadkeepError):
    """The address and the headers are over their limit."""

    code = "head_too_large"


OPENAI = "/api/openai/v1/"
"""Where the addresses begin that OpenAI's own clients ask."""
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}

STATUS: dict[str, int] = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timed_out": 408,
    "conflict": 409,
    "cursor_expired": 410,
    "stale": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "head_too_large": 431,
    "unsupported": 501,
    "unavailable": 503,
}
"""The status that says each code in HTTP. The one table, read backwards by clients."""


def error_response(error: ThreadkeepError) -> Response:
    """Return an error in the one shape that all of them have: `{"error": {"code", "message", "details"?}}`."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details is not None:
        body["details"] = error.details
    headers = {}
    if error.code == "unauthenticated":
        headers["www-authenticate"] = "Bearer"
    if error.code == "method_not_allowed":
        headers["allow"] = ", ".join((error.details or {})["allow"])
    if error.code == "unsupported_media_type" and "acceptEncoding" in (error.details or {}):
        headers["accept-encoding"] = ", ".join((error.details or {})["acceptEncoding"])  # by RFC 9110, 15.5.16
    if error.code in ("unavailable", "rate_limited"):
        headers["retry-after"] = "1"
    return json_response(STATUS[error.code], {"error": body}, headers)


def say_for_openai(response: Response) -> None:
    """Add to an error what clients of OpenAI's API read of one: its type, and the parameter that is wrong.

    They send a conflict again, which changes nothing here, unless they are told not to.
    """
    body = msgspec.json.decode(response.body) if isinstance(response.body, bytes) and response.body else None
    if body is not None:
        error = body["error"]
        otherwise = "invalid_request_error" if response.status < 500 else "server_error"
        error["type"] = _TYPES.get(response.status, otherwise)
        error["param"] = error.get("details", {}).get("path")
        response.body = msgspec.json.encode(body) + b"\n"
    if response.status == STATUS["conflict"]:
        response.headers["x-should-retry"] = "false"


def body_too_large() -> TooLarge:
    """Return the error for a body over the limit."""
    return TooLarge(
        f"body: The body of a request may have up to {BODY_BYTES_MAX} bytes, and this one has more. Send it in parts.",
        {"path": "body"},
    )


def too_many_streams(limit: int) -> RateLimited:
    """Return the error for one stream more than a user may have open."""
    return RateLimited(f"You have {limit} streams open, and may have no more. Close one first.")
