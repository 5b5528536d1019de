"""Erasing and purging in SQL: what is swept, what is left of it in the file, and a database of one user alone."""

import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from msgspec import Raw

from support import stores
from support.records import conversation, message, messages, new_message
from threadkeep.agents.store import StateStore
from threadkeep.agents.threads import service as threads
from threadkeep.agents.threads.models import NewCheckpoint, NewValue, NewWrite, NewWrites
from threadkeep.agents.threads.service import COUNTERS
from threadkeep.conformance.helpers import blobs
from threadkeep.conformance.helpers.journals import append, put
from threadkeep.conformance.helpers.tasks import absorb, admit, change, change_lane, claim
from threadkeep.conformance.helpers.threads import encoded
from threadkeep.conversations import retention
from threadkeep.conversations.drafts import service as drafts
from threadkeep.conversations.drafts.models import NewDraft, NewParts, Op
from threadkeep.conversations.models import Erased
from threadkeep.conversations.records import SearchQuery
from threadkeep.errors import Conflict, CursorExpired, NotFound
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.agents import sweep_blobs, sweep_journals, sweep_tasks, sweep_threads
from threadkeep.storage.sql.conversations import SqlStore, tidy_index, users_to_purge
from threadkeep.storage.sql.executor import KeepsLog, Query, Row, SharedExecutor, Statement, read, write
from threadkeep.storage.sql.migrate import migrate
from threadkeep.storage.sql.statements import Statements
from threadkeep.storage.sql.statements.threads import KINDS
from threadkeep.storage.sqlite.dialect import SQLITE, SqliteDialect
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.first_index import indexed_words
from threadkeep.storage.sqlite.migrations import MIGRATIONS

pytestmark = pytest.mark.anyio

# Every table has a user, as tests/owner_proof sees to. Which user that is stays until the row is removed: it is how the
# row is found.
TABLES = read("""
SELECT t.name
FROM sqlite_schema AS t
WHERE t.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = 'user_id')
""")
BEFORE = "word_lists"
"""The table of which sweeping removes what the version before has put there, and nothing is put there any more."""
TEXTS = read("""
SELECT c.name, c.type
FROM pragma_table_info(:table) AS c
WHERE c.name <> 'user_id' AND c.type NOT IN ('INT', 'INTEGER', 'REAL')
""")
NOT_OVERWRITTEN = {
    "blobs.group_id": "It is an id that we made.",
    "conversations.forked_from": "It has two ids and two numbers.",
    "cuts.conversation_id": "It is an id.",
    "draft_parts.blocks": "It has a letter for the type of each block.",
    "draft_parts.draft_id": "It is an id.",
    "drafts.conversation_id": "It is an id.",
    "drafts.id": "It is an id, and has no words.",
    "drafts.parent_id": "It is the id of a message.",
    "drafts.role": "It is one of four words that the schema lists.",
    "drafts.state": "It is one of a few words of ours.",
    "forks.conversation_id": "It is an id.",
    "entries.big": "It is an id that we made.",
    "entries.id": "It is an id, by which an entry is found.",
    "journals.incarnation": "It is an id that we made.",
    "journals.stamp": "It is an id that we made.",
    "owners.epoch": "It is an id that we made.",
    "pieces.group_id": "It is an id that we made.",
    "tasks.big": "It is an id that we made.",
    "tasks.settlement_big": "It is an id that we made.",
    "tasks.state": "It is one of a few words of ours.",
    "threads.stamp": "It is an id that we made.",
    **{f"{table}.big": "It is an id that we made." for table in KINDS},
    **{
        f"{table}.{name}": "It is a name that a program gives, by which a row is found."
        for table, names in {
            "checkpoints": ("ns", "id"),
            "checkpoint_values": ("ns", "channel", "version"),
            "checkpoint_writes": ("ns", "checkpoint", "task"),
        }.items()
        for name in names
    },
    "conversations.id": "It is an id, and has no words.",
    "conversations.padding": "It is empty: it is in no use any more.",
    "conversations.title_source": "It is one of four words that the schema lists.",
    "messages.id": "It is an id, and has no words.",
    "messages.conversation_id": "It is an id, by which the messages of a conversation are found.",
    "messages.parent_id": "It is the id of a message.",
    "messages.role": "It is one of four words that the schema lists.",
    "messages.sent_role": "It is `developer`, where it is anything.",
}
"""What an erasure leaves as it was until it removes the row, each with its reason."""


