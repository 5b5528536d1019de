"""The part of the walk that is about conversations."""

from typing import Any
from unittest import mock

import msgspec
from msgspec.structs import replace

from owner_proof.walk.steps import Step, not_too_many
from support.records import conversation, edit, message_edit, message_records, new_message
from threadkeep.conversations import cursors
from threadkeep.conversations.records import ConversationFilter, ForkRecord, ImportRecord, SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.storage.sql import branches as sql_branches
from threadkeep.storage.sql.conversations import SqlStore


def c(number: int) -> str:
    """The id of a conversation."""
    return f"0C{number:024d}"


def m(number: int) -> str:
    """The id of a message."""
    return f"0M{number:024d}"


def create(number: int, *messages: int, words: str = "", **fields: Any) -> Step:
    sent = [new_message(f"{words} {message}", id=m(message)) for message in messages]
    return lambda store: store.create_conversation(conversation(*sent, id=c(number), **fields))


def put(number: int, *messages: int, words: str = "", expected: int | None = None, **fields: Any) -> Step:
    record = conversation(
        *(new_message(f"{words} {message}", id=m(message)) for message in messages), id=c(number), **fields
    )
    return lambda store: store.put_conversation(record, expected_message_count=expected)


def create_in_parts(number: int, *messages: int, words: str) -> Step:
    """Create a conversation of messages that are not of text, of which there is one more."""
    parts = [[{"type": "reasoning", "text": f"{words} {message}"}] for message in messages]
    sent = [new_message(id=m(message), content=part) for message, part in zip(messages, parts, strict=True)]
    return lambda store: store.create_conversation(conversation(*sent, new_message(id=m(400 + number)), id=c(number)))


def append(number: int, *messages: int, words: str = "", expected: int | None = None) -> Step:
    records = message_records([new_message(f"{words} {message}", id=m(message)) for message in messages])
    return lambda store: store.append_messages(c(number), records, expected_message_count=expected)


def update(number: int, version: int | None = None, **fields: Any) -> Step:
    return lambda store: store.update_conversation(c(number), edit(**fields), expected_version=version)


def branch(number: int, message: int, *, words: str = "", **where: Any) -> Step:
    records = message_records([new_message(f"{words} {message}", id=m(message), **where)])
    return lambda store: store.append_messages(c(number), records)


def count_to(rev: int, number: int) -> Step:
    """Edit a conversation until the user's counter stands at this."""

    async def step(store: Store) -> None:
        while (at := cursors.decode_change((await store.changes()).next).rev) != rev:
            if at > rev:
                raise LookupError(f"The counter stands at {at}.")
            await store.update_conversation(c(number), edit(title=f"At {at}"))

    return step


def fork(number: int, message: int | None, to: int, *, title: str | None = None) -> Step:
    message_id = None if message is None else m(message)
    record = ForkRecord(id=c(to), message_id=message_id, title=title, digest=f"{number} {message_id} {title}")
    return lambda store: store.fork_conversation(c(number), record)


def get_message(number: int, message: int) -> Step:
    return lambda store: store.get_message(c(number), m(message))


def update_message(number: int, message: int, version: int | None = None, **fields: Any) -> Step:
    return lambda store: store.update_message(c(number), m(message), message_edit(**fields), expected_version=version)


def take_in(*numbers: int, title: str) -> Step:
    """Import conversations, each with two messages that have its number and the next after 100, and follow nothing."""
    records = [
        ImportRecord(
            id=c(number),
            title=title,
            title_source="user",
            model=None,
            metadata=msgspec.Raw(b"{}"),
            is_archived=False,
            created_at=1,
            updated_at=3,
            messages=[
                replace(record, created_at=2)
                for record in message_records(
                    [new_message(f"{title} {message}", id=m(message)) for message in (100 + number, 101 + number)]
                )
            ],
            digest=f"{number} {title}",
            forks=[(2, 0)],
        )
        for number in numbers
    ]

    async def step(store: Store) -> Any:
        return [error and [error.code, error.message] for error in await store.import_conversations(records)]

    return step


def get(number: int) -> Step:
    return lambda store: store.get_conversation(c(number))


def delete(number: int, version: int | None = None) -> Step:
    return lambda store: store.delete_conversation(c(number), expected_version=version)


