"""Races, over every back end: what must hold where many ask at once. See `support/races.py`."""

import pytest

from support.backends import Backend
from support.races import RACES, RACES_OF_TASKS, Race

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_a_race_ends_as_it_must(backend: Backend, race: Race) -> None:
    await race(await backend.state())


@pytest.mark.parametrize("race", RACES_OF_TASKS.values(), ids=RACES_OF_TASKS)
async def test_a_race_of_tasks(backend: Backend, race: Race) -> None:
    await race(await backend.state())
