"""OpenAI's Conversations API: what its unmodified clients do, and what nobody may do."""

import json
from typing import Any

import openai
import pytest
from agents import Agent, OpenAIConversationsSession, Runner
from agents.testing import ScriptedModel
from asking import check, check_refusal, send, someone
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from support.backends import Backend
from support.openai_client import openai_client
from support.routes import USER_ROUTES
from threadkeep.http.problems import OPENAI
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

API = f"{OPENAI}conversations"
CALL = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x" * 100}


def user_says(text: str) -> Any:
    return {"role": "user", "content": text}


def texts_of(items: list[Any]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


async def test_the_client_does_all_that_it_can(backend: Backend) -> None:
    client, _ = openai_client(backend, f"user-{new_id()}")
    created = await client.conversations.create(metadata={"topic": "a"}, items=[user_says("0")])
    assert created.id.startswith("conv_")
    assert (created.object, created.metadata) == ("conversation", {"topic": "a"})
    assert await client.conversations.retrieve(created.id) == created
    added = await client.conversations.items.create(
        created.id, items=[user_says(str(n)) for n in range(1, 8)], include=["reasoning.encrypted_content"]
    )
    assert (len(added.data), added.first_id, added.has_more) == (7, added.data[0].id, False)
    items = client.conversations.items
    found = [
        item async for item in items.list(created.id, order="asc", limit=3, include=["message.output_text.logprobs"])
    ]
    assert texts_of([item.model_dump() for item in found]) == [str(n) for n in range(8)]
    assert [item async for item in items.list(created.id, limit=3)] == found[::-1]
    page = await items.list(created.id, after=added.data[2].id, limit=2)
    assert ([item.id for item in page.data], page.has_more) == ([added.data[1].id, added.data[0].id], True)
    assert (await items.list(created.id, after=found[-1].id, order="asc")).data == []
    assert await items.retrieve(added.last_id, conversation_id=created.id) == found[-1]
    assert await items.delete(added.last_id, conversation_id=created.id) == created
    with pytest.raises(openai.NotFoundError):
        await items.retrieve(added.last_id, conversation_id=created.id)
    updated = await client.conversations.update(created.id, metadata={"other": "b\u0000"})
    assert updated == await client.conversations.retrieve(created.id)
    assert (updated.metadata, updated.created_at) == ({"other": "b\u0000"}, created.created_at)
    deleted = await client.conversations.delete(created.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (created.id, True, "conversation.deleted")
    for call in (client.conversations.retrieve(created.id), items.create(created.id, items=[user_says("late")])):
        with pytest.raises(openai.NotFoundError):
            await call


async def test_the_session_of_the_sdk_works_as_it_is(backend: Backend) -> None:
    client, _ = openai_client(backend, f"user-{new_id()}")
    session = OpenAIConversationsSession(openai_client=client)
    assert await session.get_items() == []
    await session.add_items([user_says(str(n)) for n in range(45)])  # in three requests
    assert texts_of(await session.get_items()) == [str(n) for n in range(45)]
    assert texts_of(await session.get_items(22)) == [str(n) for n in range(23, 45)]
    assert texts_of([await session.pop_item()]) == ["44"]
    assert texts_of(await session.get_items(1)) == ["43"]
    again = OpenAIConversationsSession(conversation_id=session.session_id, openai_client=client)
    assert texts_of(await again.get_items(1)) == ["43"]
    await session.clear_session()
    assert await session.get_items() == []


async def test_a_runner_goes_on_from_a_conversation(backend: Backend) -> None:
    client, _ = openai_client(backend, f"user-{new_id()}")
    session = OpenAIConversationsSession(openai_client=client)
    model = ScriptedModel([[says("first")], [says("second")]])
    for said in ("first", "second"):
        result = await Runner.run(Agent(name="a", model=model), f"ask {said}", session=session)
        assert result.final_output == said
    assert [item["role"] for item in await session.get_items()] == ["user", "assistant"] * 2
    assert len(model.calls[-1].input) == 3


def says(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
    return ResponseOutputMessage(id="m", type="message", role="assistant", content=[part], status="completed")


async def test_items_are_completed_and_otherwise_kept_as_they_are(backend: Backend) -> None:
    client = someone(backend)
    conversation = (await send(client, "POST", API, {})).json()["id"]
    url = f"{API}/{conversation}/items"
    parts = [{"type": "input_image", "image_url": "https://a.example"}, {"type": "output_text", "text": "é\u0000"}]
    sent = [
        user_says("question"),
        {"role": "assistant", "content": "answer", "phase": "final_answer"},
        {"type": "message", "role": "developer", "content": parts, "status": "incomplete", "id": "msg/of [mine]"},
        CALL,
        OUTPUT,
        REASONING,
        {"type": "unheard_of", "number": 1.5, "id": None},
    ]
    text = json.dumps({"items": sent}).replace("1.5", "1.50").encode()
    added = await send(client, "POST", url, text)
    assert added.status_code == 200
    items = added.json()["data"]
    assert [item["id"].partition("_")[0] for item in items] == [
        "msg",
        "msg",
        "msg/of [mine]",
        "fc",
        "fco",
        "rs",
        "item",
    ]
    assert [list(item)[:2] for item in items] == [["id", "type"]] * 7
    expected = [
        {"type": "message", "status": "completed", **user_says("question")},
        {"type": "message", "status": "completed", **sent[1]},
        sent[2],
        {**CALL, "status": "completed"},
        {**OUTPUT, "status": "completed"},
        REASONING,
        sent[6],
    ]
    expected[0]["content"] = [{"type": "input_text", "text": "question"}]
    expected[1]["content"] = [{"type": "output_text", "text": "answer", "annotations": [], "logprobs": []}]
    assert items == [{**item, "id": kept["id"]} for item, kept in zip(expected, items, strict=True)]
    listed = await client.get(f"{url}?order=asc")
    assert listed.json()["data"] == items
    assert '"number":1.50' in listed.text
    assert (await client.get(f"{url}/msg%2Fof%20%5Bmine%5D")).json() == items[2]


async def test_a_lost_answer_adds_nothing_twice_and_removes_nothing_twice(backend: Backend) -> None:
    client, over = openai_client(backend, f"user-{new_id()}")
    session = OpenAIConversationsSession(openai_client=client)
    await session.add_items([user_says("0")])
    for number, items in enumerate(([user_says("1"), CALL, OUTPUT, REASONING], [user_says("1")], [user_says("1")])):
        over.to_drop = number % 2 + 1
        await session.add_items(items)
    kept = await session.get_items()
    assert [item.get("role") for item in kept] == ["user", "user", None, None, None, "user", "user"]
    over.to_drop = 0
    page = await client.conversations.items.list(session.session_id, limit=1)
    over.to_drop = 1
    await client.conversations.items.delete(page.data[0].id, conversation_id=session.session_id)
    assert await session.get_items() == kept[:-1]
    over.to_drop = 2
    await client.conversations.delete(session.session_id)
    assert over.sent[-1].headers["x-stainless-retry-count"] == "2"


async def test_a_retry_that_is_none_is_done(backend: Backend) -> None:
    client = someone(backend)
    conversation = (await send(client, "POST", API, {"items": [user_says("0"), CALL]})).json()["id"]
    url = f"{API}/{conversation}/items"
    for items in ([user_says("0")], [{**CALL, "id": "mine"}], [user_says("0"), CALL, OUTPUT], []):
        sent = await send(client, "POST", url, {"items": items}, **{"X-Stainless-Retry-Count": "1"})
        assert len(sent.json()["data"]) == len(items)
    assert len((await client.get(url)).json()["data"]) == 7
    missing = f"{url}/none"
    check_refusal(await client.delete(missing), "not_found", says=("There is no item none",))
    assert ((await client.head(missing)).status_code, (await client.head(missing)).content) == (404, b"")
    assert (await client.delete(missing, headers={"X-Stainless-Retry-Count": "1"})).json()["id"] == conversation


async def test_a_write_that_has_a_name_is_done_once(backend: Backend) -> None:
    client = someone(backend)

    async def write(url: str, body: Any, name: str) -> Any:
        return await send(client, "POST", url, body, **{"Idempotency-Key": name})

    body = {"items": [user_says("0")], "metadata": {"a": "1"}}
    created = (await write(API, body, "creates")).json()
    assert (await write(API, body, "creates")).json() == created
    url = f"{API}/{created['id']}"
    first = (await write(f"{url}/items", {"items": [user_says("1")]}, "adds")).json()
    await send(client, "POST", f"{url}/items", {"items": [user_says("2")]})
    assert (await write(f"{url}/items", {"items": [user_says("1")]}, "adds")).json() == first
    refused = await write(f"{url}/items", {"items": [user_says("3")]}, "adds")
    check_refusal(refused, "conflict")
    assert refused.headers["x-should-retry"] == "false"
    updated = (await write(url, {"metadata": {"b": "2"}}, "updates")).json()
    for again in (body, {"metadata": {"a": "1"}}):
        assert (await write(API, again, "creates")).json() == updated
    assert texts_of((await client.get(f"{url}/items?order=asc")).json()["data"]) == ["0", "1", "2"]
    check_refusal(await write(API, {}, "a b"), at="idempotency-key")
    empty = (await write(API, {}, "empty")).json()
    for place in (created, empty):
        for number in range(12):  # after which the name of the first write is forgotten
            await write(f"{API}/{place['id']}/items", {"items": [user_says("more")]}, f"{number:064}")
    assert (await write(API, body, "creates")).json() == updated
    assert (await write(API, {}, "empty")).json() == empty


async def test_large_items_come_in_pages_of_their_own(backend: Backend) -> None:
    client, _ = openai_client(backend, f"user-{new_id()}")
    session = OpenAIConversationsSession(openai_client=client)
    texts = ["small", "x" * 1_500_000, "é" * 700_000, "small"]
    await session.add_items([user_says(text) for text in texts])
    assert texts_of(await session.get_items()) == texts
    assert texts_of(await session.get_items(3)) == texts[1:]


async def test_a_journal_of_the_space_is_a_conversation(backend: Backend) -> None:
    client = someone(backend)
    journal = "/api/journals/openai.conversations/mine"
    await client.put(journal, json={"head": [1]})
    created = (await client.get(f"{API}/mine")).json()
    assert (created["id"], created["metadata"]) == ("mine", {})
    assert created["created_at"] > 1_700_000_000
    await client.post(f"{journal}/entries", json={"entries": [{"data": {"type": "message"}}, {"id": "b", "data": 1}]})
    page = (await client.get(f"{API}/mine/items?order=asc")).json()
    assert (page["data"], page["first_id"], page["last_id"]) == ([{"type": "message"}, 1], None, "b")
    assert (await send(client, "POST", f"{API}/mine", {"metadata": {"a": "b"}})).json()["metadata"] == {"a": "b"}


async def test_a_head_that_is_not_one_of_a_conversation_is_as_if_it_were_empty(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    client = someone(backend)
    metadata = ["", "x", "[]", "{", '{"a":1}', '{"a":1e999}', '{"a":"\\ud800"}', "[" * 100_000, 1]
    heads = [*({"metadata": value} for value in metadata), {"createdAt": 2**63}, {"createdAt": -1}]
    for number, head in enumerate(heads):
        with subtests.test(str(head)[:40]):
            journal = f"/api/journals/openai.conversations/{number}"
            assert (await send(client, "PUT", journal, {"head": head})).status_code == 201
            shown = await client.get(f"{API}/{number}")
            assert (shown.status_code, shown.json()["metadata"]) == (200, {})
            assert shown.json()["created_at"] > 1_700_000_000


# Who may not, and what cannot be


async def test_errors_are_those_that_the_client_knows(backend: Backend) -> None:
    client, _ = openai_client(backend, f"user-{new_id()}")
    with pytest.raises(openai.NotFoundError) as missing:
        await client.conversations.retrieve("conv_none")
    assert (missing.value.code, missing.value.type, missing.value.param) == ("not_found", "invalid_request_error", None)
    assert "There is no conversation conv_none." in missing.value.message
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.conversations.create(items=[user_says("0"), {"type": "message", "content": "x"}])
    assert (wrong.value.code, wrong.value.param) == ("invalid", "items[1].role")
    stranger, over = openai_client(backend, "somebody", "tk_wrong")
    with pytest.raises(openai.AuthenticationError) as unknown:
        await stranger.conversations.retrieve("conv_none")
    assert (unknown.value.code, unknown.value.type) == ("unauthenticated", "authentication_error")
    created = await client.conversations.create(items=[{**user_says("0"), "id": "msg_1"}])
    with pytest.raises(openai.ConflictError) as conflict:
        await client.conversations.items.create(created.id, items=[{**user_says("1"), "id": "msg_1"}])
    assert conflict.value.body["details"]["reason"] == "conflict"
    assert len(over.sent) == 1


async def test_another_users_conversations_do_not_exist(backend: Backend) -> None:
    alice, bob = someone(backend), someone(backend)
    named = {"Idempotency-Key": "the-same"}
    urls = []
    for client, text in ((alice, "hers"), (bob, "his")):
        body = {"items": [{**user_says(text), "id": "msg_1"}], "metadata": {"of": text}}
        created = await send(client, "POST", API, body, **named)
        urls.append(f"{API}/{created.json()['id']}")
    assert urls[0] == urls[1]
    hers = f"{API}/{(await send(alice, 'POST', API, {'items': [{**user_says('secret'), 'id': 'msg_2'}]})).json()['id']}"
    before = [(await alice.get(f"{url}/items")).json() for url in (urls[0], hers)]
    questions: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "", {"metadata": {"a": "b"}}),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [user_says("bob")]}),
        ("GET", "/items/msg_2", None),
        ("DELETE", "/items/msg_2", None),
        ("DELETE", "", None),
    ]
    paths = {(method, f"{API}/{{conversation}}{path.replace('msg_2', '{item}')}") for method, path, _ in questions}
    assert paths | {("POST", API)} == {
        (route.method, route.path) for route in USER_ROUTES if route.path.startswith(OPENAI)
    }
    for method, path, body in questions:
        content = {} if body is None else {"json": body}
        response = await bob.request(method, f"{hers}{path}", **content)
        check(response)
        assert response.status_code == (200 if (method, path) == ("DELETE", "") else 404)
        assert "secret" not in response.text
        assert (await bob.request(method, f"{urls[0]}{path.replace('msg_2', 'msg_1')}", **content)).status_code == 200
    assert [(await alice.get(f"{url}/items")).json() for url in (urls[0], hers)] == before
    assert (await alice.get(urls[0])).json()["metadata"] == {"of": "hers"}


