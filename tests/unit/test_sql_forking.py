"""Forking over SQL, which reads a path and then copies it: what somebody else does between the two."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from support.records import conversation, edit, message, new_message, plain
from support.stores import open_sqlite
from threadkeep.conversations.forking import fork_conversation
from threadkeep.conversations.models import NewFork
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound
from threadkeep.ids import new_id
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio


class Interrupted:
    """An executor that does something else before the first batch that writes."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, inner: SqliteExecutor, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self._inner = inner
        self._meanwhile: Callable[[], Awaitable[Any]] | None = meanwhile

    async def run(self, *statements: Statement) -> list[list[Row]]:
        if self._meanwhile and any(each.query.writes for each in statements):
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return await self._inner.run(*statements)

    async def clear(self, *statements: Statement) -> None:
        """Everybody is in one database."""


@pytest.fixture
async def executor() -> AsyncIterator[SqliteExecutor]:
    opened = await open_sqlite(":memory:")
    yield opened
    opened.close()


async def begun(store: Store) -> tuple[str, list[str]]:
    sent = [new_message(f"message {number}", id=new_id()) for number in range(3)]
    record = conversation(*sent)
    await store.create_conversation(record)
    return record.id, [str(each.id) for each in sent]


async def test_what_is_deleted_while_it_is_forked_is_not_there(executor: SqliteExecutor) -> None:
    store = SqlStore(executor, "ada")
    id_, ids = await begun(store)
    new = NewFork(id="fork", message_id=ids[2])
    for delete, restore in (
        (lambda: store.delete_branch(id_, ids[1]), lambda: store.restore_branch(id_, ids[1])),
        (lambda: store.delete_conversation(id_), lambda: store.restore_conversation(id_)),
        (store.erase, store.changes),
    ):
        with pytest.raises(NotFound):
            await fork_conversation(SqlStore(Interrupted(executor, delete), "ada"), id_, new)
        with pytest.raises(NotFound):
            await store.get_conversation("fork")
        await restore()
    assert (await store.list_conversations()).conversations == []


async def test_of_two_that_fork_under_one_id_one_is_new(executor: SqliteExecutor) -> None:
    store = SqlStore(executor, "ada")
    id_, ids = await begun(store)
    new = NewFork(id="fork", message_id=ids[1])
    first: list[Any] = []

    async def meanwhile() -> None:
        first.append(await fork_conversation(store, id_, new))

    late = SqlStore(Interrupted(executor, meanwhile), "ada")
    forked, is_new = await fork_conversation(late, id_, new)
    assert ([is_new for _, is_new in first], is_new) == ([True], False)
    assert plain(forked) == plain(first[0][0])
    assert [each.seq for each in (await store.list_messages("fork")).messages] == [1, 2]

    async def take() -> None:
        await store.create_conversation(conversation(id="taken"))

    with pytest.raises(Conflict):
        await fork_conversation(SqlStore(Interrupted(executor, take), "ada"), id_, NewFork(id="taken"))
    assert (await store.get_conversation("taken")).message_count == 0


async def test_what_comes_while_it_is_forked_is_not_in_it(executor: SqliteExecutor) -> None:
    store = SqlStore(executor, "ada")
    id_, ids = await begun(store)

    async def meanwhile() -> None:
        await store.append_messages(id_, [message("later")])
        await store.update_conversation(id_, edit(title="Renamed"))

    forked, _ = await fork_conversation(SqlStore(Interrupted(executor, meanwhile), "ada"), id_, NewFork())
    assert (forked.message_count, forked.title) == (3, "message 0")
    assert forked.forked_from is not None
    assert forked.forked_from.message_id == ids[2]
