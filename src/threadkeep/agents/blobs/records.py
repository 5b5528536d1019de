"""What a store is handed: checked, so that a store only has to keep it."""

from msgspec import Raw, Struct


class BlobRecord(Struct, kw_only=True):
    """A blob that passed every check. Two of one key are the same if digest, media type and metadata are."""

    space: str
    key: str
    content: bytes
    digest: str
    media_type: str
    meta: Raw
    expires_in: int | None = None
    """In milliseconds."""
