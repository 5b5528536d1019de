"""The owner proof, run: every statement answers a user as if nobody else were there, and leaves everybody else be."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import apsw
import msgspec
import pytest

from owner_proof.breaking import Broken
from owner_proof.guards_of_branches import ON_SQLITE as OF_BRANCHES_ON_SQLITE
from owner_proof.guards_of_branches import SUPERFLUOUS as OF_BRANCHES
from owner_proof.guards_of_threads import ON_SQLITE as OF_THREADS_ON_SQLITE
from owner_proof.guards_of_threads import SUPERFLUOUS as OF_THREADS
from owner_proof.kept import OF_AGENTS
from owner_proof.reading import OF_NO_USER
from owner_proof.walk.blobs import pieces_called
from owner_proof.walk.branches import BRANCHES, BUSHES, COMBS, FORKED_AT, ROOTS
from owner_proof.walk.conversations import (
    IMPORTS,
    MORE,
    OTHERWISE,
    WALK,
    c,
    count_to,
    create,
    create_in_parts,
    delete,
    search_all,
)
from owner_proof.walk.drafts import DRAFTS, DRAFTS_HELD
from owner_proof.walk.erasing import ERASING
from owner_proof.walk.indexing import AGAIN, index_before, leave_behind, leave_unlinked
from owner_proof.walk.recorder import Alike, Ran, Recorder, names_of_pieces, store_of
from owner_proof.walk.steps import after_all, walk
from owner_proof.walk.sweeping import erase, purge, sweep, sweep_late
from owner_proof.walk.whole import DELETED, ERASED, HELD, PURGED, WHOLE_WALK
from threadkeep.conversations.store import Store
from threadkeep.storage.sql.agents import sweep_state
from threadkeep.storage.sql.conversations import users_to_purge
from threadkeep.storage.sql.migrate import migrate
from threadkeep.storage.sql.statements import Statements
from threadkeep.storage.sqlite.dialect import SQLITE, SqliteDialect
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.migrations import MIGRATIONS

pytestmark = pytest.mark.anyio

# JSON is merged by SQLite itself, and so is not read before an edit.
NOT_READ = ("metadata", "metadata_of_message", "head", "note_before")
QUERIES = {name: query for name, query in SQLITE.queries().items() if name not in NOT_READ}
USER = "ada"
# All hold the ids that the user will use: in another place, with the same content, deleted, and on the way out. Two
# have nearly the same name; they come before and after the user in every index. Of most, the version before has indexed
# something.
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
    # Their counter stands where the user's does at an append, and in the end at an edit that gives the same title.
    "eve": [*OTHERWISE[:-1], index_before(), leave_unlinked],
    # Their counters stand where the user's does when old conversations are deleted, and when one is forked.
    "ida": [create(1, 1), count_to(12, 1)],
    "ivy": [create(1, 1), count_to(FORKED_AT, 1)],
}
# Who has pieces of the names that the user will give, too: only the statements keep them apart, and no chance.
NAMESAKE = "ADA"
TABLES = ("owners", "conversations", "messages", "forks", "cuts", "drafts", "draft_parts", "word_lists")
# With the same letters before the words of all, only the statement itself keeps them apart.
SAME_MARK = "samemark"
MARKS = [None, SAME_MARK]
# What a row of the index is called, and whose it is.
KEYS = """
SELECT m.n, m.user_id, m.id FROM messages AS m
UNION ALL
SELECT -c.n, c.user_id, c.id FROM conversations AS c
"""
INDEXES = ("search_index_2", "words")
# What an index holds of each of its rows, and the rows whose words it has counted.
INDEXED = """
SELECT i.doc AS n, group_concat(i.term || ' ' || i.offset ORDER BY i.offset) AS terms
FROM temp.{index}_instances AS i
GROUP BY i.doc
"""
COUNTED = "SELECT d.id AS n, hex(d.sz) AS counted FROM {index}_docsize AS d"
ROWS = {
    **{table: f"SELECT t.* FROM {table} AS t" for table in TABLES},
    **{table: text.format(schema="") for table, text in OF_AGENTS.items()},
    **{f"what {index} holds": INDEXED.format(index=index) for index in INDEXES},
    **{f"what {index} counts": COUNTED.format(index=index) for index in INDEXES},
}


Kept = dict[str, list[dict[str, Any]]]


class Alone(NamedTuple):
    """A walk: what came of it, what each statement was given and answered, and what is kept."""

    answers: list[Any]
    ran: list[Ran]
    kept: Kept


def rows(executor: SqliteExecutor, *, of_user: bool) -> Kept:
    """Every row of the user, or of everybody else; not by its place in the database, `n`."""
    database = executor._connection
    for index in INDEXES:
        database.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{index}_instances USING fts5vocab(main, {index}, instance)"
        )
    names = {row["n"]: (row["user_id"], row["id"]) for row in database.execute(KEYS)}
    found: Kept = {}
    for what, text in ROWS.items():
        found[what] = []
        for row in database.execute(text):
            place = row.pop("n", None)
            if "id" not in row and place is not None:
                # What is listed bears its user too; what is in the index beside any row is nobody's.
                row["of"], row["id"] = names.get(place, (None, None))
                row.setdefault("user_id", row["of"])
            if (row["user_id"] == USER) == of_user:
                found[what].append(row)
        found[what].sort(key=repr)
    return found


def counted_wrong(executor: SqliteExecutor) -> list[int]:
    """By how many rows each index counts more than it has; that is the first number of its first record."""
    wrong = []
    for index in INDEXES:
        (record,) = executor._connection.execute(f"SELECT block FROM {index}_data WHERE id = 1")
        (rows,) = executor._connection.execute(f"SELECT count(*) AS answer FROM {index}_docsize")
        count = 0
        for byte in record["block"]:
            count = count << 7 | byte & 127
            if byte < 128:
                break
        wrong.append(count - rows["answer"])
    return wrong


@contextmanager
def opened(mark: str | None) -> Iterator[SqliteExecutor]:
    """An empty database whose words are sought as they are marked."""
    with closing(SqliteExecutor(":memory:")) as executor:
        executor.statements = new_statements(mark)
        yield executor


def new_statements(mark: str | None) -> Statements:
    return Statements(SqliteDialect() if mark is None else Alike())


@pytest.fixture(scope="module")
async def neighbourhoods(walks_alone: dict[str | None, Alone]) -> AsyncIterator[dict[str | None, SqliteExecutor]]:
    """Databases that hold everybody but the user, by how words are marked."""
    with opened(None) as own, opened(SAME_MARK) as same:
        executors = dict(zip(MARKS, (own, same), strict=True))
        for mark, executor in executors.items():
            await migrate(executor, MIGRATIONS)
            for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2020):
                await walk(store_of(user_id, executor, year, mark), steps)
            names = names_of_pieces(walks_alone[mark].ran)
            await walk(store_of(NAMESAKE, executor, 2019, mark), pieces_called(names))
        yield executors


@pytest.fixture(scope="module")
def others(neighbourhoods: dict[str | None, SqliteExecutor]) -> dict[str | None, Kept]:
    """What everybody but the user has, by how words are marked."""
    return {mark: rows(executor, of_user=False) for mark, executor in neighbourhoods.items()}


@pytest.fixture(scope="module")
async def walks_alone() -> dict[str | None, Alone]:
    """The walk of a user who is alone, by how words are marked."""
    walks = {}
    for mark in MARKS:
        with opened(mark) as executor:
            await migrate(executor, MIGRATIONS)
            recorder = Recorder(executor)
            answers = await walk(store_of(USER, recorder, mark=mark), WHOLE_WALK)
            walks[mark] = Alone(answers, recorder.ran, rows(executor, of_user=True))
    return walks


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str | None:
    """How words are marked."""
    mark: str | None = request.param
    return mark


@pytest.fixture
def beside(mark: str | None, neighbourhoods: dict[str | None, SqliteExecutor]) -> Iterator[SqliteExecutor]:
    """A database that holds everybody but the user, for one test."""
    with opened(mark) as executor:
        with executor._connection.backup("main", neighbourhoods[mark]._connection, "main") as backup:
            backup.step()
        yield executor


@pytest.fixture
def alone(mark: str | None, walks_alone: dict[str | None, Alone]) -> Alone:
    """The walk of a user who is alone."""
    return walks_alone[mark]


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_the_walk_runs_every_statement_for_its_user_and_sees_what_it_keeps(alone: Alone) -> None:
    assert {name for name, *_ in alone.ran} == set(QUERIES) - set(OF_NO_USER)
    assert {values["user"] for _, values, *_ in alone.ran} == {USER}
    changing = {name for name, query in QUERIES.items() if query.writes and name not in OF_NO_USER}
    assert {name for name, _, _, changed in alone.ran if changed} == changing
    codes = {answer[0] for answer in alone.answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large", "cursor_expired"}
    # What an index holds, it counts; and at last all stands in the index of this version.
    assert [len(kept) for kept in alone.kept.values()] == [
        *(1, 4, 8, 1, 0, 0, 0, 0, 1, 2, 7, 1, 2, 1, 1, 1, 2, 2),
        *(12, 0, 12, 0),
    ]


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_a_user_is_answered_as_if_alone(alone: Alone, beside: SqliteExecutor, mark: str | None) -> None:
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder, mark=mark), WHOLE_WALK) == alone.answers
    for ran, ran_alone in zip(recorder.ran, alone.ran, strict=True):
        assert ran == ran_alone
    assert rows(beside, of_user=True) == alone.kept


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_everybody_else_keeps_what_they_had(beside: SqliteExecutor, mark: str | None) -> None:
    before = rows(beside, of_user=False)
    assert {row["user_id"] for kept in before.values() for row in kept} == set(NEIGHBOURS)
    assert {row["user_id"] for row in before["messages"]} == set(NEIGHBOURS)
    assert {row["deleted_at"] <= 0 for row in before["conversations"] if row["deleted_at"] is not None} == {True, False}
    assert len(before["messages"]) > 9 * len(NEIGHBOURS)
    await walk(store_of(USER, beside, mark=mark), WHOLE_WALK)
    assert rows(beside, of_user=False) == before


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_the_index_counts_what_it_holds_or_it_would_be_broken_for_everybody(
    beside: SqliteExecutor, mark: str | None
) -> None:
    assert counted_wrong(beside) == [0, 0]
    store = store_of(USER, beside, mark=mark)
    for step in [*WALK, *AGAIN, *IMPORTS, *ERASING]:
        await walk(store, [step])
        assert counted_wrong(beside) == [0, 0]


@pytest.mark.parametrize("mark", [SAME_MARK], indirect=True)
async def test_after_all_is_swept_nothing_is_left(beside: SqliteExecutor) -> None:
    await walk(store_of(USER, beside), WHOLE_WALK)
    for user_id in (USER, *NEIGHBOURS):
        await walk(store_of(user_id, beside), [erase(), sweep()])
    for of_user in (True, False):
        assert not any(rows(beside, of_user=of_user).values())
    assert counted_wrong(beside) == [0, 0]
    for index in INDEXES:
        beside._connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize("is_swept_in_part", [False, True])
@pytest.mark.parametrize("whose", [USER, "bob"])
async def test_a_sweep_that_another_has_overtaken_spares_what_took_the_place_of_what_it_chose(
    whose: str, is_swept_in_part: bool
) -> None:
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        store, other = store_of(USER, executor), store_of(whose, executor, 2027)
        places = "SELECT m.n FROM messages AS m UNION ALL SELECT -c.n FROM conversations AS c"
        first = [create(1, 1, 2, 3, words="first", title="First"), delete(1), purge()]
        await walk(store, [*first, sweep(1, messages=1)] if is_swept_in_part else first)
        chosen = {row["n"] for row in executor._connection.execute(places)}
        kept: list[Any] = []

        async def overtake(_: Store) -> Any:
            await walk(store, [sweep()])
            assert not list(executor._connection.execute(places))
            await walk(other, [create(2, 4, 5, 6, words="second", title="Second")])
            assert {row["n"] for row in executor._connection.execute(places)} >= chosen
            # A conversation of the same name is marked.
            third = store if whose != USER else store_of("bob", executor, 2028)
            await walk(third, [create(2, 7, words="third", title="Third"), delete(2), purge()])
            kept.extend(rows(executor, of_user=of_user) for of_user in (True, False))

        await walk(store, [sweep_late(overtake)])
        assert [rows(executor, of_user=of_user) for of_user in (True, False)] == kept
        assert counted_wrong(executor) == [0, 0]
        (page,) = await walk(other, [search_all("second")])
        assert len(page[0]["hits"]) == 4


@pytest.mark.parametrize("is_swept_in_part", [False, True])
@pytest.mark.parametrize("is_shifted", [False, True])
async def test_no_word_of_what_took_a_place_that_another_sweep_chose_stays_in_the_index(
    is_swept_in_part: bool, is_shifted: bool
) -> None:
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        store = store_of(USER, executor)
        await walk(store, [create(1, 1), create(2, 2, 3, 4), delete(2), purge()])
        overtake = after_all(
            sweep(),
            # The place of its first message was not chosen, or it was.
            *([delete(1), purge(), sweep(), create(4)] if is_shifted else []),
            create(3, 5, 6, 7, 8, words="secret"),
            delete(3),
            purge(),
        )
        await walk(
            store, [*([sweep(1, messages=1)] if is_swept_in_part else []), sweep_late(overtake), sweep(), sweep()]
        )
        assert not any(rows(executor, of_user=False).values())
        assert counted_wrong(executor) == [0, 0]
        assert [row["id"] for row in rows(executor, of_user=True)["conversations"]] == [c(4 if is_shifted else 1)]


def before_all() -> int:
    """A clock by which nothing has expired."""
    return 0


@pytest.mark.parametrize("mark", [None], indirect=True)
async def test_the_users_to_purge_are_those_who_deleted_or_erased_something_and_it_is_still_there(
    beside: SqliteExecutor,
) -> None:
    # What most have only has to be swept, blobs or more; the words of three stand first in the index of the version
    # before; and one is behind.
    everybody = {"ADA", "Ada", "abe", "ad", "ada ", "ann", "bob", "eve"}
    assert set(await users_to_purge(beside, 0, 9, before_all)) == everybody
    for user_id in NEIGHBOURS:
        while await sweep_state(beside, user_id):
            pass
    before = rows(beside, of_user=False)
    assert await users_to_purge(beside, 0, 9, before_all) == ["abe", "ann", "eve", "bob", "ada ", "Ada"]
    all_of_them = ["abe", "ad", "ann", "bob", "eve", "ada ", "ADA", "Ada"]
    assert await users_to_purge(beside, 2**52, 9, before_all) == all_of_them
    assert len(await users_to_purge(beside, 2**52, 3, before_all)) == 3
    assert rows(beside, of_user=False) == before
    while users := await users_to_purge(beside, 2**52, 9, before_all):
        for user_id in users:
            await walk(store_of(user_id, beside), [lambda store: store.purge(2**52), sweep()])
    after = rows(beside, of_user=False)
    assert after["word_lists"] == after["what words holds"] == []
    assert all(row["deleted_at"] is None for row in after["conversations"])


_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_OF_A_JOURNAL = "Entries are found by the `n` of a journal, or a place of theirs, and either is tied to the user."
_OF_A_BLOB = "It goes by a place, or by a key and what this batch has called the pieces, and either is the user's."
_OF_TASKS = "Tasks are taken by `n` from a list that is guarded, or are guarded as well."
_STAMPED = "It goes by the stamp of this batch, which no other one has."
_BY_LIST = "What is listed is joined with what it is of by `n`, which names one, and either is tied to the user."
SUPERFLUOUS = {
    **dict.fromkeys(
        (
            *("list_messages_before-m-13", "list_messages_after-m-12"),
            *("list_large_messages_before-m-12", "list_large_messages_after-m-11"),
            *("search-m-17", "changes-c-12", "changes-m-13", "changes-d-15"),
            *("index_1-l-5", "to_index_again-m-1", "to_index_again-m-3", "to_index_again-c-4"),
            *("unindex_title_2-l-1", "unindex_title_3-word_lists-1"),
            *("to_catch_up-m-2", "index_messages_2-l-1", "index_messages_3-word_lists-1"),
            *("unindex_swept_2-l-1", "unindex_swept_3-word_lists-1"),
            *("overwrite_1-m-1", "overwrite_2-c-1", "remove_messages-m-1", "remove_conversations-c-1"),
            *("list_filtered-c-5", "delete_older-c-2"),
        ),
        _BY_PLACE,
    ),
    **dict.fromkeys(
        (
            *("unindex_title_2-c-2", "unindex_title_3-c-2", "index_messages_2-m-2", "index_messages_3-m-2"),
            *("unindex_swept_2-m-2", "unindex_swept_2-c-5"),
            *("unindex_swept_3-m-2", "unindex_swept_3-c-5"),
            *("overwrite_1-m-2", "overwrite_2-c-2", "remove_messages-m-2", "remove_conversations-c-2"),
            *("delete_older-c-3", "delete_older-c-4"),
        ),
        _IN_LIST,
    ),
    **dict.fromkeys(("index_again_1-m-1", "index_again_1-l-2", "index_again_1-c-3", "index_again_1-l-4"), _BY_LIST),
    **dict.fromkeys(
        ("insert_journal-o-1", "insert_blob-o-1", "insert_task-o-2", "close_lane-o-1"),
        "It would insert the same row for each owner, of which the first is kept.",
    ),
    **dict.fromkeys(
        (
            *("insert_piece_of_blob-b-1", "sweep_blobs_2-r-1"),
            "sweep_blobs_4-r-1",
        ),
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
            *("remove_entries_3-e-2", "remove_entries_3-l-4", "remove_entries_3-e-6"),
            *("remove_entries_4-r-1", "remove_entries_4-e-2", "remove_entries_4-l-4", "remove_entries_4-e-6"),
            *("first_entries-e-1", "first_entries-b-3", "first_entries-b-5", "first_entries-e-7"),
            *("newest_entries-e-1", "newest_entries-b-3", "newest_entries-b-5", "newest_entries-e-7"),
            *("pieces_of_first-e-2", "pieces_of_first-b-4", "pieces_of_first-b-6"),
            *("pieces_of_newest-e-2", "pieces_of_newest-b-4", "pieces_of_newest-b-6"),
            *("sweepable_entries-e-1", "sweepable_entries-j-2", "sweep_entries_1-e-2"),
            *("sweep_entries_1-j-3", "sweep_entries_2-r-1", "sweep_entries_2-e-2", "sweep_entries_2-j-3"),
            *("sweep_entries_3-e-2", "sweep_entries_3-j-3", "sweep_entries_4-r-1"),
            *("sweep_entries_4-e-2", "sweep_entries_4-j-3", "sweep_journals_1-j-1", "sweep_journals_1-k-2"),
            *("sweep_journals_1-e-3", "sweep_journals_2-j-1", "sweep_journals_2-k-2", "sweep_journals_2-e-3"),
        ),
        _OF_A_JOURNAL,
    ),
    **dict.fromkeys(
        (
            *("remove_entries_1-j-3", "remove_entries_1-j-5", "remove_entries_1-j-7", "remove_entries_2-j-3"),
            *("remove_entries_2-j-5", "remove_entries_2-j-7", "remove_entries_3-j-3", "remove_entries_3-j-5"),
            *("remove_entries_3-j-7", "remove_entries_4-j-3", "remove_entries_4-j-5", "remove_entries_4-j-7"),
            *("insert_piece-j-1", "insert_entries-j-1", "insert_piece_of_task-t-1"),
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
            "sweep_tasks_3-k-2",
            "sweep_tasks_3-k-3",
            "sweep_tasks_4-t-1",
            "sweep_tasks_4-k-2",
            "sweep_lanes_1-l-1",
            "sweep_lanes_1-k-2",
            "sweep_lanes_2-l-1",
            "sweep_lanes_2-k-2",
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
        ),
        _STAMPED,
    ),
    **OF_BRANCHES,
    **OF_BRANCHES_ON_SQLITE,
    **OF_THREADS,
    **OF_THREADS_ON_SQLITE,
}
"""The guards that are missed by nobody, each with its reason. They stay: what the reason rests on may change."""
BROKEN = Broken(QUERIES, ":user = :user")
TOGETHER = BROKEN.together(SUPERFLUOUS)


def marked(*broken: str) -> str | None:
    """How words are marked: where they are searched, all alike, or no guard would be missed.

    Elsewhere each is marked as it is, which tells those of the user from those of somebody else.
    """
    return SAME_MARK if any(each.startswith(("search-", "search_active-")) for each in broken) else None


async def is_missed(broken: Iterable[str], alone: Alone, beside: SqliteExecutor, others: Kept) -> bool:
    """Whether anything is not as it should be when the user goes the walk without these guards."""
    BROKEN.put_into(beside.statements, broken)
    recorder = Recorder(beside, alone.ran)
    try:
        answers = await walk(store_of(USER, recorder, mark=marked(*broken)), WHOLE_WALK)
    except (LookupError, RuntimeError, apsw.Error, msgspec.MsgspecError):
        return True
    return (answers, recorder.ran, rows(beside, of_user=True), rows(beside, of_user=False)) != (*alone, others)


@pytest.mark.parametrize(
    ("broken", "mark"), [(each, marked(each)) for each in BROKEN if each not in SUPERFLUOUS], indirect=["mark"]
)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, mark: str | None, alone: Alone, beside: SqliteExecutor, others: dict[str | None, Kept]
) -> None:
    assert await is_missed([broken], alone, beside, others[mark])


@pytest.mark.parametrize(
    ("together", "mark"), [(together, marked(*together)) for together in TOGETHER], indirect=["mark"]
)
async def test_a_guard_that_is_superfluous_is_missed_by_nobody(
    together: list[str], mark: str | None, alone: Alone, beside: SqliteExecutor, others: dict[str | None, Kept]
) -> None:
    assert not await is_missed(together, alone, beside, others[mark])


def test_a_guard_that_is_superfluous_is_there() -> None:
    assert set(BROKEN) >= set(SUPERFLUOUS)
