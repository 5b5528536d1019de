"""Blobs that another Threadkeep keeps."""

import hashlib
from base64 import b64decode, b64encode
from urllib.parse import quote

import httpx
from msgspec import Raw

from threadkeep.agents.blobs.models import Blob
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.client.transport import CREATED, Remote, read
from threadkeep.errors import Unavailable


class RemoteBlobs(Remote):
    """A `BlobStore` over the HTTP API. See `agents/blobs/store.py` for what each method promises.

    Whatever arrives is compared with its digest, on both ends.
    """

    async def put_blob(self, record: BlobRecord) -> tuple[Blob, bool]:
        response = await self._transport.send(
            "PUT",
            _path(record.space, record.key),
            record.content,
            query={"expiresIn": None if record.expires_in is None else record.expires_in // 1_000},
            headers={
                "Content-Type": record.media_type,
                "Content-Digest": f"sha-256=:{b64encode(bytes.fromhex(record.digest)).decode()}:",
                "X-Meta": bytes(record.meta).decode(),
            },
            is_repeatable=True,
        )
        return read(response, Blob), response.status_code == CREATED

    async def get_blob(self, space: str, key: str) -> tuple[Blob, bytes]:
        response = await self._transport.send("GET", _path(space, key))
        blob = _blob_of(response, space, key, len(response.content))
        if hashlib.sha256(response.content).hexdigest() != blob.digest:
            raise Unavailable("The bytes of this blob were damaged on their way. Try again.")
        return blob, response.content

    async def find_blob(self, space: str, key: str) -> Blob:
        try:
            response = await self._transport.send("HEAD", _path(space, key), is_repeatable=True)
            size = response.headers["Content-Length"]
        except (Unavailable, KeyError):
            # An answer without a body cannot say what is wrong, and what compresses others may leave the length out.
            return (await self.get_blob(space, key))[0]
        return _blob_of(response, space, key, int(size))

    async def delete_blob(self, space: str, key: str) -> None:
        await self._transport.send("DELETE", _path(space, key), is_repeatable=True)


def _path(space: str, key: str) -> str:
    return f"/api/blobs/{quote(space, safe='')}/{quote(key, safe='')}"


def _blob_of(response: httpx.Response, space: str, key: str, size: int) -> Blob:
    """What the headers say of a blob. Raises Unavailable where something else answered."""
    headers = response.headers
    try:
        expires_at = headers.get("X-Expires-At")
        return Blob(
            space=space,
            key=key,
            digest=b64decode(headers["Content-Digest"].removeprefix("sha-256=:").removesuffix(":")).hex(),
            size=size,
            media_type=headers["Content-Type"],
            meta=Raw(headers["X-Meta"].encode()),
            created_at=int(headers["X-Created-At"]),
            expires_at=None if expires_at is None else int(expires_at),
        )
    except (KeyError, ValueError) as error:
        raise Unavailable(f"Something that is not Threadkeep answered {response.status_code}. Try again.") from error
