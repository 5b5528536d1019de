"""A walk through everything that a store does, and what each statement answered on the way. For the owner proof.

Time and ids are given, so that two walks differ only by what the database answers.
"""

import copy
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any
from unittest import mock

import msgspec
from msgspec.structs import replace

from owner_proof.reading import OF_NO_USER
from support.records import conversation, edit, message_edit, message_records, new_message, plain
from threadkeep.agents.blobs.records import BlobRecord
from threadkeep.agents.journals.models import Producer
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, EntryRecord, JournalEdit, JournalRecord
from threadkeep.agents.tasks.models import Change, LaneChange, Reserve
from threadkeep.agents.tasks.records import ChangeRecord, Guard, TaskQuery, TaskRecord
from threadkeep.agents.threads.records import (
    CheckpointQuery,
    CheckpointRecord,
    DeltaQuery,
    PruneRecord,
    ValueRecord,
    WriteRecord,
    WritesRecord,
)
from threadkeep.conversations import cursors
from threadkeep.conversations.records import ConversationFilter, ImportRecord, SearchQuery
from threadkeep.conversations.search import Term, text_of_content
from threadkeep.conversations.store import Store
from threadkeep.errors import ThreadkeepError
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.agents import SqlStateStore
from threadkeep.storage.sql.agents import threads as sql_threads
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor, ReadsFirst, Row, Statement, read
from threadkeep.storage.sqlite import first_index
from threadkeep.storage.sqlite.dialect import SqliteDialect
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.tokenizer import words_of

Step = Callable[[Any], Awaitable[Any]]


Ran = tuple[str, dict[str, Any], list[Row], int | None]


class Recorder:
    """An executor that remembers what each statement was given, what it answered, and how many rows it changed.

    But for `n`: that is the place of a row in the database, and depends on who else is in it. Where a statement is
    given places, or answers them, it remembers how many. What is about no user, it leaves out.
    """

    bookmark: str | None = None

    def __init__(self, executor: Executor, expected: Sequence[Ran] | None = None) -> None:
        """With what is expected, it goes on only as long as that is what happens."""
        self.statements = executor.statements
        self._names = {id(query): name for name, query in self.statements.queries().items()}
        self._counts_changes = isinstance(self.statements.dialect, SqliteDialect)
        self._executor = executor
        self._expected = expected
        self.ran: list[Ran] = []

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if self._counts_changes:
            results = await self._executor.run(*(one for statement in batch for one in (statement, _CHANGED())))
            self._note(batch, results[::2], [changed[0]["answer"] for changed in results[1::2]])
            return results[::2]
        results = await self._executor.run(*batch)
        self._note_uncounted(batch, results)
        return results

    async def run_on(self, read: Statement, write: Callable[[list[Row]], Sequence[Statement]]) -> list[list[Row]]:
        assert isinstance(self._executor, ReadsFirst)
        found: list[Row] = []
        batch: list[Statement] = []

        def writing(rows: list[Row]) -> Sequence[Statement]:
            found[:], batch[:] = rows, write(rows)
            return batch

        results = await self._executor.run_on(read, writing)
        self._note_uncounted([read, *batch], [found, *results])
        return results

    def _note_uncounted(self, batch: Sequence[Statement], results: list[list[Row]]) -> None:
        """Note what was run where nobody counts what is changed."""
        self._note(batch, [_unordered(rows) for rows in results], [None] * len(batch))

    def _note(self, batch: Sequence[Statement], results: list[list[Row]], counts: Sequence[int | None]) -> None:
        first = len(self.ran)
        for (query, values), rows, changed in zip(batch, results, counts, strict=True):
            name = self._names[id(query)]
            if name in OF_NO_USER:
                continue
            given = {
                name: _count(value) for name, value in zip(query.names, values, strict=True) if name not in _PLACES
            }
            answered = _PLACELESS[name](rows) if name in _PLACELESS else rows
            self.ran.append((name, given, answered, changed if query.writes else 0))
        if self._expected is not None and self.ran[first:] != self._expected[first : len(self.ran)]:
            raise LookupError("Something else happened.")

    async def clear(self, *batch: Statement) -> None:
        """There may be others."""


_CHANGED = read("SELECT changes() AS answer")
_PLACES = ("n", "indexed_n", "reached_n")


def _count(value: Any) -> Any:
    """A value that a statement is given; of places, how many there are."""
    try:
        places = msgspec.json.decode(value, type=list[int])
    except (msgspec.DecodeError, TypeError):
        return value
    return len(places)


def _unordered(rows: list[Row]) -> list[Row]:
    """Answers whose parts stand in an order that does not depend on the way in which they were found."""
    return [
        {"answer": msgspec.json.encode(_sorted(msgspec.json.decode(row["answer"]))).decode()}
        if isinstance(row.get("answer"), str) and row["answer"].startswith(("{", "["))
        else row
        for row in rows
    ]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(part) for name, part in value.items()}
    return sorted((_sorted(part) for part in value), key=repr) if isinstance(value, list) else value


def _without_n(rows: list[Row]) -> list[Row]:
    answer = msgspec.json.decode(rows[0]["answer"])
    for part in answer["rows"]:
        del part["n"]
    return [{"answer": answer}]


def _without_indexed_n(rows: list[Row]) -> list[Row]:
    return [{"answer": {**msgspec.json.decode(row["answer"]), "indexedN": None}} for row in rows]


def _counts(*names: str) -> Callable[[list[Row]], list[Row]]:
    """Instead of what stands under these names, how many there are."""

    def counted(rows: list[Row]) -> list[Row]:
        answer = msgspec.json.decode(rows[0]["answer"])
        return [{"answer": answer | {name: len(answer[name]) for name in names}}]

    return counted


def _count_of_all(rows: list[Row]) -> list[Row]:
    answer = rows[0]["answer"]
    return [{"answer": answer and len(msgspec.json.decode(answer))}]


def _counts_of_all(rows: list[Row]) -> list[Row]:
    answer = rows[0]["answer"]
    return [
        {"answer": answer and {table: len(places) for table, places in msgspec.json.decode(answer).items()}},
    ]


_PLACELESS = {
    "behind": _without_indexed_n,
    "changes": _without_n,
    "to_catch_up": _without_n,
    "sweepable": _counts("conversations", "messages"),
    "to_index_again": _counts("places"),
    "sweepable_entries": _count_of_all,
    "sweepable_tasks": _count_of_all,
    "sweepable_of_threads": _counts_of_all,
}
EVERYBODY = "everybody"


class Alike(SqliteDialect):
    """Seeks the words of every user in the first index as if they were those of one."""

    def sought(self, user_id: str, mark: str, terms: Sequence[Term], terms_before: Sequence[Term]) -> dict[str, str]:
        return super().sought(EVERYBODY, mark, terms, terms_before)


def store_of(user_id: str, executor: Executor, year: int = 2026, mark: str | None = None) -> SqlStore:
    """A store whose clock and ids go the same way each time. Its user's words may be marked like everybody's."""
    ticks, ids = count((year - 1970) * 31_557_600_000), count()
    store = SqlStore(executor, user_id, lambda: next(ticks), lambda: f"0E{next(ids):024d}")
    if mark is not None:
        store._mark = mark
    return store


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


def list_branches(number: int, message: int) -> Step:
    return lambda store: store.list_branches(c(number), m(message))


def select_leaf(number: int, message: int, **options: Any) -> Step:
    return lambda store: store.select_leaf(c(number), m(message), **options)


def delete_branch(number: int, message: int) -> Step:
    return lambda store: store.delete_branch(c(number), m(message))


