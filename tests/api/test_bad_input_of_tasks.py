"""Bad input about tasks: each gets a clear error that says where or why, and loses nothing."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import JSON, ask, check_refusal, send, someone

from support.backends import Backend
from threadkeep.http.messages import BODY_BYTES_MAX

pytestmark = pytest.mark.anyio

QUEUE = "/api/queues/agents"
TASKS = f"{QUEUE}/tasks"
TASK = f"{TASKS}/kept"
LANE = f"{QUEUE}/lanes/one"
CLAIM = {"do": "claim", "attempt": "a1", "holder": "h1", "leaseUntil": 1}


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a task that runs and one that waits, which nothing that is refused changes."""
    client = someone(backend)
    for id_ in ("kept", "waiting"):
        admitted = await send(client, "POST", TASKS, {"id": id_, "lane": "one", "payload": {"n": 1}})
        assert (admitted.status_code, admitted.json()["kind"]) == (201, "task")
    assert (await send(client, "POST", TASK, CLAIM)).json()["applied"]
    before = await everything(client)
    yield client
    assert await everything(client) == before


async def everything(client: httpx.AsyncClient) -> Any:
    return (await ask(client, "GET", TASKS)).json()


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (TASKS, {}, "id"),
    (TASKS, {"id": "", "lane": "one", "payload": 1}, "id"),
    (TASKS, {"id": "a\u0000", "lane": "one", "payload": 1}, "id"),
    (TASKS, {"id": "k" * 513, "lane": "one", "payload": 1}, "id"),
    (TASKS, {"id": "t", "lane": "a\n", "payload": 1}, "lane"),
    (TASKS, {"id": "t", "payload": 1}, "lane"),
    (TASKS, {"id": "t", "lane": "one"}, "payload"),
    (TASKS, {"id": "t", "lane": "one", "payload": 1, "kind": "é" * 257}, "kind"),
    (TASKS, {"id": "t", "lane": "one", "payload": 1, "ready": "yes"}, "ready"),
    (TASKS, {"id": "t", "lane": "one", "payload": 1, "attemptsMax": -1}, "attemptsMax"),
    (TASKS, {"id": "t", "lane": "one", "payload": 1, "acceptedAt": "now"}, "acceptedAt"),
    (TASKS, {"id": "t", "lane": "one", "payload": 1, "queue": "agents"}, "queue"),
    (TASK, {}, "do"),
    (TASK, {"do": "dance"}, "do"),
    (TASK, {"do": 1}, "do"),
    (TASK, {"do": "claim", "holder": "h", "leaseUntil": 1}, "attempt"),
    (TASK, {**CLAIM, "attempt": ""}, "attempt"),
    (TASK, {**CLAIM, "attempt": "a\u0085"}, "attempt"),
    (TASK, {**CLAIM, "leaseUntil": -1}, "leaseUntil"),
    (TASK, {**CLAIM, "leaseUntil": 1.5}, "leaseUntil"),
    (TASK, {**CLAIM, "leaseUntil": 2**53 - 1}, "leaseUntil"),
    (TASK, {**CLAIM, "timeoutAt": 2**53 - 1}, "timeoutAt"),
    (TASK, {**CLAIM, "lease": 1}, "lease"),
    (TASK, {"do": "replace", "attempt": "a1"}, "nextAttempt"),
    (TASK, {"do": "settle", "attempt": "a1", "error": "a\u0000b"}, "error"),
    (TASK, {"do": "settle", "attempt": "a1", "error": {"message": "x"}}, "error"),
    (TASK, {"do": "reserve", "attempt": "a1", "settlementId": "s"}, "settlement"),
    (TASK, {"do": "note", "attempt": "a1", "note": [1]}, "note"),
    (TASK, {"do": "note", "attempt": "a1", "note": {}, "if": {"a": [1]}}, "if[...]"),
    (TASK, {"do": "note", "attempt": "a1", "note": {}, "if": {"a": 1.5}}, "if[...]"),
    (TASK, {"do": "note", "attempt": "a1", "note": {}, "if": {"a\u0000": 1}}, "if"),
    (f"{QUEUE}/renew", {"holder": "h1", "tasks": "kept", "leaseUntil": 1}, "tasks"),
    (f"{QUEUE}/renew", {"holder": "h1", "tasks": ["kept", ""], "leaseUntil": 1}, "tasks[1]"),
    (f"{QUEUE}/renew", {"holder": "h1", "tasks": ["kept"]}, "leaseUntil"),
    (LANE, {}, "do"),
    (LANE, {"do": "delete"}, "do"),
    (LANE, {"do": "close", "keep": "k"}, "keep"),
]


