"""Races, over every back end: what must hold where many ask at once. See `support/races.py`."""

import pytest

from support.backends import Backend
from support.races import RACES, Race

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_a_race_ends_as_it_must(backend: Backend, race: Race) -> None:
    await race(await backend.state())
