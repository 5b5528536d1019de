"""Export and import: conversations as documents that anybody can read, version 1, and back.

A document is `{"version": 1, "exportedAt", "conversation": {…, "messages": […]}}`, with times in ISO 8601. A reader
ignores what it does not know. An import gives new ids to everything, and keeps the times.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from msgspec import Raw, Struct, json
from msgspec.structs import asdict, fields
from ulid import ULID

from threadkeep.clock import now
from threadkeep.conversations.branches import ALL
from threadkeep.conversations.content import canonical, digest, later_fields, read_metadata
from threadkeep.conversations.models import (
    DEFAULT_TITLE,
    MESSAGES_LIMIT_MAX,
    NESTING_MAX,
    Conversation,
    ConversationFields,
    ForkedFrom,
    Message,
    MessageFields,
)
from threadkeep.conversations.records import ImportRecord, MessageRecord
from threadkeep.conversations.search import indexed_size
from threadkeep.conversations.service import IndexBudget, message_record
from threadkeep.conversations.store import Store
from threadkeep.errors import CursorExpired, Invalid, NotFound, ThreadkeepError, TooLarge
from threadkeep.ids import new_id
from threadkeep.validation import BYTE_ORDER_MARK, decoding
from threadkeep.work import SMALL, Work, done, give_way

BATCH_CONVERSATIONS_MAX = 50
BATCH_BYTES_MAX = 4_000_000
"""How much is kept in one round trip, as sent and as indexed, unless one document has more."""
DOCUMENT_BYTES_MAX = 8 * 1024 * 1024
DOCUMENT_MESSAGES_MAX = 20_000
HELD_BYTES_MAX = 1_000_000
"""How much of a document is held before any of it is sent: a conversation that goes until then is left out, whole."""
DOCUMENTS_MAX = 20_000
WHOLE = "document"
"""The path of a document, where no part of it is to blame, but all of it."""
KEY_PATTERN = "^[!-~]{1,255}$"
"""What an `Idempotency-Key` looks like."""

T = TypeVar("T", int, None)

_ENTRY_SIZE = 1_000  # as much work as so many bytes, however small it is
_WRAPPING = 4
"""Levels that a document puts around what was sent, so that whatever was kept can be imported again."""
_LAST_MILLISECOND = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class DocumentMessage(MessageFields, kw_only=True):
    """A message of a document. Only role and content need to be there.

    Its `id` is its name within the document, for `parentId` to refer to. An import gives it another.
    """

    created_at: datetime | None = None
    is_root: bool = False
    """Whether it begins a branch: it follows nothing, though it is not the first."""


class DocumentConversation(ConversationFields, kw_only=True):
    """A conversation of a document."""

    created_at: datetime | None = None
    is_archived: bool = False
    messages: list[DocumentMessage]
    leaf_id: str | None = None
    """The message with which the active path ends, if that is not the last."""
    forked_from: ForkedFrom | None = None
    """What it was forked from, by the ids that those had where it was exported."""


def _both_have(kind: type[Struct], kept: type[Struct]) -> list[tuple[str, str, Any]]:
    """The fields of a part of a document that what is kept has as well, in the order of the latter.

    Each is its name in Python, its name in JSON, and its default.
    """
    of_kind = {field.name: (field.name, field.encode_name, field.default) for field in fields(kind)}
    return [of_kind[name] for name in kept.__struct_fields__ if name in of_kind]


_OF_MESSAGE = _both_have(DocumentMessage, Message)
# The leaf is said after the messages, and only where it is not the last of them.
_OF_CONVERSATION = [each for each in _both_have(DocumentConversation, Conversation) if each[0] != "leaf_id"]
_LATER_OF_CONVERSATION = later_fields(
    DocumentConversation, "id", "title", "model", "is_archived", "metadata", "created_at", "messages"
)


class Document(Struct, rename="camel", kw_only=True):
    """One exported conversation."""

    version: Literal[1]
    exported_at: datetime | None = None
    conversation: DocumentConversation


class Imported(Struct, rename="camel"):
    """A conversation that was imported."""

    index: int
    """Which document it was, counted from 0."""
    id: str
    title: str
    message_count: int


class Repaired(Struct):
    """A document of which something could not be as it says. The rest was imported as it is."""

    index: int
    """Which document it was, counted from 0."""
    paths: list[str]
    """Each `parentId` that names the message itself or a later one, and so was left out: it follows the one before. Or
    a `leafId` that names no message."""


class Refusal(Struct, omit_defaults=True):
    """Why an entry was skipped, in the form of every error."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class Skipped(Struct):
    """An entry that was not imported. The others were."""

    index: int
    """Which document it was, counted from 0."""
    error: Refusal


