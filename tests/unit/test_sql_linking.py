"""What messages follow that an earlier version has kept: it had `parentId` and no forks, and sweeping makes them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest

from support.postgres import new_url
from support.records import all_messages, conversation, message, new_message, plain
from support.stores import open_postgres, open_sqlite
from threadkeep.conversations.store import Store
from threadkeep.ids import new_id
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.conversations import SqlStore, users_to_purge
from threadkeep.storage.sql.executor import SharedExecutor, read, write

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[SharedExecutor]:
    if request.param == "sqlite":
        in_memory = await open_sqlite(":memory:")
        yield in_memory  # type: ignore[misc]
        in_memory.close()
    else:
        opened = await open_postgres(new_url())
        yield opened
        await opened.close()


async def run(database: SharedExecutor, *texts: str, **values: Any) -> None:
    """Write something behind the back of the store. `{forks}` is the table."""
    sql = database.statements
    tables = {name: getattr(sql, name) for name in ("forks", "owners", "messages")}
    queries = [write(text.format(**tables), mark=sql.dialect.mark) for text in texts]
    await database.run(*(query(user="ada", **values) for query in queries))


async def as_before(database: SharedExecutor) -> None:
    """Have everything look as if the version before had kept it."""
    await run(
        database,
        "DELETE FROM {forks} AS f WHERE f.user_id = :user",
        "UPDATE {owners} AS o SET linked_rev = 0, linked_n = 0 WHERE o.user_id = :user",
    )


async def linked(database: SharedExecutor) -> dict[str, int]:
    """How far the messages of the user are linked."""
    sql = database.statements
    query = read(
        f"SELECT o.rev, o.linked_rev, o.linked_n FROM {sql.owners} AS o WHERE o.user_id = :user", mark=sql.dialect.mark
    )
    ((row,),) = await database.run(query(user="ada"))
    return dict(row)


async def follows(store: Store, conversation_id: str) -> list[int]:
    return [each.follows for each in await all_messages(store, conversation_id)]


async def swept(store: SqlStore) -> None:
    while await store.sweep():
        pass


async def tree(store: SqlStore) -> tuple[str, list[str]]:
    """A conversation in which most messages name a parent, and their ids."""
    ids = [new_id() for _ in range(9)]
    record = conversation(*(new_message(f"message {number}", id=ids[number]) for number in range(3)))
    await store.create_conversation(record)
    for number, parent in ((3, 2), (4, 1), (5, 4), (6, 0), (7, 0), (8, 5)):
        sent = message(f"message {number}", id=ids[number], parentId=ids[parent])
        await store.append_messages(record.id, [sent])
    return record.id, ids


async def test_parents_of_an_earlier_version_become_forks_in_parts(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    id_, _ = await tree(store)
    expected = [0, 1, 2, 3, 2, 5, 1, 1, 6]
    assert await follows(store, id_) == expected
    before = await store.list_messages(id_)
    await as_before(database)
    assert await follows(store, id_) == list(range(9))
    cursor = (await store.changes()).next
    with mock.patch.object(sql_store, "_LINKED_MESSAGES_MAX", 3):
        parts = 1
        while await store.sweep():
            parts += 1
            assert await users_to_purge(database, 0, 9) == ["ada"]
    assert parts > 3
    assert await follows(store, id_) == expected
    assert plain(await store.list_messages(id_)) == plain(before)
    # Devices hear of those that follow another one than was said, and of nothing else.
    changes = await store.changes(cursor)
    assert [(each.seq, each.follows) for each in changes.messages] == [(5, 2), (7, 1), (8, 1), (9, 6)]
    assert changes.conversations == []
    row = await linked(database)
    assert (row["linked_rev"], row["linked_n"]) == (row["rev"], 0)
    assert await users_to_purge(database, 0, 9) == []


async def test_what_a_message_could_not_follow_is_left_as_it_was_read(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    id_, ids = await tree(store)
    _, elsewhere = await tree(store)
    given = {2: new_id(), 3: elsewhere[0], 4: ids[4], 5: ids[8], 6: ids[3], 7: "never was", 8: ids[7]}
    for number, parent in given.items():
        text = "UPDATE {messages} AS m SET parent_id = :parent WHERE m.user_id = :user AND m.id = :id"
        await run(database, text, parent=parent, id=ids[number])
    await as_before(database)
    await swept(store)
    assert await follows(store, id_) == [0, 1, 2, 3, 4, 5, 4, 7, 8]


async def test_two_that_sweep_at_once_make_each_fork_once(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    id_, _ = await tree(store)
    await as_before(database)
    with mock.patch.object(sql_store, "_LINKED_MESSAGES_MAX", 2):
        await asyncio.gather(*(swept(SqlStore(database, "ada")) for _ in range(3)))
    assert await follows(store, id_) == [0, 1, 2, 3, 2, 5, 1, 1, 6]


async def test_what_an_earlier_version_appends_meanwhile_is_linked_by_the_next_sweep(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    id_, ids = await tree(store)
    await as_before(database)
    with mock.patch.object(sql_store, "_LINKED_MESSAGES_MAX", 3):
        assert await store.sweep()
    for parent in (ids[2], ids[4]):
        # It neither makes a fork nor lets `linked_rev` follow.
        before = await linked(database)
        sent = message(parentId=parent)
        await store.append_messages(id_, [sent])
        seq = (await store.get_conversation(id_)).message_count
        await run(
            database,
            "DELETE FROM {forks} AS f WHERE f.user_id = :user AND f.conversation_id = :id AND f.seq = :seq",
            "UPDATE {owners} AS o SET linked_rev = :rev, linked_n = :n WHERE o.user_id = :user",
            id=id_,
            seq=seq,
            rev=before["linked_rev"],
            n=before["linked_n"],
        )
        assert (await follows(store, id_))[-1] == seq - 1
        await swept(store)
        assert (await follows(store, id_))[-1] == ids.index(parent) + 1
        assert await users_to_purge(database, 0, 9) == []
    assert (await follows(store, id_))[:9] == [0, 1, 2, 3, 2, 5, 1, 1, 6]


async def test_conversations_without_parents_are_left_alone(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    record = conversation(*(new_message() for _ in range(20)))
    await store.create_conversation(record)
    await run(database, "UPDATE {owners} AS o SET linked_rev = 0 WHERE o.user_id = :user")
    cursor = (await store.changes()).next
    assert await users_to_purge(database, 0, 9) == ["ada"]
    assert not await store.sweep()
    assert (await store.changes(cursor)).messages == []
    row = await linked(database)
    assert row["linked_rev"] == row["rev"] == 1
    await store.append_messages(record.id, [message()])
    assert (await linked(database))["linked_rev"] == 2


async def test_a_branch_that_was_deleted_before_it_was_linked_comes_back_whole(database: SharedExecutor) -> None:
    store = SqlStore(database, "ada")
    id_, ids = await tree(store)
    await as_before(database)
    # As it was read, everything from the fifth message on stood below it.
    assert (await store.delete_branch(id_, ids[4])).deleted == 5
    await store.append_messages(id_, [message("new")])
    await swept(store)
    assert await follows(store, id_) == [0, 1, 2, 3, 4]
    await store.restore_branch(id_, ids[8])
    assert await follows(store, id_) == [0, 1, 2, 3, 2, 5, 1, 1, 6, 4]
