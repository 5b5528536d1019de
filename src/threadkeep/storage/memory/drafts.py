"""Drafts in memory."""

from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw
from msgspec.structs import replace

from threadkeep.conversations.branches import follows_leaf
from threadkeep.conversations.content import canonical
from threadkeep.conversations.drafts.models import OPEN_MAX, DraftPage, DraftPart, PartsWritten
from threadkeep.conversations.drafts.records import DraftRecord, EndRecord, KeptDraft, PartsRecord
from threadkeep.conversations.drafts.settling import INTERRUPTED, message_of, shown, shown_in_order
from threadkeep.conversations.drafts.store import (
    branch_has_drafts,
    check_open,
    check_parts,
    draft_conflict,
    draft_open,
    draft_settled,
    fence_stale,
    no_draft,
    parent_not_there,
    too_many_drafts,
)
from threadkeep.conversations.models import Appended, Draft, DraftChange, Receipt
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.store import message_conflict
from threadkeep.storage.memory.branches import KeptConversation
from threadkeep.work import finished


@dataclass
class DraftInMemory:
    draft: KeptDraft
    n: int
    rev: int
    parts: list[DraftPart] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    @property
    def change(self) -> DraftChange:
        """It as those see it who follow the changes."""
        draft = self.draft
        state: Any = draft.state
        return DraftChange(draft.id, draft.conversation_id, state, draft.started_at)

    @property
    def ops(self) -> list[Raw]:
        return [part.ops for part in self.parts]


