"""Races, over every back end: what must hold where many ask at once. See `support/races.py`."""

import pytest

from support.backends import NATIVE, Backend, shared_by_all_tests
from support.races import RACES, Race

pytestmark = pytest.mark.anyio


@pytest.fixture(params=NATIVE)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end whose store can be opened in this process."""
    return shared_by_all_tests(request)


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_a_race_ends_as_it_must(backend: Backend, race: Race) -> None:
    await race(await backend.state())
