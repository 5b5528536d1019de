"""The fake of Cloudflare's API against the real wrangler, which is the one that has to be content with it.

What the scripts have wrangler do is seen where they are tested: lists, creations and what is refused in test_setup.py,
and a deploy that is refused in test_deploy.py.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fakes.cloudflare_api import ACCOUNT, TOKEN, CloudflareApi
from tools.cloudflare import wrangler
from tools.local.install import install

Wrangler = Callable[..., subprocess.CompletedProcess[str]]


WORKER = {
    "name": "post",
    "main": "main.mjs",
    "no_bundle": True,
    "compatibility_date": "2026-11-01",
    "vars": {"GREETING": "hello"},
    "durable_objects": {"bindings": [{"name": "NOTES", "class_name": "Notes"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Notes"]}],
    "triggers": {"crons": ["0 3 * * *"]},
}


@pytest.fixture
def run_wrangler(cloudflare_api: CloudflareApi, tmp_path: Path) -> Wrangler:
    """Runs the project's wrangler on a project of its own, whose database is the account's `letters`."""
    database = cloudflare_api.add_database("letters")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/0001_note.sql").write_text("CREATE TABLE note (body TEXT);\n-- done; really\n")
    (tmp_path / "main.mjs").write_text("export class Notes {}; export default {};")
    databases = [{"binding": "D1", "database_name": "l", "database_id": database.uuid}]
    (tmp_path / "wrangler.json").write_text(json.dumps({**WORKER, "d1_databases": databases}))
    node = install()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**wrangler.environment(node, tmp_path), **cloudflare_api.environment}
        command = [*wrangler.command(node), *arguments, "--config", tmp_path / "wrangler.json"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def test_wrangler_applies_migrations_once_and_each_all_or_none(
    run_wrangler: Wrangler, cloudflare_api: CloudflareApi, tmp_path: Path
) -> None:
    database = cloudflare_api.database("letters")
    assert run_wrangler("d1", "migrations", "apply", "D1", "--remote").returncode == 0
    (tmp_path / "migrations/0002_half.sql").write_text(
        "INSERT INTO note VALUES ('half'); INSERT INTO nowhere VALUES (1);"
    )
    failed = run_wrangler("d1", "migrations", "apply", "D1", "--remote")
    assert failed.returncode == 1
    assert "no such table: nowhere" in failed.stderr
    assert database.rows("SELECT name FROM d1_migrations") == [("0001_note.sql",)]
    assert database.rows("SELECT body FROM note") == []


def test_wrangler_executes_commands_and_files(
    run_wrangler: Wrangler, cloudflare_api: CloudflareApi, tmp_path: Path
) -> None:
    (tmp_path / "file.sql").write_text("CREATE TABLE a (b); INSERT INTO a VALUES ('c');")
    assert run_wrangler("d1", "execute", "letters", "--remote", "--file", "file.sql").returncode == 0
    (result,) = json.loads(
        run_wrangler("d1", "execute", "D1", "--remote", "--json", "--command", "SELECT b FROM a").stdout
    )
    assert result["results"] == [{"b": "c"}]


def test_wrangler_exports_the_tables_beside_a_virtual_one_and_hears_why_a_file_fails(
    run_wrangler: Wrangler, cloudflare_api: CloudflareApi, tmp_path: Path
) -> None:
    database = cloudflare_api.database("letters")
    database.rows(
        "CREATE TABLE a (b); INSERT INTO a VALUES ('c' || char(10) || '\\n'); CREATE VIRTUAL TABLE v USING fts5(x)"
    )
    refused = run_wrangler("d1", "export", "D1", "--remote", "--output", "dump.sql")
    assert "cannot export databases with Virtual Tables" in refused.stderr
    assert run_wrangler("d1", "export", "D1", "--remote", "--table", "a", "--output", "dump.sql").returncode == 0
    assert "INSERT INTO \"a\" (\"b\") VALUES(replace('c\\n\\n','\\n',char(10)));" in (tmp_path / "dump.sql").read_text()
    (tmp_path / "file.sql").write_text("INSERT INTO a VALUES ('d'); INSERT INTO nowhere VALUES (1);")
    failed = run_wrangler("d1", "execute", "D1", "--remote", "--file", "file.sql")
    assert (failed.returncode, "no such table: nowhere" in failed.stderr) == (1, True)
    assert database.rows("SELECT count(*) FROM a") == [(1,)]


def test_wrangler_deploys_a_worker_and_deploys_it_again(
    run_wrangler: Wrangler, cloudflare_api: CloudflareApi, tmp_path: Path
) -> None:
    first = run_wrangler("deploy")
    assert first.returncode == 0, first.stderr
    assert "https://post.tests.workers.dev" in first.stdout
    script = cloudflare_api.scripts["post"]
    assert script.migration_tag == "v1"
    assert script.crons == ["0 3 * * *"]
    assert {binding["name"]: binding["type"] for binding in script.metadata["bindings"]} == {
        "GREETING": "plain_text",
        "NOTES": "durable_object_namespace",
        "D1": "d1",
    }
    (tmp_path / "main.mjs").write_text("export class Notes {}; export default { changed: true };")
    second = run_wrangler("deploy")
    assert second.returncode == 0, second.stderr
    assert b"changed" in script.modules["main.mjs"]
    assert len(script.versions) == 2


QUERY = "POST", "d1/database/letters/query"


@pytest.mark.parametrize(
    ("token", "call", "body", "answer"),
    [
        ("wrong", ("GET", "d1/database"), None, (403, 10000)),
        (TOKEN, ("GET", "d1/database/nowhere"), None, (404, 7404)),
        (TOKEN, ("POST", "d1/database"), {"name": "letters"}, (400, 7502)),
        (TOKEN, ("POST", "d1/database"), {"name": "no good"}, (400, 7400)),
        (TOKEN, QUERY, {"sql": "SELEC 1"}, (400, 7500)),
        (TOKEN, QUERY, {"sql": "BEGIN"}, (400, 7500)),
        (TOKEN, QUERY, {"sql": "PRAGMA journal_mode = WAL"}, (400, 7500)),
        (TOKEN, QUERY, {"sql": f"SELECT 1 IN ({','.join(['?'] * 101)})", "params": [1] * 101}, (400, 7500)),
        (TOKEN, QUERY, {"sql": f"SELECT '{'a' * 100_000}'"}, (400, 7500)),
        (TOKEN, QUERY, {"sql": f"SELECT 'a' LIKE '{'a' * 51}'"}, (400, 7500)),
        (TOKEN, QUERY, {"sql": f"SELECT 1 IN ({','.join(['?'] * 100)})", "params": [1] * 100}, (200, None)),
        (TOKEN, QUERY, {"sql": "SELECT 1; SELECT 2"}, (200, None)),
    ],
)
def test_it_answers_in_cloudflares_envelope(
    cloudflare_api: CloudflareApi, token: str, call: tuple[str, str], body: object, answer: tuple[int, int | None]
) -> None:
    cloudflare_api.add_database("letters")
    method, path = call
    url = f"{cloudflare_api.environment['CLOUDFLARE_API_BASE_URL']}/accounts/{ACCOUNT}/{path}"
    response = httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"})
    envelope = response.json()
    assert (response.status_code, envelope["errors"][0]["code"] if envelope["errors"] else None) == answer
    assert envelope["success"] == (answer[1] is None)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/zones", None),
        ("DELETE", f"/accounts/{ACCOUNT}/d1/database/letters", None),
        ("GET", f"/accounts/{ACCOUNT}/d1/database?colour=red", None),
        ("POST", f"/accounts/{ACCOUNT}/d1/database", {"name": "new", "colour": "red"}),
    ],
)
def test_what_it_does_not_know_is_remembered(method: str, path: str, body: object) -> None:
    with CloudflareApi() as api:
        api.add_database("letters")
        url = f"{api.environment['CLOUDFLARE_API_BASE_URL']}{path}"
        answer = httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 400
        assert len(api.unexpected) == 1
        assert [database.name for database in api.databases.values()] == ["letters"]


def test_it_misbehaves_when_it_is_told_to(cloudflare_api: CloudflareApi) -> None:
    url = f"{cloudflare_api.environment['CLOUDFLARE_API_BASE_URL']}/accounts"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    cloudflare_api.misbehave("500", on="GET /accounts")
    assert httpx.get(url, headers=headers).status_code == 500
    cloudflare_api.misbehave("html")
    assert "<html>" in httpx.get(url, headers=headers).text
    cloudflare_api.misbehave("hang")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, headers=headers, timeout=httpx.Timeout(60, read=0.2))
    cloudflare_api.behave()
    assert httpx.get(url, headers=headers).json()["result"][0]["id"] == ACCOUNT
