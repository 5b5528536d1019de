"""The plain server is killed while many write the state of an agent: whatever was acknowledged is there, once."""

from pathlib import Path

import pytest

from support.backends import over_http, server
from support.kills import check_what_was_told, write_until_killed

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_what_was_acknowledged_of_an_agent_outlives_a_kill(tmp_path: Path, store: str) -> None:
    with server(tmp_path, store=store, workers=2) as running:
        async with over_http(store, running.url) as backend:
            told = await write_until_killed(await backend.state("u"), running.kill)
        running.start()
        async with over_http(store, running.url) as backend:
            await check_what_was_told(await backend.state("u"), told)
