"""The change counter: every write stamps what it touched with the next rev, and one that changes nothing takes none.

Looked at in the tables themselves, on a SQLite in this process, whose statements are those of D1 and Durable Objects.
"""

from typing import Any

import pytest

from support.records import conversation, edit, messages, new_message
from support.stores import open_sqlite
from threadkeep.errors import Conflict, NotFound, Stale
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor, read

pytestmark = pytest.mark.anyio


@pytest.fixture
async def executor() -> Any:
    made: Any = await open_sqlite(":memory:")
    yield made
    made.close()


async def revs(executor: Executor) -> dict[str, Any]:
    """The counter of user `u`, and the revs of what they have, in order of creation."""
    owner, kept, sent = await executor.run(
        read("SELECT rev, floor, epoch FROM owners WHERE user_id = 'u'")(),
        read("SELECT rev FROM conversations WHERE user_id = 'u' ORDER BY n")(),
        read("SELECT rev FROM messages WHERE user_id = 'u' ORDER BY n")(),
    )
    return {
        "owner": owner[0]["rev"] if owner else None,
        "conversations": [row["rev"] for row in kept],
        "messages": [row["rev"] for row in sent],
    }


async def test_each_write_takes_the_next_rev_and_stamps_what_it_touched(executor: Executor) -> None:
    store = SqlStore(executor, "u")
    first, second = conversation(new_message("a"), new_message("b")), conversation()
    await store.create_conversation(first)
    assert await revs(executor) == {"owner": 1, "conversations": [1], "messages": [1, 1]}
    await store.create_conversation(second)
    assert await revs(executor) == {"owner": 2, "conversations": [1, 2], "messages": [1, 1]}
    await store.append_messages(second.id, messages(2))
    assert await revs(executor) == {"owner": 3, "conversations": [1, 3], "messages": [1, 1, 3, 3]}
    await store.update_conversation(first.id, edit(title="T"))
    assert await revs(executor) == {"owner": 4, "conversations": [4, 3], "messages": [1, 1, 3, 3]}
    await store.delete_conversation(first.id)
    assert await revs(executor) == {"owner": 5, "conversations": [5, 3], "messages": [1, 1, 3, 3]}
    await store.restore_conversation(first.id)
    assert await revs(executor) == {"owner": 6, "conversations": [6, 3], "messages": [6, 6, 3, 3]}


async def test_a_write_that_changes_nothing_takes_no_rev(executor: Executor) -> None:
    store = SqlStore(executor, "u")
    record = conversation(new_message("a"))
    sent = messages(2)
    await store.create_conversation(record)
    await store.append_messages(record.id, sent)
    before = await revs(executor)
    await store.create_conversation(record)
    await store.append_messages(record.id, sent)
    await store.update_conversation(record.id, edit())
    await store.restore_conversation(record.id)
    with pytest.raises(Stale):
        await store.append_messages(record.id, messages(1), expected_message_count=0)
    with pytest.raises(Stale):
        await store.update_conversation(record.id, edit(title="T"), expected_version=7)
    with pytest.raises(Conflict):
        await store.append_messages(record.id, [*messages(1), *messages(1, id=sent[0].id, role="tool")])
    with pytest.raises(Conflict):
        await store.create_conversation(conversation(title="other", id=record.id))
    await store.delete_conversation(record.id)
    deleted = await revs(executor)
    await store.delete_conversation(record.id)
    with pytest.raises(NotFound):
        await store.append_messages(record.id, messages(1))
    assert await revs(executor) == deleted
    assert deleted["owner"] == before["owner"] + 1


async def test_an_append_larger_than_one_value_is_one_rev(executor: Executor) -> None:
    store = SqlStore(executor, "u")
    record = conversation()
    await store.create_conversation(record)
    await store.append_messages(record.id, messages(4))
    await store.append_messages(record.id, [large() for _ in range(4)])
    assert await revs(executor) == {"owner": 3, "conversations": [3], "messages": [2] * 4 + [3] * 4}


async def test_each_user_has_a_counter_and_an_epoch_of_their_own(executor: Executor) -> None:
    for user_id, count in (("u", 3), ("v", 1)):
        for _ in range(count):
            await SqlStore(executor, user_id).create_conversation(conversation())
    (owners,) = await executor.run(read("SELECT user_id, rev, floor, epoch FROM owners ORDER BY user_id")())
    assert [(row["user_id"], row["rev"], row["floor"]) for row in owners] == [("u", 3, 0), ("v", 1, 0)]
    assert len({row["epoch"] for row in owners}) == 2


def large() -> Any:
    return messages(1, content=[{"type": "text", "text": "x" * 900_000}])[0]
