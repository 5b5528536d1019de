"""What a user keeps while others, or the user, ask for what cannot be."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from asking import API, Kept, create, everything, message, send

from support.backends import WORKERS, Backend
from threadkeep.clock import new_id


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
def kept_by_workers() -> dict[str, Kept]:
    """Made once for each Worker, since it never changes."""
    return {}


@pytest.fixture
async def kept(backend: Backend, kept_by_workers: dict[str, Kept]) -> AsyncIterator[Kept]:
    """What a user keeps. Whatever the test asks for, all of it is the same afterwards."""
    known = kept_by_workers.get(backend.name)
    kept = await _keep(backend) if known is None else replace(known, client=backend.client_of(known.user_id))
    if backend.name in WORKERS:
        kept_by_workers[backend.name] = kept
    yield kept
    after = await everything(kept.client)
    if after != kept.before:
        kept_by_workers.pop(backend.name, None)
    assert after == kept.before
