"""Deleting many conversations with one request, and listing those that a filter leaves."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import API, ask, create, everything, send, someone

from support.backends import Backend

pytestmark = pytest.mark.anyio

EVER = 2**53 - 1


@pytest.fixture
def client(backend: Backend) -> httpx.AsyncClient:
    return someone(backend)


async def delete_many(client: httpx.AsyncClient, before: int, **query: Any) -> httpx.Response:
    params = {"before": before, "confirm": client.headers["x-user-id"], **query}
    return await ask(client, "DELETE", API, params=params)


async def listed(client: httpx.AsyncClient, query: str) -> list[str]:
    response = await ask(client, "GET", f"{API}?{query}")
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["conversations"]]


async def test_all_that_is_old_is_deleted_once_and_can_be_restored(client: httpx.AsyncClient) -> None:
    kept = [await create(client, title=str(number)) for number in range(3)]
    await send(client, "PATCH", f"{API}/{kept[2]['id']}", {"isArchived": True})
    before = await everything(client)
    since = (await ask(client, "GET", f"{API}/changes")).json()["next"]
    deleted = await delete_many(client, EVER)
    assert (deleted.status_code, deleted.json()) == (200, {"conversations": 2, "isComplete": True})
    assert await listed(client, "archived=any") == [kept[2]["id"]]
    changes = (await ask(client, "GET", f"{API}/changes", params={"since": since})).json()
    assert {row["id"] for row in changes["conversations"]} == {row["id"] for row in kept[:2]}
    assert all(set(row) == {"id", "deletedAt"} for row in changes["conversations"])
    again = await delete_many(client, EVER)
    assert (again.status_code, again.json()) == (200, {"conversations": 0, "isComplete": True})
    for row in kept[:2]:
        assert (await ask(client, "POST", f"{API}/{row['id']}/restore")).status_code == 200
    after = await everything(client)
    assert {id_: row["title"] for id_, (row, _) in after.items()} == {
        id_: row["title"] for id_, (row, _) in before.items()
    }


async def test_everything_is_deleted_if_that_is_what_is_asked_for(client: httpx.AsyncClient) -> None:
    kept = [await create(client) for _ in range(2)]
    await send(client, "PATCH", f"{API}/{kept[0]['id']}", {"isArchived": True})
    assert (await delete_many(client, kept[0]["updatedAt"], archived="any")).json()["conversations"] == 0
    assert (await delete_many(client, EVER, archived="true")).json()["conversations"] == 1
    assert (await delete_many(client, EVER, archived="any")).json()["conversations"] == 1
    assert await everything(client) == {}


async def test_a_list_is_filtered_by_what_stands_in_the_address(client: httpx.AsyncClient) -> None:
    metadata = {"project.name": 'a "b" & c', "n": 7, "on": True, "": "empty", "x" * 300: "y" * 300}
    kept = await create(client, model="claude/x", metadata=metadata)
    other = await create(client, metadata={"n": 70, "on": False})
    await send(client, "PATCH", f"{API}/{other['id']}", {"isArchived": True})
    both = {kept["id"], other["id"]}
    for query, expected in (
        ("", {kept["id"]}),
        ("archived=any", both),
        ("archived=true", {other["id"]}),
        ("archived=1", {other["id"]}),
        ("archived=any&model=claude/x", {kept["id"]}),
        ("archived=any&model=claude", set()),
        (f"archived=any&createdAfter={kept['createdAt'] - 1}", both),
        (f"archived=any&createdBefore={kept['createdAt']}", set()),
        (f"metadata.project.name={quote(metadata['project.name'])}", {kept["id"]}),
        (f"metadata.project.name={quote(metadata['project.name'])}x", set()),
        ("metadata.n=7&archived=any", {kept["id"]}),
        ("metadata.on=true", {kept["id"]}),
        ("metadata.on=false", set()),
        ("metadata.=empty", {kept["id"]}),
        (f"metadata.{'x' * 300}={'y' * 300}", {kept["id"]}),
        (f"metadata.{'x' * 301}={'y' * 300}", set()),
        ("metadata.n=%00", set()),
        ("metadata.%22=%22", set()),
        ("metadata.n=7&model=claude/x&limit=1", {kept["id"]}),
    ):
        assert set(await listed(client, query)) == expected, query
