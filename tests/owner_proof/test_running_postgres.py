"""The owner proof, run on Postgres: a user is answered as if nobody else were there, and everybody else is left be."""

import re
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec
import pytest

from owner_proof.reading import OF_NO_USER
from owner_proof.walk import (
    DELETED,
    ERASED,
    HELD,
    IMPORTS,
    MORE,
    OTHERWISE,
    PURGED,
    WALK,
    Ran,
    Recorder,
    erase,
    store_of,
    sweep,
    walk,
)
from support.postgres import ask, server
from threadkeep import backends
from threadkeep.errors import Unavailable
from threadkeep.sql import postgres_statements
from threadkeep.sql.executor import Query
from threadkeep.sql.postgres import PostgresExecutor
from threadkeep.sql.postgres_connection import PostgresFailed
from threadkeep.sql.store import users_to_purge

pytestmark = pytest.mark.anyio

QUERIES = {name: value for name, value in vars(postgres_statements).items() if isinstance(value, Query)}
USER = "ada"
NEIGHBOURS = {
    "ADA": [*OTHERWISE, *HELD],
    "abe": PURGED,
    "ad": DELETED,
    "ada ": [*WALK, *IMPORTS, *MORE, *HELD],
    "Ada": [*OTHERWISE, *MORE, *HELD],
    "ann": ERASED,
    "bob": DELETED,
    "eve": OTHERWISE[:-1],
}
# With the same letters before the words of all, only the statement itself keeps them apart.
SAME_MARK = "samemark"
# Whatever bears a user, and of words whose they are; not by their place in the database, `n`.
ROWS = {
    "owners": "SELECT o.* FROM owners AS o",
    "conversations": "SELECT c.* FROM conversations AS c",
    "messages": "SELECT m.* FROM messages AS m",
    "words": """
        SELECT l.user_id, l.text, CAST(l.lexemes AS text), m.user_id AS m_of, m.id, c.user_id AS c_of, c.id AS c_id
        FROM words AS l LEFT JOIN messages AS m ON m.n = l.n LEFT JOIN conversations AS c ON c.n = -l.n""",
}
_numbers = count()


class Alone(NamedTuple):
    """A walk: what came of it, what each statement was given and answered, and what is kept."""

    answers: list[Any]
    ran: list[Ran]
    kept: dict[str, list[dict[str, Any]]]


