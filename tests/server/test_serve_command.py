"""`threadkeep serve` as people start it: what it says, what it keeps where, and why it does not start."""

import ctypes
import json
import resource
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import apsw
import httpx
import pytest

from support.backends import server
from support.in_process import SERVICE_KEY, VARIABLES, as_user
from support.serving import PATIENCE_SECONDS, ready_line, refusal, serving
from threadkeep.ids import new_id
from threadkeep.storage.sqlite.migrations import MIGRATIONS
from tools.local.install import python

API = "/api/conversations"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
SECRET = "a secret of the tests, of 32 characters or more"


def test_with_nothing_set_up_it_keeps_a_file_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "threadkeep.sqlite"
    ids = []
    for count in (1, 2):
        with serving(tmp_path, "--dev-user=developer") as process:
            ready = ready_line(process)
            assert (ready["store"], ready["file"]) == ("sqlite", str(file))
            assert ready["address"].startswith("http://127.0.0.1:")
            with httpx.Client(base_url=ready["address"]) as client:
                ids.append(client.post(API, json={}).json()["id"])
                assert {row["id"] for row in client.get(API).json()["conversations"]} == set(ids)
                status = client.get(f"{API}/status").json()
                assert (status["enabled"], status["store"], status["persistent"]) == (True, "sqlite", True)
                assert status["requestedStore"] == "auto"
                assert status["reason"] == "No other back end is set up, and this server then takes sqlite."
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0
            assert "whoever reaches this server is the user developer" in log
        assert len(ids) == count
    assert [path.name for path in tmp_path.iterdir()] == [file.name]  # closed, with no log of writes beside it


