"""Columns: what conversations, messages and the state of agents have in the database, whatever the product.

A new field of theirs is a line here, a migration for each product, and a field of the struct in
`conversations/models.py` or in `agents/`. What is read, stored, imported and overwritten follows from the line.
"""

from typing import Literal, NamedTuple

from threadkeep.agents.journals.names import NAMES_CHARACTERS_MAX

NAMES_OF_WRITES_MAX = NAMES_CHARACTERS_MAX
"""How many characters `request` of a journal has, which are the names of its last writes."""

Type = Literal["text", "integer", "boolean", "json", "json in text"]
"""The last is JSON of our own, in a column of text."""


class Column(NamedTuple):
    """A column, which is filled from what a record has by the same name."""

    name: str
    field: str
    """What it is called in JSON that readers get."""
    type: Type
    is_private: bool = False
    """Whether users put what they like in it, so that an erasure overwrites it; a digest of that counts."""
    is_shown: bool = True
    """Whether readers get it."""
    is_nullable: bool = False
    shown_as: str = "{alias}.{name}"
    """What readers get of it, in SQL. Tables are named as in `{table[forks]}`."""
    is_given: bool = True
    """Whether a record brings it. What it does not bring comes about in the database."""


_LEAF_ID = """(
    SELECT leaf.id
    FROM {table[messages]} AS leaf
    WHERE leaf.user_id = :user
      AND leaf.conversation_id = {alias}.id
      AND leaf.seq = coalesce({alias}.leaf_seq, {alias}.message_count)
  )"""
FORK_AT = """(
    SELECT fork.follows
    FROM {forks} AS fork
    WHERE fork.user_id = :user AND fork.conversation_id = {conversation} AND fork.seq >= {seq} AND fork.seq <= {seq}
    ORDER BY fork.seq
    LIMIT 1
  )"""
"""What the row of a message in `forks` says that it follows; NULL where it has none.

Two keys of `forks` begin alike. With `=`, Postgres may take the other one, and read all of a conversation.
"""
_FORK = FORK_AT.format(forks="{table[forks]}", conversation="{alias}.conversation_id", seq="{alias}.seq")
_FOLLOWS = f"coalesce({_FORK}, {{alias}}.seq - 1)"

CONVERSATION = (
    Column("id", "id", "text"),
    Column("user_id", "userId", "text"),
    Column("digest", "digest", "text", is_private=True, is_shown=False),
    Column("title", "title", "text", is_private=True),
    Column("title_source", "titleSource", "text"),
    Column("model", "model", "text", is_private=True, is_nullable=True),
    Column("created_at", "createdAt", "integer"),
    Column("updated_at", "updatedAt", "integer"),
    Column("message_count", "messageCount", "integer"),
    Column("is_archived", "isArchived", "boolean"),
    Column("metadata", "metadata", "json", is_private=True),
    Column("version", "version", "integer"),
    Column("deleted_at", "deletedAt", "integer", is_nullable=True, is_given=False),
    Column("forked_from", "forkedFrom", "json in text", is_nullable=True),
    Column("leaf_seq", "leafId", "text", is_nullable=True, shown_as=_LEAF_ID, is_given=False),
)

MESSAGE = (
    Column("id", "id", "text"),
    Column("conversation_id", "conversationId", "text"),
    Column("seq", "seq", "integer"),
    Column("follows", "follows", "integer", shown_as=_FOLLOWS, is_given=False),
    Column("digest", "digest", "text", is_private=True, is_shown=False),
    # The table takes no other roles than those it began with: `developer` is kept as `system`, and stands beside it.
    Column("role", "role", "text", shown_as="coalesce({alias}.sent_role, {alias}.role)"),
    Column("created_at", "createdAt", "integer"),
    Column("token_count", "tokenCount", "integer", is_nullable=True),
    Column("model", "model", "text", is_private=True, is_nullable=True),
    Column("parent_id", "parentId", "text", is_nullable=True),
    Column("version", "version", "integer"),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("metadata", "metadata", "json", is_private=True, is_nullable=True),
    # What is large stands last: a page is put together by copying what stands before it.
    Column("content", "content", "json", is_private=True),
)

_LAST_OF_DRAFT = """(
    SELECT part.COLUMN
    FROM {table[draft_parts]} AS part
    WHERE part.user_id = :user AND part.draft_id = {alias}.id
    ORDER BY part.part DESC
    LIMIT 1
  )"""


def _of_last_part(name: str, field: str, type_: Type) -> Column:
    shown_as = _LAST_OF_DRAFT.replace("COLUMN", name.removeprefix("last_"))
    return Column(name, field, type_, is_nullable=True, shown_as=shown_as, is_given=False)