def restore_branch(number: int, message: int) -> Step:
    return lambda store: store.restore_branch(c(number), m(message))


def get_message(number: int, message: int) -> Step:
    return lambda store: store.get_message(c(number), m(message))


def update_message(number: int, message: int, version: int | None = None, **fields: Any) -> Step:
    return lambda store: store.update_message(c(number), m(message), message_edit(**fields), expected_version=version)


def take_in(*numbers: int, title: str) -> Step:
    """Import conversations, each with two messages that have its number and the next after 100."""
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


def erase() -> Step:
    return lambda store: store.erase()


def purge(ago: int = 1) -> Step:
    """Purge what was deleted so many ticks of the clock ago, or before: by default everything, up to the last step."""
    return lambda store: store.purge(store._clock() - ago)


def purge_again(store: SqlStore) -> Awaitable[Any]:
    """Purge when nothing is due."""
    return store.purge(1)


def sweep(parts: int | None = None, **limits: int) -> Step:
    """Sweep so many parts, or until nothing of the user is left; and merge the index, whose parts are nobody's."""

    async def step(store: SqlStore) -> Any:
        with swept_at_once(**limits):
            answers = [await store.sweep()]
            while answers[-1] and len(answers) != parts:
                answers.append(await store.sweep())
                _not_too_many(answers)
        merged = [await store.tidy()]
        while merged[-1]:
            merged.append(await store.tidy())
            _not_too_many(merged)
        return answers

    return step


def swept_at_once(conversations: int = 100, messages: int = 500, size: int = 8_000_000) -> Any:
    """While this lasts, so many conversations, messages and bytes make a part."""
    return mock.patch.multiple(
        sql_store,
        _SWEPT_CONVERSATIONS_MAX=conversations,
        _SWEPT_MESSAGES_MAX=messages,
        _SWEPT_BYTES_MAX=size,
    )


class _Late:
    """An executor that does something else before it runs the first batch that writes."""

    bookmark: str | None = None

    def __init__(self, executor: Executor, before: Callable[[], Awaitable[Any]]) -> None:
        self.statements = executor.statements
        self._executor = executor
        self._before: Callable[[], Awaitable[Any]] | None = before

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if self._before and any(statement.query.writes for statement in batch):
            before, self._before = self._before, None
            await before()
        return await self._executor.run(*batch)


def sweep_late(*steps: Step) -> Step:
    """Sweep one part, and take these steps when it is chosen and not yet swept."""

    async def step(store: SqlStore) -> Any:
        answers: list[Any] = []

        async def before() -> None:
            answers.append(await walk(store, list(steps)))

        late = copy.copy(store)
        late._executor = _Late(store._executor, before)
        return [await late._sweep_marked(), answers]

    return step


class _Choosing:
    """An executor that chooses every place there is to be swept, whoever's it is, and whatever stands there."""

    bookmark: str | None = None

    def __init__(self, executor: Executor) -> None:
        self.statements = executor.statements
        self._executor = executor

    async def run(self, *batch: Statement) -> list[list[Row]]:
        if batch[0].query is not self.statements.sweepable:
            return await self._executor.run(*batch)
        places = list(range(1, 1000))
        return [[{"answer": msgspec.json.encode({"conversations": places, "messages": places}).decode()}]]


async def sweep_anything(store: SqlStore) -> Any:
    """Sweep what is chosen from all there is, as if the `n` of what was to be swept were given to anything else."""
    choosing = copy.copy(store)
    choosing._executor = _Choosing(store._executor)
    return await choosing._sweep_marked()


async def index_anything(store: SqlStore) -> Any:
    """Take out of the first index what is chosen from all there is, as if it were the user's."""
    statements = store._executor.statements
    places = msgspec.json.encode(list(range(-1000, 1000))).decode()
    values = {**store._values(""), "places": places, "words": "[]", "titles": "[]"}
    return await store._executor.run(*(query(**values) for query in statements.index_again))


async def leave_behind(store: SqlStore) -> None:
    """Have everything look as if a version had written it that did not search blocks of every kind."""
    executor: Any = store._executor
    while not isinstance(executor, SqliteExecutor | PostgresExecutor):
        executor = executor._executor
    if isinstance(executor, SqliteExecutor):
        executor._connection.execute("UPDATE owners SET indexed_rev = 0 WHERE user_id = ?", [store._user_id])
    else:
        left = f"UPDATE {executor._schema}.owners SET indexed_rev = 0 WHERE user_id = $1"
        async with executor.connection() as connection:
            await connection.run([(left, [store._user_id])], begin=["BEGIN"], commits=True)


async def catch_up(store: SqlStore) -> Any:
    """Index a part again, of two messages, with what the first index has."""
    with swept_at_once(messages=2):
        return await store._catch_up()


def index_before(*numbers: int) -> Step:
    """Have all words of these conversations, or of all, stand where the version before has put them."""

    async def step(store: SqlStore) -> None:
        ids = [c(number) for number in numbers]
        executor: Any = store._executor
        while not isinstance(executor, SqliteExecutor | PostgresExecutor):
            executor = executor._executor
        if isinstance(executor, SqliteExecutor):
            _index_before_in_sqlite(store, executor, ids)
        else:
            await _index_before_in_postgres(store, executor, ids)

    return step


def _index_before_in_sqlite(store: SqlStore, executor: SqliteExecutor, ids: list[str]) -> None:
    run = executor._connection.execute
    said = run(_SAID, [store._user_id, msgspec.json.encode(ids).decode()]).fetchall()
    for row in said:
        words = words_of(row["title"] or text_of_content(msgspec.Raw(row["content"].encode())))
        alphabet = EVERYBODY if isinstance(store._sql.dialect, Alike) else store._user_id
        given = [row["n"], first_index.indexed_words(alphabet, words)]
        run("INSERT INTO word_lists (n, text, user_id) VALUES (?, ?, ?)", [*given, store._user_id])
        run("INSERT INTO words (rowid, text) VALUES (?, ?)", given)
        run("DELETE FROM search_index_2 WHERE rowid = ?", given[:1])


async def _index_before_in_postgres(store: SqlStore, executor: PostgresExecutor, ids: list[str]) -> None:
    schema, values = executor._schema, [store._user_id, ids]
    of_them = f"""user_id = $1 AND ($2 = CAST('{{}}' AS text[]) OR n IN (
      SELECT m.n FROM {schema}.messages AS m WHERE m.user_id = $1 AND m.conversation_id = ANY ($2)
      UNION ALL
      SELECT -c.n FROM {schema}.conversations AS c WHERE c.user_id = $1 AND c.id = ANY ($2)
    ))"""
    moved = f"INSERT INTO {schema}.words SELECT * FROM {schema}.search_index_2 WHERE {of_them}"
    left = f"DELETE FROM {schema}.search_index_2 WHERE {of_them}"
    async with executor.connection() as connection:
        await connection.run([(moved, values), (left, values)], begin=["BEGIN"], commits=True)


_SAID = """
SELECT m.n, NULL AS title, m.content
FROM messages AS m
WHERE m.user_id = ?1 AND (m.conversation_id IN (SELECT value FROM json_each(?2)) OR ?2 = '[]')
UNION ALL
SELECT -c.n, c.title, NULL
FROM conversations AS c
WHERE c.user_id = ?1 AND c.title_source <> 'default' AND (c.id IN (SELECT value FROM json_each(?2)) OR ?2 = '[]')
"""


def list_all(**query: Any) -> Step:
    async def step(store: Store) -> Any:
        pages = [await store.list_conversations(**query)]
        while pages[-1].next_cursor:
            pages.append(await store.list_conversations(**{**query, "cursor": pages[-1].next_cursor}))
        return pages

    return step