def test_with_no_way_to_sign_in_it_says_so_and_lets_nobody_in(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        address = ready_line(process)["address"]
        assert httpx.get(f"{address}{API}").status_code == 401
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "nobody can sign in: set AUTH_JWT_SECRET or AUTH_SERVICE_KEYS" in log


ENDED_EARLY = """
import os, signal, sys
from threadkeep.cli import serve
from threadkeep.server import serving

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
get = serving.Config.get_loop_factory

def get_and_end(config):
    os.kill(os.getpid(), signal.SIGTERM)
    return get(config)

serving.Config.get_loop_factory = get_and_end
serve.complete_environment(os.environ, None)
serving.serve_alone("threadkeep.cli.serve:application", serving.listen("127.0.0.1", 0))
"""


def test_a_signal_just_before_it_serves_ends_it_as_cleanly_as_one_later(tmp_path: Path) -> None:
    done = subprocess.run(
        [python(), "-c", ENDED_EARLY],
        check=False,
        cwd=tmp_path,
        env={"AUTH_JWT_SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert all(json.loads(line) for line in done.stderr.splitlines())


def test_it_says_nothing_of_the_kind_where_somebody_can(tmp_path: Path) -> None:
    with serving(tmp_path, variables={"AUTH_JWT_SECRET": SECRET}) as process:
        ready_line(process)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert all(json.loads(line) for line in log.splitlines())
    assert SECRET not in log


def test_it_keeps_nothing_where_it_is_told_so_under_any_name(tmp_path: Path) -> None:
    with serving(tmp_path, "--dev-user=ada", variables={"CHM_FEATURE_CONVERSATION_DB": "false"}) as process:
        ready = ready_line(process)
        assert ready["store"] == "local"
        assert httpx.get(f"{ready['address']}{API}/status").json()["enabled"] is False
        assert httpx.get(f"{ready['address']}/api/ready").status_code == 200
    assert list(tmp_path.iterdir()) == []


REFUSED: dict[str, tuple[dict[str, str], tuple[str, ...], str]] = {
    "a store that there is not": ({"AGENT_CONVERSATION_STORE": "d2"}, (), "AGENT_CONVERSATION_STORE is 'd2'"),
    "names that disagree": (
        {"AGENT_CONVERSATION_STORE": "sqlite", "CONVERSATION_STORE_BACKEND": "memory"},
        (),
        "AGENT_CONVERSATION_STORE and CONVERSATION_STORE_BACKEND are two names of one setting and disagree",
    ),
    "a store of the Worker": ({"AGENT_CONVERSATION_STORE": "d1"}, (), "there is no D1 binding CONVERSATIONS_D1"),
    "AgentState": ({"AGENTSTATE_API_KEY": "as_live_secret"}, (), "agentstate is not built yet"),
    "ClickHouse": ({"CLICKHOUSE_AGENT_CONVERSATIONS_TABLE": "a.b"}, (), "clickhouse is not built yet"),
    "memory in production": ({"AGENT_CONVERSATION_STORE": "memory"}, (), "ENVIRONMENT is production"),
    "a secret that is short": ({"AUTH_JWT_SECRET": "hunter2"}, (), "AUTH_JWT_SECRET is wrong"),
    "everybody let in, in production": ({"ENVIRONMENT": "production"}, ("--dev-user=ada",), "AUTH_DEV_USER"),
    "a folder that there is not": ({"SQLITE_PATH": "missing/kept.sqlite"}, (), "Check SQLITE_PATH"),
    "a folder for a file": ({"SQLITE_PATH": "/"}, (), "Check SQLITE_PATH"),
    "a path that is no UTF-8": ({"SQLITE_PATH": "kept\udcff"}, (), "SQLITE_PATH is not in UTF-8."),
    "memory as a file": ({"SQLITE_PATH": ":memory:", "AGENT_CONVERSATION_STORE": "sqlite"}, (), "SQLITE_PATH is :mem"),
    "memory of several processes": (
        {"ENVIRONMENT": "test", "AGENT_CONVERSATION_STORE": "memory"},
        ("--workers=2",),
        "memory is for one process: set --workers to 1",
    ),
    "a host that is not here": ({}, ("--host=192.0.2.1",), "192.0.2.1 port 0 is not available (Cannot assign"),
    "a host that nobody knows": ({}, ("--host=a..b",), "a..b port 0 is not available (Name or service not known)"),
}


@pytest.mark.parametrize(
    ("variables", "arguments", "says"), [pytest.param(*row, id=case) for case, row in REFUSED.items()]
)
def test_it_does_not_start_and_says_in_a_line_what_to_set(
    variables: dict[str, str], arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    message = refusal(tmp_path, *arguments, variables=variables)
    assert says in message
    for secret in ("hunter2", "as_live_secret"):
        assert secret not in message


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is not available (Address already in use)" in refusal(tmp_path, f"--port={port}")


def test_a_flag_that_there_is_not_is_a_misuse(tmp_path: Path) -> None:
    for flag in ("--nonsense", "--workers=0", "--workers=65", "--workers=x", "--port=x", "--port=70000"):
        with serving(tmp_path, flag) as process:
            assert "usage: threadkeep" in process.communicate(timeout=PATIENCE_SECONDS)[1]
        assert process.returncode == 2


@pytest.mark.parametrize(
    ("module", "extra"),
    [("uvicorn", "server"), ("h11", "server"), ("apsw", "sqlite"), ("prometheus_client", "server")],
)
def test_what_is_not_installed_is_named(module: str, extra: str, tmp_path: Path) -> None:
    program = f"import sys; sys.modules[{module!r}] = None; from threadkeep.cli import main; main()"
    done = subprocess.run(
        [python(), "-c", program, "serve", "--port=0"],
        cwd=tmp_path,
        env={"METRICS": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert f"threadkeep[{extra}]" in done.stderr


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("This is a letter, and not a database at all. " * 100)
    before = file.read_bytes()
    assert "file is not a database. Check SQLITE_PATH" in refusal(tmp_path, variables={"SQLITE_PATH": str(file)})
    assert (file.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (before, [file.name])


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mail.sqlite"
    with closing(apsw.Connection(str(file))) as database:
        database.execute("CREATE TABLE messages (subject TEXT)")
    before = file.read_bytes()
    assert "tables of another application, and is left alone" in refusal(tmp_path, variables={"SQLITE_PATH": str(file)})
    assert (file.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (before, [file.name])


def test_a_schema_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite"
    with serving(tmp_path, variables={"SQLITE_PATH": str(file), "AUTH_JWT_SECRET": SECRET}) as process:
        ready_line(process)
    with closing(apsw.Connection(str(file))) as database:
        database.execute("INSERT INTO schema_migrations (name) VALUES ('9999_of_tomorrow.sql')")
        assert len(MIGRATIONS) == len(database.execute("SELECT name FROM schema_migrations").fetchall()) - 1
    before = file.read_bytes()
    message = refusal(tmp_path, variables={"SQLITE_PATH": str(file)})
    assert "the schema of a newer version (9999_of_tomorrow.sql), and is left alone" in message
    assert message.endswith(" SQLITE_PATH says where it is.\n")
    assert (file.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (before, [file.name])


def heed_permissions() -> None:
    """Take from a process of root's what lets it write the files that nobody may write."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_a_file_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite"
    variables = {"SQLITE_PATH": str(file)}
    with serving(tmp_path, variables=variables) as process:
        ready_line(process)
    file.chmod(0o444)
    before = file.read_bytes()
    message = refusal(tmp_path, variables=variables, preexec_fn=heed_permissions)
    assert "The SQLite file is read-only. Check SQLITE_PATH" in message
    assert file.read_bytes() == before


def test_a_folder_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert "Check SQLITE_PATH" in refusal(tmp_path, preexec_fn=heed_permissions)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    acknowledged = []
    with (
        serving(tmp_path, "--dev-user=ada", preexec_fn=limit_files) as process,
        httpx.Client(base_url=ready_line(process)["address"]) as client,
    ):
        conversation_id = client.post(API, json={}).json()["id"]
        for _ in range(100):
            sent = {"id": new_id(), "role": "user", "content": [{"type": "text", "text": "x" * 100_000}]}
            response = client.post(f"{API}/{conversation_id}/messages", json=sent)
            if response.status_code != 201:
                break
            acknowledged.append(sent["id"])
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "unavailable"
        assert response.headers["retry-after"] == "1"
        assert 5 < len(acknowledged) < 50
        for size in (10_000, 1_000, 1):
            while client.post(API, json={"title": "x" * 200, "metadata": {"a": "x" * size}}).status_code == 201:
                pass
        ready = client.get("/api/ready")
        assert (ready.status_code, ready.json()["error"]["code"]) == (503, "unavailable")
        assert "The SQLite file cannot be written" in ready.json()["error"]["message"]
        assert client.get(f"{API}/{conversation_id}").json()["messageCount"] == len(acknowledged)
    with (
        serving(tmp_path, "--dev-user=ada") as process,
        httpx.Client(base_url=ready_line(process)["address"]) as client,
    ):
        page = client.get(f"{API}/{conversation_id}/messages", params={"after": 0, "limit": 200}).json()
        assert [row["id"] for row in page["messages"]] == acknowledged[: len(page["messages"])]
        assert client.get(f"{API}/{conversation_id}").json()["messageCount"] == len(acknowledged)


def test_the_log_tells_of_requests_and_nothing_that_they_carry(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        secrets = ["tk_of_nobody", "monad-in-the-query", "monad-in-the-body", "somebody@example", SERVICE_KEY]
        with httpx.Client(base_url=running.url, headers=as_user("somebody@example")) as client:
            content = [{"type": "text", "text": "monad-in-the-body"}]
            created = client.post(
                API, json={"messages": [{"role": "user", "content": content}]}, headers={"X-Request-Id": "mine-1"}
            )
            assert created.status_code == 201
            client.get(f"{API}/search", params={"q": "monad-in-the-query"})
            client.get(f"{API}/{created.json()['id']}")
            client.get("/monad-in-the-query")
            client.get(API, headers={"Authorization": "Bearer tk_of_nobody"})
        running.stop()
        text = running.log_path.read_text()
    assert [
        secret for secret in (*secrets, created.json()["id"], VARIABLES["AUTH_SERVICE_KEYS"]) if secret in text
    ] == []
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    told = [
        (line["method"], line["route"], line["status"]) for line in lines if line["logger"] == "threadkeep.requests"
    ]
    assert told[-5:] == [
        ("POST", "/api/conversations", 201),
        ("GET", "/api/conversations/search", 200),
        ("GET", "/api/conversations/{id}", 200),
        ("GET", "none", 404),
        ("GET", "/api/conversations", 401),
    ]
    (named,) = [line for line in lines if line.get("requestId") == "mine-1"]
    assert {*named} == {
        *("time", "level", "logger", "message", "requestId", "method", "route", "status", "milliseconds")
    }
    assert 0 < named["milliseconds"] < 60_000


@pytest.mark.parametrize("store", ["sqlite", "postgres", "memory"])
def test_an_export_that_is_overtaken_by_an_erasure_is_cut_off_and_logged_in_a_line(tmp_path: Path, store: str) -> None:
    content = [{"type": "text", "text": "x" * 1_000_000}]
    received = []
    with server(tmp_path, store=store) as running:
        with httpx.Client(base_url=running.url, headers=as_user("ada")) as client, httpx.Client() as other:
            for _ in range(30):  # more than what waits between the server and whoever reads slowly
                client.post(API, json={"messages": [{"role": "user", "content": content}]})
            with client.stream("GET", "/api/export", headers={"X-Request-Id": "mine-2"}) as export:
                pieces = export.iter_raw()
                received.append(next(pieces))
                erased = other.delete(f"{running.url}/api/me?confirm=ada", headers=as_user("ada"), timeout=60)
                assert erased.json()["conversations"] == 30
                with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                    received.extend(pieces)
        running.stop()
        text = running.log_path.read_text()
    body = b"".join(received)
    assert body.endswith(b"}\n")
    assert 1 <= len([json.loads(line) for line in body.splitlines()]) < 30
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [(line["level"], line["message"]) for line in lines if line["level"] not in ("info", "debug")] == [
        ("warning", "request mine-2 was cut short: Everything was erased while it was exported.")
    ]
    assert "Traceback" not in text
    (named,) = [line for line in lines if line.get("requestId") == "mine-2"]
    assert (named["route"], named["status"]) == ("/api/export", 404)


def test_the_metrics_of_several_processes_are_told_as_one_and_name_nobody(tmp_path: Path) -> None:
    with server(tmp_path, workers=3, variables={"METRICS": "true"}) as running:
        count = 60
        for _ in range(count):  # each on a connection of its own, so that they come to different processes
            answer = httpx.get(f"{running.url}{API}/{new_id()}", headers=as_user("somebody"), verify=False)
            assert answer.status_code == 404
        label = 'method="GET",route="/api/conversations/{id}"'
        deadline = time.monotonic() + PATIENCE_SECONDS
        while f"threadkeep_request_seconds_count{{{label}}} {count}.0" not in httpx.get(f"{running.url}/metrics").text:
            assert time.monotonic() < deadline  # a process counts a request after it has answered
        for _ in range(5):
            text = httpx.get(f"{running.url}/metrics").text
            assert f'threadkeep_requests_total{{{label},status="404"}} {count}.0' in text
            assert f"threadkeep_request_seconds_count{{{label}}} {count}.0" in text
        assert "somebody" not in text


def test_there_are_no_metrics_unless_they_are_asked_for(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        assert httpx.get(f"{running.url}/metrics").status_code == 404
