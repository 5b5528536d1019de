"""The executor for Durable Objects, over a storage that works as theirs does."""

import inspect
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from threadkeep import backends
from threadkeep.drafts import ConversationDraft
from threadkeep.sql.durable_object import DurableObjectExecutor
from threadkeep.sql.executor import Query

pytestmark = pytest.mark.anyio


class Cursor:
    """Rows that are read when they are asked for."""

    def __init__(self, rows: sqlite3.Cursor) -> None:
        self._rows = rows

    def toArray(self) -> list[dict[str, Any]]:  # noqa: N802 its name there
        return [dict(row) for row in self._rows]


class Storage:
    """`ctx.storage` over a real SQLite. Source: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/"""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.sql = self
        self.transactions = 0

    def exec(self, text: str, *values: Any) -> Cursor:
        assert self.database.in_transaction, "outside of the transaction"
        return Cursor(self.database.execute(text, values))

    def transactionSync(self, transaction: Callable[[], Any]) -> Any:  # noqa: N802 its name there
        assert not inspect.iscoroutinefunction(transaction)
        self.transactions += 1
        self.database.execute("BEGIN")
        try:
            result = transaction()
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")
        return result


@pytest.fixture
def storage() -> Iterator[Storage]:
    storage = Storage()
    yield storage
    storage.database.close()


async def test_statements_run_in_one_transaction_all_or_none(storage: Storage) -> None:
    executor = DurableObjectExecutor(storage)
    create, insert = Query("CREATE TABLE a (x TEXT UNIQUE)")(), Query("INSERT INTO a VALUES (:x)")(x="one")
    count = Query("SELECT count(*) AS n FROM a")()
    assert await executor.run(create, insert, count) == [[], [], [{"n": 1}]]
    assert storage.transactions == 1
    with pytest.raises(sqlite3.IntegrityError):
        await executor.run(Query("DELETE FROM a")(), insert, insert)
    assert await executor.run(count) == [[{"n": 1}]]
    assert executor.bookmark is None


async def test_an_object_wakes_with_the_newest_schema_and_keeps_what_it_had(
    storage: Storage, draft: ConversationDraft
) -> None:
    for is_new in (True, False):
        executor = await backends.open_durable_object(storage)
        store = backends.open_sql(executor, "ada")
        before = storage.transactions
        assert (await store.create_conversation(draft))[1] is is_new
        assert storage.transactions == before + 1
