"""`scripts/move-sessions`: between a D1, a server and a file, with nothing lost and nothing newer overwritten."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.backends import server
from support.backups import reached
from support.in_process import SERVICE_KEY, as_user
from tools.checkout import ROOT, Problem
from tools.d1.sessions import SessionTable
from tools.exit_codes import Code
from tools.local.install import Node, install
from tools.local.server import LocalServer
from tools.moving import File, Row, Server, digest_of, digest_of_all, digests_of, move

SPACE = "flue.sessions"


def session(count: int, text: str = "é") -> str:
    entries = [{"id": f"{number}", "text": text, "n": 1.10} for number in range(count)]
    return json.dumps({"version": 3, "entries": entries, "leafId": None})


ROWS = [
    Row('agent-session:["agent-1","a\'b"]', session(3), 2_000),
    Row("large", session(1_200, "漢字" * 100), 3_000),
    Row("not JSON", "plain\n; \u2028 BEGIN TRANSACTION", 1_000),
    *(Row(f"many-{number:03d}", session(number % 5), 5_000) for number in range(250)),
]


@pytest.fixture(scope="module")
def node() -> Node:
    return install()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE")} | variables
    script = ROOT / "scripts/move-sessions"
    return subprocess.run([script, *command], capture_output=True, text=True, timeout=120, env=environment, check=False)


def written(path: Path, rows: list[Row]) -> File:
    path.write_bytes(b"".join(row.line for row in rows))
    return File(path)


def test_sessions_go_from_a_file_to_a_server_to_a_d1_and_back(
    running: LocalServer, node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path / "source", ROWS)
    there = Server(running.url, SPACE, SERVICE_KEY, "mover")
    move(source, there)
    printed = capsys.readouterr().out
    assert "253 moved, 0 there already, 0 newer there" in printed
    digest = digest_of_all(digests_of(ROWS))
    assert f"{tmp_path / 'source'}: 253 sessions, digest {digest}" in printed
    assert f"{running.url} {SPACE}: 253 sessions, digest {digest}" in printed
    database = reached(tmp_path)
    table = SessionTable(database, node, "flue_sessions")
    move(there, table)
    assert all(len(statement) < 100_000 for text in database.files for statement in text.split(";\n"))
    move(table, File(tmp_path / "back"))
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o600
    assert digests_of(File(tmp_path / "back").rows()) == digests_of(ROWS)
    assert [row.id for row in File(tmp_path / "back").rows()] == [row.id for row in table.rows()]
    capsys.readouterr()
    move(File(tmp_path / "back"), there)
    assert "0 moved, 253 there already, 0 newer there" in capsys.readouterr().out


def test_what_is_newer_stays_and_what_is_older_is_replaced_on_every_end(
    running: LocalServer, node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [Row("stays", session(1), 9_000), Row("goes", session(1), 1_000), Row("other", session(1), 1_000)]
    moved = [Row("stays", session(2), 8_000), Row("goes", session(2), 2_000), Row("other", session(2), 1_000)]
    ends = [
        Server(running.url, "a space/of ours", SERVICE_KEY, "newer"),
        SessionTable(reached(tmp_path), node, "sessions"),
        File(tmp_path / "file"),
    ]
    for end in ends:
        end.keep(before)
        move(written(tmp_path / "moved", moved), end)
        assert "2 moved, 0 there already, 1 newer there" in capsys.readouterr().out
        assert digests_of(end.rows()) == digests_of([before[0], *moved[1:]])


def test_a_server_that_is_cut_off_is_asked_for_the_rest(running: LocalServer) -> None:
    written_rows = [Row(f"{number}", session(3), 1_000 + number) for number in range(20)]
    Server(running.url, "cut", SERVICE_KEY, "cut").keep(written_rows)
    asked: list[str] = []

    class Cutting(httpx.HTTPTransport):
        """Lets through no more than a part of each answer, in the middle of a line."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.params.get("after", ""))
            response = super().handle_request(request)
            content = response.read()
            if len(asked) < 4:
                content = content[: content.index(b"\n", 1_000) + 20]
            return httpx.Response(
                response.status_code, headers={"Content-Type": "application/x-ndjson"}, content=content
            )

    cut = Server(running.url, "cut", SERVICE_KEY, "cut", Cutting())
    assert [*cut.rows()] == [*Server(running.url, "cut", SERVICE_KEY, "cut").rows()]
    assert digests_of(cut.rows()) == digests_of(written_rows)
    assert asked[0] == ""
    assert [place.partition(",")[0] > "1000" for place in asked[1:4]] == [True, True, True]


