"""A store in memory: the contract in plain Python. For tests and for trying things; it keeps nothing past its process.

It is also the model that the other back ends are compared with, so it is written to be read, not to be fast.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from threadkeep.clock import CLOCKS_APART_MILLISECONDS, Clock, now
from threadkeep.conversations import cursors
from threadkeep.conversations.branches import check_links_of_new, leaf_stale, link_invalid, links_of
from threadkeep.conversations.changes import Owner, as_change, end_of, follow
from threadkeep.conversations.content import merged_metadata, message_too_large, metadata_too_large
from threadkeep.conversations.filters import has, is_pinned
from threadkeep.conversations.forking import copies_of, forked_from, nothing_to_fork, title_of
from threadkeep.conversations.models import (
    DEFAULT_TITLE,
    DELETED_MAX,
    INTEGER_MAX,
    LOOKED_AT_MAX,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    Appended,
    Changes,
    Conversation,
    ConversationFields,
    ConversationPage,
    Deleted,
    Erased,
    HitPage,
    Message,
    MessageFields,
    Receipt,
    Removed,
    fields_of,
)
from threadkeep.conversations.records import (
    ConversationEdit,
    ConversationFilter,
    ConversationRecord,
    ForkRecord,
    ImportRecord,
    MessageEdit,
    MessageRecord,
    SearchQuery,
)
from threadkeep.conversations.search import Found, Term, hits, parse_query, starts_at
from threadkeep.conversations.store import (
    UsersToExpire,
    conversation_conflict,
    count_stale,
    import_conflict,
    message_conflict,
    message_stale,
    no_conversation,
    no_message,
    version_stale,
)
from threadkeep.errors import ThreadkeepError
from threadkeep.ids import NewId, new_id
from threadkeep.signals import Signals
from threadkeep.storage.base import Place
from threadkeep.storage.memory.agents import Blobs, Journals, MemoryStateStore, Tasks, Threads
from threadkeep.storage.memory.branches import KeptConversation, KeptMessage, MemoryBranches, count_that_fits
from threadkeep.storage.memory.drafts import DraftInMemory, MemoryDrafts
from threadkeep.tokenizer import words_of
from threadkeep.work import done


@dataclass
class _Owner:
    epoch: str = field(default_factory=new_id)
    rev: int = 0
    floor: int = 0
    last_n: int = 0
    conversations: dict[str, KeptConversation] = field(default_factory=dict)
    messages: dict[str, KeptMessage] = field(default_factory=dict)
    drafts: dict[str, DraftInMemory] = field(default_factory=dict)
    journals: Journals = field(default_factory=dict)
    blobs: Blobs = field(default_factory=dict)
    threads: Threads = field(default_factory=dict)
    tasks: Tasks = field(default_factory=Tasks)

    def next_n(self) -> int:
        self.last_n += 1
        return self.last_n

    def next_rev(self) -> int:
        self.rev += 1
        return self.rev


class MemoryDatabase:
    """What all users keep. See `Database` in `storage/base.py`."""

    def __init__(self) -> None:
        self.owners: dict[str, _Owner] = {}

    def open_store(self, user_id: str, bookmark: str | None = None) -> "MemoryStore":
        return MemoryStore(self, user_id)

    def journals_of(self, user_id: str) -> Journals:
        """The journals of a user, to read and to change."""
        return self.owners.setdefault(user_id, _Owner()).journals

    def blobs_of(self, user_id: str) -> Blobs:
        """The blobs of a user, to read and to change."""
        return self.owners.setdefault(user_id, _Owner()).blobs

    def threads_of(self, user_id: str) -> Threads:
        """The threads of a user, to read and to change."""
        return self.owners.setdefault(user_id, _Owner()).threads

    def tasks_of(self, user_id: str) -> Tasks:
        """The tasks of a user, to read and to change."""
        return self.owners.setdefault(user_id, _Owner()).tasks

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        found = (
            user_id
            for user_id, owner in self.owners.items()
            if any(0 < time <= until for kept in owner.conversations.values() for time in kept.deletions())
        )
        return list(islice(found, limit))

    async def users_to_expire(self, before: int, spares: Collection[str], after: str, limit: int) -> UsersToExpire:
        looked_at = sorted(user_id for user_id in self.owners if user_id > after)[:limit]
        due = [user_id for user_id in looked_at if any(MemoryStore(self, user_id).expired(before, spares))]
        return UsersToExpire(due, looked_at[-1] if looked_at else None)

    async def users_with_overdue_drafts(self, limit: int) -> list[str]:
        return [user_id for user_id in self.owners if MemoryStore(self, user_id).has_overdue_drafts()][:limit]

    async def tidy_index(self) -> bool:
        return False

    async def hear(self, signals: Signals) -> None:
        """No other process sees it."""

    async def tidy(self) -> None:
        """It has no logs."""

    async def check(self) -> None:
        """It answers as long as the process does."""

    async def close(self) -> None:
        """It goes with the process."""


async def connect(_: Place) -> MemoryDatabase:
    """An empty database. See `Backend.connect`."""
    return MemoryDatabase()


class MemoryStore(MemoryDrafts, MemoryBranches):
    """A `Store` in memory. See `conversations/store.py` for what each method promises."""

    bookmark: str | None = None

    def __init__(self, database: MemoryDatabase, user_id: str, clock: Clock = now, new_id: NewId = new_id) -> None:
        self._database = database
        self._user_id = user_id
        self._clock = clock
        self._new_id = new_id

    @property
    def _owner(self) -> _Owner:
        return self._database.owners.setdefault(self._user_id, _Owner())

    @property
    def state(self) -> MemoryStateStore:
        return MemoryStateStore(self._database, self._user_id, self._clock)

    async def create_conversation(self, record: ConversationRecord) -> tuple[Conversation, bool]:
        kept = self._owner.conversations.get(record.id)
        if kept is not None:
            if kept.conversation.deleted_at is not None or kept.digest != record.digest:
                raise conversation_conflict(record.id, kept.conversation)
            return replace(kept.conversation), False
        kept = self._create(record)
        return replace(kept.conversation), True

    async def put_conversation(
        self, record: ConversationRecord, *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        kept = self._owner.conversations.get(record.id)
        if kept is None:
            kept = self._create(record, expected_message_count)
            return Appended([_receipt(row.message) for row in kept.messages], replace(kept.conversation)), True
        if kept.conversation.deleted_at is not None:
            raise conversation_conflict(record.id, kept.conversation)
        appended, _ = await self.append_messages(
            record.id, record.messages, expected_message_count=expected_message_count
        )
        return appended, False

    def _create(self, record: ConversationRecord, expected_message_count: int | None = None) -> KeptConversation:
        taken = [message.id for message in record.messages if message.id in self._owner.messages]
        if taken:
            raise message_conflict(taken)
        if expected_message_count not in (None, 0):
            raise count_stale(expected_message_count, 0)
        check_links_of_new(record.messages)
        time = self._clock()
        kept = KeptConversation(
            self._conversation(
                record,
                title=record.title or DEFAULT_TITLE,
                title_source="user" if record.title else "default",
                created_at=time,
                updated_at=time,
                is_archived=False,
            ),
            record.digest,
            self._owner.next_n(),
            self._owner.next_rev(),
        )
        self._owner.conversations[record.id] = kept
        self._keep(kept, record.messages, _title(record.messages), time)
        return kept

    async def get_conversation(self, conversation_id: str) -> Conversation:
        return replace(self._find(conversation_id).conversation)

    async def list_conversations(
        self,
        *,
        is_archived: bool | None = False,
        cursor: str | None = None,
        limit: int = 20,
        only: ConversationFilter | None = None,
    ) -> ConversationPage:
        rows = [
            kept.conversation
            for kept in self._owner.conversations.values()
            if is_archived in (None, kept.conversation.is_archived) and kept.conversation.deleted_at is None
        ]
        rows.sort(key=_place, reverse=True)
        if cursor is not None:
            anchor, place = cursors.start_of_conversations(cursor)
            if anchor in self._owner.conversations:
                before = _place(self._owner.conversations[anchor].conversation)
            elif place is not None:
                before = (place.updated_at, place.id)
            else:
                raise cursors.invalid()
            rows = [row for row in rows if _place(row) < before]
        last = None
        if only is not None:
            after = -1 if only.created_after is None else only.created_after
            looked_at = [row for row in rows if row.updated_at > after][:LOOKED_AT_MAX]
            last = looked_at[-1] if len(looked_at) == LOOKED_AT_MAX else None
            rows = [row for row in looked_at if _is_wanted(row, only)]
        count = count_that_fits([len(msgspec.json.encode(row)) for row in rows[:limit]])
        page = [replace(row) for row in rows[:count]]
        if len(rows) > count:
            last = page[-1]
        return ConversationPage(
            page,
            cursors.encode(cursors.AfterConversation(*_place(last))) if last else None,
            cursors.encode(end_of(self._place_in_changes())) if cursor is None else UNSET,
        )

    async def update_conversation(
        self, conversation_id: str, edit: ConversationEdit, *, expected_version: int | None = None
    ) -> Conversation:
        kept = self._find(conversation_id)
        conversation = kept.conversation
        if expected_version is not None and conversation.version != expected_version:
            raise version_stale(expected_version, replace(conversation))
        time = self._clock()
        edited_at = time if edit.edited_at is None else min(edit.edited_at, time)

        def last_edited_at(name: str) -> int:
            return _unless_ahead(kept.edited_at.get(name, 0), time)

        def wins(name: str) -> bool:
            return getattr(edit, name) is not UNSET and (
                expected_version is not None or edit.edited_at is None or edited_at >= last_edited_at(name)
            )

        new_metadata = conversation.metadata
        if edit.metadata is None:
            new_metadata = Raw(b"{}")
        elif isinstance(edit.metadata, Raw) and wins("metadata"):
            new_metadata = merged_metadata(conversation.metadata, edit.metadata)
            if len(bytes(new_metadata)) > METADATA_BYTES_MAX:
                raise metadata_too_large("metadata")
        changes: dict[str, dict[str, Any]] = {
            "title": {
                "title": edit.title or DEFAULT_TITLE,
                "title_source": "user" if edit.title else "default",
            },
            "model": {"model": edit.model or None},
            "is_archived": {"is_archived": bool(edit.is_archived)},
            "metadata": {"metadata": new_metadata},
        }
        won = [name for name in changes if wins(name)]
        if won:
            for name in won:
                conversation = replace(conversation, **changes[name])
            for name in changes:
                if getattr(edit, name) is not UNSET:
                    kept.edited_at[name] = max(last_edited_at(name), edited_at)
            kept.conversation = replace(conversation, version=conversation.version + 1)
            kept.rev = self._owner.next_rev()
        return replace(kept.conversation)

    async def delete_conversation(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        kept = self._find(conversation_id, even_deleted=True)
        if kept.conversation.deleted_at is None:
            if expected_version not in (None, kept.conversation.version):
                raise version_stale(expected_version, replace(kept.conversation))
            kept.conversation = replace(
                kept.conversation, deleted_at=self._clock(), version=kept.conversation.version + 1
            )
            kept.rev = self._owner.next_rev()

    async def delete_conversations(self, before: int, *, is_archived: bool | None = False) -> Deleted:
        count = self._delete_oldest(
            kept
            for kept in self._owner.conversations.values()
            if kept.conversation.updated_at < before and is_archived in (None, kept.conversation.is_archived)
        )
        return Deleted(count, count < DELETED_MAX)

    async def restore_conversation(self, conversation_id: str) -> Conversation:
        kept = self._find(conversation_id, even_deleted=True)
        if kept.conversation.deleted_at is not None:
            kept.conversation = replace(kept.conversation, deleted_at=None, version=kept.conversation.version + 1)
            kept.rev = self._owner.next_rev()
            kept.expires_from = self._clock()
            for row in kept.messages:
                row.rev = kept.rev
        return replace(kept.conversation)

    async def append_messages(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
    ) -> tuple[Appended, bool]:
        return self._append_beside_drafts(
            conversation_id, messages, expected_message_count, expected_leaf_id, interrupts=interrupts
        )

    def _append(
        self, conversation_id: str, messages: list[MessageRecord], expected: int | None, expected_leaf_id: str | None
    ) -> tuple[Appended, bool]:
        kept, fresh = self._check_append(conversation_id, messages, expected, expected_leaf_id)
        if fresh:
            kept.rev = self._owner.next_rev()
        self._keep(kept, fresh, _title(messages), self._clock())
        receipts = [_receipt(self._owner.messages[message.id].message) for message in messages]
        return Appended(receipts, replace(kept.conversation)), bool(fresh)

    def _check_append(
        self, conversation_id: str, messages: list[MessageRecord], expected: int | None, expected_leaf_id: str | None
    ) -> tuple[KeptConversation, list[MessageRecord]]:
        """Where messages are appended, and which of them are new. Raises as `Store.append_messages` does."""
        kept = self._find(conversation_id)
        known = {
            message.id: self._owner.messages[message.id] for message in messages if message.id in self._owner.messages
        }
        taken = [
            message.id
            for message in messages
            if message.id in known
            and (
                known[message.id].digest != message.digest
                or known[message.id].message.conversation_id != conversation_id
            )
        ]
        if taken:
            raise message_conflict(taken)
        fresh = [message for message in messages if message.id not in known]
        if unknown := _unknown_links(kept, messages, known):
            raise link_invalid(messages, unknown)
        count = kept.conversation.message_count
        if fresh and expected not in (None, count):
            raise count_stale(expected, count)
        if fresh and expected_leaf_id not in (None, kept.conversation.leaf_id):
            raise leaf_stale(expected_leaf_id or "", kept.conversation.leaf_id)
        return kept, fresh

    async def fork_conversation(self, conversation_id: str, fork: ForkRecord) -> tuple[Conversation, bool]:
        known = self._owner.conversations.get(fork.id)
        if known is not None:
            if known.conversation.deleted_at is not None or known.digest != fork.digest:
                raise conversation_conflict(fork.id, known.conversation)
            return replace(known.conversation), False
        original = self._find(conversation_id)
        leaf = original.leaf if fork.message_id is None else self._seq_in(original, fork.message_id)
        path = [original.messages[seq - 1].message for seq in sorted(original.path(leaf))]
        if not path:
            raise nothing_to_fork()
        copies = await done(copies_of(path, self._new_id))
        title, title_source = title_of(fork, original.conversation)
        time = self._clock()
        kept = KeptConversation(
            replace(
                original.conversation,
                id=fork.id,
                title=title,
                title_source=title_source,
                created_at=time,
                updated_at=time,
                message_count=len(path),
                is_archived=False,
                version=1,
                forked_from=forked_from(path[-1], time),
            ),
            fork.digest,
            self._owner.next_n(),
            self._owner.next_rev(),
        )
        self._owner.conversations[fork.id] = kept
        for before, copy in enumerate(copies):
            self._add(kept, copy, time, before)
        kept.select(len(copies))
        return replace(kept.conversation), True

    async def get_message(self, conversation_id: str, message_id: str) -> Message:
        return replace(self._find_message(conversation_id, message_id).message)

    async def update_message(
        self, conversation_id: str, message_id: str, edit: MessageEdit, *, expected_version: int | None = None
    ) -> Message:
        kept = self._find_message(conversation_id, message_id)
        message = kept.message
        if expected_version not in (None, message.version):
            raise message_stale(expected_version, replace(message))
        time = self._clock()
        edited_at = time if edit.edited_at is None else min(edit.edited_at, time)
        last_edited_at = _unless_ahead(kept.edited_at, time)
        loses = expected_version is None and edit.edited_at is not None and edited_at < last_edited_at
        if isinstance(edit.metadata, UnsetType) or loses:
            return replace(message)
        before, metadata = _written(message.metadata), Raw(b"null")
        if edit.metadata is not None:
            metadata = merged_metadata(message.metadata, edit.metadata)
        if len(_written(metadata)) > METADATA_BYTES_MAX:
            raise metadata_too_large("metadata")
        size = kept.size - len(before) + len(_written(metadata))
        if size > MESSAGE_BYTES_MAX:
            raise message_too_large("metadata", size)
        kept.message = replace(message, metadata=metadata, version=message.version + 1)
        kept.size = size
        kept.edited_at = max(last_edited_at, edited_at)
        kept.rev = self._owner.next_rev()
        return replace(kept.message)

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        owner = self._place_in_changes()
        if since is None:
            return Changes([], [], cursors.encode(end_of(owner)), has_more=False)
        position = cursors.decode_change(since)
        floor = follow(position, owner)
        rows: list[tuple[tuple[int, int, int], int, KeptConversation | KeptMessage | Removed | DraftInMemory]] = []
        for kept in self._owner.conversations.values():
            rows.append(((kept.rev, 0, kept.n), 20_000, kept))
            if kept.conversation.deleted_at is None:
                rows += [((row.rev, 1, row.n), row.size, row) for row in kept.messages if kept.is_kept(row.message.seq)]
                rows += [((cut.rev, 2, each.from_seq), 0, each) for cut in kept.cuts for each in kept.ranges(cut)]
        for draft in self._owner.drafts.values():
            if self._find_live(draft.draft.conversation_id):
                rows.append(((draft.rev, 3, draft.n), 1_000, draft))
        rows = sorted(row for row in rows if row[0] > (position.rev, position.kind, position.n))
        page = rows[: count_that_fits([size for _, size, _ in rows[:limit]])]
        more = len(rows) > len(page)
        after = cursors.AfterChange(owner.epoch, *page[-1][0], floor) if more else end_of(owner)
        return Changes(
            [as_change(replace(kept.conversation)) for _, _, kept in page if isinstance(kept, KeptConversation)],
            [replace(kept.message) for _, _, kept in page if isinstance(kept, KeptMessage)],
            cursors.encode(after),
            more,
            [each for _, _, each in page if isinstance(each, Removed)],
            [kept.change for _, _, kept in page if isinstance(kept, DraftInMemory)],
        )

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        outcomes: list[ThreadkeepError | None] = []
        rev = None
        for record in records:
            known = self._owner.conversations.get(record.id)
            if known is not None:
                is_repeat = known.digest == record.digest and known.conversation.deleted_at is None
                outcomes.append(None if is_repeat else import_conflict())
                continue
            outcomes.append(None)
            rev = rev or self._owner.next_rev()
            kept = KeptConversation(
                self._conversation(
                    record,
                    title_source=record.title_source,
                    created_at=record.created_at,
                    updated_at=record.updated_at,
                    is_archived=record.is_archived,
                    forked_from=record.forked_from,
                ),
                record.digest,
                self._owner.next_n(),
                rev,
                expires_from=self._clock(),
            )
            self._owner.conversations[record.id] = kept
            forks = dict(record.forks)
            for before, message in enumerate(record.messages):
                self._add(kept, message, record.created_at, forks.get(before + 1, before))
            kept.select(record.leaf_seq or len(kept.messages))
            kept.conversation = replace(kept.conversation, message_count=len(kept.messages))
        return outcomes

    async def erase(self) -> Erased:
        kept = self._owner.conversations.values()
        messages = sum(1 for conversation in kept for row in conversation.messages if row.message.id)
        owner = self._owner
        erased = Erased(
            len(kept), messages, len(owner.journals), len(owner.blobs), len(owner.threads), len(owner.tasks.tasks)
        )
        del self._database.owners[self._user_id]
        return erased

    async def expire(self, before: int, spares: Collection[str] = ()) -> bool:
        return self._delete_oldest(self.expired(before, spares)) == DELETED_MAX

    def expired(self, before: int, spares: Collection[str]) -> Iterator[KeptConversation]:
        """What expires, and is not deleted yet."""
        for kept in self._unspared(spares):
            if kept.conversation.updated_at < before and kept.expires_from < before:
                yield kept

    async def oldest_append(self, spares: Collection[str] = ()) -> int | None:
        return min((kept.conversation.updated_at for kept in self._unspared(spares)), default=None)

    def _unspared(self, spares: Collection[str]) -> Iterator[KeptConversation]:
        for kept in self._owner.conversations.values():
            conversation = kept.conversation
            if conversation.deleted_at is None and not (
                ("archived" in spares and conversation.is_archived)
                or ("pinned" in spares and is_pinned(conversation.metadata))
            ):
                yield kept

    def _delete_oldest(self, found: Iterable[KeptConversation]) -> int:
        """Delete so many of these as are deleted at once; return how many."""
        alive = [kept for kept in found if kept.conversation.deleted_at is None]
        part = sorted(alive, key=lambda kept: (kept.conversation.updated_at, kept.n))[:DELETED_MAX]
        if part:
            rev, time = self._owner.next_rev(), self._clock()
            for kept in part:
                kept.conversation = replace(kept.conversation, deleted_at=time, version=kept.conversation.version + 1)
                kept.rev = rev
        return len(part)

    async def purge(self, until: int) -> int | None:
        owner = self._owner
        later: list[int] = []
        for kept in list(owner.conversations.values()):
            deleted_at = kept.conversation.deleted_at
            if deleted_at is not None and deleted_at <= until:
                owner.floor = max(owner.floor, kept.rev)
                del owner.conversations[kept.conversation.id]
                for row in kept.messages:
                    owner.messages.pop(row.message.id, None)
                continue
            for cut in kept.cuts:
                if 0 < cut.deleted_at <= until:
                    owner.floor = max(owner.floor, cut.rev)
                    for row in kept.purge(cut):
                        del owner.messages[row.message.id]
            later += filter(None, kept.deletions())
        for draft in list(owner.drafts.values()):
            is_forgotten = draft.draft.settled_at is not None and draft.draft.settled_at <= until
            if is_forgotten or draft.draft.conversation_id not in owner.conversations:
                del owner.drafts[draft.draft.id]
        tasks = owner.tasks
        if not (owner.conversations or owner.journals or owner.blobs or owner.threads or tasks.tasks or tasks.closed):
            del self._database.owners[self._user_id]
        return min(later, default=None)

    async def sweep(self) -> bool:
        return False

    async def tidy(self) -> bool:
        return False

    def _place_in_changes(self) -> Owner:
        owner = self._owner
        return Owner(owner.epoch, owner.rev, owner.floor) if owner.rev else Owner("", 0, 0)

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        terms = parse_query(query.text)
        skip = cursors.decode_hits(cursor).count if cursor is not None else 0
        within = None if query.conversation_id is None else self._find(query.conversation_id)
        if not terms:
            return HitPage([], None)
        since, until = query.since or 0, query.until if query.until is not None else INTEGER_MAX
        found: list[tuple[tuple[float, int, int], int, Found]] = []
        for kept in self._owner.conversations.values() if within is None else [within]:
            conversation = kept.conversation
            if conversation.deleted_at is not None:
                continue
            if (
                query.role is None
                and within is None
                and conversation.title_source != "default"
                and since <= conversation.created_at < until
            ):
                score = _score(words_of(conversation.title), terms)
                if score:
                    found.append(((score, conversation.created_at, 0), 0, Found(conversation, None, True, None)))
            path = list(kept.path(kept.leaf))
            for row in kept.messages:
                seq = row.message.seq
                if not kept.is_kept(seq) or (query.only_active and seq not in path):
                    continue
                if query.role in (None, row.message.role) and since <= row.message.created_at < until:
                    score = _score(row.words, terms)
                    if score:
                        place = (score, row.message.created_at, row.message.seq)
                        if seq in path:
                            next_seq = path[path.index(seq) - 1] if seq != kept.leaf else None
                        else:
                            next_seq = max(kept.children_of(seq), default=None)
                        found.append((place, row.size, Found(conversation, row.message, seq in path, next_seq)))
        found.sort(key=lambda item: item[0], reverse=True)
        rest = found[skip:]
        page = rest[: count_that_fits([size + 20_000 for _, size, _ in rest[:limit]])]
        count = skip + len(page)
        shown = [
            each._replace(
                conversation=replace(each.conversation), message=replace(each.message) if each.message else None
            )
            for _, _, each in page
        ]
        return HitPage(
            await done(hits(shown, terms)),
            cursors.encode(cursors.AfterHits(count)) if len(rest) > len(page) and count <= cursors.HITS_MAX else None,
        )

    def _find(self, conversation_id: str, *, even_deleted: bool = False) -> KeptConversation:
        kept = self._owner.conversations.get(conversation_id)
        if kept is None or (kept.conversation.deleted_at is not None and not even_deleted):
            raise no_conversation(conversation_id)
        return kept

    def _find_message(self, conversation_id: str, message_id: str) -> KeptMessage:
        kept = self._find(conversation_id)
        for row in kept.messages:
            if row.message.id == message_id and kept.is_kept(row.message.seq):
                return row
        raise no_message(conversation_id, message_id)

    def _conversation(self, record: ConversationRecord | ImportRecord, **others: Any) -> Conversation:
        """A conversation that has no messages yet."""
        new = {"user_id": self._user_id, "message_count": 0, "version": 1, "deleted_at": None, "leaf_id": None}
        new |= {"forked_from": None}
        return Conversation(**fields_of(ConversationFields, record) | new | others)

    def _add(self, kept: KeptConversation, record: MessageRecord, time: int, follows: int) -> None:
        others = {
            "follows": follows,
            "id": record.id,
            "conversation_id": kept.conversation.id,
            "seq": len(kept.messages) + 1,
            "created_at": time if record.created_at is None else record.created_at,
            "metadata": record.message.metadata or Raw(b"null"),
            "version": 1,
        }
        message = Message(**fields_of(MessageFields, record.message) | others)
        row = KeptMessage(message, record.digest, record.size, record.words, self._owner.next_n(), kept.rev)
        kept.messages.append(row)
        self._owner.messages[record.id] = row

    def _keep(self, kept: KeptConversation, records: list[MessageRecord], title: str | None, time: int) -> None:
        """Store messages that are known to be new, and what follows from them."""
        if not records:
            return
        before = kept.leaf
        leaf = before
        for record in records:
            self._add(kept, record, time, kept.link(record, before))
            before = len(kept.messages)
            leaf = before if record.select else leaf
        kept.select(leaf)
        conversation = replace(
            kept.conversation,
            message_count=len(kept.messages),
            updated_at=max(kept.conversation.updated_at, time),
        )
        if title and conversation.title_source == "default":
            conversation = replace(conversation, title=title, title_source="first_message")
        kept.conversation = conversation


def _unknown_links(kept: KeptConversation, sent: list[MessageRecord], known: Collection[str]) -> list[str]:
    """Those of the messages that are new and follow what is not there."""
    return [
        link.id
        for link in links_of(sent)
        if link.of is not None
        and link.id not in known
        and (link.where == "elsewhere" or link.of in known)
        and not ((seq := kept.seq_of(link.of)) and kept.is_kept(seq))
    ]


def _score(words: str, terms: list[Term]) -> float:
    """How well words fit: how many of them are what was searched for; 0 where any term is missing."""
    found = words.split()
    counts = [sum(starts_at(found, index, term) for index in range(len(found))) for term in terms]
    return sum(counts) / len(found) if all(counts) else 0


def _unless_ahead(time: int, now: int) -> int:
    """When something was last edited; 0 where a clock that was wrong said so."""
    return 0 if time > now + CLOCKS_APART_MILLISECONDS else time


def _written(metadata: Raw) -> bytes:
    """Metadata as it counts towards the size of a message."""
    return b"" if bytes(metadata) == b"null" else bytes(metadata)


def _receipt(message: Message) -> Receipt:
    return Receipt(message.id, message.seq, message.created_at)


def _title(records: list[MessageRecord]) -> str | None:
    return next((record.title for record in records if record.title), None)


def _is_wanted(row: Conversation, only: ConversationFilter) -> bool:
    return (
        only.model in (None, row.model)
        and (only.created_after is None or row.created_at > only.created_after)
        and (only.created_before is None or row.created_at < only.created_before)
        and (only.metadata is None or has(row.metadata, *only.metadata))
    )


def _place(conversation: Conversation) -> tuple[int, str]:
    return conversation.updated_at, conversation.id
