"""Two devices that only follow the changes, beside hundreds of random operations of three writers at once."""

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.backends import BACKENDS, NATIVE, Backend, opening
from support.examples import examples
from support.records import conversation, edit, message_edit, message_records, new_message
from support.replica import Replica, everything_in
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound
from threadkeep.ids import new_id

OPERATIONS = 500
OPERATIONS_IN_A_WORKER = 200
"""On a push. By night there are as many as anywhere."""
WRITERS = 3
CONVERSATIONS = 12  # few, so that operations meet

numbers = st.integers(0, CONVERSATIONS - 1)
operations = st.one_of(
    st.tuples(st.just("create"), numbers, st.integers(0, 3)),
    st.tuples(st.just("append"), numbers, st.integers(1, 5)),
    st.tuples(st.just("append"), numbers, st.integers(1, 5)),
    st.tuples(st.just("edit"), numbers, st.integers(0, 9)),
    st.tuples(st.just("vote"), numbers, st.integers(0, 9)),
    st.tuples(st.just("delete"), numbers, st.just(0)),
    st.tuples(st.just("restore"), numbers, st.just(0)),
    st.tuples(st.just("purge"), st.just(0), st.just(0)),
    st.tuples(st.just("follow"), numbers, st.integers(0, 1)),
)


def histories(count: int) -> st.SearchStrategy[tuple[list[tuple[str, int, int]], int]]:
    """So many operations in one piece, since hypothesis seldom makes long lists; and an erasure somewhere in it."""
    return st.tuples(st.lists(operations, min_size=count, max_size=count), st.integers(count // 3, count * 2 // 3))


class Run:
    """One history: a user, three writers, and two devices, of which one reads row by row."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.user_id = f"feed-{new_id()}"
        self.devices = [(Replica(), 1, asyncio.Lock()), (Replica(), 500, asyncio.Lock())]
        self.ids = [new_id() for _ in range(CONVERSATIONS)]

    async def do(self, store: Store, operation: tuple[str, int, int]) -> None:
        kind, number, size = operation
        conversation_id = self.ids[number]
        try:
            match kind:
                case "create":
                    sent = [new_message(f"{number} {place}") for place in range(size)]
                    await store.create_conversation(conversation(*sent, id=conversation_id))
                case "append":
                    sent = [new_message(f"{number} {place}") for place in range(size)]
                    await store.append_messages(conversation_id, message_records(sent))
                case "edit":
                    await store.update_conversation(conversation_id, edit(title=f"title {size}"))
                case "vote":
                    for message in (await store.list_messages(conversation_id, limit=2)).messages:
                        await store.update_message(conversation_id, message.id, message_edit({"vote": size}))
                case "delete":
                    await store.delete_conversation(conversation_id)
                case "restore":
                    await store.restore_conversation(conversation_id)
                case "purge":
                    await self.backend.purge(self.user_id, 2**52)
                case "follow":
                    device, limit, one_at_a_time = self.devices[size]
                    async with one_at_a_time:
                        await device.follow_or_begin_again(store, limit)
                case "erase":
                    await store.erase()
                    await self.backend.sweep(store)
        except (NotFound, Conflict):
            pass  # another writer was faster: that is part of it

    async def all(self, history: list[tuple[str, int, int]]) -> None:
        stores = [await self.backend.store(self.user_id) for _ in range(WRITERS)]
        for start in range(0, len(history), WRITERS):
            together = history[start : start + WRITERS]
            await asyncio.gather(*map(self.do, stores, together))
        everything = await everything_in(stores[0])
        for device, limit, _ in self.devices:
            await device.follow_or_begin_again(stores[0], limit)
            device.assert_equals(*everything)
        await self.backend.check(self.user_id)


@pytest.mark.parametrize("name", BACKENDS)
def test_devices_that_follow_the_changes_hold_what_the_server_holds(
    name: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    count = OPERATIONS if name in NATIVE else max(OPERATIONS_IN_A_WORKER, examples(OPERATIONS, in_a_worker=True))
    with asyncio.Runner() as runner:
        opened = opening(name, request, tmp_path)
        backend = runner.run(opened.__aenter__())

        @settings(
            max_examples=examples(10 if name in NATIVE else 2),
            phases=[Phase.explicit, Phase.generate],  # to make so many operations fewer would take hours
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(histories(count))
        def follow(history: tuple[list[tuple[str, int, int]], int]) -> None:
            steps, erased_at = history
            steps[erased_at] = ("erase", 0, 0)
            runner.run(Run(backend).all(steps))

        try:
            follow()
        finally:
            runner.run(opened.__aexit__(None, None, None))
