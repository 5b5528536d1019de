"""The part of the walk that is about what another version has indexed."""

from typing import Any
from unittest import mock

import msgspec

from owner_proof.walk.conversations import (
    append,
    branch,
    c,
    count_to,
    create_in_parts,
    delete,
    follow_after,
    m,
    read_all,
    restore,
    search_all,
    update,
)
from owner_proof.walk.recorder import EVERYBODY, Alike
from owner_proof.walk.steps import Step
from owner_proof.walk.sweeping import sweep, swept_at_once
from threadkeep.conversations.search import text_of_content
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sqlite import first_index
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.tokenizer import words_of


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


async def leave_unlinked(store: SqlStore) -> None:
    """Have everything look as if a version had written it that did not know what messages follow."""
    executor: Any = store._executor
    while not isinstance(executor, SqliteExecutor | PostgresExecutor):
        executor = executor._executor
    if isinstance(executor, SqliteExecutor):
        for text in _UNLINKED:
            executor._connection.execute(text.format("", "?"), [store._user_id])
    else:
        texts = [(text.format(f"{executor._schema}.", "$1"), [store._user_id]) for text in _UNLINKED]
        async with executor.connection() as connection:
            await connection.run(texts, begin=["BEGIN"], commits=True)


_UNLINKED = ("DELETE FROM {}forks WHERE user_id = {}", "UPDATE {}owners SET linked_rev = 0 WHERE user_id = {}")


async def link(store: SqlStore) -> Any:
    """Note what a part follows, of three messages."""
    with mock.patch.object(sql_store, "_LINKED_MESSAGES_MAX", 3):
        return await store._link()


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

# Where the user's counter stands, and that of another, when it is noted what messages follow.
LINKED_AT = 170

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
    branch(1, 66, parentId=m(2)),
    count_to(LINKED_AT, 1),
    leave_unlinked,
    follow_after(link),
    *[link] * 30,
    read_all(1, limit=50),
]
