"""Fixtures for all tests: async tests run on asyncio, and the back ends are made once where that costs time."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from support.backends import BACKENDS, Backend, made_for, worker
from toolbox.worker import LocalWorker

# A machine that is busy is slow, and nothing is wrong with that. httpx would give up after five seconds, and Hypothesis
# refuse an example that takes longer than 0.2.
for wait in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, wait, 60)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def d1_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    with worker("d1", tmp_path_factory.mktemp("d1")) as running:
        yield running


@pytest.fixture(scope="session")
def durable_object_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    with worker("durable-object", tmp_path_factory.mktemp("durable-object")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    with worker("postgres", tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each back end in turn."""
    async with made_for(request, tmp_path) as made:
        yield made
