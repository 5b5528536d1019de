"""What one request may cost, and that nobody waits for another's, over every back end."""

import asyncio
from typing import Any

import pytest
from asking import API, create

from support.backends import Backend
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


async def test_more_words_than_can_be_indexed_at_once_are_refused_however_they_are_sent(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    kept = await create(client)
    sent = {"messages": [said("a " * 8_000)] * 151}  # of each, 79,999 are indexed
    document = {"version": 1, "conversation": sent}
    for path, body in ((API, sent), (f"{API}/{kept['id']}/messages", sent), ("/api/import", document)):
        response = await client.post(path, json=body)
        if body is document:
            (skipped,) = response.json()["skipped"]
            assert response.status_code == 200
        else:
            skipped = response.json()
            assert response.status_code == 413
        assert skipped["error"]["code"] == "too_large"
        assert "too many words" in skipped["error"]["message"]
    assert [found["messageCount"] for found in (await client.get(API)).json()["conversations"]] == [0]
    sent["messages"] = sent["messages"][:50]
    assert (await client.post(f"{API}/{kept['id']}/messages", json=sent)).status_code == 201


async def test_a_text_is_searched_as_far_as_it_goes_once_it_is_folded(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    # Of each of these become eighteen characters, and of a text, 32,000 are searched.
    await create(client, messages=[said("\ufdfa" * 1_777 + " within and beyond")])
    for word, count in (("within", 1), ("beyond", 0)):
        found = (await client.get(f"{API}/search", params={"q": f'"{word}"'})).json()["hits"]
        assert len(found) == count
    await create(client, messages=[said("\ufdfa" * 16_000)])
    assert len((await client.get(f"{API}/search", params={"q": "\ufdfa", "role": "user"})).json()["hits"]) == 2


async def test_others_are_answered_while_one_request_takes_long(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    kept = await create(client)
    number = b'{"role":"user","content":[{"type":"x","v":[' + b"1.5," * 50_000 + b"1]}]}"
    large = b'{"messages":[' + b",".join([number] * 20) + b"]}"
    headers = {"Content-Type": "application/json"}
    path = f"{API}/{kept['id']}/messages"
    appending = asyncio.create_task(client.post(path, content=large, headers=headers))
    answered = 0
    while not appending.done():
        assert (await backend.client.get("/api/health")).status_code == 200
        answered += 1
        await asyncio.sleep(0.01)
    assert appending.result().status_code == 201
    assert answered > 4
