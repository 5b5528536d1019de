"""What people get wrong, and what may be wrong around them: each script says so in a line, and does nothing by halves.

`CELLS` is the table of what may be wrong and what is called. Most of it runs in this process, and what only a program
can show (that it starts, refuses, and ends when it is told to) in one of its own, once for each script.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.cloudflare_api import CloudflareApi
from support.backups import reached
from support.scripts import copy_checkout, run_here
from tools.checkout import ROOT
from tools.d1.backup import back_up
from tools.exit_codes import Code
from tools.local.install import install

FILE = "letters.backup"


class Checkout:
    """Our checkout again, with a wrangler.toml and a wrangler that a test may spoil, and with a backup."""

    def __init__(self, folder: Path, api: CloudflareApi, backup: Path) -> None:
        self.folder = folder
        self.api = api
        self.database = api.add_database("letters")
        self.wrangler_toml = copy_checkout(folder) / "wrangler.toml"
        self.backup = folder / FILE
        shutil.copy(backup, self.backup)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDFLARE", "AGENT_"))}
        home = str(folder / "home")  # nobody is logged in there
        self.environment = {
            **own,
            **api.environment,
            "CONVERSATIONS_D1_DATABASE_ID": self.database.uuid,
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            # As after run_in_environment(), which would make an environment for a checkout that has none of its own.
            "THREADKEEP_IN_ENVIRONMENT": "1",
        }

    def command(self, script: str, *arguments: str) -> list[str | Path]:
        given = [self.backup if argument == FILE else argument for argument in arguments]
        return [self.folder / ".venv/bin/python", self.folder / "scripts" / script, *given]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a script in this process."""
        _, script, *arguments = self.command(*command)
        return run_here(Path(script), *arguments, environment=self.environment)

    def run_program(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a script as people do."""
        return subprocess.run(
            self.command(*command),
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def content(self) -> tuple[object, ...]:
        """What must not change: the files, and the account."""
        written = self.wrangler_toml.read_bytes() if self.wrangler_toml.is_file() else None
        beside = sorted(path.name for path in self.folder.iterdir() if path.name not in (".local", "home"))
        tables = self.database.rows("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'd1_migrations%'")
        return written, self.backup.read_bytes(), beside, list(self.api.databases), list(self.api.scripts), tables

    def spoil_wrangler(self, version: str | None) -> None:
        """Leaves a node_modules that has no wrangler, or says that it is another version."""
        modules = self.folder / "node_modules"
        modules.unlink()
        (modules / "wrangler/wrangler-dist").mkdir(parents=True)
        shutil.copy(ROOT / "node_modules/.installed", modules)
        if version:
            (modules / "wrangler/package.json").write_text(f'{{"version": "{version}"}}')
            (modules / "wrangler/wrangler-dist/cli.js").write_text("")

    def hurry(self) -> None:
        """Two seconds is as long as anybody waits."""
        file = self.folder / "scripts/tools/cloudflare/account.py"
        text = file.read_text()
        hurried, limits = re.subn(r"^([A-Z]+_SECONDS) = \d+$", r"\1 = 2", text, flags=re.MULTILINE)
        assert limits == 3
        file.write_text(hurried)


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup in which there is nothing."""
    folder = tmp_path_factory.mktemp("backup")
    back_up(reached(folder), folder / FILE)
    return folder / FILE


@pytest.fixture
def checkout(tmp_path: Path, cloudflare_api: CloudflareApi, backup: Path) -> Checkout:
    install()
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder, cloudflare_api, backup)


Prepare = Callable[[Checkout], object]

SETUP, MIGRATE, DEPLOY = ("setup",), ("migrate", "--remote"), ("deploy",)
UPLOAD = ("deploy", "--skip-migrate")
BACKUP, RESTORE = ("backup", "--remote", FILE), ("restore", "--remote", FILE)
HERE, DRY, DOCTOR = ("migrate", "--local"), ("deploy", "--dry-run"), ("doctor",)
BACKUP_HERE, RESTORE_HERE = ("backup", "--local", FILE), ("restore", "--local", FILE)
ONLINE = (SETUP, MIGRATE, DEPLOY, BACKUP, RESTORE)
# What wrangler says of the account is the same whatever is asked, but for its form: text about migrations, JSON about
# databases and what is in them. So these have one of the first and one of the others. `deploy` begins with the call of
# `migrate`, and `restore` with that of `backup`; that each script passes on what it hears is seen where the API answers
# 500.
ASKING = (MIGRATE, SETUP)
ASKING_TOO = (MIGRATE, BACKUP)
WITH_WRANGLER = (*ONLINE, HERE, DRY, BACKUP_HERE, RESTORE_HERE)
READING = (SETUP, MIGRATE, HERE, DRY, BACKUP, RESTORE, BACKUP_HERE, RESTORE_HERE)

