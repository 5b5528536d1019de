"""The body of a request: what it may be, and how its JSON is read."""

from typing import Any

from msgspec import Raw

from threadkeep.conversations.models import NewMessage, NewMessages
from threadkeep.http.messages import Request
from threadkeep.http.problems import UnsupportedMediaType
from threadkeep.validation import decoding, parse
from threadkeep.work import Work, done

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # by RFC 7396, for a PATCH
NDJSON = "application/x-ndjson"


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def check_headers(request: Request, media_types: tuple[str, ...]) -> None:
    """Raise UnsupportedMediaType for a body that is of none of these types, not in UTF-8, or compressed."""
    parameters = (request.header("content-type") or "").partition(";")[2].strip().lower()
    if media_type(request) not in media_types or parameters not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise UnsupportedMediaType(f"Send UTF-8, with `Content-Type: {' or '.join(media_types)}`.")
    codings = (request.header("content-encoding") or "").lower().split(",")
    if any(coding.strip() not in ("", "identity") for coding in codings):
        message = "A body is read as it comes, and this one is compressed or encoded. Send it without Content-Encoding."
        raise UnsupportedMediaType(message, {"acceptEncoding": ["identity"]})


async def read_json(text: bytes, into: Any) -> Any:
    """The JSON of a body as the type that its route takes. Raises Invalid."""
    return await done(_reading(text, into))


def _reading(text: bytes, into: Any) -> Work[Any]:
    if into != NewMessage | NewMessages:
        return (yield from decoding(text, into))
    # One message, or several: the key that only the latter has tells.
    fields = yield from decoding(text, dict[str, Raw])
    return parse(text, NewMessages) if "messages" in fields else parse(text, NewMessage)
