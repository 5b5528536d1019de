"""Fixtures for all tests: async tests run on asyncio, and the back ends are made once where that costs time."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

import tiers
from support.backends import BACKENDS, Backend, fixture_of, opening, over_http, server, shared_by_all_tests, worker
from support.interrupts import pytest_keyboard_interrupt  # noqa: F401 a hook
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker

pytest.register_assert_rewrite("threadkeep.conformance")

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


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> tiers.GroupScheduling:
    return tiers.GroupScheduling(config, log)


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
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
async def server_backend(anyio_backend: str, running_server: LocalServer) -> AsyncIterator[Backend]:
    async with over_http(running_server.store, running_server.url) as opened:
        yield opened


def _opened_once(name: str) -> Any:
    """The fixture of a back end, which stays open for all tests of this process."""

    @pytest.fixture(scope="session", name=fixture_of(name))
    async def opened(
        request: pytest.FixtureRequest, anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
    ) -> AsyncIterator[Backend]:
        async with opening(name, request, tmp_path_factory.mktemp("opened")) as made:
            yield made

    return opened


for _name in BACKENDS:
    globals()[fixture_of(_name)] = _opened_once(_name)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn."""
    return shared_by_all_tests(request)
