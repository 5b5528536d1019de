"""SqlStore: the contract over any database that speaks SQL, one batch of statements for nearly everything.

The order within a batch is what keeps it right: the guarded changes, which bear the next value of the counter; the
answer, which tells by that what is new; and last the counter. See docs/decisions/0001-one-batch-per-operation.md.
"""

from collections.abc import Callable, Collection, Iterable
from itertools import accumulate, zip_longest
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import asdict

from threadkeep.clock import Clock, now
from threadkeep.conversations import cursors
from threadkeep.conversations.branches import (
    ACTIVE,
    check_links_of_new,
    follows_leaf,
    leaf_stale,
    link_invalid,
    links_of,
)
from threadkeep.conversations.changes import Owner, as_change, end_of, follow
from threadkeep.conversations.content import metadata_too_large
from threadkeep.conversations.drafts.store import draft_open, drafts_are_busy
from threadkeep.conversations.filters import as_written, has
from threadkeep.conversations.forking import (
    FORKED_MESSAGES_MAX,
    copies_of,
    forked_from,
    nothing_to_fork,
    title_of,
    too_long,
)
from threadkeep.conversations.models import (
    DEFAULT_TITLE,
    DELETED_MAX,
    LOOKED_AT_MAX,
    MESSAGES_LIMIT_MAX,
    METADATA_BYTES_MAX,
    PAGE_BYTES_MAX,
    VALUE_BYTES_MAX,
    Appended,
    Changes,
    Conversation,
    ConversationFields,
    ConversationPage,
    Deleted,
    DraftChange,
    Erased,
    HitPage,
    Message,
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
    MessageRecord,
    SearchQuery,
)
from threadkeep.conversations.search import Found, blocks_of, hits, indexed_size, parse_query, text_of, text_of_content
from threadkeep.conversations.store import (
    UsersToExpire,
    conversation_conflict,
    count_stale,
    import_conflict,
    message_conflict,
    no_conversation,
    no_message,
    version_stale,
)
from threadkeep.errors import ThreadkeepError
from threadkeep.ids import NewId, new_id
from threadkeep.storage.sql.agents import SqlStateStore, sweep_state
from threadkeep.storage.sql.arrays import arrays
from threadkeep.storage.sql.base import BEYOND, as_json, decoded, times_of_edit
from threadkeep.storage.sql.branches import SqlBranches
from threadkeep.storage.sql.columns import CONVERSATION, MESSAGE
from threadkeep.storage.sql.drafts import (
    NOTHING_SETTLED,
    TRIES_MAX,
    DraftsInTheWay,
    DraftsMoved,
    Settled,
)
from threadkeep.storage.sql.executor import Executor, Query, Row, Statement
from threadkeep.storage.sql.marks import mark_of
from threadkeep.storage.sql.messages import SqlMessages
from threadkeep.tokenizer import first_tokens, words_of
from threadkeep.work import Work, done, finished

T = TypeVar("T")

# What is swept at once: well within the time that D1 gives a batch.
_SWEPT_CONVERSATIONS_MAX = 100
_SWEPT_MESSAGES_MAX = 500
_SWEPT_BYTES_MAX = 8_000_000
_LINKED_MESSAGES_MAX = 2_000
"""Of how many messages it is looked up at once what they follow, of which no content is read."""
_BEYOND_IDS = "~"
_JSON_OF_MESSAGE = [column.name for column in MESSAGE if column.type == "json"]
_JSON_OF_CONVERSATION = [column.name for column in CONVERSATION if column.type == "json"]
_NOBODY = Owner("", 0, 0)
"""A user who never wrote is at the beginning of the changes."""


class _Rows(Struct):
    """A page as the database makes it, in no particular order."""

    more: bool


class _ConversationRows(Struct):
    owner: Owner | None
    rows: list[Conversation]


class _Place(Struct):
    updated_at: int
    id: str


class _FilteredRows(_ConversationRows):
    looked: int
    last: _Place | None


class _HitRow(Struct, rename="camel"):
    position: int
    conversation: Conversation
    message: Message | None
    is_active: bool
    next_seq: int | None


class _HitRows(_Rows):
    rows: list[_HitRow]


class _ChangeRow(Struct):
    rev: int
    kind: int
    n: int
    conversation: Conversation | None
    message: Message | None
    removed: Removed | None
    draft: DraftChange | None


class _ChangeRows(_Rows):
    owner: Owner | None
    rows: list[_ChangeRow]


class _Created(Struct, rename="camel"):
    is_new: int
    digest: str | None
    conflicts: list[str]
    conversation: Conversation | None


class _ImportVerdict(Struct, rename="camel"):
    id: str
    digest: str
    is_deleted: bool


class _AppendedMessage(Receipt):
    is_new: int
    is_same: int


class _Appended(Struct, rename="camel"):
    messages: list[_AppendedMessage]
    unknown: list[str]
    drafts: list[str]
    conversation: Conversation


class _EditVerdict(Struct, rename="camel"):
    version: int
    metadata_bytes: int


