"""A Postgres database that an earlier version made is found in at once, and is like a new one after some sweeps."""

from pathlib import Path

import msgspec
import pytest

from support import stores
from support.backends import over_sql
from support.older import VERSIONS, Version, bring_over, holds_what_it_held
from support.postgres import ask, new_schema, server
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.pool import open_pool
from threadkeep.storage.postgres.url import parse_url
from threadkeep.storage.sql import conversations

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_postgres_database_of_an_earlier_version_holds_what_it_held(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version.unpack("postgres", tmp_path)
    monkeypatch.setattr(conversations, "_SWEPT_MESSAGES_MAX", 7)
    schema = new_schema()
    url = server().url(schema=schema)
    await (await open_pool(parse_url(url), MIGRATIONS[: version.migrations["postgres"]])).close()
    for table, rows in msgspec.json.decode((tmp_path / "rows.json").read_bytes()).items():
        insert = f"""
            INSERT INTO {schema}.{table} {"OVERRIDING SYSTEM VALUE" if table in ("conversations", "messages") else ""}
            SELECT * FROM json_populate_record(NULL::{schema}.{table}, CAST(CAST($1 AS text) AS json))
        """
        for row in rows:
            await ask(insert, row)
        if "SYSTEM" in insert:
            await ask(f"SELECT setval(pg_get_serial_sequence('{schema}.{table}', 'n'), 1000)")
    executor = await stores.open_postgres(url)
    async with over_sql(executor) as backend:
        before = version.exported("postgres", tmp_path)
        await version.answers_as_it_did(backend.client, "postgres", tmp_path)
        await holds_what_it_held(version, backend.client, before, lambda: bring_over(executor))
        assert [row["n"] for row in await ask(f"SELECT count(*) AS n FROM {schema}.words")] == [0]
    await executor.close()
