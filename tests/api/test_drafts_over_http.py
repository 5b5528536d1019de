"""Drafts over HTTP: what each call answers, and what is wrong with a request."""

import asyncio
import json
from typing import Any

import pytest
from asking import API, MISSING, ask, check_refusal, create, message, send, someone
from drafting import NDJSON, add, begin, new_draft, settle, texts, write

from support.backends import Backend
from threadkeep.conversations.drafts.models import OPEN_MAX
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def test_a_draft_from_its_start_to_its_message(backend: Backend) -> None:
    client = someone(backend)
    id_ = new_id()
    draft = await new_draft(client, id=id_, model="m", metadata={"a": 1})
    path = f"{API}/{draft['conversationId']}/drafts"
    assert (draft["id"], draft["fence"], draft["next"], draft["settledAt"]) == (id_, 1, 0, None)
    again = await send(client, "POST", path, {"id": id_, "model": "m", "metadata": {"a": 1}})
    assert (again.status_code, again.json()["id"]) == (200, id_)
    assert await write(client, draft, 0, [begin("Hel"), add("lo")], [add(" 😀")]) | {"deadline": 0} == {
        "next": 2,
        "deadline": 0,
        "stop": False,
    }
    assert (await ask(client, "GET", path)).json()["drafts"][0]["next"] == 2
    read = (await ask(client, "GET", f"/api/drafts/{id_}?from=1&limit=1")).json()
    assert (read["parts"][0]["part"], read["parts"][0]["ops"], read["more"]) == (1, [add(" 😀")], False)
    folded = (await ask(client, "GET", f"/api/drafts/{id_}?folded=true")).json()
    assert (folded["content"], folded["parts"], folded["draft"]["next"]) == (
        [{"type": "text", "text": "Hello 😀"}],
        [],
        2,
    )
    page = (await ask(client, "GET", f"{API}/{draft['conversationId']}/messages")).json()
    assert [(each["id"], each["state"]) for each in page["drafts"]] == [(id_, "streaming")]
    assert (await ask(client, "GET", f"{API}/{draft['conversationId']}/messages?after=0")).json()["drafts"] == []
    stopped = await ask(client, "POST", f"/api/drafts/{id_}/stop")
    assert (stopped.status_code, stopped.json()["stop"]) == (200, True)
    first, second = await settle(client, draft, usage={"out": 3}), await settle(client, draft, usage={"out": 3})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["messages"] == second.json()["messages"]
    page = (await ask(client, "GET", f"{API}/{draft['conversationId']}/messages")).json()
    assert page["drafts"] == []
    answer = page["messages"][1]
    assert (answer["id"], answer["model"], answer["metadata"]) == (id_, "m", {"a": 1, "usage": {"out": 3}})
    folded = (await ask(client, "GET", f"/api/drafts/{id_}?folded=true")).json()
    assert (folded["content"], folded["draft"]["state"]) == (answer["content"], "complete")