def expire(*spares: str) -> Step:
    """Delete what is older than anything that is still to come, and find out what is left."""

    async def step(store: SqlStore) -> Any:
        return [await store.expire(2**52, spares), await store.oldest_append(spares)]

    return step


def delete_all(is_archived: bool | None) -> Step:
    return lambda store: store.delete_conversations(2**52, is_archived=is_archived)


def read_all(number: int, **query: Any) -> Step:
    """Read a conversation page by page, and once more with pages that are too small for most messages."""

    async def step(store: Store) -> Any:
        pages = []
        for page_bytes in (sql_store.PAGE_BYTES_MAX, 9):
            with mock.patch.object(sql_store, "PAGE_BYTES_MAX", page_bytes):
                pages.append(await store.list_messages(c(number), **query))
                while pages[-1].next_cursor:
                    limit = query["limit"]
                    pages.append(await store.list_messages(c(number), cursor=pages[-1].next_cursor, limit=limit))
                    _not_too_many(pages)
        return pages

    return step


def search_all(text: str, limit: int = 20, **options: Any) -> Step:
    query = SearchQuery(text=text, **options)

    async def step(store: Store) -> Any:
        pages = [await store.search(query, limit=limit)]
        while pages[-1].next_cursor:
            pages.append(await store.search(query, cursor=pages[-1].next_cursor, limit=limit))
            _not_too_many(pages)
        return pages

    return step


def follow_all(limit: int, since: str = "0") -> Step:
    async def step(store: Store) -> Any:
        pages = [await store.changes(since, limit=limit)]
        while pages[-1].has_more:
            pages.append(await store.changes(pages[-1].next, limit=limit))
            _not_too_many(pages)
        return [[page.conversations, page.messages, _place(page.next)] for page in pages]

    return step


def follow_after(first: Step, limit: int = 500) -> Step:
    """Take a step, and follow what it changed."""

    async def step(store: Store) -> Any:
        now = await store.changes()
        await first(store)
        return await store.changes(now.next, limit=limit)

    return step


def after_all(*steps: Step) -> Step:
    """Several steps as one."""
    return lambda store: walk(store, list(steps))


# Journals. Everybody has those of these keys.

SPACE = "space"
_requests = count()


def state(act: Callable[[SqlStateStore], Awaitable[Any]]) -> Step:
    """Do something with the state of agents."""

    async def step(store: SqlStore) -> Any:
        return await act(store.state)

    return step


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def put_journal(key: str, **fields: Any) -> Step:
    record = {"space": SPACE, "key": key, "request": f"r{next(_requests)}", "identity": "same", **fields}
    return state(lambda store: store.put_journal(JournalRecord(**record)))


def patch_journal(key: str, **fields: Any) -> Step:
    edit = JournalEdit(**{"request": f"r{next(_requests)}", **fields})
    return state(lambda store: store.patch_journal(SPACE, key, edit))


def write(key: str, *entries: Any, **fields: Any) -> Step:
    """Append entries to a journal; a pair is an id and what it says."""
    pairs = [each if isinstance(each, tuple) else (None, each) for each in entries]
    records = [EntryRecord(id=id_, digest=str(value)[:20], data=raw(value)) for id_, value in pairs]
    given = {"request": f"r{next(_requests)}", "digest": str(pairs)[:20], "entries": records, **fields}
    return state(lambda store: store.append_entries(SPACE, key, AppendRecord(**given)))


def claim(key: str, producer: str) -> Step:
    request = f"r{next(_requests)}"
    return state(lambda store: store.acquire_producer(SPACE, key, producer, request=request))


def produce(key: str, seq: int, *entries: Any, epoch: int = 1, incarnation: int = 0) -> Step:
    """Append what a producer does, to the journal as it is, or to another one."""
    request = f"r{next(_requests)}"

    async def step(store: SqlStore) -> Any:
        known = (await store.state.get_journal(SPACE, key)).incarnation
        producer = Producer(id="p", incarnation=str(incarnation) if incarnation else known, epoch=epoch, seq=seq)
        return await write(key, *entries, producer=producer, request=request)(store)

    return step


def get_journal(key: str) -> Step:
    return state(lambda store: store.get_journal(SPACE, key))


def read_journal(key: str, **query: Any) -> Step:
    return state(lambda store: store.read_entries(SPACE, key, EntryQuery(**query)))


def list_journals(**query: Any) -> Step:
    return state(lambda store: store.list_journals(SPACE, **query))


def delete_journal(key: str, **options: Any) -> Step:
    return state(lambda store: store.delete_journal(SPACE, key, **options))


def pop(key: str) -> Step:
    return state(lambda store: store.pop_entry(SPACE, key))


LARGE = "large " * 160_000


# Blobs. Everybody has those of these keys.


def put_blob(key: str, content: bytes, **fields: Any) -> Step:
    record = {"space": SPACE, "key": key, "content": content, "digest": content[:9].decode(), **fields}
    record = {"media_type": "text/plain", "meta": raw({"meta": key}), **record}
    # Ids of its own, so that those of everything else are what they would be without it.
    number = next(_requests)

    async def step(store: SqlStore) -> Any:
        ids = count()
        blobs = SqlStateStore(store._executor, store._user_id, store._clock, lambda: f"0B{number:012d}{next(ids):012d}")
        return await blobs.put_blob(BlobRecord(**record))

    return step


def get_blob(key: str) -> Step:
    return state(lambda store: store.get_blob(SPACE, key))


def delete_blob(key: str) -> Step:
    return state(lambda store: store.delete_blob(SPACE, key))


def blobs_held() -> list[Step]:
    """What others have of what `BLOBS` is about: other bytes, of the same names."""
    return [
        put_blob("mine", b"held" * 500_000),
        put_blob("taken", b"held", expires_in=400_000_000_000_000),
        put_blob("gone", b"held" * 500_000),
        delete_blob("gone"),
        put_blob("gone", b"held"),
        put_blob("expired", b"held", expires_in=5),
    ]


# What the walker does with blobs.
BLOBS: list[Step] = [
    put_blob("mine", b"mine" * 500_000),
    put_blob("mine", b"mine" * 500_000),
    put_blob("mine", b"other"),
    get_blob("mine"),
    get_blob("taken"),
    get_blob("gone"),
    state(lambda store: store.find_blob(SPACE, "mine")),
    put_blob("expired", b"expired", expires_in=2),
    get_blob("mine"),
    get_blob("expired"),
    put_blob("expired", b"anew", expires_in=400_000_000_000_000),
    get_blob("expired"),
    delete_blob("expired"),
    delete_blob("taken"),
    put_blob("gone", b"gone" * 500_000),
    delete_blob("gone"),
    put_blob("late", b"late", expires_in=400_000_000_000_000),
    put_blob("soon", b"soon", expires_in=3),
    get_blob("mine"),
    purge(),
    sweep(1),
    get_blob("soon"),
    sweep(),
    get_blob("mine"),
    get_blob("late"),
]

LATER_BLOBS: list[Step] = [
    put_blob("mine", b"later" * 300_000),
    state(lambda store: store.list_journals(SPACE, order="updated", limit=1)),
    state(lambda store: store.list_journals(SPACE, order="updated")),
]

