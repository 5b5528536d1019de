"""`scripts/backup`, and the way back with the real wrangler: on this machine, and against the fake of Cloudflare."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from fakes.cloudflare_api import ACCOUNT, CloudflareApi, Misbehaviour
from support.backends import over_sql
from support.backups import ODD, Direct, check_index, everything, fill, hits, new_database, reached, to_keep
from support.scripts import run_here
from threadkeep.storage.sqlite.file import SqliteExecutor
from tools.checkout import ROOT, Problem
from tools.cloudflare import wrangler
from tools.cloudflare.deploy import local_database, reach_database
from tools.d1 import backup as backup_module
from tools.d1 import scratch
from tools.d1.backup import back_up
from tools.d1.migrate import Target, local_target
from tools.d1.restore import restore
from tools.d1.scratch import BASE
from tools.exit_codes import Code
from tools.local.install import install
from tools.local.worker import LocalWorker


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that the store has filled, as a file."""
    file = tmp_path_factory.mktemp("original") / "original.sqlite"
    new_database(file).close()
    fill(file)
    return file


def database_in(state: Path) -> Path:
    """The file of the D1 database in a state folder."""
    (file,) = (file for file in state.glob("data/v3/d1/*/*.sqlite") if file.name != "metadata.sqlite")
    return file


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# On this machine.


