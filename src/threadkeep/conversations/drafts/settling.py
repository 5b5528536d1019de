"""From a draft to its message: the same for whoever settles it."""

from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from threadkeep.conversations.drafts.folding import fold
from threadkeep.conversations.drafts.models import Ops
from threadkeep.conversations.drafts.records import EndRecord, KeptDraft
from threadkeep.conversations.models import Draft, NewMessage
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.service import message_record
from threadkeep.work import Work

_EMPTY = b"[]"
INTERRUPTED = EndRecord(fence=None, state="interrupted")


def message_of(draft: KeptDraft, parts: list[Raw], end: EndRecord) -> Work[MessageRecord | None]:
    """The message of a draft; None where nothing came. Raises Invalid and TooLarge for content that is given."""
    content = folded(parts) if isinstance(end.content, UnsetType) else end.content
    if end.content is UNSET and bytes(content) == _EMPTY:
        return None
    new = NewMessage(
        id=draft.id,
        role=draft.role,
        content=content,
        token_count=end.token_count,
        model=draft.model,
        parent_id=draft.parent_id,
        metadata=_metadata(draft, end),
    )
    record = yield from message_record(new, "")
    record.follows_id = draft.followed_id
    record.is_root = draft.follows == 0
    return record


def folded(parts: list[Raw]) -> Raw:
    """The content that parts come to, as they are kept."""
    return fold(msgspec.json.decode(part, type=Ops) for part in parts)


def _metadata(draft: KeptDraft, end: EndRecord) -> Raw | UnsetType:
    """That of the draft, with what is to be known of how it ended."""
    kept = draft.metadata if bytes(draft.metadata) != b"null" else None
    added: dict[str, Any] = {}
    if end.usage is not UNSET:
        added["usage"] = end.usage
    if end.state != "complete":
        added["stream"] = {"state": end.state} if end.error is None else {"state": end.state, "error": end.error}
    if not added:
        return UNSET if kept is None else kept
    fields = {} if kept is None else msgspec.json.decode(kept, type=dict[str, Raw])
    return Raw(msgspec.json.encode(fields | added))


def shown(draft: KeptDraft, time: int) -> Draft:
    """A draft as readers get it."""
    state: Any = "interrupted" if draft.is_over(time) else draft.state
    return Draft(
        id=draft.id,
        conversation_id=draft.conversation_id,
        follows=draft.follows,
        role=draft.role,
        model=draft.model,
        metadata=draft.metadata,
        state=state,
        fence=draft.fence,
        next=draft.next,
        started_at=draft.started_at,
        deadline=draft.deadline,
        stop=draft.stop_at is not None,
        settled_at=draft.settled_at,
    )


def shown_in_order(drafts: list[KeptDraft], time: int) -> list[Draft]:
    """Drafts as readers get them, oldest first."""
    return [shown(draft, time) for draft in sorted(drafts, key=attrgetter("started_at", "id"))]