# What others have of what `JOURNALS` is about: more, of the same names.
JOURNALS_HELD: list[Step] = [
    put_journal("taken", head=raw("held"), status="s", sort="5", identity="held"),
    write("taken", ("x", "held"), ("y", "held"), "held", LARGE, at=3),
    put_journal("mine", head=raw({"held": 1}), status="s", sort="4", identity="held"),
    write("mine", ("a", "held"), ("b", "held"), ("q", "held"), LARGE, ("z", "held")),
    claim("mine", "p"),
    put_journal("closed", status="s", sort="3", identity="held"),
    write("closed", LARGE, ("c", "held"), close=True),
    put_journal("expired", expires_in=5),
    put_journal("late", expires_in=400_000_000_000_000),
    put_journal("gone", identity="held"),
    write("gone", LARGE, ("d", "held")),
    put_journal("gone", mode="replace", identity="held"),
    write("gone", LARGE, ("d", "held")),
    put_journal("moved", status="s", sort="9"),
    write("moved", 1, 2, 3, at=7),
    claim("moved", "p"),
    write("made", "held", create=True, expires_in=400_000_000_000_000),
]

# What the walker does with journals.
JOURNALS: list[Step] = [
    put_journal("mine", head=raw({"a": 1}), kind="k", status="s", sort="1"),
    put_journal("mine", head=raw({"a": 1}), kind="k", status="s", sort="1"),
    put_journal("mine", identity="other"),
    put_journal("mine", identity="other", expected=7),
    put_journal("absent", mode="save", expected=7),
    get_journal("mine"),
    get_journal("taken"),
    get_journal("gone"),
    list_journals(),
    list_journals(status="s"),
    list_journals(limit=1),
    put_journal("mine", mode="save", head=raw({"a": {"b": 2}}), kind="k", status="s", sort="2"),
    put_journal("mine", mode="save", expected=9),
    patch_journal("mine", head=raw({"a": {"b": None, "c": 3}}), status="t", sort="3"),
    patch_journal("mine", head=raw({"z": 1}), expected=9),
    patch_journal("mine", head=raw({"z": 1}), status_is="s"),
    patch_journal("mine", head=raw({"z": "z" * 1_000_000})),
    patch_journal("mine", status="s", status_is="t", expected=3),
    patch_journal("taken", head=raw({"z": 1})),
    write("mine", ("a", 1), ("b", 2), 3, ("l", LARGE), ("c", 5), head=raw({"h": 1}), status="u"),
    write("mine", ("a", 1), ("b", 2)),
    write("mine", ("a", "other")),
    write("mine", ("a", 1), ("new", 2)),
    write("mine", ("x", 1), ("y", 2), ("z", 3), ("q", 3)),
    write("mine", "n", expected=9),
    write("taken", "n"),
    write("taken", "n", create=True, expected=4),
    write("made", "made", create=True),
    write("made", "more", create=True),
    write("mine", "at", at=20),
    write("mine", "at", at=20),
    write("mine", "other", at=20),
    write("mine", "at 3", "at 4", at=30),
    read_journal("mine", with_head=True),
    read_journal("mine", after=2, limit=1),
    read_journal("mine", after=4, before=8),
    read_journal("mine", newest=True, limit=2),
    read_journal("mine", newest=True, before=4, limit=2),
    read_journal("mine", only="c"),
    read_journal("mine", only="l"),
    read_journal("mine", only="c", newest=True),
    read_journal("mine", only="l", newest=True),
    read_journal("mine", beyond="b"),
    read_journal("mine", beyond="c", newest=True),
    read_journal("mine", only="y"),
    read_journal("mine", beyond="y"),
    read_journal("taken"),
    read_journal("taken", newest=True),
    write("mine", ("b", "again"), remove=["b", "x"]),
    write("mine", "cut", cut=32),
    read_journal("mine", newest=True),
    pop("mine"),
    write("mine", cut=3),
    read_journal("mine"),
    pop("taken"),
    claim("taken", "p"),
    produce("mine", 0, "early"),
    claim("mine", "p"),
    produce("mine", 0, ("p", "first"), "second"),
    produce("mine", 0, ("p", "first"), "second"),
    produce("mine", 0, "other"),
    produce("mine", 5, "gap"),
    produce("mine", 1, "other", epoch=2),
    produce("mine", 1, "elsewhere", incarnation=9),
    produce("mine", 1, "third"),
    pop("mine"),
    put_journal("closed"),
    pop("closed"),
    write("closed", ("c", 1), close=True),
    write("closed", ("d", 1)),
    write("closed", ("c", 1)),
    delete_journal("closed", expected=9),
    delete_journal("taken"),
    put_journal("expired", expires_in=2),
    list_journals(),
    get_journal("expired"),
    put_journal("expired"),
    get_journal("expired"),
    put_journal("moved", mode="replace", head=raw(1)),
    write("moved", ("m", LARGE), 2),
    put_journal("moved", mode="replace", head=raw(2)),
    write("moved", ("m", LARGE), 2),
    delete_journal("moved"),
    put_journal("late", expires_in=400_000_000_000_000),
    put_journal("soon", expires_in=3),
    list_journals(),
    purge(),
    sweep(1),
    list_journals(),
    sweep(),
    list_journals(),
    read_journal("mine"),
    get_journal("moved"),
]

LATER_JOURNALS: list[Step] = [
    put_journal("mine", head=raw("later"), kind="k", status="s"),
    write("mine", ("a", 1), LARGE),
]


# Tasks. Everybody has those of these ids, in these lanes.

QUEUE = "queue"


def admit(id_: str, lane: str = "lane", *, queue: str = QUEUE, payload: Any = "mine", **fields: Any) -> Step:
    record = {"queue": queue, "id": id_, "lane": lane, "digest": str(payload)[:20], "payload": raw(payload), **fields}
    return state(lambda store: store.admit_task(TaskRecord(**record)))


def change(id_: str, do: str, *, queue: str = QUEUE, request: str | None = None, **fields: Any) -> Step:
    owned = {} if do in ("ready", "drop") else {"attempt": "a1"}
    wanted = msgspec.json.decode(msgspec.json.encode({"do": do, **owned, **fields}), type=Change)
    digest = str(fields["settlement"])[:20] if isinstance(wanted, Reserve) else None
    record = ChangeRecord(request=request or f"r{next(_requests)}", change=wanted, settlement_digest=digest)
    return state(lambda store: store.change_task(queue, id_, record))


def begin(id_: str, lease: int = 10**15, queue: str = QUEUE) -> Step:
    return change(id_, "claim", holder="h1", leaseUntil=lease, queue=queue)


def absorb(host: str, target: str | None = None, request: str | None = None, queue: str = QUEUE) -> Step:
    name = request or f"r{next(_requests)}"
    return state(lambda store: store.absorb_tasks(queue, host, "a1", target, request=name))


def get_task(id_: str) -> Step:
    return state(lambda store: store.get_task(QUEUE, id_))


def list_tasks(view: Any, queue: str = QUEUE, **query: Any) -> Step:
    return state(lambda store: store.list_tasks(queue, TaskQuery(view=view, **query)))


def renew(*ids: str, until: int = 7) -> Step:
    return state(lambda store: store.renew_leases(QUEUE, "h1", list(ids), until))


def change_lane(lane: str, do: Any, keep: str | None = None, queue: str = QUEUE) -> Step:
    return state(lambda store: store.change_lane(queue, lane, LaneChange(do=do, keep=keep)))


def has_open() -> Step:
    return state(lambda store: store.has_open_tasks(QUEUE))


def guarded(key: str, *entries: Any, **guard: Any) -> Step:
    fields = {"queue": QUEUE, "attempt": "a1", **guard}
    return write(key, *entries, create=True, guard=Guard(**fields))