def restore(number: int) -> Step:
    return lambda store: store.restore_conversation(c(number))


def list_all(**query: Any) -> Step:
    async def step(store: Store) -> Any:
        pages = [await store.list_conversations(**query)]
        while pages[-1].next_cursor:
            pages.append(await store.list_conversations(**{**query, "cursor": pages[-1].next_cursor}))
        return pages

    return step


def read_all(number: int, **query: Any) -> Step:
    """Read a conversation page by page, and once more with pages that are too small for most messages.

    The others are too small for what everybody has.
    """

    async def step(store: Store) -> Any:
        pages = []
        for page_bytes in (2_000, 9):
            with mock.patch.object(sql_branches, "PAGE_BYTES_MAX", page_bytes):
                pages.append(await store.list_messages(c(number), **query))
                while pages[-1].next_cursor:
                    limit = query["limit"]
                    pages.append(await store.list_messages(c(number), cursor=pages[-1].next_cursor, limit=limit))
                    not_too_many(pages)
        return pages

    return step


def search_all(text: str, limit: int = 20, **options: Any) -> Step:
    query = SearchQuery(text=text, **options)

    async def step(store: Store) -> Any:
        pages = [await store.search(query, limit=limit)]
        while pages[-1].next_cursor:
            pages.append(await store.search(query, cursor=pages[-1].next_cursor, limit=limit))
            not_too_many(pages)
        return pages

    return step


def follow_all(limit: int, since: str = "0") -> Step:
    async def step(store: Store) -> Any:
        pages = [await store.changes(since, limit=limit)]
        while pages[-1].has_more:
            pages.append(await store.changes(pages[-1].next, limit=limit))
            not_too_many(pages)
        return [[page.conversations, page.messages, page.removed, _place(page.next)] for page in pages]

    return step


def follow_after(first: Step, limit: int = 500) -> Step:
    """Take a step, and follow what it changed."""

    async def step(store: Store) -> Any:
        now = await store.changes()
        await first(store)
        return await store.changes(now.next, limit=limit)

    return step


def expire(*spares: str) -> Step:
    """Delete what is older than anything that is still to come, and find out what is left."""

    async def step(store: SqlStore) -> Any:
        return [await store.expire(2**52, spares), await store.oldest_append(spares)]

    return step


def delete_all(is_archived: bool | None) -> Step:
    return lambda store: store.delete_conversations(2**52, is_archived=is_archived)


def _place(cursor: str) -> Any:
    return msgspec.structs.astuple(msgspec.structs.replace(cursors.decode_change(cursor), n=0))


# Conversations 1 to 4 and messages 1 to 9 are the walker's own; everybody around has them too, and more.
# Cursors from before they began with `~`, which may be ids as well.
OLDER_OF_CONVERSATIONS = cursors.encode(cursors.AfterConversation(2**52, "Z")).removeprefix("~")
OLDER_OF_MESSAGES = cursors.encode(cursors.AfterMessage(1)).removeprefix("~")

