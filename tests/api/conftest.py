"""What a user keeps while others, or the user, ask for what cannot be."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from asking import API, Kept, create, everything, message, send

from support.backends import BACKENDS, Backend, made_for, over_http, server
from threadkeep.clock import new_id
from toolbox.server import LocalServer

SERVER = "server"


async def _keep(backend: Backend) -> Kept:
    user_id = f"user-{new_id()}"
    client = backend.client_of(user_id)
    sent = [message("Who was Ada?"), message("A mathematician.", role="assistant", tokenCount=4, metadata={"a": 1})]
    kept = await create(client, title="Ada", model="m", metadata={"a": {"b": 1}}, messages=sent)
    archived = await create(client, messages=[message("elsewhere")])
    await send(client, "PATCH", f"{API}/{archived['id']}", {"isArchived": True})
    before = await everything(client)
    elsewhere_id = before[archived["id"]][1][0]["id"]
    return Kept(user_id, client, kept["id"], [new["id"] for new in sent], elsewhere_id, before)


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(params=[*BACKENDS, SERVER])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each back end in turn, and the plain server as it runs anywhere."""
    if request.param == SERVER:
        running: LocalServer = request.getfixturevalue("running_server")
        async with over_http(running.store, running.url) as made:
            yield made
    else:
        async with made_for(request, tmp_path) as made:
            yield made


@pytest.fixture(scope="session")
def kept_by_workers() -> dict[str, Kept]:
    """Made once for each Worker, since it never changes."""
    return {}


@pytest.fixture
async def kept(backend: Backend, kept_by_workers: dict[str, Kept]) -> AsyncIterator[Kept]:
    """What a user keeps. Whatever the test asks for, all of it is the same afterwards."""
    known = kept_by_workers.get(backend.name) if backend.is_worker else None
    kept = await _keep(backend) if known is None else replace(known, client=backend.client_of(known.user_id))
    if backend.is_worker:
        kept_by_workers[backend.name] = kept
    yield kept
    after = await everything(kept.client)
    if after != kept.before and backend.is_worker:
        kept_by_workers.pop(backend.name, None)
    assert after == kept.before