def one_of_each(payload: str) -> list[Step]:
    """A task of each state, in lanes of their own, in a queue of their own."""
    queue = "each"
    return [
        admit("queued", "1", payload=payload, queue=queue),
        admit("unready", "2", payload=payload, queue=queue, is_ready=False),
        admit("running", "3", payload=payload, queue=queue),
        begin("running", 5, queue),
        admit("settling", "4", payload=payload, queue=queue),
        begin("settling", queue=queue),
        change("settling", "reserve", settlementId="s", settlement=payload, queue=queue),
        admit("guest", "3", payload=payload, queue=queue),
        admit("guest too", "3", payload=payload, queue=queue),
        absorb("running", queue=queue),
        absorb("running", queue=queue),
        change("guest", "join", host="running", queue=queue),
    ]


VIEWS = (
    *(list_tasks(view) for view in ("runnable", "unready", "running", "expired", "settling", "open", "all")),
    *(list_tasks("lane", lane=lane) for lane in ("lane", "other", "settled", "cleared")),
    *(list_tasks("joined", host=host) for host in ("a", "host")),
    list_tasks("all", limit=1, after=2),
    has_open(),
)

# What others have of what `TASKS` is about: more, of the same names.
TASKS_HELD: list[Step] = [
    admit("same", "same", payload="held", queue="same"),
    *one_of_each("held"),
    admit("blocking", "hosts", payload="held", is_ready=False),
    admit("filling", "hosts", payload=LARGE),
    *(admit(f"before {place}", f"before {place}", payload="held") for place in range(3)),
    admit("host", "lane", payload="held", kind="k"),
    begin("host"),
    *(admit(id_, "lane", payload="held", kind="k") for id_ in ("a", "b", "c", "x")),
    absorb("host"),
    change("b", "join", host="host"),
    change("c", "join", host="host"),
    change("x", "leave", host="host"),
    change("host", "note", note={"n": "held"}),
    absorb("host", request="absorbing"),
    admit("unready", "lane", payload=LARGE, is_ready=False),
    admit("d", "other", payload="held"),
    begin("d", 5),
    admit("e", "third", payload="held", is_ready=False),
    admit("f", "fourth", payload=LARGE),
    begin("f"),
    change("f", "reserve", settlementId="s", settlement=LARGE, error="held"),
    admit("g", "settled", payload=LARGE, kind="k"),
    change("g", "drop", error="held"),
    admit("gone", "cleared", payload=LARGE, kind="k"),
    admit("gone too", "cleared", payload="held", kind="other"),
    change("gone", "drop", error="held"),
    change("gone too", "drop"),
    change_lane("cleared", "close"),
    change_lane("cleared", "clear", "k"),
    change_lane("closed", "close"),
    admit("y", "busy", payload="held"),
    change_lane("settled", "close"),
    admit("only theirs", "theirs", payload=LARGE),
    begin("only theirs"),
    guarded("guarded", "held", task="host", joined=["b", "c"]),
]

# What the walker does with tasks.
TASKS: list[Step] = [
    list_tasks("runnable", "same"),
    admit("same", "same", queue="same"),
    list_tasks("runnable", "same"),
    begin("same", queue="same"),
    *(admit(f"before {place}", "before", queue="each") for place in range(9)),
    *(change(f"before {place}", "drop", queue="each") for place in range(9)),
    *one_of_each(LARGE),
    *(change_lane("before", do, queue="each") for do in ("close", "clear")),
    *(list_tasks(view, "each") for view in ("runnable", "unready", "running", "expired", "settling", "open")),
    list_tasks("all", "each"),
    list_tasks("lane", "each", lane="3"),
    list_tasks("joined", "each", host="running"),
    has_open(),
    admit("a"),
    admit("a"),
    admit("a", payload="other"),
    admit("gone"),
    change("gone", "drop"),
    get_task("a"),
    get_task("only theirs"),
    get_task("g"),
    admit("b", is_ready=False),
    admit("c", target="x"),
    *VIEWS,
    change("b", "ready"),
    change("unready", "ready"),
    begin("b"),
    begin("a"),
    begin("only theirs"),
    change("a", "applied", attemptsMax=3, timeoutAt=4),
    change("a", "recover"),
    change("a", "note", note={"n": 1}),
    change("a", "note", note={"m": 2}, **{"if": {"n": 1}}),
    change("a", "note", note={"m": 3}, **{"if": {"n": 2}}),
    change("a", "note", note={"m": "m" * 300_000}),
    change("host", "note", note={"m": 2}),
    change("a", "requeue"),
    begin("a"),
    change("a", "replace", nextAttempt="a2", holder="h2", leaseUntil=6),
    change("a", "replace", attempt="a2", nextAttempt="a1", holder="h1"),
    change("a", "replace", nextAttempt="a1", request="same"),
    change("a", "replace", nextAttempt="a1", request="same"),
    renew("a", "b", "host", "d", until=10**15),
    *(change("host", do) for do in ("applied", "recover", "requeue", "settle")),
    change("host", "replace", nextAttempt="a2"),
    change("y", "drop"),
    change("d", "reserve", settlementId="s", settlement=1),
    change("f", "finalize", settlementId="s"),
    absorb("host"),
    absorb("a", "x"),
    absorb("a", request="absorbing"),
    absorb("a", request="absorbing"),
    *VIEWS,
    change("b", "join", host="host"),
    change("b", "leave", host="host"),
    change("a", "join", host="host"),
    change("b", "join", host="a"),
    absorb("a", "x"),
    change("c", "leave", host="a"),
    absorb("a", "x"),
    change("b", "reserve", settlementId="s", settlement="end"),
    guarded("guarded", "mine", task="host"),
    guarded("guarded", "mine", task="a", joined=["c"]),
    guarded("guarded", "mine", task="a", joined=["c", "x"]),
    guarded("guarded", "more", task="a"),
    guarded("guarded", "more", task="b"),
    guarded("guarded", "more", task="b", settlement_id="s", settlement_digest="end"),
    guarded("guarded", "more", task="f", settlement_id="s", settlement_digest=LARGE[:20]),
    guarded("new one", "more", task="host"),
    guarded("new one", "more", task="only theirs", joined=["c"]),
    get_task("b"),
    change("b", "finalize", settlementId="s"),
    admit("big", payload=LARGE, target="x"),
    admit("small", target="x"),
    absorb("a", "x"),
    change("c", "join", host="a"),
    change_lane("lane", "abort"),
    change_lane("lane", "close"),
    *VIEWS,
    change("a", "settle", error="why"),
    *VIEWS,
    begin("big"),
    change("big", "reserve", settlementId="s", settlement=LARGE, error="why"),
    get_task("big"),
    change("big", "finalize", settlementId="s", error="more"),
    change("small", "drop", error="why"),
    admit("d", "other"),
    begin("d", 5),
    list_tasks("expired"),
    renew("d", "only theirs"),
    change_lane("other", "abort"),
    change_lane("theirs", "abort"),
    change("d", "settle"),
    admit("host", "hosts"),
    admit("guest", "hosts", payload=LARGE),
    admit("next", "hosts"),
    begin("host"),
    absorb("host", request="absorbing"),
    absorb("host", request="absorbing"),
    change("guest", "join", host="host"),
    absorb("host"),
    guarded("guarded", "never", task="host", joined=["c"]),
    guarded("new two", "never", task="host", joined=["c"]),
    change("a", "leave", host="host"),
    change("a", "join", host="host"),
    change("host", "requeue"),
    change("guest", "reserve", settlementId="s", settlement="end"),
    change("next", "leave", host="host"),
    change("next", "join", host="host"),
    begin("host"),
    change("guest", "reserve", settlementId="s", settlement="end"),
    change("next", "join", host="host"),
    list_tasks("joined", host="host"),
    change("host", "settle"),
    change("guest", "finalize", settlementId="s"),
    change_lane("busy", "close"),
    change_lane("busy", "open"),
    change_lane("closed", "open"),
    admit("in closed", "closed"),
    change("in closed", "drop"),
    change_lane("lane", "close"),
    admit("late", "lane"),
    admit("a", "lane"),
    change_lane("settled", "clear", "k"),
    admit("g", "settled", kind="k"),
    change("g", "drop", error="why"),
    change_lane("settled", "clear", "k"),
    change_lane("settled", "close"),
    change_lane("settled", "clear", "k"),
    get_task("g"),
    admit("g", "settled"),
    change_lane("lane", "clear", "k"),
    *VIEWS,
    sweep(1),
    *VIEWS,
    sweep(),
    *VIEWS,
    admit("a", payload=LARGE),
    admit("b", "closed"),
    change_lane("busy", "close"),
]

