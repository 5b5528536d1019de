"""Fixtures for all tests: async tests run on asyncio, and the back ends are made once where that costs time."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.backends import BACKENDS, EXCEPTIONS, NATIVE, Backend, over_http, worker
from toolbox.worker import LocalWorker


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


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each back end in turn."""
    name: str = request.param
    reason = EXCEPTIONS[name].get(request.node.originalname)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")  # EXCEPTIONS has the reasons; there are none today
    if name in NATIVE:
        async with NATIVE[name](tmp_path) as made:
            yield made
    else:
        running: LocalWorker = request.getfixturevalue(f"{name.replace('-', '_')}_worker")
        async with over_http(name, running.url) as made:
            yield made
