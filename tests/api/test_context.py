"""What a model is sent of a conversation, over HTTP: in each dialect, within a budget, of each branch."""

import json
from typing import Any

import httpx
import pytest
from asking import API, Kept, ask, check_refusal, create, everything, message, send, someone

from support.backends import Backend
from support.model_input import DIALECTS, faults, history_in
from threadkeep.conversations.context.service import BYTES_MAX, MESSAGES_MAX

pytestmark = pytest.mark.anyio

STEPS: list[Any] = [("system", "Be brief."), *[("user", "q"), ("calls", "t", ["c1", "c2"]), ("assistant", "a")]]


@pytest.fixture
def client(backend: Backend) -> httpx.AsyncClient:
    return someone(backend)


async def context(client: httpx.AsyncClient, made: dict[str, Any], **query: Any) -> httpx.Response:
    return await ask(client, "GET", f"{API}/{made['id']}/context", params=query)


async def test_a_conversation_is_sent_to_each_provider_and_stays_as_it_is(client: httpx.AsyncClient) -> None:
    for form in ("openai-chat", "ai-sdk"):
        made = await create(client, messages=history_in(form, STEPS))
        before = await everything(client)
        for dialect in DIALECTS:
            answer = (await context(client, made, dialect=dialect, repair="false")).json()
            assert faults(answer["messages"], dialect) == []
            assert [*answer] == ["messages", *(["system"] if dialect == "anthropic" else []), "repairs", "truncated"]
            assert (answer["repairs"], answer["truncated"]) == ([], False)
            assert answer.get("system", []) == ([{"type": "text", "text": "Be brief."}] if "system" in answer else [])
        assert await everything(client) == before


async def test_an_empty_conversation_is_sent_as_no_messages(client: httpx.AsyncClient) -> None:
    made = await create(client)
    for dialect in DIALECTS:
        assert (await context(client, made, dialect=dialect)).json() == {
            "messages": [],
            "repairs": [],
            "truncated": False,
        }


async def test_what_is_broken_is_repaired_or_a_conflict(client: httpx.AsyncClient) -> None:
    call = {"type": "tool_use", "id": "c1", "name": "find", "input": {}}
    made = await create(client, messages=[message(), message(id="asks", role="assistant", content=[call])])
    repairs = [{"messageId": "asks", "block": 0, "what": "result_missing"}]
    for dialect in DIALECTS:
        answer = (await context(client, made, dialect=dialect)).json()
        assert answer["repairs"] == repairs
        assert faults(answer["messages"], dialect) == []
        refused = await context(client, made, dialect=dialect, repair="false")
        check_refusal(refused, "conflict", says=("1 repair,", "repair=false"))
        assert refused.json()["error"]["details"] == {"repairs": repairs, "count": 1}


async def test_a_conflict_tells_of_a_hundred_repairs_and_of_how_many_there_are(client: httpx.AsyncClient) -> None:
    blocks = [{"type": "tool_use", "id": f"c{index}", "name": "find", "input": {}} for index in range(101)]
    made = await create(client, messages=[message(), message(role="assistant", content=blocks)])
    refused = await context(client, made, dialect="anthropic", repair="false")
    details = refused.json()["error"]["details"]
    assert (len(details["repairs"]), details["count"]) == (100, 101)


async def test_what_does_not_fit_is_cut_before_a_user_and_the_model_is_still_told(client: httpx.AsyncClient) -> None:
    exchanges = [step for index in range(3) for step in (("user", f"q{index}"), ("assistant", "x" * 400_000))]
    told = [message("Be brief.", role="system"), message("And kind.", role="developer")]
    sent = told + [message(text, role=role) for role, text in exchanges]
    made = await create(client, messages=sent[:5])
    await send(client, "POST", f"{API}/{made['id']}/messages", {"messages": sent[5:]})
    for most, questions in ((2_000_000, 3), (1_000_000, 2), (450_000, 1)):
        answer = (await context(client, made, dialect="openai-chat", maxBytes=most)).json()
        assert len(json.dumps(answer["messages"], separators=(",", ":"))) <= most
        roles = ["system", "developer", *["user", "assistant"] * questions]
        assert [each["role"] for each in answer["messages"]] == roles
        assert answer["messages"][2]["content"] == f"q{3 - questions}"
        assert answer["truncated"] is (questions < 3)
    for most in (1, 20, 400_000):
        refused = await context(client, made, dialect="openai-chat", maxBytes=most)
        check_refusal(refused, "too_large", at="maxBytes", says=(str(most), str(BYTES_MAX), str(MESSAGES_MAX)))


async def test_repairs_of_what_is_cut_are_not_told(client: httpx.AsyncClient) -> None:
    call = {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": "x" * 500}}
    sent = [message("old"), message(role="assistant", content=[call]), message("new")]
    made = await create(client, messages=sent)
    assert len((await context(client, made, dialect="anthropic")).json()["repairs"]) == 1
    answer = (await context(client, made, dialect="anthropic", maxBytes=300, repair="false")).json()
    assert (answer["repairs"], answer["truncated"], len(answer["messages"])) == ([], True, 1)


async def test_only_so_many_messages_are_read(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [message("Be brief.", role="system")]
    made = await create(client, messages=told + [message(f"q{index}") for index in range(250)])
    monkeypatch.setattr("threadkeep.conversations.context.service.MESSAGES_MAX", 200)
    answer = (await context(client, made, dialect="openai-chat")).json()
    assert len(answer["messages"]) in (201, 251)  # a Worker and a server have their own limit
    assert answer["messages"][0]["content"] == "Be brief."
    assert answer["messages"][-1]["content"] == "q249"


async def test_the_active_path_is_sent_or_the_branch_that_is_named(client: httpx.AsyncClient) -> None:
    made = await create(client, messages=[message("q", id="q"), message("first", id="a1", role="assistant")])
    again = {**message("second", id="a2", role="assistant"), "siblingOf": "a1"}
    assert (await send(client, "POST", f"{API}/{made['id']}/messages", again)).status_code == 201
    for branch, says in ((None, "second"), ("active", "second"), ("a1", "first"), ("a2", "second")):
        query = {"branch": branch} if branch else {}
        answer = (await context(client, made, dialect="openai-chat", **query)).json()
        assert [each["content"] for each in answer["messages"]] == ["q", says]
    answer = (await context(client, made, dialect="openai-chat", branch="q")).json()
    assert [each["content"] for each in answer["messages"]] == ["q"]
    check_refusal(await context(client, made, dialect="openai-chat", branch="gone"))


WRONG = {
    "dialect": ("", "gemini", "Anthropic", "anthropic,openai-chat"),
    "maxBytes": ("0", "-1", "1.5", "1e3", "ten", "", str(BYTES_MAX + 1), "9" * 30),
    "repair": ("maybe", ""),
    "branch": ("all", "a b", "x" * 129),
    "limit": ("5",),
}


async def test_what_cannot_be_asked_is_refused_with_its_name(kept: Kept) -> None:
    path = f"{API}/{{id}}/context"
    await kept.refuses("GET", path, at="dialect", says=("dialect",))
    for name, values in WRONG.items():
        for value in values:
            rest = "" if name == "dialect" else "dialect=anthropic&"
            await kept.refuses("GET", f"{path}?{rest}{name}={value}", at=name, says=(name,))
    await kept.refuses("GET", f"{API}/gone/context?dialect=anthropic", code="not_found")
