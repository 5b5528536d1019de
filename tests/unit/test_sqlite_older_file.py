"""A SQLite file of an earlier version, which may still write: found in at once, and like a new one after sweeps."""

from pathlib import Path

import pytest

from support import stores
from support.backends import over_sql
from support.older import (
    BEFORE_PARTS,
    BEFORE_SEARCH_INDEX_2,
    VERSIONS,
    Version,
    bring_over,
    exported,
    found,
    holds_what_it_held,
)
from threadkeep.storage.sql import conversations
from threadkeep.storage.sql.executor import read
from threadkeep.storage.sqlite.file import SqliteExecutor

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_sqlite_file_of_an_earlier_version_holds_what_it_held(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version.unpack("sqlite", tmp_path)
    monkeypatch.setattr(conversations, "_SWEPT_MESSAGES_MAX", 7)
    executor = await stores.open_sqlite_file(str(tmp_path / "conversations.sqlite"))
    async with over_sql(executor) as backend:
        before = version.exported("sqlite", tmp_path)
        await version.answers_as_it_did(backend.client, "sqlite", tmp_path)
        await holds_what_it_held(version, backend.client, before, lambda: bring_over(executor))
        tables = ("words_docsize", "word_lists")
        left = await executor.run(*(read(f"SELECT count(*) AS n FROM {table}")() for table in tables))
        assert left == [[{"n": 0}], [{"n": 0}]]
        if version is BEFORE_SEARCH_INDEX_2:  # what the first index was made of is gone as well
            (blocks,) = await executor.run(read("SELECT sum(length(block)) AS n FROM words_data")())
            assert blocks[0]["n"] < 50
    await executor.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_version_before_still_runs_on_the_new_schema_and_nothing_that_it_keeps_is_lost(
    version: Version,
) -> None:
    executor = await stores.open_sqlite(":memory:")
    assert isinstance(executor, SqliteExecutor)
    for batch in version.statements():
        with executor._transaction("BEGIN IMMEDIATE"):
            for text, values, answered in batch:
                rows = [list(row.values()) for row in executor._connection.execute(text, values)]
                assert answered is None or rows == answered, text
    async with over_sql(executor) as backend:
        kept = {"sparrow": 90, "kestrel": 1, "wagtail": 1, "lodz": version.at_once["lodz"], "Łódź": 2}
        if version is BEFORE_PARTS:
            kept |= {"ostrich": 0, "emu": 0, "quetzal": 0}
        assert await found(backend.client, kept) == kept
        assert await found(backend.client, {"sparrow": 0, "heron": 1}, "bob") == {"sparrow": 0, "heron": 1}
        before = await exported(backend.client)
        await bring_over(executor)
        kept |= {name: version.afterwards[name] for name in kept.keys() & version.afterwards.keys() - {"wagtail"}}
        assert await found(backend.client, kept) == kept
        assert await exported(backend.client) == before
