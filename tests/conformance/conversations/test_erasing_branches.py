"""Erasing conversations with branches: an id that is used again finds nothing of them."""

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, message, new_message
from threadkeep.conversations.models import Conversation
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def test_a_conversation_under_an_id_that_had_branches_begins_without_any(backend: Backend) -> None:
    store = await backend.store("branches-erased")
    ids = [new_id() for _ in range(4)]
    record = conversation(*(new_message("text", id=each) for each in ids), id="again")
    await store.create_conversation(record)
    await store.append_messages("again", [message("text", siblingOf=ids[1])])
    await store.delete_branch("again", ids[2])
    await store.erase()
    await backend.sweep(store)
    await store.create_conversation(conversation(*(new_message("text") for _ in range(5)), id="again"))
    assert [row.follows for row in await all_messages(store, "again")] == [0, 1, 2, 3, 4]
    page = await store.changes("0")
    assert page.removed == []
    (kept,) = page.conversations
    assert isinstance(kept, Conversation)
    assert kept.leaf_id == page.messages[-1].id
