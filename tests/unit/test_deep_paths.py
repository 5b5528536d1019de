"""Paths as deep as conversations get: nothing is cut off, however many branches leave them."""

from collections.abc import AsyncIterator

import pytest

from support.postgres import new_url
from support.records import conversation, message_records, new_message
from support.stores import open_postgres, open_sqlite
from threadkeep.conversations import forking
from threadkeep.conversations.forking import fork_conversation
from threadkeep.conversations.models import NewFork
from threadkeep.conversations.store import Store
from threadkeep.errors import TooLarge
from threadkeep.ids import new_id
from threadkeep.storage.sql import conversations as sql_store
from threadkeep.storage.sql.conversations import SqlStore

pytestmark = pytest.mark.anyio

TURNS = 5_100
AT_ONCE = 300


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        in_memory = await open_sqlite(":memory:")
        yield SqlStore(in_memory, "ada")
        in_memory.close()
    else:
        database = await open_postgres(new_url())
        yield SqlStore(database, "ada")
        await database.close()


async def test_a_path_in_which_every_answer_was_regenerated_is_read_and_forked_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = conversation()
    await store.create_conversation(record)
    for start in range(0, TURNS, AT_ONCE):
        sent = []
        for turn in range(start, start + AT_ONCE):
            first = new_id()
            sent += [
                new_message(f"question {turn}"),
                new_message(f"answer {turn}", id=first),
                new_message(f"again {turn}", siblingOf=first),
            ]
        await store.append_messages(record.id, message_records(sent))
    page = await store.list_messages(record.id, limit=200)
    seqs = [each.seq for each in page.messages]
    while page.next_cursor is not None:
        page = await store.list_messages(record.id, cursor=page.next_cursor, limit=200)
        seqs = [*(each.seq for each in page.messages), *seqs]
    assert seqs == [seq for turn in range(TURNS) for seq in (3 * turn + 1, 3 * turn + 3)]
    forked, _ = await fork_conversation(store, record.id, NewFork())
    assert forked.message_count == len(seqs) == 10_200
    newest = await store.list_messages(forked.id, limit=2)
    assert [each.seq for each in newest.messages] == [10_199, 10_200]
    for module in (forking, sql_store):
        monkeypatch.setattr(module, "FORKED_MESSAGES_MAX", 100)
    for end in (None, (await store.list_messages(forked.id, after=100, limit=1)).messages[0].id):
        with pytest.raises(TooLarge):
            await fork_conversation(store, forked.id, NewFork(message_id=end))
    end = (await store.list_messages(forked.id, after=99, limit=1)).messages[0].id
    assert (await fork_conversation(store, forked.id, NewFork(message_id=end)))[0].message_count == 100
