"""What clients get back of blobs, and how large one may be."""

from typing import Annotated

from msgspec import Meta, Raw, Struct

BLOB_BYTES_MAX = 8 * 1024 * 1024
META_BYTES_MAX = 8_000
"""Proxies take no more in one header, and Node no more than twice as much in all of an answer."""
MEDIA_TYPE_BYTES_MAX = 255
DEFAULT_MEDIA_TYPE = "application/octet-stream"

JsonObject = Annotated[Raw, Meta(description="A JSON object.", extra_json_schema={"type": "object"})]


class Blob(Struct, rename="camel", kw_only=True):
    """A blob, without its bytes."""

    space: str
    key: str
    digest: str
    """SHA-256 of the bytes, in hexadecimal digits."""
    size: int
    """How many bytes it has."""
    media_type: str
    """What its `Content-Type` was."""
    meta: JsonObject
    """The client's own, as it was sent in `X-Meta`."""
    created_at: int
    expires_at: int | None
    """When it is deleted by itself; null for never."""
