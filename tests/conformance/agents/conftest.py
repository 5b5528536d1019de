"""The state of agents over every back end, and over the plain server: what cannot be asked over HTTP says so."""

import pytest

from support.backends import BACKENDS, SERVER, Backend, shared_by_all_tests


@pytest.fixture(params=[*BACKENDS, SERVER])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn, and the plain server as it runs anywhere."""
    return shared_by_all_tests(request)
