"""The plain server's application in this process: mounted, opened once, streaming, purging, and cut off."""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import prometheus_client  # noqa: F401 before a test says that there are several processes: it looks but once
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from support.backends import CHECK
from support.in_process import VARIABLES, as_user
from support.records import conversation, new_message
from support.stores import ProcessPlace, open_sqlite_file
from threadkeep.conversations import retention
from threadkeep.errors import Unavailable
from threadkeep.http.messages import BODY_BYTES_MAX
from threadkeep.http.router import Router
from threadkeep.ids import new_id
from threadkeep.server import application
from threadkeep.server.application import Application
from threadkeep.server.logs import CutShort, JsonFormatter, write_logs
from threadkeep.storage.backends import named
from threadkeep.storage.base import Backend, Database, Place
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.storage.postgres.dialect import statements_of
from threadkeep.storage.sql import database
from threadkeep.storage.sql.database import SharedSqlDatabase

pytestmark = pytest.mark.anyio

API = "/api/conversations"
MEMORY = {**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}


def client_of(app: Any, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://threadkeep", headers=as_user("ada"))


@pytest.fixture
async def app() -> AsyncIterator[Application]:
    made = Application(MEMORY.get)
    yield made
    await made.close()


@pytest.fixture
def on_file(tmp_path: Path) -> dict[str, str]:
    return {**VARIABLES, "AGENT_CONVERSATION_STORE": "sqlite", "SQLITE_PATH": str(tmp_path / "kept.sqlite")}


@asynccontextmanager
async def running(made: Application) -> AsyncIterator[Application]:
    """The application, told when the server starts and ends."""
    async with lifespan(made) as answers:
        assert answers == [{"type": "lifespan.startup.complete"}]
        yield made
    assert answers[1:] == [{"type": "lifespan.shutdown.complete"}]


@asynccontextmanager
async def lifespan(made: Application) -> AsyncIterator[list[Any]]:
    told: asyncio.Queue[Any] = asyncio.Queue()
    answers: list[Any] = []
    answered = asyncio.Event()

    async def send(message: Any) -> None:
        answers.append(message)
        answered.set()

    living = asyncio.create_task(made({"type": "lifespan"}, told.get, send))
    await told.put({"type": "lifespan.startup"})
    await answered.wait()
    yield answers
    await told.put({"type": "lifespan.shutdown"})
    await living


# Opening


async def test_it_opens_its_file_as_the_server_starts_and_closes_it_as_that_ends(
    on_file: dict[str, str], tmp_path: Path
) -> None:
    async with running(Application(on_file.get)) as made, client_of(made) as client:
        assert (await client.get("/api/ready")).json()["status"] == "ready"
        assert "kept.sqlite" in names_in(tmp_path)
        assert (await client.post(API, json={})).status_code == 201
    assert names_in(tmp_path) == ["kept.sqlite"]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_mounted_where_nobody_says_when_it_starts_it_opens_once_with_the_first_requests(
    on_file: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    connect = Backend.connect

    async def connect_slowly(backend: Backend, place: Place) -> Database:
        opened.append(backend.name)
        await asyncio.sleep(0.05)
        return await connect(backend, place)

    monkeypatch.setattr(Backend, "connect", connect_slowly)
    made = Application(on_file.get)
    async with client_of(Starlette(routes=[Mount("/keep/all", made)])) as client:
        answers = await asyncio.gather(*(client.post(f"/keep/all{API}", json={}) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {201}
        assert opened == ["sqlite"]
        created = answers[0]
        assert created.headers["location"] == f"/keep/all{API}/{created.json()['id']}"
        assert (await client.get(created.headers["location"])).json() == created.json()
        assert (await client.get("/keep/all/api/health")).status_code == 200
        for nowhere in ("/keep/all", "/keep/all/", "/keep/all/api%2Fhealth", "/keep/all/keep/all/api/health"):
            assert (await client.get(nowhere, follow_redirects=True)).status_code == 404
    await made.close()


@pytest.mark.parametrize("mounted_at", ["", "/keep", "/keep/all%20of/it"])
async def test_the_documents_lead_to_where_it_is_mounted(app: Application, mounted_at: str) -> None:
    outer = Starlette(routes=[Mount(unquote(mounted_at), app)]) if mounted_at else app
    async with client_of(outer) as client:
        page = await client.get(f"{mounted_at}/docs")
        (link,) = re.findall(r'href="([^"#]+)"', page.text)
        found = await client.get(page.url.join(link))
        assert (found.status_code, found.json()["openapi"]) == (200, "3.1.0")
        (server,) = found.json()["servers"]
        base = str(found.url.join(server["url"])).rstrip("/")  # as generators add a path to it
        for path in ("/api/health", "/openapi.json"):
            assert path in found.json()["paths"]
            assert (await client.get(f"{base}{path}")).status_code == 200
        created = await client.post(f"{base}{API}", json={})
        assert (await client.get(created.headers["location"])).json() == created.json()


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/api/x"}, "/api/x"),
        ({"path": "/api/ü x"}, "/api/%C3%BC%20x"),
        ({"path": "/a/api/x", "root_path": "/a"}, "/api/x"),
        ({"path": "/a/api/x", "root_path": "/a/"}, "/api/x"),
        ({"path": "/a", "root_path": "/a"}, "/"),
        ({"path": "/api/x", "root_path": "/a"}, "/api/x"),
        ({"path": "/apis/x", "root_path": "/api"}, "/apis/x"),
        ({"path": "/ü/api/x/y", "raw_path": b"/%C3%BC/api/x%2Fy", "root_path": "/ü"}, "/api/x%2Fy"),
    ],
)
def test_the_path_is_what_is_below_the_mount(scope: dict[str, Any], path: str) -> None:
    assert (
        application.Exchange(
            {"method": "GET", "query_string": b"", "headers": [], **scope}, receive_nothing, send_nowhere
        ).request.path
        == path
    )


async def receive_nothing() -> Any:
    return {"type": "http.request"}


async def send_nowhere(message: Any) -> None:
    """Nobody listens."""


WRONG = {
    "a wrong setting": ({**MEMORY, "RETENTION_DAYS": "soon"}, "RETENTION_DAYS is 'soon'"),
    "no back end in production": (
        {**MEMORY, "AGENT_CONVERSATION_STORE": "", "ENVIRONMENT": "production"},
        "No back end is set up, and in production nothing is kept in memory. Set DATABASE_URL",
    ),
    "a file that cannot be": (
        {**MEMORY, "AGENT_CONVERSATION_STORE": "sqlite", "SQLITE_PATH": "/nowhere/kept.sqlite"},
        "unable to open database file. Check SQLITE_PATH",
    ),
}


@pytest.mark.parametrize(("variables", "says"), [pytest.param(*row, id=case) for case, row in WRONG.items()])
async def test_what_is_wrong_keeps_a_server_from_starting_and_is_said_to_whoever_asks(
    variables: dict[str, str], says: str
) -> None:
    made = Application(variables.get)
    async with client_of(made) as client:
        for path in (API, "/api/ready"):
            refused = await client.get(path)
            assert refused.status_code in (503, 401)
        assert (await client.get("/api/ready")).status_code == 503
        assert says in (await client.get("/api/ready")).json()["error"]["message"]
    (answer,) = await first_answers_of(made)
    assert answer["type"] == "lifespan.startup.failed"
    assert says in answer["message"]


async def first_answers_of(made: Application) -> list[Any]:
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    await made({"type": "lifespan"}, receive_nothing, send)
    return answers


async def test_a_file_that_could_not_be_opened_is_tried_again_with_the_next_request(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    variables = {**MEMORY, "AGENT_CONVERSATION_STORE": "sqlite", "SQLITE_PATH": str(folder / "kept.sqlite")}
    made = Application(variables.get)
    async with client_of(made) as client:
        assert (await client.post(API, json={})).status_code == 503
        await asyncio.to_thread(folder.mkdir)
        assert (await client.post(API, json={})).status_code == 201
    await made.close()


async def test_it_keeps_nothing_and_is_ready_where_conversations_stay_with_the_client() -> None:
    made = Application({"ENVIRONMENT": "test"}.get)
    async with running(made), client_of(made) as client:
        assert (await client.get("/api/ready")).json()["store"] == "local"
        assert (await client.post(API, json={})).status_code == 501


async def test_a_deprecated_name_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    variables = {**MEMORY, "AGENT_CONVERSATION_PERSISTENCE": "", "NEXT_PUBLIC_FEATURE_CONVERSATION_DB": "true"}
    async with running(Application(variables.get)):
        assert "NEXT_PUBLIC_FEATURE_CONVERSATION_DB is deprecated" in caplog.text


# Ready


async def test_it_is_not_ready_when_its_database_does_not_answer(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Any) -> None:
        raise Unavailable("SQLite could not do this. Try again.")

    async def hang(self: Any) -> None:
        await asyncio.sleep(60)

    async with client_of(app) as client:
        assert (await client.get("/api/ready")).status_code == 200
        assert (await client.head("/api/ready")).content == b""
        assert (await client.post("/api/ready")).status_code == 404
        monkeypatch.setattr(application, "_READY_SECONDS", 0.01)
        for answer, says in ((fail, "could not do this"), (hang, "has not answered for 0.01 seconds")):
            monkeypatch.setattr(MemoryDatabase, "check", answer)
            response = await client.get("/api/ready")
            assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
            assert says in response.json()["error"]["message"]
            assert (await client.get("/api/health")).status_code == 200


async def test_anybody_may_ask_and_a_write_is_tried_only_so_often(
    on_file: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TRIAL_SECONDS", 3600)
    file = tmp_path / "kept.sqlite"
    async with running(Application(on_file.get)) as made, client_of(made) as client:
        assert (await client.get("/api/ready")).status_code == 200
        log = tmp_path / "kept.sqlite-wal"
        assert log.stat().st_size > 0
        os.utime(log, (1, 1))
        assert [(await client.get("/api/ready")).status_code for _ in range(3)] == [200] * 3
        assert log.stat().st_mtime == 1
        file.rename(tmp_path / "elsewhere")
        assert (await client.get("/api/ready")).status_code == 200  # as was found out just now
        kept = made._database
        assert isinstance(kept, SharedSqlDatabase)
        kept._try_from = 0
        response = await client.get("/api/ready")
        assert response.status_code == 503
        assert "cannot be written" in response.json()["error"]["message"]
        (tmp_path / "elsewhere").rename(file)
        assert (await client.get("/api/ready")).status_code == 503
        kept._try_from = 0
        assert (await client.get("/api/ready")).status_code == 200


# Requests and answers


class Conversation:
    """A client that is in the middle of a request."""

    def __init__(self, app: Application, method: str, path: str, *messages: Any, headers: Any = ()) -> None:
        self.sent: list[Any] = []
        self.messages = list(messages)
        raw = [(name.lower().encode(), value.encode()) for name, value in {**as_user("ada"), **dict(headers)}.items()]
        path, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
        self.answering = app(scope, self.receive, self.send)

    async def receive(self) -> Any:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        await asyncio.sleep(0)  # as it takes a server a moment


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}
JSON = {"Content-Type": "application/json"}


async def test_a_body_may_come_in_parts(app: Application) -> None:
    talking = Conversation(app, "POST", API, part(b'{"title"'), part(b""), part(b': "Ada"}', more=False), headers=JSON)
    await talking.answering
    assert talking.sent[0]["status"] == 201
    assert json.loads(talking.sent[1]["body"])["title"] == "Ada"


async def test_whoever_goes_before_all_is_sent_is_not_answered_and_nothing_is_kept(
    app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    talking = Conversation(app, "POST", API, part(b"{}"), GONE, headers=JSON)
    await talking.answering
    assert talking.sent == []
    (record,) = [record for record in caplog.records if record.name == "threadkeep.requests"]
    assert record.__dict__["fields"]["status"] == 499
    async with client_of(app) as client:
        assert (await client.get(API)).json()["conversations"] == []


async def test_a_draft_is_written_from_a_body_that_is_still_being_made(app: Application) -> None:
    lines = {"Content-Type": "application/x-ndjson"}
    began = b'{"block": 0, "set": {"type": "text", "text": "A"}}\n'
    async with client_of(app) as client:
        sent = [{"role": "user", "content": "Hello"}]
        await client.post(API, json={"id": "spoken", "messages": sent})
        settled, over = part(b'{"settle": "complete"}\n', more=False), part(b"", more=False)
        for id_, last, status in (("whole", settled, [201]), ("cut", GONE, []), ("open", over, [200])):
            await client.post(f"{API}/spoken/drafts", json={"id": id_})
            path = f"/api/drafts/{id_}/stream?fence=1"
            talking = Conversation(app, "POST", path, part(began), part(b""), last, headers=lines)
            await talking.answering
            assert [message["status"] for message in talking.sent if "status" in message] == status
        kept = (await client.get("/api/drafts/cut?folded=true")).json()
        assert kept["content"] == [{"type": "text", "text": "A"}]


@pytest.mark.parametrize("length", [None, str(BODY_BYTES_MAX + 1), "²"])
async def test_a_body_over_its_limit_is_refused_and_read_no_further(app: Application, length: str | None) -> None:
    parts = [part(b"x" * 1_000_000) for _ in range(20)]
    headers = {**JSON, **({} if length is None else {"Content-Length": length})}
    talking = Conversation(app, "POST", API, *parts, headers=headers)
    await talking.answering
    assert talking.sent[0]["status"] == 413
    assert len(talking.messages) == (20 if length == str(BODY_BYTES_MAX + 1) else 11)


async def test_an_export_is_sent_as_it_is_made_and_made_no_further_for_somebody_who_has_gone(
    app: Application,
) -> None:
    async with client_of(app) as client:
        for _ in range(5):
            await client.post(API, json={"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]})
    listening = Conversation(app, "GET", "/api/export")
    await listening.answering
    assert len(b"".join(message["body"] for message in listening.sent[1:]).splitlines()) == 5
    assert len(listening.sent) > 5
    leaving = Conversation(app, "GET", "/api/export", part(b"", more=False), GONE)
    await leaving.answering
    assert 2 <= len(leaving.sent) < len(listening.sent)
    assert leaving.sent[-1]["more_body"] is True  # so that nobody takes it for the whole


async def test_an_answer_that_fails_while_it_is_sent_is_cut_off_and_told(
    app: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client_of(app) as client:
        created = await client.post(API, json={})
        assert created.status_code == 201

    async def fail(self: Any, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("It breaks down")

    monkeypatch.setattr("threadkeep.storage.memory.store.MemoryStore.list_messages", fail)
    listening = Conversation(app, "GET", "/api/export")
    with pytest.raises(RuntimeError, match="It breaks down"):
        await listening.answering
    assert not [message for message in listening.sent if message.get("more_body") is False]
    assert caplog.records[-1].__dict__["fields"]["status"] == 500


async def test_why_the_store_is_unavailable_is_logged_and_not_told(
    app: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Any, *arguments: Any, **options: Any) -> Any:
        raise Unavailable("Try again.") from OSError("no route to 10.0.0.7")

    monkeypatch.setattr("threadkeep.storage.memory.store.MemoryStore.list_conversations", fail)
    async with client_of(app) as client:
        response = await client.get(API, headers={"X-Request-Id": "mine-1"})
    assert (response.status_code, response.json()["error"]["message"]) == (503, "Try again.")
    assert "10.0.0.7" not in response.text
    warnings = [record.message for record in caplog.records if record.levelno > logging.INFO]
    assert warnings == ["request mine-1 found the store unavailable: no route to 10.0.0.7"]


async def test_an_export_that_is_overtaken_by_an_erasure_is_cut_off_after_whole_lines_and_told_in_one_line(
    app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client_of(app) as client:
        for _ in range(5):
            await client.post(API, json={"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]})
        caplog.clear()
        erased = []

        class Erasing(Conversation):
            async def send(self, message: Any) -> None:
                await super().send(message)
                if message.get("body") and not erased:
                    erased.append(await client.delete("/api/me?confirm=ada"))

        listening = Erasing(app, "GET", "/api/export")
        with pytest.raises(CutShort, match="Everything was erased while it was exported"):
            await listening.answering
    assert [json.loads(message["body"])["version"] for message in listening.sent[1:]] == [1]
    assert listening.sent[-1]["more_body"] is True  # so that nobody takes it for the whole
    cut = [record for record in caplog.records if record.levelno > logging.INFO]
    assert [record.levelname for record in cut] == ["WARNING"]
    assert re.fullmatch(r"request \w{32} was cut short: Everything was erased while it was exported\.", cut[0].message)
    assert caplog.records[-1].__dict__["fields"]["status"] == 404


async def test_a_header_that_is_there_twice_is_one_and_what_is_no_utf_8_names_nobody(app: Application) -> None:
    async with client_of(app) as client:
        twice = httpx.Headers([("X-Request-Id", "a"), ("X-Request-Id", "b")])
        assert len((await client.get(API, headers=twice)).headers["x-request-id"]) == 32  # `a, b` is no good name
        refused = await client.get(API, headers={"X-User-Id": b"j\xfcrgen"})
        assert (refused.status_code, refused.json()["error"]["details"]) == (400, {"path": "x-user-id"})


async def test_the_query_may_hold_what_is_no_ascii(app: Application) -> None:
    talking = Conversation(app, "GET", f"{API}/search?q=zürich")
    await talking.answering
    assert talking.sent[0]["status"] == 200


async def test_an_answer_says_how_long_it_is_where_it_has_a_body(app: Application) -> None:
    async with client_of(app) as client:
        created = await client.post(API, json={})
        assert int(created.headers["content-length"]) == len(created.content)
        for answer in (
            await client.head(API),
            await client.options(API),
            await client.delete(f"{API}/{created.json()['id']}"),
        ):
            assert ("content-length" not in answer.headers, answer.content) == (True, b"")


async def test_a_web_socket_is_refused(app: Application) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "websocket"}, receive_nothing, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


# Logs and metrics


async def test_a_request_is_counted_by_its_route_and_by_nothing_that_its_sender_chose() -> None:
    made = Application({**MEMORY, "METRICS": "true"}.get)
    async with client_of(made) as client:
        for method, path in (
            ("GET", f"{API}/{new_id()}"),
            ("GET", f"{API}/{new_id()}"),
            ("GET", f"{API}/search?q=secret"),
            ("BREW", "/secret"),
            ("GET", "/api/ready"),
        ):
            await client.request(method, path)
        response = await client.get("/metrics")
    await made.close()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.headers["x-request-id"]
    lines = [line for line in response.text.splitlines() if line.startswith("threadkeep_requests_total")]
    assert lines == [
        'threadkeep_requests_total{method="GET",route="/api/conversations/{id}",status="404"} 2.0',
        'threadkeep_requests_total{method="GET",route="/api/conversations/search",status="200"} 1.0',
        'threadkeep_requests_total{method="other",route="none",status="404"} 1.0',
        'threadkeep_requests_total{method="GET",route="/api/ready",status="200"} 1.0',
    ]
    assert "secret" not in response.text


async def test_a_request_is_matched_once_though_it_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    matched: list[str] = []
    match = Router.match

    def matching(router: Router[Any], path: str) -> Any:
        matched.append(path)
        return match(router, path)

    monkeypatch.setattr(Router, "match", matching)
    made = Application({**MEMORY, "METRICS": "true"}.get)
    paths = [API, f"{API}/{new_id()}", "/api/health", "/api/nothing"]
    async with client_of(made) as client:
        for path in paths:
            await client.get(path)
        counted = (await client.get("/metrics")).text
    await made.close()
    assert matched == paths
    for route in (API, f"{API}/{{id}}", "/api/health", "none"):
        assert f'threadkeep_requests_total{{method="GET",route="{route}"' in counted


async def test_metrics_without_their_library_are_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    (answer,) = await first_answers_of(Application({**MEMORY, "METRICS": "true"}.get))
    assert "METRICS is true, and prometheus-client is missing: install threadkeep[server]." in answer["message"]


async def test_the_figures_of_several_processes_are_read_from_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    made = Application({**MEMORY, "METRICS": "true"}.get)
    async with client_of(made) as client:
        await client.get(API)
        assert (await client.get("/metrics")).text == ""  # nobody has written there: these are this process's own
    await made.close()


def test_what_is_logged_anywhere_is_a_line_of_json_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "captureWarnings", lambda capture: None)
    write_logs()
    logging.getLogger("uvicorn.error").warning("It is %s", "odd")
    logging.getLogger("threadkeep").debug("not this")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("warning", "uvicorn.error", "It is odd")


def test_a_record_is_a_line_of_json_with_its_error() -> None:
    logger = logging.getLogger("threadkeep")
    try:
        raise ValueError("ü\n")
    except ValueError as error:
        record = logger.makeRecord(
            "threadkeep", logging.ERROR, "", 0, "%s has failed", ("it",), (ValueError, error, None)
        )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("error", "threadkeep", "it has failed")
    assert told["time"].endswith("+00:00")
    assert "ValueError: ü" in told["exception"]


# Purging


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_what_was_deleted_long_ago_is_purged(store: str, on_file: dict[str, str]) -> None:
    opened = await named(store).connect(ProcessPlace(on_file))
    kept = opened.open_store("ada")
    made, _ = await kept.create_conversation(record := conversation(new_message()))
    await kept.delete_conversation(made.id)
    await retention.purge_database(opened, 1)
    assert (await kept.restore_conversation(made.id)).id == made.id
    await kept.delete_conversation(made.id)
    await asyncio.sleep(0.01)
    await retention.purge_database(opened, 0)
    assert (await kept.create_conversation(record))[1]  # its id is free again
    await opened.close()


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_those_who_have_something_to_purge_are_found_among_many_who_have_not(
    store: str, on_file: dict[str, str]
) -> None:
    opened = await named(store).connect(ProcessPlace(on_file))
    for number in range(60):
        kept = opened.open_store(f"user-{number}")
        made, _ = await kept.create_conversation(conversation(new_message()))
        if number >= 50:
            await kept.delete_conversation(made.id)
    assert await opened.users_to_purge(1, 45) == []
    found = await opened.users_to_purge(2**52, 45)
    assert sorted(found) == [f"user-{number}" for number in range(50, 60)]
    assert len(await opened.users_to_purge(2**52, 4)) == 4
    await opened.close()


async def test_it_purges_on_a_timer_and_goes_on_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    purged: list[int] = []
    enough = asyncio.Event()

    async def purge_or_fail(opened: Database, retention_days: int) -> None:
        purged.append(retention_days)
        if len(purged) == 2:
            raise Unavailable("The disk is full.")
        if len(purged) == 4:
            enough.set()

    monkeypatch.setattr(retention, "purge_database", purge_or_fail)
    monkeypatch.setattr(application, "_FIRST_PURGE_SECONDS", 0)
    monkeypatch.setattr(application, "PURGE_SECONDS", 0)
    async with running(Application({**MEMORY, "RETENTION_DAYS": "7"}.get)):
        await asyncio.wait_for(enough.wait(), 10)
    assert set(purged) == {7}
    assert caplog.text.count("a purge has failed") == 1
    assert "The disk is full" in caplog.text


async def test_a_database_that_keeps_no_log_of_writes_has_none_to_empty() -> None:
    class Other:
        """A database that tidies its index by itself, and has been asked nothing."""

        statements = statements_of("public")

        async def close(self) -> None:
            """It was never open."""

    await SharedSqlDatabase(Other()).tidy()  # type: ignore[arg-type]


async def test_two_that_purge_at_once_are_no_harm(on_file: dict[str, str]) -> None:
    sqlite, place = named("sqlite"), ProcessPlace(on_file)
    first, second = await sqlite.connect(place), await sqlite.connect(place)
    kept = first.open_store("ada")
    for _ in range(20):
        made, _ = await kept.create_conversation(conversation(new_message("x" * 1_000)))
        await kept.delete_conversation(made.id)
    await asyncio.sleep(0.01)
    await asyncio.gather(*(retention.purge_database(opened, 0) for opened in (first, second, first, second)))
    while await first.users_to_purge(2**52, 10):
        await retention.purge_database(first, 0)
    executor = await open_sqlite_file(on_file["SQLITE_PATH"])
    await executor.run(CHECK())
    for opened in (first, second, executor):
        await opened.close()