def test_a_round_trip_through_local_d1(tmp_path: Path) -> None:
    """With the programs themselves, and with a Worker that reads at its end what the API has kept at its beginning."""
    second, backup = tmp_path / "second", tmp_path / "backup"
    running = LocalWorker(second, store="d1")
    running.state.claim()
    running._prepare()  # which migrates the database, as the start would
    running.state.release()
    first = Path(shutil.copytree(second, tmp_path / "first", symlinks=True))
    fill(database_in(first))
    message = {"role": "user", "content": [{"type": "text", "text": "Where is Zürich?"}]}
    exported, cursor = asyncio.run(keep(database_in(first), message))

    done = run_program(ROOT / "scripts/backup", f"--state={first}", backup)
    assert done.returncode == 0, done.stderr
    assert "messages of 3 users" in done.stdout
    assert files_in(tmp_path) == ["backup", "first", "second"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    done = run_program(ROOT / "scripts/restore", f"--state={second}", backup)
    assert done.returncode == 0, done.stderr
    assert "messages of 3 users" in done.stdout
    assert [path for path in second.iterdir() if path.name.startswith("restore")] == []
    assert everything(database_in(second)) == to_keep(database_in(first))
    check_index(database_in(second))
    assert hits(database_in(second), "ada") == hits(database_in(first), "ada")

    with running:
        assert httpx.get(f"{running.url}/api/export").json()["conversation"] == exported
        (found,) = httpx.get(f"{running.url}/api/conversations/search", params={"q": "zurich", "role": "user"}).json()[
            "hits"
        ]
        assert found["message"]["content"] == message["content"]
        assert httpx.get(f"{running.url}/api/conversations/changes", params={"since": cursor}).status_code == 410
        with pytest.raises(Problem, match="another Worker runs on"):
            local_target(local_database(ROOT, None), second).__enter__()


async def keep(file: Path, message: dict[str, Any]) -> tuple[Any, str]:
    """Has the API keep a message of the developer in a database; answers the conversation, and where changes are."""
    with closing(SqliteExecutor(str(file))) as executor:
        async with over_sql(executor) as backend, backend.client_of("developer") as client:
            (await client.post("/api/conversations", json={"messages": [message]})).raise_for_status()
            exported = (await client.get("/api/export")).json()["conversation"]
            return exported, (await client.get("/api/conversations/changes")).json()["next"]


def run_program(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE")}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env=environment)


# At Cloudflare.


@pytest.fixture
def remote(
    cloudflare_api: CloudflareApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, apsw.Connection], AbstractContextManager[Target]]:
    """Gives a database of the account the content of another, and reaches it."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "migrations", project / "migrations")
    (project / "wrangler.toml").write_text(f'name = "small"\naccount_id = "{ACCOUNT}"\n')
    for name, value in cloudflare_api.environment.items():
        monkeypatch.setenv(name, value)

    def reach(name: str, content: apsw.Connection) -> AbstractContextManager[Target]:
        database = cloudflare_api.add_database(name)
        with database.connection.backup("main", content, "main") as copy:
            copy.step()
        environment = {**cloudflare_api.environment, "CONVERSATIONS_D1_DATABASE_ID": database.uuid}
        return reach_database(project, None, environment)

    return reach


Reach = Callable[[str, apsw.Connection], AbstractContextManager[Target]]


def test_a_round_trip_through_the_account(
    cloudflare_api: CloudflareApi, remote: Reach, original: Path, tmp_path: Path
) -> None:
    with closing(apsw.Connection(str(original))) as content, remote("letters", content) as target:
        back_up(target, tmp_path / "backup")
    with remote("empty", new_database(":memory:")) as target:
        restore(target, tmp_path / "backup")
    restored = tmp_path / "restored.sqlite"
    with (
        closing(apsw.Connection(str(restored))) as file,
        file.backup("main", cloudflare_api.database("empty").connection, "main") as copy,
    ):
        copy.step()
    assert everything(restored) == to_keep(original)
    check_index(restored)


def test_rows_that_the_api_does_not_take_are_told_of_in_a_line(
    cloudflare_api: CloudflareApi, remote: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.sql").write_text("DELETE FROM owners;\n")
    with remote("letters", new_database(":memory:")) as target:
        target.configure()

        def refusal(how: Misbehaviour, on: str = "POST .*/import") -> int:
            cloudflare_api.misbehave(how, on)
            with pytest.raises(Problem) as raised:
                target.execute(install(), tmp_path / "rows.sql", failed="cannot write the rows")
            assert "\n" not in str(raised.value)
            return raised.value.code

        assert refusal("500") == Code.CLOUDFLARE_FAILED
        assert refusal("500", "PUT /files") == Code.CLOUDFLARE_FAILED
        assert refusal("html") == Code.NOT_CLOUDFLARE

        def until_it_hangs(*_: Any) -> None:
            assert cloudflare_api.hangs.wait(60)

        monkeypatch.setattr(wrangler.Group, "wait", until_it_hangs)  # time is up then, however fast the machine is
        assert refusal("hang") == Code.NO_ANSWER


def test_an_export_that_the_api_does_not_make_is_told_of_in_a_line(
    cloudflare_api: CloudflareApi, remote: Reach, tmp_path: Path
) -> None:
    """Of the first call of a backup, test_scripts_bad_input.py tells."""
    with remote("letters", new_database(":memory:")) as target:
        target.configure()
        for on, message in (
            ("/export", "unknown error has occurred"),
            ("GET /files", "has failed to hand over what it has exported"),
        ):
            cloudflare_api.misbehave("500", on=on)
            with pytest.raises(Problem, match=message) as raised:
                target.export(install(), BASE, tmp_path / "dump.sql", failed="cannot export the database")
            assert raised.value.code == Code.CLOUDFLARE_FAILED
            assert "\n" not in str(raised.value)


def test_an_export_that_is_something_else_leaves_the_older_backup(
    cloudflare_api: CloudflareApi, remote: Reach, tmp_path: Path
) -> None:
    (tmp_path / "backup").write_text("an older one")
    with remote("letters", new_database(":memory:")) as target:
        cloudflare_api.misbehave("html", on="GET /files")
        with pytest.raises(Problem, match="no row of a table") as raised:
            back_up(target, tmp_path / "backup")
    assert raised.value.code == Code.NOT_CLOUDFLARE
    assert "\n" not in str(raised.value)
    assert (tmp_path / "backup").read_text() == "an older one"
    assert files_in(tmp_path) == ["backup", "project"]


# What is asked of wrangler is not what it answers.


def test_a_dump_that_ends_early_is_no_backup(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(apsw.Connection(str(original))) as content:
        target = reached(tmp_path, content)
    export = Direct.export
    for table in BASE[1:]:

        def cut(self: Direct, *arguments: Any, table: str = table, **options: Any) -> None:
            export(self, *arguments, **options)
            whole = arguments[2].read_text().split("\n")
            last = max(number for number, line in enumerate(whole) if line.startswith(f'INSERT INTO "{table}"'))
            arguments[2].write_text("\n".join(whole[:last] + whole[last + 1 :]))  # others may come after it

        monkeypatch.setattr(Direct, "export", cut)
        with pytest.raises(Problem, match=f"{table} end early"):
            back_up(target, tmp_path / "backup")
    assert files_in(tmp_path) == []


def test_a_conversation_without_its_owner_is_no_backup(tmp_path: Path, original: Path) -> None:
    with closing(apsw.Connection(str(original))) as content:
        target = reached(tmp_path, content)
    target.inner.rows("DELETE FROM owners WHERE user_id = 'ada'")
    with pytest.raises(Problem, match="conversations without their owners"):
        back_up(target, tmp_path / "backup")


def test_a_text_that_changes_while_it_is_looked_up_is_no_backup(
    tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(apsw.Connection(str(original))) as content:
        target = reached(tmp_path, content)
    export = Direct.export

    def then_changed(self: Direct, *arguments: Any, **options: Any) -> None:
        export(self, *arguments, **options)
        self.inner.rows("UPDATE conversations SET title = 'other' WHERE title = ?", ODD)

    monkeypatch.setattr(Direct, "export", then_changed)
    with pytest.raises(Problem, match="somebody has written to the database meanwhile: run this again"):
        back_up(target, tmp_path / "backup")
    assert files_in(tmp_path) == []


def test_what_does_not_read_back_as_it_was_written_is_no_backup(
    tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(apsw.Connection(str(original))) as content:
        target = reached(tmp_path, content)
    write = backup_module.write_backup

    def spoiled(file: Path, *arguments: Any) -> str:
        sha256 = write(file, *arguments)
        file.write_bytes(file.read_bytes().replace(b"monad", b"nomad", 1))
        return sha256

    monkeypatch.setattr(backup_module, "write_backup", spoiled)
    with pytest.raises(Problem, match="the backup is not what was written"):
        back_up(target, tmp_path / "backup")
    assert files_in(tmp_path) == []


def test_only_a_database_with_a_schema_of_ours_is_backed_up(tmp_path: Path) -> None:
    def refusal(content: apsw.Connection) -> str:
        with pytest.raises(Problem) as raised:
            back_up(reached(tmp_path, content), tmp_path / "backup")
        assert raised.value.code == Code.OTHER_SCHEMA
        return str(raised.value)

    assert "has no tables: run scripts/migrate first" in refusal(new_database(":memory:", 0))
    newer = new_database(":memory:")
    newer.execute("CREATE TABLE later (x TEXT)")
    assert "is not at a schema of this checkout (the table later is there" in refusal(newer)
    assert files_in(tmp_path) == []


# The file.


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = reached(tmp_path)
    monkeypatch.setattr(Direct, "call", None)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "read-only").write_text("kept")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "read-only" and access(path, mode))
    for file, message in (
        (tmp_path, "it is a folder"),
        (tmp_path / "missing" / "backup", "No such file or directory"),
        (tmp_path / "file" / "backup", "Not a directory"),
        (tmp_path / "read-only", "it is write-protected"),
        (Path("/proc/backup"), "cannot write"),
    ):
        with pytest.raises(Problem, match=message) as raised:
            back_up(target, file)
        assert (raised.value.code, str(file) in str(raised.value)) == (Code.FILE_UNUSABLE, True)
    assert (tmp_path / "read-only").read_text() == "kept"
    assert files_in(tmp_path) == ["file", "read-only"]


def test_a_full_disk_leaves_the_older_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backup").write_text("an older one")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Problem, match="No space left on device") as raised:
        back_up(reached(tmp_path), tmp_path / "backup")
    assert raised.value.code == Code.FILE_UNUSABLE
    assert (tmp_path / "backup").read_text() == "an older one"
    assert files_in(tmp_path) == ["backup"]


def test_a_disk_that_is_full_while_rows_are_gathered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back_up(reached(tmp_path), tmp_path / "backup")

    def full(*_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(scratch.Scratch, "count", full)
    for act in (back_up, restore):
        with pytest.raises(Problem, match="database or disk is full") as raised:
            act(reached(tmp_path), tmp_path / "backup")
        assert raised.value.code == Code.FILE_UNUSABLE


def test_an_interruption_leaves_the_older_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backup").write_text("an older one")

    def interrupted(*_: Any, **__: Any) -> None:
        assert len(files_in(tmp_path)) == 2
        raise KeyboardInterrupt

    monkeypatch.setattr(backup_module, "_compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        back_up(reached(tmp_path), tmp_path / "backup")
    assert (tmp_path / "backup").read_text() == "an older one"
    assert files_in(tmp_path) == ["backup"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "backup")
    back_up(reached(tmp_path), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "backup").read_text().splitlines()[0])["rows"] == dict.fromkeys(BASE, 0)


# As they are called.


@pytest.mark.parametrize("script", ["scripts/backup", "scripts/restore"])
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "the following arguments are required: FILE"),
        (["--nope", "file"], 2, "unrecognized arguments: --nope"),
        (["one", "two"], 2, "unrecognized arguments: two"),
        (["--local", "--remote", "file"], 2, "not allowed with argument"),
        (["--remote", "file"], 1, "error: there is no database at Cloudflare"),
        (["--env=nope", "file"], 2, "error: wrangler.toml has no [env.nope]"),
        ([f"--state={ROOT / 'wrangler.toml'}", "file"], 1, "error: cannot keep data in"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(script: str, arguments: list[str], code: int, message: str) -> None:
    done = run_here(ROOT / script, *arguments, environment={"PATH": os.defpath})
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]
    assert not Path("file").exists()
