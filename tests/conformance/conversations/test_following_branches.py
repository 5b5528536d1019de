"""A second device that follows the changes, while branches come, go and come back."""

import random
from contextlib import suppress

import pytest

from support.backends import Backend
from support.records import all_messages, conversation, message, new_message
from threadkeep.conversations.models import Conversation, Message
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

OPERATIONS = 500


class Device:
    """What it holds, by conversation: it applies every page as docs/sync.md says."""

    def __init__(self, limit: int) -> None:
        self.cursor = "0"
        self.limit = limit
        self.leaves: dict[str, str | None] = {}
        self.messages: dict[str, dict[int, Message]] = {}

    async def follow(self, store: Store) -> None:
        has_more = True
        while has_more:
            page = await store.changes(self.cursor, limit=self.limit)
            for changed in page.conversations:
                if isinstance(changed, Conversation):
                    self.leaves[changed.id] = changed.leaf_id
                else:
                    self.leaves.pop(changed.id, None)
                    self.messages.pop(changed.id, None)
            for row in page.messages:
                self.messages.setdefault(row.conversation_id, {})[row.seq] = row
            for gone in page.removed:
                held = self.messages.get(gone.conversation_id, {})
                for seq in range(gone.from_seq, gone.to_seq + 1):
                    held.pop(seq, None)
            self.cursor, has_more = page.next, page.has_more


async def test_a_removal_is_told_once_and_a_restoration_brings_the_messages_again(backend: Backend) -> None:
    store = await backend.store()
    ids = [new_id() for _ in range(4)]
    record = conversation(*(new_message("text", id=each) for each in ids))
    await store.create_conversation(record)
    cursor = (await store.changes("0")).next
    await store.delete_branch(record.id, ids[2])
    page = await store.changes(cursor)
    assert page.messages == []
    assert [(each.conversation_id, each.from_seq, each.to_seq) for each in page.removed] == [(record.id, 3, 4)]
    assert (await store.changes(page.next)).removed == []
    assert [row.seq for row in (await store.changes("0")).messages] == [1, 2]
    await store.restore_branch(record.id, ids[3])
    restored = await store.changes(page.next)
    assert (sorted(row.seq for row in restored.messages), restored.removed) == ([3, 4], [])
    assert (await store.changes("0")).removed == []


async def test_nobody_is_told_what_somebody_else_has_removed(backend: Backend) -> None:
    ids = [new_id(), new_id()]
    for user in ("one", "two"):
        store = await backend.store(user)
        await store.create_conversation(conversation(*(new_message("text", id=each) for each in ids), id="shared"))
    await (await backend.store("one")).delete_branch("shared", ids[1])
    assert (await (await backend.store("two")).changes("0")).removed == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_second_device_ends_equal_after_many_operations(backend: Backend, seed: int) -> None:
    chance = random.Random(seed)
    store = await backend.store()
    sent: dict[str, list[str]] = {}
    device = Device(limit=chance.choice((1, 3, 200)))

    async def begin() -> None:
        first = new_id()
        record = conversation(new_message("text", id=first))
        await store.create_conversation(record)
        sent[record.id] = [first]

    await begin()
    for _ in range(OPERATIONS):
        conversation_id = chance.choice(list(sent))
        ids = sent[conversation_id]
        at = chance.choice(ids)
        kept = [row.id for row in await all_messages(store, conversation_id)]
        action = chance.random()
        if action < 0.03:
            await begin()
        elif action < 0.05:
            await store.delete_conversation(conversation_id)
            if chance.random() < 0.5:
                await device.follow(store)
            await store.restore_conversation(conversation_id)
        elif action < 0.2 and at != ids[0]:
            await store.delete_branch(conversation_id, at)
        elif action < 0.35:
            with suppress(Conflict):  # where what it follows is deleted itself
                await store.restore_branch(conversation_id, at)
        elif action < 0.45 and at in kept:
            await store.select_leaf(conversation_id, at)
        elif action < 0.6:
            await device.follow(store)
        else:
            link = {} if action < 0.8 or at not in kept else {"parentId": at}
            new = message("text", **link)
            await store.append_messages(conversation_id, [new])
            ids.append(new.id)
    await device.follow(store)
    for conversation_id in sent:
        conversation_now = await store.get_conversation(conversation_id)
        assert device.leaves[conversation_id] == conversation_now.leaf_id
        held = device.messages[conversation_id]
        assert [held[seq] for seq in sorted(held)] == await all_messages(store, conversation_id)
