"""Editing, regenerating, rolling back and forking, as an app does it over HTTP."""

from typing import Any

import httpx
import pytest
from asking import API, ask, create, message, send, someone

from support.backends import Backend
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.reaches_a_store]


def text_of(sent: dict[str, Any]) -> str:
    text: str = sent["content"][0]["text"]
    return text


async def page(client: httpx.AsyncClient, url: str, **query: Any) -> tuple[list[str], list[Any]]:
    """The texts of a page, and the siblings that it tells of."""
    answer = (await ask(client, "GET", f"{url}/messages", params=query)).json()
    return [text_of(each) for each in answer["messages"]], answer["branches"]


async def append(client: httpx.AsyncClient, url: str, text: str, **fields: Any) -> str:
    sent = message(text, **fields)
    assert (await send(client, "POST", f"{url}/messages", sent)).status_code == 201
    id_: str = sent["id"]
    return id_


async def test_a_fork_is_created_once_and_says_where_it_comes_from(backend: Backend) -> None:
    client = someone(backend)
    sent = [message("question"), message("answer", role="assistant", metadata={"a": 1}), message("not in it")]
    created = await create(client, title="A title", model="m", metadata={"b": 2}, messages=sent)
    url, body = f"{API}/{created['id']}/fork", {"id": f"fork-{new_id()}", "messageId": sent[1]["id"]}
    response = await send(client, "POST", url, body)
    forked = response.json()
    assert response.status_code == 201
    assert (response.headers["location"], response.headers["etag"]) == (f"{API}/{body['id']}", '"1"')
    assert forked == {
        **created,
        **{name: forked[name] for name in ("createdAt", "updatedAt", "leafId")},
        "id": body["id"],
        "messageCount": 2,
        "version": 1,
        "forkedFrom": {
            "conversationId": created["id"],
            "messageId": sent[1]["id"],
            "seq": 2,
            "at": forked["createdAt"],
        },
    }
    assert created["forkedFrom"] is None
    assert (await page(client, f"{API}/{body['id']}"))[0] == ["question", "answer"]
    again = await send(client, "POST", url, body)
    assert (again.status_code, again.json(), "location" in again.headers) == (200, forked, False)
    for without in ({}, {"title": "Apart"}):
        other = (await send(client, "POST", url, without)).json()
        assert (other["messageCount"], other["title"]) == (3, without.get("title", "A title"))
        assert other["id"] not in (created["id"], body["id"])