_FOLLOWED_ID = """(
    SELECT followed.id
    FROM {table[messages]} AS followed
    WHERE followed.user_id = :user
      AND followed.conversation_id = {alias}.conversation_id
      AND followed.seq = {alias}.follows
  )"""

DRAFT = (
    Column("id", "id", "text"),
    Column("conversation_id", "conversationId", "text"),
    Column("follows", "follows", "integer"),
    Column("parent_id", "parentId", "text", is_nullable=True),
    Column("followed_id", "followedId", "text", is_nullable=True, shown_as=_FOLLOWED_ID, is_given=False),
    Column("role", "role", "text"),
    Column("model", "model", "text", is_private=True, is_nullable=True),
    Column("metadata", "metadata", "json", is_private=True, is_nullable=True),
    Column("digest", "digest", "text", is_private=True),
    Column("fence", "fence", "integer"),
    Column("lease_ms", "leaseMs", "integer"),
    Column("started_at", "startedAt", "integer"),
    Column("renewed_at", "renewedAt", "integer"),
    Column("stop_at", "stopAt", "integer", is_nullable=True),
    Column("state", "state", "text"),
    Column("settled_at", "settledAt", "integer", is_nullable=True),
    _of_last_part("last_part", "lastPart", "integer"),
    _of_last_part("last_at", "lastAt", "integer"),
    _of_last_part("bytes", "bytes", "integer"),
    _of_last_part("blocks", "blocks", "text"),
)

DRAFT_PART = (
    Column("part", "part", "integer"),
    Column("at", "at", "integer"),
    Column("digest", "digest", "text", is_private=True, is_shown=False),
    Column("ops", "ops", "json", is_private=True),
)

JOURNAL = (
    Column("space", "space", "text", is_private=True),
    Column("key", "key", "text", is_private=True),
    Column("incarnation", "incarnation", "text"),
    Column("generation", "generation", "integer"),
    Column("version", "version", "integer"),
    Column("identity", "identity", "text", is_private=True, is_shown=False),
    Column("next_seq", "nextSeq", "integer"),
    Column("producer", "producer", "text", is_private=True, is_nullable=True),
    Column("epoch", "epoch", "integer"),
    Column("next_producer_seq", "nextProducerSeq", "integer"),
    Column("lane", "lane", "text", is_private=True, is_nullable=True),
    Column("kind", "kind", "text", is_private=True, is_nullable=True),
    Column("status", "status", "text", is_private=True, is_nullable=True),
    Column("sort", "sort", "text", is_private=True),
    Column("closed_at", "closedAt", "integer", is_nullable=True),
    Column("expires_at", "expiresAt", "integer", is_nullable=True),
    Column("created_at", "createdAt", "integer"),
    Column("updated_at", "updatedAt", "integer"),
    Column("request", "request", "text", is_private=True, is_shown=False),
    Column("stamp", "stamp", "text", is_shown=False),
    Column("head", "head", "json", is_private=True),
)

ENTRY = (
    Column("id", "id", "text", is_nullable=True),
    Column("seq", "seq", "integer"),
    Column("epoch", "epoch", "integer", is_shown=False, is_nullable=True),
    Column("producer_seq", "producerSeq", "integer", is_shown=False, is_nullable=True),
    Column("digest", "digest", "text", is_private=True, is_shown=False),
    Column("append_digest", "appendDigest", "text", is_private=True, is_shown=False),
    Column("created_at", "createdAt", "integer"),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("big", "big", "text", is_shown=False, is_nullable=True),
    Column("data", "data", "json", is_private=True, is_nullable=True),
)

BLOB = (
    Column("space", "space", "text", is_private=True),
    Column("key", "key", "text", is_private=True),
    Column("digest", "digest", "text", is_private=True),
    Column("size", "size", "integer"),
    Column("media_type", "mediaType", "text", is_private=True),
    Column("created_at", "createdAt", "integer"),
    Column("expires_at", "expiresAt", "integer", is_nullable=True),
    Column("group_id", "groupId", "text", is_shown=False),
    Column("meta", "meta", "json", is_private=True),
)

THREAD = (
    Column("name", "thread", "text", is_private=True),
    Column("epoch", "epoch", "integer"),
    Column("expires_at", "expiresAt", "integer", is_nullable=True),
    Column("created_at", "createdAt", "integer"),
    Column("updated_at", "updatedAt", "integer"),
    Column("is_pruned", "isPruned", "boolean", is_shown=False),
    Column("request", "request", "text", is_private=True, is_shown=False),
    Column("stamp", "stamp", "text", is_shown=False),
)