@pytest.mark.front_door
async def test_a_wrong_value_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, body, at in WRONG:
        with subtests.test(f"{path} {str(body)[:60]}"):
            check_refusal(await send(client, "POST", path, body), at=at)


@pytest.mark.front_door
async def test_an_unknown_change_is_told_which_there_are(client: httpx.AsyncClient) -> None:
    check_refusal(await send(client, "POST", TASK, {"do": "claims"}), at="do", says=("`claim`", "`absorb`"))


@pytest.mark.front_door
async def test_what_is_no_name_in_a_path_is_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for name in ("k" * 513, "é" * 257, "a\nb", "\x00", "\x7f", "\x85"):
        step = quote(name, safe="")
        for method, path, at in (
            ("GET", f"/api/queues/{step}", "queue"),
            ("GET", f"/api/queues/{step}/tasks", "queue"),
            ("GET", f"{TASKS}/{step}", "task"),
            ("GET", f"{TASKS}?view=joined&host={step}", "host"),
            ("GET", f"{TASKS}?view=lane&lane={step}", "lane"),
        ):
            with subtests.test(f"{method} {at} {name[:9]!r}"):
                check_refusal(await ask(client, method, path), at=at)
        check_refusal(await send(client, "POST", f"{QUEUE}/lanes/{step}", {"do": "abort"}), at="lane")


