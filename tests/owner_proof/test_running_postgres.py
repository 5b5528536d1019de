"""The owner proof, run on Postgres: a user is answered as if nobody else were there, and everybody else is left be."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import msgspec
import pytest

from owner_proof.breaking import Broken
from owner_proof.guards_of_branches import ON_POSTGRES as OF_BRANCHES_ON_POSTGRES
from owner_proof.guards_of_branches import SUPERFLUOUS as OF_BRANCHES
from owner_proof.guards_of_threads import SUPERFLUOUS as OF_THREADS
from owner_proof.kept import OF_AGENTS
from owner_proof.reading import OF_NO_USER
from owner_proof.walk.blobs import pieces_called
from owner_proof.walk.branches import BRANCHES, BUSHES, COMBS, FORKED_AT, ROOTS
from owner_proof.walk.conversations import IMPORTS, MORE, OTHERWISE, WALK, count_to, create, create_in_parts
from owner_proof.walk.drafts import DRAFTS, DRAFTS_HELD
from owner_proof.walk.indexing import AGAIN, index_before, leave_behind, leave_unlinked
from owner_proof.walk.recorder import Ran, Recorder, names_of_pieces, store_of
from owner_proof.walk.steps import walk
from owner_proof.walk.sweeping import erase, sweep
from owner_proof.walk.whole import DELETED, ERASED, HELD, PURGED, WHOLE_WALK
from support import stores
from support.examples import is_night
from support.postgres import new_schema, server
from threadkeep.errors import Unavailable
from threadkeep.storage.postgres.connection import PostgresFailed, Prepared
from threadkeep.storage.postgres.dialect import PostgresDialect, lock_owner_of, statements_of
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.postgres.pool import translated
from threadkeep.storage.sql.agents import sweep_state
from threadkeep.storage.sql.conversations import users_to_purge
from threadkeep.storage.sql.executor import Row
from threadkeep.storage.sql.statements import Statements

pytestmark = pytest.mark.anyio

BESIDE, ALONE = new_schema(), new_schema()
LOCK_OWNER = "lock_owner"
QUERIES = {**statements_of(f'"{BESIDE}"').queries(), LOCK_OWNER: lock_owner_of(f'"{BESIDE}"')}
USER = "ada"
NEIGHBOURS = {
    "ADA": [*OTHERWISE, *HELD, *ROOTS, index_before()],
    "abe": [*PURGED, index_before(1, 2, 3, 5)],
    "ad": DELETED,
    "ada ": [*WALK, *BRANCHES, *DRAFTS, *AGAIN, *IMPORTS, *MORE, *HELD, index_before(1, 2, 5, 6, 40)],
    "Ada": [
        *(*OTHERWISE, *MORE, *HELD),
        create_in_parts(60, 260, 261, 262, words="parted"),
        *(*COMBS, *DRAFTS_HELD),
        leave_behind,
    ],
    "ann": [*ERASED, *BUSHES],
    "bob": [*DELETED, index_before(1)],
    "eve": [*OTHERWISE[:-1], index_before(), leave_unlinked],
    # Their counters stand where the user's does when old conversations are deleted, and when one is forked.
    "ida": [create(1, 1), count_to(12, 1)],
    "ivy": [create(1, 1), count_to(FORKED_AT, 1)],
}
# Who has pieces of the names that the user will give, too: only the statements keep them apart, and no chance.
NAMESAKE = "ADA"
# With the same letters before the words of all, only the statement itself keeps them apart.
SAME_MARK = "samemark"
# Whatever bears a user, and of words whose they are; not by their place in the database, `n`.
_WORDS = """
    SELECT l.user_id, l.text, CAST(l.lexemes AS text), m.user_id AS m_of, m.id, c.user_id AS c_of, c.id AS c_id
    FROM {schema}.{table} AS l
    LEFT JOIN {schema}.messages AS m ON m.n = l.n
    LEFT JOIN {schema}.conversations AS c ON c.n = -l.n"""
_ROWS = "SELECT t.* FROM {schema}.{table} AS t"
ROWS = {
    **dict.fromkeys(("owners", "conversations", "messages", "forks", "cuts", "drafts", "draft_parts"), _ROWS),
    "words": _WORDS,
    "search_index_2": _WORDS,
    **{table: text.format(schema="{schema}.") for table, text in OF_AGENTS.items()},
}
_PLACES = """
    SELECT setval(pg_get_serial_sequence('{schema}.{table}', 'n'), max(t.n)) AS place FROM {schema}.{table} AS t"""

Kept = dict[str, list[dict[str, Any]]]


class Alone(NamedTuple):
    """A walk: what came of it, what each statement was given and answered, and what is kept."""

    answers: list[Any]
    ran: list[Ran]
    kept: Kept


class _Undone:
    """One connection, for all; what it has committed is undone, since it is all in one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["_Undone"]:
        try:
            yield self
        except asyncpg.PostgresError as error:
            raise translated(error) from error

    async def run(
        self, statements: Sequence[Prepared], *, begin: Sequence[str] = (), commits: bool = False
    ) -> list[list[Row]]:
        return [[dict(row) for row in await self._connection.fetch(text, *values)] for text, values in statements]

    def terminate(self) -> None:
        """Nobody asks it for anything any more."""

    async def close(self) -> None:
        """It is closed by who opened it."""


