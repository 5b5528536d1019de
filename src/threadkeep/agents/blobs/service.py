"""The rules of blobs on every back end: what is checked and completed before a store is asked to keep one."""

import hashlib
import re

import msgspec
from msgspec import Raw

from threadkeep.agents.blobs.models import (
    BLOB_BYTES_MAX,
    DEFAULT_MEDIA_TYPE,
    MEDIA_TYPE_BYTES_MAX,
    META_BYTES_MAX,
    Blob,
)
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.agents.blobs.store import BlobStore
from threadkeep.agents.checks import checked_name, checked_space, milliseconds
from threadkeep.errors import Invalid, TooLarge
from threadkeep.validation import decoding
from threadkeep.work import finished

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 it is no password
_is_media_type = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[\x20-\x7e\t]*)?").fullmatch


async def put_blob(
    store: BlobStore,
    space: str,
    key: str,
    content: bytes,
    *,
    media_type: str | None = None,
    meta: str | None = None,
    digest: str | None = None,
    expires_in: int | None = None,
) -> tuple[Blob, bool]:
    """Keep a blob. `meta` is the text of a JSON object, `digest` the SHA-256 that the bytes have to have.

    Returns and raises as `BlobStore.put_blob`; also Invalid and TooLarge.
    """
    if len(content) > BLOB_BYTES_MAX:
        raise TooLarge(f"A blob has at most {BLOB_BYTES_MAX:,} bytes. Send it in parts, each under a key of its own.")
    record = BlobRecord(
        space=checked_space(space),
        key=checked_name(key, "key"),
        content=content,
        digest=hashlib.sha256(content).hexdigest(),
        media_type=_checked_media_type(media_type),
        meta=checked_meta(meta),
        expires_in=milliseconds(expires_in),
    )
    if digest is not None and digest != record.digest:
        raise Invalid(
            "content-digest: The bytes that arrived have another SHA-256. Nothing was kept; send them again.",
            "content-digest",
        )
    return await store.put_blob(record)


async def get_blob(store: BlobStore, space: str, key: str) -> tuple[Blob, bytes]:
    """Get a blob and its bytes. Returns and raises as `BlobStore.get_blob`; also Invalid."""
    return await store.get_blob(checked_space(space), checked_name(key, "key"))


async def find_blob(store: BlobStore, space: str, key: str) -> Blob:
    """Get a blob without its bytes. Returns and raises as `BlobStore.find_blob`; also Invalid."""
    return await store.find_blob(checked_space(space), checked_name(key, "key"))


async def delete_blob(store: BlobStore, space: str, key: str) -> None:
    """Delete a blob. Raises as `BlobStore.delete_blob`; also Invalid."""
    await store.delete_blob(checked_space(space), checked_name(key, "key"))


def checked_meta(text: str | None) -> Raw:
    """The JSON object that metadata is, without white space between its parts. Raises Invalid or TooLarge."""
    if text is None:
        return Raw(b"{}")
    if len(text) > META_BYTES_MAX:
        raise TooLarge(f"x-meta: It has at most {META_BYTES_MAX:,} bytes.", {"path": "x-meta"})
    if not text.isascii():
        raise Invalid(
            "x-meta: A header is ASCII. Write other characters as \\u and four hexadecimal digits, as JSON may.",
            "x-meta",
        )
    sent = text.encode()
    finished(decoding(sent, Raw, whole="x-meta"))
    if sent.lstrip()[:1] != b"{":
        raise Invalid('x-meta: Metadata is a JSON object, such as {"name": "photo.png"}.', "x-meta")
    return Raw(msgspec.json.format(sent, indent=-1))


def _checked_media_type(given: str | None) -> str:
    if given is None:
        return DEFAULT_MEDIA_TYPE
    if len(given) > MEDIA_TYPE_BYTES_MAX or _is_media_type(given) is None:
        raise Invalid(
            f"content-type: This is not a media type, such as image/png, of at most {MEDIA_TYPE_BYTES_MAX} bytes.",
            "content-type",
        )
    return given
