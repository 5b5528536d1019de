"""`scripts/setup` as people and programs call it, with the real wrangler, on a fake of Cloudflare's API."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.cloudflare_api import ACCOUNT, CloudflareApi
from support.scripts import run_here
from tools.checkout import ROOT, Problem
from tools.cloudflare import account
from tools.cloudflare.account import Account
from tools.exit_codes import Code
from tools.local.install import install

OTHER_ID = "99999999-2222-4333-8444-555555555555"
WRANGLER = '# Ours.\nname = "small" # b\n\n[vars]\nX = "1"\n\n[env.staging]\nname = "staged"\n'
BOUND = f'[[d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_id = "{OTHER_ID}"\nmigrations_dir = "m"\n'


class Setup:
    """Runs the script on a wrangler.toml in a folder, against the fake."""

    def __init__(self, folder: Path, api: CloudflareApi) -> None:
        self.file = folder / "wrangler.toml"
        self.file.write_text(WRANGLER)
        own = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE")}
        home = str(folder / "home")  # nobody is logged in there
        self.environment = {**own, **api.environment, "HOME": home, "XDG_CONFIG_HOME": home}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_here(ROOT / "scripts/setup", f"--config={self.file}", *arguments, environment=self.environment)

    def fails(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and the one line of the error."""
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        assert done.stdout == ""
        (error,) = [line for line in done.stderr.splitlines() if not line.endswith("…")]
        return done.returncode, error

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def bindings(self) -> Any:
        return tomllib.loads(self.file.read_text()).get("d1_databases")


@pytest.fixture
def setup(tmp_path: Path, cloudflare_api: CloudflareApi) -> Setup:
    return Setup(tmp_path, cloudflare_api)


def creations(api: CloudflareApi) -> int:
    return api.calls.count("POST /d1/database")


def test_it_creates_the_database_binds_it_and_does_neither_twice(setup: Setup, cloudflare_api: CloudflareApi) -> None:
    output = setup("--location=weur", "--jurisdiction=eu")
    database = cloudflare_api.database("threadkeep")
    assert (database.location, database.jurisdiction) == ("weur", "eu")
    assert setup.bindings == [
        {
            "binding": "CONVERSATIONS_D1",
            "database_name": "threadkeep",
            "database_id": database.uuid,
            "migrations_dir": os.path.relpath(ROOT / "migrations/sqlite", setup.file.parent),
        }
    ]
    assert setup.file.read_text().startswith(WRANGLER)
    assert f"created: the D1 database threadkeep ({database.uuid})" in output
    assert "next: scripts/migrate --remote, then scripts/deploy" in output
    assert f"for this database, set CONVERSATIONS_D1_DATABASE_ID={database.uuid}" in output  # it is not ROOT's file
    before = setup.file.read_bytes(), setup.file.stat().st_ino, setup.file.stat().st_mtime_ns
    again = setup("--jurisdiction=fedramp")
    assert "stays as it is" in again
    assert "it stays where it was created" in again
    assert (setup.file.read_bytes(), setup.file.stat().st_ino, setup.file.stat().st_mtime_ns) == before
    assert creations(cloudflare_api) == 1


def test_it_finds_a_database_among_many_and_binds_it_in_an_environment(
    setup: Setup, cloudflare_api: CloudflareApi
) -> None:
    setup.environment["CLOUDFLARE_ENV"] = "other"  # which the flag wins over
    setup.file.write_text(f'account_id = "{ACCOUNT}"\n{WRANGLER}')
    for number in range(12):
        cloudflare_api.add_database(f"database-{number}")
    output = setup("--name=database-11", "--env=staging")
    database_id = cloudflare_api.database("database-11").uuid
    assert f"found: the D1 database database-11 ({database_id})" in output
    assert "scripts/migrate --remote --env staging, then scripts/deploy --env staging" in output
    assert setup.bindings is None
    (binding,) = tomllib.loads(setup.file.read_text())["env"]["staging"]["d1_databases"]
    assert binding["database_id"] == database_id
    assert creations(cloudflare_api) == 0
    assert "GET /accounts" not in cloudflare_api.calls  # the file names it


@pytest.mark.parametrize("there", [True, False])
def test_another_database_is_replaced_only_by_force(setup: Setup, cloudflare_api: CloudflareApi, there: bool) -> None:
    setup.file.write_text(BOUND)
    named = cloudflare_api.add_database("threadkeep").uuid if there else "the account has no threadkeep"
    code, error = setup.fails(*([] if there else ["--dry-run"]))  # which refuses what a run refuses
    assert code == Code.OTHER_DATABASE
    assert OTHER_ID in error
    assert named in error
    assert "--force" in error
    assert setup.file.read_text() == BOUND
    assert creations(cloudflare_api) == 0
    setup("--force")
    (binding,) = setup.bindings
    assert binding["database_id"] == cloudflare_api.database("threadkeep").uuid
    assert binding["migrations_dir"] == "m"


