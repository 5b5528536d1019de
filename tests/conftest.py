"""Fixtures for all tests: async tests run on asyncio, and the back ends are made once where that costs time."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import tiers
from hypothesis import HealthCheck, settings

from support.backends import BACKENDS, NATIVE, Backend, over_worker, shared_by_all_tests, worker
from toolbox.worker import LocalWorker

# A machine that is busy is slow, and nothing is wrong with that. httpx would give up after five seconds, and Hypothesis
# refuse an example that takes longer than 0.2.
for wait in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, wait, 60)
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", _PATIENT, max_examples=100)
settings.register_profile("push", _PATIENT, max_examples=20)
settings.load_profile("push")  # unless pytest is called with --hypothesis-profile=nightly


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tiers.place(items)


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


@pytest.fixture(scope="session")
async def memory_backend(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    async with NATIVE["memory"](tmp_path_factory.mktemp("memory")) as opened:
        yield opened


@pytest.fixture(scope="session")
async def sqlite_backend(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    async with NATIVE["sqlite"](tmp_path_factory.mktemp("sqlite")) as opened:
        yield opened


@pytest.fixture(scope="session")
async def sqlite_in_memory_backend(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Backend]:
    async with NATIVE["sqlite in memory"](tmp_path_factory.mktemp("sqlite")) as opened:
        yield opened


@pytest.fixture(scope="session")
async def postgres_backend(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    async with NATIVE["postgres"](tmp_path_factory.mktemp("postgres")) as opened:
        yield opened


@pytest.fixture(scope="session")
async def d1_backend(anyio_backend: str, d1_worker: LocalWorker) -> AsyncIterator[Backend]:
    async with over_worker(d1_worker) as opened:
        yield opened


@pytest.fixture(scope="session")
async def durable_object_backend(anyio_backend: str, durable_object_worker: LocalWorker) -> AsyncIterator[Backend]:
    async with over_worker(durable_object_worker) as opened:
        yield opened


@pytest.fixture(scope="session")
async def postgres_in_a_Worker_backend(anyio_backend: str, postgres_worker: LocalWorker) -> AsyncIterator[Backend]:  # noqa: N802
    async with over_worker(postgres_worker) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn."""
    return shared_by_all_tests(request)