async def opened(schema: str) -> PostgresExecutor:
    executor = await stores.open_postgres(server().url(schema=schema))
    assert isinstance(executor, PostgresExecutor)
    return executor


async def rows(executor: PostgresExecutor, *, of_user: bool) -> Kept:
    """Every row of the user, or of everybody else."""
    found = {}
    async with executor.connection() as connection:
        for table, text in ROWS.items():
            (all_of_it,) = await connection.run([(text.format(table=table, schema=executor._schema), ())])
            kept = [row for row in all_of_it if (row["user_id"] == USER) == of_user]
            found[table] = sorted(({name: row[name] for name in row if name != "n"} for row in kept), key=repr)
    return found


@pytest.fixture(scope="module")
async def others(alone: Alone) -> Kept:
    """What everybody but the user has, in the schema that is for them."""
    executor = await opened(BESIDE)
    for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2020):
        await walk(store_of(user_id, executor, year, SAME_MARK), steps)
    await walk(store_of(NAMESAKE, executor, 2019, SAME_MARK), pieces_called(names_of_pieces(alone.ran)))
    kept = await rows(executor, of_user=False)
    await executor.close()
    return kept


@pytest.fixture(scope="module")
async def alone() -> Alone:
    """The walk of a user who is alone."""
    executor = await opened(ALONE)
    recorder = Recorder(executor)
    answers = await walk(store_of(USER, recorder, mark=SAME_MARK), WHOLE_WALK)
    kept = await rows(executor, of_user=True)
    await executor.close()
    return Alone(answers, recorder.ran, kept)


@pytest.fixture(scope="module")
async def connection(others: Kept) -> AsyncIterator[Any]:
    """A connection to everybody but the user."""
    # A walk runs each statement many times, and it is only planned once.
    settings = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    connection = await asyncpg.connect(server().url(), statement_cache_size=1000, server_settings=settings)
    yield connection
    await connection.close()


@pytest.fixture
async def beside(connection: Any) -> AsyncIterator[PostgresExecutor]:
    """Everybody but the user, for one test; then all is as it was."""
    transaction = connection.transaction()
    await transaction.start()
    executor = PostgresExecutor(_Undone(connection), BESIDE)
    executor.statements = Statements(PostgresDialect(executor._schema))
    # No transaction undoes that a place was given.
    for table in ("conversations", "messages", *OF_AGENTS.keys() - {"pieces"}):
        await connection.fetch(_PLACES.format(schema=executor._schema, table=table))
    yield executor
    await transaction.rollback()


async def test_the_walk_runs_every_statement_for_its_user(alone: Alone) -> None:
    assert {name for name, *_ in alone.ran} == set(QUERIES) - set(OF_NO_USER) - {LOCK_OWNER}
    assert {values["user"] for _, values, *_ in alone.ran} == {USER}
    codes = {answer[0] for answer in alone.answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large", "cursor_expired"}
    assert [len(kept) for kept in alone.kept.values()] == [
        *(1, 4, 8, 1, 0, 0, 0, 0, 12),
        *(1, 2, 7, 1, 2, 1, 1, 1, 2, 2),
    ]


async def test_a_user_is_answered_as_if_alone_and_everybody_else_keeps_what_they_had(
    alone: Alone, beside: PostgresExecutor, others: Kept
) -> None:
    assert {row["user_id"] for row in others["messages"]} == set(NEIGHBOURS)
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder, mark=SAME_MARK), WHOLE_WALK) == alone.answers
    for ran, ran_alone in zip(recorder.ran, alone.ran, strict=True):
        assert ran == ran_alone
    assert await rows(beside, of_user=True) == alone.kept
    assert await rows(beside, of_user=False) == others


async def test_after_all_is_swept_nothing_is_left(beside: PostgresExecutor) -> None:
    for user_id in (USER, *NEIGHBOURS):
        await walk(store_of(user_id, beside), [erase(), sweep()])
    for of_user in (True, False):
        assert not any((await rows(beside, of_user=of_user)).values())


def before_all() -> int:
    """A clock by which nothing has expired."""
    return 0


