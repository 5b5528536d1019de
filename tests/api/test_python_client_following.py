"""Our client in Python follows the changes as they happen, whether it blocks or not."""

import asyncio

import httpx
import pytest

from support.backends import SERVER, WORKERS, Backend, shared_by_all_tests
from support.python_client import KINDS, python_client
from threadkeep.errors import CursorExpired
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]

PATIENCE_SECONDS = 30


@pytest.fixture(params=[SERVER, *WORKERS])
def running(request: pytest.FixtureRequest) -> Backend:
    """Whatever sends an answer while it is made."""
    return shared_by_all_tests(request)


async def test_what_happens_comes_as_it_happens_whatever_breaks(running: Backend, kind: str) -> None:
    user = f"user-{new_id()}"
    to_break = 1

    def loses(request: httpx.Request) -> bool:
        nonlocal to_break
        to_break -= request.url.path.endswith("/stream")
        return to_break == 0 and request.url.path.endswith("/stream")

    client, writer = python_client(running, user, kind, loses), python_client(running, user, "async")
    conversation = await writer.conversations.create(messages=[{"role": "user", "content": "first"}])
    async with asyncio.timeout(PATIENCE_SECONDS):
        followed = client.changes("0", follow=True).__aiter__()
        assert [message.text for message in (await anext(followed)).messages] == ["first"]
        for text in ("second", "third\u2028"):
            await conversation.append(role="user", content=text)
            changes = await anext(followed)
            assert [message.text for message in changes.messages] == [text]
            assert [each.id for each in changes.conversations] == [conversation.id]
        await conversation.delete()
        assert [each.id for each in (await anext(followed)).deleted] == [conversation.id]
        await writer.store.erase()
        with pytest.raises(CursorExpired, match="Start again with since=0"):
            await anext(followed)
