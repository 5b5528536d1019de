"""The binding in wrangler.toml: what is added, and that nothing else moves."""

import difflib
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.checkout import ROOT, Problem
from tools.cloudflare.account import Database
from tools.cloudflare.wrangler_toml import ConfigurationFile
from tools.exit_codes import Code

DATABASE = Database("threadkeep", "11111111-2222-4333-8444-555555555555")
OTHER_ID = "99999999-2222-4333-8444-555555555555"
FIELDS = {
    "binding": "CONVERSATIONS_D1",
    "database_name": "threadkeep",
    "database_id": DATABASE.id,
    "migrations_dir": "migrations/sqlite",
}
BLOCK = """\
binding = "CONVERSATIONS_D1"
database_name = "threadkeep"
database_id = "11111111-2222-4333-8444-555555555555"
migrations_dir = "migrations/sqlite"
"""

# What the file is before, the environment, and what it is after.
CORPUS: dict[str, tuple[str, str | None, str]] = {
    "empty": ("", None, f"[[d1_databases]]\n{BLOCK}"),
    "at the end, below every comment": (
        '# The Worker.\nname = "a" # b\n\n\n[vars] # c\n#d\n  X = "1"\n# e\n\n# f\n',
        None,
        f'# The Worker.\nname = "a" # b\n\n\n[vars] # c\n#d\n  X = "1"\n# e\n\n# f\n\n[[d1_databases]]\n{BLOCK}',
    ),
    "no trailing newline": ('name = "a"', None, f'name = "a"\n\n[[d1_databases]]\n{BLOCK}'),
    "Windows line ends": (
        'name = "a" # b\r\n\r\n[vars]\r\nX = "1"\r\n',
        None,
        f'name = "a" # b\n\n[vars]\nX = "1"\n\n[[d1_databases]]\n{BLOCK}'.replace("\n", "\r\n"),
    ),
    "Windows line ends, without the last, after a byte order mark": (
        '\ufeffname = "a"\r\n[vars]',
        None,
        "\ufeff" + f'name = "a"\n[vars]\n\n[[d1_databases]]\n{BLOCK}'.replace("\n", "\r\n"),
    ),
    "line ends of both kinds": ("a = 1\r\nb = 2\n", None, f"a = 1\r\nb = 2\n\n[[d1_databases]]\n{BLOCK}"),
    "after another database, and before the comments of what follows": (
        '[[d1_databases]]\nbinding = "X" # x\n# y = 1\n\n# What follows.\n[triggers]\ncrons = []\n',
        None,
        (
            '[[d1_databases]]\nbinding = "X" # x\n# y = 1\n\n[[d1_databases]]\n'
            f"{BLOCK}\n# What follows.\n[triggers]\ncrons = []\n"
        ),
    ),
    "after another database, at the end, on Windows": (
        '[[d1_databases]]\r\nbinding = "X"',
        None,
        f'[[d1_databases]]\nbinding = "X"\n\n[[d1_databases]]\n{BLOCK}'.replace("\n", "\r\n"),
    ),
    "in an environment": (
        (
            '[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_id = "top"\n\n[env.staging]\nname = "s" # s\n'
            '# The other.\n[env.other]\nname = "o"\n'
        ),
        "staging",
        (
            '[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_id = "top"\n\n[env.staging]\nname = "s" # s\n'
            f'# The other.\n[env.other]\nname = "o"\n\n[[env.staging.d1_databases]]\n{BLOCK}'
        ),
    ),
    "in an environment with a database": (
        '[[env.staging.d1_databases]]\nbinding = "X"\n\n# The other.\n[env.other]\nname = "o"\n',
        "staging",
        (
            '[[env.staging.d1_databases]]\nbinding = "X"\n\n[[env.staging.d1_databases]]\n'
            f'{BLOCK}\n# The other.\n[env.other]\nname = "o"\n'
        ),
    ),
    "in an environment with a name in quotes": (
        '[env."a.b"]\nname = "s"\n',
        "a.b",
        f'[env."a.b"]\nname = "s"\n\n[[env."a.b".d1_databases]]\n{BLOCK}',
    ),
    "the id of another database": (
        (
            f"[[d1_databases]]\n# one\ndatabase_id=\"{OTHER_ID}\"   # two\n\n# three\nbinding = 'CONVERSATIONS_D1'\n"
            'database_name = "threadkeep"\npreview_database_id = "p"\nmigrations_dir = "sql"\n# four\n[vars]\n'
        ),
        None,
        (
            f"[[d1_databases]]\n# one\ndatabase_id=\"{DATABASE.id}\"   # two\n\n# three\nbinding = 'CONVERSATIONS_D1'\n"
            'database_name = "threadkeep"\npreview_database_id = "p"\nmigrations_dir = "sql"\n# four\n[vars]\n'
        ),
    ),
    "the id of another database, on Windows": (
        f"[[d1_databases]]\n{BLOCK.replace(DATABASE.id, OTHER_ID)}".replace("\n", "\r\n"),
        None,
        f"[[d1_databases]]\n{BLOCK}".replace("\n", "\r\n"),
    ),
    "a block without an id": (
        '[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_name = "threadkeep"\n\n# v\n[vars]\n',
        None,
        (
            '[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_name = "threadkeep"\n'
            f'database_id = "{DATABASE.id}"\nmigrations_dir = "migrations/sqlite"\n\n# v\n[vars]\n'
        ),
    ),
    "under its other name": (
        f'[[d1_databases]]\nbinding = "CHM_CLOUD_D1"\ndatabase_id = "{OTHER_ID}"\nmigrations_dir = "m"\n',
        None,
        (
            f'[[d1_databases]]\nbinding = "CHM_CLOUD_D1"\ndatabase_id = "{DATABASE.id}"\nmigrations_dir = "m"\n'
            'database_name = "threadkeep"\n'
        ),
    ),
    "there already, in whatever way it is written": (
        (
            f"[[d1_databases]]\n\tdatabase_id = '{DATABASE.id}'\n\tbinding = 'CONVERSATIONS_D1'\n"
            '\tdatabase_name = "renamed"\n\tmigrations_dir = "m"\n[triggers]\n[[d1_databases]]\nbinding = "X"'
        ),
        None,
        (
            f"[[d1_databases]]\n\tdatabase_id = '{DATABASE.id}'\n\tbinding = 'CONVERSATIONS_D1'\n"
            '\tdatabase_name = "renamed"\n\tmigrations_dir = "m"\n[triggers]\n[[d1_databases]]\nbinding = "X"'
        ),
    ),
}