async def test_the_users_to_purge_are_those_who_deleted_or_erased_something_and_it_is_still_there(
    beside: PostgresExecutor,
) -> None:
    # What most have only has to be swept, blobs or more; and the words of three stand first in the index of the
    # version before; and one is behind.
    everybody = {"ADA", "Ada", "abe", "ad", "ada ", "ann", "bob", "eve"}
    assert set(await users_to_purge(beside, 0, 9, before_all)) == everybody
    for user_id in NEIGHBOURS:
        while await sweep_state(beside, user_id):
            pass
    assert sorted(await users_to_purge(beside, 0, 9, before_all)) == ["Ada", "abe", "ada ", "ann", "bob", "eve"]
    all_of_them = ["ADA", "Ada", "abe", "ad", "ada ", "ann", "bob", "eve"]
    assert sorted(await users_to_purge(beside, 2**52, 9, before_all)) == all_of_them
    assert len(await users_to_purge(beside, 2**52, 3, before_all)) == 3
    while users := await users_to_purge(beside, 2**52, 9, before_all):
        for user_id in users:
            await walk(store_of(user_id, beside), [lambda store: store.purge(2**52), sweep()])
    after = await rows(beside, of_user=False)
    assert after["words"] == []
    assert all(row["deleted_at"] is None for row in after["conversations"])


_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_OF_A_JOURNAL = "Entries are found by the `n` of a journal, or a place of theirs, and either is tied to the user."
_OF_A_BLOB = "It goes by a place, or by a key and what this batch has called the pieces, and either is the user's."
_OF_TASKS = "Tasks are taken by `n` from a list that is guarded, or are guarded as well."
_STAMPED = "It goes by the stamp of this batch, which no other one has."
_EITHER = "What is listed is joined with what it is of by `n`, which names one, and either is tied to the user."
SUPERFLUOUS = {
    **OF_BRANCHES,
    **OF_BRANCHES_ON_POSTGRES,
    **OF_THREADS,
    "lock_owner-o-1": "It would have everybody wait for everybody, and changes nothing.",
    **dict.fromkeys(
        (
            *("list_messages_before-m-13", "list_messages_after-m-12"),
            *("list_large_messages_before-m-12", "list_large_messages_after-m-11"),
            *("search-m-19", "changes-c-12", "changes-m-13", "changes-d-15"),
            *("index_1-i-5", "index_1-l-6", "to_index_again-m-1", "to_index_again-m-3", "to_index_again-c-4"),
            *("index_again_1-i-3", "index_again_1-i-6"),
            *("to_catch_up-m-2", "index_messages_1-l-1", "index_messages_2-l-1"),
            *("unindex_title_1-l-1", "unindex_title_2-l-1", "unindex_swept_1-l-1", "unindex_swept_2-l-1"),
            *("remove_messages-m-1", "remove_conversations-c-1"),
            *("list_filtered-c-5", "delete_older-c-2"),
        ),
        _BY_PLACE,
    ),
    **dict.fromkeys(
        (
            *("unindex_title_1-c-2", "unindex_title_2-c-2", "index_messages_1-m-2", "index_messages_2-m-2"),
            *("unindex_swept_1-m-2", "unindex_swept_1-c-5", "unindex_swept_2-m-2", "unindex_swept_2-c-5"),
            *("remove_messages-m-2", "remove_conversations-c-2"),
            *("delete_older-c-3", "delete_older-c-4"),
        ),
        _IN_LIST,
    ),
    **dict.fromkeys(
        (
            *("search-w-1", "search-w-2", "search-m-3", "search-c-6"),
            *("index_again_1-m-1", "index_again_1-l-2", "index_again_1-c-4", "index_again_1-l-5"),
        ),
        _EITHER,
    ),
    **dict.fromkeys(
        ("insert_journal-o-1", "insert_blob-o-1", "insert_task-o-2", "close_lane-o-1"),
        "It would insert the same row for each owner, of which the first is kept.",
    ),
    **dict.fromkeys(
        (*("insert_piece_of_blob-b-1", "sweep_blobs_2-r-1"),),
        _OF_A_BLOB,
    ),
    **dict.fromkeys(
        (
            *("list_journals-j-2", "list_journals_of_status-j-2", "append_verdict-e-1", "append_verdict-e-2"),
            "list_journals_by_update-j-2",
            *("append_verdict-e-3", "append_verdict-e-4", "append_verdict-e-5", "append_verdict-e-6"),
            *("append_verdict-e-9", "append_verdict-e-10", "append_verdict-e-11", "append_verdict-e-12"),
            *("append-e-2", "append-e-3", "append-e-4", "append-e-5", "append-e-6", "append-e-7", "append-e-10"),
            *("remove_entries_1-e-2", "remove_entries_1-l-4", "remove_entries_1-e-6"),
            *("remove_entries_2-r-1", "remove_entries_2-e-2", "remove_entries_2-l-4", "remove_entries_2-e-6"),
            *("first_entries-e-1", "first_entries-b-3", "first_entries-b-5", "first_entries-e-7"),
            *("newest_entries-e-1", "newest_entries-b-3", "newest_entries-b-5", "newest_entries-e-7"),
            *("pieces_of_first-e-2", "pieces_of_first-b-4", "pieces_of_first-b-6"),
            *("pieces_of_newest-e-2", "pieces_of_newest-b-4", "pieces_of_newest-b-6"),
            *("sweepable_entries-e-1", "sweepable_entries-j-2", "sweep_entries_1-e-2"),
            *("sweep_entries_1-j-3", "sweep_entries_2-r-1", "sweep_entries_2-e-2", "sweep_entries_2-j-3"),
            *("sweep_journals_1-j-1", "sweep_journals_1-k-2", "sweep_journals_1-e-3"),
        ),
        _OF_A_JOURNAL,
    ),
    **dict.fromkeys(
        (
            *("remove_entries_1-j-3", "remove_entries_1-j-5", "remove_entries_1-j-7", "remove_entries_2-j-3"),
            *("remove_entries_2-j-5", "remove_entries_2-j-7", "insert_piece-j-1", "insert_entries-j-1"),
        ),
        _STAMPED,
    ),
    **dict.fromkeys(
        (
            "task_1-t-2",
            "unready_tasks_1-t-2",
            "tasks_of_state_1-t-2",
            "expired_tasks_1-t-2",
            "joined_tasks_1-t-2",
            "tasks_of_lane_1-t-2",
            "tasks_of_queue_1-t-2",
            "runnable_tasks_1-t-3",
            "open_tasks_1-t-6",
            "absorbed_tasks_1-t-3",
            "absorb_tasks-t-1",
            "runnable_tasks_2-t-1",
            "absorbed_tasks_2-t-1",
            "renew_leases-t-1",
            "renew_leases-r-2",
            "sweep_tasks_1-k-2",
            "sweep_tasks_1-k-3",
            "sweep_tasks_2-t-1",
            "sweep_tasks_2-k-2",
            "sweep_lanes_1-l-1",
            "sweep_lanes_1-k-2",
        ),
        _OF_TASKS,
    ),
    **dict.fromkeys(
        (
            "settle_joined-h-1",
            "settle_joined-h-3",
            "requeue_joining-h-2",
            "absorb_tasks-h-3",
            "absorb_tasks-h-5",
            "insert_receipts-r-1",
            "insert_piece_of_task-t-1",
        ),
        _STAMPED,
    ),
}
"""The guards that are missed by nobody, each with its reason. They stay: what the reason rests on may change."""
# As one that is always true: Postgres must be able to tell what the parameter is.
_LOCK = f"{LOCK_OWNER}-o-1"
BROKEN = Broken(QUERIES, "CAST(:user AS text) = :user")
TOGETHER = BROKEN.together(SUPERFLUOUS)