LATER_TASKS: list[Step] = [
    *VIEWS,
    admit("a", kind="k"),
    begin("a"),
    change("a", "note", note={"n": 1}),
    change("a", "reserve", settlementId="s", settlement=LARGE, error="why"),
    admit("b", payload=LARGE),
    change_lane("busy", "close"),
]


# Threads. Everybody has those of these names.

LONG = "long " * 24
"""What is kept in pieces, while as little as this is."""


def of_threads(act: Callable[[SqlStateStore], Awaitable[Any]], page_bytes: int = 100) -> Step:
    """Do something with threads, while what is longer than some texts is kept in pieces, and a page is as short."""

    async def step(store: SqlStore) -> Any:
        with mock.patch.multiple(sql_threads, WHOLE_BYTES_MAX=100, PAGE_BYTES_MAX=page_bytes):
            return await act(store.state)

    return step


def put_checkpoint(thread: str, id_: str, parent: str | None = None, **fields: Any) -> Step:
    """Put a checkpoint. `values` are by channel and version, `run` is its run."""
    values = [
        ValueRecord(channel=channel, version=version, type="t", data=data)
        for (channel, version), data in fields.pop("values", {}).items()
    ]
    run_id, step = fields.pop("run", None), fields.pop("step", 1)
    given = {"ns": "", "type": "t", "data": f"data {id_}", "run_id": run_id, "metadata": [f'"step":{step}'], **fields}
    given["stored"] = {value.channel: value.version for value in values} | given.get("stored", {})
    record = CheckpointRecord(id=id_, parent=parent, values=values, **given)
    return of_threads(lambda store: store.put_checkpoint(thread, record))


def put_writes(thread: str, checkpoint: str, *writes: tuple[int, str, str], task: str = "task", **fields: Any) -> Step:
    """Put writes: each an idx, a channel and data."""
    records = [
        WriteRecord(task=task, path="path", idx=idx, channel=channel, type="t", data=data)
        for idx, channel, data in writes
    ]
    given = {"ns": "", "task": task, "path": "path", **fields}
    record = WritesRecord(checkpoint=checkpoint, writes=records, **given)
    return of_threads(lambda store: store.put_writes(thread, record))


def claim_thread(thread: str) -> Step:
    request = f"r{next(_requests)}"
    return state(lambda store: store.claim_thread(thread, request=request))


def list_threads(**query: Any) -> Step:
    async def step(store: SqlStore) -> Any:
        pages = [await store.state.list_threads(**query)]
        while pages[-1].next_cursor:
            pages.append(await store.state.list_threads(**{**query, "cursor": pages[-1].next_cursor}))
            _not_too_many(pages)
        return pages

    return step


def checkpoints(thread: str | None = None, **query: Any) -> Step:
    """List checkpoints page by page, and once more with pages that are too small for most of it."""

    async def act(store: SqlStateStore) -> Any:
        pages = [await store.list_checkpoints(CheckpointQuery(thread=thread, **query))]
        while pages[-1].next_cursor:
            asked = CheckpointQuery(thread=thread, **{**query, "cursor": pages[-1].next_cursor})
            pages.append(await store.list_checkpoints(asked))
            _not_too_many(pages)
        return pages

    return after_all(of_threads(act), of_threads(act, 10))


def deltas(thread: str, *channels: str, **query: Any) -> Step:
    """Find what channels became, page by page, and once more with pages that are too small for most of it."""

    async def act(store: SqlStateStore) -> Any:
        asked = DeltaQuery(channels=list(channels), **query)
        pages = [await store.checkpoint_deltas(thread, asked)]
        while pages[-1].next_cursor:
            asked = DeltaQuery(ns=asked.ns, cursor=pages[-1].next_cursor)
            pages.append(await store.checkpoint_deltas(thread, asked))
            _not_too_many(pages)
        return pages

    return after_all(of_threads(act), of_threads(act, 10))


def threads_limited(what: str, rows: int = 500, size: int = 4_000_000) -> Any:
    """While this lasts, so many rows and bytes make a part."""
    return mock.patch.multiple(sql_threads, **{f"{what}_MAX": rows, f"{what}_BYTES_MAX": size})


def copy_thread(thread: str, source: str, parts: int | None = None, epoch: int = 0, **limits: int) -> Step:
    """Copy so many parts, or all."""

    async def step(store: SqlStore) -> Any:
        answers: list[bool] = []
        with threads_limited("_COPIED", **limits):
            while not answers or (answers[-1] and len(answers) != parts):
                answers.append(await store.state.copy_thread(thread, source, epoch=epoch))
                _not_too_many(answers)
        return answers

    return step


def removing(act: Callable[[SqlStateStore], Awaitable[bool]], limit: int = 1_000) -> Step:
    """Prune threads or delete runs, so many of everything at once."""

    async def step(store: SqlStore) -> Any:
        answers: list[bool] = []
        names = ("_THREADS_MAX", "_CHECKPOINTS_MAX", "_VALUES_MAX")
        with mock.patch.multiple(sql_threads, **dict.fromkeys(names, limit)):
            while not answers or answers[-1]:
                answers.append(await act(store.state))
                _not_too_many(answers)
        return answers

    return step


def prune(*threads: str, before: int | None = None, keeps_latest: bool = True, limit: int = 1_000) -> Step:
    record = PruneRecord(
        threads=list(threads) if before is None else None, updated_before=before, keeps_latest=keeps_latest
    )
    return removing(lambda store: store.prune_threads(record), limit)


def delete_runs(*runs: str, limit: int = 1_000) -> Step:
    return removing(lambda store: store.delete_runs(list(runs)), limit)


def delete_thread(thread: str) -> Step:
    return state(lambda store: store.delete_thread(thread))


def sweep_threads(parts: int = 9, **limits: int) -> Step:
    """Sweep so many parts of threads alone."""

    async def step(store: SqlStore) -> Any:
        answers = [True]
        with threads_limited("_SWEPT", **limits):
            while answers[-1] and len(answers) <= parts:
                answers.append(await sql_threads.sweep_threads(store._executor, store._user_id))
        return answers

    return step


async def sweep_any_of_threads(store: SqlStore) -> Any:
    """Sweep what is chosen from all there is, as if the `n` of what was to be swept were given to anything else."""
    return await sql_threads.sweep_threads(_ChoosingOfThreads(store._executor), store._user_id)


