"""SqlBlobs: blobs over any database that speaks SQL, one batch of statements for each operation."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

from threadkeep.agents.blobs.models import Blob
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.agents.blobs.store import checked_kept, no_blob
from threadkeep.agents.values import PIECE_BYTES_MAX
from threadkeep.storage.sql.agents.base import SqlState
from threadkeep.storage.sql.base import decode_answer, text_of_json
from threadkeep.storage.sql.executor import Executor

# Three bytes become four characters, so that each piece can be read by itself.
_PIECE_BYTES = PIECE_BYTES_MAX // 4 * 3
# What is swept at once: well within the time that D1 gives a batch.
_SWEPT_BLOBS_MAX = 500
_SWEPT_BYTES_MAX = 6_000_000


class _KeptBlob(Blob, kw_only=True):
    """A blob, and where its bytes are."""

    group_id: str


class SqlBlobs(SqlState):
    """A `BlobStore` over an executor. See `agents/blobs/store.py` for what each method promises."""

    async def put_blob(self, record: BlobRecord) -> tuple[Blob, bool]:
        group = self._new_id()
        values = self._values_of(
            space=record.space,
            key=record.key,
            epoch=self._new_id(),
            digest=record.digest,
            size=len(record.content),
            media_type=record.media_type,
            meta=text_of_json(record.meta),
            group_id=group,
        )
        values["expires_at"] = None if record.expires_in is None else values["now"] + record.expires_in
        *_, answers = await self._executor.run(
            self._sql.ensure_owner(**values),
            self._sql.retire_expired_blob(**values),
            self._sql.insert_blob(**values),
            *(
                self._sql.insert_piece_of_blob(**values, part=part, data=data)
                for part, data in enumerate(_in_base64(record.content))
            ),
            self._sql.blob(**values),
        )
        kept = decode_answer(answers, _KeptBlob)
        is_new = kept.group_id == group
        return _shown(kept if is_new else checked_kept(kept, record)), is_new

    async def get_blob(self, space: str, key: str) -> tuple[Blob, bytes]:
        values = self._values_of(space=space, key=key)
        answers, pieces = await self._executor.run(self._sql.blob(**values), self._sql.pieces_of_blob(**values))
        if not answers:
            raise no_blob(space, key)
        return decode_answer(answers, Blob), b"".join(b64decode(piece["data"]) for piece in pieces)

    async def find_blob(self, space: str, key: str) -> Blob:
        (answers,) = await self._executor.run(self._sql.blob(**self._values_of(space=space, key=key)))
        if not answers:
            raise no_blob(space, key)
        return decode_answer(answers, Blob)

    async def delete_blob(self, space: str, key: str) -> None:
        await self._executor.run(self._sql.retire_blob(**self._values_of(space=space, key=key)))


async def sweep_blobs(executor: Executor, user_id: str) -> bool:
    """Remove a part of the blobs that were deleted; return whether there is more."""
    sql = executor.statements
    values: dict[str, Any] = {"user": user_id, "limit": _SWEPT_BLOBS_MAX, "bytes": _SWEPT_BYTES_MAX}
    (rows,) = await executor.run(sql.retired_blob(**values))
    if not rows:
        return False
    *_, rows = await executor.run(
        *(query(**values) for query in sql.sweep_blobs), sql.remove_owner(**values), sql.retired_blob(**values)
    )
    return bool(rows)


def _in_base64(content: bytes) -> Iterator[str]:
    """The bytes in parts, each small enough to be kept."""
    for start in range(0, len(content), _PIECE_BYTES):
        yield b64encode(memoryview(content)[start : start + _PIECE_BYTES]).decode()


def _shown(kept: Blob) -> Blob:
    """A blob without what only the store asks."""
    return Blob(**{name: getattr(kept, name) for name in Blob.__struct_fields__})