@pytest.mark.parametrize("there", [True, False])
def test_a_dry_run_shows_what_a_run_would_change_and_changes_nothing(
    setup: Setup, cloudflare_api: CloudflareApi, there: bool
) -> None:
    if there:
        cloudflare_api.add_database("threadkeep")
    setup.file.chmod(0o400)
    output = setup("--dry-run")
    assert setup.file.read_text() == WRANGLER
    assert creations(cloudflare_api) == 0
    setup.file.chmod(0o600)
    setup()
    added = setup.file.read_text().removeprefix(WRANGLER).splitlines()
    shown = [line[1:] for line in output.splitlines() if line.startswith("+")][1:]
    database_id = cloudflare_api.database("threadkeep").uuid
    assert [line.replace("THE-ID-OF-THE-NEW-DATABASE", database_id) for line in shown] == added
    assert (database_id in output) == there
    assert not there or "would stay as it is" in setup("--dry-run")


Prepare = Callable[[Setup, CloudflareApi], object]

# What is wrong, what the script is called with, and what it says.
FAILURES: dict[str, tuple[Prepare, list[str], Code, str]] = {
    "no account": (lambda _, api: api.account_ids.clear(), [], Code.NO_ACCOUNT, "set CLOUDFLARE_ACCOUNT_ID"),
    "500 at the creation": (
        lambda _, api: api.misbehave("500", on="POST"),
        [],
        Code.CLOUDFLARE_FAILED,
        "unknown error has occurred (error 10013)",
    ),
    "a folder": (
        lambda setup, _: None,
        ["--config=/"],
        Code.CONFIGURATION_BROKEN,
        "/ cannot be read: Is a directory",
    ),
    "no file": (lambda *_: None, ["--config=/nowhere.toml"], Code.CONFIGURATION_MISSING, "there is no /nowhere.toml"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_goes_wrong_is_said_in_a_line_and_changes_nothing(
    setup: Setup, cloudflare_api: CloudflareApi, failure: tuple[Prepare, list[str], Code, str]
) -> None:
    prepare, arguments, code, message = failure
    prepare(setup, cloudflare_api)
    before = setup.file.read_bytes(), list(cloudflare_api.databases)
    exit_code, error = setup.fails(*arguments)
    assert message in error
    assert exit_code == code
    assert (setup.file.read_bytes(), list(cloudflare_api.databases)) == before
    assert sorted(path.name for path in setup.file.parent.iterdir() if path.name != "home") == ["wrangler.toml"]


@pytest.mark.parametrize(
    ("prepare", "name", "message"),
    [
        (lambda api: api.unlisted.add(api.add_database("threadkeep").name), "threadkeep", "is taken (error 7502)"),
        (lambda api: None, "no good", "(error 7400)"),
        (lambda api: setattr(api, "most_databases", 0), "threadkeep", "(error 7406)"),
    ],
    ids=["a name that is taken", "a name that cannot be", "as many databases as may be"],
)
def test_a_creation_that_is_refused_is_told_of_in_a_line(
    cloudflare_api: CloudflareApi,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[CloudflareApi], object],
    name: str,
    message: str,
) -> None:
    """Without the script, which passes it on as it does the 500 above."""
    prepare(cloudflare_api)
    before = list(cloudflare_api.databases)
    for variable, value in cloudflare_api.environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(Problem) as raised:
        Account(install(), {}).create_database(name, location=None, jurisdiction=None)
    assert raised.value.code == Code.REQUEST_REFUSED
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(cloudflare_api.databases) == before


@pytest.mark.parametrize("arguments", [["--colour=red"], ["--location=moon"], ["--jurisdiction=moon"], ["threadkeep"]])
def test_flags_and_values_that_there_are_not_are_refused(
    setup: Setup, cloudflare_api: CloudflareApi, arguments: list[str]
) -> None:
    done = setup.run(*arguments)
    assert done.returncode == Code.WRONG_VALUE
    assert arguments[0].partition("=")[0] in done.stderr
    assert cloudflare_api.calls == []


def test_its_locations_are_those_of_wrangler() -> None:
    wrangler = ROOT / "node_modules/wrangler/wrangler-dist/cli.js"
    source = wrangler.read_text()
    for name, values in (("LOCATION", account.LOCATIONS), ("JURISDICTION", account.JURISDICTIONS)):
        assert f"    {name}_CHOICES = {json.dumps(values)};" in source
