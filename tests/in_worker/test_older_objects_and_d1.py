"""A D1 database and Durable Objects of an earlier version: found in at once, and like new ones after some sweeps."""

import asyncio
import time
from pathlib import Path

import apsw
import pytest

from support.backends import WORKERS, over_http, worker
from support.older import VERSIONS, Version, holds_what_it_held
from tools.local.state import MARK

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", WORKERS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_what_an_earlier_version_kept_is_there_and_is_brought_over(
    version: Version, name: str, tmp_path: Path
) -> None:
    before = version.exported(name, tmp_path / "exports")
    version.unpack(name, tmp_path / "state")
    (tmp_path / "state" / MARK).touch()
    with worker(name, tmp_path / "state") as started:
        async with over_http(name, started.url) as backend:

            async def bring_over() -> None:
                if name == "d1":
                    for user_id in before:
                        await backend.purge(user_id, 0)
                else:  # an alarm does so, which waking up has set
                    await until_brought_over(tmp_path)

            await version.answers_as_it_did(backend.client, name, tmp_path / "exports")
            await holds_what_it_held(
                version, backend.client, before, bring_over, sweeps_at_once=name == "durable-object"
            )
            await backend.check("ada")
    assert left_behind(tmp_path) == 0


LEFT_BEHIND = """
SELECT (SELECT count(*) FROM word_lists) + (SELECT count(*) FROM owners WHERE indexed_rev < rev)
"""


async def until_brought_over(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while left_behind(folder):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def left_behind(folder: Path) -> int:
    """How many rows the first index has in all databases of a folder, and how many users have more to index."""
    count = 0
    for path in folder.rglob("*.sqlite"):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            for (rows,) in connection.execute(LEFT_BEHIND):
                count += rows
        except apsw.SQLError:  # it is a database of wrangler's own
            continue
        finally:
            connection.close()
    return count
