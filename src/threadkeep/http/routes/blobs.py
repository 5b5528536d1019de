"""Blobs of agents: put, get and delete bytes of any kind."""

import re
from base64 import b64decode, b64encode

from msgspec import Struct

from threadkeep.agents.blobs import service
from threadkeep.agents.blobs.models import DEFAULT_MEDIA_TYPE, META_BYTES_MAX, Blob
from threadkeep.agents.values import ExpiresIn
from threadkeep.errors import Invalid
from threadkeep.http.bodies import ANYTHING
from threadkeep.http.messages import Response, json_response
from threadkeep.http.routes.base import Call, Header, Route

_BLOB = "/api/blobs/{space}/{key}"
_DIGEST_PATTERN = "sha-256=:[A-Za-z0-9+/]{43}=:"

CONTENT_DIGEST = Header(
    "Content-Digest",
    {
        "type": "string",
        "pattern": f"^{_DIGEST_PATTERN}$",
        "examples": ["sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:"],
        "description": "SHA-256 of the bytes, by RFC 9530: bytes that have another one are refused.",
    },
)
X_META = Header(
    "X-Meta",
    {
        "type": "string",
        "examples": ['{"name":"photo.png"}'],
        "maxLength": META_BYTES_MAX,
        "description": "A JSON object of your own, in ASCII, which comes back in the same header.",
    },
)
_is_digest = re.compile(_DIGEST_PATTERN).fullmatch


class BlobQuery(Struct, rename="camel", forbid_unknown_fields=True):
    """For how long to keep a blob."""

    expires_in: ExpiresIn | None = None


@Route(
    "PUT",
    _BLOB,
    answers={201: Blob, 200: Blob},
    fails=("conflict",),
    query=BlobQuery,
    body=bytes,
    media_types=(ANYTHING,),
    reads_body=True,
    headers=(CONTENT_DIGEST, X_META),
    needs="agents",
)
async def put_blob(call: Call) -> Response:
    """Keep bytes of any kind.

    The body is the bytes, up to 8 MiB, and `Content-Type` says what they are: any media type. What is kept under a key
    never changes. The same blob again is answered 200, and changes nothing; other bytes, another media type or other
    metadata under the same key are a `conflict`.
    """
    header = call.request.header
    blob, is_new = await service.put_blob(
        call.state,
        *_place(call),
        await call.request.body(),
        media_type=header("content-type") or None,
        meta=header("x-meta"),
        digest=_digest_in(header("content-digest")),
        expires_in=call.query.expires_in,
    )
    headers = {"etag": f'"{blob.digest}"'}
    if is_new:
        headers["location"] = f"{call.request.mounted_at}{call.request.path}"
    return json_response(201 if is_new else 200, blob, headers)


@Route("GET", _BLOB, answers={200: DEFAULT_MEDIA_TYPE}, fails=("not_found",), needs="agents")
async def get_blob(call: Call) -> Response:
    """Get the bytes of a blob, as they came, with their media type.

    What is known of it stands in headers. A browser saves what it is answered, and never shows or runs it.
    """
    if call.request.method == "HEAD":
        blob, content = await service.find_blob(call.state, *_place(call)), b""
    else:
        blob, content = await service.get_blob(call.state, *_place(call))
    return Response(200, _headers(blob), content)


@Route("DELETE", _BLOB, answers={204: None}, needs="agents")
async def delete_blob(call: Call) -> Response:
    """Delete a blob.

    It cannot be restored, and its key is free at once. If there is none, nothing is to be done.
    """
    await service.delete_blob(call.state, *_place(call))
    return Response(204, {}, b"")


def _place(call: Call) -> tuple[str, str]:
    """The space and the key that the path names."""
    return call.path["space"], call.path["key"]


def _headers(blob: Blob) -> dict[str, str]:
    headers = {
        "content-type": blob.media_type,
        "content-length": str(blob.size),
        "content-digest": f"sha-256=:{b64encode(bytes.fromhex(blob.digest)).decode()}:",
        "etag": f'"{blob.digest}"',
        "x-meta": bytes(blob.meta).decode(),
        "x-created-at": str(blob.created_at),
        # It is what somebody has stored: in a browser it must not become a page of this origin.
        "content-disposition": "attachment",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return headers if blob.expires_at is None else {**headers, "x-expires-at": str(blob.expires_at)}


def _digest_in(header: str | None) -> str | None:
    """The SHA-256 that a `Content-Digest` names, in hexadecimal digits. Raises Invalid where it names none."""
    if header is None:
        return None
    found = next((each.strip() for each in header.split(",") if each.strip().startswith("sha-256=")), "")
    if _is_digest(found) is None:
        raise Invalid(
            "content-digest: Send the SHA-256 of the bytes in base64, such as "
            "`sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:`, or leave the header out.",
            "content-digest",
        )
    return b64decode(found.partition(":")[2][:-1]).hex()