class OneUser:
    """A database of one user alone, which begins anew as that of a Durable Object does."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self) -> None:
        self.inner = SqliteExecutor(":memory:")
        self.ran: list[Statement] = []

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self.ran += statements
        return await self.inner.run(*statements)

    async def clear(self, *statements: Statement) -> list[list[Row]]:
        rows = await self.inner.run(*statements)
        self.inner.close()
        self.inner = SqliteExecutor(":memory:")
        await migrate(self.inner, MIGRATIONS)
        return rows


class Interrupted:
    """An executor that does something else between two round trips: before the one of this number."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, inner: SqliteExecutor, number: int, meanwhile: Callable[[], Any]) -> None:
        self._inner = inner
        self._left = number
        self._meanwhile = meanwhile

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self._left -= 1
        if self._left == 0:
            await self._meanwhile()
        return await self._inner.run(*statements)

    async def clear(self, *statements: Statement) -> None:
        """Everybody is in one database."""


class Sparing:
    """An executor that removes no row."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, inner: SqliteExecutor) -> None:
        self._inner = inner

    async def run(self, *statements: Statement) -> list[list[Row]]:
        removing = (
            *SQLITE.remove_branches,
            *(each for each in SQLITE.remove_drafts_of_swept if "DELETE" in each.text),
            *(SQLITE.remove_messages, SQLITE.remove_conversations, SQLITE.remove_owner),
            *(*SQLITE.sweep_entries[2:], SQLITE.sweep_journals[1], *SQLITE.sweep_blobs[2:]),
            *(*SQLITE.sweep_tasks[2:], SQLITE.sweep_lanes[1]),
            *(each for each in (*SQLITE.sweep_of_threads, *SQLITE.sweep_threads) if "DELETE" in each.text),
        )
        return await self._inner.run(*(each for each in statements if each.query not in removing))

    async def clear(self, *statements: Statement) -> None:
        """Everybody is in one database."""


@pytest.fixture
async def database(executor: SqliteExecutor) -> SqliteExecutor:
    await migrate(executor, MIGRATIONS)
    return executor


async def rows_of(executor: Any, user_id: str) -> dict[str, int]:
    """How many rows of a user each table has, where it has any."""
    (tables,) = await executor.run(TABLES())
    counts = {}
    for table in (row["name"] for row in tables):
        query = read(f"SELECT count(*) AS n FROM {table} AS t WHERE t.user_id = :user")
        ((row,),) = await executor.run(query(user=user_id))
        counts[table] = row["n"]
    return {table: count for table, count in counts.items() if count}


async def texts_of(executor: SqliteExecutor, user_id: str) -> dict[str, Query]:
    """Fill what is empty in the rows of a user; answer a query for each column that may hold text, by its name."""
    (tables,) = await executor.run(TABLES())
    queries = {}
    for table in (row["name"] for row in tables if row["name"] != BEFORE):
        (columns,) = await executor.run(TEXTS(table=table))
        for column, kind in ((row["name"], row["type"]) for row in columns):
            fill = write(
                f"UPDATE {table} SET {column} = CAST('unforgettable' AS {'BLOB' if kind == 'BLOB' else 'TEXT'}) "
                f"WHERE {table}.user_id = :user AND coalesce({column}, '') = ''"
            )
            await executor.run(fill(user=user_id))
            value = f"CAST(t.{column} AS BLOB)"
            queries[f"{table}.{column}"] = read(
                f"SELECT {value} AS value FROM {table} AS t WHERE t.user_id = :user ORDER BY {value}"
            )
    return queries


async def values_of(executor: SqliteExecutor, queries: dict[str, Query], user_id: str) -> dict[str, list[bytes]]:
    """What stands in these columns, in the rows of a user."""
    answers = await executor.run(*(query(user=user_id) for query in queries.values()))
    return {name: [row["value"] for row in rows] for name, rows in zip(queries, answers, strict=True)}


async def assert_sound(executor: SqliteExecutor) -> None:
    """Fail unless either index is whole, and that of the version before holds what is listed and nothing else."""
    for index in ("search_index_2", "words"):
        await executor.run(write(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")())


# A database of one user alone


async def test_a_database_of_one_user_is_emptied_at_once() -> None:
    executor = OneUser()
    await migrate(executor, MIGRATIONS)
    store = SqlStore(executor, "ada")
    record, deleted = conversation(new_message("an aardvark"), new_message()), conversation(new_message())
    for kept in (record, deleted):
        await store.create_conversation(kept)
    await store.delete_conversation(deleted.id)
    cursor = (await store.changes()).next
    executor.ran.clear()
    assert await store.erase() == Erased(2, 3)
    assert executor.ran == []
    assert await rows_of(executor, "ada") == {}
    assert await store.sweep() is False
    assert await rows_of(executor, "ada") == {}
    with pytest.raises(CursorExpired):
        await store.changes(cursor)
    with pytest.raises(NotFound):
        await store.restore_conversation(deleted.id)
    assert (await store.search(SearchQuery(text="aardvark"))).hits == []
    assert (await store.create_conversation(record))[1]
    assert await retention.erase(store) == (Erased(1, 2), True)
    assert await retention.erase(store) == (Erased(0, 0), True)
    executor.inner.close()


# Sweeping


async def test_what_is_erased_is_removed_in_parts_and_its_owner_last(database: SqliteExecutor) -> None:
    store, other = SqlStore(database, "ada"), SqlStore(database, "bob")
    record = conversation(title="Mine")
    for owner in (store, other):
        await owner.create_conversation(record)
        await owner.append_messages(record.id, messages(700))
    kept = await rows_of(database, "bob")
    assert kept == {"owners": 1, "conversations": 1, "messages": 700}
    await store.erase()
    parts = [await rows_of(database, "ada")]
    while await store.sweep():
        parts.append(await rows_of(database, "ada"))
        assert len(parts) < 10
        await assert_untouched(database, other, kept)
    assert [part["messages"] for part in parts] == [700, 200]
    assert parts[1] == {"owners": 1, "conversations": 1, "messages": 200}
    assert await rows_of(database, "ada") == {}
    while await store.tidy():
        await assert_untouched(database, other, kept)
    await assert_untouched(database, other, kept)


async def assert_untouched(database: SqliteExecutor, other: SqlStore, kept: dict[str, int]) -> None:
    await assert_sound(database)
    assert await rows_of(database, "bob") == kept
    assert len((await other.search(SearchQuery(text="message 700"))).hits) == 1


async def test_a_sweep_that_was_overtaken_leaves_what_is_new_alone(database: SqliteExecutor) -> None:
    store = SqlStore(database, "ada")
    kept = [conversation(new_message("a dolphin"), new_message("an eel"), title=f"Animals {n}") for n in range(2)]
    came: list[int] = []

    async def meanwhile() -> None:
        assert (await retention.erase(store))[1]
        for record in kept:
            await store.create_conversation(record)
        came.append(1)

    # Before each of its round trips: it chooses, removes, and looks for what is to be indexed again.
    for is_begun in (False, True):
        for number in (1, 2, 3):
            await store.create_conversation(conversation(new_message("an aardvark"), new_message(), title="Old"))
            await store.erase()
            if is_begun:
                with mock.patch.object(sql_store, "_SWEPT_MESSAGES_MAX", 1):
                    assert await store.sweep()
            came.clear()
            await SqlStore(Interrupted(database, number, meanwhile), "ada").sweep()
            assert came == [1]
            assert await rows_of(database, "ada") == {"conversations": 2, "messages": 4, "owners": 1}
            for record in kept:
                listed = (await store.list_messages(record.id)).messages
                sent = [each.message for each in record.messages]
                assert [bytes(row.content) for row in listed] == [bytes(each.content) for each in sent]
            for words, hits in (("dolphin", 2), ("eel", 2), ("animals", 2), ("aardvark", 0), ("old", 0)):
                assert len((await store.search(SearchQuery(text=words))).hits) == hits
            await assert_sound(database)


async def test_what_is_erased_twice_leaves_the_index_once(database: SqliteExecutor) -> None:
    """The index counts its rows. One that is taken out twice is missing in the count, and at 0 all of it is broken."""
    store, other = SqlStore(database, "ada"), SqlStore(database, "bob")
    await other.create_conversation(conversation(new_message("a dolphin"), title="Animals"))
    for _ in range(5):
        await store.create_conversation(conversation(title="Old"))
    assert [await store.erase() for _ in range(3)] == [Erased(5, 0)] * 3
    for _ in range(3):
        assert await store.purge(1) is None
    assert (await retention.erase(store))[1]
    await assert_sound(database)
    assert len((await other.search(SearchQuery(text="dolphin"))).hits) == 1
    assert (await retention.erase(other)) == (Erased(1, 1), True)
    await assert_sound(database)


async def test_what_two_sweep_at_once_leaves_the_index_once(database: SqliteExecutor) -> None:
    store = SqlStore(database, "ada")
    await store.create_conversation(conversation(*(new_message(f"{number} eels") for number in range(5))))
    await store.erase()
    await SqlStore(Interrupted(database, 2, store.sweep), "ada").sweep()
    while await store.sweep():
        pass
    assert await rows_of(database, "ada") == {}
    await assert_sound(database)


async def test_a_purge_sweeps_what_is_due_and_leaves_what_is_not(database: SqliteExecutor) -> None:
    time = [1_000]
    store = SqlStore(database, "ada", lambda: time[0])
    stays, early, late = [conversation(new_message("an aardvark"), title="Animals") for _ in range(3)]
    for record in (stays, early, late):
        await store.create_conversation(record)
    await store.delete_conversation(early.id)
    time[0] += 1
    await store.delete_conversation(late.id)
    assert await store.purge(999) == 1_000
    assert await store.purge(1_000) == 1_001
    with pytest.raises(NotFound):
        await store.restore_conversation(early.id)
    assert await rows_of(database, "ada") == {"owners": 1, "conversations": 3, "messages": 3}
    with pytest.raises(Conflict):
        await store.create_conversation(early)
    while await store.sweep():
        pass
    assert await rows_of(database, "ada") == {"owners": 1, "conversations": 2, "messages": 2}
    assert (await store.restore_conversation(late.id)).message_count == 1
    assert (await store.create_conversation(early))[1]
    await assert_sound(database)


# What is left in the file


async def keep_task(store: StateStore, word: str, *, size: int) -> None:
    """Keep a task that has joined another, both of which have all that a task can have; and a lane that is closed."""
    for place in ("first", "second"):
        await admit(store, f"{place} {word}", lane=word, kind=word, target=word, payload=f"{word} " * size)
    first, second = (f"{place} {word}" for place in ("first", "second"))
    await claim(store, first, f"attempt {word}", holder=word)
    await absorb(store, first, f"attempt {word}", target=word)
    await change(store, second, "join", host=first, attempt=f"attempt {word}")
    end = {"settlementId": word, "settlement": f"{word} " * size, "error": word}
    for id_ in (first, second):
        await change(store, id_, "note", attempt=f"attempt {word}", note={word: word}, request=f"noting-{word[:9]}")
        await change(store, id_, "reserve", attempt=f"attempt {word}", **end)
    await change_lane(store, "close", lane=f"another {word}")


async def keep_threads(store: SqlStore) -> None:
    """Have something in every column of threads, small and large."""
    word, large = "unforgettable", "unforgettable " * 100_000
    await store.state.claim_thread(word, request=word)
    typed = [encoded(word), encoded(large)]
    for id_, data in zip(("1", "2"), typed, strict=True):
        value = NewValue(channel=word, version=id_, **data)
        new = {"id": id_, "parent": word, "stored": {word: id_}, "values": [value], "epoch": 1, **data}
        metadata = msgspec.Raw(msgspec.json.encode({"run_id": word, COUNTERS: {word: 1}}))
        await threads.put_checkpoint(store.state, word, NewCheckpoint(metadata=metadata, **new))
        write_ = NewWrite(idx=0, channel=word, **data)
        writes = NewWrites(checkpoint=id_, task=word, path=word, writes=[write_], epoch=1)
        await threads.put_writes(store.state, word, writes)


async def keep_draft(store: SqlStore, conversation_id: str, parent_id: str, private: dict[str, Any]) -> None:
    """Begin to write a message, of these words."""
    metadata = Raw(msgspec.json.encode(private["metadata"]))
    new = NewDraft(id="draft-1", parent_id=parent_id, model=private["model"], metadata=metadata)
    draft, _ = await drafts.start_draft(store, conversation_id, new)
    block = Raw(b'{"type":"text","text":"unforgettable"}')
    await drafts.write_parts(store, draft.id, NewParts(fence=1, first=0, parts=[[Op(block=0, set=block)]]))


async def test_every_text_is_overwritten_in_its_row_before_the_row_is_removed(database: SqliteExecutor) -> None:
    """A row that is removed stays in its page, but where the database overwrites what is deleted."""
    store = SqlStore(database, "ada")
    private = {"model": "unforgettable", "metadata": {"unforgettable": "unforgettable"}}
    ids = [f"message-{number}" for number in range(3)]
    sent = [new_message("unforgettable", id=each, **private) for each in ids]
    record = conversation(*sent, title="unforgettable", **private)
    await store.create_conversation(record)
    await put(store.state, head="unforgettable")
    await append(store.state, "unforgettable " * 100_000)
    await store.append_messages(record.id, [message("unforgettable", siblingOf=ids[1])])
    await store.delete_branch(record.id, ids[2])
    await keep_draft(store, record.id, ids[0], private)
    meta = '{"unforgettable":1}'
    await blobs.put(store.state, b"unforgettable", "unforgettable", media_type="un/forgettable", meta=meta)
    await keep_task(store.state, "unforgettable", size=100_000)
    await keep_threads(store)
    texts = await texts_of(database, "ada")
    before = await values_of(database, texts, "ada")
    empty = [name for name, values in before.items() if not values]
    assert not empty, f"This test has to keep something in {', '.join(empty)}."
    await store.erase()
    await SqlStore(Sparing(database), "ada")._sweep_marked()
    # A journal stays as it is for as long as it has entries, and a thread for as long as it has anything.
    moves = [
        write("UPDATE entries SET journal = -journal WHERE entries.user_id = 'ada'"),
        *(write(f"UPDATE {table} SET thread = -thread WHERE {table}.user_id = 'ada'") for table in KINDS),
    ]
    for sweep in (sweep_journals, sweep_threads):
        await sweep(Sparing(database), "ada")
    await database.run(*(move() for move in moves))
    for sweep in (sweep_journals, sweep_threads):
        await sweep(Sparing(database), "ada")
    await database.run(*(move() for move in moves))
    await sweep_blobs(Sparing(database), "ada")
    await sweep_tasks(Sparing(database), "ada")
    after = await values_of(database, texts, "ada")
    # By NULs, as many as it was bytes, so that the row stays where it is.
    left = {name for name in texts if after[name] != sorted(bytes(len(value)) for value in before[name])}
    forgotten = sorted(left - set(NOT_OVERWRITTEN))
    assert not forgotten, f"Nothing overwrites {', '.join(forgotten)}."
    assert left == set(NOT_OVERWRITTEN)
    while await store.sweep():
        pass
    assert await rows_of(database, "ada") == {}


MESSAGES_BY_SEQ = read("""
SELECT m.content, m.metadata, m.model, m.digest FROM messages AS m WHERE m.user_id = 'ada' ORDER BY m.seq
""")


async def test_a_purged_branch_is_overwritten_before_it_is_removed(database: SqliteExecutor) -> None:
    store = SqlStore(database, "ada")
    texts = ["memorable", "unforgettable", "unforgettable"]
    sent = [new_message(text, model=text, metadata={text: text}) for text in texts]
    record = conversation(*sent)
    await store.create_conversation(record)
    await store.delete_branch(record.id, record.messages[1].id)
    (before,) = await database.run(MESSAGES_BY_SEQ())
    assert await users_to_purge(database, 2**52, 9) == ["ada"]
    assert await store.purge(2**52) is None
    await SqlStore(Sparing(database), "ada")._sweep_marked()
    assert await users_to_purge(database, 0, 9) == ["ada"]
    (after,) = await database.run(MESSAGES_BY_SEQ())
    assert after[0] == before[0]
    nothing = [{name: "\0" * len(value.encode()) for name, value in row.items()} for row in before[1:]]
    assert after[1:] == nothing
    while await store.sweep():
        pass
    assert await rows_of(database, "ada") == {"owners": 1, "conversations": 1, "messages": 1, "cuts": 1}
    assert await users_to_purge(database, 2**52, 9) == []
    await assert_sound(database)


async def test_of_what_a_purged_branch_said_no_word_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    async with aclosed(await stores.open_sqlite_file(str(path))) as executor:
        store = stores.open_sql(executor, "ada")
        record = conversation(*(new_message(f"memorable {'words ' * 200}") for _ in range(50)))
        await store.create_conversation(record)
        branch = messages(50, metadata={"unforgettable": 1})
        for each in branch:
            each.words = each.words.replace("message", "unforgettable")
        branch[0].sibling_of = record.messages[10].id
        await store.append_messages(record.id, branch)
        await store.delete_branch(record.id, branch[0].id)
        assert await retention.purge(store, 30, lambda: 2**52) is None
    assert words_in(path) == {b"memorable"}


async def test_a_log_of_writes_is_emptied_of_what_was_erased_while_the_file_is_open(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    async with aclosed(await stores.open_sqlite_file(str(path))) as executor:
        store = stores.open_sql(executor, "ada")
        await store.create_conversation(conversation(new_message("unforgettable " * 1_000)))
        await retention.erase(store)
        raw = [each.read_bytes() for each in path.parent.iterdir()]
        assert any(b"unforgettable" in each for each in raw)
        assert isinstance(executor, KeepsLog)
        await executor.empty_log()
        raw = [each.read_bytes() for each in path.parent.iterdir()]
        assert not any(b"unforgettable" in each for each in raw)


@asynccontextmanager
async def aclosed(executor: SharedExecutor) -> AsyncIterator[SharedExecutor]:
    try:
        yield executor
    finally:
        await executor.close()


async def test_of_what_was_erased_no_word_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    async with aclosed(await stores.open_sqlite_file(str(path))) as executor:
        store, other = stores.open_sql(executor, "ada"), stores.open_sql(executor, "bob")
        for owner, word in ((store, "unforgettable"), (other, "memorable")):
            for _ in range(20):
                record = conversation(
                    *(new_message(f"{word} {'words ' * 200}", metadata={word: 1}) for _ in range(5)),
                    title=f"{word} title",
                    model=word,
                    metadata={word: word},
                )
                await owner.create_conversation(record)
                await owner.append_messages(record.id, [message(word * 1_000)])
            for size in (1_000, 200_000):
                await append(owner.state, word * size, key=word, create=True, head={word: word}, status=word)
            await keep_task(owner.state, word, size=200_000)
            await put(owner.state, word, mode="replace", head=word)
            await append(owner.state, word * 1_000, (word, word), key=word)
            await append(owner.state, key=word, cut=0)
            content = b64decode(word * 200_000)  # so that it is kept as the word
            await blobs.put(owner.state, content, word, meta=f'{{"{word}":1}}', media_type=f"x/{word}")
            await blobs.put(owner.state, content, f"{word} 2")
            await owner.state.delete_blob(blobs.SPACE, f"{word} 2")
        assert await retention.erase(store) == (Erased(20, 120, 1, 1, tasks=2), True)
    assert words_in(path) == {b"memorable"}


def words_in(path: Path) -> set[bytes]:
    """The words in the raw bytes of a database that nobody has open, so that there is no log of writes beside it."""
    assert list(path.parent.iterdir()) == [path]
    return set(re.findall(b"unforgettable|memorable", path.read_bytes()))


# Whose turn it is


async def test_those_with_something_to_purge_are_found_once_each(database: SqliteExecutor) -> None:
    times = iter(range(1, 1_000))
    clock = times.__next__
    for user_id, deletions in (("ada", 2), ("bob", 0), ("eve", 1)):
        store = SqlStore(database, user_id, clock)
        for number in range(3):
            record = conversation()
            await store.create_conversation(record)
            if number < deletions:
                await store.delete_conversation(record.id)
    late = conversation()
    store = SqlStore(database, "zoe", lambda: 5_000)
    await store.create_conversation(late)
    await store.delete_conversation(late.id)
    assert await users_to_purge(database, 0, 9) == []
    assert sorted(await users_to_purge(database, 4_999, 9)) == ["ada", "eve"]
    assert sorted(await users_to_purge(database, 5_000, 9)) == ["ada", "eve", "zoe"]
    assert len(await users_to_purge(database, 5_000, 2)) == 2


async def test_those_with_something_to_sweep_are_found_whenever_it_was_marked(database: SqliteExecutor) -> None:
    for user_id in ("ada", "bob"):
        await SqlStore(database, user_id).create_conversation(conversation(new_message()))
    store = SqlStore(database, "ada")
    await store.erase()
    assert await users_to_purge(database, 1, 9) == ["ada"]

    async def open_store(user_id: str) -> SqlStore:
        return SqlStore(database, user_id)

    await retention.purge_users(await users_to_purge(database, 1, 9), open_store, 30)
    assert await users_to_purge(database, 1, 9) == []
    assert await rows_of(database, "ada") == {}
    assert await rows_of(database, "bob") == {"owners": 1, "conversations": 1, "messages": 1}


async def test_a_new_database_has_nothing_of_anybody(database: SqliteExecutor) -> None:
    (tables,) = await database.run(TABLES())
    assert {row["name"] for row in tables} == {
        "owners",
        "conversations",
        "messages",
        "forks",
        "cuts",
        "drafts",
        "draft_parts",
        "journals",
        "entries",
        "pieces",
        "blobs",
        "tasks",
        "lanes",
        "threads",
        "checkpoints",
        "checkpoint_values",
        "checkpoint_writes",
        BEFORE,
    }
    for row in tables:
        (rows,) = await database.run(read(f"SELECT 1 AS value FROM {row['name']}")())
        assert rows == []
    assert await users_to_purge(database, 2**53 - 1, 9) == []


async def test_what_the_version_before_has_indexed_is_brought_over_and_nothing_of_it_is_left(
    database: SqliteExecutor,
) -> None:
    store = SqlStore(database, "ada")
    record = conversation(new_message("an aardvark"), new_message("an aardvark"), title="Animals")
    await store.create_conversation(record)
    said = [(1, "an aardvark"), (2, "an aardvark"), (-1, "animals"), (77, "gone before")]
    for place, words in said:
        given = {"n": place, "words": indexed_words("ada", words)}
        await database.run(
            write("INSERT INTO word_lists (n, user_id, text) VALUES (:n, 'ada', :words)")(**given),
            write("INSERT INTO words (rowid, text) VALUES (:n, :words)")(**given),
            write("DELETE FROM search_index_2 WHERE search_index_2.rowid = :n")(**given),
        )
    assert await users_to_purge(database, 0, 9) == ["ada"]
    found = [(await store.search(SearchQuery(text=word))).hits for word in ("aardvark", "animals")]
    assert [len(hits) for hits in found] == [2, 1]
    assert await store.sweep()
    assert await users_to_purge(database, 0, 9) == []
    assert [(await store.search(SearchQuery(text=word))).hits for word in ("aardvark", "animals")] == found
    await assert_sound(database)
    (listed, indexed) = await database.run(
        read("SELECT l.n FROM word_lists AS l")(), read("SELECT d.id FROM words_docsize AS d")()
    )
    assert (listed, indexed) == ([], [])


async def test_what_was_erased_is_swept_however_long_deletions_are_kept(executor: SqliteExecutor) -> None:
    await migrate(executor, MIGRATIONS)
    store = SqlStore(executor, "ada")
    await store.create_conversation(conversation(new_message()))
    await store.erase()
    assert await users_to_purge(executor, -1, 9) == ["ada"]  # a time before 1970


async def test_what_a_sweep_that_was_cut_off_has_left_in_the_index_is_removed_by_tidying(
    database: SqliteExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is merged by itself.
    await database.run(write("INSERT INTO search_index_2 (search_index_2, rank) VALUES ('automerge', 0)")())
    store = SqlStore(database, "ada")
    words = [f"word{number}" for number in range(4_000)]
    for one, word in ((store, "word"), (SqlStore(database, "bob"), "kept")):
        texts = [" ".join(words[number : number + 200]).replace("word", word) for number in range(0, 4_000, 40)]
        await one.create_conversation(conversation(*(new_message(text) for text in texts)))
    await store.erase()
    while await store.sweep():
        pass
    left = read("SELECT count(*) AS n FROM search_index_2_data AS d WHERE instr(d.block, CAST('word' AS BLOB)) > 0")
    assert (await database.run(left()))[0][0]["n"] > 10
    tidying = database.statements.tidying
    assert tidying is not None
    # A merge that takes one page at a time takes several parts.
    slow = tidying._replace(
        go_on=write("INSERT INTO search_index_2 (search_index_2, rank) VALUES ('merge', 1)"),
        begin=write("INSERT INTO search_index_2 (search_index_2, rank) VALUES ('merge', -1)"),
    )
    statements = Statements(SqliteDialect())
    statements.tidying = slow
    monkeypatch.setattr(database, "statements", statements)
    assert await tidy_index(database)
    assert (await database.run(tidying.is_due()))[0] == [{"value": 1}]
    while await tidy_index(database):
        pass
    assert (await database.run(tidying.is_due()))[0] == [{"value": 0}]
    assert (await database.run(left()))[0] == [{"n": 0}]
