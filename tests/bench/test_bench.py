"""scripts/bench runs, and says what is wrong: whether it runs, and not how fast anything is."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tools.bench.agents_contestants import FRAMEWORKS
from tools.bench.agents_contestants import OPERATIONS as AGENTS_OPERATIONS
from tools.bench.agents_report import HEADING, agents_section, with_section
from tools.bench.chart import chart
from tools.bench.conversations import TURN, Writer
from tools.bench.estimates import estimate, ratio
from tools.bench.http_client import Request
from tools.bench.live import OPERATIONS as LIVE_OPERATIONS
from tools.bench.live_report import live_section
from tools.bench.load import Load
from tools.bench.operations import OPERATIONS, Target
from tools.bench.report import report
from tools.bench.response_comparison import compare
from tools.bench.runner import WORKER_STORES, Options, write_figures
from tools.bench.seeds import Shape
from tools.checkout import ROOT, Problem
from tools.local.install import install
from tools.local.processes import living_processes

BENCH = ROOT / "scripts/bench"
SECONDS = 240
WORKERDS = 3  # the first contestant has two of them: one for wrangler's proxy


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def test_a_small_run_prints_a_table_and_writes_the_ratios(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = bench("--smoke", "--store", "d1", "--only", "append-one", "--json", file)
    assert done.returncode == 0, done.stderr
    assert "| append-one | d1" in done.stdout
    figures = json.loads(file.read_text())
    cells = [(row["operation"], row["store"], row["connections"]) for row in figures["ratios"]]
    assert cells == [("append-one", "d1", 1), ("append-one", "d1", 16)]
    for row in figures["ratios"]:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_a_small_run_measures_the_stores_of_agent_frameworks_beside_ours_and_writes_no_document(tmp_path: Path) -> None:
    document, file = ROOT / "docs/benchmarks.md", tmp_path / "figures.json"
    before = document.read_bytes()
    done = bench("--smoke", "--only", "agents", "--json", file)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    expected = [
        (operation, contestant.name, contestant.place, contestant.beside)
        for framework in FRAMEWORKS
        for operation in framework.chosen("")
        for contestant in framework.contestants
    ]
    measured = [(row["operation"], row["contestant"], row["place"]) for row in figures["agents"]]
    assert measured == [cell[:3] for cell in expected]
    compared = [(row["operation"], row["contestant"], row["place"], row["to"]) for row in figures["agents_ratios"]]
    assert compared == [cell for cell in expected if cell[3] is not None]
    for row in figures["agents_ratios"]:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
    assert figures["ratios"] == figures["native"] == figures["state"] == []
    assert "| agents-flue-read " in done.stdout
    assert document.read_bytes() == before


def test_a_part_of_the_stores_of_agent_frameworks_can_be_measured() -> None:
    assert Options("", only="agents-flue").agents() == ("agents-flue-append", "agents-flue-read")
    assert Options("", only="append").agents() == Options("", quick=True).agents() == ()
    assert Options("", store="sqlite").agents() == ()
    assert Options("").agents() == Options("", only="agents").agents() == AGENTS_OPERATIONS
    assert [Options("", only=only).has_all_of_agents for only in ("agents", "agents-", "agents-flue", "a", None)] == [
        *(True, True, False, False, False)
    ]
    assert not Options("", only="agents", smoke=True).has_all_of_agents


def test_a_small_run_measures_how_long_a_message_takes_to_those_who_follow(tmp_path: Path) -> None:
    document, file = ROOT / "docs/benchmarks.md", tmp_path / "figures.json"
    before = document.read_bytes()
    done = bench("--smoke", "--only", "live-sqlite", "--json", file)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    (row,) = figures["live"]
    assert (row["store"], row["where"]) == ("sqlite", "a server")
    assert 0 < row["low"] <= row["median"] <= row["high"]
    assert "| sqlite | a server | " in done.stdout
    assert document.read_bytes() == before


def test_a_part_of_what_follows_can_be_measured() -> None:
    assert Options("", only="live-d").live() == ("live-durable-object", "live-d1")
    assert Options("", store="d1").live() == Options("", only="list").live() == ()
    assert Options("", only="live").live() == Options("").live() == LIVE_OPERATIONS
    assert [Options("", only=only).has_all_of_live for only in ("live", "live-d1", "li", None)] == [
        *(True, False, False, False)
    ]
    assert not Options("", only="live", quick=True).has_all_of_live


LIVE: dict[str, Any] = {"live": [{"store": "d1", "where": "a Worker", "median": 512.0, "low": 400.0, "high": 600.0}]}


def test_the_section_about_live_changes_takes_the_place_of_the_one_before() -> None:
    section = live_section({"command": "scripts/bench --only live", "date": "2026-11-29", "rounds": 5, **LIVE})
    assert "| d1    | a Worker | 512 " in section
    document = "# One\n\n## How it is measured\n\n- so\n"
    assert with_section(with_section(document, "## Live changes\n\nold\n"), section) == with_section(document, section)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fast"], "--fast"),
        (["--store", "postgres"], "postgres"),
        (["--rounds", "4"], "--rounds"),
        (["--only", "nothing"], "there is no such operation"),
        (["--store", "sqlite", "--only", "search"], "There are append-turn, load-50"),
        (["--store", "d1", "--only", "agents"], "there is no such operation"),
        (["--only", "agents-nothing"], "agents-langgraph-put, agents-langgraph-load"),
    ],
)
def test_what_it_does_not_know_is_refused(arguments: list[str], says: str) -> None:
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr.splitlines()[-1]


def test_a_port_that_is_taken_and_a_file_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = bench("--smoke", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} is not available" in done.stderr
    done = bench("--smoke", "--json", tmp_path / "nowhere" / "figures.json")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    process = subprocess.Popen(
        [BENCH, "--smoke", "--store", "durable-object", "--only", "list", "--json", file],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while len(workerds_below(process.pid)) < WORKERDS:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert below & {one.id for one in living_processes()} == set()
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []


def descendants(pid: int) -> set[int]:
    """The processes below one."""
    return {process.pid for process in psutil.Process(pid).children(recursive=True)}


def workerds_below(pid: int) -> set[int]:
    """Those of them that are workerd."""
    below = descendants(pid)
    return {one.id for one in living_processes() if one.id in below and one.name == "workerd"}


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (200, {"messages": [{"seq": 2}], "nextCursor": None}, r"\$\.messages\[0\]\.seq: 1 and 2"),
        (200, {"messages": [], "nextCursor": None}, r"\$\.messages"),
        (200, {"messages": [{"seq": 1}]}, "the keys of"),
        (201, {"messages": [{"seq": 1}], "nextCursor": None}, "status 200 and 201"),
        (500, {}, "other on d1 answers 500"),
    ],
)
def test_a_contestant_that_answers_otherwise_is_named(status: int, answer: object, says: str) -> None:
    right = {"messages": [{"seq": 1}], "nextCursor": None}
    target = Target(Shape(200), "0")
    with answering(200, right) as one, answering(200, right) as same, answering(status, answer) as other:
        names = {"one": one, "same": same, "other": other}
        contestants: list[Any] = [Answering(name, SimpleNamespace(url=url)) for name, url in names.items()]
        compare(contestants[:2], OPERATIONS[0], target, "")
        with pytest.raises(Problem, match=says):
            compare([contestants[0], contestants[2]], OPERATIONS[0], target, "")


def test_a_contestant_that_fails_has_no_figure() -> None:
    node = install(development=True)
    with Load(node) as load, answering(503, {}) as failing:
        with pytest.raises(Problem, match="it answers 503"):
            load.send(failing, [Request("GET", "/")] * 4, 2)
        with pytest.raises(Problem, match="not answered"):
            load.send("http://127.0.0.1:1", [Request("GET", "/")] * 4, 2)


@dataclass
class Answering:
    """A contestant that always answers the same."""

    name: str
    worker: Any

    def __str__(self) -> str:
        return f"{self.name} on d1"


@contextmanager
def answering(status: int, answer: object) -> Iterator[str]:
    """A server that answers everything with this."""
    body = json.dumps(answer).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_intervals_hold_the_median_with_93_percent() -> None:
    assert estimate([3, 1, 2, 5, 4]) == (3, 1, 5)
    assert estimate(range(9)) == (4, 1, 7)
    assert estimate([7]) == (7, 7, 7)


def test_a_ratio_is_that_of_each_round() -> None:
    assert ratio([2, 20, 4, 6, 8], [1, 10, 2, 2, 8]) == (2, 1, 3)


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    write_figures(file, "one")
    write_figures(file, "two")
    assert file.read_text() == "two"
    with pytest.raises(Problem, match="cannot write"):
        write_figures(tmp_path / "nowhere" / "benchmarks.md", "three")
    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks.md"]


def test_the_conversations_are_always_the_same() -> None:
    one, other = ([*Writer("a").messages(10), Writer("b").new_id(1)] for _ in range(2))
    assert one == other
    assert [message["role"] for message in one[:TURN]] == ["user", "assistant", "tool", "assistant"]


def test_operations_have_the_names_that_programs_look_for() -> None:
    assert WORKER_STORES == ("d1", "durable-object")
    for prefix in ("append", "page", "list", "search", "changes", "export", "import"):
        assert any(operation.name.startswith(prefix) for operation in OPERATIONS)


def test_a_chart_can_be_heard() -> None:
    rows = [
        {"operation": "list", "contestant": name, "messages": size, "median": 2.5, "low": 2, "high": 3}
        for name in ("threadkeep", "hono")
        for size in (1_000, 10_000, 100_000)
    ]
    drawn = chart("d1", rows)
    assert "<title" in drawn
    assert "list, Threadkeep: 2.50 ms at 1,000" in drawn


AGENTS: dict[str, Any] = {
    "agents": [
        {"operation": "agents-flue-read", "contestant": name, "place": place, "messages": 1_000}
        | {"median": 2.0, "low": 1.0, "high": 3.0}
        for name, place in (("sqlite()", "SQLite file"), ("threadkeep()", "HTTP, SQLite file"))
    ],
    "agents_ratios": [
        {"operation": "agents-flue-read", "contestant": "threadkeep()", "place": "HTTP, SQLite file", "to": "sqlite()"}
        | {"ratio": 7.32, "low": 5.3, "high": 9.0}
    ],
}


def test_the_section_about_agents_takes_the_place_of_the_one_before() -> None:
    figures = {"command": "scripts/bench --only agents", "date": "2026-11-20", "rounds": 5, **AGENTS}
    section = agents_section({**figures, "versions": {"@flue/runtime": "2.1.0", "zod": "4"}})
    assert "with @flue/runtime 2.1.0." in section
    assert "the same 1,000 messages\nfirst" in section
    assert "Over HTTP: of 1 comparisons, Threadkeep is slower in 1 and faster in 0" in section
    with_it = with_section("# One\n\n## How it is measured\n\n- so\n", section)
    assert with_it == f"# One\n\n{section}\n## How it is measured\n\n- so\n"
    assert with_section(with_it, section) == with_it
    changed = with_section(with_it, f"{HEADING}\nanother\n")
    assert changed == f"# One\n\n{HEADING}\nanother\n\n## How it is measured\n\n- so\n"
    with pytest.raises(Problem, match="has no section"):
        with_section("# Another document\n", section)


def test_the_document_has_every_figure() -> None:
    spread = {"median": 2.0, "low": 1.0, "high": 3.0}
    cell = {"operation": "list", "store": "d1", "connections": 1}
    of = {name: {"contestant": name, "store": "d1"} for name in ("threadkeep", "hono")}
    figures = {
        "command": "scripts/bench",
        "date": "2026-11-20",
        "machine": {"processor": "two"},
        "versions": {f"package-{number}": "1.2.3" for number in range(30)},
        "messages": 10_000,
        "rounds": 5,
        "latencies": [{**cell, "contestant": name, **spread} for name in ("threadkeep", "hono", "floor")],
        "ratios": [{**cell, "ratio": 1.25, "low": 1.0, "high": 3.0}],
        "growth": [{**cell, "contestant": "hono", "from": 1_000, "to": 100_000, "ratio": 1.1, "low": 1.0, "high": 1.3}],
        "native": [
            {"operation": "load-50", "contestant": name, "messages": 1_000, **spread} for name in ("us", "them")
        ],
        "native_ratios": [{"operation": "load-50", "to": "them", "ratio": 0.5, "low": 0.4, "high": 0.6}],
        "proxy": [
            {**one, "operation": "health", "through": spread, "around": spread, "share": spread} for one in of.values()
        ],
        "startup": [{**one, **spread} for one in of.values()],
        "first": [{**one, "operation": "append-one", **spread} for one in of.values()],
        "imports": [{"module": "entry", "own": 1.0, "whole": 675.4}],
        "memory": [{**one, "after": list(range(11))} for one in of.values()],
        "exports": [{**one, "bytes": 2**25, "added": 19.4} for one in of.values()],
        "state": [
            {"operation": "claim", "store": "sqlite", "from": 100, "to": 100_000, "few": 1.5, "many": 1.75}
            | {"ratio": 1.17, "low": 1.1, "high": 1.2}
        ],
        **AGENTS,
        **LIVE,
        "sessions": [{"store": "sqlite", "bytes": 10**8, "server": [7.3, 1.2], "client": [5.1, 4.2]}],
    }
    text = report(figures)
    for figure_in_it in (
        "| 1.25 ",
        "| 1,000 to 100,000 | 1.10 ",
        "0.50 (0.40 to 0.60)",
        "takes 675 ms",
        "| append-one    | d1    | threadkeep ",
        "| 32 ",
        "| 19 ",
        "| 100 to 100,000 | 1.50       | 1.75     | 1.17  | 1.10 to 1.20 |",
        "| sqlite | 100          | 7 ",
        "| agents-flue-read | threadkeep() | HTTP, SQLite file | 2.00 | 1.00 to 3.00 | 7.32 ",
    ):
        assert figure_in_it in text
    assert max(len(line) for line in text.splitlines() if "|" not in line) <= 120