class ImportReport(Struct, omit_defaults=True):
    """What became of each entry."""

    imported: list[Imported]
    skipped: list[Skipped]
    repaired: list[Repaired] = []
    """Left out where there is none."""


# Export


async def export_conversation(store: Store, conversation_id: str, branch: str = ALL) -> AsyncIterator[bytes]:
    """The document of a conversation, in pieces: of all branches or of the path that is named. Raises NotFound before
    the first of them, and Invalid for a path that is not there.

    One that goes while it is read raises NotFound: what came before is not whole, and must not look as if it were.
    """
    return await _begun(store, await store.get_conversation(conversation_id), branch=branch)


async def export_everything(store: Store) -> AsyncIterator[bytes]:
    """Every conversation that is not deleted, archived ones too, a document a line. None is left out that was there.

    One that moves in the list while it is read is found again among the changes since the beginning.
    One that is deleted before it is begun is left out; NotFound, between two pieces, tells of one that goes while it is
    read, and of everything being erased. Raises Unavailable before the first piece, where the store cannot be reached.
    """
    return _everything(store, (await store.changes()).next)


async def _everything(store: Store, cursor: str) -> AsyncIterator[bytes]:
    exported: set[str] = set()
    async for conversation in _listed(store):
        if conversation.id not in exported:
            exported.add(conversation.id)
            async for piece in _line(store, conversation):
                yield piece
    while True:
        try:
            changes = await store.changes(cursor)
        except CursorExpired as error:
            raise NotFound("Everything was erased while it was exported.") from error
        for changed in changes.conversations:
            if isinstance(changed, Conversation) and changed.id not in exported:
                exported.add(changed.id)
                async for piece in _line(store, changed):
                    yield piece
        cursor = changes.next
        if not changes.has_more:
            return


async def _listed(store: Store) -> AsyncIterator[Conversation]:
    for is_archived in (False, True):
        cursor = None
        while True:
            page = await store.list_conversations(is_archived=is_archived, cursor=cursor, limit=100)
            for conversation in page.conversations:
                yield conversation
            cursor = page.next_cursor
            if cursor is None:
                break


async def _line(store: Store, conversation: Conversation) -> AsyncIterator[bytes]:
    try:
        pieces = await _begun(store, conversation, b"\n")
    except NotFound:  # deleted since it was listed
        return
    async for piece in pieces:
        yield piece


async def _begun(store: Store, conversation: Conversation, end: bytes = b"", branch: str = ALL) -> AsyncIterator[bytes]:
    """A document whose first piece is there. Raises NotFound before that, and where it goes later."""
    pieces = _document(store, conversation, end, branch)
    return _followed(await anext(pieces), pieces)


