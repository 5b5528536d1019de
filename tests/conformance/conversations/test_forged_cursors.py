"""Cursors that nobody was given: whatever number stands in one, it is a place in the list or it is refused."""

from contextlib import suppress
from itertools import product

import pytest

from support.backends import Backend
from support.examples import some
from support.records import conversation, new_message
from threadkeep.conversations import cursors
from threadkeep.conversations.cursors import (
    AfterChange,
    AfterConversation,
    AfterHits,
    AfterMessage,
    AfterOnPath,
    BeforeMessage,
    BeforeOnPath,
    Cursor,
)
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import CursorExpired, Invalid

pytestmark = pytest.mark.anyio

# At and around the ends of what a column, a driver or a double holds.
EXTREMES = [end + step for end in (0, 2**15, 2**31, 2**32, 2**53, 2**63) for step in (-2, -1, 0, 1)]


def forged(cursor: Cursor, *, in_a_worker: bool) -> dict[str, str]:
    """The cursor with each of its numbers at each extreme, and with all of them there."""
    numbers = [name for name in cursor.__struct_fields__ if type(getattr(cursor, name)) is int]
    assert numbers
    values = {name: getattr(cursor, name) for name in cursor.__struct_fields__}
    made = {}
    for extreme in EXTREMES:
        made[f"all {extreme}"] = cursors.encode(type(cursor)(**{**values, **dict.fromkeys(numbers, extreme)}))
    if len(numbers) > 1:
        for extreme, name in some(product(EXTREMES, numbers), in_a_worker=in_a_worker):
            made[f"{name} {extreme}"] = cursors.encode(type(cursor)(**{**values, name: extreme}))
    return made


async def follow(store: Store, conversation_id: str, cursor: Cursor, text: str) -> None:
    if isinstance(cursor, AfterConversation):
        await store.list_conversations(cursor=text)
    elif isinstance(cursor, AfterHits):
        await store.search(SearchQuery(text="hello"), cursor=text)
    elif isinstance(cursor, AfterChange):
        await store.changes(text)
    else:
        await store.list_messages(conversation_id, cursor=text)


@pytest.mark.parametrize("kind", Cursor.__args__, ids=lambda kind: kind.__name__)
async def test_whatever_number_is_in_a_cursor_it_leads_somewhere_or_is_refused(
    backend: Backend, subtests: pytest.Subtests, kind: type[Cursor]
) -> None:
    store = await backend.store()
    record = conversation(new_message("hello"), new_message("hello again"))
    await store.create_conversation(record)
    epoch = cursors.decode_change((await store.changes()).next).epoch
    cursor: Cursor = {
        AfterConversation: AfterConversation(1, record.id),
        BeforeMessage: BeforeMessage(1),
        AfterMessage: AfterMessage(1),
        BeforeOnPath: BeforeOnPath(1),
        AfterOnPath: AfterOnPath(1, 2),
        AfterHits: AfterHits(1),
        AfterChange: AfterChange(epoch, 1, 0, 0, 0),
    }[kind]
    await follow(store, record.id, cursor, cursors.encode(cursor))
    for name, text in forged(cursor, in_a_worker=backend.is_worker).items():
        with subtests.test(name), suppress(Invalid, CursorExpired):
            await follow(store, record.id, cursor, text)
    assert len((await store.list_messages(record.id)).messages) == 2
