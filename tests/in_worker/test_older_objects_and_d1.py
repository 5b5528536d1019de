"""A D1 database and Durable Objects of an earlier version: found in at once, and like new ones after some sweeps."""

import asyncio
import time
from pathlib import Path

import apsw
import pytest

from support.backends import WORKERS, over_http, worker
from support.older import exported_before, holds_what_it_held, unpack
from tools.local.state import MARK

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", WORKERS)
async def test_what_an_earlier_version_kept_is_there_and_is_brought_over(name: str, tmp_path: Path) -> None:
    before = exported_before(name, tmp_path / "exports")
    unpack(name, tmp_path / "state")
    (tmp_path / "state" / MARK).touch()
    with worker(name, tmp_path / "state") as started:
        async with over_http(name, started.url) as backend:

            async def bring_over() -> None:
                if name == "d1":
                    for user_id in before:
                        await backend.purge(user_id, 0)
                else:  # an alarm does so, which waking up has set
                    await until_brought_over(tmp_path)

            await holds_what_it_held(backend.client, before, bring_over)
            await backend.check("ada")
    assert rows_of_first_index(tmp_path) == 0


async def until_brought_over(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while rows_of_first_index(folder):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def rows_of_first_index(folder: Path) -> int:
    """How many rows the first index has in all databases of a folder."""
    count = 0
    for path in folder.rglob("*.sqlite"):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            for (rows,) in connection.execute("SELECT count(*) FROM word_lists"):
                count += rows
        except apsw.SQLError:  # it is a database of wrangler's own
            continue
        finally:
            connection.close()
    return count
