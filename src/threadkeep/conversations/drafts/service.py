"""The rules of drafts on every back end: what is checked and completed before a store is asked to keep it."""

import hashlib

import msgspec
from msgspec import UNSET, Raw, UnsetType

from threadkeep.conversations.content import as_blocks, canonical, digest, read_content, read_metadata
from threadkeep.conversations.drafts.folding import effect_of
from threadkeep.conversations.drafts.models import (
    DRAFT_BYTES_MAX,
    PARTS_MAX,
    DraftEnd,
    NewDraft,
    NewParts,
    Op,
    Ops,
    PartsWritten,
)
from threadkeep.conversations.drafts.records import DraftRecord, EndRecord, PartRecord, PartsRecord
from threadkeep.conversations.drafts.store import DraftStore, draft_too_large
from threadkeep.conversations.models import Appended, Draft
from threadkeep.errors import Invalid, TooLarge
from threadkeep.ids import NewId, new_id


async def start_draft(store: DraftStore, conversation_id: str, new: NewDraft) -> tuple[Draft, bool]:
    """Start a draft. Returns and raises as `DraftStore.start_draft`; also Invalid and TooLarge."""
    return await store.start_draft(conversation_id, draft_record(new))


async def write_parts(store: DraftStore, draft_id: str, new: NewParts) -> PartsWritten:
    """Write parts. Returns and raises as `DraftStore.write_parts`; also Invalid and TooLarge."""
    return await store.write_parts(draft_id, parts_record(new))


async def settle_draft(store: DraftStore, draft_id: str, end: DraftEnd) -> tuple[Appended | None, bool]:
    """Settle a draft. Returns and raises as `DraftStore.settle_draft`; also Invalid and TooLarge."""
    return await store.settle_draft(draft_id, end_record(end))


def draft_record(new: NewDraft, new_id: NewId = new_id) -> DraftRecord:
    """Check a draft to start. Raises Invalid or TooLarge with the path of what is wrong."""
    is_given = not isinstance(new.metadata, UnsetType) and read_metadata(new.metadata, "metadata") is not None
    return DraftRecord(
        id=new.id or new_id(),
        parent_id=new.parent_id,
        role=new.role,
        model=new.model,
        metadata=new.metadata if is_given else UNSET,
        digest=digest(new.role, new.model, new.parent_id, canonical(new.metadata), new.lease_seconds),
        lease_ms=new.lease_seconds * 1_000,
    )


def parts_record(new: NewParts) -> PartsRecord:
    """Check parts to write. Raises Invalid or TooLarge with the path of what is wrong."""
    if len(new.parts) > PARTS_MAX:
        raise TooLarge(
            f"parts: At most {PARTS_MAX} can be sent together; send them in several requests.", {"path": "parts"}
        )
    size, records = 0, []
    for index, ops in enumerate(new.parts):
        size += _checked(ops, f"parts[{index}]")
        raw = msgspec.json.encode(ops)
        records.append(PartRecord(new.first + index, hashlib.sha256(raw).hexdigest(), Raw(raw)))
    if size > DRAFT_BYTES_MAX or sum(len(memoryview(record.ops)) for record in records) > DRAFT_BYTES_MAX:
        raise draft_too_large()
    effect = effect_of((f"parts[{index}]", ops) for index, ops in enumerate(new.parts))
    return PartsRecord(fence=new.fence, first=new.first, parts=records, effect=effect, size=size)


def _checked(ops: Ops, path: str) -> int:
    """What changes count towards the size of a draft, once it is clear that each is one. Raises Invalid."""
    return sum(_checked_op(op, f"{path}[{index}]") for index, op in enumerate(ops))


def _checked_op(op: Op, path: str) -> int:
    given = [name for name in ("append", "set", "event") if getattr(op, name) is not UNSET]
    if len(given) != 1 or (op.block is UNSET) is not (given == ["event"]):
        raise Invalid(f"{path}: A change is a `block` with `append` or `set`, or an `event`.", path)
    if isinstance(op.set, Raw):
        read_content(Raw(b"[%b]" % bytes(op.set)), f"{path}.set")
        return len(memoryview(op.set)) + 1
    if isinstance(op.event, Raw):
        _object(op.event, f"{path}.event")
        return len(memoryview(op.event))
    return len(msgspec.json.encode(op.append))


def _given(raw: Raw | UnsetType) -> Raw | UnsetType:
    """What was sent, unless it is null."""
    return UNSET if isinstance(raw, UnsetType) or bytes(raw) == b"null" else raw


def _object(raw: Raw, path: str) -> dict[str, object]:
    value = canonical(raw)
    if type(value) is not dict:
        raise Invalid(f"{path}: This is a JSON object.", path)
    return value


def end_record(end: DraftEnd) -> EndRecord:
    """Check how a draft is to end. Raises Invalid with the path of what is wrong."""
    usage, content = _given(end.usage), _given(end.content)
    if isinstance(usage, Raw):
        _object(usage, "usage")
    if isinstance(content, Raw):
        content = as_blocks(content)
    return EndRecord(
        fence=end.fence,
        state=end.state,
        content=content,
        token_count=end.token_count,
        usage=usage,
        error=end.error,
    )