async def test_a_name_is_any_text_and_comes_back_as_it_was_sent(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    for name in ("a/b", "'\"`", '["agent-1","default"]', "{x}", "a b", "a+b", "a%2Fb", "?#&=;", "\\", "é漢😀", "~"):
        with subtests.test(name):
            queue = f"/api/queues/{quote(name, safe='')}"
            task = f"{queue}/tasks/{quote(name, safe='')}"
            admitted = await send(client, "POST", f"{queue}/tasks", {"id": name, "lane": name, "payload": name})
            assert admitted.status_code == 201
            found = (await ask(client, "GET", task)).json()
            assert (found["queue"], found["id"], found["lane"], found["payload"]) == (name,) * 4
            lane = await send(client, "POST", f"{queue}/lanes/{quote(name, safe='')}", {"do": "abort"})
            assert lane.json() == {"lane": name, "closedAt": None, "aborted": [name]}


@pytest.mark.front_door
async def test_a_name_of_a_change_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    for name in ("a b", "x" * 65, "a,b", "a/b"):
        refused = await send(client, "POST", TASK, {"do": "recover", "attempt": "a1"}, **{"Idempotency-Key": name})
        check_refusal(refused, at="idempotency-key", says=("1 to 64 characters",))


@pytest.mark.front_door
async def test_a_wrong_query_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query, at in (
        *(("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("after=-1", "after")),
        *(("view=none", "view"), ("view=lane", "lane"), ("view=joined", "host"), ("lane=one", "lane")),
        *(("view=lane&lane=one&host=kept", "host"), ("cursor=~W", "cursor"), ("host=", "host")),
    ):
        with subtests.test(query):
            check_refusal(await ask(client, "GET", f"{TASKS}?{query}"), at=at)


async def test_a_refused_write_says_why(client: httpx.AsyncClient) -> None:
    def reason(response: httpx.Response) -> tuple[int, str, Any]:
        error = response.json()["error"]
        return response.status_code, error["code"], error["details"]["reason"]

    for other in ({"payload": {"n": 2}}, {"lane": "two"}, {"kind": "k"}, {"target": "t"}):
        refused = await send(client, "POST", TASKS, {"id": "kept", "lane": "one", "payload": {"n": 1}, **other})
        assert reason(refused) == (409, "conflict", "conflict")
    assert reason(await send(client, "POST", LANE, {"do": "close"})) == (409, "conflict", "lane_busy")
    again = await send(client, "POST", TASKS, {"id": "kept", "lane": "one", "payload": {"n": 1}})
    assert (again.status_code, again.json()["task"]["state"]) == (200, "running")
    await send(client, "POST", f"{QUEUE}/lanes/shut", {"do": "close"})
    shut = await send(client, "POST", TASKS, {"id": "new", "lane": "shut", "payload": 1})
    assert reason(shut) == (409, "conflict", "lane_closed")
    check_refusal(await ask(client, "GET", f"{TASKS}/none"), "not_found", says=("none",))


async def test_a_receipt_is_what_is_left_of_a_task_that_was_cleared(backend: Backend) -> None:
    client = someone(backend)
    for id_, kind in (("a", "k"), ("b", "other")):
        await send(client, "POST", TASKS, {"id": id_, "lane": "one", "kind": kind, "payload": "secret"})
        assert (await send(client, "POST", f"{TASKS}/{id_}", {"do": "drop", "error": "why"})).json()["applied"]
    assert (await send(client, "POST", LANE, {"do": "close"})).json()["closedAt"] is not None
    assert (await send(client, "POST", LANE, {"do": "clear", "keep": "k"})).json()["closedAt"] is None
    receipt = await send(client, "POST", TASKS, {"id": "a", "lane": "elsewhere", "payload": "another"})
    assert receipt.status_code == 200
    assert receipt.json()["kind"] == "receipt"
    assert (receipt.json()["task"]["state"], receipt.json()["task"]["payload"]) == ("receipt", None)
    assert (await send(client, "POST", TASKS, {"id": "b", "lane": "one", "payload": "another"})).status_code == 201


async def test_what_is_not_there_is_no_error_where_nothing_is_to_be_done(client: httpx.AsyncClient) -> None:
    nowhere = "/api/queues/nowhere"
    assert (await ask(client, "GET", nowhere)).json() == {"queue": "nowhere", "hasOpenTasks": False}
    assert (await ask(client, "GET", f"{nowhere}/tasks")).json() == {"tasks": [], "more": False}
    assert (await send(client, "POST", f"{nowhere}/tasks/none", CLAIM)).json() == {"applied": False}
    absorbed = await send(client, "POST", f"{nowhere}/tasks/none", {"do": "absorb", "attempt": "a1"})
    assert absorbed.json() == {"applied": False, "absorbed": {"tasks": [], "more": False}}
    renewal = {"holder": "h1", "tasks": ["none"], "leaseUntil": 1}
    assert (await send(client, "POST", f"{nowhere}/renew", renewal)).json() == {"tasks": []}
    for do in ("abort", "open", "clear"):
        lane = (await send(client, "POST", f"{nowhere}/lanes/none", {"do": do})).json()
        assert lane == {"lane": "none", "closedAt": None, "aborted": []}


async def test_a_change_that_is_late_does_nothing_and_says_so(client: httpx.AsyncClient) -> None:
    for body in (
        CLAIM,
        {"do": "settle", "attempt": "a0"},
        {"do": "requeue", "attempt": "a0"},
        {"do": "finalize", "attempt": "a1", "settlementId": "s"},
        {"do": "drop"},
        {"do": "ready"},
        {"do": "note", "attempt": "a1", "note": {"a": 1}, "if": {"b": 1}},
        {"do": "join", "host": "waiting", "attempt": "a1"},
    ):
        changed = (await send(client, "POST", TASK, body)).json()
        assert (changed["applied"], changed["task"]["state"]) == (False, "running")


async def test_a_lease_may_be_past_and_many_are_renewed_in_parts(backend: Backend) -> None:
    client = someone(backend)
    await send(client, "POST", TASKS, {"id": "kept", "lane": "one", "payload": 1})
    await send(client, "POST", TASK, {**CLAIM, "leaseUntil": 2**53 - 2, "timeoutAt": 2**53 - 2})
    past = {"holder": "h1", "tasks": ["kept"], "leaseUntil": 1}
    assert (await send(client, "POST", f"{QUEUE}/renew", past)).json() == {"tasks": ["kept"]}
    expired = (await ask(client, "GET", f"{TASKS}?view=expired")).json()["tasks"]
    assert [task["id"] for task in expired] == ["kept"]
    many = {"holder": "h1", "tasks": ["kept", *(f"t{place}" for place in range(10_000))], "leaseUntil": 9}
    check_refusal(await send(client, "POST", f"{QUEUE}/renew", many), "too_large", at="tasks", says=("At most 1000",))
    part = {**many, "tasks": many["tasks"][:1_000]}  # type: ignore[index]
    assert (await send(client, "POST", f"{QUEUE}/renew", part)).json() == {"tasks": ["kept"]}


@pytest.mark.front_door
async def test_half_of_a_character_and_json_that_is_none_are_refused(client: httpx.AsyncClient) -> None:
    for path, body in (
        (TASKS, rb'{"id": "t", "lane": "one", "payload": "\ud83d"}'),
        (TASK, rb'{"do": "note", "attempt": "a1", "note": {"a": "\udc00"}}'),
        (TASK, rb'{"do": "settle", "attempt": "a1", "error": "\ud83d"}'),
    ):
        check_refusal(await send(client, "POST", path, body), at="body", says=("half of a character",))
    for body in (b"", b"{", b"[]", b'"{}"', b'{"do": "\xff"}'):
        check_refusal(await send(client, "POST", TASK, body), at="body")
    deep = b'{"id": "t", "lane": "one", "payload": %s}' % (b"[" * 100 + b"]" * 100)
    check_refusal(await send(client, "POST", TASKS, deep), at="body", says=("more than 100 levels",))
    check_refusal(await ask(client, "POST", TASKS, content=b"{}"), "unsupported_media_type", at="content-type")
    check_refusal(await ask(client, "DELETE", TASK, headers=JSON), "method_not_allowed")


async def test_a_payload_may_fill_a_body_and_not_a_byte_more(backend: Backend) -> None:
    client = someone(backend)
    frame = '{"id":"kept","lane":"one","payload":""}'
    text = "é" * ((BODY_BYTES_MAX - len(frame)) // 2)
    body = frame.replace('""', f'"{text}"').encode()
    body += b" " * (BODY_BYTES_MAX - len(body))
    check_refusal(await send(client, "POST", TASKS, body + b" "), "too_large", at="body")
    assert (await send(client, "POST", TASKS, body)).status_code == 201
    assert (await ask(client, "GET", TASK)).json()["payload"] == text


@pytest.mark.front_door
async def test_a_note_has_a_size(client: httpx.AsyncClient) -> None:
    note = {"do": "note", "attempt": "a1", "note": {"a": "x" * 262_144}}
    check_refusal(await send(client, "POST", TASK, note), "too_large", at="note", says=("262,144 bytes",))


async def test_a_guard_that_is_not_at_work_appends_nothing(client: httpx.AsyncClient) -> None:
    journal = "/api/journals/streams/one"
    await send(client, "PUT", journal, {"lane": "one", "head": 1})
    guard = {"queue": "agents", "task": "kept", "attempt": "a1"}
    append = {"entries": [{"data": 1}], "guard": guard}
    assert (await send(client, "POST", f"{journal}/entries", append)).status_code == 201
    for other in ({"attempt": "a0"}, {"task": "waiting"}, {"joined": ["waiting"]}, {"queue": "nowhere"}):
        refused = await send(client, "POST", f"{journal}/entries", {**append, "guard": {**guard, **other}})
        check_refusal(refused, "conflict", says=("not at work",))
        assert refused.json()["error"]["details"] == {"reason": "unauthorized"}
    wrong = await send(client, "POST", f"{journal}/entries", {**append, "guard": {**guard, "settlementId": "s"}})
    check_refusal(wrong, at="guard", says=("both",))
