"""Pages of messages, and branches, over SQL."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from threadkeep.conversations import cursors
from threadkeep.conversations.branches import (
    ACTIVE,
    ALL,
    PREVIEWED_CHARACTERS_MAX,
    SIBLINGS_MAX,
    branches_of,
    leaf_stale,
    no_branch,
    parent_is_deleted,
    preview_of,
)
from threadkeep.conversations.drafts.records import KeptDraft
from threadkeep.conversations.drafts.settling import shown_in_order
from threadkeep.conversations.drafts.store import branch_has_drafts
from threadkeep.conversations.models import (
    PAGE_BYTES_MAX,
    BranchList,
    Conversation,
    DeletedBranch,
    Message,
    MessagePage,
)
from threadkeep.conversations.store import no_conversation, no_message
from threadkeep.storage.sql.base import BEYOND, answer_in, decoded
from threadkeep.storage.sql.drafts import SqlDrafts
from threadkeep.storage.sql.executor import Row, Statement


class _Child(Struct):
    follows: int
    seq: int


class _MessageRows(Struct):
    """A page as the database makes it, in no particular order."""

    rows: list[Message]
    more: bool
    children: list[_Child] = []
    top: int | None = None
    drafts: list[KeptDraft] = []


class _CutVerdict(Struct, rename="camel"):
    deleted: int
    is_there: bool
    drafts: list[KeptDraft]
    conversation: Conversation


class _RestoreVerdict(Struct, rename="camel"):
    is_there: bool
    is_deleted: bool
    has_parent: bool


class SqlBranches(SqlDrafts):
    """What `SqlStore` does with the messages of a conversation, and with its branches."""

    if TYPE_CHECKING:  # what the class has that this is mixed into

        def _values(self, conversation_id: str) -> dict[str, Any]: ...

    async def list_messages(
        self,
        conversation_id: str,
        *,
        branch: str | None = None,
        cursor: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> MessagePage:
        if branch is None:
            branch = ALL if after is not None else ACTIVE
        named = None if branch in (ACTIVE, ALL) else branch
        values: dict[str, Any] = {
            **self._values(conversation_id),
            "branch": named or "",
            "leaf": None,
            "seq": None,
            "message": "",
            "after": min(after or 0, BEYOND),
            "limit": limit,
            "page_bytes": PAGE_BYTES_MAX,
            "with_drafts": cursor is None and after is None,
        }
        # Each with the message that has to be there. Which one is meant turns out with the answers.
        readings: list[tuple[str | None, _Reading]] = []
        if cursor is None:
            values["seq"] = None if branch != ALL else BEYOND if after is None else values["after"]
            readings = [(named, _Reading(values, is_forward=after is not None, is_path=branch != ALL))]
        else:
            anchor, place = cursors.start_of_messages(cursor)
            if anchor is not None:
                before = {**values, "message": anchor}
                readings.append((anchor, _Reading(before, is_forward=False, is_path=branch != ALL)))
            if place is not None:
                readings.append((None, _at(place, values)))
        needed = [message for message, _ in readings if message is not None]
        results = await self._executor.run(
            *(self._sql.message_exists(**{**values, "message": message}) for message in needed),
            *(self._page_of(reading, is_large=False) for _, reading in readings),
        )
        found = [message for message, rows in zip(needed, results, strict=False) if rows]
        pages = zip(readings, results[len(needed) :], strict=True)
        meant = next(((each, rows) for (id_, each), rows in pages if id_ is None or id_ in found), None)
        if meant is None:
            answer_in(results[-1], conversation_id)
            raise cursors.invalid() if named is None or cursor is not None else no_branch(named)
        reading, answers = meant
        if answers and answers[0]["answer"] is None:
            (answers,) = await self._executor.run(self._page_of(reading, is_large=True))
        return _page(decoded(answers, _MessageRows, conversation_id), reading, limit, values["now"])

    async def list_branches(self, conversation_id: str, message_id: str) -> BranchList:
        values = {
            **self._values(conversation_id),
            "message": message_id,
            "limit": SIBLINGS_MAX,
            "previewed": PREVIEWED_CHARACTERS_MAX,
        }
        conversations, answers = await self._executor.run(
            self._sql.get_conversation(**values), self._sql.list_siblings(**values)
        )
        self._live(conversations, conversation_id)
        if not answers:
            raise no_message(conversation_id, message_id)
        found = decoded(answers, BranchList, conversation_id)
        found.siblings.sort(key=attrgetter("seq"))
        for sibling in found.siblings:
            sibling.preview = preview_of(sibling.preview)
        return found

    async def select_leaf(
        self, conversation_id: str, message_id: str, *, descend: bool = True, expected_leaf_id: str | None = None
    ) -> Conversation:
        values = {
            **self._values(conversation_id),
            "message": message_id,
            "descend": descend,
            "expected_leaf": expected_leaf_id,
        }
        before, exists, _, _, answers = await self._executor.run(
            self._sql.get_conversation(**values),
            self._sql.message_exists(**values),
            self._sql.select_leaf(**values),
            self._sql.bump_rev(**values),
            self._sql.get_conversation(**values),
        )
        leaf_id = self._live(before, conversation_id).leaf_id
        if not exists:
            raise no_message(conversation_id, message_id)
        if expected_leaf_id not in (None, leaf_id):
            raise leaf_stale(expected_leaf_id or "", leaf_id)
        return decoded(answers, Conversation, conversation_id)

    async def delete_branch(self, conversation_id: str, message_id: str) -> DeletedBranch:
        while True:
            values = {**self._values(conversation_id), "message": message_id}
            _, _, answers, _ = await self._executor.run(
                self._sql.cut_branch(**values),
                self._sql.leave_cut_branch(**values),
                self._sql.cut_verdict(**values),
                self._sql.bump_rev(**values),
            )
            verdict = decoded(answers, _CutVerdict, conversation_id)
            if not verdict.is_there:
                raise no_message(conversation_id, message_id)
            if not verdict.drafts:
                return DeletedBranch(verdict.deleted, verdict.conversation)
            verdict.drafts.sort(key=attrgetter("started_at", "id"))
            open_ = [draft.id for draft in verdict.drafts if not draft.is_over(values["now"])]
            if open_:
                raise branch_has_drafts(open_)
            await self._settle_overdue(verdict.drafts)

    async def restore_branch(self, conversation_id: str, message_id: str) -> Conversation:
        values = {**self._values(conversation_id), "message": message_id}
        verdicts, *_, answers = await self._executor.run(
            self._sql.restore_verdict(**values),
            self._sql.touch_messages_of_cut(**values),
            self._sql.touch_conversation_of_cut(**values),
            self._sql.restore_branch(**values),
            self._sql.bump_rev(**values),
            self._sql.get_conversation(**values),
        )
        verdict = decoded(verdicts, _RestoreVerdict, conversation_id)
        if not verdict.is_there:
            raise no_message(conversation_id, message_id)
        if verdict.is_deleted and not verdict.has_parent:
            raise parent_is_deleted()
        return decoded(answers, Conversation, conversation_id)

    def _live(self, rows: list[Row], conversation_id: str) -> Conversation:
        conversation = decoded(rows, Conversation, conversation_id)
        if conversation.deleted_at is not None:
            raise no_conversation(conversation_id)
        return conversation

    def _page_of(self, reading: "_Reading", *, is_large: bool) -> Statement:
        sql = self._sql
        queries = {
            (False, False): (sql.list_messages_before, sql.list_large_messages_before),
            (True, False): (sql.list_messages_after, sql.list_large_messages_after),
            (False, True): (sql.list_path_before, sql.list_large_path_before),
            (True, True): (sql.list_path_after, sql.list_large_path_after),
        }
        return queries[reading.is_forward, reading.is_path][is_large](**reading.values)


class _Reading(NamedTuple):
    """A page to read."""

    values: dict[str, Any]
    is_forward: bool
    is_path: bool


def _at(place: cursors.MessageCursor, values: dict[str, Any]) -> _Reading:
    """What a cursor goes on with. It says itself whether that is a path."""
    seq = min(place.seq, BEYOND)
    if isinstance(place, cursors.AfterOnPath):
        return _Reading({**values, "after": seq, "leaf": min(place.leaf, BEYOND)}, is_forward=True, is_path=True)
    is_path = isinstance(place, cursors.BeforeOnPath)
    return _Reading({**values, "seq": seq}, is_forward=isinstance(place, cursors.AfterMessage), is_path=is_path)


def _page(page: _MessageRows, reading: _Reading, limit: int, time: int) -> MessagePage:
    """What a reading has come to."""
    rows = sorted(page.rows, key=attrgetter("seq"))
    rows = rows[:limit] if reading.is_forward else rows[-limit:]
    branches = branches_of(rows, [(child.follows, child.seq) for child in page.children])
    drafts = shown_in_order(page.drafts, time)
    if not page.more:
        return MessagePage(rows, None, branches, drafts)
    cursor: cursors.MessageCursor
    if reading.is_forward:
        last = rows[-1].seq
        cursor = cursors.AfterOnPath(last, page.top or 0) if reading.is_path else cursors.AfterMessage(last)
    else:
        first = rows[0].seq
        cursor = cursors.BeforeOnPath(first) if reading.is_path else cursors.BeforeMessage(first)
    return MessagePage(rows, cursors.encode(cursor), branches, drafts)
