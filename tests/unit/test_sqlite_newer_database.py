"""A SQLite database whose index is newer than this version: it goes on beside it, and is not begun with."""

import asyncio
from pathlib import Path

import pytest

from support import stores
from support.newer import ON_SQLITE, works_beside_a_newer_version
from support.records import conversation
from threadkeep.errors import Unavailable
from threadkeep.storage.sql.executor import read, write
from threadkeep.storage.sql.migrate import migrate
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.migrations import MIGRATIONS

pytestmark = pytest.mark.anyio

INDEX = (
    write("""
INSERT INTO search_index_3 (rowid, text)
SELECT m.n, 'heronsparrow' FROM messages AS m UNION ALL SELECT -c.n, 'heronsparrow' FROM conversations AS c
"""),
    write("DELETE FROM search_index_2"),
)
COUNT = read("SELECT count(*) AS n FROM search_index_3_docsize")


async def test_this_version_works_beside_a_newer_one(executor: SqliteExecutor) -> None:
    await migrate(executor, (*MIGRATIONS, ON_SQLITE))

    async def index_by_newer() -> None:
        await executor.run(*(query() for query in INDEX))

    async def count() -> int:
        ((row,),) = await executor.run(COUNT())
        number: int = row["n"]
        return number

    await works_beside_a_newer_version(stores.open_sql(executor, "ada"), index_by_newer, count)


async def test_a_server_goes_on_with_a_file_that_a_newer_one_opens_and_does_not_open_it_again(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.sqlite")
    running = await stores.open_sqlite_file(path)
    newer = SqliteExecutor(path)
    await asyncio.to_thread(newer.migrate_now, (*MIGRATIONS, ON_SQLITE))
    newer.close()
    store = stores.open_sql(running, "ada")
    record = conversation(title="Kept")
    await store.create_conversation(record)
    assert (await store.get_conversation(record.id)).title == "Kept"
    with pytest.raises(Unavailable, match=r"a newer version \(9999_search_index_3\.sql\), and is left alone"):
        await stores.open_sqlite_file(path)
    await running.close()
