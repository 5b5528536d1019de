"""The owner proof, run: every statement answers a user as if nobody else were there, and leaves everybody else be."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import apsw
import msgspec
import pytest

from owner_proof.reading import OF_NO_USER
from owner_proof.walk import (
    DELETED,
    ERASED,
    ERASING,
    HELD,
    IMPORTS,
    MORE,
    OTHERWISE,
    PURGED,
    WALK,
    Ran,
    Recorder,
    after_all,
    c,
    create,
    delete,
    erase,
    purge,
    search_all,
    store_of,
    sweep,
    sweep_late,
    walk,
)
from threadkeep.sql import statements
from threadkeep.sql.executor import Query
from threadkeep.sql.migrations import migrate
from threadkeep.sql.schema import MIGRATIONS
from threadkeep.sql.sqlite import SqliteExecutor
from threadkeep.sql.store import users_to_purge
from threadkeep.store import Store

pytestmark = pytest.mark.anyio

QUERIES = {name: value for name, value in vars(statements).items() if isinstance(value, Query)}
USER = "ada"
# All hold the ids that the user will use: in another place, with the same content, deleted, and on the way out. Two
# have nearly the same name; they come before and after the user in every index.
NEIGHBOURS = {
    "ADA": [*OTHERWISE, *HELD],
    "abe": PURGED,
    "ad": DELETED,
    "ada ": [*WALK, *IMPORTS, *MORE, *HELD],
    "Ada": [*OTHERWISE, *MORE, *HELD],
    "ann": ERASED,
    "bob": DELETED,
}
# Their counter stands where the user's does at an append, and in the end at an edit that gives the same title.
NEIGHBOURS["eve"] = OTHERWISE[:-1]
# Of the rows that everybody has from the first.
NOBODY = ""
TABLES = ("owners", "conversations", "messages", "word_lists")
# With the same letters before the words of all, only the statement itself keeps them apart.
SAME_MARK = "samemark"
MARKS = [None, SAME_MARK]
# What a row of the index is called, and whose it is.
KEYS = """
SELECT m.n, m.user_id, m.id FROM messages AS m
UNION ALL
SELECT -c.n, c.user_id, c.id FROM conversations AS c
UNION ALL
SELECT l.n, l.user_id, l.n FROM word_lists AS l WHERE l.user_id = ''
"""
# What the index holds of each of its rows, and the rows whose words it has counted.
INDEXED = """
SELECT i.doc AS n, group_concat(i.term || ' ' || i.offset ORDER BY i.offset) AS terms FROM instances AS i GROUP BY i.doc
"""
COUNTED = "SELECT d.id AS n, hex(d.sz) AS counted FROM words_docsize AS d"


class Alone(NamedTuple):
    """A walk: what came of it, what each statement was given and answered, and what is kept."""

    answers: list[Any]
    ran: list[Ran]
    kept: dict[str, list[dict[str, Any]]]


def rows(executor: SqliteExecutor, *, of_user: bool) -> dict[str, list[dict[str, Any]]]:
    """Every row of the user, or of everybody else; not by its place in the database, `n`."""
    database = executor._connection
    database.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.instances USING fts5vocab(main, words, instance)")
    names = {row["n"]: (row["user_id"], row["id"]) for row in database.execute(KEYS)}
    found: dict[str, list[dict[str, Any]]] = {}
    for table in (*TABLES, INDEXED, COUNTED):
        found[table] = []
        for row in database.execute(f"SELECT * FROM {table}" if table in TABLES else table):
            place = row.pop("n", None)
            if "id" not in row and place is not None:
                # What is listed bears its user too; what is in the index beside any row is nobody's.
                row["of"], row["id"] = names.get(place, (None, None))
                row.setdefault("user_id", row["of"])
            if (row["user_id"] == USER) == of_user:
                found[table].append(row)
        found[table].sort(key=repr)
    return found


def counted_wrong(executor: SqliteExecutor) -> int:
    """By how many rows the index counts more than it has; that is the first number of its first record."""
    (record,) = executor._connection.execute("SELECT block FROM words_data WHERE id = 1")
    (rows,) = executor._connection.execute("SELECT count(*) AS answer FROM words_docsize")
    count = 0
    for byte in record["block"]:
        count = count << 7 | byte & 127
        if byte < 128:
            break
    return int(count - rows["answer"])


@pytest.fixture(scope="module")
async def neighbourhoods() -> AsyncIterator[dict[str | None, SqliteExecutor]]:
    """Databases that hold everybody but the user, by how words are marked."""
    with closing(SqliteExecutor(":memory:")) as own, closing(SqliteExecutor(":memory:")) as same:
        executors = dict(zip(MARKS, (own, same), strict=True))
        for mark, executor in executors.items():
            await migrate(executor, MIGRATIONS)
            for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2020):
                await walk(store_of(user_id, executor, year, mark), steps)
        yield executors


@pytest.fixture(scope="module")
async def walks_alone() -> dict[str | None, Alone]:
    """The walk of a user who is alone, by how words are marked."""
    walks = {}
    for mark in MARKS:
        with closing(SqliteExecutor(":memory:")) as executor:
            await migrate(executor, MIGRATIONS)
            recorder = Recorder(executor)
            answers = await walk(store_of(USER, recorder, mark=mark))
            walks[mark] = Alone(answers, recorder.ran, rows(executor, of_user=True))
    return walks


def put_in_place(monkeypatch: pytest.MonkeyPatch, name: str, query: Query) -> None:
    """Have this query run instead of the one of that name, wherever it is listed."""
    replaced = QUERIES[name]
    for other, value in list(vars(statements).items()):
        if value is replaced:
            monkeypatch.setattr(statements, other, query)
        elif isinstance(value, tuple) and replaced in value:
            monkeypatch.setattr(statements, other, tuple(query if one is replaced else one for one in value))


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str | None:
    """How words are marked."""
    mark: str | None = request.param
    return mark


@pytest.fixture
def beside(mark: str | None, neighbourhoods: dict[str | None, SqliteExecutor]) -> Iterator[SqliteExecutor]:
    """A database that holds everybody but the user, for one test."""
    with closing(SqliteExecutor(":memory:")) as executor:
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
    changing = {name for name, query in QUERIES.items() if query.writes}
    assert {name for name, _, _, changed in alone.ran if changed} == changing
    codes = {answer[0] for answer in alone.answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large", "cursor_expired"}
    # What the index holds, and counts, is what is listed and not overwritten.
    assert [len(kept) for kept in alone.kept.values()] == [1, 6, 12, 18, 12, 12]


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_a_user_is_answered_as_if_alone(alone: Alone, beside: SqliteExecutor, mark: str | None) -> None:
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder, mark=mark)) == alone.answers
    for ran, ran_alone in zip(recorder.ran, alone.ran, strict=True):
        assert ran == ran_alone
    assert rows(beside, of_user=True) == alone.kept


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_everybody_else_keeps_what_they_had(beside: SqliteExecutor, mark: str | None) -> None:
    before = rows(beside, of_user=False)
    assert {row["user_id"] for kept in before.values() for row in kept} == {*NEIGHBOURS, NOBODY}
    assert {row["user_id"] for row in before["messages"]} == {*NEIGHBOURS, NOBODY}
    assert {row["deleted_at"] <= 0 for row in before["conversations"] if row["deleted_at"] is not None} == {True, False}
    assert len(before["messages"]) > 9 * len(NEIGHBOURS)
    await walk(store_of(USER, beside, mark=mark))
    assert rows(beside, of_user=False) == before


@pytest.mark.parametrize("mark", MARKS, indirect=True)
async def test_the_index_counts_what_it_holds_or_it_would_be_broken_for_everybody(
    beside: SqliteExecutor, mark: str | None
) -> None:
    assert counted_wrong(beside) == 0
    store = store_of(USER, beside, mark=mark)
    for step in [*WALK, *IMPORTS, *ERASING]:
        await walk(store, [step])
        assert counted_wrong(beside) == 0


@pytest.mark.parametrize("mark", [SAME_MARK], indirect=True)
async def test_after_all_is_swept_nothing_but_what_everybody_has_from_the_first_is_left(beside: SqliteExecutor) -> None:
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        first = rows(executor, of_user=False)
    await walk(store_of(USER, beside))
    for user_id in (USER, *NEIGHBOURS):
        await walk(store_of(user_id, beside), [erase(), sweep()])
    assert rows(beside, of_user=False) == first
    assert not any(rows(beside, of_user=True).values())
    assert counted_wrong(beside) == 0
    beside._connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize("is_overwritten", [False, True])
@pytest.mark.parametrize("whose", [USER, "bob"])
async def test_a_sweep_that_another_has_overtaken_spares_what_took_the_place_of_what_it_chose(
    whose: str, is_overwritten: bool
) -> None:
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        store, other = store_of(USER, executor), store_of(whose, executor, 2027)
        places = f"""
            SELECT m.n FROM messages AS m WHERE m.user_id <> '{NOBODY}'
            UNION ALL SELECT -c.n FROM conversations AS c WHERE c.user_id <> '{NOBODY}'
        """
        first = [create(1, 1, 2, 3, words="first", title="First"), delete(1), purge()]
        await walk(store, [*first, sweep(1)] if is_overwritten else first)
        chosen = {row["n"] for row in executor._connection.execute(places)}
        kept: list[Any] = []

        async def overtake(_: Store) -> Any:
            await walk(store, [sweep()])
            assert not list(executor._connection.execute(places))
            await walk(other, [create(2, 4, 5, 6, words="second", title="Second")])
            assert {row["n"] for row in executor._connection.execute(places)} == chosen
            # A conversation of the same name is marked.
            third = store if whose != USER else store_of("bob", executor, 2028)
            await walk(third, [create(2, 7, words="third", title="Third"), delete(2), purge()])
            kept.extend(rows(executor, of_user=of_user) for of_user in (True, False))

        await walk(store, [sweep_late(overtake)])
        assert [rows(executor, of_user=of_user) for of_user in (True, False)] == kept
        assert counted_wrong(executor) == 0
        (page,) = await walk(other, [search_all("second")])
        assert len(page[0]["hits"]) == 4


@pytest.mark.parametrize("is_overwritten", [False, True])
@pytest.mark.parametrize("is_shifted", [False, True])
async def test_no_word_of_what_took_a_place_that_another_sweep_chose_stays_in_the_index(
    is_overwritten: bool, is_shifted: bool
) -> None:
    with closing(SqliteExecutor(":memory:")) as executor:
        await migrate(executor, MIGRATIONS)
        nobodys = rows(executor, of_user=False)
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
        await walk(store, [*([sweep(1)] if is_overwritten else []), sweep_late(overtake), sweep(), sweep()])
        assert rows(executor, of_user=False) == nobodys
        assert counted_wrong(executor) == 0
        assert [row["id"] for row in rows(executor, of_user=True)["conversations"]] == [c(4 if is_shifted else 1)]


@pytest.mark.parametrize("mark", [None], indirect=True)
async def test_the_users_to_purge_are_those_who_deleted_or_erased_something_and_it_is_still_there(
    beside: SqliteExecutor,
) -> None:
    before = rows(beside, of_user=False)
    assert await users_to_purge(beside, 0, 9) == ["abe", "ann"]  # what they have only has to be swept
    assert await users_to_purge(beside, 2**52, 9) == ["abe", "ad", "ann", "bob"]
    assert len(await users_to_purge(beside, 2**52, 3)) == 3
    assert rows(beside, of_user=False) == before
    for user_id in await users_to_purge(beside, 2**52, 9):
        await walk(store_of(user_id, beside), [lambda store: store.purge(2**52), sweep()])
    assert await users_to_purge(beside, 2**52, 9) == []


GUARD = re.compile(r"\b\w+\.user_id = :user\b")
_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_BY_LIST = "What is listed is joined with what it is of by `n`, which names one, and either is tied to the user."
_OF_BATCH = "A filling has one `n`, and is gone at the end of its batch: there is no other."
SUPERFLUOUS = {
    "LIST_MESSAGES_BEFORE-m-3": _BY_PLACE,
    "LIST_MESSAGES_AFTER-m-2": _BY_PLACE,
    "LIST_LARGE_MESSAGES_BEFORE-m-3": _BY_PLACE,
    "LIST_LARGE_MESSAGES_AFTER-m-2": _BY_PLACE,
    "SEARCH-m-5": _BY_PLACE,
    "CHANGES-c-5": _BY_PLACE,
    "CHANGES-m-6": _BY_PLACE,
    "INDEX_WORDS-l-5": _BY_PLACE,
    "LIST_WORDS-l-5": _BY_PLACE,
    "OVERWRITE_WORDS_OF_TITLE-word_lists-1": _BY_PLACE,
    "OVERWRITE_WORDS_OF_TITLE-c-2": _IN_LIST,
    "UNLIST_TITLE-word_lists-1": _BY_PLACE,
    "UNLIST_TITLE-c-2": _IN_LIST,
    "OVERWRITABLE-l-3": _BY_LIST,
    "REMOVABLE-l-3": _BY_LIST,
    "UNINDEX-m-1": _BY_LIST,
    "UNINDEX-l-3": _BY_LIST,
    "UNINDEX-c-4": _BY_LIST,
    "UNINDEX-l-5": _BY_LIST,
    "OVERWRITE_WORDS-word_lists-1": _BY_PLACE,
    "OVERWRITE_WORDS-m-2": _BY_LIST,
    "OVERWRITE_WORDS-l-4": _BY_LIST,
    "OVERWRITE_WORDS-c-5": _BY_LIST,
    "OVERWRITE_WORDS-l-6": _BY_LIST,
    "OVERWRITE_MESSAGES-messages-1": _BY_PLACE,
    "OVERWRITE_MESSAGES-m-2": _IN_LIST,
    "OVERWRITE_CONVERSATIONS-conversations-1": _BY_PLACE,
    "OVERWRITE_CONVERSATIONS-c-2": _IN_LIST,
    "COUNT_OVERWRITTEN-conversations-2": _BY_PLACE,
    "COUNT_OVERWRITTEN-c-3": _IN_LIST,
    "REMOVE_WORDS-word_lists-1": _BY_PLACE,
    "REMOVE_WORDS-m-2": _IN_LIST,
    "REMOVE_WORDS-c-4": _IN_LIST,
    "REMOVE_MESSAGES-messages-1": _BY_PLACE,
    "REMOVE_MESSAGES-m-2": _IN_LIST,
    "REMOVE_CONVERSATIONS-conversations-1": _BY_PLACE,
    "REMOVE_CONVERSATIONS-c-2": _IN_LIST,
    "INDEX_FILLING-l-1": _OF_BATCH,
    "UNINDEX_FILLING-l-1": _OF_BATCH,
    "MERGE_INDEX-l-1": _OF_BATCH,
    "FILL_PAGES-l-1": _OF_BATCH,
    "REMOVE_FILLINGS-word_lists-1": _OF_BATCH,
}
"""The guards that are missed by nobody, each with its reason. They stay: what the reason rests on may change."""
BROKEN = {
    f"{name}-{guard.group().partition('.')[0]}-{number}": (
        name,
        f"{query.text[: guard.start()]}:user = :user{query.text[guard.end() :]}",
    )
    for name, query in QUERIES.items()
    for number, guard in enumerate(GUARD.finditer(query.text), 1)
}


# Words are searched as if all were marked alike, or no guard would be missed, and indexed as they are, which tells
# those of the user from those of somebody else.
@pytest.mark.parametrize(
    ("broken", "mark"),
    [(broken, SAME_MARK if name == "SEARCH" else None) for broken, (name, _) in BROKEN.items()],
    indirect=["mark"],
)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, mark: str | None, alone: Alone, beside: SqliteExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, text = BROKEN[broken]
    put_in_place(monkeypatch, name, Query(text))
    recorder = Recorder(beside, alone.ran)
    before = rows(beside, of_user=False)
    try:
        answers = await walk(store_of(USER, recorder, mark=mark))
    except (LookupError, RuntimeError, apsw.Error, msgspec.MsgspecError):
        answers = ["It broke down."]
    found = (answers, recorder.ran, rows(beside, of_user=True), rows(beside, of_user=False))
    assert (found == (*alone, before)) == (broken in SUPERFLUOUS)


def test_a_guard_that_is_superfluous_is_there() -> None:
    assert set(BROKEN) >= set(SUPERFLUOUS)