def opened(folder: Path, text: str, environment: str | None = None) -> ConfigurationFile:
    (folder / "wrangler.toml").write_bytes(text.encode())
    return ConfigurationFile(folder / "wrangler.toml", environment, folder)


@pytest.mark.parametrize(("before", "environment", "after"), CORPUS.values(), ids=CORPUS)
def test_only_the_binding_changes(tmp_path: Path, before: str, environment: str | None, after: str) -> None:
    changed = opened(tmp_path, before, environment).bound_to(DATABASE)
    assert changed == after
    again = opened(tmp_path, changed, environment)
    assert again.bound_to(DATABASE) == changed
    assert again.database_id == DATABASE.id


def test_our_own_file_keeps_every_line(tmp_path: Path) -> None:
    before = (ROOT / "wrangler.toml").read_text()
    after = opened(tmp_path, before).bound_to(DATABASE)
    assert [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith("-")] == []
    assert FIELDS in tomllib.loads(after)["d1_databases"]


def test_the_migrations_are_found_from_wherever_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "apps/ours").mkdir(parents=True)
    (tmp_path / "apps/ours/wrangler.toml").write_text("")
    file = ConfigurationFile(tmp_path / "apps/ours/wrangler.toml", None, tmp_path / "threadkeep")
    (binding,) = tomllib.loads(file.bound_to(DATABASE))["d1_databases"]
    assert binding["migrations_dir"] == "../../threadkeep/migrations/sqlite"


def test_a_list_within_a_line_grows_in_its_line(tmp_path: Path) -> None:
    after = opened(tmp_path, 'd1_databases = [{ binding = "X" }] # d\n[vars]\n').bound_to(DATABASE)
    assert after.startswith('d1_databases = [{ binding = "X" }, {binding = "CONVERSATIONS_D1"')
    assert after.endswith("}] # d\n[vars]\n")
    assert opened(tmp_path, after).bound_to(DATABASE) == after


