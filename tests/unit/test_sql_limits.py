"""Every statement is within the limits that Cloudflare sets SQLite, on D1 and in Durable Objects."""

from collections.abc import AsyncIterator

import apsw
import pytest

from support.stores import open_sqlite
from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio

LIMITS = {
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 32,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 5,
}


def queries() -> dict[str, Query]:
    """Every statement, by its name."""
    found = {}
    for name in dir(SQLITE):
        value = getattr(SQLITE, name)
        each = value if isinstance(value, tuple) else (value,)
        found |= {f"{name}[{place}]": query for place, query in enumerate(each) if isinstance(query, Query)}
    return found


@pytest.fixture
async def limited() -> AsyncIterator[SqliteExecutor]:
    executor = await open_sqlite(":memory:")
    yield executor
    executor.close()


async def test_every_statement_is_within_the_limits_of_cloudflare(limited: SqliteExecutor) -> None:
    for limit, most in LIMITS.items():
        limited._connection.limit(limit, most)
    refused = {}
    for name, query in queries().items():
        try:
            limited._connection.execute(f"EXPLAIN {query.numbered}", [0] * len(query.names))
        except apsw.SQLError as error:
            if "subqueries nested too deep" not in str(error):  # which workerd's own SQLite does not count
                refused[name] = str(error)
    assert refused == {}
    assert len(queries()) > 150
