"""A Postgres database whose index is newer than this version: it goes on beside it, and is not begun with."""

import pytest

from support import stores
from support.newer import ON_POSTGRES, works_beside_a_newer_version
from support.postgres import ask, new_schema, server
from threadkeep.errors import Unavailable
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.pool import open_pool
from threadkeep.storage.postgres.url import parse_url

pytestmark = pytest.mark.anyio


async def test_this_version_goes_on_beside_a_newer_one_and_does_not_begin_there() -> None:
    schema = new_schema()
    url = server().url(schema=schema)
    executor = await stores.open_postgres(url)
    await (await open_pool(parse_url(url), (*MIGRATIONS, ON_POSTGRES))).close()

    async def index_by_newer() -> None:
        await ask(
            f"INSERT INTO {schema}.search_index_3 (n, user_id, text, lexemes) "
            f"SELECT l.n, l.user_id, l.text, l.lexemes FROM {schema}.search_index_2 AS l; "
            f"DELETE FROM {schema}.search_index_2"
        )

    async def count() -> int:
        (row,) = await ask(f"SELECT count(*) AS n FROM {schema}.search_index_3")
        number: int = row["n"]
        return number

    await works_beside_a_newer_version(stores.open_sql(executor, "ada"), index_by_newer, count)
    with pytest.raises(Unavailable, match="of a newer version of Threadkeep, and are left as they are"):
        await stores.open_postgres(url)
    await executor.close()
