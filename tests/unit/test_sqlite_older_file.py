"""A SQLite file of an earlier version, which may still write: found in at once, and like a new one after sweeps."""

from pathlib import Path

import pytest

from support import stores
from support.backends import over_sql
from support.older import bring_over, exported, exported_before, found, holds_what_it_held, statements_before, unpack
from threadkeep.storage.sql import conversations
from threadkeep.storage.sql.executor import read
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio


async def test_a_sqlite_file_of_an_earlier_version_holds_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack("sqlite", tmp_path)
    monkeypatch.setattr(conversations, "_SWEPT_MESSAGES_MAX", 7)
    executor = await stores.open_sqlite_file(str(tmp_path / "conversations.sqlite"))
    async with over_sql(executor) as backend:
        await holds_what_it_held(backend.client, exported_before("sqlite", tmp_path), lambda: bring_over(executor))
        tables = ("words_docsize", "word_lists")
        left = await executor.run(*(read(f"SELECT count(*) AS n FROM {table}")() for table in tables))
        assert left == [[{"n": 0}], [{"n": 0}]]
        # What the first index was made of is gone as well.
        (blocks,) = await executor.run(read("SELECT sum(length(block)) AS n FROM words_data")())
        assert blocks[0]["n"] < 50
    await executor.close()


async def test_the_version_before_still_runs_on_the_new_schema_and_nothing_that_it_keeps_is_lost() -> None:
    executor = await stores.open_sqlite(":memory:")
    assert isinstance(executor, SqliteExecutor)
    for batch in statements_before():
        with executor._transaction("BEGIN IMMEDIATE"):
            for text, values, answered in batch:
                rows = [list(row.values()) for row in executor._connection.execute(text, values)]
                assert answered is None or rows == answered, text
    async with over_sql(executor) as backend:
        kept = {"sparrow": 90, "kestrel": 1, "wagtail": 1, "lodz": 0, "Łódź": 2}
        assert await found(backend.client, kept) == kept
        assert await found(backend.client, {"sparrow": 0, "heron": 1}, "bob") == {"sparrow": 0, "heron": 1}
        before = await exported(backend.client)
        await bring_over(executor)
        kept |= {"lodz": 2}
        assert await found(backend.client, kept) == kept
        assert await exported(backend.client) == before
