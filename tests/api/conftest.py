"""What a user keeps while others, or the user, ask for what cannot be."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from asking import API, Kept, create, everything, message, send

from support.backends import BACKENDS, SERVER, Backend, shared_by_all_tests
from threadkeep.ids import new_id

DOORS = ("sqlite", "durable-object", SERVER)
"""The front doors: in this process, a Worker, and the plain server."""


async def _keep(backend: Backend) -> Kept:
    user_id = f"user-{new_id()}"
    client = backend.client_of(user_id)
    sent = [message("Who was Ada?"), message("A mathematician.", role="assistant", tokenCount=4, metadata={"a": 1})]
    kept = await create(client, title="Ada", model="m", metadata={"a": {"b": 1}}, messages=sent)
    archived = await create(client, messages=[message("elsewhere")])
    await send(client, "PATCH", f"{API}/{archived['id']}", {"isArchived": True})
    before = await everything(client)
    elsewhere_id = before[archived["id"]][1][0]["id"]
    return Kept(user_id, client, kept["id"], [new["id"] for new in sent], elsewhere_id, before, backend.is_worker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Send what gets no further than the front door to three of them, and what reaches a store to every store."""
    if "backend" in metafunc.fixturenames:
        marked = {mark.name for mark in metafunc.definition.iter_markers()}
        at_the_door = "front_door" in marked and "reaches_a_store" not in marked
        metafunc.parametrize("backend", DOORS if at_the_door else [*BACKENDS, SERVER], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn, and the plain server as it runs anywhere."""
    return shared_by_all_tests(request)


@pytest.fixture(scope="session")
def kept_by_backends() -> dict[str, Kept]:
    """Made once for each back end, since it never changes."""
    return {}


@pytest.fixture
async def kept(
    request: pytest.FixtureRequest, backend: Backend, kept_by_backends: dict[str, Kept]
) -> AsyncIterator[Kept]:
    """What a user keeps. Whatever the test asks for, all of it is the same afterwards."""
    name = request.node.callspec.params["backend"]
    known = kept_by_backends.get(name)
    kept = await _keep(backend) if known is None else replace(known, client=backend.client_of(known.user_id))
    kept_by_backends[name] = kept
    yield kept
    after = await everything(kept.client)
    if after != kept.before:
        del kept_by_backends[name]
    assert after == kept.before