async def _followed(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    try:
        async for piece in pieces:
            yield piece
    except NotFound as error:
        raise NotFound("A conversation was deleted while it was exported.") from error


async def _document(store: Store, conversation: Conversation, end: bytes, branch: str) -> AsyncIterator[bytes]:
    """The document of a conversation: in one piece, unless it is too large to be held."""
    tree = _Tree(conversation.leaf_id, has_branches=branch == ALL)
    head = {"title": None, **_exported(conversation, _OF_CONVERSATION)}
    if conversation.title_source == "default":
        head["title"] = None
    if bytes(conversation.metadata) == b"{}":
        del head["metadata"]
    document = {"version": 1, "exportedAt": _iso(now()), "conversation": {**head, "messages": []}}
    held = json.encode(document).removesuffix(b"]}}")
    page = await store.list_messages(conversation.id, branch=branch, after=0, limit=MESSAGES_LIMIT_MAX)
    while True:
        held += b",".join(json.encode(tree.exported(message)) for message in page.messages)
        if page.next_cursor is None:
            break
        held += b","  # there is always a message on the next page
        if len(held) > HELD_BYTES_MAX:
            yield held
            held = b""
        page = await store.list_messages(conversation.id, cursor=page.next_cursor, limit=MESSAGES_LIMIT_MAX)
    yield held + b"]" + tree.leaf() + b"}}" + end


class _Tree:
    """What a document says of branches: what a message follows that is not the one before it, and the leaf."""

    def __init__(self, leaf_id: str | None, *, has_branches: bool) -> None:
        self._leaf_id = leaf_id
        self._has_branches = has_branches
        self._ids: dict[int, str] = {}
        self._last = 0

    def exported(self, message: Message) -> dict[str, Any]:
        """What a document says of a message, which comes after all that it follows."""
        is_root = False
        if self._has_branches:
            self._ids[message.seq] = message.id
            is_root = message.follows == 0 and self._last > 0
            if message.follows not in (0, message.seq - 1):
                message.parent_id = self._ids[message.follows]
        self._last = message.seq
        said = _exported(message, _OF_MESSAGE)
        return {**said, "isRoot": True} if is_root else said

    def leaf(self) -> bytes:
        """What comes behind the messages."""
        if self._leaf_id in (None, self._ids.get(self._last)) or not self._has_branches:
            return b""
        return b',"leafId":' + json.encode(self._leaf_id)


def _exported(kept: Message | Conversation, in_document: list[tuple[str, str, Any]]) -> dict[str, Any]:
    """What a document says of a message or a conversation. What is as it would be if it were left out is left out."""
    said: dict[str, Any] = {}
    for name, name_in_json, default in in_document:
        value = getattr(kept, name)
        if type(value) is Raw:
            value = _on_one_line(value)
        if value is not None and value != default:
            said[name_in_json] = value
    said["createdAt"] = _iso(kept.created_at)
    return said


def _on_one_line(raw: Raw) -> Raw | None:
    """JSON as it may stand in a line, None where it is null. Databases keep it so, and memory as it came."""
    text = bytes(raw)
    if text == b"null":
        return None
    return Raw(json.format(text, indent=-1)) if b"\n" in text or b"\r" in text else raw


def _iso(time: int) -> str:
    """A time as every other program writes it, to the millisecond."""
    return (_EPOCH + time * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Import


async def import_documents(
    store: Store, entries: AsyncIterator[bytes | ThreadkeepError], key: str | None
) -> ImportReport:
    """Import documents, many in one round trip, and tell what became of each.

    A document that is wrong is skipped, with the reason, and stops no other. With a key, the ids follow from it and
    from the place of the document: what was imported already under this key is a repeat, and is not imported again.
    """
    report = ImportReport([], [])
    batch: list[tuple[int, ImportRecord]] = []
    size = read = index = 0
    async for entry in entries:
        if index == DOCUMENTS_MAX:
            report.skipped.append(_skipped(index, _too_many()))
            break
        if isinstance(entry, ThreadkeepError):
            report.skipped.append(_skipped(index, entry))
        else:
            try:
                paths: list[str] = []
                record = await done(import_record(entry, key, index, paths))
            except ThreadkeepError as error:
                report.skipped.append(_skipped(index, error))
            else:
                entry_size = len(entry) + sum(indexed_size(message.words) for message in record.messages)
                if batch and (size + entry_size > BATCH_BYTES_MAX or len(batch) >= BATCH_CONVERSATIONS_MAX):
                    await _keep(store, batch, report)
                    batch, size = [], 0
                batch.append((index, record))
                if paths:
                    report.repaired.append(Repaired(index, paths))
                size += entry_size
                if size > BATCH_BYTES_MAX:  # so large, it is not held while the next is read
                    await _keep(store, batch, report)
                    batch, size = [], 0
            read += max(_ENTRY_SIZE, len(entry))
            if read > SMALL:  # in many that are small
                await give_way()
                read = 0
        index += 1
    await _keep(store, batch, report)
    report.skipped.sort(key=lambda skipped: skipped.index)
    refused = {skipped.index for skipped in report.skipped}
    report.repaired = [each for each in report.repaired if each.index not in refused]
    return report


def _too_many() -> TooLarge:
    return TooLarge(
        f"{WHOLE}: An import may have {DOCUMENTS_MAX} documents; this one and the rest were not read. "
        "Send them separately.",
        {"path": WHOLE},
    )


async def _keep(store: Store, batch: list[tuple[int, ImportRecord]], report: ImportReport) -> None:
    if not batch:
        return
    outcomes = await store.import_conversations([record for _, record in batch])
    for (index, record), refused in zip(batch, outcomes, strict=True):
        if refused is None:
            report.imported.append(Imported(index, record.id, record.title, len(record.messages)))
        else:
            report.skipped.append(_skipped(index, refused))


def check_key(key: str) -> str:
    """The key itself, if it may be one: 1 to 255 visible ASCII characters. Raises Invalid."""
    if not re.fullmatch(KEY_PATTERN[:-1], key):
        raise Invalid("idempotency-key: A key must have 1 to 255 visible ASCII characters.", "idempotency-key")
    return key


def import_record(text: bytes, key: str | None, index: int, repaired: list[str] | None = None) -> Work[ImportRecord]:
    """Check a document, and note what was mended of it. Raises Invalid or TooLarge with the path of what is wrong."""
    document = yield from decoding(text, Document, nesting_max=NESTING_MAX + _WRAPPING, whole=WHOLE)
    conversation = document.conversation
    if len(conversation.messages) > DOCUMENT_MESSAGES_MAX:
        raise TooLarge(
            f"conversation.messages: A document may have {DOCUMENT_MESSAGES_MAX} messages, and this one has more.",
            {"path": "conversation.messages"},
        )
    metadata = read_metadata(conversation.metadata, "conversation.metadata")
    created_at = _time(conversation.created_at, "conversation.createdAt", None)
    if created_at is None:
        times = ((number, message.created_at) for number, message in enumerate(conversation.messages))
        number, first = next(((number, time) for number, time in times if time is not None), (0, None))
        created_at = _time(first, f"conversation.messages[{number}].createdAt", now())
    ids = [_new_id(key, index, number) for number in range(len(conversation.messages) + 1)]
    repaired = [] if repaired is None else repaired
    named = {message.id: seq for seq, message in enumerate(conversation.messages, start=1)}
    forks = _forks(conversation.messages, named, repaired)
    leaf_seq = named.get(conversation.leaf_id) if conversation.leaf_id else None
    if conversation.leaf_id and leaf_seq is None:
        repaired.append("conversation.leafId")
    roots = [message.is_root for message in conversation.messages]
    messages = yield from _message_records(conversation.messages, ids[1:], created_at)
    title = next((message.title for message in messages if message.title), None)
    last = messages[-1].created_at if messages else None
    checked = {
        "id": ids[0],
        "title": conversation.title or title or DEFAULT_TITLE,
        "title_source": "user" if conversation.title else "first_message" if title else "default",
        "metadata": Raw(json.encode(metadata or {})),
        "created_at": created_at,
        "updated_at": min(now(), max(created_at, last or 0)),
        "messages": messages,
        "forks": forks,
        "leaf_seq": None if leaf_seq == len(messages) else leaf_seq,
        # What the document says, and nothing of when it is read: it is the same when it comes again.
        "digest": digest(
            conversation.title,
            conversation.model,
            conversation.is_archived,
            canonical(conversation.metadata),
            conversation.created_at,
            [
                (record.digest, message.created_at, *([is_root] if is_root else []))
                for record, message, is_root in zip(messages, conversation.messages, roots, strict=True)
            ],
            sent=conversation,
            later=_LATER_OF_CONVERSATION,
        ),
    }
    said = asdict(conversation)
    del said["leaf_id"]
    return ImportRecord(**said | checked)


def _forks(sent: list[DocumentMessage], named: dict[str | None, int], repaired: list[str]) -> list[tuple[int, int]]:
    """Messages that do not follow the one before them, with what they follow. What they cannot follow is left out."""
    forks = []
    for seq, message in enumerate(sent, start=1):
        parent = None if message.parent_id is None else named.get(message.parent_id)
        if parent is not None and parent >= seq:
            repaired.append(f"conversation.messages[{seq - 1}].parentId")
            message.parent_id = parent = None
        if message.is_root:
            parent, message.parent_id = 0, None
        if parent not in (None, seq - 1):
            forks.append((seq, parent))
    return forks


def _message_records(sent: list[DocumentMessage], ids: list[str], created_at: int) -> Work[list[MessageRecord]]:
    new_ids: dict[str, str] = {}
    for number, message in enumerate(sent):
        if message.id in new_ids:
            path = f"conversation.messages[{number}].id"
            raise Invalid(f"{path}: Another message of this document has this id.", path)
        if message.id is not None:
            new_ids[message.id] = ids[number]
    records: list[MessageRecord] = []
    budget = IndexBudget("conversation.messages")
    for number, message in enumerate(sent):
        path = f"conversation.messages[{number}]"
        message.id = ids[number]
        if message.parent_id is not None:
            message.parent_id = new_ids.get(message.parent_id)  # one that is elsewhere has no name here
        # One without a time is as old as the one before it.
        created_at = _time(message.created_at, f"{path}.createdAt", created_at)
        record = yield from message_record(message, path, new_id, created_at)
        budget.spend(record)
        records.append(record)
    return records


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes | ThreadkeepError]:
    """The lines of a stream that are not blank; TooLarge in the place of one over 8 MiB, of which no more is held."""
    rest = bytearray()
    is_too_long = False
    async for piece in pieces:
        *ended, tail = piece.split(b"\n")
        for part in ended:
            if not is_too_long:
                rest += part
            if is_too_long or len(rest) > DOCUMENT_BYTES_MAX:
                yield _line_too_long()
            elif rest.removeprefix(BYTE_ORDER_MARK).strip():
                yield bytes(rest)
            rest.clear()
            is_too_long = False
        if not is_too_long:
            rest += tail
        if len(rest) > DOCUMENT_BYTES_MAX:
            is_too_long = True
            rest.clear()
    if is_too_long:
        yield _line_too_long()
    elif rest.removeprefix(BYTE_ORDER_MARK).strip():
        yield bytes(rest)


def _line_too_long() -> TooLarge:
    return TooLarge(
        f"{WHOLE}: A document may have {DOCUMENT_BYTES_MAX} bytes, and this line has more.", {"path": WHOLE}
    )


def _skipped(index: int, error: ThreadkeepError) -> Skipped:
    return Skipped(index, Refusal(error.code, error.message, error.details))


def _new_id(key: str | None, index: int, number: int) -> str:
    """A new id, or the one that always follows from a key and a place. Ids are per user, so a key is too."""
    if key is None:
        return new_id()
    return str(ULID.from_bytes(hashlib.sha256(json.encode(["import", key, index, number])).digest()[:16]))


def _time(time: datetime | None, path: str, otherwise: T) -> int | T:
    """Unix milliseconds; a time without a zone is in UTC. Raises Invalid outside of the years 1970 to 9999, in UTC."""
    if time is None:
        return otherwise
    milliseconds = ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
    if not 0 <= milliseconds <= _LAST_MILLISECOND:
        raise Invalid(f"{path}: A time must be in the years 1970 to 9999, in UTC.", path)
    return milliseconds