class MemoryDrafts:
    """A `DraftStore` in memory. See `conversations/drafts/store.py` for what each method promises."""

    _clock: Callable[[], int]

    if TYPE_CHECKING:  # what the class has that this is mixed into

        @property
        def _owner(self) -> Any: ...

        def _find(self, conversation_id: str, *, even_deleted: bool = False) -> KeptConversation: ...

        def _append(
            self,
            conversation_id: str,
            messages: list[MessageRecord],
            expected: int | None,
            expected_leaf_id: str | None,
        ) -> tuple[Appended, bool]: ...

        def _check_append(
            self,
            conversation_id: str,
            messages: list[MessageRecord],
            expected: int | None,
            expected_leaf_id: str | None,
        ) -> Any: ...

    async def start_draft(self, conversation_id: str, record: DraftRecord) -> tuple[Draft, bool]:
        kept = self._find(conversation_id)
        time = self._clock()
        known = self._owner.drafts.get(record.id)
        if known is not None:
            if (known.draft.conversation_id, known.draft.digest) != (conversation_id, record.digest):
                raise draft_conflict(record.id)
            return shown(known.draft, time), False
        if record.id in self._owner.messages:
            raise draft_conflict(record.id)
        follows = kept.leaf if record.parent_id is None else kept.seq_of(record.parent_id)
        if follows is None or (follows and not kept.is_kept(follows)):
            raise parent_not_there(record.parent_id or "")
        if sum(not each.draft.is_over(time) for each in self._open(conversation_id)) >= OPEN_MAX:
            raise too_many_drafts()
        draft = KeptDraft(
            id=record.id,
            conversation_id=conversation_id,
            follows=follows,
            parent_id=record.parent_id,
            followed_id=kept.messages[follows - 1].message.id if follows else None,
            role=record.role,
            model=record.model,
            metadata=record.metadata if isinstance(record.metadata, Raw) else Raw(b"null"),
            digest=record.digest,
            fence=1,
            lease_ms=record.lease_ms,
            started_at=time,
            renewed_at=time,
            stop_at=None,
            state="streaming",
            settled_at=None,
            last_part=None,
            last_at=None,
            bytes=None,
            blocks=None,
        )
        self._owner.drafts[record.id] = DraftInMemory(draft, self._owner.next_n(), self._owner.next_rev())
        return shown(draft, time), True

    async def write_parts(self, draft_id: str, record: PartsRecord) -> PartsWritten:
        kept, time = self._find_draft(draft_id), self._clock()
        draft = kept.draft
        if check_parts(draft, record, dict(enumerate(kept.digests)), time):
            for part in record.parts[draft.next - record.first :]:
                kept.parts.append(DraftPart(part.part, time, part.ops))
                kept.digests.append(part.digest)
            draft.last_part, draft.last_at = len(kept.parts) - 1, time
            draft.bytes = (draft.bytes or 0) + record.size
            draft.blocks = record.effect.after(draft.blocks or "")
        return PartsWritten(draft.next, draft.deadline, draft.stop_at is not None)

    async def settle_draft(self, draft_id: str, record: EndRecord) -> tuple[Appended | None, bool]:
        kept = self._find_draft(draft_id)
        draft = kept.draft
        message = finished(message_of(draft, kept.ops, record))
        if draft.settled_at is not None:
            return self._settled_before(draft, message, record), False
        if record.fence not in (None, draft.fence):
            raise fence_stale(draft.fence)
        is_late = record.fence is not None and draft.is_over(self._clock())
        if is_late:
            message = finished(message_of(draft, kept.ops, INTERRUPTED))
        appended = None
        if message is not None:
            appended, _ = self._append(draft.conversation_id, [message], None, None)
        self._end([kept], "interrupted" if is_late else record.state)
        if is_late:
            raise draft_settled("interrupted")
        return appended, True

    def _settled_before(self, draft: KeptDraft, message: MessageRecord | None, record: EndRecord) -> Appended | None:
        if draft.state != record.state:
            raise draft_settled(draft.state)
        row = self._owner.messages.get(draft.id)
        if row is None:
            return None
        if record.content is not UNSET and message is not None:  # noqa: SIM102 each says what it is about
            if canonical(row.message.content) != canonical(message.message.content):
                raise message_conflict([draft.id])
        kept = row.message
        conversation = replace(self._find(draft.conversation_id).conversation)
        return Appended([Receipt(kept.id, kept.seq, kept.created_at)], conversation)

    async def take_draft(self, draft_id: str) -> Draft:
        draft = self._find_unsettled(draft_id)
        draft.fence, draft.renewed_at, draft.stop_at = draft.fence + 1, self._clock(), None
        return shown(draft, self._clock())

    async def stop_draft(self, draft_id: str) -> Draft:
        draft = self._find_unsettled(draft_id)
        draft.stop_at = draft.stop_at or self._clock()
        return shown(draft, self._clock())

    async def get_draft(self, draft_id: str, *, start: int = 0, limit: int = 500) -> DraftPage:
        kept = self._find_draft(draft_id)
        parts = kept.parts[start:]
        return DraftPage(draft=shown(kept.draft, self._clock()), parts=parts[:limit], more=len(parts) > limit)

    async def list_drafts(self, conversation_id: str) -> list[Draft]:
        self._find(conversation_id)
        return self._drafts_of(conversation_id)

    def _drafts_of(self, conversation_id: str) -> list[Draft]:
        return shown_in_order([kept.draft for kept in self._open(conversation_id)], self._clock())

    async def _settle_below(self, conversation_id: str, seqs: Container[int]) -> None:
        """Settle the drafts past their deadline that follow any of these messages. Raises Conflict for others."""
        below = [each for each in self._open(conversation_id) if each.draft.follows in seqs]
        open_ = [each.draft.id for each in below if not each.draft.is_over(self._clock())]
        if open_:
            raise branch_has_drafts(open_)
        for each in below:
            await self.settle_draft(each.draft.id, INTERRUPTED)

    async def settle_overdue_drafts(self) -> int | None:
        for kept in self._overdue():
            await self.settle_draft(kept.draft.id, INTERRUPTED)
        return min((kept.draft.deadline for kept in self._all_open()), default=None)

    def has_overdue_drafts(self) -> bool:
        """Whether there is anything to settle."""
        return bool(self._overdue())

    def _overdue(self) -> list[DraftInMemory]:
        time = self._clock()
        return [kept for kept in self._all_open() if kept.draft.is_over(time)]

    def _all_open(self) -> list[DraftInMemory]:
        drafts: list[DraftInMemory] = list(self._owner.drafts.values())
        live = [kept for kept in drafts if self._find_live(kept.draft.conversation_id)]
        return [kept for kept in live if kept.draft.settled_at is None]

    def _append_beside_drafts(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        expected: int | None,
        expected_leaf_id: str | None,
        *,
        interrupts: bool,
    ) -> tuple[Appended, bool]:
        """Append messages, and settle the drafts that are in their way. Raises Conflict where these are open."""
        kept, time = self._find(conversation_id), self._clock()
        ids = {message.id for message in messages}
        are_new = any(message.id not in self._owner.messages for message in messages)
        named = [each for each in self._open(conversation_id) if each.draft.id in ids]
        at_leaf = [
            each
            for each in self._open(conversation_id)
            if each not in named and follows_leaf(messages) and each.draft.follows == kept.leaf
        ]
        if not are_new:
            named, at_leaf = [], []
        records = self._messages_of(at_leaf)
        # What is wrong with the append itself comes first.
        if at_leaf:
            self._check_append(conversation_id, messages, expected, expected_leaf_id)
        open_ = [each.draft.id for each in at_leaf if not each.draft.is_over(time)]
        if open_ and not interrupts:
            raise draft_open(open_)
        appended, is_new = self._append(conversation_id, [*records, *messages], expected, expected_leaf_id)
        self._end(named, "complete")
        self._end(at_leaf, "interrupted")
        appended.messages = appended.messages[len(records) :]
        return appended, is_new

    def _messages_of(self, drafts: Sequence[DraftInMemory]) -> list[MessageRecord]:
        found = [finished(message_of(kept.draft, kept.ops, INTERRUPTED)) for kept in drafts]
        return [message for message in found if message is not None]

    def _end(self, drafts: Collection[DraftInMemory], state: str) -> None:
        if not drafts:
            return
        rev = self._owner.next_rev()
        for kept in drafts:
            kept.draft.state, kept.draft.settled_at, kept.rev = state, self._clock(), rev
            kept.draft.last_part = kept.draft.last_at = kept.draft.bytes = kept.draft.blocks = None
            kept.parts, kept.digests = [], []

    def _open(self, conversation_id: str) -> list[DraftInMemory]:
        drafts: list[DraftInMemory] = list(self._owner.drafts.values())
        return [
            kept for kept in drafts if kept.draft.conversation_id == conversation_id and kept.draft.settled_at is None
        ]

    def _find_live(self, conversation_id: str) -> bool:
        kept = self._owner.conversations.get(conversation_id)
        return kept is not None and kept.conversation.deleted_at is None

    def _find_draft(self, draft_id: str) -> DraftInMemory:
        kept: DraftInMemory | None = self._owner.drafts.get(draft_id)
        if kept is None or not self._find_live(kept.draft.conversation_id):
            raise no_draft(draft_id)
        return kept

    def _find_unsettled(self, draft_id: str) -> KeptDraft:
        draft = self._find_draft(draft_id).draft
        check_open(draft, self._clock())
        return draft
