"""Blobs in memory: the contract in plain Python. It is the model of the other back ends."""

from msgspec.structs import replace

from threadkeep.agents.blobs.models import Blob
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.agents.blobs.store import checked_kept, no_blob
from threadkeep.storage.memory.agents.base import MemoryState

Blobs = dict[tuple[str, str], tuple[Blob, bytes]]


class MemoryBlobs(MemoryState):
    """A `BlobStore` in memory. See `agents/blobs/store.py` for what each method promises."""

    @property
    def _blobs(self) -> Blobs:
        """Those that have not expired."""
        blobs, time = self._database.blobs_of(self._user_id), self._clock()
        for place, (blob, _) in list(blobs.items()):
            if blob.expires_at is not None and blob.expires_at <= time:
                del blobs[place]
        return blobs

    async def put_blob(self, record: BlobRecord) -> tuple[Blob, bool]:
        blobs, time = self._blobs, self._clock()
        kept = blobs.get((record.space, record.key))
        if kept is not None:
            return replace(checked_kept(kept[0], record)), False
        blob = Blob(
            space=record.space,
            key=record.key,
            digest=record.digest,
            size=len(record.content),
            media_type=record.media_type,
            meta=record.meta,
            created_at=time,
            expires_at=None if record.expires_in is None else time + record.expires_in,
        )
        blobs[record.space, record.key] = (blob, record.content)
        return replace(blob), True

    async def get_blob(self, space: str, key: str) -> tuple[Blob, bytes]:
        blob, content = self._find_blob(space, key)
        return replace(blob), content

    async def find_blob(self, space: str, key: str) -> Blob:
        return replace(self._find_blob(space, key)[0])

    async def delete_blob(self, space: str, key: str) -> None:
        self._blobs.pop((space, key), None)

    def _find_blob(self, space: str, key: str) -> tuple[Blob, bytes]:
        kept = self._blobs.get((space, key))
        if kept is None:
            raise no_blob(space, key)
        return kept