@pytest.mark.parametrize(
    ("text", "environment", "code", "message"),
    [
        ("name =", None, Code.CONFIGURATION_BROKEN, "wrangler.toml is not TOML: Invalid value (at end of document)"),
        (
            "d1_databases = 1",
            None,
            Code.CONFIGURATION_BROKEN,
            "d1_databases has to be a list: begin each with [[d1_databases]]",
        ),
        ("env = 1", None, Code.CONFIGURATION_BROKEN, "env has to hold tables, as in [env.staging]"),
        (
            '[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\n[[d1_databases]]\nbinding = "CHM_CLOUD_D1"\n',
            None,
            Code.CONFIGURATION_BROKEN,
            "binds two databases, CONVERSATIONS_D1 and CHM_CLOUD_D1",
        ),
        ("", "staging", Code.WRONG_VALUE, "has no environment [env.staging]"),
        ("[env.other]", "staging", Code.WRONG_VALUE, "has no environment [env.staging]"),
        ("env = { staging = { name = 's' } }", "staging", Code.CONFIGURATION_BROKEN, "cannot be added to"),
        (
            '[[d1_databases]]\nbinding = "X"\n[vars]\nA = "1"\n[[d1_databases]]\nbinding = "Y"\n',
            None,
            Code.CONFIGURATION_BROKEN,
            "cannot be added to",
        ),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_refused(
    tmp_path: Path, text: str, environment: str | None, code: Code, message: str
) -> None:
    with pytest.raises(Problem) as caught:
        opened(tmp_path, text, environment).bound_to(DATABASE)
    assert message in str(caught.value)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(Problem, match="is not TOML: 'utf-8' codec can't decode"):
        ConfigurationFile(tmp_path / "wrangler.toml", None)


def test_a_replaced_file_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    file = opened(tmp_path, 'name = "a"\n')
    (tmp_path / "wrangler.toml").chmod(0o640)
    (tmp_path / "link.toml").symlink_to("wrangler.toml")
    file = ConfigurationFile(tmp_path / "link.toml", None)
    file.write(file.bound_to(DATABASE))
    assert (tmp_path / "wrangler.toml").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.toml").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "wrangler.toml"]


def test_a_write_that_fails_leaves_the_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    file = opened(tmp_path, 'name = "a"\n')
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Problem, match="No space left on device") as caught:
        file.write("")
    assert caught.value.code == Code.CONFIGURATION_READ_ONLY
    assert [path.read_text() for path in tmp_path.iterdir()] == ['name = "a"\n']


def test_an_interrupted_write_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    file = opened(tmp_path, 'name = "a"\n')
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        file.write("")
    assert [path.read_text() for path in tmp_path.iterdir()] == ['name = "a"\n']


def test_a_process_that_is_killed_while_it_writes_leaves_the_file(tmp_path: Path) -> None:
    opened(tmp_path, 'name = "a"\n')
    program = (
        "import os, signal, sys; from pathlib import Path; "
        "from tools.cloudflare.wrangler_toml import ConfigurationFile; "
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); "
        "ConfigurationFile(Path(sys.argv[1]), None).write('name = ')"
    )
    command = [sys.executable, "-c", program, tmp_path / "wrangler.toml"]
    killed = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "scripts")}, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "wrangler.toml").read_text() == 'name = "a"\n'


def test_what_somebody_else_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    file = opened(tmp_path, 'name = "a"\n')
    (tmp_path / "wrangler.toml").write_text('name = "b"\n')
    with pytest.raises(Problem, match="has been changed meanwhile"):
        file.write(file.bound_to(DATABASE))
    assert (tmp_path / "wrangler.toml").read_text() == 'name = "b"\n'


def test_an_environments_own_account_wins(tmp_path: Path) -> None:
    text = 'account_id = "top"\n[env.staging]\naccount_id = "own"\n[env.other]\n'
    assert [opened(tmp_path, text, name).settings["account_id"] for name in (None, "staging", "other")] == [
        "top",
        "own",
        "top",
    ]
