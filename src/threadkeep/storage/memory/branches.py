"""Pages of messages, and branches, in memory: a tree that is walked message by message."""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from dataclasses import replace as replace_row
from typing import TYPE_CHECKING, Any

from msgspec import Raw
from msgspec.structs import replace

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
from threadkeep.conversations.models import (
    PAGE_BYTES_MAX,
    BranchList,
    Conversation,
    DeletedBranch,
    Draft,
    Message,
    MessagePage,
    Removed,
    Sibling,
)
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.store import no_message


@dataclass
class KeptMessage:
    message: Message
    digest: str
    size: int
    words: str
    n: int
    rev: int
    edited_at: int = 0


@dataclass
class Cut:
    """A deleted branch."""

    seqs: set[int]
    rev: int
    deleted_at: int
    """0 when it is purged."""


@dataclass
class KeptConversation:
    conversation: Conversation
    digest: str
    n: int
    rev: int
    messages: list[KeptMessage] = field(default_factory=list)
    edited_at: dict[str, int] = field(default_factory=dict)
    expires_from: int = 0
    leaf: int = 0
    """The `seq` of the message with which the active path ends; 0 where there is none."""
    cuts: list[Cut] = field(default_factory=list)

    def is_kept(self, seq: int) -> bool:
        """Whether a message is in no deleted branch."""
        return not any(seq in cut.seqs for cut in self.cuts)

    def deletions(self) -> Iterator[int]:
        """When it was deleted, and its branches; 0 for one that is purged."""
        yield self.conversation.deleted_at or 0
        yield from (cut.deleted_at for cut in self.cuts)

    def purge(self, cut: Cut) -> list[KeptMessage]:
        """Remove the messages of a deleted branch, and return them. Their places are not given again."""
        purged = [self.messages[seq - 1] for seq in sorted(cut.seqs)]
        for row in purged:
            nothing = replace(row.message, id="", content=Raw(b"[]"), metadata=Raw(b"null"), model=None, parent_id=None)
            self.messages[row.message.seq - 1] = replace_row(row, message=nothing, digest="", size=0, words="")
        cut.deleted_at = 0
        return purged

    def ranges(self, cut: Cut) -> list[Removed]:
        """A deleted branch as ranges of messages that follow one another, in order."""
        if not cut.deleted_at:
            return []
        starts = [seq for seq in sorted(cut.seqs) if seq - 1 not in cut.seqs or self.parent_of(seq) != seq - 1]
        ends = [max(seq for seq in cut.seqs if seq < after) for after in (*starts[1:], max(cut.seqs) + 1)]
        pairs = zip(starts, ends, strict=True)
        return [Removed(self.conversation.id, start, end, cut.deleted_at) for start, end in pairs]

    def parent_of(self, seq: int) -> int:
        """The `seq` of what a message follows, or would follow if it were there."""
        return self.messages[seq - 1].message.follows if seq <= len(self.messages) else seq - 1

    def seq_of(self, message_id: str | None) -> int | None:
        """The `seq` of a message of this conversation, be it deleted; None where there is none."""
        return next((row.message.seq for row in self.messages if row.message.id == message_id), None)

    def path(self, seq: int) -> Iterator[int]:
        """A message and what it follows, up to a root."""
        while seq and self.is_kept(seq):
            yield seq
            seq = self.parent_of(seq)

    def children_of(self, seq: int) -> list[int]:
        """What follows a message and is kept; with 0, the roots."""
        rows = (row.message for row in self.messages)
        return [row.seq for row in rows if row.follows == seq and self.is_kept(row.seq)]

    def below(self, seq: int) -> set[int]:
        """A message and all that was said below it, but for what is deleted."""
        found = {seq}
        for row in self.messages:
            if row.message.follows in found and row.message.seq not in found and self.is_kept(row.message.seq):
                found.add(row.message.seq)
        return found

    def link(self, record: MessageRecord, otherwise: int) -> int:
        """What a message is to follow, whose parent or sibling is there."""
        if record.is_root:
            return 0
        parent = self.seq_of(record.message.parent_id or record.follows_id)
        sibling = self.seq_of(record.sibling_of)
        return parent or (otherwise if sibling is None else self.parent_of(sibling))

    def select(self, leaf: int) -> None:
        """Have the active path end with a message."""
        self.leaf = leaf
        leaf_id = self.messages[leaf - 1].message.id if leaf else None
        self.conversation = replace(self.conversation, leaf_id=leaf_id)