class _ChoosingOfThreads(_Choosing):
    async def run(self, *batch: Statement) -> list[list[Row]]:
        if batch[0].query is not self.statements.sweepable_of_threads:
            return await self._executor.run(*batch)
        places = {table: [*range(1, 1000)] for table in ("checkpoints", "checkpoint_values", "checkpoint_writes")}
        return [[{"answer": msgspec.json.encode(places).decode()}]]


LATE = 400_000_000_000_000


def _threads_held(thread: str, words: str, ids: tuple[str, ...], **fields: Any) -> list[Step]:
    """A thread of a chain of checkpoints, each of which has values and writes."""
    steps = []
    for before, id_ in zip((None, *ids), ids, strict=False):
        values = {("a", id_): f"{words} {id_}", ("b", "1"): words, ("large", "1"): LONG}
        stored = {"inline": None} if id_ == ids[0] else {}
        steps += [
            put_checkpoint(thread, id_, before, values=values, stored=stored, run=words[:4], **fields),
            put_writes(thread, id_, (0, "a", words), (1, "x", LONG), (-1, "b", words), ns=fields.get("ns", "")),
        ]
    return steps


# What others have of what `THREADS` is about: more, of the same names.
THREADS_HELD: list[Step] = [
    *_threads_held("mine", "held", ("1", "2", "3", "4", "5", "8")),
    *_threads_held("mine", "held", ("1", "2"), ns="child"),
    *_threads_held("taken", "mine", ("1", "2", "9")),
    *_threads_held("gone", "held", ("1", "2")),
    delete_thread("gone"),
    *_threads_held("gone", "held", ("1", "2", "3")),
    *_threads_held("copy", "held", ("0", "7")),
    *_threads_held("second", "held", ("2", "3")),
    put_checkpoint("expired", "1", expires_in=5),
    put_checkpoint("late", "1", expires_in=LATE),
    put_checkpoint("runs", "6", run="r1", values={("a", "1"): "held"}),
    claim_thread("runs"),
]

# What the walker does with threads.
THREADS: list[Step] = [
    put_checkpoint("mine", "1", values={("a", "1"): "a1", ("b", "1"): "b1", ("large", "1"): LONG}, run="r1"),
    put_checkpoint("mine", "1", values={("a", "1"): "late", ("c", "1"): "c1"}, run="r1", data=LONG),
    put_checkpoint("mine", "1", values={("large", "1"): LONG}, run="r1", stored={"inline": None, "a": "1"}),
    put_checkpoint("mine", "2", "1", stored={"a": "1"}, step=2, data=LONG),
    put_writes("mine", "2", (0, "a", "w0"), (1, "b", LONG), (-1, "e", LONG)),
    put_writes("mine", "2", (0, "a", "late"), (1, "b", LONG), (2, "a", "w2"), (-1, "e", LONG + "last")),
    put_writes("mine", "2", (0, "z", "other"), task="another"),
    put_writes("mine", "1", (0, "a", "w1"), (-2, "b", "x"), task="another"),
    put_checkpoint("mine", "3", "2", stored={"a": "1"}, values={("b", "3"): "b3"}, step=3, run="r2"),
    put_checkpoint("mine", "4", "3", stored={"b": "3"}, step=4, counted=["a", "b"], run="r3"),
    put_checkpoint("mine", "1", ns="child", values={("a", "1"): "child"}, run="r1"),
    put_writes("mine", "3", (0, "a", "w3"), (1, "b", "w3")),
    put_writes("absent", "1", (0, "a", "w")),
    put_checkpoint("taken", "1", epoch=4),
    list_threads(),
    list_threads(limit=1),
    checkpoints("mine", ns=""),
    checkpoints("mine", ns="", limit=1),
    checkpoints("mine", ns="", id="2"),
    checkpoints("mine", ns="child"),
    checkpoints("mine"),
    checkpoints("mine", before="3", limit=1),
    checkpoints("mine", filter=['"step":3']),
    checkpoints(),
    checkpoints(limit=2, filter=['"step":1']),
    checkpoints(id="1"),
    checkpoints(id="2"),
    checkpoints("taken"),
    checkpoints("taken", ns=""),
    checkpoints("gone", ns="", id="1"),
    deltas("mine", "a", "b", "inline", "large"),
    deltas("mine", "a", "inline", id="2"),
    deltas("mine", "b", id="3"),
    deltas("taken", "a"),
    deltas("gone", "a", id="2"),
    deltas("mine", "a", id="8"),
    copy_thread("copy", "mine", 2, rows=2, size=20),
    checkpoints("copy"),
    copy_thread("copy", "mine"),
    checkpoints("copy"),
    copy_thread("second", "copy"),
    copy_thread("second", "taken"),
    copy_thread("second", "copy", epoch=3),
    checkpoints("second", ns=""),
    claim_thread("copy"),
    put_checkpoint("copy", "5"),
    put_checkpoint("copy", "5", "4", epoch=1, values={("b", "5"): "b5"}),
    put_writes("copy", "5", (0, "a", "fenced")),
    prune("mine", "taken", limit=1),
    checkpoints("mine"),
    deltas("mine", "a", "b"),
    prune("mine"),
    delete_runs("held", "mine", "r2"),
    checkpoints("copy"),
    delete_runs("r1", limit=1),
    checkpoints(),
    deltas("copy", "a", "b"),
    prune(before=LATE * 2, limit=2),
    checkpoints(),
    prune("second", keeps_latest=False),
    checkpoints("second"),
    put_checkpoint("gone", "1", values={("a", "1"): "a", ("large", "1"): LONG}, data=LONG),
    put_writes("gone", "1", (0, "a", LONG)),
    delete_thread("gone"),
    delete_thread("taken"),
    put_checkpoint("gone", "1", stored={"a": "1"}),
    sweep_any_of_threads,
    sweep_threads(2, rows=1, size=1),
    checkpoints(),
    put_checkpoint("expired", "1", expires_in=2),
    checkpoints("expired"),
    put_checkpoint("expired", "2", expires_in=1),
    checkpoints("expired"),
    copy_thread("third", "expired"),
    copy_thread("fourth", "runs"),
    put_checkpoint("late", "1", expires_in=LATE),
    put_checkpoint("soon", "1", expires_in=3),
    list_threads(),
    purge(),
    list_threads(),
    sweep_threads(),
    list_threads(),
    checkpoints(),
    prune(before=LATE * 2, keeps_latest=False, limit=1),
    list_threads(),
    put_checkpoint("mine", "1", values={("a", "1"): "to be erased"}),
]

LATER_THREADS: list[Step] = [
    put_checkpoint("mine", "1", values={("a", "1"): "later", ("large", "1"): LONG}),
    put_writes("mine", "1", (0, "a", "later"), (1, "b", LONG)),
]


def _not_too_many(pages: list[Any]) -> None:
    """A statement that is broken may go round in a circle."""
    if len(pages) > 30:
        raise LookupError("There is no end of pages.")


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
    branch(1, 61, siblingOf=m(2)),
    branch(1, 62, parentId=m(1)),
    branch(1, 63, isRoot=True),
    branch(1, 64, siblingOf=m(90)),
    list_branches(1, 2),
    list_branches(1, 90),
    list_branches(90, 2),
    select_leaf(1, 1, descend=False),
    branch(1, 65),
    select_leaf(1, 1),
    select_leaf(1, 61, expected_leaf_id=m(1)),
    select_leaf(1, 90),
    select_leaf(90, 2),
    delete_branch(1, 61),
    delete_branch(1, 61),
    delete_branch(1, 90),
    delete_branch(90, 2),
    list_branches(1, 62),
    restore_branch(1, 61),
    restore_branch(1, 61),
    restore_branch(1, 90),
    restore_branch(90, 2),
    delete_branch(1, 63),
    select_leaf(1, 2),
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