class _Swept(Struct):
    """Rows by their `n`."""

    conversations: list[int]
    messages: list[int]


class _ToIndexAgain(Struct):
    """What only the index of the version before has: everything by its `n`, and what of it says something."""

    places: list[int]
    messages: list["_Said"]
    titles: list["_Titled"]


class _Said(Struct):
    id: str
    content: msgspec.Raw


class _Titled(Struct):
    id: str
    title: str


class _Behind(Struct, rename="camel"):
    """How far a user's messages are indexed as they are now, of how far they go."""

    rev: int
    indexed_rev: int
    indexed_n: int


class _MessageBehind(Struct):
    rev: int
    n: int
    message: _Said


class _ToCatchUp(Struct):
    """Messages to look at again, of `count` that were listed."""

    rows: list[_MessageBehind]
    count: int


class _Unlinked(Struct, rename="camel"):
    """How far it is known of a user's messages what they follow, of how far they go."""

    rev: int
    linked_rev: int
    linked_n: int


class _ToLink(Struct):
    """A part of these messages: how many, and the last of them."""

    count: int
    rev: int
    n: int


class SqlStore(SqlMessages, SqlBranches):
    """A `Store` over an executor. See `conversations/store.py` for what each method promises."""

    def __init__(self, executor: Executor, user_id: str, clock: Clock = now, new_id: NewId = new_id) -> None:
        super().__init__(executor, user_id, clock, new_id)
        self._mark = mark_of(user_id)

    @property
    def state(self) -> SqlStateStore:
        return SqlStateStore(self._executor, self._user_id, self._clock, self._new_id)

    async def create_conversation(self, record: ConversationRecord) -> tuple[Conversation, bool]:
        values = self._creation(record, None)
        inserts = await done(self._inserts(record.messages, values, record.title, creates=True))
        *_, answers, _ = await self._executor.run(
            self._sql.ensure_owner(**values),
            self._sql.insert_conversation(**values),
            *inserts,
            self._sql.created(**values),
            self._sql.bump_rev(**values),
        )
        created = decoded(answers, _Created, record.id)
        if created.digest is None:
            raise message_conflict(created.conflicts)
        conversation = _conversation_in(created, record.id)
        if created.digest != record.digest:
            raise conversation_conflict(record.id, conversation)
        return conversation, bool(created.is_new)

    async def put_conversation(
        self, record: ConversationRecord, *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        expected = None if expected_message_count is None else min(expected_message_count, BEYOND)
        values = self._creation(record, expected)
        titles = [(record.id, record.title)] if record.title else []
        titles_of_new = await done(self._indexing(values, [], titles))
        inserts = await done(self._inserts(record.messages, values, None, creates=False))
        _, _, answers, *_, appended, _ = await self._executor.run(
            self._sql.ensure_owner(**values),
            self._sql.insert_conversation(**values),
            self._sql.created(**values),
            # Before any message follows, only a conversation that is new bears the next rev.
            *titles_of_new,
            *inserts,
            self._sql.appended(**values),
            self._sql.bump_rev(**values),
        )
        created = decoded(answers, _Created, record.id)
        if created.digest is None and created.conflicts:
            raise message_conflict(created.conflicts)
        if created.digest is None and expected_message_count:
            raise count_stale(expected_message_count, 0)
        if created.digest is None:
            check_links_of_new(record.messages)
        _conversation_in(created, record.id)
        try:
            return _appended(appended, record.id, record.messages, expected)[0], bool(created.is_new)
        except DraftsInTheWay:
            # The conversation was there before: this is an append, and the same rules hold.
            appended_now, _ = await self.append_messages(
                record.id, record.messages, expected_message_count=expected_message_count
            )
            return appended_now, False

    async def get_conversation(self, conversation_id: str) -> Conversation:
        (answers,) = await self._executor.run(self._sql.get_conversation(**self._values(conversation_id)))
        conversation = decoded(answers, Conversation, conversation_id)
        if conversation.deleted_at is not None:
            raise no_conversation(conversation_id)
        return conversation

    async def list_conversations(
        self,
        *,
        is_archived: bool | None = False,
        cursor: str | None = None,
        limit: int = 20,
        only: ConversationFilter | None = None,
    ) -> ConversationPage:
        values: dict[str, Any] = {
            **self._values(cursor or ""),
            "is_archived": is_archived,
            "updated_at": BEYOND,
            "before_id": _BEYOND_IDS,
            "limit": limit,
        }
        if only is not None or is_archived is None:
            return await self._list_filtered(values, only or ConversationFilter(), cursor)
        answers = await self._listed(self._sql.list_conversations, values, cursor)
        page = decoded(answers, _ConversationRows, "")
        page.rows.sort(key=attrgetter("updated_at", "id"), reverse=True)
        rows = page.rows[:limit]
        if len(answers[0]["answer"]) > PAGE_BYTES_MAX:
            rows = _cut(rows)
        last = rows[-1] if len(rows) < len(page.rows) else None
        return ConversationPage(
            rows,
            cursors.encode(cursors.AfterConversation(last.updated_at, last.id)) if last else None,
            cursors.encode(end_of(page.owner or _NOBODY)) if cursor is None else UNSET,
        )

    async def _listed(self, query: Query, values: dict[str, Any], cursor: str | None) -> list[Row]:
        """What a statement lists, from the beginning or from where a cursor says. Raises Invalid for any other text."""
        anchor, place = (None, None) if cursor is None else cursors.start_of_conversations(cursor)
        if place is not None:
            values = {**values, "updated_at": min(place.updated_at, BEYOND), "before_id": place.id}
        if anchor is None:
            (answers,) = await self._executor.run(query(**values))
            return answers
        after = {**values, "updated_at": None, "before_id": anchor}
        found, answers, *elsewhere = await self._executor.run(
            self._sql.conversation_exists(**values),
            query(**after),
            *([] if place is None else [query(**values)]),
        )
        if not found and not elsewhere:
            raise cursors.invalid()
        return answers if found else elsewhere[0]

    async def _list_filtered(
        self, values: dict[str, Any], only: ConversationFilter, cursor: str | None
    ) -> ConversationPage:
        """List what a filter leaves, from the place in `values`. The anchors find out whether that is one."""
        text, literal = as_written(*only.metadata) if only.metadata else (None, None)
        values |= {
            **_asked_for(values["is_archived"]),
            "looked": LOOKED_AT_MAX,
            "model": only.model,
            "created_after": -1 if only.created_after is None else min(only.created_after, BEYOND),
            "created_before": BEYOND if only.created_before is None else min(only.created_before, BEYOND),
            "metadata_text": text,
            "metadata_literal": literal,
        }
        answers = await self._listed(self._sql.list_filtered, values, cursor)
        page = decoded(answers, _FilteredRows, "")
        page.rows.sort(key=attrgetter("updated_at", "id"), reverse=True)
        rows = page.rows[: values["limit"]]
        if len(answers[0]["answer"]) > PAGE_BYTES_MAX:
            rows = _cut(rows)
        last = page.last if page.looked == LOOKED_AT_MAX else None
        if len(rows) < len(page.rows):
            last = _Place(rows[-1].updated_at, rows[-1].id)
        return ConversationPage(
            # The statement finds what is written anywhere in metadata.
            [row for row in rows if only.metadata is None or has(row.metadata, *only.metadata)],
            cursors.encode(cursors.AfterConversation(last.updated_at, last.id)) if last else None,
            cursors.encode(end_of(page.owner or _NOBODY)) if cursor is None else UNSET,
        )

    async def update_conversation(
        self, conversation_id: str, edit: ConversationEdit, *, expected_version: int | None = None
    ) -> Conversation:
        values = {
            **self._values(conversation_id),
            **times_of_edit(edit.edited_at, self._clock(), wins=expected_version is not None),
            "expected": expected_version,
            "sets_title": edit.title is not UNSET,
            "title": edit.title or DEFAULT_TITLE,
            "title_source": "user" if edit.title else "default",
            "sets_model": edit.model is not UNSET,
            "model": edit.model or None,
            "sets_is_archived": edit.is_archived is not UNSET,
            "is_archived": bool(edit.is_archived),
            "sets_metadata": edit.metadata is not UNSET,
            "clears_metadata": edit.metadata is None,
            "metadata_bytes_max": METADATA_BYTES_MAX,
        }
        titles = []
        if edit.title is not UNSET:
            titles = [
                *(query(**values) for query in self._sql.unindex_title),
                *finished(self._indexing(values, [], [(conversation_id, edit.title)] if edit.title else [])),
            ]

        def writes(metadata: msgspec.Raw) -> list[Statement]:
            merging = {**values, "metadata": as_json(metadata)}
            return [
                self._sql.edit_verdict(**merging),
                self._sql.edit_conversation(**merging),
                *titles,
                self._sql.bump_rev(**values),
                self._sql.get_conversation(**values),
            ]

        patch = edit.metadata if isinstance(edit.metadata, msgspec.Raw) else None
        results = await self._run_merging(self._sql.metadata(**values), patch, writes)
        verdicts, *_, answers = results or [[], []]
        verdict = decoded(verdicts, _EditVerdict, conversation_id)
        conversation = decoded(answers, Conversation, conversation_id)
        if expected_version is not None and verdict.version != expected_version:
            raise version_stale(expected_version, conversation)
        if verdict.metadata_bytes > METADATA_BYTES_MAX:
            raise metadata_too_large("metadata")
        return conversation

    async def delete_conversation(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        values = {**self._values(conversation_id), "expected": expected_version}
        before, _, _ = await self._executor.run(
            self._sql.get_conversation(**values),
            self._sql.delete_conversation(**values),
            self._sql.bump_rev(**values),
        )
        conversation = decoded(before, Conversation, conversation_id)
        if conversation.deleted_at is None and expected_version not in (None, conversation.version):
            raise version_stale(expected_version, conversation)

    async def delete_conversations(self, before: int, *, is_archived: bool | None = False) -> Deleted:
        count = await self._delete_older(
            **_asked_for(is_archived), before=min(before, BEYOND), expires_before=BEYOND, spares_pinned=False
        )
        return Deleted(count, count < DELETED_MAX)

    async def restore_conversation(self, conversation_id: str) -> Conversation:
        values = self._values(conversation_id)
        *_, answers = await self._executor.run(
            self._sql.touch_messages_of_deleted(**values),
            self._sql.restore_conversation(**values),
            self._sql.bump_rev(**values),
            self._sql.get_conversation(**values),
        )
        return decoded(answers, Conversation, conversation_id)

    async def append_messages(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
    ) -> tuple[Appended, bool]:
        settled = NOTHING_SETTLED
        for _ in range(TRIES_MAX):
            try:
                appended, is_new = await self._append(
                    conversation_id,
                    [*settled.records, *messages],
                    settled,
                    expected_message_count=expected_message_count,
                    expected_leaf_id=expected_leaf_id,
                )
            except DraftsInTheWay as drafts:
                settled = await self._settled_of(drafts.draft_ids, messages)
                time = self._clock()
                open_ = [each.id for each, state in settled.drafts if state != "complete" and not each.is_over(time)]
                if open_ and not interrupts:
                    raise draft_open(open_) from None
            except DraftsMoved:
                settled = NOTHING_SETTLED
            else:
                appended.messages = appended.messages[len(settled.records) :]
                return appended, is_new
        raise drafts_are_busy()

    async def _append(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        settled: Settled,
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
    ) -> tuple[Appended, bool]:
        """Append messages, and settle drafts, in one batch. Raises DraftsInTheWay and DraftsMoved as well."""
        expected = None if expected_message_count is None else min(expected_message_count, BEYOND)
        values = {
            **self._values(conversation_id),
            "ids": _ids(messages),
            "expected": expected,
            "expected_leaf": expected_leaf_id,
            "settled": settled.guard,
            "follows_leaf": follows_leaf(messages),
        }
        inserts = await done(self._inserts(messages, values, None, creates=False))
        *_, answers, _ = await self._executor.run(
            *inserts,
            *self._ending(settled, values),
            self._sql.appended(**values, links=as_json(links_of(messages))),
            self._sql.bump_rev(**values),
        )
        return _appended(answers, conversation_id, messages, expected, expected_leaf_id)

    async def fork_conversation(self, conversation_id: str, fork: ForkRecord) -> tuple[Conversation, bool]:
        values = {**self._values(fork.id), "ids": "[]", "original": conversation_id, "message": fork.message_id}
        known, originals, exists = await self._executor.run(
            self._sql.created(**values),
            self._sql.get_conversation(**self._values(conversation_id)),
            self._sql.message_exists(**{**values, "conversation": conversation_id}),
        )
        created = decoded(known, _Created, conversation_id)
        if created.digest is not None:
            return _forked(created, fork), False
        original = self._live(originals, conversation_id)
        if fork.message_id is not None and not exists:
            raise no_message(conversation_id, fork.message_id)
        path = await self._path(conversation_id, fork.message_id)
        copies = await done(copies_of(path, self._new_id))
        title, title_source = title_of(fork, original)
        values |= {
            "message": path[-1].id,
            "count": len(path),
            "digest": fork.digest,
            "title": title,
            "title_source": title_source,
            "model": original.model,
            "metadata": as_json(original.metadata),
            "forked_from": as_json(forked_from(path[-1], values["now"])),
        }
        pairs = enumerate(zip(path, copies, strict=True), start=1)
        listed = arrays((message.seq, seq, copy.id, copy.digest) for seq, (message, copy) in pairs)
        titles = [] if title_source == "default" else [(fork.id, title)]
        indexing = await done(self._indexing(values, copies, titles))
        *_, answers, _ = await self._executor.run(
            self._sql.fork_conversation(**values),
            *(self._sql.fork_messages(**values, copies=part) for part in listed),
            *indexing,
            self._sql.created(**values),
            self._sql.bump_rev(**values),
        )
        created = decoded(answers, _Created, conversation_id)
        if created.digest is None:
            raise no_message(conversation_id, path[-1].id)
        return _forked(created, fork), bool(created.is_new)

    async def _path(self, conversation_id: str, message_id: str | None) -> list[Message]:
        """All messages of the path that ends with a message, or of the active one.

        It is read from its end: a page of it takes as long then, however many branches leave it.
        """
        page = await self.list_messages(conversation_id, branch=message_id or ACTIVE, limit=MESSAGES_LIMIT_MAX)
        path = page.messages[::-1]
        while page.next_cursor is not None:
            if len(path) > FORKED_MESSAGES_MAX:
                raise too_long()
            page = await self.list_messages(conversation_id, cursor=page.next_cursor, limit=MESSAGES_LIMIT_MAX)
            path += page.messages[::-1]
        if not path:
            raise nothing_to_fork()
        return path[::-1]

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        if since is None:
            (owners,) = await self._executor.run(self._sql.get_owner(**self._values("")))
            return Changes([], [], cursors.encode(end_of(_owner(owners))), has_more=False)
        position = cursors.decode_change(since)
        values = {
            **self._values(""),
            "rev": position.rev,
            "kind": position.kind,
            "n": position.n,
            "limit": limit,
            "page_bytes": PAGE_BYTES_MAX,
        }
        (answers,) = await self._executor.run(self._sql.changes(**values))
        page = decoded(answers, _ChangeRows, "")
        owner = page.owner or _NOBODY
        floor = follow(position, owner)
        page.rows.sort(key=attrgetter("rev", "kind", "n"))
        after = end_of(owner)
        if page.more:
            last = page.rows[-1]
            after = cursors.AfterChange(owner.epoch, last.rev, last.kind, last.n, floor)
        return Changes(
            [as_change(row.conversation) for row in page.rows if row.conversation],
            [row.message for row in page.rows if row.message],
            cursors.encode(after),
            page.more,
            [row.removed for row in page.rows if row.removed],
            [row.draft for row in page.rows if row.draft],
        )

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        terms = parse_query(query.text)
        skip = cursors.decode_hits(cursor).count if cursor is not None else 0
        if not terms:
            if query.conversation_id is not None:
                await self.get_conversation(query.conversation_id)
            return HitPage([], None)
        values = {
            **self._values(""),
            **self._sql.dialect.sought(self._user_id, self._mark, terms, parse_query(query.text, first_tokens)),
            "role": query.role,
            "since": min(query.since or 0, BEYOND),
            "until": BEYOND if query.until is None else min(query.until, BEYOND),
            "within": query.conversation_id,
            "limit": limit,
            "skip": skip,
            "page_bytes": PAGE_BYTES_MAX,
        }
        searching = self._sql.search_active if query.only_active else self._sql.search
        (answers,) = await self._executor.run(searching(**values))
        page = decoded(answers, _HitRows, query.conversation_id or "")
        page.rows.sort(key=attrgetter("position"))
        count = skip + len(page.rows)
        return HitPage(
            await done(
                hits([Found(row.conversation, row.message, row.is_active, row.next_seq) for row in page.rows], terms)
            ),
            cursors.encode(cursors.AfterHits(count)) if page.more and count <= cursors.HITS_MAX else None,
        )

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        conversations = list(arrays(self._conversation_row(record) for record in records))
        values = {**self._values(""), "epoch": self._new_id()}
        inserts = await done(self._imports(records, values))
        _, *results = await self._executor.run(
            self._sql.ensure_owner(**values),
            *(self._sql.import_verdict(**values, conversations=part) for part in conversations),
            *(self._sql.import_conversations(**values, conversations=part) for part in conversations),
            *inserts,
            self._sql.bump_rev(**values),
        )
        known = {
            verdict.id: verdict
            for answers in results[: len(conversations)]
            for verdict in decoded(answers, list[_ImportVerdict], "")
        }
        return [
            import_conflict()
            if record.id in known and (known[record.id].is_deleted or known[record.id].digest != record.digest)
            else None
            for record in records
        ]

    async def erase(self) -> Erased:
        values = {**self._values(""), "epoch": self._new_id()}
        count = self._sql.count_all(**values)
        results = await self._executor.clear(count) or await self._executor.run(
            count,
            self._sql.begin_epoch(**values),
            self._sql.mark_all(**values),
            self._sql.retire_all_journals(**values),
            self._sql.retire_all_blobs(**values),
            self._sql.retire_all_threads(**values),
            self._sql.retire_all_tasks(**values),
            self._sql.retire_all_lanes(**values),
        )
        return decoded(results[0], Erased, "")

    async def expire(self, before: int, spares: Collection[str] = ()) -> bool:
        return await self._delete_older(**_unspared(spares), before=before, expires_before=before) == DELETED_MAX

    async def oldest_append(self, spares: Collection[str] = ()) -> int | None:
        values = {**self._values(""), **_unspared(spares), "before": BEYOND, "expires_before": BEYOND, "limit": 1}
        (answers,) = await self._executor.run(self._sql.oldest_append(**values))
        oldest: int | None = answers[0]["value"]
        return oldest

    async def _delete_older(self, **which: Any) -> int:
        """Delete some conversations; return how many."""
        values = {**self._values(""), **which, "limit": DELETED_MAX}
        _, answers, _ = await self._executor.run(
            self._sql.delete_older(**values),
            self._sql.deleted_now(**values),
            self._sql.bump_rev(**values),
        )
        count: int = answers[0]["value"]
        return count

    async def purge(self, until: int) -> int | None:
        values = {**self._values(""), "until": until}
        *_, deletions, journals, blobs, threads = await self._executor.run(
            self._sql.raise_floor(**values),
            *(query(**values) for query in (*self._sql.mark_due, *self._sql.forget_drafts)),
            self._sql.retire_expired_journals(**values),
            self._sql.retire_expired_blobs(**values),
            self._sql.retire_expired_threads(**values),
            self._sql.earliest_deletion(**values),
            self._sql.earliest_expiry(**values),
            self._sql.earliest_expiry_of_blobs(**values),
            self._sql.earliest_expiry_of_threads(**values),
        )
        times = [row["value"] for row in deletions if row["value"] is not None]
        # What expires is due as soon as it does, and what was deleted only after a while.
        expiries = [*journals, *blobs, *threads]
        times += [row["value"] - values["now"] + until for row in expiries if row["value"] is not None]
        return min(times, default=None)

    async def sweep(self) -> bool:
        return (
            await self._sweep_marked()
            or await sweep_state(self._executor, self._user_id)
            or await self._index_again()
            or await self._catch_up()
            or await self._link()
        )

    async def tidy(self) -> bool:
        return await tidy_index(self._executor)

    async def _sweep_marked(self) -> bool:
        """Remove a part of what is marked; return whether there is more."""
        values: dict[str, Any] = {
            **self._values(""),
            "conversation_limit": _SWEPT_CONVERSATIONS_MAX,
            "limit": _SWEPT_MESSAGES_MAX,
            "bytes": _SWEPT_BYTES_MAX,
        }
        (answers,) = await self._executor.run(self._sql.sweepable(**values))
        swept = decoded(answers, _Swept, "")
        values |= {"conversations": as_json(swept.conversations), "messages": as_json(swept.messages)}
        *_, answers = await self._executor.run(
            *(
                query(**values)
                for query in (
                    *self._sql.unindex_swept,
                    *self._sql.overwrite,
                    *self._sql.remove_drafts_of_swept,
                    *self._sql.remove_branches,
                )
            ),
            self._sql.remove_messages(**values),
            self._sql.settle_cuts(**values),
            self._sql.remove_conversations(**values),
            self._sql.remove_owner(**values),
            self._sql.marked(**values),
        )
        return answers[0]["value"] is not None

    async def _index_again(self) -> bool:
        """Move a part of what an earlier version has indexed to the index of this one; return whether there was any."""
        values = {**self._values(""), "limit": _SWEPT_MESSAGES_MAX, "bytes": PAGE_BYTES_MAX}
        (answers,) = await self._executor.run(self._sql.to_index_again(**values))
        part = decoded(answers, _ToIndexAgain, "")
        if not part.places:
            return False
        values |= {"places": as_json(part.places), **await done(self._words_again(part))}
        await self._executor.run(*(query(**values) for query in self._sql.index_again))
        return True

    def _words_again(self, part: _ToIndexAgain) -> Work[dict[str, str]]:
        """What `index_again` is given of messages and titles."""
        messages = []
        for message in part.messages:
            yield len(memoryview(message.content))
            messages.append((message.id, self._indexed(words_of(text_of_content(message.content)))))
        titles = [(each.id, each.title, self._indexed(words_of(each.title))) for each in part.titles]
        return {"words": as_json([each for each in messages if each[-1]]), "titles": as_json(titles)}

    async def _catch_up(self) -> bool:
        """Index a part of what was written when less was searched again; return whether there is more of that."""
        values = {**self._values(""), "limit": _SWEPT_MESSAGES_MAX, "bytes": PAGE_BYTES_MAX}
        (answers,) = await self._executor.run(self._sql.behind(**values))
        if not answers:
            return False
        behind = decoded(answers, _Behind, "")
        values |= {
            "indexed_rev": behind.indexed_rev,
            "next_rev": behind.indexed_rev + 1,
            "indexed_n": behind.indexed_n,
            "until": behind.rev,
        }
        (answers,) = await self._executor.run(self._sql.to_catch_up(**values))
        part = decoded(answers, _ToCatchUp, "")
        part.rows.sort(key=attrgetter("rev", "n"))
        last = None if len(part.rows) == part.count < _SWEPT_MESSAGES_MAX else part.rows[-1]
        # The change of the last one may have more messages.
        reached_rev, reached_n = (behind.rev, 0) if last is None else (last.rev - 1, last.n)
        values |= {"reached_rev": reached_rev, "reached_n": reached_n}
        indexing = await done(self._indexing_more(part.rows, values))
        await self._executor.run(*indexing, self._sql.caught_up(**values))
        return last is not None

    async def _link(self) -> bool:
        """Note what a part of the messages follow that an earlier version has kept; return whether there is more."""
        values = {**self._values(""), "limit": _LINKED_MESSAGES_MAX}
        (answers,) = await self._executor.run(self._sql.unlinked(**values))
        if not answers:
            return False
        behind = decoded(answers, _Unlinked, "")
        values |= {
            "linked_rev": behind.linked_rev,
            "next_rev": behind.linked_rev + 1,
            "linked_n": behind.linked_n,
            "until": behind.rev,
        }
        (answers,) = await self._executor.run(self._sql.to_link(**values))
        part = decoded(answers, _ToLink, "")
        has_more = part.count == _LINKED_MESSAGES_MAX
        # The change of the last one may have more messages.
        reached = {"reached_rev": part.rev - 1, "reached_n": part.n} if has_more else {"reached_rev": behind.rev}
        values |= {"last_rev": part.rev, "last_n": part.n, "reached_n": 0, **reached}
        await self._executor.run(
            self._sql.touch_unlinked(**values),
            self._sql.link(**values),
            self._sql.linked(**values),
            self._sql.bump_rev(**values),
        )
        return has_more

    def _indexing_more(self, rows: list[_MessageBehind], values: dict[str, Any]) -> Work[list[Statement]]:
        """The statements that index messages of which more is searched than their text."""
        listed = []
        for row in rows:
            yield len(memoryview(row.message.content))
            blocks = blocks_of(row.message.content)
            if not all(block["type"] == "text" for block in blocks):
                listed.append((row.message.id, self._indexed(words_of(text_of(blocks)))))
        return (
            yield from _by_parts(
                arrays(listed), lambda part: [query(**values, words=part) for query in self._sql.index_messages]
            )
        )

    def _values(self, conversation_id: str) -> dict[str, Any]:
        return {
            "user": self._user_id,
            "mark": self._mark,
            "conversation": conversation_id,
            "now": self._clock(),
        }

    def _creation(self, record: ConversationRecord, expected: int | None) -> dict[str, Any]:
        """What the statements that create a conversation are given."""
        return {
            **fields_of(ConversationFields, record),
            **self._values(record.id),
            "epoch": self._new_id(),
            "ids": _ids(record.messages),
            "links": as_json(links_of(record.messages)),
            "expected": expected,
            "expected_leaf": None,
            "settled": "[]",
            "follows_leaf": follows_leaf(record.messages),
            "digest": record.digest,
            "title": record.title or DEFAULT_TITLE,
            "title_source": "user" if record.title else "default",
            "metadata": as_json(record.metadata),
            "forked_from": None,
        }

    def _inserts(
        self, messages: list[MessageRecord], values: dict[str, Any], title: str | None, *, creates: bool
    ) -> Work[list[Statement]]:
        """The statements that store messages, and that index them and a title that is given or that they give."""
        yield sum(message.size for message in messages)
        links = links_of(messages)
        unselected = [message.id for message in messages if not message.select]
        values = {**values, "links": as_json(links), "unselected": as_json([[each] for each in unselected])}
        given = title or next((message.title for message in messages if message.title), None)
        rows = (self._message_row(message) for message in messages)
        # As many as it takes to keep each value small enough to cross.
        inserting = yield from _by_parts(
            arrays(rows), lambda part: [self._sql.insert_messages(**values, messages=part, creates=creates)]
        )
        counting = [
            *([] if creates else [self._sql.fork_at_leaf(**values)]),  # a new conversation ends with its last message
            *([self._sql.fork_at_links(**values)] if links else []),
            self._sql.count_messages(**{**values, "title": given}),
        ]
        indexing = yield from self._indexing(values, messages, [(values["conversation"], given)] if given else [])
        return [*inserting, *(counting if messages else []), *indexing]

    def _imports(self, records: list[ImportRecord], values: dict[str, Any]) -> Work[list[Statement]]:
        """The statements that store the messages of conversations to import, and that index all of it."""
        messages = [message for record in records for message in record.messages]
        yield sum(message.size for message in messages)
        rows = (
            {"conversation_id": record.id, "seq": seq, **self._message_row(message)}
            for record in records
            for seq, message in enumerate(record.messages, start=1)
        )
        inserting = yield from _by_parts(
            arrays(rows), lambda part: [self._sql.import_messages(**values, messages=part)]
        )
        forks = [(record.id, *fork) for record in records for fork in record.forks]
        forking = yield from _by_parts(arrays(forks), lambda part: [self._sql.import_forks(**values, forks=part)])
        titles = [(record.id, record.title) for record in records if record.title_source != "default"]
        indexing = yield from self._indexing(values, messages, titles)
        return [*inserting, *forking, *indexing]

    def _indexing(
        self, values: dict[str, Any], messages: list[MessageRecord], titles: list[tuple[str, str]]
    ) -> Work[list[Statement]]:
        """The statements that index messages, and titles of conversations, by the ids of these, wherever they are what
        a conversation now has."""
        yield sum(indexed_size(message.words) for message in messages)
        # Made as they are needed: a user's words take several times as much as what was sent.
        listed = ((message.id, self._indexed(message.words)) for message in messages if message.words)
        titles_with_words = [(conversation_id, title, words_of(title)) for conversation_id, title in titles]
        listed_titles = (
            (conversation_id, title, self._indexed(words))
            for conversation_id, title, words in titles_with_words
            if words
        )
        return (
            yield from _by_parts(
                zip_longest(arrays(listed), arrays(listed_titles), fillvalue="[]"),
                lambda parts: [query(**values, words=parts[0], titles=parts[1]) for query in self._sql.index],
            )
        )

    def _indexed(self, words: str) -> str:
        return self._sql.dialect.indexed_words(self._mark, words)

    def _message_row(self, record: MessageRecord) -> dict[str, Any]:
        """What the database takes of a message, by the names of its columns."""
        row = asdict(record.message)
        row["id"] = record.id
        row["digest"] = record.digest
        row["bytes"] = record.size
        row["created_at"] = record.created_at
        for name in _JSON_OF_MESSAGE:
            if row[name] is UNSET:
                del row[name]
            else:
                row[name] = self._sql.dialect.nested(row[name])
        return row

    def _conversation_row(self, record: ImportRecord) -> dict[str, Any]:
        """What the database takes of a conversation that is imported, by the names of its columns."""
        row = asdict(record)
        row["message_count"] = len(row.pop("messages"))
        del row["forks"]
        row["forked_from"] = None if record.forked_from is None else as_json(record.forked_from)
        for name in _JSON_OF_CONVERSATION:
            row[name] = self._sql.dialect.nested(row[name])
        return row


async def users_to_purge(executor: Executor, until: int, limit: int, clock: Clock = now) -> list[str]:
    """Some of the users for whom `SqlStore.purge` or `sweep` has something to do."""
    (rows,) = await executor.run(executor.statements.users_to_purge(until=max(until, 0), now=clock(), limit=limit))
    return [row["value"] for row in rows]


async def users_to_expire(
    executor: Executor, before: int, spares: Collection[str], after: str, limit: int
) -> UsersToExpire:
    """Those of the next users after one for whom `SqlStore.expire` has something to do."""
    values: dict[str, Any] = {
        **_unspared(spares),
        "before": before,
        "expires_before": before,
        "after": after,
        "limit": limit,
    }
    (answers,) = await executor.run(executor.statements.users_to_expire(**values))
    return decoded(answers, UsersToExpire, "")


async def tidy_index(executor: Executor) -> bool:
    """Remove for good a part of what was taken out of the index, of all users; return whether there may be more."""
    tidying = executor.statements.tidying
    if tidying is None:
        return False
    (due,) = await executor.run(tidying.is_due())
    if not due[0]["value"]:
        return False
    before, _, after = await executor.run(tidying.changes(), tidying.go_on(), tidying.changes())
    if after[0]["value"] - before[0]["value"] < 2:
        await executor.run(tidying.begin())
    return True


def _conversation_in(created: _Created, conversation_id: str) -> Conversation:
    """The conversation that a creation has found or made. Raises Conflict where it is deleted, or being erased."""
    conversation = created.conversation
    if conversation is None or conversation.deleted_at is not None:
        raise conversation_conflict(conversation_id, conversation)
    return conversation


def _forked(created: _Created, fork: ForkRecord) -> Conversation:
    """The conversation that a fork has found or made. Raises Conflict where it is something else."""
    conversation = _conversation_in(created, fork.id)
    if created.digest != fork.digest:
        raise conversation_conflict(fork.id, conversation)
    return conversation


def _appended(
    rows: list[Row],
    conversation_id: str,
    messages: list[MessageRecord],
    expected: int | None,
    expected_leaf_id: str | None = None,
) -> tuple[Appended, bool]:
    """What came of an append, and whether any message is new. Raises as `Store.append_messages` does."""
    answer = decoded(rows, _Appended, conversation_id)
    conflicts = [row.id for row in answer.messages if not row.is_same]
    if conflicts:
        raise message_conflict(conflicts)
    new = sum(row.is_new for row in answer.messages)
    is_new = len(answer.messages) - new < len(messages)
    before = answer.conversation.message_count - new
    if answer.unknown:
        raise link_invalid(messages, answer.unknown)
    if is_new and expected not in (None, before):
        raise count_stale(expected, before)
    if is_new and not new and expected_leaf_id not in (None, answer.conversation.leaf_id):
        raise leaf_stale(expected_leaf_id or "", answer.conversation.leaf_id)
    if is_new and not new and answer.drafts:
        raise DraftsInTheWay(answer.drafts)
    if is_new and not new:
        raise DraftsMoved
    receipts = {row.id: Receipt(row.id, row.seq, row.created_at) for row in answer.messages}
    return Appended([receipts[message.id] for message in messages], answer.conversation), is_new


def _asked_for(is_archived: bool | None) -> dict[str, bool]:
    """Which of the two kinds of conversations a statement is about."""
    return {"active": is_archived is not True, "archived": is_archived is not False}


def _unspared(spares: Collection[str]) -> dict[str, bool]:
    return {**_asked_for(False if "archived" in spares else None), "spares_pinned": "pinned" in spares}


def _owner(rows: list[Row]) -> Owner:
    """Where a user's changes are."""
    return msgspec.json.decode(rows[0]["answer"], type=Owner) if rows else _NOBODY


def _by_parts(parts: Iterable[T], make: Callable[[T], list[Statement]]) -> Work[list[Statement]]:
    """Statements for each part, which is made when it has its turn."""
    statements: list[Statement] = []
    for part in parts:
        if statements:
            yield VALUE_BYTES_MAX
        statements += make(part)
    return statements


def _cut(rows: list[T]) -> list[T]:
    """The first rows, at least one, which together are no larger than a page may be."""
    sizes = accumulate(len(msgspec.json.encode(row)) for row in rows)
    return rows[: max(1, sum(size <= PAGE_BYTES_MAX for size in sizes))]


def _ids(messages: list[MessageRecord]) -> str:
    return msgspec.json.encode([(message.id, message.digest) for message in messages]).decode()
