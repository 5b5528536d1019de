"""SqlDrafts: drafts over any database that speaks SQL."""

from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw, Struct, UnsetType

from threadkeep.clock import Clock, now
from threadkeep.conversations.content import canonical
from threadkeep.conversations.drafts.models import (
    DRAFT_BYTES_MAX,
    OPEN_MAX,
    DraftPage,
    DraftPart,
    PartsWritten,
)
from threadkeep.conversations.drafts.records import DraftRecord, EndRecord, KeptDraft, PartsRecord
from threadkeep.conversations.drafts.settling import INTERRUPTED, message_of, shown, shown_in_order
from threadkeep.conversations.drafts.store import (
    check_open,
    check_parts,
    draft_conflict,
    draft_settled,
    drafts_are_busy,
    fence_stale,
    no_draft,
    parent_not_there,
    too_many_drafts,
)
from threadkeep.conversations.models import Appended, Conversation, Draft, Message, Receipt
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.store import message_conflict, no_conversation
from threadkeep.errors import Conflict, NotFound
from threadkeep.storage.sql.base import BEYOND, SqlOfUser, as_json, decode_answer, decoded, text_of_json
from threadkeep.storage.sql.executor import Executor, Query, Statement
from threadkeep.work import done

TRIES_MAX = 5
"""How often a batch is made anew where somebody wrote to its drafts meanwhile."""
_ALL_PARTS = 2_000_000_000
_SETTLED_AT_ONCE = 20


class _Started(Struct, rename="camel"):
    is_new: int
    is_taken: int
    has_parent: int
    draft: KeptDraft | None


class _KnownPart(Struct):
    part: int
    digest: str


class DraftsInTheWay(Exception):
    """An append would follow what open drafts follow, or has the id of one."""

    def __init__(self, draft_ids: list[str]) -> None:
        super().__init__(draft_ids)
        self.draft_ids = draft_ids


class DraftsMoved(Exception):
    """Somebody has written to the drafts that a batch was to settle, since they were read."""


class Settled(Struct):
    """Drafts that a batch settles, each as it was read, and what they become."""

    drafts: list[tuple[KeptDraft, str]]
    """With the state that each then has."""
    records: list[MessageRecord]

    @property
    def guard(self) -> str:
        """`:settled` of the statements."""
        kept = {record.id for record in self.records}
        return as_json(
            [
                (draft.id, draft.fence, draft.next, state, "message" if draft.id in kept else "nothing")
                for draft, state in self.drafts
            ]
        )


NOTHING_SETTLED = Settled([], [])


