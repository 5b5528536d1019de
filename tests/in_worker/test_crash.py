"""workerd is killed while clients append: whatever was acknowledged is there, once, in an order without gaps."""

import asyncio
import itertools
from pathlib import Path

import pytest

from support.backends import WORKERS, over_http, worker
from support.drafts import all_messages, conversation, message, plain
from threadkeep.drafts import MessageDraft
from threadkeep.errors import ThreadkeepError

pytestmark = pytest.mark.anyio

CLIENTS = 16
APPENDS_BEFORE = 200


@pytest.mark.parametrize("name", [*WORKERS, "postgres"])
async def test_what_was_acknowledged_before_a_kill_is_there_once_and_in_order(name: str, tmp_path: Path) -> None:
    running = worker(name, tmp_path)
    draft = conversation()
    acknowledged: dict[str, int] = {}
    unanswered: list[MessageDraft] = []
    busy = asyncio.Event()
    running.start()
    try:
        async with over_http(name, running.url) as backend:
            store = await backend.store("u")
            await store.create_conversation(draft)

            async def append_until_it_dies(client: int) -> None:
                for number in itertools.count():
                    sent = message(f"client {client}, message {number}")
                    try:
                        appended, _ = await store.append_messages(draft.id, [sent])
                    except (ThreadkeepError, RuntimeError):
                        unanswered.append(sent)
                        return
                    acknowledged[sent.id] = appended.messages[0].seq
                    if len(acknowledged) == APPENDS_BEFORE:
                        busy.set()

            async def kill_while_they_are_busy() -> None:
                await busy.wait()
                await asyncio.to_thread(running.kill)

            await asyncio.gather(kill_while_they_are_busy(), *map(append_until_it_dies, range(CLIENTS)))
        assert len(unanswered) == CLIENTS

        running.start()
        async with over_http(name, running.url) as backend:
            store = await backend.store("u")
            rows = await all_messages(store, draft.id)
            kept = {row.id: row.seq for row in rows}
            assert [*kept.values()] == [*range(1, len(rows) + 1)]
            assert acknowledged.items() <= kept.items()
            assert kept.keys() <= acknowledged.keys() | {sent.id for sent in unanswered}
            assert (await store.get_conversation(draft.id)).message_count == len(rows)

            # Whoever got no answer sends again, and then everything is there once.
            for sent in unanswered:
                await store.append_messages(draft.id, [sent])
            rows = await all_messages(store, draft.id)
            assert len(rows) == len(acknowledged) + CLIENTS
            assert [row.seq for row in rows] == [*range(1, len(rows) + 1)]
            assert len({plain(row.content)[0]["text"] for row in rows}) == len(rows)
    finally:
        running.stop()
