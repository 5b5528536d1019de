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


async def asked(client: httpx.AsyncClient) -> tuple[str, str, str]:
    """A conversation of a question and its answer: its URL, and their ids."""
    question, answer = message("question"), message("answer", role="assistant")
    created = await create(client, messages=[question, answer])
    return f"{API}/{created['id']}", question["id"], answer["id"]


async def test_a_question_is_edited_and_both_versions_can_be_shown(backend: Backend) -> None:
    client = someone(backend)
    url, question, _ = await asked(client)
    edited = await append(client, url, "edited", siblingOf=question)
    await append(client, url, "another answer", role="assistant")
    assert await page(client, url) == (
        ["edited", "another answer"],
        [{"follows": 0, "seqs": [1, 3], "current": 3}],  # "2 of 2"
    )
    found = (await ask(client, "GET", f"{url}/messages/{edited}/branches")).json()["siblings"]
    assert [(each["preview"], each["isCurrent"]) for each in found] == [("question", False), ("edited", True)]
    back = (await send(client, "PUT", f"{url}/leaf", {"messageId": found[0]["leafId"]})).json()
    assert back["leafId"] == found[0]["leafId"]
    assert (await page(client, url))[0] == ["question", "answer"]
    assert (await page(client, url, branch=edited))[0] == ["edited"]


async def test_an_answer_is_regenerated_twice_and_the_conversation_goes_on_from_any(backend: Backend) -> None:
    client = someone(backend)
    url, _, answer = await asked(client)
    for text in ("again", "and again"):
        await append(client, url, text, role="assistant", siblingOf=answer)
    assert await page(client, url) == (
        ["question", "and again"],
        [{"follows": 1, "seqs": [2, 3, 4], "current": 4}],  # "3 of 3"
    )
    await send(client, "PUT", f"{url}/leaf", {"messageId": answer})
    await append(client, url, "go on")
    assert (await page(client, url))[0] == ["question", "answer", "go on"]
    assert (await page(client, url, branch="all"))[0] == ["question", "answer", "again", "and again", "go on"]


async def test_an_app_rolls_back_and_says_something_else_and_nothing_is_lost(backend: Backend) -> None:
    client = someone(backend)
    url, question, answer = await asked(client)
    before = (await ask(client, "GET", url)).json()
    rolled = (await send(client, "PUT", f"{url}/leaf", {"messageId": question, "descend": False})).json()
    assert rolled == {**before, "leafId": question}
    assert (await page(client, url))[0] == ["question"]
    await append(client, url, "another answer", role="assistant")
    assert await page(client, url) == (
        ["question", "another answer"],
        [{"follows": 1, "seqs": [2, 3], "current": 3}],
    )
    assert (await page(client, url, branch=answer))[0] == ["question", "answer"]


async def test_what_comes_in_the_background_does_not_move_what_is_shown(backend: Backend) -> None:
    client = someone(backend)
    url, question, answer = await asked(client)
    await append(client, url, "parallel answer", role="assistant", parentId=question, select=False)
    conversation = (await ask(client, "GET", url)).json()
    assert (conversation["leafId"], conversation["messageCount"]) == (answer, 3)
    assert await page(client, url) == (["question", "answer"], [{"follows": 1, "seqs": [2, 3], "current": 2}])


async def test_no_parent_is_the_end_of_the_path_and_a_root_has_to_be_said(backend: Backend) -> None:
    client = someone(backend)
    url, _, _ = await asked(client)
    await append(client, url, "next", parentId=None, siblingOf=None)
    assert (await page(client, url))[0] == ["question", "answer", "next"]
    await append(client, url, "anew", isRoot=True)
    assert await page(client, url) == (["anew"], [{"follows": 0, "seqs": [1, 4], "current": 4}])


async def test_a_branch_is_deleted_and_taken_back(backend: Backend) -> None:
    client = someone(backend)
    url, _, answer = await asked(client)
    again = await append(client, url, "again", role="assistant", siblingOf=answer)
    last = await append(client, url, "thanks")
    deleted = (await ask(client, "DELETE", f"{url}/messages/{again}")).json()
    assert (deleted["deleted"], deleted["conversation"]["leafId"]) == (2, answer)
    assert await page(client, url) == (["question", "answer"], [])
    for _ in range(2):
        restored = await ask(client, "POST", f"{url}/messages/{last}/restore")
        assert (restored.status_code, restored.json()["messageCount"]) == (200, 4)
    assert (await page(client, url, branch=last))[0] == ["question", "again", "thanks"]


async def test_an_app_that_knows_a_tree_sends_all_of_it_at_once_and_again(backend: Backend) -> None:
    client = someone(backend)
    ids = [new_id() for _ in range(5)]
    parents = [None, ids[0], ids[0], ids[1], ids[2]]
    sent = [message(str(seq), id=ids[seq], parentId=parents[seq]) for seq in range(5)]
    url = f"{API}/tree-{new_id()}"
    for status, new in ((201, sent[:4]), (200, sent), (200, sent)):
        assert (await send(client, "PUT", url, {"messages": new})).status_code == status
    whole = (await ask(client, "GET", f"{url}/messages?after=0")).json()["messages"]
    assert [(each["follows"], each["parentId"]) for each in whole] == list(zip([0, 1, 1, 2, 3], parents, strict=True))
    assert (await page(client, url))[0] == ["0", "2", "4"]
