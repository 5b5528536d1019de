"""Blobs as tests make them: through the service, as the HTTP API does."""

import hashlib
from typing import Any

from threadkeep.agents.blobs import service
from threadkeep.agents.blobs.models import Blob
from threadkeep.agents.store import StateStore

SPACE = "tests"
KEY = 'a/blob "of" [ours]'


async def put(
    store: StateStore, content: bytes = b"bytes", key: str = KEY, *, space: str = SPACE, **fields: Any
) -> tuple[Blob, bool]:
    """Put a blob."""
    return await service.put_blob(store, space, key, content, **fields)


async def content_of(store: StateStore, key: str = KEY) -> bytes:
    """The bytes of a blob, which have to be what the rest says of them."""
    blob, content = await store.get_blob(SPACE, key)
    assert (blob.size, blob.digest) == (len(content), digest_of(content))
    return content


def digest_of(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()
