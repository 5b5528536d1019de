"""`scripts/backup`, and the way back with the real wrangler: on this machine, and against the fake of Cloudflare."""

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

from fakes.cloudflare_api import ACCOUNT, CloudflareApi
from support.backups import ODD, Direct, check_index, everything, fill, hits, new_database, reached, to_keep
from toolbox import backing_up, cloudflare, scratch
from toolbox.backing_up import back_up
from toolbox.checkout import ROOT, Problem
from toolbox.codes import Code
from toolbox.deploying import local_database, reach_database
from toolbox.migrating import Target, local_target, migrate
from toolbox.restoring import restore
from toolbox.worker import LocalWorker


@pytest.fixture(scope="module")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose database is migrated and empty."""
    state = tmp_path_factory.mktemp("empty") / "state"
    with local_target(local_database(ROOT, None), state) as target:
        migrate(target)
    return state


@pytest.fixture(scope="module")
def full_state(empty_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose database the store has filled."""
    state = tmp_path_factory.mktemp("full") / "state"
    shutil.copytree(empty_state, state)
    fill(database_in(state))
    return state


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


def test_a_round_trip_through_local_d1(full_state: Path, empty_state: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(empty_state, state)
    with local(full_state) as target:
        back_up(target, tmp_path / "backup")
    assert files_in(tmp_path) == ["backup", "state"]
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    with local(state) as target:
        restore(target, tmp_path / "backup")
    assert everything(database_in(state)) == to_keep(database_in(full_state))
    check_index(database_in(state))
    assert hits(database_in(state), "ada") == hits(database_in(full_state), "ada")
    assert [path for path in state.iterdir() if path.name.startswith("restore")] == []


def local(state: Path) -> AbstractContextManager[Target]:
    return local_target(local_database(ROOT, None), state)


def test_what_was_restored_is_served(empty_state: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    message = {"role": "user", "content": [{"type": "text", "text": "Where is Zürich?"}]}
    for state in (first, second):
        shutil.copytree(empty_state, state)
    with LocalWorker(first, store="d1") as running:
        httpx.post(f"{running.url}/api/conversations", json={"messages": [message]}).raise_for_status()
        exported = httpx.get(f"{running.url}/api/export").json()["conversation"]
        cursor = httpx.get(f"{running.url}/api/conversations/changes").json()["next"]
        with pytest.raises(Problem, match="another Worker runs on"), local(first):
            pass
    with local(first) as target:
        back_up(target, tmp_path / "backup")
    with local(second) as target:
        restore(target, tmp_path / "backup")
    with LocalWorker(second, store="d1") as running:
        assert httpx.get(f"{running.url}/api/export").json()["conversation"] == exported
        (found,) = httpx.get(f"{running.url}/api/conversations/search", params={"q": "zurich", "role": "user"}).json()[
            "hits"
        ]
        assert found["message"]["content"] == message["content"]
        assert httpx.get(f"{running.url}/api/conversations/changes", params={"since": cursor}).status_code == 410


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
    cloudflare_api: CloudflareApi, remote: Reach, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(apsw.Connection(str(original))) as content, remote("letters", content) as target:
        back_up(target, tmp_path / "backup")
    with remote("empty", new_database(":memory:")) as target:
        for how, on, code in (
            ("500", "POST .*/import", Code.CLOUDFLARE_FAILED),
            ("500", "PUT /files", Code.CLOUDFLARE_FAILED),
            ("html", "POST .*/import", Code.NOT_CLOUDFLARE),
            ("hang", "POST .*/import", Code.NO_ANSWER),
        ):
            cloudflare_api.misbehave(how, on=on)
            monkeypatch.setattr(cloudflare, "ROWS_SECONDS", 4)
            with pytest.raises(Problem) as raised:
                restore(target, tmp_path / "backup")
            assert raised.value.code == code, str(raised.value)
        monkeypatch.setattr(cloudflare, "ROWS_SECONDS", 60)
        cloudflare_api.behave()
        restore(target, tmp_path / "backup")
    restored = tmp_path / "restored.sqlite"
    with (
        closing(apsw.Connection(str(restored))) as file,
        file.backup("main", cloudflare_api.database("empty").connection, "main") as copy,
    ):
        copy.step()
    assert everything(restored) == to_keep(original)
    check_index(restored)


@pytest.mark.parametrize(
    "case",
    [
        ("500", "", Code.CLOUDFLARE_FAILED, "unknown error has occurred"),
        ("html", "", Code.NOT_CLOUDFLARE, "is not Cloudflare's API"),
        ("hang", "", Code.NO_ANSWER, "has not answered in 3 seconds"),
        ("500", "/export", Code.CLOUDFLARE_FAILED, "unknown error has occurred"),
        ("500", "GET /files", Code.CLOUDFLARE_FAILED, "has failed to hand over what it has exported"),
        ("html", "GET /files", Code.NOT_CLOUDFLARE, "no row of a table"),
    ],
)
def test_an_api_that_misbehaves_leaves_the_older_backup(
    cloudflare_api: CloudflareApi,
    remote: Reach,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Any, str, int, str],
) -> None:
    how, on, code, message = case
    monkeypatch.setattr(cloudflare, "ANSWER_SECONDS", 3 if how == "hang" else 60)
    (tmp_path / "backup").write_text("an older one")
    with remote("letters", new_database(":memory:")) as target:
        cloudflare_api.misbehave(how, on=on)
        with pytest.raises(Problem) as raised:
            back_up(target, tmp_path / "backup")
    assert (raised.value.code, message in str(raised.value)) == (code, True), str(raised.value)
    assert "\n" not in str(raised.value)
    assert (tmp_path / "backup").read_text() == "an older one"
    assert files_in(tmp_path) == ["backup", "project"]


# What is asked of wrangler is not what it answers.


def test_a_dump_that_ends_early_is_no_backup(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(apsw.Connection(str(original))) as content:
        target = reached(tmp_path, content)
    export = Direct.export
    for lines, message in ((-1, "messages end early"), (-60, "conversations end early"), (1, "end early")):

        def cut(self: Direct, *arguments: Any, keep: int = lines, **options: Any) -> None:
            export(self, *arguments, **options)
            whole = arguments[2].read_text().split("\n")
            arguments[2].write_text("\n".join(whole[:keep]))

        monkeypatch.setattr(Direct, "export", cut)
        with pytest.raises(Problem, match=message):
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
    write = backing_up.write_backup

    def spoiled(file: Path, *arguments: Any) -> str:
        sha256 = write(file, *arguments)
        file.write_bytes(file.read_bytes().replace(b"monad", b"nomad", 1))
        return sha256

    monkeypatch.setattr(backing_up, "write_backup", spoiled)
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

    monkeypatch.setattr(backing_up, "_compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        back_up(reached(tmp_path), tmp_path / "backup")
    assert (tmp_path / "backup").read_text() == "an older one"
    assert files_in(tmp_path) == ["backup"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "backup")
    back_up(reached(tmp_path), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "backup").read_text().splitlines()[0])["rows"] == dict.fromkeys(
        ("owners", "conversations", "messages"), 0
    )


# As programs.


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE")}
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env=environment
    )


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
        (["--state=wrangler.toml", "file"], 1, "error: cannot keep data in"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(script: str, arguments: list[str], code: int, message: str) -> None:
    done = run(ROOT / script, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]
    assert not (ROOT / "file").exists()


def test_the_programs_do_what_they_say(full_state: Path, empty_state: Path, tmp_path: Path) -> None:
    shutil.copytree(empty_state, tmp_path / "state")
    done = run(ROOT / "scripts/backup", f"--state={full_state}", tmp_path / "backup")
    assert done.returncode == 0, done.stderr
    assert "messages of 2 users" in done.stdout
    done = run(ROOT / "scripts/restore", f"--state={tmp_path / 'state'}", tmp_path / "backup")
    assert done.returncode == 0, done.stderr
    assert "messages of 2 users" in done.stdout
    done = run(ROOT / "scripts/restore", f"--state={full_state}", tmp_path / "backup")
    assert (done.returncode, done.stdout) == (Code.NOT_EMPTY, "")
    assert done.stderr.splitlines()[-1].startswith("error: threadkeep here is not empty")
