"""Round trips, counted at the bindings inside workerd: one for each request, whatever it does.

Nor does the runtime look at a signature, once it has seen one, or convert what is JavaScript's: each time, that takes
as long as to answer.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from in_worker.test_purging import eventually

from support.backends import REQUEST_SECONDS, WORKERS, worker
from support.in_process import as_user
from support.routes import USER_ROUTES
from threadkeep.agents.openai.items import minted
from threadkeep.ids import new_id

# What works in chunks, since there may be more of it than fits into one: see below. Who follows changes asks again
# and again: see test_following_in_worker.py.
STREAMS = {
    ("GET", "/api/conversations/changes/stream"),
    ("GET", "/api/drafts/{id}/events"),
    ("POST", "/api/drafts/{id}/stream"),
    ("PUT", "/api/drafts/{id}"),
    ("POST", "/api/conversations/{id}/fork"),
    ("GET", "/api/conversations/{id}/export"),
    ("GET", "/api/export"),
    ("POST", "/api/import"),
    ("DELETE", "/api/me"),
    ("GET", "/api/journals/{space}/rows"),
    ("POST", "/api/journals/{space}/rows"),
}
# Where a request is handed on to an object, it is matched with the routes once more there.
EXPECTED = {
    "d1": [{"matches": 1, f"d1.{how}": 1} for how in ("batch", "raw", "all")],
    "durable-object": [
        {"matches": 2, "object.fetch": 1, "storage.transactionSync": 1},
        {"matches": 2, "object.fetch": 1, "storage.exec": 1},
    ],
}
TURNS = {"d1": 2, "durable-object": 3}
PARTS = [[{"block": 0, "set": {"type": "text", "text": "Hel"}}], [{"block": 0, "append": "lo"}]]
OLDER = "WyJjIiwxNzk1MTc2ODE5MTY0LCIwMUtBR1EzVzZaSjhZMFY0TTJUN041QzlYQiJd"
"""A cursor from before they began with `~`, which may be an id, too."""
# An object looks to its alarm before it deletes anything or starts a draft, in its own storage, and sets it where it is
# not set, or later: for the first deletion, and for the first draft.
ALARMS = [*[{"storage.getAlarm": 1, "storage.setAlarm": 1}] * 2, *[{"storage.getAlarm": 1}] * 3]
JOURNAL = "/api/journals/counted/a%2Fb"
GUARD = {"queue": "counted", "task": "a", "attempt": "a1"}
THREAD = "/api/threads/counted"
TYPED = {"type": "json", "data": "MQ=="}
LARGE_TYPED = {"type": "json", "data": "MTEx" * 500_000}
VALUES = {"values": [{"channel": "a", "version": "1", **LARGE_TYPED}]}
WRITES = [{"idx": -1, "channel": "a", **LARGE_TYPED}, {"idx": 0, "channel": "a", **TYPED}]
RUN = {"metadata": {"run_id": "r"}}
BLOB = "/api/blobs/counted/a%2Fb"
LARGE_ENTRIES = [{"data": "x" * 2_000_000}, {"id": "large", "data": "x" * 1_000_000}]
CONVERSATIONS = "/api/openai/v1/conversations"
CONVERSATION = f"{CONVERSATIONS}/{minted('conv', 'made', 0)}"
ITEMS = [{"id": "large", "role": "user", "content": "x" * 2_000_000}]
STATE = [
    *[("PUT", JOURNAL, {"json": {"mode": mode, "head": 1}}) for mode in ("create", "create", "save", "replace")],
    ("PUT", JOURNAL, {"json": {"head": 1}, "headers": {"If-Match": '"9"'}}),
    ("PATCH", JOURNAL, {"json": {"head": {"a": 1}}}),
    ("PATCH", JOURNAL, {"json": {"status": "s"}, "headers": {"If-Match": '"9"'}}),
    ("GET", JOURNAL, {}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": [{"data": 1}, {"id": "b", "data": 2}], "create": True}}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": [{"id": "b", "data": 2}]}}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": [{"id": "b", "data": 3}]}}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": LARGE_ENTRIES, "remove": ["b"], "head": {}, "status": "s"}}),
    ("GET", f"{JOURNAL}/entries", {}),
    ("GET", f"{JOURNAL}/entries", {"params": {"after": 0, "limit": 1, "head": "true"}}),
    ("GET", f"{JOURNAL}/entries", {"params": {"newest": "true", "before": 4}}),
    ("POST", f"{JOURNAL}/pop", {}),
    ("GET", "/api/journals/counted", {}),
    ("GET", "/api/journals/counted", {"params": {"status": "s", "limit": 1}}),
    ("POST", f"{JOURNAL}/producer", {"json": {"producer": "p"}}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": [{"data": 1}]}}),
    ("DELETE", JOURNAL, {"headers": {"If-Match": '"99"'}}),
    ("DELETE", JOURNAL, {}),
    ("GET", JOURNAL, {}),
    ("POST", f"{THREAD}/owner", {}),
    ("POST", f"{THREAD}/checkpoints", {"json": {"id": "1", **TYPED}}),
    ("POST", f"{THREAD}/checkpoints", {"json": {"id": "1", **TYPED, "epoch": 1, "stored": {"a": "1"}, **VALUES}}),
    ("POST", f"{THREAD}/checkpoints", {"json": {"id": "2", "parent": "1", **LARGE_TYPED, "epoch": 1, **RUN}}),
    ("POST", f"{THREAD}/writes", {"json": {"checkpoint": "2", "task": "t", "writes": [], "epoch": 0}}),
    ("POST", f"{THREAD}/writes", {"json": {"checkpoint": "2", "task": "t", "writes": WRITES, "epoch": 1}}),
    ("GET", f"{THREAD}/checkpoints", {}),
    ("GET", f"{THREAD}/checkpoints", {"params": {"ns": "", "limit": 1, "filter": '{"run_id": "r"}'}}),
    ("GET", f"{THREAD}/checkpoints", {"params": {"checkpoint": "1"}}),
    ("GET", f"{THREAD}/deltas", {"params": {"channels": '["a"]'}}),
    ("GET", "/api/threads", {}),
    ("GET", "/api/checkpoints", {"params": {"before": "2"}}),
    ("POST", f"{THREAD}-2/copy", {"json": {"source": "counted"}}),
    ("POST", f"{THREAD}-2/copy", {"json": {"source": "absent"}}),
    ("POST", "/api/checkpoints/prune", {"json": {"threads": ["counted"], "keep": "latest"}}),
    ("POST", "/api/checkpoints/prune", {"json": {"updatedBefore": 1, "keep": "none"}}),
    ("POST", "/api/checkpoints/delete", {"json": {"runs": ["r"]}}),
    ("DELETE", THREAD, {}),
    ("DELETE", f"{THREAD}-2", {}),
    ("POST", CONVERSATIONS, {"json": {"items": ITEMS, "metadata": {"a": "b"}}, "headers": {"Idempotency-Key": "made"}}),
    ("GET", CONVERSATION, {}),
    ("POST", CONVERSATION, {"json": {"metadata": {}}}),
    (
        "POST",
        f"{CONVERSATION}/items",
        {"json": {"items": [{"type": "function_call"}, {"role": "user", "content": "a"}]}},
    ),
    ("POST", f"{CONVERSATION}/items", {"json": {"items": ITEMS}}),
    ("GET", f"{CONVERSATION}/items", {"params": {"limit": 2}}),
    ("GET", f"{CONVERSATION}/items", {"params": {"after": "large", "order": "asc", "include[]": "a"}}),
    ("GET", f"{CONVERSATION}/items/large", {}),
    ("GET", f"{CONVERSATION}/items/none", {}),
    ("DELETE", f"{CONVERSATION}/items/none", {}),
    ("DELETE", CONVERSATION, {}),
    ("GET", CONVERSATION, {}),
]
QUEUE = "/api/queues/counted"
TASK = f"{QUEUE}/tasks/a"
LARGE = {"text": "x" * 1_500_000}
OWNED = {"attempt": "a1"}
CHANGES: list[dict[str, Any]] = [
    {"do": "ready"},
    {"do": "claim", **OWNED, "holder": "h1", "leaseUntil": 1},
    {"do": "claim", **OWNED, "holder": "h1", "leaseUntil": 1},
    *({"do": do, **OWNED} for do in ("applied", "recover", "absorb")),
    {"do": "replace", **OWNED, "nextAttempt": "a1"},
    {"do": "note", **OWNED, "note": {"a": 1}},
    {"do": "note", **OWNED, "note": {"a": 2}, "if": {"a": 2}},
    {"do": "join", **OWNED, "host": "b"},
    {"do": "leave", **OWNED, "host": "b"},
    {"do": "reserve", **OWNED, "settlementId": "s", "settlement": LARGE},
    {"do": "finalize", **OWNED, "settlementId": "s"},
    *({"do": do, **OWNED} for do in ("requeue", "settle")),
    {"do": "drop"},
]
VIEWS = ("runnable", "unready", "running", "expired", "settling", "open", "all", "lane&lane=one", "joined&host=a")
STATE += [
    ("POST", f"{QUEUE}/tasks", {"json": {"id": "a", "lane": "one", "payload": LARGE, "ready": False}}),
    ("POST", f"{QUEUE}/tasks", {"json": {"id": "a", "lane": "one", "payload": 1}}),
    *(("POST", f"{QUEUE}/tasks", {"json": {"id": id_, "lane": "one", "payload": LARGE}}) for id_ in ("b", "c")),
    *(("POST", TASK, {"json": change}) for change in CHANGES[:-4]),
    ("POST", f"{JOURNAL}/entries", {"json": {"create": True, "entries": [{"data": 1}], "guard": GUARD}}),
    ("POST", f"{JOURNAL}/entries", {"json": {"entries": [{"data": 1}], "guard": {**GUARD, "joined": ["b"]}}}),
    *(("POST", TASK, {"json": change}) for change in CHANGES[-4:]),
    ("GET", TASK, {}),
    ("GET", f"{QUEUE}/tasks/none", {}),
    *(("GET", f"{QUEUE}/tasks?view={view}", {}) for view in VIEWS),
    ("GET", QUEUE, {}),
    ("POST", f"{QUEUE}/renew", {"json": {"holder": "h1", "tasks": ["a", "b"], "leaseUntil": 1}}),
    *(("POST", f"{QUEUE}/lanes/one", {"json": {"do": do}}) for do in ("abort", "close")),
    *(("POST", f"{QUEUE}/tasks/{id_}", {"json": {"do": "drop"}}) for id_ in ("b", "c")),
    *(("POST", f"{QUEUE}/lanes/one", {"json": {"do": do}}) for do in ("close", "clear", "open")),
    *[("PUT", BLOB, {"content": content}) for content in (b"x" * 3_000_000, b"x" * 3_000_000, b"other")],
    ("GET", BLOB, {}),
    ("DELETE", BLOB, {}),
    ("GET", BLOB, {}),
]
"""Requests for the state of agents, in an order in which they have something to do, or are refused."""


@pytest.fixture(scope="module", params=WORKERS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = worker(request.param, tmp_path_factory.mktemp("counted"), "counting_entry")
    with running, httpx.Client(base_url=running.url, timeout=REQUEST_SECONDS, headers=as_user("counted")) as client:
        client.store = request.param  # type: ignore[attr-defined]
        yield client


def test_every_request_of_a_user_is_matched_once_and_is_one_round_trip(client: httpx.Client) -> None:
    conversation, message, draft = new_id(), new_id(), new_id()
    content = [{"type": "text", "text": "Hello"}]
    own = f"/api/conversations/{conversation}"
    large = [{"id": new_id(), "role": "user", "content": [{"type": "text", "text": "x" * 900_000}]} for _ in range(4)]
    requests = [
        ("POST", "/api/conversations", {"json": {"id": conversation, "title": "A", "messages": []}}),
        ("POST", "/api/conversations", {"json": {"id": conversation, "title": "A", "messages": []}}),
        ("POST", "/api/conversations", {"json": {"messages": [{"role": "user", "content": content}]}}),
        ("GET", "/api/conversations", {}),
        ("GET", "/api/conversations", {"params": {"cursor": conversation}}),
        ("GET", "/api/conversations", {"params": {"archived": "any", "metadata.a": "1"}}),
        ("GET", "/api/conversations", {"params": {"model": "m", "cursor": conversation}}),
        ("GET", "/api/conversations/search", {"params": {"q": "hello"}}),
        ("GET", "/api/conversations/search", {"params": {"q": '"hel" lo', "role": "user", "from": 1, "limit": 1}}),
        ("GET", "/api/conversations/changes", {}),
        ("GET", "/api/conversations/changes", {"params": {"since": "0", "limit": 1}}),
        ("GET", "/api/conversations", {"params": {"cursor": OLDER}}),
        ("GET", own, {}),
        ("PUT", own, {"json": {"title": "A", "messages": [{"role": "user", "content": content}]}}),
        ("PUT", own, {"json": {"messages": [{"role": "user", "content": content}], "expectedMessageCount": 0}}),
        ("PATCH", own, {"json": {"title": "B"}}),
        ("PATCH", own, {"json": {"title": "C"}, "headers": {"If-Match": '"1"'}}),
        ("POST", f"{own}/messages", {"json": {"id": message, "role": "user", "content": content}}),
        ("POST", f"{own}/messages", {"json": {"id": message, "role": "user", "content": content}}),
        ("GET", f"{own}/messages", {}),
        ("GET", f"{own}/messages", {"params": {"after": 0}}),
        ("GET", f"{own}/messages", {"params": {"cursor": message}}),
        ("GET", f"{own}/messages", {"params": {"cursor": "WyJiIiwyXQ"}}),
        ("GET", f"{own}/context", {"params": {"dialect": "anthropic"}}),
        ("GET", f"{own}/messages/{message}", {}),
        ("PATCH", f"{own}/messages/{message}", {"json": {"metadata": {"a": 1}}}),
        ("PATCH", f"{own}/messages/{message}", {"json": {"metadata": None}, "headers": {"If-Match": '"1"'}}),
        ("PATCH", f"{own}/messages/{message}", {"json": {}}),
        ("POST", f"{own}/messages", {"json": {"messages": large}}),
        ("POST", f"{own}/messages", {"json": {"role": "user", "content": content, "siblingOf": message}}),
        ("GET", f"{own}/messages", {}),
        ("GET", f"{own}/messages", {"params": {"branch": message, "limit": 1}}),
        ("GET", f"{own}/messages/{message}/branches", {}),
        ("PUT", f"{own}/leaf", {"json": {"messageId": message, "descend": False}}),
        ("DELETE", f"{own}/messages/{message}", {}),
        ("POST", f"{own}/messages/{message}/restore", {}),
        ("POST", f"{own}/drafts", {"json": {"id": draft}}),
        ("GET", f"{own}/drafts", {}),
        ("GET", f"/api/drafts/{draft}", {"params": {"folded": "true"}}),
        ("POST", f"/api/drafts/{draft}/parts", {"json": {"fence": 1, "from": 0, "parts": PARTS}}),
        ("POST", f"/api/drafts/{draft}/stop", {}),
        ("POST", f"/api/drafts/{draft}/take", {}),
        ("DELETE", own, {}),
        ("DELETE", "/api/conversations", {"params": {"before": 1, "confirm": "counted"}}),
        ("POST", f"{own}/restore", {}),
        ("GET", f"/api/conversations/{new_id()}", {}),
        ("PUT", f"/api/conversations/{new_id()}", {"json": {"title": "D", "messages": []}}),
    ]
    patterns = {(route.method, route.path) for route in USER_ROUTES if route.needs != "agents"} - STREAMS
    assert patterns == {
        (method, path.replace(conversation, "{id}").replace(message, "{mid}").replace(draft, "{id}"))
        for method, path, _ in requests[:-2]
    }
    client.get("/api/conversations")  # an object that wakes up applies its migrations first
    client.get("/counts")
    alarms = iter(ALARMS)
    for method, path, options in requests:
        assert client.request(method, path, **options).status_code < 500
        store = client.store  # type: ignore[attr-defined]
        is_timed = method == "DELETE" or (method == "POST" and path.endswith(("/drafts", "/take")))
        alarm = next(alarms) if is_timed and store == "durable-object" else {}
        counted = client.get("/counts").json()
        del counted["turns"]
        assert counted in [expected | alarm for expected in EXPECTED[store]], (method, path)


def pattern_of(path: str) -> str:
    """The path of the route that serves this one of `STATE`."""
    path = path.replace(JOURNAL, "/api/journals/{space}/{key}").replace("journals/counted", "journals/{space}")
    path = re.sub("/tasks/[a-z]+", "/tasks/{task}", path.replace("queues/counted", "queues/{queue}"))
    path = path.replace(BLOB, "/api/blobs/{space}/{key}")
    path = path.replace(f"{THREAD}-2", THREAD).replace(THREAD, "/api/threads/{thread}")
    path = path.replace(CONVERSATION, f"{CONVERSATIONS}/{{conversation}}")
    path = re.sub("/items/.*", "/items/{item}", path)
    return path.replace("lanes/one", "lanes/{lane}")


def test_every_request_for_the_state_of_agents_is_one_round_trip(client: httpx.Client) -> None:
    patterns = {(route.method, route.path) for route in USER_ROUTES if route.needs == "agents"} - STREAMS
    assert patterns == {(method, pattern_of(path.partition("?")[0])) for method, path, _ in STATE}
    client.put(JOURNAL, json={"mode": "replace"})  # an object sets its alarm with the first write
    client.get("/counts")
    for method, path, options in STATE:
        assert client.request(method, path, **options).status_code < 500  # type: ignore[arg-type]
        counted = client.get("/counts").json()
        del counted["turns"]
        counted.pop("storage.getAlarm", None)  # before what is deleted
        assert counted in EXPECTED[client.store], (method, path)  # type: ignore[attr-defined]


def test_the_deletion_of_an_item_looks_first(client: httpx.Client) -> None:
    client.post(CONVERSATIONS, json={"items": ITEMS}, headers={"Idempotency-Key": "made"})
    client.get("/counts")
    assert client.delete(f"{CONVERSATION}/items/large").status_code == 200
    counted = client.get("/counts").json()
    batches = counted.get("d1.batch", 0) + counted.get("storage.transactionSync", 0)
    assert (batches, counted.get("object.fetch", 1)) == (2, 1)


def test_a_request_takes_one_turn_of_the_event_loop_to_begin_and_one_for_each_wait(client: httpx.Client) -> None:
    client.get("/api/conversations")
    client.get("/counts")
    client.get("/api/conversations")
    begun = 1  # to tell the counts
    assert client.get("/counts").json()["turns"] == TURNS[client.store] + begun  # type: ignore[attr-defined]


def test_a_page_of_large_messages_takes_two(client: httpx.Client) -> None:
    large = [{"role": "user", "content": [{"type": "text", "text": "x" * 900_000}]} for _ in range(3)]
    conversation = client.post("/api/conversations", json={"messages": large}).json()["id"]
    client.get("/counts")
    page = client.get(f"/api/conversations/{conversation}/messages").json()
    assert len(page["messages"]) == 1
    assert page["nextCursor"]
    trips = [name for name in EXPECTED[client.store][1] if name.startswith(("d1", "storage"))]  # type: ignore[attr-defined]
    counted = client.get("/counts").json()
    assert {name: count for name, count in counted.items() if name.startswith(("d1", "storage"))} == dict.fromkeys(
        trips, 2
    )


def test_a_hundred_conversations_are_imported_in_a_handful_of_round_trips(client: httpx.Client) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "Hello " * 100}]}
    document = {"version": 1, "conversation": {"title": "T", "messages": [message] * 20}}
    body = b"".join(json.dumps(document).encode() + b"\n" for _ in range(100))
    client.get("/api/conversations")
    client.get("/counts")
    response = client.post("/api/import", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert len(response.json()["imported"]) == 100
    counted = client.get("/counts").json()
    assert 2 <= counted.get("d1.batch", 0) + counted.get("storage.transactionSync", 0) <= 5
    exported = response.json()["imported"][0]["id"]
    assert client.get(f"/api/conversations/{exported}/export").status_code == 200
    counted = client.get("/counts").json()
    assert sum(count for name, count in counted.items() if name.startswith(("d1", "storage"))) == 2


def test_what_is_refused_before_it_is_done_costs_no_round_trip_to_the_database(client: httpx.Client) -> None:
    client.get("/api/conversations")
    client.get("/counts")
    client.get("/api/conversations", params={"limit": 0})
    client.get("/api/health")
    client.get("/api/nothing")
    client.post("/api/conversations", json={"title": 1})
    counted = client.get("/counts").json()
    assert not {name for name in counted if name.startswith(("d1", "storage"))}


def test_for_whoever_follows_a_journal_and_has_gone_the_store_is_asked_no_more(client: httpx.Client) -> None:
    client.post(f"{JOURNAL}/entries", json={"entries": [{"data": 1}], "create": True}).raise_for_status()
    with client.stream("GET", f"{JOURNAL}/entries", headers={"Accept": "text/event-stream"}) as response:
        pieces = response.iter_raw()
        while b"data: " not in next(pieces):
            pass
        asked = _asked_within(client, 2.5)
        assert asked >= 1 if client.store == "d1" else asked == 0  # type: ignore[attr-defined]
    # By itself the answer would go on for longer than is waited here.
    eventually(lambda: _asked_within(client, 2.5), 0, seconds=25)


def _asked_within(client: httpx.Client, seconds: float) -> int:
    """How often the store was asked while nobody sent a request."""
    client.get("/counts")
    time.sleep(seconds)
    counts = client.get("/counts").json()
    return sum(
        count for name, count in counts.items() if name.startswith(("d1.", "storage.transaction", "storage.exec"))
    )