class MemoryBranches:
    """What `MemoryStore` does with the messages of a conversation, and with its branches."""

    _clock: Callable[[], int]

    if TYPE_CHECKING:  # what the class has that this is mixed into

        @property
        def _owner(self) -> Any: ...

        def _find(self, conversation_id: str, *, even_deleted: bool = False) -> KeptConversation: ...

        def _drafts_of(self, conversation_id: str) -> list[Draft]: ...

        async def _settle_below(self, conversation_id: str, seqs: Container[int]) -> None: ...

    async def list_messages(
        self,
        conversation_id: str,
        *,
        branch: str | None = None,
        cursor: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> MessagePage:
        anchor, place = (None, None) if cursor is None else cursors.start_of_messages(cursor)
        kept = self._find(conversation_id)
        drafts = self._drafts_of(conversation_id) if cursor is None and after is None else []
        if branch is None:
            branch = ALL if after is not None else ACTIVE
        leaf = kept.leaf if branch in (ACTIVE, ALL) else kept.seq_of(branch)
        is_path, before = branch != ALL, None
        found = kept.seq_of(anchor)
        if found is not None and kept.is_kept(found):
            before = found
        elif isinstance(place, cursors.AfterMessage | cursors.AfterOnPath):
            is_path, after = isinstance(place, cursors.AfterOnPath), place.seq
            leaf = place.leaf if isinstance(place, cursors.AfterOnPath) else leaf
        elif place is not None:
            is_path, before = isinstance(place, cursors.BeforeOnPath), place.seq
        elif cursor is not None:
            raise cursors.invalid()
        elif leaf is None or not kept.is_kept(leaf):
            raise no_branch(branch)
        if is_path:
            top = min(leaf or 0 if before is None else kept.parent_of(before), len(kept.messages))
            seqs = sorted(kept.path(top))
        else:
            seqs = [row.message.seq for row in kept.messages if kept.is_kept(row.message.seq)]
            seqs = seqs if before is None else [seq for seq in seqs if seq < before]
        rows = [kept.messages[seq - 1] for seq in seqs]
        next_cursor: cursors.MessageCursor | None = None
        if after is not None:
            ahead = [row for row in rows if row.message.seq > after]
            page = ahead[: count_that_fits([row.size for row in ahead[:limit]])]
            if len(ahead) > len(page):
                last = page[-1].message.seq
                next_cursor = cursors.AfterOnPath(last, leaf or 0) if is_path else cursors.AfterMessage(last)
        else:
            behind = rows[::-1]
            page = behind[: count_that_fits([row.size for row in behind[:limit]])][::-1]
            if len(behind) > len(page):
                first = page[0].message.seq
                next_cursor = cursors.BeforeOnPath(first) if is_path else cursors.BeforeMessage(first)
        messages = [replace(row.message) for row in page]
        parents = {message.follows for message in messages if is_path}
        children = [(parent, child) for parent in parents for child in kept.children_of(parent)]
        cursor = None if next_cursor is None else cursors.encode(next_cursor)
        return MessagePage(messages, cursor, branches_of(messages, children), drafts)

    async def list_branches(self, conversation_id: str, message_id: str) -> BranchList:
        kept = self._find(conversation_id)
        parent = kept.parent_of(self._seq_in(kept, message_id))
        path = set(kept.path(kept.leaf))
        siblings = []
        for seq in kept.children_of(parent)[-SIBLINGS_MAX:]:
            message, below = kept.messages[seq - 1].message, kept.below(seq)
            content = bytes(message.content).decode()[:PREVIEWED_CHARACTERS_MAX]
            siblings.append(
                Sibling(
                    id=message.id,
                    seq=seq,
                    role=message.role,
                    created_at=message.created_at,
                    preview=preview_of(content),
                    leaf_id=kept.messages[max(below) - 1].message.id,
                    message_count=len(below),
                    is_current=seq in path,
                )
            )
        return BranchList(parent, siblings)

    async def select_leaf(
        self, conversation_id: str, message_id: str, *, descend: bool = True, expected_leaf_id: str | None = None
    ) -> Conversation:
        kept = self._find(conversation_id)
        seq = self._seq_in(kept, message_id)
        if expected_leaf_id not in (None, kept.conversation.leaf_id):
            raise leaf_stale(expected_leaf_id or "", kept.conversation.leaf_id)
        leaf = max(kept.below(seq)) if descend else seq
        if leaf != kept.leaf:
            kept.select(leaf)
            kept.rev = self._owner.next_rev()
        return replace(kept.conversation)

    async def delete_branch(self, conversation_id: str, message_id: str) -> DeletedBranch:
        kept = self._find(conversation_id)
        seq = kept.seq_of(message_id)
        if seq is None:
            raise no_message(kept.conversation.id, message_id)
        deleted = kept.below(seq) if kept.is_kept(seq) else set()
        await self._settle_below(conversation_id, deleted)
        deleted = kept.below(seq) if kept.is_kept(seq) else set()
        if deleted:
            kept.rev = self._owner.next_rev()
            kept.cuts.append(Cut(deleted, kept.rev, self._clock()))
            if kept.leaf in deleted:
                kept.select(max(kept.below(kept.parent_of(seq))))
        return DeletedBranch(len(deleted), replace(kept.conversation))

    async def restore_branch(self, conversation_id: str, message_id: str) -> Conversation:
        kept = self._find(conversation_id)
        seq = kept.seq_of(message_id)
        if seq is None:
            raise no_message(kept.conversation.id, message_id)
        cut = next((cut for cut in kept.cuts if seq in cut.seqs), None)
        if cut is not None:
            parent = kept.parent_of(min(cut.seqs))
            if not kept.is_kept(parent):
                raise parent_is_deleted()
            kept.cuts.remove(cut)
            kept.rev = self._owner.next_rev()
            for each in cut.seqs:
                kept.messages[each - 1].rev = kept.rev
            if kept.leaf == parent:
                kept.select(max(cut.seqs))
        return replace(kept.conversation)

    @staticmethod
    def _seq_in(kept: KeptConversation, message_id: str) -> int:
        seq = kept.seq_of(message_id)
        if seq is None or not kept.is_kept(seq):
            raise no_message(kept.conversation.id, message_id)
        return seq


def count_that_fits(sizes: list[int]) -> int:
    """How many rows of these sizes make a page: at least one if there is any."""
    total = 0
    for index, size in enumerate(sizes):
        total += size
        if index and total > PAGE_BYTES_MAX:
            return index
    return len(sizes)
