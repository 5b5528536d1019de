"""Races, over every back end: what must hold where many ask at once. See `helpers/races.py`."""

import pytest

from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.races import RACES, Race

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_a_race_ends_as_it_must(backend: Backend, race: Race) -> None:
    await race(await backend.state())
