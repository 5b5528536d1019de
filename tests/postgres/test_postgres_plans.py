"""What every statement reads on Postgres: no more rows than its keys lead to, however much there is of anybody.

It must be so whether or not a user was there when the statistics were made, and as often as a connection runs a
statement: after five times, Postgres may plan it for no values in particular.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from support import stores
from support.postgres import new_url
from threadkeep.storage.postgres.dialect import statements_of
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.sql.executor import Query, read
from threadkeep.storage.sql.statements.threads import KINDS

pytestmark = pytest.mark.anyio

NAMES = list(statements_of("").queries())
USERS = 16
QUEUED = 100  # of as many tasks of each user as there are conversations
OPEN = 100  # drafts of each user
CONVERSATIONS, MESSAGES = 500, 40  # 20,000 messages of each user
PAGE = 90
# Of whom the statistics know, and who came when they had been made.
KNOWN, NEWCOMER = "user7", f"user{USERS}"
# Every user has the same words, and the same ids. Of every other conversation, the version before has indexed them.
FILLING = f"""
INSERT INTO owners (user_id, epoch, rev, indexed_rev, linked_rev)
SELECT 'user' || u, 'e', {CONVERSATIONS}, {CONVERSATIONS}, {CONVERSATIONS} FROM generate_series(:users) AS u;
INSERT INTO conversations (
  user_id, id, rev, digest, title, title_source, created_at, updated_at, message_count, is_archived, version, metadata,
  deleted_at
)
SELECT 'user' || u, 'c' || c, c, 'd', 'title', 'user', c, c, {MESSAGES}, FALSE, 1, '{{}}', CASE WHEN c = 1 THEN 1 END
FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c;
WITH filled AS (
  INSERT INTO messages (user_id, id, conversation_id, seq, rev, digest, role, created_at, bytes, content)
  SELECT 'user' || u, 'm' || c || '-' || m, 'c' || c, m, c, 'd', 'user', m, 100, '[]'
  FROM generate_series(:users) AS u
  CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c
  CROSS JOIN generate_series(1, {MESSAGES}) AS m
  RETURNING n, user_id, seq, rev
), said AS (
  SELECT
    f.n,
    f.user_id,
    ' common  w' || f.seq || ' ' AS text,
    array_to_tsvector(ARRAY[f.user_id || 'common', f.user_id || 'w' || f.seq]) AS lexemes,
    f.rev
  FROM filled AS f
), before AS (
  INSERT INTO words (n, user_id, text, lexemes)
  SELECT s.n, s.user_id, s.text, s.lexemes FROM said AS s WHERE s.rev % 2 = 1
)
INSERT INTO search_index_2 (n, user_id, text, lexemes)
SELECT s.n, s.user_id, s.text, s.lexemes FROM said AS s WHERE s.rev % 2 = 0;
INSERT INTO forks (user_id, conversation_id, seq, follows)
SELECT 'user' || u, 'c' || c, m, m - 2
FROM generate_series(:users) AS u
CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c
CROSS JOIN generate_series(3, {MESSAGES}, 3) AS m;
INSERT INTO cuts (user_id, conversation_id, from_seq, to_seq, rev, deleted_at)
SELECT 'user' || u, 'c' || c, {MESSAGES} - 1, {MESSAGES}, c, CASE WHEN c < 6 THEN 1 WHEN c < 10 THEN -1 ELSE 99 END
FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c;
INSERT INTO drafts (
  user_id, id, conversation_id, follows, role, digest, fence, lease_ms, started_at, renewed_at, state, settled_at, rev
)
SELECT
  'user' || u, 'd' || c, 'c' || c, {MESSAGES} - 2, 'assistant', 'd', 1, 60000, 1, 1,
  CASE WHEN c <= {CONVERSATIONS - OPEN} THEN 'complete' ELSE 'streaming' END,
  CASE WHEN c <= {CONVERSATIONS - OPEN} THEN c END, c
FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS c;
INSERT INTO draft_parts (user_id, draft_id, part, at, digest, bytes, blocks, ops)
SELECT 'user' || u, 'd' || c, p, 1, 'd', 10, 't', '[]'
FROM generate_series(:users) AS u
CROSS JOIN generate_series({CONVERSATIONS - OPEN} + 1, {CONVERSATIONS}) AS c
CROSS JOIN generate_series(0, 9) AS p;
WITH kept AS (
  INSERT INTO journals (
    user_id, space, key, incarnation, generation, version, identity, next_seq, epoch, next_producer_seq, status, sort,
    created_at, updated_at, request, stamp, head, deleted_at, expires_at
  )
  SELECT
    'user' || u, 'space', 'k' || j, 'i', 0, 1, '', {MESSAGES} + 2, 1, 1, 's', 's' || j, 1, 1, 'r', 'stamp', '{{}}',
    CASE WHEN j <= 5 THEN 1 END, CASE WHEN j = 6 THEN 1 END
  FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS j
  RETURNING n, user_id
)
INSERT INTO entries (
  user_id, journal, seq, id, epoch, producer_seq, digest, append_digest, created_at, bytes, big, data
)
SELECT k.user_id, k.n, s, 'e' || s, 1, s, 'd', 'd', 1, 10, CASE WHEN s = 20 THEN k.n END, '[]'
FROM kept AS k CROSS JOIN generate_series(1, {MESSAGES}) AS s;
INSERT INTO pieces (user_id, group_id, part, data)
SELECT e.user_id, e.big, p, 'large'
FROM entries AS e CROSS JOIN generate_series(0, 1) AS p
WHERE e.user_id IN (SELECT 'user' || u FROM generate_series(:users) AS u) AND e.big IS NOT NULL;
WITH kept AS (
  INSERT INTO blobs (
    user_id, space, key, digest, size, media_type, created_at, group_id, meta, deleted_at, expires_at
  )
  SELECT
    'user' || u, 'space', 'k' || b, 'd', 5, 'a/b', 1, 'b' || b, '{{}}',
    CASE WHEN b <= 5 THEN 1 END, CASE WHEN b = 6 THEN 1 END
  FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS b
  RETURNING user_id, group_id
)
INSERT INTO pieces (user_id, group_id, part, data)
SELECT k.user_id, k.group_id, p, 'bytes'
FROM kept AS k CROSS JOIN generate_series(0, 1) AS p;
WITH numbered AS (
  SELECT
    'user' || u AS user_id,
    t,
    CASE
      WHEN t <= 300 THEN 'settled'
      WHEN t <= 300 + {QUEUED} THEN 'queued'
      WHEN t <= 430 THEN 'running'
      WHEN t <= 450 THEN 'settling'
      WHEN t <= 475 THEN 'joining'
      ELSE 'joined'
    END AS state
  FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS t
)
INSERT INTO tasks (
  user_id, queue, id, seq, lane, kind, state, is_open, digest, accepted_at, ready_at, attempt, attempts, attempts_max,
  timeout_at, holder, lease_until, deleted_at, host, settlement_bytes, note_revision, request, stamp, bytes, big,
  payload
)
SELECT
  k.user_id, 'queue', 't' || t, t, 'l' || t % 50, 'k', state, CASE WHEN t <= 300 THEN 0 ELSE 1 END, 'd', 1, 1,
  CASE WHEN t > 400 THEN 'a' END, 1, 1, 0, CASE WHEN t > 400 THEN 'h' END, t % 2, CASE WHEN t <= 5 THEN 1 END,
  CASE WHEN t > 450 THEN 't401' END, 0, 0, 'r', 'stamp', 10, CASE WHEN t <= 9 THEN 't' || t END, '{{}}'