# What is wrong, who notices, with which exit code, and what is said.
ROWS: dict[str, tuple[Prepare, tuple[tuple[str, ...], ...], int, str]] = {
    "no token": (
        lambda checkout: checkout.environment.pop("CLOUDFLARE_API_TOKEN"),
        ONLINE,
        Code.NO_TOKEN,
        "CLOUDFLARE_API_TOKEN",
    ),
    "a token without the right": (
        lambda checkout: checkout.api.rights.clear(),
        ASKING,
        Code.TOKEN_REFUSED,
        "give it the permission it lacks",
    ),
    "an unknown token": (
        lambda checkout: checkout.environment.update(CLOUDFLARE_API_TOKEN="nobody's"),
        ASKING_TOO,
        Code.TOKEN_REFUSED,
        "token",
    ),
    "several accounts": (
        lambda checkout: checkout.api.account_ids.append("f" * 32),
        ASKING,
        Code.NO_ACCOUNT,
        "several accounts: set CLOUDFLARE_ACCOUNT_ID",
    ),
    "no network": (
        lambda checkout: checkout.environment.update(CLOUDFLARE_API_BASE_URL="http://127.0.0.1:1/client/v4"),
        ASKING_TOO,
        Code.NO_NETWORK,
        "cannot be reached",
    ),
    "500": (
        lambda checkout: checkout.api.misbehave("500"),
        (*ONLINE, UPLOAD),
        Code.CLOUDFLARE_FAILED,
        "unknown error has occurred (error 10013)",
    ),
    "HTML": (
        lambda checkout: checkout.api.misbehave("html"),
        ASKING,
        Code.NOT_CLOUDFLARE,
        "is not Cloudflare's API",
    ),
    "an API that hangs": (
        lambda checkout: (checkout.hurry(), checkout.api.misbehave("hang")),
        ASKING_TOO,
        Code.NO_ANSWER,
        "has not answered in 2 seconds",
    ),
    "an id that the account does not have": (
        lambda checkout: checkout.environment.update(
            CONVERSATIONS_D1_DATABASE_ID="1" * 8 + "-1111" * 3 + "-" + "1" * 12
        ),
        (MIGRATE, BACKUP),
        Code.REQUEST_REFUSED,
        "Cloudflare refuses this",
    ),
    "an id that is none": (
        lambda checkout: checkout.environment.update(CONVERSATIONS_D1_DATABASE_ID="letters"),
        (MIGRATE, DEPLOY, DRY, BACKUP, RESTORE),
        Code.WRONG_VALUE,
        "is 'letters', which is no UUID",
    ),
    "no wrangler": (
        lambda checkout: checkout.spoil_wrangler(None),
        WITH_WRANGLER,
        Code.WRANGLER_MISSING,
        "wrangler is not installed",
    ),
    "an old wrangler": (
        lambda checkout: checkout.spoil_wrangler("4.0.9"),
        WITH_WRANGLER,
        Code.WRANGLER_TOO_OLD,
        "wrangler 4.0.9 is too old",
    ),
    "no wrangler.toml": (
        lambda checkout: checkout.wrangler_toml.unlink(),
        READING,
        Code.CONFIGURATION_MISSING,
        "there is no /",
    ),
    "a wrangler.toml that is a folder": (
        lambda checkout: (checkout.wrangler_toml.unlink(), checkout.wrangler_toml.mkdir()),
        READING,
        Code.CONFIGURATION_BROKEN,
        "cannot be read: Is a directory",
    ),
    "a broken wrangler.toml": (
        lambda checkout: checkout.wrangler_toml.write_text("name =\n"),
        READING,
        Code.CONFIGURATION_BROKEN,
        "is not TOML: Invalid value (at line 1",
    ),
    "a wrangler.toml in another encoding": (
        lambda checkout: checkout.wrangler_toml.write_bytes(b'name = "\xe9"'),
        READING,
        Code.CONFIGURATION_BROKEN,
        "is not TOML: 'utf-8' codec can't decode",
    ),
    "a wrangler.toml of another shape": (
        lambda checkout: checkout.wrangler_toml.write_text("[[d1_databases]]\nbinding = 1\n"),
        READING,
        Code.CONFIGURATION_BROKEN,
        "d1_databases[0].binding has to be a text, in quotes",
    ),
    "a date in wrangler.toml": (
        lambda checkout: checkout.wrangler_toml.write_text("compatibility_date = 2026-11-01\n"),
        (DRY, SETUP),
        Code.CONFIGURATION_BROKEN,
        "compatibility_date is a date or a time: put it in quotes",
    ),
    "a Worker that is elsewhere": (
        lambda checkout: checkout.wrangler_toml.write_text('main = "/etc/passwd"\n'),
        (DRY, HERE),
        Code.CONFIGURATION_BROKEN,
        "main has to be a file in src/",
    ),
    "a read-only wrangler.toml": (
        lambda checkout: checkout.wrangler_toml.chmod(0o444),
        (SETUP,),
        Code.CONFIGURATION_READ_ONLY,
        "is read-only",
    ),
    "an environment that there is not": (
        lambda checkout: checkout.environment.update(CLOUDFLARE_ENV="moon"),
        READING,
        Code.WRONG_VALUE,
        "[env.moon]",
    ),
}
CELLS = {
    f"{' '.join(command)}: {name}": (prepare, command, code, message)
    for name, (prepare, commands, code, message) in ROWS.items()
    for command in commands
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_done_by_halves(
    checkout: Checkout, cell: tuple[Prepare, tuple[str, ...], int, str]
) -> None:
    prepare, command, code, message = cell
    prepare(checkout)
    before = checkout.content()
    check_refusal(checkout.run(*command), code, message)
    assert checkout.content() == before


def check_refusal(done: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert "Traceback" not in done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert done.stderr.count("error: ") == 1
    assert done.returncode == code


# As programs.


@pytest.mark.parametrize("command", ONLINE, ids=" ".join)
def test_the_program_says_it_as_well(checkout: Checkout, command: tuple[str, ...]) -> None:
    prepare, _, code, message = ROWS["an environment that there is not"]
    prepare(checkout)
    check_refusal(checkout.run_program(*command), code, message)


def test_the_locale_may_be_any_and_so_may_the_folder(tmp_path: Path, checkout: Checkout) -> None:
    checkout.folder = checkout.folder.rename(tmp_path / "für dich")
    checkout.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = checkout.run_program(*HERE, "--dry-run")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    (checkout.folder / "wrangler.toml").write_text("name =")
    for command in (DOCTOR, DRY):
        done = checkout.run_program(*command)
        assert "für dich/wrangler.toml is not TOML" in (done.stdout + done.stderr).splitlines()[-1]


@pytest.mark.parametrize("command", ONLINE, ids=" ".join)
def test_it_may_be_interrupted(checkout: Checkout, command: tuple[str, ...]) -> None:
    checkout.api.misbehave("hang")
    before = checkout.content()
    program, pipe = checkout.command(*command), subprocess.PIPE
    with subprocess.Popen(program, cwd="/", env=checkout.environment, stdout=pipe, stderr=pipe, text=True) as process:
        deadline = time.monotonic() + 60
        while not checkout.api.calls:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, progress = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in progress
    assert checkout.content() == before


@pytest.mark.parametrize("command", [(*command, "--nope") for command in (*ONLINE, DOCTOR)])
def test_an_unknown_flag_is_refused(checkout: Checkout, command: tuple[str, ...]) -> None:
    done = checkout.run_program(*command)
    assert (done.returncode, done.stdout) == (Code.WRONG_VALUE, "")
    assert "unrecognized arguments: --nope" in done.stderr.splitlines()[-1]
    assert checkout.api.calls == []


# In this process again.


def test_the_account_of_another_token_is_not_remembered(checkout: Checkout) -> None:
    command = (*MIGRATE, "--dry-run")  # its folder stays; those of the other scripts go
    assert checkout.run(*command).returncode == 0
    checkout.api.account_ids.append("f" * 32)
    assert checkout.run(*command).returncode == Code.NO_ACCOUNT


@pytest.mark.parametrize("name", [name for name, (_, commands, _, _) in ROWS.items() if HERE in commands])
def test_the_doctor_names_it_too(checkout: Checkout, name: str) -> None:
    prepare, _, _, message = ROWS[name]
    prepare(checkout)
    done = checkout.run(*DOCTOR)
    assert (done.returncode, done.stderr) == (1, "")
    what = {"no wrangler": "missing  wrangler", "an old wrangler": "stale    wrangler 4.0.9"}.get(name, message)
    assert what in done.stdout


def test_a_byte_order_mark_is_none(checkout: Checkout) -> None:
    checkout.wrangler_toml.write_bytes(b"\xef\xbb\xbf" + checkout.wrangler_toml.read_bytes())
    done = checkout.run("setup", "--dry-run")
    assert done.returncode == 0, done.stderr
    del checkout.environment["CLOUDFLARE_API_TOKEN"]  # which is looked for once the file is read
    for command in (MIGRATE, DEPLOY):
        assert checkout.run(*command).returncode == Code.NO_TOKEN
    assert "is not TOML" not in checkout.run(*DOCTOR).stdout
