"""What agents keep may grow: an operation takes no more steps of SQLite over 100,000 rows than over 100."""

from collections.abc import AsyncIterator
from typing import Any

import apsw
import pytest

from support.stores import open_sqlite
from threadkeep.agents.store import StateStore
from tools.bench.state_growth import OPERATIONS, SIZES, Operation
from tools.bench.state_seeds import filled

pytestmark = pytest.mark.anyio
GROWS_AT_MOST = 1.3


class Counting:
    """A database in memory that counts what it does: the steps of SQLite's machine."""

    def __init__(self, executor: Any, store: StateStore) -> None:
        self._store = store
        self._connection: apsw.Connection = executor._connection

    async def steps_of(self, operation: Operation) -> int:
        """How many steps an operation takes once its statements are prepared."""
        await operation.work(self._store, 0)
        counted: list[int] = []

        def count(event: dict[str, Any]) -> None:
            counted.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

        self._connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)
        await operation.work(self._store, 1)
        self._connection.trace_v2(0, None)
        return sum(counted)


@pytest.fixture(scope="module")
async def sizes(anyio_backend: str) -> AsyncIterator[dict[int, Counting]]:
    databases = {rows: await open_sqlite(":memory:") for rows in SIZES}
    yield {rows: Counting(database, await filled(database, rows)) for rows, database in databases.items()}
    for database in databases.values():
        database.close()


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_takes_no_more_steps_over_a_thousand_times_as_many_rows(
    sizes: dict[int, Counting], operation: Operation
) -> None:
    few, many = [await counting.steps_of(operation) for counting in sizes.values()]
    assert few > 100
    assert many <= GROWS_AT_MOST * few
