"""Every field of a message and of a conversation, on all its ways: a field that is added has to be on each of them."""

import json
from typing import Any

import pytest

from support.backends import Backend
from support.fields import every_field
from support.records import conversation, conversation_record, new_message, plain
from threadkeep.clock import new_id
from threadkeep.conversations.export_v1 import DocumentConversation, DocumentMessage
from threadkeep.conversations.models import NewConversation, NewMessage
from threadkeep.conversations.records import SearchQuery
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
    record = conversation(title="Mine")
    await store.create_conversation(record)
    since = (await store.changes()).next
    sent = every_field(NewMessage, id=new_id(), content=[{"type": "text", "text": "an aardvark"}])
    await store.append_messages(record.id, conversation(new_message(**sent)).messages)
    places = {
        "a page forward": (await store.list_messages(record.id, after=0)).messages,
        "a page backward": (await store.list_messages(record.id)).messages,
        "the changes": (await store.changes(since)).messages,
        "a hit": [hit.message for hit in (await store.search(SearchQuery(text="aardvark"))).hits],
    }
    large = every_field(NewMessage, id=new_id(), content=LARGE)
    await store.append_messages(record.id, conversation(new_message(**large)).messages)
    await store.append_messages(record.id, conversation(new_message(**{**large, "id": new_id()})).messages)
    places["a page of large ones"] = (await store.list_messages(record.id, after=1)).messages
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


async def test_every_field_survives_an_export_and_an_import(backend: Backend) -> None:
    source, target = (backend.client_of(f"user-{new_id()}") for _ in range(2))
    first, second = new_id(), new_id()
    sent = every_field(
        NewConversation,
        id=new_id(),
        messages=[
            {"id": first, "role": "user", "content": [{"type": "text", "text": "Hello"}]},
            every_field(NewMessage, id=second, parentId=first),
        ],
    )
    (await source.post("/api/conversations", json=sent)).raise_for_status()
    url = f"/api/conversations/{sent['id']}"
    (await source.patch(url, json={"isArchived": True})).raise_for_status()
    text = (await source.get("/api/export")).text
    document = json.loads(text)["conversation"]
    assert set(document) == set(DocumentConversation.__struct_encode_fields__)
    assert set(document["messages"][1]) == set(DocumentMessage.__struct_encode_fields__)
    report = await target.post("/api/import", content=text, headers={"Content-Type": "application/x-ndjson"})
    (imported,) = report.raise_for_status().json()["imported"]
    there, here = [(source, url), (target, f"/api/conversations/{imported['id']}")]
    before, after = [(await client.get(address)).json() for client, address in (there, here)]
    assert after == {
        **before,
        "id": imported["id"],
        "userId": after["userId"],
        "version": 1,
        "updatedAt": after["updatedAt"],
    }
    pages = [(await client.get(f"{address}/messages")).json()["messages"] for client, address in (there, here)]
    new_ids = {old["id"]: new["id"] for old, new in zip(*pages, strict=True)} | {None: None}
    assert pages[1] == [
        {**old, "id": new_ids[old["id"]], "parentId": new_ids[old["parentId"]], "conversationId": imported["id"]}
        for old in pages[0]
    ]
