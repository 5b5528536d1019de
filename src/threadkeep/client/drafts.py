"""Drafts that another Threadkeep keeps."""

import msgspec

from threadkeep.client.transport import CREATED, Remote, read
from threadkeep.conversations.drafts.models import (
    DraftEnd,
    DraftList,
    DraftPage,
    NewDraft,
    NewParts,
    Ops,
    PartsWritten,
)
from threadkeep.conversations.drafts.records import DraftRecord, EndRecord, PartsRecord
from threadkeep.conversations.models import Appended, Draft

_NOTHING_CAME = 204


class RemoteDrafts(Remote):
    """A `DraftStore` over the HTTP API. See `conversations/drafts/store.py` for what each method promises."""

    async def start_draft(self, conversation_id: str, record: DraftRecord) -> tuple[Draft, bool]:
        new = NewDraft(
            id=record.id,
            parent_id=record.parent_id,
            role=record.role,
            model=record.model,
            metadata=record.metadata,
            lease_seconds=record.lease_ms // 1_000,
        )
        path = f"/api/conversations/{conversation_id}/drafts"
        response = await self._transport.send("POST", path, new, is_repeatable=True)
        return read(response, Draft), response.status_code == CREATED

    async def write_parts(self, draft_id: str, record: PartsRecord) -> PartsWritten:
        parts = [msgspec.json.decode(part.ops, type=Ops) for part in record.parts]
        new = NewParts(fence=record.fence, first=record.first, parts=parts)
        return read(
            await self._transport.send("POST", f"{_path(draft_id)}/parts", new, is_repeatable=True), PartsWritten
        )

    async def settle_draft(self, draft_id: str, record: EndRecord) -> tuple[Appended | None, bool]:
        end = DraftEnd(
            fence=record.fence or 0,
            state=record.state,
            content=record.content,
            token_count=record.token_count,
            usage=record.usage,
            error=record.error,
        )
        response = await self._transport.send("PUT", _path(draft_id), end, is_repeatable=True)
        if response.status_code == _NOTHING_CAME:
            return None, False
        return read(response, Appended), response.status_code == CREATED

    async def take_draft(self, draft_id: str) -> Draft:
        return read(await self._transport.send("POST", f"{_path(draft_id)}/take"), Draft)

    async def stop_draft(self, draft_id: str) -> Draft:
        return read(await self._transport.send("POST", f"{_path(draft_id)}/stop", is_repeatable=True), Draft)

    async def get_draft(self, draft_id: str, *, start: int = 0, limit: int = 500) -> DraftPage:
        query = {"from": start, "limit": limit}
        return read(await self._transport.send("GET", _path(draft_id), query=query), DraftPage)

    async def list_drafts(self, conversation_id: str) -> list[Draft]:
        path = f"/api/conversations/{conversation_id}/drafts"
        return read(await self._transport.send("GET", path), DraftList).drafts


def _path(draft_id: str) -> str:
    return f"/api/drafts/{draft_id}"