async def new_database(template: str = "template0") -> str:
    """A database like another, which nobody is connected to."""
    name = f"d{next(_numbers)}"
    await ask(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


async def opened(database: str) -> PostgresExecutor:
    executor = await backends.open_postgres(server().url(database))
    assert isinstance(executor, PostgresExecutor)
    return executor


async def rows(executor: PostgresExecutor, *, of_user: bool) -> dict[str, list[dict[str, Any]]]:
    """Every row of the user, or of everybody else."""
    found = {}
    async with executor.connection() as connection:
        for table, text in ROWS.items():
            all_of_it = (await connection.run([(text, ())]))[0]
            kept = [row for row in all_of_it if (row["user_id"] == USER) == of_user]
            found[table] = sorted(({name: row[name] for name in row if name != "n"} for row in kept), key=repr)
    return found


@pytest.fixture(scope="module")
async def neighbourhood() -> str:
    """The name of a database that holds everybody but the user."""
    name = await new_database()
    executor = await opened(name)
    for year, (user_id, steps) in enumerate(NEIGHBOURS.items(), 2020):
        await walk(store_of(user_id, executor, year, SAME_MARK), steps)
    await executor.close()
    return name


@pytest.fixture(scope="module")
async def alone() -> Alone:
    """The walk of a user who is alone."""
    executor = await opened(await new_database())
    recorder = Recorder(executor)
    answers = await walk(store_of(USER, recorder, mark=SAME_MARK))
    kept = await rows(executor, of_user=True)
    await executor.close()
    return Alone(answers, recorder.ran, kept)


@pytest.fixture
async def beside(neighbourhood: str) -> AsyncIterator[PostgresExecutor]:
    """A database that holds everybody but the user, for one test."""
    name = await new_database(neighbourhood)
    executor = await opened(name)
    yield executor
    await executor.close()
    await ask(f"DROP DATABASE {name}")


async def test_the_walk_runs_every_statement_for_its_user(alone: Alone) -> None:
    assert {name for name, *_ in alone.ran} == set(QUERIES) - set(OF_NO_USER) - {"LOCK_OWNER"}
    assert {values["user"] for _, values, *_ in alone.ran} == {USER}
    codes = {answer[0] for answer in alone.answers if isinstance(answer, list) and isinstance(answer[0], str)}
    assert codes == {"conflict", "not_found", "stale", "invalid", "too_large", "cursor_expired"}
    assert [len(kept) for kept in alone.kept.values()] == [1, 4, 8, 12]


async def test_a_user_is_answered_as_if_alone_and_everybody_else_keeps_what_they_had(
    alone: Alone, beside: PostgresExecutor
) -> None:
    before = await rows(beside, of_user=False)
    assert {row["user_id"] for row in before["messages"]} == set(NEIGHBOURS)
    recorder = Recorder(beside)
    assert await walk(store_of(USER, recorder, mark=SAME_MARK)) == alone.answers
    for ran, ran_alone in zip(recorder.ran, alone.ran, strict=True):
        assert ran == ran_alone
    assert await rows(beside, of_user=True) == alone.kept
    assert await rows(beside, of_user=False) == before


async def test_after_all_is_swept_nothing_is_left(beside: PostgresExecutor) -> None:
    for user_id in (USER, *NEIGHBOURS):
        await walk(store_of(user_id, beside), [erase(), sweep()])
    for of_user in (True, False):
        assert not any((await rows(beside, of_user=of_user)).values())


async def test_the_users_to_purge_are_those_who_deleted_or_erased_something_and_it_is_still_there(
    beside: PostgresExecutor,
) -> None:
    assert sorted(await users_to_purge(beside, 0, 9)) == ["abe", "ann"]  # what they have only has to be swept
    assert sorted(await users_to_purge(beside, 2**52, 9)) == ["abe", "ad", "ann", "bob"]
    assert len(await users_to_purge(beside, 2**52, 3)) == 3
    for user_id in await users_to_purge(beside, 2**52, 9):
        await walk(store_of(user_id, beside), [lambda store: store.purge(2**52), sweep()])
    assert await users_to_purge(beside, 2**52, 9) == []


_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_EITHER = "What is listed is joined with what it is of by `n`, which names one, and either is tied to the user."
SUPERFLUOUS = {
    "LOCK_OWNER-o-1": "It would have everybody wait for everybody, and changes nothing.",
    **dict.fromkeys(
        (
            *("INDEX_WORDS-l-5", "UNINDEX_TITLE-words-1"),
            *("REMOVE_WORDS-words-1", "REMOVE_MESSAGES-messages-1", "REMOVE_CONVERSATIONS-conversations-1"),
            *("LIST_MESSAGES_BEFORE-m-3", "LIST_MESSAGES_AFTER-m-2"),
            *("LIST_LARGE_MESSAGES_BEFORE-m-3", "LIST_LARGE_MESSAGES_AFTER-m-2"),
            *("SEARCH-m-6", "CHANGES-c-5", "CHANGES-m-6"),
        ),
        _BY_PLACE,
    ),
    **dict.fromkeys(
        (
            "UNINDEX_TITLE-c-2",
            "REMOVE_WORDS-m-2",
            "REMOVE_WORDS-c-4",
            "REMOVE_MESSAGES-m-2",
            "REMOVE_CONVERSATIONS-c-2",
        ),
        _IN_LIST,
    ),
    **dict.fromkeys(("SEARCH-w-1", "SEARCH-x-2", "SEARCH-x-4"), _EITHER),
}
"""The guards that are missed by nobody, each with its reason. They stay: what the reason rests on may change."""
BROKEN = {
    f"{name}-{guard.group().partition('.')[0]}-{number}": (
        name,
        # As one that is always true: Postgres must be able to tell what the parameter is.
        f"{query.text[: guard.start()]}CAST(:user AS text) = :user{query.text[guard.end() :]}",
    )
    for name, query in QUERIES.items()
    for number, guard in enumerate(re.finditer(r"\b\w+\.user_id = :user\b", query.text), 1)
}


def put_in_place(monkeypatch: pytest.MonkeyPatch, name: str, query: Query) -> None:
    """Have this query run instead of the one of that name, wherever it is listed."""
    replaced = QUERIES[name]
    for other, value in list(vars(postgres_statements).items()):
        if value is replaced:
            monkeypatch.setattr(postgres_statements, other, query)
        elif isinstance(value, tuple) and replaced in value:
            changed: Sequence[Query] = tuple(query if one is replaced else one for one in value)
            monkeypatch.setattr(postgres_statements, other, changed)


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_statement_without_one_of_its_guards_is_found_out(
    broken: str, alone: Alone, beside: PostgresExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, text = BROKEN[broken]
    put_in_place(monkeypatch, name, Query(text, mark="$"))
    recorder = Recorder(beside, alone.ran)
    before = await rows(beside, of_user=False)
    try:
        answers = await walk(store_of(USER, recorder, mark=SAME_MARK))
    except (LookupError, Unavailable, PostgresFailed, msgspec.MsgspecError) as error:
        if isinstance(error, PostgresFailed) and (error.sqlstate or "").startswith("42"):
            raise  # it could not even be run
        answers = ["It broke down."]
    found = (answers, recorder.ran, await rows(beside, of_user=True), await rows(beside, of_user=False))
    assert (found == (*alone, before)) == (broken in SUPERFLUOUS)


def test_a_guard_that_is_superfluous_is_there() -> None:
    assert set(BROKEN) >= set(SUPERFLUOUS)
