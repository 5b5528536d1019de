"""Erasing on Postgres, which overwrites nothing: whatever a row holds, the row has to go."""

import pytest
from msgspec import Raw

from support import stores
from support.postgres import ask, new_schema, server
from support.records import conversation, message, new_message
from threadkeep.conformance.helpers import blobs, threads
from threadkeep.conformance.helpers.journals import append, put
from threadkeep.conformance.helpers.tasks import admit, change_lane
from threadkeep.conversations import retention
from threadkeep.conversations.drafts.models import NewDraft, NewParts, Op
from threadkeep.conversations.drafts.service import start_draft, write_parts
from threadkeep.conversations.models import Erased

pytestmark = pytest.mark.anyio

NOBODYS = {"threadkeep_migrations": "It says which migrations the schema has, and nothing of any user."}
"""What an erasure leaves alone, each with its reason."""


async def rows_in(schema: str) -> dict[str, int]:
    """How many rows each table has."""
    tables = await ask("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1", schema)
    names = {table["name"] for table in tables}
    assert names >= set(NOBODYS)
    return {name: len(await ask(f"SELECT 1 FROM {schema}.{name}")) for name in names - set(NOBODYS)}


async def test_an_erasure_leaves_no_row_in_any_table() -> None:
    schema = new_schema()
    executor = await stores.open_postgres(server().url(schema=schema))
    store = stores.open_sql(executor, "ada")
    animals = conversation(sent := new_message("an aardvark"), title="Animals")
    await store.create_conversation(animals)
    await store.append_messages(animals.id, [message("a zebra", siblingOf=sent.id)])
    await store.delete_branch(animals.id, str(sent.id))
    draft, _ = await start_draft(store, animals.id, NewDraft(id="written"))
    part = [Op(block=0, set=Raw(b'{"type": "text", "text": "a yak"}'))]
    await write_parts(store, draft.id, NewParts(fence=1, first=0, parts=[part]))
    await put(store.state)
    await append(store.state, "x" * 1_000_000)
    await blobs.put(store.state)
    await admit(store.state, "task", payload="x" * 1_000_000)
    await change_lane(store.state, "close", lane="another")
    await threads.put(store.state, "1", values={("a", "1"): 1})
    await threads.write(store.state, "1", ("a", 1))
    # A title, as the version before has put it.
    await ask(f"INSERT INTO {schema}.words SELECT * FROM {schema}.search_index_2 WHERE n < 0")
    await ask(f"DELETE FROM {schema}.search_index_2 WHERE n < 0")
    empty = [name for name, count in (await rows_in(schema)).items() if not count]
    assert not empty, f"This test has to keep something in {', '.join(empty)}."
    assert await retention.erase(store) == (Erased(1, 2, 1, 1, threads=1, tasks=1), True)
    left = [name for name, count in (await rows_in(schema)).items() if count]
    assert not left, f"Nothing removes the rows of {', '.join(left)}."
    await executor.close()
