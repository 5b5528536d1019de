"""What every statement reads on Postgres: no more rows than its keys lead to, however much there is of anybody."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.postgres import new_url
from threadkeep import backends
from threadkeep.sql import postgres_statements
from threadkeep.sql.executor import Query
from threadkeep.sql.postgres import PostgresExecutor

pytestmark = pytest.mark.anyio

QUERIES = {name: value for name, value in vars(postgres_statements).items() if isinstance(value, Query)}
USERS = 40
CONVERSATIONS, MESSAGES = 200, 40
PAGE = 90
# Every user has the same words, and the same ids.
FILLING = f"""
INSERT INTO owners (user_id, epoch, rev) SELECT 'user' || u, 'e', {CONVERSATIONS} FROM generate_series(1, {USERS}) AS u;
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, created_at, updated_at, message_count, is_archived, version, metadata,
  deleted_at
)
SELECT 'user' || u, 'c' || c, c, 'd', 'title', 'user', c, c, {MESSAGES}, FALSE, 1, '{{}}', CASE WHEN c = 1 THEN 1 END
FROM generate_series(1, {USERS}) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c;
INSERT INTO messages (user_id, id, conversation_id, seq, rev, digest, role, created_at, bytes, content)
SELECT 'user' || u, 'm' || c || '-' || m, 'c' || c, m, c, 'd', 'user', m, 100, '[]'
FROM generate_series(1, {USERS}) AS u
CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c
CROSS JOIN generate_series(1, {MESSAGES}) AS m;
INSERT INTO words (n, user_id, text, lexemes)
SELECT
  m.n,
  m.user_id,
  ' common  w' || m.seq || ' ',
  array_to_tsvector(ARRAY[m.user_id || 'common', m.user_id || 'w' || m.seq])
FROM messages AS m;
ANALYZE owners; ANALYZE conversations; ANALYZE messages; ANALYZE words
"""
VALUES: dict[str, Any] = {
    "user": "user7",
    "mark": "user7",
    "conversation": "c5",
    "message": "m5-20",
    "before_id": "c20",
    "now": 9,
    "epoch": "e",
    "digest": "d",
    "title": "new",
    "title_source": "user",
    "model": None,
    "metadata": "{}",
    "metadata_before": "{}",
    "metadata_bytes_max": 9,
    **dict.fromkeys(("sets_title", "sets_model", "sets_is_archived", "sets_metadata"), 1),
    "is_archived": 0,
    "edited_at": 9,
    "loses_from": 10,
    "loses_until": 9,
    "expected": None,
    "creates": 0,
    "ids": '[["m5-1", "d"], ["new", "d"]]',
    "words": '[["m5-1", " a "]]',
    "titles": '[["c5", "title", " b "]]',
    "until": 2,
    "conversation_limit": 9,
    "limit": 9,
    "bytes": 9_000,
    "page_bytes": 9_000,
    "seq": 20,
    "updated_at": 20,
    "rev": 5,
    "kind": 0,
    "n": 0,
    "skip": 0,
    "role": None,
    "since": 0,
    "match": "'user7w9':*",
    "sought": '[" w9"]',
}
MESSAGE = {"id": "new", "digest": "d", "role": "user", "size": 1, "content": "[]", "seq": 1, "createdAt": 1}
# Of what a user has, or anybody.
ALL_CONVERSATIONS = ("COUNT_ALL", "MARK_ALL")
ALL_DELETED = ("USERS_TO_PURGE",)
ONE_CONVERSATION = ("TOUCH_MESSAGES_OF_DELETED",)


def rows_that(name: str) -> int:
    """How many rows a statement may look at: as many as make a page, or as many as it is about."""
    if name in ALL_CONVERSATIONS:
        return CONVERSATIONS
    if name == "SEARCH":
        return 5 * CONVERSATIONS  # a message of each is found, and that is looked at in each of the tables
    if name in ALL_DELETED:
        return USERS
    return 3 * MESSAGES if name in ONE_CONVERSATION else PAGE


def values_of(name: str, places: dict[str, list[int]]) -> dict[str, Any]:
    """What a statement is given here."""
    values = {**VALUES, "until": 2**53 if name == "SEARCH" else 2, "conversation": "c1" if "DELETED" in name else "c5"}
    row = {**MESSAGE, "conversationId": "c5", "title": "t", "titleSource": "user", "updatedAt": 1, "messageCount": 1}
    new = json.dumps([{**row, "isArchived": 0, "metadata": "{}"}])
    is_sweeping = name.startswith("REMOVE")
    return {
        **values,
        "conversations": json.dumps(places["conversations"]) if is_sweeping else new,
        "messages": json.dumps(places["messages"]) if is_sweeping else new,
    }


@pytest.fixture(scope="module")
async def filled() -> AsyncIterator[PostgresExecutor]:
    """A database with as much of everybody."""
    executor = await backends.open_postgres(new_url())
    assert isinstance(executor, PostgresExecutor)
    async with executor.connection() as connection:
        await connection._connection.execute(f"SET search_path = {executor._schema}")
        await connection._connection.execute(FILLING)
    yield executor
    await executor.close()


def scans_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans_in(part)


async def rows_read(executor: PostgresExecutor, text: str, values: dict[str, Any]) -> int:
    """How many rows of tables a statement looks at; what it does is undone."""
    query = Query(text, mark="$")
    async with executor.connection() as connection:
        await connection._connection.execute(f"BEGIN; SET LOCAL search_path = {executor._schema}")
        explained = await connection._connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {query.numbered}", *query(**values).values
        )
        await connection._connection.execute("ROLLBACK")
    count = 0.0
    for scan in scans_in(json.loads(explained)[0]["Plan"]):
        removed = sum(scan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
        count += (scan["Actual Rows"] + removed) * scan["Actual Loops"]
    return int(count)


@pytest.mark.parametrize("name", QUERIES)
async def test_a_statement_reads_only_what_its_keys_lead_to(name: str, filled: PostgresExecutor) -> None:
    places = {}
    async with filled.connection() as connection:
        for kind, condition in (("conversations", "id = 'c1'"), ("messages", "conversation_id = 'c1'")):
            text = f"SELECT n FROM {filled._schema}.{kind} WHERE user_id = 'user7' AND {condition} LIMIT 5"
            places[kind] = [row["n"] for row in await connection._connection.fetch(text)]
    read = await rows_read(filled, QUERIES[name].text, values_of(name, places))
    assert read <= rows_that(name)


async def test_a_lookup_that_may_read_all_of_a_user_is_noticed(filled: PostgresExecutor) -> None:
    text = QUERIES["APPENDED"].text
    assert text.count("OFFSET 0") == 1
    values = values_of("APPENDED", {})
    assert await rows_read(filled, text, values) <= rows_that("APPENDED")
    assert (
        await rows_read(filled, text.replace("x.id = given.value ->> 0", "x.id || '' = given.value ->> 0"), values)
        > PAGE
    )


async def test_a_search_reads_nobody_elses_words(filled: PostgresExecutor) -> None:
    values = {**VALUES, "until": 2**53, "match": "'user7common' & 'user7w9'", "sought": '[" common ", " w9 "]'}
    assert await rows_read(filled, QUERIES["SEARCH"].text, values) <= rows_that("SEARCH")
    everybodys = QUERIES["SEARCH"].text.replace(
        "w.user_id = :user AND w.lexemes @@", "w.user_id = :user AND NOT w.lexemes @@"
    )
    assert await rows_read(filled, everybodys, values) > USERS * CONVERSATIONS * MESSAGES / 2