# Of what the version before has indexed, much is found, edited and brought over. No search finds something in either
# index: which of it is the better hit may depend on everybody else.
AGAIN: list[Step] = [
    index_anything,
    index_before(),
    search_all("mine"),
    search_all("MI", limit=1),
    search_all('"mine 6"'),
    append(1, 25, words="mine"),
    search_all('"mine 25"'),
    update(1, title="Mine after that"),
    update(2, title=None),
    search_all("mine again"),
    search_all("after that"),
    follow_after(delete(3)),
    search_all('"mine 7"'),
    restore(3),
    search_all('"mine 7"'),
    sweep(),
    search_all("mine"),
    search_all("after that"),
    update(3, title="Mine at last"),
    create_in_parts(60, 61, 62, 63, words="parted"),
    create_in_parts(70, 71, 72, words="parted"),
    leave_behind,
    index_before(60),
    *[catch_up] * 30,
    search_all("parted"),
    sweep(),
    search_all("parted"),
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

LOOKS: list[Step] = [
    *(get(number) for number in (1, 5, 6, 7)),
    list_all(limit=20),
    list_all(cursor=c(5)),
    read_all(5, limit=2, cursor=m(51)),
    read_all(6, limit=2, after=0),
    search_all("mine"),
    search_all("gone"),
    search_all("kept"),
    follow_all(3),
    follow_all(500),
]
# Nothing of what is to be removed can be had, changed or taken for something new.
TRIES: list[Step] = [
    restore(5),
    delete(5),
    delete(5, version=1),
    update(5, title="Again"),
    append(5, 56, words="gone"),
    append(1, 50, words="gone"),
    create(5, 50, 51, 52, words="gone", title="Gone"),
    create(8, 50, words="gone"),
    take_in(5, title="gone"),
    restore(6),
]

# What only a store in the database itself does: conversations 5 to 8 and 40 to 44 are here for this.
ERASING: list[Step] = [
    purge(),
    sweep(),
    create(5, 50, 51, 52, words="gone", title="Gone"),
    create(6, 53, 54, words="gone", metadata={"gone": 1}, model="gone"),
    create(7, 55, words="kept", title="Kept"),
    index_before(5, 6),
    sweep_anything,
    search_all("gone"),
    delete(5),
    delete(6),
    delete(7),
    purge(ago=2),
    *LOOKS,
    *TRIES,
    purge_again,
    sweep(1, messages=2),
    *LOOKS,
    *TRIES,
    sweep(1, size=1),
    sweep(1),
    sweep(1, conversations=1, messages=2),
    *LOOKS,
    *TRIES[:-3],
    sweep(conversations=1, messages=2),
    *LOOKS,
    *TRIES[:4],
    restore(7),
    follow_after(after_all(delete(7), purge())),
    sweep(size=1),
    create(5, 50, 51, words="anew", title="Anew"),
    update(5, title="Anew and again"),
    search_all("anew"),
    follow_all(500),
    # Another sweep was faster, and did the same.
    create(45, 240, 241, 242, words="twice", title="Twice"),
    delete(45),
    purge(),
    sweep_late(sweep(1)),
    sweep_late(sweep(1)),
    # Another sweep was faster, and what it removed left its place to something new.
    create(40, 140, 141, 142, words="first", title="First"),
    delete(40),
    purge(),
    sweep_late(sweep(), create(41, 143, 144, 145, words="second", title="Second")),
    search_all("second"),
    read_all(41, limit=50),
    create(42, 146, 147, 148, words="third", title="Third"),
    delete(42),
    purge(),
    sweep(1),
    sweep_late(sweep(), create(43, 149, 150, 151, words="fourth", title="Fourth")),
    search_all("fourth"),
    read_all(43, limit=50),
    delete(43),
    purge(),
    sweep_anything,
    *LOOKS,
    search_all("second"),
    read_all(41, limit=50),
    sweep(),
    # What is written after everything was erased is kept.
    delete(5),
    delete(10),
    follow_after(erase()),
    *LOOKS,
    *TRIES,
    restore(41),
    create(44, 152, 153, words="mine", title="Mine"),
    take_in(50, title="mine imported"),
    update(44, title="Mine after all"),
    sweep(1, conversations=2, messages=3),
    *LOOKS,
    purge(),
    sweep(),
    *LOOKS,
    create(1, 1, 2, words="mine"),
    follow_after(erase()),
    sweep(),
    *LOOKS,
    erase(),
    *TRIES,
    update(5, title="Later"),
    take_in(20, title="mine imported"),
    create(1, 1, 2, words="mine", title="Mine"),
    create(3, 6, 7, 8, words="mine", title="Mine once"),
    update(1, title="Again"),
    create(2, 3, title="Mine too"),
    update(2, title="Mine too", version=9),
    search_all("mine"),
    index_before(2),
    update(2, title="Mine too", version=9),
    search_all("mine too"),
    lambda store: store._index_again(),
    create(4, 9, words="mine"),
    delete(4),
    delete(3),
    delete(5),
    purge(ago=2),
    sweep(1, messages=2),
    *LOOKS,
    sweep_anything,
    # What is old goes at once.
    update(2, is_archived=True, metadata={"pinned": True}),
    *(follow_after(expire(*spares)) for spares in (("archived", "pinned"), ("pinned",))),
    restore(1),
    follow_after(expire()),
    *(restore(number) for number in (1, 2)),
    *(follow_after(delete_all(is_archived)) for is_archived in (False, True, None)),
    *(restore(number) for number in (1, 2)),
    *LOOKS,
]

# What others have of what `ERASING` is about.
HELD: list[Step] = [
    *JOURNALS_HELD,
    *TASKS_HELD,
    *THREADS_HELD,
    create(5, 150, 140, words="held", title="Held", metadata={"held": 1}),
    create(6, 50, 51, 52, 53, words="held"),
    create(7, 54, 141, words="held", title="Held too"),
    create(8, 55, 56, words="held"),
    *(create(number, 100 + number, 160 + number, words="held") for number in (40, 41, 42, 43, 44, 50)),
    *(create(number, 170 + number, 200 + number, 240 + number, words="held") for number in (10, 20)),
    *blobs_held(),
]
_ALL = (1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 40, 41, 42, 43, 44, 50, 90)

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

DELETED: list[Step] = [*OTHERWISE, *MORE, *HELD, *(delete(number) for number in _ALL)]
PURGED: list[Step] = [*DELETED, purge(ago=5)]  # and some are deleted and not yet purged
ERASED: list[Step] = [
    *OTHERWISE,
    *MORE,
    *HELD,
    delete(5),
    erase(),
    *JOURNALS_HELD,
    *blobs_held(),
    *TASKS_HELD,
    *THREADS_HELD,
    sweep(2, messages=9),
    create(9, 180, words="held"),
]


WHOLE_WALK: list[Step] = [
    *(*WALK, *JOURNALS, *BLOBS, *TASKS, *THREADS, *AGAIN, *IMPORTS, *ERASING),
    *(*LATER_JOURNALS, *LATER_BLOBS, *LATER_TASKS, *LATER_THREADS),
]
"""All that the walker does."""


async def walk(store: Store, steps: list[Step] | None = None) -> list[Any]:
    """Take the steps, and answer what came of each."""
    answers: list[Any] = []
    for step in WHOLE_WALK if steps is None else steps:
        try:
            answers.append(plain(await step(store)))
        except ThreadkeepError as error:
            answers.append([error.code, error.message, plain(error.details)])
    return answers
