"""What is asked of a Worker for these tests alone: it was just started, its log is theirs, and in the end it is killed.

Started from its snapshot, as Cloudflare does, it imports nothing, not even for the first request. An answer that is
made while it is sent, and cannot be finished, is cut off, and logged as what it is. When workerd is killed while
clients append, whatever was acknowledged is there, once, in an order without gaps.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.backends import REQUEST_SECONDS, WORKERS, over_http, worker
from support.in_process import as_user
from support.kills import check_what_was_told, write_until_killed
from support.records import all_messages, conversation, message, plain
from support.routes import PUBLIC_ROUTES
from threadkeep.conversations.records import MessageRecord
from threadkeep.errors import ThreadkeepError
from threadkeep.http.routes import ROUTES
from tools.local.worker import LocalWorker

API = "/api/conversations"
CLIENTS = 16
APPENDS_BEFORE = 200

on_cloudflare_alone = pytest.mark.parametrize("running", WORKERS, indirect=True, scope="module")


@pytest.fixture(scope="module", params=[*WORKERS, "postgres"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    """A Worker in whose log nobody else writes. Its tests are run in the order in which they stand here."""
    with worker(request.param, tmp_path_factory.mktemp("own")) as started:
        yield started


def ask_of_branches(ask: Callable[..., Any], conversation: str, pattern: str, sibling: dict[str, Any]) -> None:
    """Ask each route of branches."""
    sent = ask("POST", f"{conversation}/messages", f"{pattern}/messages", json=sibling).json()
    message, of_message = f"{conversation}/messages/{sent['messages'][0]['id']}", f"{pattern}/messages/{{mid}}"
    ask("GET", f"{message}/branches", f"{of_message}/branches")
    ask("PUT", f"{conversation}/leaf", f"{pattern}/leaf", json={"messageId": sibling["siblingOf"]})
    ask("DELETE", message, of_message)
    ask("POST", f"{message}/restore", f"{of_message}/restore")
    ask("POST", f"{conversation}/fork", f"{pattern}/fork", json={"title": "Fork"})


def ask_of_drafts(ask: Callable[..., Any], conversation: str, pattern: str) -> None:
    """Ask each route of drafts."""
    headers = {"Content-Type": "application/x-ndjson"}
    ask("POST", f"{conversation}/drafts", f"{pattern}/drafts", json={"id": "a"})
    ask("GET", f"{conversation}/drafts", f"{pattern}/drafts")
    draft, of_draft = "/api/drafts/a", "/api/drafts/{id}"
    parts = [[{"block": 0, "set": {"type": "text", "text": "a"}}]]
    ask("POST", f"{draft}/parts", f"{of_draft}/parts", json={"fence": 1, "from": 0, "parts": parts})
    ask("GET", draft, of_draft, params={"folded": "true"})
    ask("POST", f"{draft}/take", f"{of_draft}/take")
    line = b'{"block": 0, "append": "b"}\n'
    ask("POST", f"{draft}/stream", f"{of_draft}/stream", params={"fence": 2}, content=line, headers=headers)
    ask("POST", f"{draft}/stop", f"{of_draft}/stop")
    ask("PUT", draft, of_draft, json={"fence": 2, "state": "complete"})
    ask("GET", f"{draft}/events", f"{of_draft}/events")


def ask_of_tasks(ask: Callable[..., Any]) -> None:
    """Ask what can be asked of tasks."""
    queue, pattern = "/api/queues/cold", "/api/queues/{queue}"
    task, of_task = f"{queue}/tasks/a", f"{pattern}/tasks/{{task}}"
    ask("POST", f"{queue}/tasks", f"{pattern}/tasks", json={"id": "a", "lane": "b/c", "payload": {"a": 1}})
    claim = {"do": "claim", "attempt": "a1", "holder": "h1", "leaseUntil": 1}
    note = {"do": "note", "attempt": "a1", "note": {"a": 1}, "if": {"a": None}}
    for change in (claim, note, {"do": "absorb", "attempt": "a1"}):
        ask("POST", task, of_task, json=change)
    ask("GET", task, of_task)
    ask("GET", f"{queue}/tasks", f"{pattern}/tasks", params={"view": "expired"})
    ask("POST", f"{queue}/renew", f"{pattern}/renew", json={"holder": "h1", "tasks": ["a"], "leaseUntil": 1})
    ask("GET", queue, pattern)
    ask("POST", f"{queue}/lanes/b%2Fc", f"{pattern}/lanes/{{lane}}", json={"do": "abort"})


def ask_of_threads(ask: Callable[..., Any]) -> None:
    """Ask each route of threads."""
    place, pattern = "/api/threads/a%2Fb", "/api/threads/{thread}"
    typed = {"type": "json", "data": "MQ=="}
    value = {"channel": "a", "version": "1", **typed}
    checkpoint = {"id": "1", **typed, "stored": {"a": "1"}, "values": [value], "metadata": {"run_id": "r"}}
    ask("POST", f"{place}/checkpoints", f"{pattern}/checkpoints", json=checkpoint)
    writes = {"checkpoint": "1", "task": "t", "writes": [{"idx": 0, "channel": "a", **typed}]}
    ask("POST", f"{place}/writes", f"{pattern}/writes", json=writes)
    ask("GET", f"{place}/checkpoints", f"{pattern}/checkpoints", params={"ns": "", "filter": '{"run_id": "r"}'})
    ask("GET", f"{place}/deltas", f"{pattern}/deltas", params={"channels": '["a"]'})
    ask("GET", "/api/threads", "/api/threads", params={"limit": 1})
    ask("GET", "/api/checkpoints", "/api/checkpoints", params={"limit": 1})
    ask("POST", "/api/threads/copy/copy", f"{pattern}/copy", json={"source": "a/b"})
    ask("POST", f"{place}/owner", f"{pattern}/owner")
    ask("POST", "/api/checkpoints/prune", "/api/checkpoints/prune", json={"threads": ["a/b"], "keep": "latest"})
    ask("POST", "/api/checkpoints/delete", "/api/checkpoints/delete", json={"runs": ["r"]})
    ask("DELETE", place, pattern)


def ask_of_journals_and_blobs(ask: Callable[..., Any]) -> None:
    """Ask all that can be asked of the state of agents."""
    place, pattern = "/api/journals/cold/a%2Fb", "/api/journals/{space}/{key}"
    ask("PUT", place, pattern, json={"head": {"a": 1}, "expiresIn": 60})
    ask("PATCH", place, pattern, json={"head": {"b": 2}})
    ask("GET", place, pattern)
    ask("POST", f"{place}/entries", f"{pattern}/entries", json={"entries": [{"data": 1}, {"data": 2}], "cut": 0})
    ask("GET", f"{place}/entries", f"{pattern}/entries", params={"limit": 1})
    ask("POST", f"{place}/pop", f"{pattern}/pop")
    ask("POST", f"{place}/producer", f"{pattern}/producer", json={"producer": "p"})
    ask("GET", "/api/journals/cold", "/api/journals/{space}", params={"limit": 1})
    ask("DELETE", place, pattern)
    row = b'{"id": "a", "data": "{}", "updated_at": 1}'
    headers = {"Content-Type": "application/x-ndjson"}
    ask("POST", "/api/journals/cold/rows", "/api/journals/{space}/rows", content=row, headers=headers)
    ask("GET", "/api/journals/cold/rows", "/api/journals/{space}/rows")
    place, pattern = "/api/journals/cold/a/entries", "/api/journals/{space}/{key}/entries"
    ask("POST", place, pattern, json={"close": True})
    ask("GET", place, pattern, headers={"Accept": "text/event-stream"})
    place, pattern = "/api/blobs/cold/a%2Fb", "/api/blobs/{space}/{key}"
    ask("PUT", place, pattern, content=b"bytes", headers={"X-Meta": '{"a": 1}', "Content-Type": "image/png"})
    ask("GET", place, pattern)
    ask("DELETE", place, pattern)


def test_no_request_of_any_kind_imports_anything_not_even_the_first(running: LocalWorker) -> None:
    said = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    document = {"version": 1, "conversation": {"title": "T", "messages": [said]}}
    with httpx.Client(base_url=running.url, timeout=REQUEST_SECONDS, headers=as_user("cold")) as client:
        asked = set()

        def ask(method: str, path: str, pattern: str | None = None, **options: object) -> httpx.Response:
            asked.add((method, pattern or path))
            response = client.request(method, path, **options)  # type: ignore[arg-type]
            assert response.is_success
            imported = client.get("/imports").json()
            assert imported == [], (method, path)
            return response

        created = ask("POST", API, json={"title": "First", "messages": [said]}).json()["id"]
        own, pattern = f"{API}/{created}", f"{API}/{{id}}"
        ask("POST", f"{own}/messages", f"{pattern}/messages", json=said)
        listed = ask("GET", f"{own}/messages", f"{pattern}/messages").json()["messages"]
        one = f"{own}/messages/{listed[0]['id']}"
        ask("GET", one, f"{pattern}/messages/{{mid}}")
        ask("PATCH", one, f"{pattern}/messages/{{mid}}", json={"metadata": {"vote": "up"}})
        ask_of_branches(ask, own, pattern, {**said, "siblingOf": listed[0]["id"]})
        ask("GET", f"{own}/context", f"{pattern}/context", params={"dialect": "anthropic"})
        ask_of_drafts(ask, own, pattern)
        ask("GET", f"{API}/search", params={"q": '"hello" fir'})
        ask("GET", "/api/export")
        ask("GET", f"{own}/export", f"{pattern}/export")
        ask("POST", "/api/import", json=document)
        ask("GET", f"{API}/changes", params={"since": "0"})
        with client.stream("GET", f"{API}/changes/stream") as following:
            next(following.iter_raw())
        asked.add(("GET", f"{API}/changes/stream"))
        ask("GET", API)
        ask("GET", API, params={"archived": "any", "model": "m", "createdAfter": "0", "metadata.a": "1"})
        ask("GET", own, pattern)
        ask("PUT", own, pattern, json={"messages": [said]})
        ask("PATCH", own, pattern, json={"title": "Second"})
        ask("DELETE", own, pattern)
        ask("POST", f"{own}/restore", f"{pattern}/restore")
        ask("DELETE", API, params={"before": "9007199254740991", "confirm": "cold"})
        ask_of_journals_and_blobs(ask)
        ask_of_tasks(ask)
        ask_of_threads(ask)
        conversations = "/api/openai/v1/conversations"
        place = f"{conversations}/{ask('POST', conversations, json={'items': [said]}).json()['id']}"
        for method, step, options in (
            ("GET", "", {}),
            ("POST", "", {"json": {"metadata": {"a": "b"}}}),
            ("POST", "/items", {"json": {"items": [{**said, "id": "mine"}]}}),
            ("GET", "/items", {"params": {"limit": 1}}),
            ("GET", "/items/mine", {}),
            ("DELETE", "/items/mine", {}),
            ("DELETE", "", {}),
        ):
            ask(method, place + step, f"{conversations}/{{conversation}}{step.replace('mine', '{item}')}", **options)
        for route in PUBLIC_ROUTES:
            ask(route.method, route.path)
        assert client.get(API, headers={"Authorization": "Bearer a.b.c"}).status_code == 401
        assert client.post(API, content=b"{").status_code == 415
        ask("DELETE", "/api/me", params={"confirm": "cold"})
        assert asked == {(route.method, route.path) for route in ROUTES}


def log_with(running: LocalWorker, line: str) -> str:
    """What is in the log once it has this line, which wrangler passes on after the answer has ended."""
    deadline = time.monotonic() + 30
    while line not in (log := running.log_path.read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    return log


@on_cloudflare_alone
def test_an_export_that_is_overtaken_by_an_erasure_is_cut_off_and_logged_in_a_line(running: LocalWorker) -> None:
    content = [{"type": "text", "text": "x" * 1_000_000}]
    received = []
    with (
        httpx.Client(base_url=running.url, headers=as_user("ada"), timeout=REQUEST_SECONDS) as client,
        httpx.Client(base_url=running.url, headers=as_user("ada"), timeout=REQUEST_SECONDS) as other,
    ):
        for _ in range(30):  # more than what waits between the Worker and whoever reads slowly
            client.post(API, json={"messages": [{"role": "user", "content": content}]}).raise_for_status()
        with client.stream("GET", "/api/export") as export:
            pieces = export.iter_raw()
            received.append(next(pieces))
            assert other.delete("/api/me", params={"confirm": "ada"}).json()["conversations"] == 30
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                received.extend(pieces)
        assert other.get(API).json()["conversations"] == []
        log = log_with(running, "an answer was cut short: Everything was erased while it was exported.")
    assert 1 <= b"".join(received).count(b"\n") < 30
    assert "Traceback" not in log
    assert "PythonError" not in log


@on_cloudflare_alone
def test_whoever_goes_in_the_middle_of_an_export_leaves_no_error_behind(running: LocalWorker) -> None:
    content = [{"type": "text", "text": "x" * 1_000_000}]
    with httpx.Client(base_url=running.url, headers=as_user("bob"), timeout=REQUEST_SECONDS) as client:
        for _ in range(30):
            client.post(API, json={"messages": [{"role": "user", "content": content}]}).raise_for_status()
        with client.stream("GET", "/api/export") as export:
            next(export.iter_raw())
        for _ in range(5):
            assert len(client.get(API).json()["conversations"]) == 20
        log = running.log_path.read_text()
    assert "Traceback" not in log
    assert "PythonError" not in log


@on_cloudflare_alone
def test_whoever_stops_following_a_journal_leaves_no_error_behind(running: LocalWorker) -> None:
    place, headers = "/api/journals/runs/left/entries", {"Accept": "text/event-stream"}
    with httpx.Client(base_url=running.url, headers=as_user("eve"), timeout=REQUEST_SECONDS) as client:
        client.post(place, json={"entries": [{"data": 1}], "create": True}).raise_for_status()
        with client.stream("GET", place, headers=headers) as left:
            next(left.iter_raw())
        with client.stream("GET", place, headers=headers) as other:
            comments = 0
            for piece in other.iter_raw():  # by then, the other answer was to be gone on with
                comments += piece.count(b":\n\n")
                if comments >= 4:
                    break
        assert client.get(place).json()["entries"][0]["data"] == 1
    log = running.log_path.read_text()
    assert "Traceback" not in log
    assert "PythonError" not in log


@pytest.mark.anyio
async def test_what_was_acknowledged_before_a_kill_is_there_once_and_in_order(running: LocalWorker) -> None:
    record = conversation()
    acknowledged: dict[str, int] = {}
    unanswered: list[MessageRecord] = []
    busy = asyncio.Event()
    async with over_http(running.store, running.url) as backend:
        store = await backend.store("u")
        await store.create_conversation(record)

        async def append_until_it_dies(client: int) -> None:
            for number in itertools.count():
                sent = message(f"client {client}, message {number}")
                try:
                    appended, _ = await store.append_messages(record.id, [sent])
                except (ThreadkeepError, RuntimeError):
                    unanswered.append(sent)
                    return
                acknowledged[sent.id] = appended.messages[0].seq
                if len(acknowledged) == APPENDS_BEFORE:
                    busy.set()

        async def kill_while_they_are_busy() -> None:
            await busy.wait()
            await asyncio.to_thread(running.kill)

        await asyncio.gather(kill_while_they_are_busy(), *map(append_until_it_dies, range(CLIENTS)))
    assert len(unanswered) == CLIENTS

    running.start()
    async with over_http(running.store, running.url) as backend:
        store = await backend.store("u")
        rows = await all_messages(store, record.id)
        kept = {row.id: row.seq for row in rows}
        assert [*kept.values()] == [*range(1, len(rows) + 1)]
        assert acknowledged.items() <= kept.items()
        assert kept.keys() <= acknowledged.keys() | {sent.id for sent in unanswered}
        assert (await store.get_conversation(record.id)).message_count == len(rows)

        # Whoever got no answer sends again, and then everything is there once.
        for sent in unanswered:
            await store.append_messages(record.id, [sent])
        rows = await all_messages(store, record.id)
        assert len(rows) == len(acknowledged) + CLIENTS
        assert [row.seq for row in rows] == [*range(1, len(rows) + 1)]
        assert len({plain(row.content)[0]["text"] for row in rows}) == len(rows)


@pytest.mark.anyio
async def test_what_was_acknowledged_of_an_agent_before_a_kill_is_there_once(running: LocalWorker) -> None:
    async with over_http(running.store, running.url) as backend:
        told = await write_until_killed(await backend.state("u"), running.kill)
    running.start()
    async with over_http(running.store, running.url) as backend:
        await check_what_was_told(await backend.state("u"), told)