class SqlDrafts(SqlOfUser):
    """A `DraftStore` over an executor. See `conversations/drafts/store.py` for what each method promises."""

    if TYPE_CHECKING:  # what the class has that this is mixed into

        def _values(self, conversation_id: str) -> dict[str, Any]: ...

        async def _append(
            self, conversation_id: str, messages: list[MessageRecord], settled: Settled
        ) -> tuple[Appended, bool]: ...

    async def start_draft(self, conversation_id: str, record: DraftRecord) -> tuple[Draft, bool]:
        values = {
            **self._values(conversation_id),
            "draft": record.id,
            "parent": record.parent_id,
            "role": record.role,
            "model": record.model,
            "metadata": None if isinstance(record.metadata, UnsetType) else text_of_json(record.metadata),
            "digest": record.digest,
            "lease_ms": record.lease_ms,
            "open_max": OPEN_MAX,
        }
        _, answers, _ = await self._executor.run(
            self._sql.start_draft(**values), self._sql.started(**values), self._sql.bump_rev(**values)
        )
        started = decoded(answers, _Started, conversation_id)
        draft = started.draft
        if draft is None and started.is_taken:
            raise draft_conflict(record.id)
        if draft is None and not started.has_parent:
            raise parent_not_there(record.parent_id or "")
        if draft is None:
            raise too_many_drafts()
        if (draft.conversation_id, draft.digest) != (conversation_id, record.digest):
            raise draft_conflict(record.id)
        return shown(draft, values["now"]), bool(started.is_new)

    async def write_parts(self, draft_id: str, record: PartsRecord) -> PartsWritten:
        values = {
            **self._values_of_draft(draft_id),
            "fence": record.fence,
            "first": record.first,
            "until": record.first + len(record.parts),
            "parts": as_json(
                [
                    {"part": part.part, "digest": part.digest, "ops": self._sql.dialect.nested(part.ops)}
                    for part in record.parts
                ]
            ),
            "bytes": record.size,
            "bytes_max": DRAFT_BYTES_MAX,
            "checks": as_json([check[:2] for check in record.effect.checks]),
            "base": record.effect.base,
            "letters": record.effect.letters,
        }
        answers, known, _ = await self._executor.run(
            self._sql.draft(**values), self._sql.known_parts(**values), self._sql.insert_parts(**values)
        )
        if not answers:
            raise no_draft(draft_id)
        draft = decode_answer(answers, KeptDraft)
        digests = {part.part: part.digest for part in decode_answer(known, list[_KnownPart])}
        has_new = check_parts(draft, record, digests, values["now"])
        if has_new:
            draft.last_part, draft.last_at = record.first + len(record.parts) - 1, values["now"]
        return PartsWritten(draft.next, draft.deadline, draft.stop_at is not None)

    async def settle_draft(self, draft_id: str, record: EndRecord) -> tuple[Appended | None, bool]:
        for _ in range(TRIES_MAX):
            draft, parts = await self._draft_with_parts(draft_id)
            time = self._clock()
            message = await done(message_of(draft, parts, record))
            if draft.settled_at is not None:
                return await self._settled_before(draft, message, record)
            if record.fence not in (None, draft.fence):
                raise fence_stale(draft.fence)
            is_late = record.fence is not None and draft.is_over(time)
            if is_late:
                message = await done(message_of(draft, parts, INTERRUPTED))
            state = "interrupted" if is_late else record.state
            settled = Settled([(draft, state)], [] if message is None else [message])
            outcome = await self._settle(draft, settled)
            if outcome is not None:
                if is_late:
                    raise draft_settled("interrupted")
                return outcome
        raise drafts_are_busy()

    async def _settle(self, draft: KeptDraft, settled: Settled) -> tuple[Appended | None, bool] | None:
        """Settle a draft; None where it is no longer as it was read."""
        if settled.records:
            try:
                appended, is_new = await self._append(draft.conversation_id, settled.records, settled)
            except DraftsMoved:
                return None
            if is_new:
                return appended, True
            # Somebody has appended the same message beside its draft.
            settled.records.clear()
            await self._settle(draft, settled)
            return appended, False
        values = {**self._values(draft.conversation_id), "draft": draft.id}
        *_, answers = await self._executor.run(
            *self._ending(settled, values), self._sql.bump_rev(**values), self._sql.draft(**values)
        )
        is_settled = bool(answers) and decode_answer(answers, KeptDraft).settled_at is not None
        return (None, True) if is_settled else None

    async def _settled_before(
        self, draft: KeptDraft, message: MessageRecord | None, record: EndRecord
    ) -> tuple[Appended | None, bool]:
        if draft.state != record.state:
            raise draft_settled(draft.state)
        values = {**self._values(draft.conversation_id), "message": draft.id}
        conversations, messages = await self._executor.run(
            self._sql.get_conversation(**values), self._sql.get_message(**values)
        )
        conversation = decoded(conversations, Conversation, draft.conversation_id)
        if not messages or messages[0]["answer"] is None:
            return None, False
        kept = decode_answer(messages, Message)
        if record.content is not UNSET and message is not None and not _say_the_same(kept, message):
            raise message_conflict([draft.id])
        return Appended([Receipt(kept.id, kept.seq, kept.created_at)], conversation), False

    async def take_draft(self, draft_id: str) -> Draft:
        return await self._changed(draft_id, self._sql.take_draft)

    async def stop_draft(self, draft_id: str) -> Draft:
        return await self._changed(draft_id, self._sql.stop_draft)

    async def _changed(self, draft_id: str, query: Query) -> Draft:
        values = self._values_of_draft(draft_id)
        _, answers = await self._executor.run(query(**values), self._sql.draft(**values))
        if not answers:
            raise no_draft(draft_id)
        draft = decode_answer(answers, KeptDraft)
        check_open(draft, values["now"])
        return shown(draft, values["now"])

    async def get_draft(self, draft_id: str, *, start: int = 0, limit: int = 500) -> DraftPage:
        values = {**self._values_of_draft(draft_id), "start": min(start, BEYOND), "limit": limit}
        answers, rows = await self._executor.run(self._sql.draft(**values), self._sql.parts_of_draft(**values))
        if not answers:
            raise no_draft(draft_id)
        parts = sorted(decode_answer(rows, list[DraftPart]), key=attrgetter("part"))
        draft = shown(decode_answer(answers, KeptDraft), values["now"])
        return DraftPage(draft=draft, parts=parts[:limit], more=len(parts) > limit)

    async def list_drafts(self, conversation_id: str) -> list[Draft]:
        values = self._values(conversation_id)
        conversations, answers = await self._executor.run(
            self._sql.get_conversation(**values), self._sql.open_drafts(**values)
        )
        if decoded(conversations, Conversation, conversation_id).deleted_at is not None:
            raise no_conversation(conversation_id)
        return shown_in_order(decode_answer(answers, list[KeptDraft]), values["now"])

    async def settle_overdue_drafts(self) -> int | None:
        values = self._values("")
        (answers,) = await self._executor.run(self._sql.all_open_drafts(**values))
        drafts = decode_answer(answers, list[KeptDraft])
        over = [draft for draft in drafts if draft.is_over(values["now"])][:_SETTLED_AT_ONCE]
        await self._settle_overdue(over)
        return min((draft.deadline for draft in drafts if draft not in over), default=None)

    async def _settle_overdue(self, drafts: Sequence[KeptDraft]) -> None:
        """Settle drafts that are past their deadline, unless somebody else does so just now."""
        for draft in drafts:
            with suppress(Conflict, NotFound):
                await self.settle_draft(draft.id, INTERRUPTED)

    async def _draft_with_parts(self, draft_id: str) -> tuple[KeptDraft, list[Raw]]:
        values = {**self._values_of_draft(draft_id), "start": 0, "limit": _ALL_PARTS}
        answers, rows = await self._executor.run(self._sql.draft(**values), self._sql.parts_of_draft(**values))
        if not answers:
            raise no_draft(draft_id)
        parts = sorted(decode_answer(rows, list[DraftPart]), key=attrgetter("part"))
        return decode_answer(answers, KeptDraft), [part.ops for part in parts]

    async def _settled_of(self, draft_ids: Sequence[str], messages: Sequence[MessageRecord]) -> Settled:
        """What drafts come to that are in the way of messages: they are interrupted, or are these messages."""
        settled = Settled([], [])
        for draft_id in draft_ids:
            draft, parts = await self._draft_with_parts(draft_id)
            if any(message.id == draft_id for message in messages):
                settled.drafts.append((draft, "complete"))
                continue
            message = await done(message_of(draft, parts, INTERRUPTED))
            settled.drafts.append((draft, "interrupted"))
            settled.records += [] if message is None else [message]
        return settled

    def _ending(self, settled: Settled, values: dict[str, Any]) -> list[Statement]:
        """The statements that end drafts whose messages the batch has appended."""
        if not settled.drafts:
            return []
        values = {**values, "settled": settled.guard}
        return [
            self._sql.end_drafts(**values),
            *(query(**values) for query in self._sql.remove_parts_of_ended),
        ]

    def _values_of_draft(self, draft_id: str) -> dict[str, Any]:
        return {**self._values(""), "draft": draft_id}


async def users_with_overdue_drafts(executor: Executor, limit: int, clock: Clock = now) -> list[str]:
    """Some of the users who may have drafts past their deadline."""
    (rows,) = await executor.run(executor.statements.users_with_open_drafts(now=clock(), limit=limit))
    return [row["value"] for row in rows]


def _say_the_same(kept: Message, record: MessageRecord) -> bool:
    return bool(canonical(kept.content) == canonical(record.message.content))