async def is_missed(broken: Iterable[str], alone: Alone, beside: PostgresExecutor, others: Kept) -> bool:
    """Whether anything is not as it should be when the user goes the walk without these guards."""
    BROKEN.put_into(beside.statements, [each for each in broken if each != _LOCK])
    if _LOCK in broken:
        beside._lock_owner = BROKEN.query(_LOCK)
    recorder = Recorder(beside, alone.ran)
    try:
        answers = await walk(store_of(USER, recorder, mark=SAME_MARK), WHOLE_WALK)
    except (LookupError, Unavailable, PostgresFailed, msgspec.MsgspecError) as error:
        if isinstance(error, PostgresFailed) and (error.sqlstate or "").startswith("42"):
            raise  # it could not even be run
        return True
    kept = [await rows(beside, of_user=of_user) for of_user in (True, False)]
    return [answers, recorder.ran, *kept] != [*alone, others]


# A statement stands once, so a guard that is missing is found out on SQLite, too. What Postgres has of its own is tried
# on a push as well: its index, and what is looked up in a LATERAL.
OF_ITS_OWN = (
    "index",
    "unindex",
    "search",
    "to_index_again",
    "insert_messages",
    "appended",
    "changes",
    "import_messages",
)


@pytest.mark.parametrize(
    "broken",
    [each for each in BROKEN if each not in SUPERFLUOUS and (is_night() or each.startswith(OF_ITS_OWN))],
)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, alone: Alone, beside: PostgresExecutor, others: Kept
) -> None:
    assert await is_missed([broken], alone, beside, others)


@pytest.mark.parametrize("together", TOGETHER)
async def test_a_guard_that_is_superfluous_is_missed_by_nobody(
    together: list[str], alone: Alone, beside: PostgresExecutor, others: Kept
) -> None:
    assert not await is_missed(together, alone, beside, others)


def test_a_guard_that_is_superfluous_is_there() -> None:
    assert set(BROKEN) >= set(SUPERFLUOUS)
