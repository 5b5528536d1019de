"""A second device that follows the changes, while branches come, go and come back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.backends import BACKENDS, NATIVE, Backend, opening
from support.examples import examples
from support.records import all_messages, conversation, message, message_edit, new_message, plain
from threadkeep.conversations.forking import fork_conversation
from threadkeep.conversations.models import Conversation, Message, NewFork
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, CursorExpired, Invalid, NotFound
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

OPERATIONS = 500


class Device:
    """What it holds, by conversation: it applies every page as docs/sync.md says."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.begin_anew()

    def begin_anew(self) -> None:
        self.cursor = "0"
        self.conversations: dict[str, Conversation] = {}
        self.messages: dict[str, dict[int, Message]] = {}

    async def follow(self, store: Store) -> None:
        has_more = True
        while has_more:
            try:
                page = await store.changes(self.cursor, limit=self.limit)
            except CursorExpired:
                self.begin_anew()
                continue
            for changed in page.conversations:
                if isinstance(changed, Conversation):
                    self.conversations[changed.id] = changed
                else:
                    self.conversations.pop(changed.id, None)
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


class Life:
    """One random history of a user, of all that can happen to messages, and a second device that follows it."""

    def __init__(self, backend: Backend, user_id: str, store: Store, seed: int) -> None:
        self.backend, self.user_id, self.store = backend, user_id, store
        self.chance = random.Random(seed)
        self.device = Device(limit=self.chance.choice((1, 3, 200)))
        self.sent: dict[str, list[str]] = {}
        """The ids of messages by conversation; what became of them, the store knows."""

    async def begin(self) -> None:
        first = new_id()
        record = conversation(new_message("text", id=first))
        await self.store.create_conversation(record)
        self.sent[record.id] = [first]

    async def append(self, conversation_id: str, **link: Any) -> None:
        new = message("text", **link)
        await self.store.append_messages(conversation_id, [new])
        self.sent[conversation_id].append(new.id)

    async def fork(self, conversation_id: str, message_id: str) -> None:
        forked, _ = await fork_conversation(self.store, conversation_id, NewFork(message_id=message_id))
        self.sent[forked.id] = [each.id for each in await all_messages(self.store, forked.id)]

    async def operate(self) -> None:
        """Do anything to anything. What cannot be is refused, and changes nothing."""
        store, device = self.store, self.device
        id_ = self.chance.choice(list(self.sent))
        at = self.chance.choice(self.sent[id_])
        operations: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
            (6, lambda: self.append(id_)),
            (2, lambda: self.append(id_, parentId=at)),
            (3, lambda: self.append(id_, siblingOf=at)),  # an edit
            (3, lambda: self.append(id_, siblingOf=self.sent[id_][-1])),  # a regeneration
            (1, lambda: self.append(id_, isRoot=True)),
            (1, lambda: self.append(id_, select=False)),
            (3, lambda: store.select_leaf(id_, at, descend=self.chance.random() < 0.5)),
            (3, lambda: store.delete_branch(id_, at)),
            (3, lambda: store.restore_branch(id_, at)),
            (1, lambda: store.update_message(id_, at, message_edit({"vote": self.chance.random()}))),
            (1, lambda: self.fork(id_, at)),
            (1, self.begin),
            (1, lambda: store.delete_conversation(id_)),
            (2, lambda: store.restore_conversation(id_)),
            (5, lambda: device.follow(store)),
        ]
        weights = [weight for weight, _ in operations]
        ((_, operation),) = self.chance.choices(operations, weights)
        with suppress(NotFound, Conflict, Invalid):
            await operation()

    async def check(self) -> None:
        """Compare what the device holds with what the store does."""
        await self.device.follow(self.store)
        kept: dict[str, Conversation] = {}
        page = await self.store.list_conversations(limit=100)
        while True:
            kept |= {each.id: each for each in page.conversations}
            if page.next_cursor is None:
                break
            page = await self.store.list_conversations(cursor=page.next_cursor, limit=100)
        assert plain(self.device.conversations) == plain(kept)
        for id_ in kept:
            held = self.device.messages.get(id_, {})
            assert plain([held[seq] for seq in sorted(held)]) == plain(await all_messages(self.store, id_))

    async def live(self) -> None:
        await self.begin()
        for number in range(OPERATIONS):
            await self.operate()
            if number in (200, 350):  # all that is deleted by then is gone for good
                await self.backend.purge(self.user_id, 2**52)
        await self.check()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_second_device_ends_equal_after_many_operations(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with asyncio.Runner() as runner:
        opened = opening(name, request, tmp_path)
        backend = runner.run(opened.__aenter__())

        @settings(
            max_examples=examples(20 if name in NATIVE else 1),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),  # another seed is no smaller history
        )
        @given(st.integers(0, 2**32))
        def live(seed: int) -> None:
            async def life() -> None:
                user_id = f"life-{new_id()}"
                await Life(backend, user_id, await backend.store(user_id), seed).live()

            runner.run(life())

        try:
            live()
        finally:
            runner.run(opened.__aexit__(None, None, None))