FROM numbered AS k;
INSERT INTO pieces (user_id, group_id, part, data)
SELECT 'user' || u, 't' || t, p, 'large'
FROM generate_series(:users) AS u CROSS JOIN generate_series(1, 9) AS t CROSS JOIN generate_series(0, 1) AS p;
INSERT INTO lanes (user_id, queue, lane, closed_at, deleted_at)
SELECT 'user' || u, 'queue', 'l' || l, 1, CASE WHEN l > {CONVERSATIONS} - 5 THEN 1 END
FROM generate_series(:users) AS u CROSS JOIN generate_series(5, {CONVERSATIONS}) AS l;
WITH kept AS (
  INSERT INTO threads (user_id, name, epoch, is_pruned, deleted_at, expires_at, created_at, updated_at, request, stamp)
  SELECT 'user' || u, 't' || t, 0, FALSE, CASE WHEN t <= 5 THEN 1 END, CASE WHEN t = 6 THEN 1 END, 1, t, 'r', 'before'
  FROM generate_series(:users) AS u CROSS JOIN generate_series(1, {CONVERSATIONS}) AS t
  RETURNING n, user_id, name
), checked AS (
  INSERT INTO checkpoints (user_id, thread, ns, id, parent, run_id, metadata, stored, counted, type, bytes, data)
  SELECT
    k.user_id, k.n, '', 'c' || to_char(c, 'FM0000'), CASE WHEN c > 1 THEN 'c' || to_char(c - 1, 'FM0000') END,
    'r' || k.name || c, '[]', json_build_array(json_build_array('a', 'v' || c)), '[]', 't', 5, 'data'
  FROM kept AS k CROSS JOIN LATERAL generate_series(1, CASE WHEN k.name = 't9' THEN 10 * {MESSAGES} ELSE 3 END) AS c
  RETURNING user_id, thread, id
), valued AS (
  INSERT INTO checkpoint_values (user_id, thread, ns, channel, version, type, bytes, data)
  SELECT c.user_id, c.thread, '', 'a', 'v' || substr(c.id, 2)::integer, 't', 5, 'data' FROM checked AS c
)
INSERT INTO checkpoint_writes (user_id, thread, ns, checkpoint, task, idx, path, channel, type, bytes, data)
SELECT c.user_id, c.thread, '', c.id, 'task', w, '', 'a', 't', 5, 'data'
FROM checked AS c CROSS JOIN generate_series(0, 1) AS w
"""
TABLES = ("owners", "conversations", "messages", "words", "search_index_2", "journals", "entries", "pieces", "blobs")
TABLES += (
    "forks",
    "cuts",
    "drafts",
    "draft_parts",
    "tasks",
    "lanes",
    "threads",
    "checkpoints",
    "checkpoint_values",
    "checkpoint_writes",
)
VALUES: dict[str, Any] = {
    "conversation": "c5",
    "message": "m5-20",
    "branch": "",
    "leaf": None,
    "within": None,
    "links": '[{"id": "new", "how": "sibling", "of": "m5-3", "where": "elsewhere"}]',
    "unselected": "[]",
    "expected_leaf": None,
    "descend": 1,
    "previewed": 9,
    "forks": '[["c5", 3, 1]]',
    "before_id": "c20",
    "now": 9,
    "epoch": "e",
    "digest": "d",
    "title": "new",
    "title_source": "user",
    "model": None,
    "metadata": "{}",
    "metadata_bytes_max": 9,
    "message_bytes_max": 999,
    "clears_metadata": 0,
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
    "looked": 20,
    "created_after": 0,
    "created_before": 500,
    "metadata_text": '"a":"b"',
    "metadata_literal": None,
    "active": 1,
    "archived": 1,
    "before": 400,
    "expires_before": 400,
    "spares_pinned": 1,
    "after": "user1",
    "role": None,
    "since": 0,
    "indexed_rev": 1,
    "next_rev": 2,
    "indexed_n": 0,
    "space": "space",
    "key": "k9",
    "identity": "",
    "producer": "p",
    "incarnation": "i",
    "producer_seq": 5,
    "append_digest": "d",
    "request": "new",
    "stamp": "stamp",
    "absorbing": "before",
    "remembered": None,
    "version": 1,
    "status": "s",
    "status_is": None,
    "sort": "s",
    "head": "{}",
    "head_bytes_max": 9,
    "expires_at": None,
    "before_sort": "s11",
    "after_update": 0,
    "after_key": "",
    "before_key": "k2",
    "after_seq": 19,
    "before_seq": 30,
    "at": None,
    "count": 1,
    "cut": 38,
    "remove": '[["e1"]]',
    "entries": '[{"position": 0, "digest": "d", "append_digest": "d", "bytes": 1}]',
    "group_id": "g",
    "part": 0,
    "data": "d",
    "size": 1,
    "media_type": "a/b",
    "meta": "{}",
    **dict.fromkeys(("sets_head", "sets_status", "sets_sort", "retires", "removes"), 1),
    **dict.fromkeys(("pops", "closes"), 0),
    "queue": "queue",
    "task": "t401",
    "lane": "l5",
    "target": None,
    "state": "running",
    "host": "t401",
    "attempt": "a",
    "next_attempt": "b",
    "holder": "h",
    "lease_until": 5,
    "attempts_max": 3,
    "timeout_at": 4,
    "error": "why",
    "settlement_id": "s",
    "settlement_digest": "d",
    "settlement_bytes": 1,
    "settlement_big": None,
    "settlement": "{}",
    "note": "{}",
    "note_bytes_max": 9,
    "has_wanted": 1,
    "accepted_at": 1,
    "ready_at": 1,
    "payload": "{}",
    "keep": "k",
    "tasks": '[["t401"], ["t402"], ["none"]]',
    "beyond": 2**53,
    "guard_queue": "queue",
    "guard_task": "t401",
    "guard_attempt": "a",
    "guard_settlement_id": None,
    "guard_settlement_digest": None,
    "guard_joined": '[["t460"], ["t490"]]',
    **dict.fromkeys(("restart", "guards"), 1),
    "unless_applied": 0,
    "after_id": None,
    "inclusive": 0,
    "thread": "t9",
    "source": "t10",
    "claim": 0,
    "before_time": 400,
    "before_name": "t400",
    "ns": "",
    "parent": "c0399",
    "run_id": "new",
    "stored": "[]",
    "counted": "[]",
    "type": "t",
    "checkpoint": "c0400",
    "replaced": "[[-1]]",
    "path": "",
    "channel": "a",
    "idx": 0,
    "filter": "[]",
    "least_id": "",
    "most_id": "c9",
    "most_thread": "t",
    "most_ns": "",
    "ancestors": 9,
    "channels": '[["a"]]',
    "keeps_latest": 1,
    "threads": '[["t9"], ["t10"]]',
    "updated_before": 9,
    "runs": '[["rt101"], ["rt102"]]',
    **dict.fromkeys(("thread_limit", "checkpoint_limit", "value_limit"), 9),
    "draft": "d450",
    "lease_ms": 1,
    "open_max": 9,
    "fence": 1,
    "start": 5,
    "first": 10,
    "parts": '[["d", "[]"]]',
    "letters": "t",
    "base": "t",
    "bytes_max": 999,
    "checks": 1,
    "settled": '[["d450", 1, 10, "complete", "message"]]',
    "follows_leaf": 1,
    "with_drafts": 1,
    "forked_from": None,
    "original": "c5",
    "copies": '[[1, 1, "new", "d"], [2, 2, "newer", "d"]]',
    "linked_rev": 1,
    "linked_n": 0,
    "last_rev": 2,
    "last_n": 2**53,
    "reached_rev": 1,
    "reached_n": 9,
}
MESSAGE = {"id": "new", "digest": "d", "role": "user", "bytes": 1, "content": "[]", "seq": 1, "created_at": 1}
# Of what a user has, or anybody.
ALL_CONVERSATIONS = ("mark_all", "retire_all_journals", "retire_all_blobs", "retire_all_tasks", "retire_all_lanes")
ALL_CONVERSATIONS += ("retire_all_threads",)
ALL_OF_A_SPACE = ("list_journals_by_update",)
ALL_OF_EACH = ("count_all",)
SEARCHES = ("search", "search_active")
ALL_QUEUED = ("runnable_tasks", "unready_tasks", "open_tasks")  # so few are sorted, instead of found in their order
OF_PRODUCERS = ("append", "append_verdict")
OF_NEW_IN_THREADS = {
    "unhinge_checkpoint_1": "",
    "put_checkpoint": "",
    "insert_piece_of_checkpoint": "",
    "put_values": '[{"channel": "a", "version": "new", "type": "t", "bytes": 1, "data": "d"}]',
    "put_writes": '[{"idx": 9, "channel": "a", "type": "t", "bytes": 1, "data": "d"}]',
    "deltas": "",
    "large_deltas": "",
}
ALL_DELETED = ("users_to_purge",)
ONE_CONVERSATION = ("touch_messages_of_deleted",)


def rows_that(name: str) -> int:  # noqa: PLR0911 one for each kind
    """How many rows a statement may look at: as many as make a page, or as many as it is about."""
    if name in ALL_CONVERSATIONS:
        return CONVERSATIONS
    if name in ALL_OF_A_SPACE:
        return CONVERSATIONS + PAGE
    if name in ALL_OF_EACH:
        return 6 * CONVERSATIONS
    if name.startswith(ALL_QUEUED):
        return 3 * QUEUED
    if name.startswith("checkpoints_of_"):
        return 2 * PAGE  # each checkpoint of a page has a value and writes, which are in other tables
    if name == "search_active":
        return 30 * CONVERSATIONS  # and of each conversation the forks of its path
    if name in SEARCHES:
        return 5 * CONVERSATIONS  # a message of each is found, and that is looked at in each of the tables
    if name == "all_open_drafts":
        return 10 * OPEN  # each with its conversation and its last part
    if name == "users_with_open_drafts":
        return OPEN * USERS
    if name in ALL_DELETED:
        return 40 * USERS + VALUES["limit"]  # and the first rows of an index, and so few owners it reads one by one
    return 3 * MESSAGES if name in ONE_CONVERSATION else PAGE


def values_of(name: str, user: str, places: dict[str, list[int]], word: str = "w9") -> dict[str, Any]:
    """What a statement is given here, for a user; a search, one for this word."""
    values = {
        **VALUES,
        "user": user,
        "mark": user,
        "match": f"'{user}{word}':*",
        "match_before": f"'{user}{word}':*",
        **dict.fromkeys(("sought", "sought_before"), f'[" {word}"]'),
        "places": json.dumps(places.get("messages", [])),
        "until": 2**53 if name in SEARCHES else 2,
        "conversation": "c1" if "deleted" in name else "c5",
    }
    row = {
        **MESSAGE,
        "conversation_id": "c5",
        "title": "t",
        "title_source": "user",
        "updated_at": 1,
        "message_count": 1,
    }
    new = json.dumps([{**row, "is_archived": False, "metadata": "{}"}])
    is_sweeping = name.startswith(("remove", "unindex_swept"))
    if name in OF_PRODUCERS:
        values["epoch"] = 1  # of a producer, and not of a user's history
    if name in ("insert_journal", "save_journal", "insert_task"):
        values["kind"] = "k"  # of a journal or a task, and not of a change
    if name == "insert_parts":
        values |= {"parts": '[{"part": 10, "digest": "d", "ops": "[]"}]', "checks": "[]", "bytes": 9, "base": 1}
    if "path_after" in name:
        values["after"] = 19  # a place in a conversation, and not a user
    if "task" in name:
        values["big"] = None
        values["after"] = 0  # a place in a queue, and not a user
        values["id"] = "new"
    if name.startswith("sweep_tasks"):
        values["tasks"] = json.dumps(places["tasks"])
    if name.startswith("sweep_entries"):
        values["entries"] = json.dumps(places["entries"])
    if name.startswith("sweep_of_threads"):
        values |= {kind: json.dumps(places[kind]) for kind in KINDS}
    if name == "insert_piece_of_value":
        values["version"] = "v1"  # of a channel, and not of a journal
    if name in OF_NEW_IN_THREADS:
        values |= {"id": "c9999", "big": None, "rows": OF_NEW_IN_THREADS[name]}
    return {
        **values,
        "conversations": json.dumps(places["conversations"]) if is_sweeping else new,
        "messages": json.dumps(places["messages"]) if is_sweeping else new,
    }


@pytest.fixture(scope="module")
async def filled() -> AsyncIterator[PostgresExecutor]:
    """A database with as much of everybody, whose statistics were made before the last of them came."""
    executor = await stores.open_postgres(new_url())
    assert isinstance(executor, PostgresExecutor)
    async with executor.connection() as connection:
        run = connection._connection.execute
        await run(f"SET search_path = {executor._schema}")
        for table in TABLES:
            await run(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await run(FILLING.replace(":users", f"1, {USERS - 1}"))
        for table in TABLES:
            await run(f"ANALYZE {table}")
        await run(FILLING.replace(":users", f"{USERS}, {USERS}"))
    yield executor
    await executor.close()


async def places_of(user: str, executor: PostgresExecutor) -> dict[str, list[int]]:
    """Some rows that a sweep may remove, by their `n`."""
    places = {}
    async with executor.connection() as connection:
        of_deleted = f"journal IN (SELECT n FROM {executor._schema}.journals WHERE user_id = $1 AND deleted_at > 0)"
        for kind, condition in (
            ("conversations", "id = 'c1'"),
            ("messages", "conversation_id = 'c1'"),
            ("entries", of_deleted),
            ("tasks", "deleted_at > 0"),
            *((kind, f"thread IN (SELECT n FROM {executor._schema}.threads WHERE deleted_at > 0)") for kind in KINDS),
        ):
            text = f"SELECT n FROM {executor._schema}.{kind} WHERE user_id = $1 AND {condition} LIMIT 5"
            places[kind] = [row["n"] for row in await connection._connection.fetch(text, user)]
    return places


def text_of(name: str, executor: PostgresExecutor) -> str:
    return executor.statements.queries()[name].text


def scans_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans_in(part)


async def rows_read(executor: PostgresExecutor, text: str, values: dict[str, Any]) -> int:
    """How many rows of tables a statement looks at; what it does is undone."""
    query = read(text, mark="$")
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


@pytest.mark.parametrize("user", [KNOWN, NEWCOMER])
@pytest.mark.parametrize("name", NAMES)
async def test_a_statement_reads_only_what_its_keys_lead_to(name: str, user: str, filled: PostgresExecutor) -> None:
    values = values_of(name, user, await places_of(user, filled))
    assert await rows_read(filled, text_of(name, filled), values) <= rows_that(name)


async def test_a_lookup_that_may_read_all_of_a_user_is_noticed(filled: PostgresExecutor) -> None:
    text = text_of("appended", filled)
    assert text.count("OFFSET 0") == 1
    values = values_of("appended", KNOWN, {})
    assert await rows_read(filled, text, values) <= rows_that("appended")
    assert (
        await rows_read(filled, text.replace("m.id = given.value ->> 0", "m.id || '' = given.value ->> 0"), values)
        > PAGE
    )


async def test_a_search_reads_nobody_elses_words(filled: PostgresExecutor) -> None:
    values = values_of("search", KNOWN, {})
    both = {"match": f"'{KNOWN}common' & '{KNOWN}w9'", "sought": '[" common ", " w9 "]'}
    values |= both | {f"{name}_before": value for name, value in both.items()}
    assert await rows_read(filled, text_of("search", filled), values) <= rows_that("search")
    everybodys = text_of("search", filled).replace(
        "w.user_id = :user AND w.lexemes @@", "w.user_id = :user AND NOT w.lexemes @@"
    )
    assert await rows_read(filled, everybodys, values) > USERS * CONVERSATIONS * MESSAGES / 2


class Work(NamedTuple):
    """What it took to run a statement."""

    rows: int
    """Those that its steps handed on, and those that they looked at in vain."""
    blocks: int


def steps_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps_in(part)


# As often as a connection may, then by the plan that is for any values, and by one that is for these.
MODES = (*["auto"] * 10, "force_generic_plan", "force_custom_plan")


async def work_of(connection: Any, query: Query, values: dict[str, Any]) -> list[Work]:
    """What it takes to run a statement on one connection in each of the modes. What it does is undone each time."""
    prepared = await connection.prepare(query.numbered)
    given = ", ".join("NULL" if value is None else quoted(value) for value in query(**values).values)
    text = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {prepared.get_name()} ({given})"
    done = []
    for mode in MODES:
        await connection.execute(f"SAVEPOINT before; SET LOCAL plan_cache_mode = {mode}")
        plan = json.loads(await connection.fetchval(text))[0]["Plan"]
        await connection.execute("ROLLBACK TO before")
        rows = sum(
            (step["Actual Rows"] + sum(step[key] for key in step if key.startswith("Rows Removed")))
            * step["Actual Loops"]
            for step in steps_in(plan)
        )
        done.append(Work(int(rows), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]))
    return done


def quoted(value: str | int) -> str:
    return "'" + str(value).replace("'", "''") + "'"


@pytest.mark.parametrize("user", [KNOWN, NEWCOMER])
@pytest.mark.parametrize(("name", "word"), [*((name, "w9") for name in NAMES), ("search", "common")])
async def test_a_statement_takes_no_more_the_sixth_time_than_the_first(
    name: str, word: str, user: str, filled: PostgresExecutor
) -> None:
    values = values_of(name, user, await places_of(user, filled), word)
    async with filled.connection() as connection:
        await connection._connection.execute(f"BEGIN; SET LOCAL search_path = {filled._schema}")
        first, *others, last = await work_of(connection._connection, filled.statements.queries()[name], values)
        await connection._connection.execute("ROLLBACK")
    # What is undone leaves dead rows behind, over which the last has to step as much as those between.
    assert max(work.rows for work in others) <= 2 * max(first.rows, last.rows) + PAGE
    assert max(work.blocks for work in others) <= 2 * max(first.blocks, last.blocks) + PAGE