WALK: list[Step] = [
    create(1, 1, 2, words="mine"),
    create(1, 1, 2, words="mine"),
    create(1, 1, 2, words="changed"),
    create(2, title="Mine", model="m", metadata={"mine": 1}),
    create(3, 2, 3, words="mine"),
    create(3),
    append(2, 3, 4, words="mine"),
    append(2, 3, 4, words="mine"),
    append(2, 4, 5, words="mine", expected=2),
    append(2, 5, words="mine", expected=9),
    append(2, 6, words="mine", expected=2),
    append(2, 3, words="changed"),
    append(2, 1, words="mine"),
    append(3, 7, words="mine"),
    append(90, 8, words="mine"),
    create(4, 8, 9, words="mine"),
    put(2, 3, words="mine", title="Other"),
    put(2, 3, 5, words="mine", expected=9),
    put(2, 1, words="mine"),
    put(5, 1, words="mine"),
    put(5, 11, words="mine", expected=3),
    put(5, 11, words="mine", expected=0, title="Put"),
    put(5, 11, 12, words="mine", title="Put"),
    get(1),
    get(90),
    list_all(limit=1),
    list_all(limit=2, cursor=c(2)),
    list_all(cursor=c(90)),
    list_all(cursor=OLDER_OF_CONVERSATIONS),
    read_all(1, limit=50),
    read_all(2, limit=1),
    read_all(2, limit=1, after=0),
    read_all(2, limit=2, cursor=m(5)),
    read_all(2, limit=2, cursor=m(1)),
    read_all(2, limit=2, cursor=m(90)),
    read_all(2, limit=2, cursor=OLDER_OF_MESSAGES),
    read_all(90, limit=2),
    update(1, title="Renamed", metadata={"a": {"b": 1}}),
    update(1, title="Late", edited_at=1),
    update(1, version=2, metadata={"a": {"c": 2}}, is_archived=True, model="n"),
    update(1, version=2, title="Stale"),
    update(1, metadata={"large": "x" * 16_384}),
    update(1, metadata=None),
    update(90, title="Not mine"),
    get_message(1, 2),
    get_message(1, 90),
    get_message(90, 2),
    update_message(1, 2, metadata={"mine": {"a": 1}}),
    update_message(1, 2, metadata={"late": 1}, edited_at=1),
    update_message(1, 2, version=2, metadata={"mine": {"b": 2}}),
    update_message(1, 2, version=2, metadata={"stale": 1}),
    update_message(1, 2, metadata={"large": "x" * 16_374}),
    update_message(1, 2),
    update_message(1, 1, metadata=None),
    update_message(1, 90, metadata={"mine": 1}),
    update_message(90, 2, metadata={"mine": 1}),
    update_message(2, 2, metadata={"mine": 1}),
    list_all(is_archived=True),
    list_all(is_archived=None, limit=1),
    list_all(is_archived=None, limit=1, cursor=c(2)),
    list_all(is_archived=None, limit=1, cursor=c(3)),
    list_all(is_archived=None, cursor=c(90)),
    list_all(is_archived=None, limit=1, only=ConversationFilter(model="m")),
    list_all(only=ConversationFilter(metadata=("mine", "1"), created_after=1, created_before=2**52)),
    delete(2, version=9),
    get(2),
    delete(2, version=1),
    delete(2),
    delete(2, version=9),
    get(2),
    append(2, 6, words="mine"),
    put(2, 6, words="mine"),
    update(2, title="Deleted"),
    update_message(2, 4, metadata={"deleted": 1}),
    update_message(2, 4, metadata=None),
    read_all(2, limit=2),
    list_all(limit=1),
    create(2),
    restore(2),
    restore(2),
    append(2, 6, words="mine"),
    read_all(2, limit=50),
    delete(90),
    delete(90, version=1),
    restore(90),
    search_all("mine"),
    search_all("MI", limit=1),
    search_all('"mine 6"'),
    search_all("mine", role="assistant"),
    search_all("mine", conversation_id=c(1)),
    search_all("mine", only_active=True),
    search_all("mine", conversation_id=c(90)),
    search_all("mine", role="user", since=1, until=2**53 - 1),
    search_all("other"),
    search_all("more"),
    search_all("Renamed"),
    search_all("..."),
    follow_all(1),
    follow_all(4),
    follow_all(500),
    follow_all(4, "another"),
    follow_all(4, cursors.encode(cursors.AfterChange("another", 1, 0, 0, 0))),
    follow_after(delete(3)),
    search_all("mine"),
    follow_after(restore(3)),
    follow_after(update_message(3, 7, metadata={"mine": 3})),
    follow_after(update(1, title=None)),
    search_all("Renamed"),
    follow_after(update(1, title="Mine again")),
    search_all("mine again"),
]

# What a store that is elsewhere has another way for.
IMPORTS: list[Step] = [
    follow_after(take_in(10, 20, title="mine imported")),
    take_in(10, 30, title="mine imported"),
    take_in(4, 10, title="mine changed"),
    search_all("mine imported", limit=3),
    search_all("changed"),
    list_all(limit=9),
    read_all(20, limit=1),
]

MORE: list[Step] = [create(90, 90, 91, words="more"), append(1, 92, words="more"), append(2, 93, words="more")]

OTHERWISE: list[Step] = [
    create(4, 1, 2, 3, words="other", title="Other", metadata={"other": 1}),
    create(3, 4, words="other"),
    create(2, 5, 6, 7, words="other"),
    create(1, 8, 9, 90, words="other"),
    update(1, title="Other", metadata={"other": 2}, edited_at=2**52),
    update(1, title="Again"),
    update(2, is_archived=True),
]