CHECKPOINT = (
    # What it is known by stays as it is until it is deleted, since zeros would be taken.
    Column("ns", "ns", "text"),
    Column("id", "id", "text"),
    Column("parent", "parent", "text", is_private=True, is_nullable=True),
    Column("run_id", "runId", "text", is_private=True, is_shown=False, is_nullable=True),
    Column("metadata", "metadata", "json", is_private=True),
    Column("stored", "stored", "json", is_private=True),
    Column("counted", "counted", "json", is_private=True, is_shown=False),
    Column("type", "type", "text", is_private=True),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("big", "big", "text", is_shown=False, is_nullable=True),
    Column("data", "data", "text", is_private=True, is_nullable=True),
)

CHECKPOINT_VALUE = (
    Column("ns", "ns", "text"),
    Column("channel", "channel", "text"),
    Column("version", "version", "text"),
    Column("type", "type", "text", is_private=True),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("big", "big", "text", is_shown=False, is_nullable=True),
    Column("data", "data", "text", is_private=True, is_nullable=True),
)

CHECKPOINT_WRITE = (
    Column("ns", "ns", "text", is_shown=False),
    Column("checkpoint", "checkpoint", "text", is_shown=False),
    Column("task", "task", "text"),
    Column("idx", "idx", "integer"),
    Column("path", "path", "text", is_private=True),
    Column("channel", "channel", "text", is_private=True),
    Column("type", "type", "text", is_private=True),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("big", "big", "text", is_shown=False, is_nullable=True),
    Column("data", "data", "text", is_private=True, is_nullable=True),
)

TASK = (
    Column("queue", "queue", "text", is_private=True),
    Column("id", "id", "text", is_private=True),
    Column("seq", "seq", "integer"),
    Column("lane", "lane", "text", is_private=True),
    Column("kind", "kind", "text", is_private=True, is_nullable=True),
    Column("target", "target", "text", is_private=True, is_nullable=True),
    Column("state", "state", "text"),
    Column("is_open", "isOpen", "integer", is_shown=False),
    Column("digest", "digest", "text", is_private=True, is_shown=False),
    Column("accepted_at", "acceptedAt", "integer"),
    Column("ready_at", "readyAt", "integer", is_nullable=True),
    Column("attempt", "attempt", "text", is_private=True, is_nullable=True),
    Column("attempts", "attempts", "integer"),
    Column("attempts_max", "attemptsMax", "integer"),
    Column("timeout_at", "timeoutAt", "integer"),
    Column("holder", "holder", "text", is_private=True, is_nullable=True),
    Column("lease_until", "leaseUntil", "integer"),
    Column("started_at", "startedAt", "integer", is_nullable=True),
    Column("applied_at", "appliedAt", "integer", is_nullable=True),
    Column("recovery_at", "recoveryAt", "integer", is_nullable=True),
    Column("abort_at", "abortAt", "integer", is_nullable=True),
    Column("settled_at", "settledAt", "integer", is_nullable=True),
    Column("host", "host", "text", is_private=True, is_nullable=True),
    Column("error", "error", "text", is_private=True, is_nullable=True),
    Column("settlement_id", "settlementId", "text", is_private=True, is_nullable=True),
    Column("settlement_digest", "settlementDigest", "text", is_private=True, is_shown=False, is_nullable=True),
    Column("settlement_bytes", "settlementBytes", "integer", is_shown=False),
    Column("settlement_big", "settlementBig", "text", is_shown=False, is_nullable=True),
    Column("note_revision", "noteRevision", "integer"),
    Column("noted_at", "notedAt", "integer", is_nullable=True),
    Column("request", "request", "text", is_private=True, is_shown=False),
    # Of a task that was absorbed, it has the name of that write, which whoever sent it has chosen.
    Column("stamp", "stamp", "text", is_private=True, is_shown=False),
    Column("bytes", "bytes", "integer", is_shown=False),
    Column("big", "big", "text", is_shown=False, is_nullable=True),
    Column("note", "note", "json", is_private=True, is_nullable=True),
    Column("settlement", "settlement", "json", is_private=True, is_nullable=True),
    Column("payload", "payload", "json", is_private=True, is_nullable=True),
)

LANE = (
    Column("queue", "queue", "text", is_private=True),
    Column("lane", "lane", "text", is_private=True),
    Column("closed_at", "closedAt", "integer"),
)

PIECE = (
    Column("group_id", "groupId", "text"),
    Column("part", "part", "integer"),
    Column("data", "data", "text", is_private=True),
)
"""A part of a value that is too large to be one: of whatever has a `big`, or of a blob, which name the group."""


def shown(columns: tuple[Column, ...]) -> list[Column]:
    """Those that readers get."""
    return [column for column in columns if column.is_shown]


def given(columns: tuple[Column, ...]) -> list[Column]:
    """Those that a record brings."""
    return [column for column in columns if column.is_given]


def named(columns: tuple[Column, ...], *names: str) -> list[Column]:
    """Those of these names, in the order of the table."""
    return [column for column in columns if column.name in names]