BAD: list[tuple[str, str, Any, str | None]] = [
    ("POST", "", {"metadata": {"a": 1}}, "metadata[...]"),
    ("POST", "", {"metadata": {"a": "x" * 513}}, "metadata[...]"),
    ("POST", "", {"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ("POST", "", {"metadata": []}, "metadata"),
    ("POST", "", {"items": []}, "items"),
    ("POST", "/items", {}, "items"),
    ("POST", "/items", {"items": None}, "items"),
    ("POST", "/items", {"items": {}}, "items"),
    ("POST", "/items", {"items": [], "more": 1}, "more"),
    *(("POST", "/items", {"items": [item]}, "items[0]") for item in (1, None, "text", [], {}, {"id": "a"})),
    ("POST", "/items", {"items": [CALL, {"type": 1}]}, "items[1].type"),
    ("POST", "/items", {"items": [{"role": []}]}, "items[0].role"),
    ("POST", "/items", {"items": [{"type": "message"}]}, "items[0].role"),
    *(
        ("POST", "/items", {"items": [{"role": "user", **content}]}, "items[0].content")
        for content in ({}, {"content": None}, {"content": 1}, {"content": {}})
    ),
    *(("POST", "/items", {"items": [{**CALL, "id": id_}]}, "items[0].id") for id_ in (1, "a\n", "x" * 513, "..")),
    ("POST", "/items", {"items": [{**CALL, "status": 1}]}, "items[0].status"),
    ("POST", "/items", {"items": [{**CALL, "id": "a"}] * 2}, "entries[1].id"),
    ("POST", "/items", b'{"items": [{"role": "user", "content": "\\ud800"}]}', None),
    ("POST", "/items", b'{"items": [', "body"),
    *(("GET", f"/items?limit={limit}", None, "limit") for limit in ("0", "101", "-1", "a", "")),
    ("GET", "/items?order=up", None, "order"),
    *(("GET", f"/items?after={after}", None, "after") for after in ("", "none", "%0A", "x" * 513)),
    ("GET", "/items?before=a", None, "before"),
    ("GET", "/items/%0A", None, None),
]


@pytest.mark.front_door
async def test_what_cannot_be_is_refused_and_changes_nothing(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    url = f"{API}/{(await send(client, 'POST', API, {'items': [user_says('0')]})).json()['id']}"
    for method, path, body, at in BAD:
        with subtests.test(f"{method} {path[:40]} {body}"[:100]):
            if body is None:
                response = await client.request(method, f"{url}{path}")
            else:
                response = await send(client, method, f"{url}{path}", body)
            check(response)
            check_refusal(response, at=at)
            assert response.json()["error"]["param"] == (at or response.json()["error"]["details"]["path"])
    check_refusal(await send(client, "POST", f"{url}/items", {"items": [CALL] * 1_001}), "too_large", "items")
    for name in ("%0A", "x" * 513):
        check_refusal(await client.get(f"{API}/{name}"))
    assert texts_of((await client.get(f"{url}/items")).json()["data"]) == ["0"]
    assert (await client.get(url)).json()["metadata"] == {}
