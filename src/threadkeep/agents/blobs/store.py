"""The contract of every back end that keeps blobs.

A blob is some bytes under a key in a space; both are names that the client chose. It never changes: what is kept under
a key is that, until it is deleted. So a put needs no name to be repeated by: the same blob again is the same blob.

A blob that has expired is one that was deleted.
"""

from typing import Protocol

from threadkeep.agents.blobs.models import Blob
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.errors import Conflict, NotFound


class BlobStore(Protocol):
    """The blobs of one user."""

    async def put_blob(self, record: BlobRecord) -> tuple[Blob, bool]:
        """Keep a blob; return it as it is kept, and whether it is new.

        One that is there already with the same digest, media type and metadata is left as it is, its expiry as well.
        Raises Conflict `conflict` where one is there that differs in any of these.
        """

    async def get_blob(self, space: str, key: str) -> tuple[Blob, bytes]:
        """A blob and its bytes. Raises NotFound."""

    async def find_blob(self, space: str, key: str) -> Blob:
        """A blob without its bytes. Raises NotFound."""

    async def delete_blob(self, space: str, key: str) -> None:
        """Delete a blob. Where there is none, nothing is to be done.

        Its key is free at once; `sweep` removes the rest.
        """


# The words in which every back end refuses.


def no_blob(space: str, key: str) -> NotFound:
    """There is none under this key, or it is somebody else's."""
    return NotFound(f"There is no blob {key[:80]} in {space[:80]}.")


def blob_conflict(key: str) -> Conflict:
    """Something else is kept under this key."""
    return Conflict(
        f"The blob {key[:80]} exists already, with other bytes, another media type or other metadata, and blobs never "
        "change. Take another key, or delete it first.",
        {"reason": "conflict"},
    )


def checked_kept(kept: Blob, record: BlobRecord) -> Blob:
    """What is kept under the key of a record, if it is that blob. Raises Conflict."""
    given = (record.digest, record.media_type, bytes(record.meta))
    if (kept.digest, kept.media_type, bytes(kept.meta)) != given:
        raise blob_conflict(record.key)
    return kept
