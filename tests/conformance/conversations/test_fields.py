"""Every field of a message and of a conversation is shown wherever they are. test_export_and_import.py has the rest."""

import json
from typing import Any

import pytest

from support.backends import Backend
from support.fields import every_field
from support.records import conversation, conversation_record, message_records, new_message, plain
from threadkeep.conversations.models import NewConversation, NewMessage
from threadkeep.conversations.records import SearchQuery
from threadkeep.ids import new_id
from threadkeep.validation import parse

pytestmark = pytest.mark.anyio

LARGE = [{"type": "text", "text": "x" * 600_000}]
"""Of which two are more than a page."""


def differing(shown: Any, sent: dict[str, Any]) -> dict[str, Any]:
    """The fields that were sent and are not shown as they were."""
    shown = plain(shown)
    return {name: value for name, value in sent.items() if shown.get(name) != value}


async def test_every_field_of_a_message_is_shown_wherever_the_message_is(backend: Backend) -> None:
    store = await backend.store()
    parent_id = new_id()
    record = conversation(new_message(id=parent_id), title="Mine")
    await store.create_conversation(record)
    since = (await store.changes()).next
    content = [{"type": "text", "text": "an aardvark"}]
    sent = every_field(NewMessage, id=new_id(), parentId=parent_id, content=content)
    await store.append_messages(record.id, message_records([new_message(**sent)]))
    places = {
        "a page forward": (await store.list_messages(record.id, after=1)).messages,
        "a page of a path forward": (await store.list_messages(record.id, branch="active", after=1)).messages,
        "a page backward": (await store.list_messages(record.id, branch="all")).messages[1:],
        "a page of a path": (await store.list_messages(record.id)).messages[1:],
        "the changes": (await store.changes(since)).messages,
        "a hit": [hit.message for hit in (await store.search(SearchQuery(text="aardvark"))).hits],
    }
    large = every_field(NewMessage, id=new_id(), parentId=parent_id, content=LARGE)
    await store.append_messages(record.id, message_records([new_message(**large)]))
    await store.append_messages(record.id, message_records([new_message(**{**large, "id": new_id()})]))
    places["a page of large ones"] = (await store.list_messages(record.id, after=2)).messages
    for place, messages in places.items():
        assert len(messages) == 1, place
        assert differing(messages[0], large if "large" in place else sent) == {}, place


async def test_every_field_of_a_conversation_is_shown_wherever_the_conversation_is(backend: Backend) -> None:
    store = await backend.store()
    sent = every_field(NewConversation, id=new_id(), messages=[], title="an aardvark")
    record = conversation_record(parse(json.dumps(sent).encode(), NewConversation))
    created, _ = await store.create_conversation(record)
    del sent["messages"]
    places = {
        "the answer": [created],
        "the conversation itself": [await store.get_conversation(record.id)],
        "a page": (await store.list_conversations()).conversations,
        "the changes": (await store.changes("0")).conversations,
        "a hit": [hit.conversation for hit in (await store.search(SearchQuery(text="aardvark"))).hits],
    }
    for place, conversations in places.items():
        assert len(conversations) == 1, place
        assert differing(conversations[0], sent) == {}, place