async def test_a_draft_to_which_nothing_came_is_no_message(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    assert (await settle(client, draft, "failed", error="Busy.")).status_code == 204
    folded = (await ask(client, "GET", f"/api/drafts/{draft['id']}?folded=true")).json()
    assert (folded["content"], folded["draft"]["state"]) == ([], "failed")


async def test_parts_that_cannot_follow_say_why_and_lose_nothing(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    path = f"/api/drafts/{draft['id']}/parts"
    await write(client, draft, 0, [begin("a")])
    await ask(client, "POST", f"/api/drafts/{draft['id']}/take")
    for name, body, code, details in (
        ("a gap", {"fence": 2, "from": 2, "parts": [[add("c")]]}, "conflict", {"reason": "gap", "next": 1}),
        ("out of order", {"fence": 2, "from": 0, "parts": [[add("b")]]}, "conflict", {"reason": "part", "next": 1}),
        ("an old fence", {"fence": 1, "from": 1, "parts": [[add("b")]]}, "stale", {"reason": "stale", "fence": 2}),
    ):
        with subtests.test(name):
            response = await send(client, "POST", path, body)
            check_refusal(response, code)
            assert response.json()["error"]["details"] == details
    image = {"type": "image", "url": "https://example.com/x.png"}
    for name, op, at in (
        ("a block that is not there", add("b", 1), "parts[0][0]"),
        ("a block too far", begin("b", 2), "parts[0][0]"),
        ("a block of another type", {"block": 0, "set": image}, "parts[0][0]"),
        ("no change", {"block": 0}, "parts[0][0]"),
        ("two changes", {"block": 0, "append": "a", "set": begin()["set"]}, "parts[0][0]"),
        ("an event of a block", {"block": 0, "event": {}}, "parts[0][0]"),
        ("an event that is no object", {"event": 1}, "parts[0][0].event"),
        ("a block that is none", {"block": 0, "set": {"type": "text"}}, "parts[0][0].set[0].text"),
        ("another name", {"blok": 0, "append": "a"}, "parts[0][0].blok"),
        ("a number", {"block": 0, "append": 1}, "parts[0][0].append"),
        ("no number", {"block": -1, "append": "a"}, "parts[0][0].block"),
    ):
        with subtests.test(name):
            check_refusal(await send(client, "POST", path, {"fence": 2, "from": 1, "parts": [[op]]}), at=at)
    with subtests.test("an append that splits a character"):
        half = b'{"fence": 2, "from": 1, "parts": [[{"block": 0, "append": "\\ud83d"}]]}'
        response = await send(client, "POST", path, half)
        check_refusal(response, at="body", says=("half of a character",))
    with subtests.test("too many parts"):
        body = {"fence": 2, "from": 1, "parts": [[]] * 1_001}
        check_refusal(await send(client, "POST", path, body), "too_large", at="parts")
    folded = (await ask(client, "GET", f"/api/drafts/{draft['id']}?folded=true")).json()
    assert (folded["content"], folded["draft"]["next"]) == ([{"type": "text", "text": "a"}], 1)
    await settle(client, draft, fence=2)
    response = await send(client, "POST", path, {"fence": 2, "from": 1, "parts": [[add("b")]]})
    check_refusal(response, "conflict")
    assert response.json()["error"]["details"] == {"reason": "settled", "state": "complete"}
    assert await texts(client, draft["conversationId"]) == ["What is a monad?", "a"]


async def test_eight_mebibytes_in_one_part_are_too_large(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    body = {"fence": 1, "from": 0, "parts": [[begin("x" * (8 * 1024 * 1024 - 200))]]}
    check_refusal(await send(client, "POST", f"/api/drafts/{draft['id']}/parts", body), "too_large", at="parts")
    large = {"fence": 1, "from": 0, "parts": [[begin("x" * (8 * 1024 * 1024))]]}
    assert (await send(client, "POST", f"/api/drafts/{draft['id']}/parts", large)).status_code == 413
    assert (await ask(client, "GET", f"/api/drafts/{draft['id']}")).json()["draft"]["next"] == 0


async def test_a_draft_that_cannot_be_started_or_settled_says_why(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    drafts, path = f"{API}/{draft['conversationId']}/drafts", f"/api/drafts/{draft['id']}"
    for body, at in (
        ({"parentId": MISSING}, "parentId"),
        ({"leaseSeconds": 0}, "leaseSeconds"),
        ({"leaseSeconds": 3_601}, "leaseSeconds"),
        ({"role": "robot"}, "role"),
        ({"metadata": 1}, "metadata"),
        ({"content": "a"}, "content"),
        ({"id": "a b"}, "id"),
    ):
        with subtests.test(str(body)):
            check_refusal(await send(client, "POST", drafts, body), at=at)
    for body, at in (
        ({"fence": 1, "state": "done"}, "state"),
        ({"fence": 1}, "state"),
        ({"state": "complete"}, "fence"),
        ({"fence": 1, "state": "complete", "usage": 1}, "usage"),
        ({"fence": 1, "state": "complete", "content": {}}, "content"),
        ({"fence": 1, "state": "failed", "error": "x" * 1_001}, "error"),
    ):
        with subtests.test(str(body)[:60]):
            check_refusal(await send(client, "PUT", path, body), at=at)
    with subtests.test("nothing under this id"):
        check_refusal(await send(client, "POST", f"{API}/{MISSING}/drafts", {}), "not_found")
        check_refusal(await ask(client, "GET", f"{API}/{MISSING}/drafts"), "not_found")
        for method, rest in (("GET", ""), ("GET", "/events"), ("POST", "/take"), ("POST", "/stop")):
            check_refusal(await ask(client, method, f"/api/drafts/{MISSING}{rest}"), "not_found")
    for query, at in (("from=x", "from"), ("limit=0", "limit"), ("limit=1001", "limit"), ("folded=2", "folded")):
        with subtests.test(query):
            check_refusal(await ask(client, "GET", f"{path}?{query}"), at=at)
    with subtests.test("another draft under the id"):
        check_refusal(await send(client, "POST", drafts, {"id": draft["id"], "role": "user"}), "conflict")
    assert (await ask(client, "GET", path)).json()["draft"] == draft


async def test_an_event_id_of_nonsense_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    for nonsense in ("x", "-1", "1.5", "0x1", "99999999999999999999", "~WyJl", "End"):
        with subtests.test(nonsense):
            headers = {"Last-Event-ID": nonsense}
            check_refusal(
                await ask(client, "GET", f"/api/drafts/{draft['id']}/events", headers=headers), at="last-event-id"
            )
    for query, at in (("from=x", "from"), ("folded=2", "folded"), ("limit=1", "limit")):
        with subtests.test(query):
            check_refusal(await ask(client, "GET", f"/api/drafts/{draft['id']}/events?{query}"), at=at)


async def test_an_append_where_a_draft_is_open_is_refused_or_interrupts_it(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    await write(client, draft, 0, [begin("a")])
    path, body = f"{API}/{draft['conversationId']}/messages", message("And a functor?")
    response = await send(client, "POST", path, body)
    check_refusal(response, "conflict", says=("parentId", "interrupts=true"))
    assert response.json()["error"]["details"] == {"reason": "draft_open", "drafts": [draft["id"]]}
    put = await send(client, "PUT", f"{API}/{draft['conversationId']}", {"messages": [body]})
    check_refusal(put, "conflict")
    assert put.json()["error"]["details"]["reason"] == "draft_open"
    check_refusal(await send(client, "POST", f"{path}?interrupts=2", body), at="interrupts")
    assert (await send(client, "POST", f"{path}?interrupts=true", body)).status_code == 201
    assert await texts(client, draft["conversationId"]) == ["What is a monad?", "a", "And a functor?"]


async def test_a_branch_in_which_a_draft_is_open_is_not_deleted(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    messages = f"{API}/{draft['conversationId']}/messages"
    question = (await ask(client, "GET", messages)).json()["messages"][0]
    response = await ask(client, "DELETE", f"{messages}/{question['id']}")
    check_refusal(response, "conflict")
    assert response.json()["error"]["details"] == {"reason": "draft_open", "drafts": [draft["id"]]}
    await write(client, draft, 0, [begin("a")])
    other = message("Another", isRoot=True)
    assert (await send(client, "POST", messages, other)).status_code == 201
    assert (await ask(client, "DELETE", f"{messages}/{other['id']}")).status_code == 200
    await settle(client, draft)
    deleted = await ask(client, "DELETE", f"{messages}/{question['id']}")
    assert (deleted.status_code, deleted.json()["deleted"]) == (200, 2)


async def test_a_thousand_drafts_may_be_open_at_once_though_not_in_one_conversation(backend: Backend) -> None:
    client = someone(backend)
    conversations = 2 if backend.is_worker else 10
    ids = []
    for _ in range(conversations):
        conversation_id = (await create(client, messages=[message()]))["id"]
        for _ in range(OPEN_MAX):
            draft = (await send(client, "POST", f"{API}/{conversation_id}/drafts", {})).json()
            ids.append(draft["id"])
        full = await send(client, "POST", f"{API}/{conversation_id}/drafts", {})
        check_refusal(full, "conflict")
        assert full.json()["error"]["details"] == {"reason": "drafts"}
        page = (await ask(client, "GET", f"{API}/{conversation_id}/messages")).json()
        assert len(page["drafts"]) == OPEN_MAX
    told, since = [], "0"
    while True:
        page = (await ask(client, "GET", f"{API}/changes?since={since}&limit=500")).json()
        told += [each["id"] for each in page["drafts"]]
        since = page["next"]
        if not page["hasMore"]:
            break
    assert sorted(told) == sorted(ids)
    last = {"id": ids[-1]}
    await write(client, last, 0, [begin("a")])
    assert (await settle(client, last)).status_code == 201


async def test_a_draft_that_nobody_settles_becomes_a_message_when_it_is_looked_at(backend: Backend) -> None:
    client = someone(backend)
    for look in ("/api/drafts/{0}", "/api/drafts/{0}?folded=true", "{1}/messages", "{1}/drafts"):
        draft = await new_draft(client, leaseSeconds=1)
        conversation = f"{API}/{draft['conversationId']}"
        await write(client, draft, 0, [begin("a")])
        async with asyncio.timeout(30):
            while (await ask(client, "GET", conversation)).json()["messageCount"] < 2:
                await asyncio.sleep(0.2)
                looked = (await ask(client, "GET", look.format(draft["id"], conversation))).json()
        if "messages" in looked:
            assert [each["metadata"] for each in looked["messages"]] == [None, {"stream": {"state": "interrupted"}}]
        if "draft" in looked:
            assert (looked["draft"]["state"], looked["parts"]) == ("interrupted", [])
            assert looked["draft"]["settledAt"] is not None
        assert await texts(client, draft["conversationId"]) == ["What is a monad?", "a"]


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


async def stream(client: Any, draft: dict[str, Any], content: bytes, query: str = "fence=1") -> Any:
    path = f"/api/drafts/{draft['id']}/stream?{query}"
    return await ask(client, "POST", path, content=content, headers=NDJSON)


async def test_a_stream_of_lines_becomes_a_message(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    begun = await stream(client, draft, lines(begin("He"), [add("l"), add("l")], {"event": {"type": "ping"}}, []))
    assert (begun.status_code, begun.json()["next"] >= 1, begun.json()["stop"]) == (200, True, False)
    end = {"settle": "complete", "usage": {"out": 2}, "tokenCount": 2}
    ended = await stream(client, draft, lines(add("o 😀"), end), f"fence=1&from={begun.json()['next']}")
    assert ended.status_code == 201
    page = (await ask(client, "GET", f"{API}/{draft['conversationId']}/messages")).json()
    answer = page["messages"][1]
    assert (answer["content"], answer["tokenCount"]) == ([{"type": "text", "text": "Hello 😀"}], 2)
    assert answer["metadata"] == {"usage": {"out": 2}}
    nothing = await new_draft(client)
    assert (await stream(client, nothing, lines({"settle": "failed"}))).status_code == 204


async def test_a_stream_that_was_stopped_is_interrupted_with_what_came(backend: Backend) -> None:
    client = someone(backend)
    draft = await new_draft(client)
    await ask(client, "POST", f"/api/drafts/{draft['id']}/stop")
    answer = await stream(client, draft, lines(begin("a"), {"settle": "complete"}))
    assert answer.status_code == 201
    page = (await ask(client, "GET", f"{API}/{draft['conversationId']}/messages")).json()
    assert page["messages"][1]["metadata"] == {"stream": {"state": "interrupted"}}


async def test_what_is_wrong_with_a_line_is_said_and_what_came_before_is_kept(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    client = someone(backend)
    for name, wrong, at in (
        ("no JSON", b"{\n", "lines[2]"),
        ("another name", lines({"block": 0, "appendix": "b"}), "lines[2].appendix"),
        ("a number", b"5\n", "lines[2]"),
        ("another state", lines({"settle": "done"}), "lines[2].settle"),
        ("half of a character", b'{"block": 0, "append": "\\ud83d"}\n', "lines[2]"),
        ("a block that is not there", lines(add("b", 3)), "lines"),
        ("two changes", lines({"block": 0, "append": "b", "event": {}}), "lines"),
        ("a block that is none", lines({"block": 1, "set": {"type": "text"}}), "lines"),
    ):
        with subtests.test(name):
            draft = await new_draft(client)
            check_refusal(await stream(client, draft, lines(begin("a"), add("b")) + wrong + lines(add("c"))), at=at)
            folded = (await ask(client, "GET", f"/api/drafts/{draft['id']}?folded=true")).json()
            assert folded["content"] == [{"type": "text", "text": "ab"}]
    draft = await new_draft(client)
    for query, code, details in (
        ("fence=1&from=3", "conflict", {"reason": "gap", "next": 0}),
        ("fence=2", "stale", {"reason": "stale", "fence": 1}),
    ):
        with subtests.test(query):
            response = await stream(client, draft, lines(begin("a")), query)
            check_refusal(response, code)
            assert response.json()["error"]["details"] == details
    for query, at in (("", "fence"), ("fence=x", "fence"), ("fence=1&from=x", "from")):
        with subtests.test(query):
            check_refusal(await stream(client, draft, lines(begin("a")), query), at=at)
    with subtests.test("a line that is too large"):
        huge = b'{"block": 0, "append": "' + b"x" * (8 * 1024 * 1024) + b'"}\n'
        check_refusal(await stream(client, draft, huge), "too_large", at="lines[0]")
    with subtests.test("another media type"):
        path = f"/api/drafts/{draft['id']}/stream?fence=1"
        check_refusal(await send(client, "POST", path, begin()), "unsupported_media_type", at="content-type")
