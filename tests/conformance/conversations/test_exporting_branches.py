"""Exports and imports of conversations with branches, over the HTTP API of every back end."""

import json
import random
from typing import Any

import httpx
import pytest

from support.backends import Backend
from support.trees import Tree
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

NDJSON = {"Content-Type": "application/x-ndjson"}


async def append(client: httpx.AsyncClient, path: str, **fields: Any) -> str:
    body = {"id": new_id(), "role": "user", "content": "text", **fields}
    response = await client.post(f"{path}/messages", json=body)
    assert response.status_code == 201, response.text
    return str(body["id"])


async def imported(client: httpx.AsyncClient, document: Any) -> dict[str, Any]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    report: dict[str, Any] = (await client.post("/api/import", content=body, headers=NDJSON)).json()
    assert report["skipped"] == []
    return report


async def tree_of(client: httpx.AsyncClient, path: str) -> tuple[list[int], int]:
    """What each message follows, by its place among those that are kept, and the place of the leaf."""
    page = (await client.get(f"{path}/messages?branch=all&limit=200")).json()["messages"]
    places = {0: 0, **{row["seq"]: place for place, row in enumerate(page, start=1)}}
    leaf = (await client.get(path)).json()["leafId"]
    by_id = {row["id"]: places[row["seq"]] for row in page}
    return [places[row["follows"]] for row in page], by_id.get(leaf, 0)


def with_names(text: bytes) -> bytes:
    """A document whose ids are replaced by names in their order, and without the time of the export."""
    document = json.loads(text)
    document["exportedAt"] = None
    messages = document["conversation"]["messages"]
    ids = [document["conversation"]["id"], *(message["id"] for message in messages)]
    renamed = json.dumps(document).encode()
    for number, each in enumerate(ids):
        renamed = renamed.replace(each.encode(), f"id-{number}".encode())
    return renamed


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_tree_comes_through_and_is_exported_byte_for_byte_as_before(backend: Backend, seed: int) -> None:
    chance = random.Random(seed)
    client = backend.client_of(f"user-{new_id()}")
    path = f"/api/conversations/{(await client.post('/api/conversations', json={})).json()['id']}"
    tree, ids = Tree(), [await append(client, path)]
    tree.append()
    for _ in range(16):
        at = chance.choice(tree.kept())
        action = chance.random()
        if action < 0.1 and at > 1:
            await client.delete(f"{path}/messages/{ids[at - 1]}")
            tree.delete(at)
        elif action < 0.2:
            await client.put(f"{path}/leaf", json={"messageId": ids[at - 1], "descend": False})
            tree.select(at, descend=False)
        elif action < 0.3:
            ids.append(await append(client, path, isRoot=True))
            tree.append(0)
        elif action < 0.5:
            ids.append(await append(client, path, siblingOf=ids[at - 1]))
            tree.append(tree.parent(at))
        else:
            ids.append(await append(client, path, **({"parentId": ids[at - 1]} if action < 0.8 else {})))
            tree.append(at if action < 0.8 else None)
    first = (await client.get(f"{path}/export")).content
    (entry,) = (await imported(client, first))["imported"]
    again = f"/api/conversations/{entry['id']}"
    assert await tree_of(client, again) == await tree_of(client, path)
    second = (await client.get(f"{again}/export")).content
    assert with_names(second) == with_names(first)
    active = (await client.get(f"{path}/export?branch=active")).json()["conversation"]
    assert [message["id"] for message in active["messages"]] == [ids[seq - 1] for seq in tree.path(tree.leaf)]
    assert "leafId" not in active
    (entry,) = (await imported(client, {"version": 1, "conversation": active}))["imported"]
    parents, leaf = await tree_of(client, f"/api/conversations/{entry['id']}")
    assert (parents, leaf) == (list(range(len(parents))), len(parents))


async def test_parents_that_cannot_be_are_left_out_and_reported(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    messages = [
        {"id": "a", "role": "user", "content": "a", "parentId": "c"},
        {"id": "b", "role": "user", "content": "b", "parentId": "b"},
        {"id": "c", "role": "user", "content": "c", "parentId": "a"},
        {"id": "d", "role": "user", "content": "d", "parentId": "elsewhere"},
        {"id": "e", "role": "user", "content": "e", "isRoot": True},
    ]
    document = {"version": 1, "conversation": {"messages": messages, "leafId": "nobody"}}
    report = await imported(client, document)
    paths = ["conversation.messages[0].parentId", "conversation.messages[1].parentId", "conversation.leafId"]
    assert report["repaired"] == [{"index": 0, "paths": paths}]
    tree = await tree_of(client, f"/api/conversations/{report['imported'][0]['id']}")
    assert tree == ([0, 1, 1, 3, 0], 5)


async def test_a_document_under_a_key_is_another_when_its_branches_are(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    messages = [{"id": each, "role": "user", "content": each} for each in "ab"]
    headers = {**NDJSON, "Idempotency-Key": "once"}

    async def skipped(**fields: Any) -> int:
        document = {"version": 1, "conversation": {"messages": messages, **fields}}
        response = await client.post("/api/import", content=json.dumps(document).encode(), headers=headers)
        return len(response.json()["skipped"])

    assert await skipped() == await skipped() == 0
    assert await skipped(leafId="a") == 1
    messages[1] |= {"isRoot": True}  # type: ignore[dict-item]
    assert await skipped() == 1


async def test_an_export_of_a_path_that_is_not_there_is_refused(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    path = f"/api/conversations/{(await client.post('/api/conversations', json={})).json()['id']}"
    assert (await client.get(f"{path}/export?branch=nobody")).json()["error"]["code"] == "invalid"
