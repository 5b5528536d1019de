"""Races over a plain server of two processes, which know of each other by what they keep alone."""

from collections.abc import Iterator

import pytest

from support.backends import over_http, server
from threadkeep.conformance.helpers.races import RACES, Race
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("races"), store=request.param, workers=2) as started:
        yield started


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_a_race_ends_as_it_must(running: LocalServer, race: Race) -> None:
    async with over_http(running.store, running.url) as backend:
        await race(await backend.state())
