"""Content in the shapes that others give it: a plain string, Anthropic's names, an answer that is still empty."""

import json
from typing import Any

import httpx
import pytest
from asking import API, ask, check_refusal, create, send, someone

from support.backends import Backend
from threadkeep.conversations.models import MESSAGE_BYTES_MAX
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

AROUND_TEXT = len('[{"type":"text","text":""}]')


@pytest.fixture
def client(backend: Backend) -> httpx.AsyncClient:
    return someone(backend)


async def contents(client: httpx.AsyncClient, conversation_id: str) -> list[Any]:
    page = (await ask(client, "GET", f"{API}/{conversation_id}/messages")).json()
    return [message["content"] for message in page["messages"]]


async def test_a_string_is_one_block_of_text_wherever_it_is_sent(client: httpx.AsyncClient) -> None:
    text = 'Grüße, "quoted" \\ and 😀\n\0'
    block = {"type": "text", "text": text}
    sent = {"id": new_id(), "role": "user", "content": text}
    made = await create(client, messages=[sent])
    more = [{"id": new_id(), "role": "assistant", "content": content} for content in (text, "")]
    url = f"{API}/{made['id']}/messages"
    assert (await send(client, "POST", url, more[0])).status_code == 201
    assert (await send(client, "POST", url, {"messages": more})).status_code == 201
    assert await contents(client, made["id"]) == [[block], [block], [{"type": "text", "text": ""}]]
    # It has the digest of its block: either is a repeat of the other.
    for message in (sent, *more):
        assert (await send(client, "POST", url, message)).status_code == 200
        as_block = {**message, "content": [{"text": message["content"], "type": "text"}]}
        assert (await send(client, "POST", url, as_block)).status_code == 200
    assert made["title"] == 'Grüße, "quoted" \\ and 😀'
    document = {"version": 1, "conversation": {"messages": [{"role": "user", "content": "an imported gnu"}]}}
    imported = (await send(client, "POST", "/api/import", document)).json()["imported"]
    assert await contents(client, imported[0]["id"]) == [[{"type": "text", "text": "an imported gnu"}]]
    for query in ("grusse", "gnu"):
        found = (await ask(client, "GET", f"{API}/search?q={query}&limit=1")).json()["hits"]
        assert found, query


async def test_a_string_may_be_as_long_as_its_block(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"{API}/{made['id']}/messages"
    most = "x" * (MESSAGE_BYTES_MAX - AROUND_TEXT)
    assert (await send(client, "POST", url, {"role": "user", "content": most})).status_code == 201
    assert await contents(client, made["id"]) == [[{"type": "text", "text": most}]]
    refused = await send(client, "POST", url, {"role": "user", "content": most + "x"})
    check_refusal(refused, "too_large", at="content", says=("1500001",))
    half = await send(client, "POST", url, b'{"role": "user", "content": "\\ud83d"}')
    check_refusal(half, says=("half of a character",))


async def test_only_an_answer_may_be_empty(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"{API}/{made['id']}/messages"
    assert (await send(client, "POST", url, {"role": "assistant", "content": []})).status_code == 201
    assert await contents(client, made["id"]) == [[]]
    for role in ("user", "system", "tool"):
        refused = await send(client, "POST", url, {"role": role, "content": []})
        check_refusal(refused, at="content", says=("at least one block", "assistant"))
    exported = (await ask(client, "GET", "/api/export")).text
    imported = (await send(client, "POST", "/api/import", json.loads(exported))).json()
    assert len(imported["imported"]) == 1
    assert await contents(client, imported["imported"][0]["id"]) == [[]]


async def test_a_developer_stays_one_and_is_found_as_one(client: httpx.AsyncClient) -> None:
    sent = [
        {"id": new_id(), "role": role, "content": f"{role} walrus"}
        for role in ("system", "developer", "user", "assistant", "tool")
    ]
    made = await create(client, messages=sent[:2])
    url = f"{API}/{made['id']}/messages"
    assert (await send(client, "POST", url, {"messages": sent})).status_code == 201
    assert (await send(client, "POST", url, sent[1])).status_code == 200
    conflict = await send(client, "POST", url, {**sent[1], "role": "system"})
    check_refusal(conflict, "conflict")
    roles = [message["role"] for message in sent]
    assert [message["role"] for message in (await ask(client, "GET", url)).json()["messages"]] == roles
    assert [message["role"] for message in (await ask(client, "GET", f"{url}?after=0")).json()["messages"]] == roles
    for role in roles:
        hits = (await ask(client, "GET", f"{API}/search?q=walrus&role={role}")).json()["hits"]
        assert [(hit["message"]["role"], hit["message"]["id"]) for hit in hits] == [
            (role, message["id"]) for message in sent if message["role"] == role
        ]
    exported = (await ask(client, "GET", f"{API}/{made['id']}/export")).json()
    assert [message["role"] for message in exported["conversation"]["messages"]] == roles
    imported = (await send(client, "POST", "/api/import", exported)).json()["imported"][0]
    listed = (await ask(client, "GET", f"{API}/{imported['id']}/messages")).json()["messages"]
    assert [message["role"] for message in listed] == roles
    since = (await ask(client, "GET", f"{API}?limit=1")).json()["changes"]
    await send(client, "POST", url, {"role": "developer", "content": "more"})
    changed = (await ask(client, "GET", f"{API}/changes?since={since}")).json()["messages"]
    assert [message["role"] for message in changed] == ["developer"]


async def test_tools_are_kept_in_the_words_of_whoever_called_them(client: httpx.AsyncClient) -> None:
    blocks = [
        {"type": "tool_use", "id": "toolu_1", "name": "find", "input": '{"animal":"d\\u00fcgong'},
        {"type": "tool_use", "id": "toolu_2", "name": "find", "input": ["manatee", None]},
        {"type": "tool_use", "id": "toolu_3", "name": "find", "input": None},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "narwhal"}]},
        {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True, "content": "beluga"},
        {"type": "tool_result", "tool_use_id": "toolu_3"},
        {"type": "tool_result", "toolUseId": "toolu_3", "tool_use_id": "toolu_3", "isError": None, "is_error": None},
    ]
    message = {"id": new_id(), "role": "tool", "content": blocks}
    made = await create(client, messages=[message])
    assert await contents(client, made["id"]) == [blocks]
    assert (await send(client, "POST", f"{API}/{made['id']}/messages", message)).status_code == 200
    for word in ("dugong", "manatee", "narwhal", "beluga"):
        (hit,) = (await ask(client, "GET", f"{API}/search?q={word}")).json()["hits"]
        assert [part["text"] for part in hit["snippet"] if part["match"]] in ([word], ["dügong"])