def test_a_digest_is_of_what_json_says_to_the_digits_of_its_numbers() -> None:
    assert digest_of('{"a": 1.10, "b": "\\u00e9"}') == digest_of('{"b":"é","a":1.10}')
    for different in ('{"a":1.1,"b":"é"}', '{"a":1.10,"b":"e"}', '{"a":"1.10","b":"é"}', "nothing"):
        assert digest_of(different) != digest_of('{"b":"é","a":1.10}')


def test_what_did_not_arrive_is_a_problem(tmp_path: Path, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    too_large = Row("too large", json.dumps("x" * 2_000_000), 1)
    with pytest.raises(Problem, match=r"not everything is in letters.*'too large' is missing"):
        move(written(tmp_path / "source", [too_large, Row("fits", "1", 2)]), SessionTable(reached(tmp_path), node, "t"))
    assert "not moved: too large: a row of D1 has up to 2 MB" in capsys.readouterr().err


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"id": "a"}', b'{"id": "", "data": "", "updated_at": 1}'])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(Row("a", "1", 1).line + line)
    with pytest.raises(Problem, match=r"line 2 of .* is no row"):
        [*File(path).rows()]


def test_what_is_wrong_is_said_in_a_sentence(running: LocalServer, node: Node, tmp_path: Path) -> None:
    for end, code, says in (
        (File(tmp_path / "none"), Code.FILE_UNUSABLE, "cannot read"),
        (Server(running.url, SPACE, "tk_wrong", "x"), Code.REQUEST_REFUSED, "key"),
        (Server(running.url, "s" * 65, SERVICE_KEY, "x"), Code.REQUEST_REFUSED, "1 to 64 bytes"),
        (Server("http://127.0.0.1:9", SPACE), Code.NO_NETWORK, "could not be reached"),
    ):
        with pytest.raises(Problem, match=says) as caught:
            [*end.rows()]
        assert caught.value.code == code
    with pytest.raises(Problem, match="is no name of a table"):
        SessionTable(reached(tmp_path), node, "sessions; DROP TABLE x")


def test_it_moves_between_a_server_and_a_local_d1_by_wrangler(running: LocalServer, tmp_path: Path) -> None:
    variables = {"THREADKEEP_KEY": SERVICE_KEY, "THREADKEEP_USER": "wrangler"}
    source = written(tmp_path / "source", ROWS[:3])
    database = "d1:0b0f5e0c-1111-4222-8333-444455556666"
    done = run(f"--state={tmp_path / 'state'}", source.path, database, **variables)
    assert done.returncode == 0, done.stderr
    assert "3 moved, 0 there already, 0 newer there" in done.stdout
    done = run(f"--state={tmp_path / 'state'}", database, running.url, **variables)
    assert done.returncode == 0, done.stderr
    assert f"sessions, digest {digest_of_all(digests_of(ROWS[:3]))}" in done.stdout
    response = httpx.get(f"{running.url}/api/journals/{SPACE}/large/entries", headers=as_user("wrangler"))
    assert len(response.json()["entries"]) == 100
    refused = run(database, "d1")
    assert (refused.returncode, "one D1 database at a time" in refused.stderr) == (1, True)
