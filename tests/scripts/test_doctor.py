"""scripts/doctor: what it finds on checkouts of every kind, and that it shows no secret and changes nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from threadkeep.settings import DECLARED, NAMES
from tools.checkout import ROOT
from tools.cloudflare import choice, diagnosis
from tools.cloudflare.diagnosis import Diagnosis, diagnose, for_environment
from tools.cloudflare.secrets import looks_secret
from tools.settings import Setting, declared_settings

DATABASE_ID = "2fd1c8a0-51b4-4b07-a3ab-8d0fd1b5c0f2"
SECRET = "kept-from-everybody-0123456789-abcdef"
SECRETS = {
    "AUTH_JWT_SECRET": SECRET,
    "AUTH_SERVICE_KEYS": "0123456789abcdef" * 4,
    "AGENTSTATE_API_KEY": "as_live_0123456789",
    "DATABASE_URL": f"postgres://ada:{SECRET}@db.example/x",
    "CLOUDFLARE_API_TOKEN": "token-0123456789-of-cloudflare",
}
D1 = f"""
[[d1_databases]]
binding = "CONVERSATIONS_D1"
database_name = "threadkeep"
database_id = "{DATABASE_ID}"
migrations_dir = "migrations/sqlite"
"""
VARS = '[vars]\nAGENT_CONVERSATION_PERSISTENCE = "true"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone holds of ours, with nothing installed."""
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("scripts", "src", "requirements", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    for name in ("wrangler.toml", "package.json", "package-lock.json", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def installed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where nothing is amiss with what is installed: only the configuration counts."""
    monkeypatch.setattr(diagnosis, "_look_at_what_is_installed", lambda *_: None)
    return checkout


def change(checkout: Path, old: str, new: str) -> None:
    file = checkout / "wrangler.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def add(checkout: Path, text: str) -> None:
    with (checkout / "wrangler.toml").open("a") as file:
        file.write(text)


def stores(found: Diagnosis) -> dict[str, str | None]:
    return {back_end.where: back_end.store for back_end in found.back_ends}


def run(checkout: Path, *arguments: str, python: str = sys.executable, **variables: str) -> Any:
    known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    command = [python, checkout / "scripts/doctor", *arguments]
    return subprocess.run(
        command, env={**known, **variables}, check=False, capture_output=True, text=True, timeout=60, cwd="/"
    )


def without_msgspec() -> str:
    """The Python that our virtual environment was made from."""
    return str(Path(os.path.realpath(sys.executable)))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_where_nothing_is_installed_it_says_what_to_do_and_changes_nothing(checkout: Path) -> None:
    before = contents(checkout)
    finished = run(checkout, python=without_msgspec())
    assert finished.returncode == 1, finished.stderr
    assert re.search(r"missing +wrangler \(needed: [0-9.]+\)", finished.stdout)
    assert re.search(r"missing +\.venv", finished.stdout)
    assert "Not installed, or not as the lock files have it: .venv, python_modules, node_modules" in finished.stdout
    assert "`scripts/test` installs everything" in finished.stdout
    assert "AGENT_CONVERSATION_PERSISTENCE = 'true', in wrangler.toml" in finished.stdout
    assert finished.stderr == ""
    assert contents(checkout) == before


def test_it_answers_on_this_checkout_in_json_too() -> None:
    found = json.loads(run(ROOT, "--json").stdout)
    assert {part["name"] for part in found["parts"]} >= {"Python", "Node", "npm", "wrangler", "pyodide", ".venv"}
    assert found["back_ends"][0]["where"] == "deployed"
    assert found["back_ends"][0]["store"] in ("durable-object", "d1")


def test_as_it_is_committed_nothing_is_wrong_and_each_user_gets_a_durable_object(installed: Path) -> None:
    found = diagnose(installed, None, {})
    assert found.wrong == []
    assert stores(found) == {"deployed": "durable-object", "scripts/dev": "durable-object"}
    assert found.back_ends[0].reason == "It is the first of those that are set up."
    assert len(found.notes) == 1
    assert found.notes[0].startswith("deployed: wrangler.toml sets no way to sign in.")


@pytest.mark.parametrize("name", ["python_modules", "node_modules"])
def test_what_was_made_from_other_lock_files_is_out_of_date(checkout: Path, name: str) -> None:
    (checkout / name).mkdir()
    (checkout / name / ".installed").write_text("made from something else")
    found = diagnose(checkout, None, {})
    assert [part.state for part in found.parts if part.name == name] == ["stale"]
    assert name in found.wrong[0]


def test_a_wrangler_of_another_version_is_out_of_date(checkout: Path) -> None:
    (checkout / "node_modules/wrangler").mkdir(parents=True)
    (checkout / "node_modules/wrangler/package.json").write_text('{"version": "3.0.0"}')
    (part,) = [part for part in diagnose(checkout, None, {}).parts if part.name == "wrangler"]
    assert (part.state, part.version) == ("stale", "3.0.0")


def test_with_a_database_d1_is_chosen(installed: Path) -> None:
    add(installed, D1)
    found = diagnose(installed, None, {})
    assert found.wrong == []
    assert stores(found) == {"deployed": "d1", "scripts/dev": "durable-object"}


@pytest.mark.parametrize("written", ["", "00000000-0000-0000-0000-000000000000", "<your id>"])
def test_a_database_without_an_id_is_wrong_unless_the_environment_has_it(installed: Path, written: str) -> None:
    add(installed, D1.replace(DATABASE_ID, written))
    assert "no database_id. `scripts/setup`" in diagnose(installed, None, {}).wrong[0]
    assert diagnose(installed, None, {"CHM_CLOUD_D1_DATABASE_ID": DATABASE_ID}).wrong == []


def test_ids_that_disagree_are_told(installed: Path) -> None:
    other = DATABASE_ID.replace("2", "3")
    add(installed, D1)
    found = diagnose(installed, None, {"CONVERSATIONS_D1_DATABASE_ID": other})
    assert any(f"is {other}, and wrangler.toml has the database_id {DATABASE_ID}" in note for note in found.notes)
    both = {"CONVERSATIONS_D1_DATABASE_ID": other, "CHM_CLOUD_D1_DATABASE_ID": DATABASE_ID}
    assert (
        "CONVERSATIONS_D1_DATABASE_ID and CHM_CLOUD_D1_DATABASE_ID are names of one"
        in diagnose(installed, None, both).wrong[0]
    )
    assert "not the id of a D1 database" in diagnose(installed, None, {"CONVERSATIONS_D1_DATABASE_ID": "x"}).wrong[0]


def test_an_id_in_the_environment_brings_its_binding(installed: Path) -> None:
    found = diagnose(installed, None, {"CONVERSATIONS_D1_DATABASE_ID": DATABASE_ID})
    assert stores(found)["deployed"] == "d1"
    assert any("`scripts/deploy` binds that D1 database, as CONVERSATIONS_D1." in note for note in found.notes)


def test_the_environment_may_name_the_store(installed: Path) -> None:
    asked = {"CONVERSATIONS_D1_DATABASE_ID": DATABASE_ID, "AGENT_CONVERSATION_STORE": "durable-object"}
    assert stores(diagnose(installed, None, asked))["deployed"] == "durable-object"


def test_migrations_that_wrangler_would_not_find_are_wrong(installed: Path) -> None:
    add(installed, D1.replace("migrations/sqlite", "migrations/d1"))
    assert "has a migrations_dir that is no folder" in diagnose(installed, None, {}).wrong[0]


def test_a_database_under_another_name_is_not_used(installed: Path) -> None:
    add(installed, D1.replace("CONVERSATIONS_D1", "DB"))
    found = diagnose(installed, None, {})
    assert stores(found)["deployed"] == "durable-object"
    assert "The D1 binding DB is not used here; CONVERSATIONS_D1 is." in found.notes


def test_two_databases_are_one_too_many(installed: Path) -> None:
    add(installed, D1 + D1.replace("CONVERSATIONS_D1", "CHM_CLOUD_D1"))
    assert "binds two databases, CONVERSATIONS_D1 and CHM_CLOUD_D1" in diagnose(installed, None, {}).wrong[0]


def test_migrations_are_where_they_are_by_default(installed: Path) -> None:
    add(installed, D1.replace('migrations_dir = "migrations/sqlite"\n', ""))
    assert diagnose(installed, None, {}).wrong == []


def test_d1_without_a_cron_trigger_purges_nothing(installed: Path) -> None:
    add(installed, D1)
    change(installed, 'crons = ["*/10 * * * *"]', "")
    assert any("nothing is purged" in note for note in diagnose(installed, None, {}).notes)


def test_an_environment_stands_for_itself(installed: Path) -> None:
    add(installed, '[env.staging.vars]\nENVIRONMENT = "test"\n[env.other]\n')
    bare = diagnose(installed, "other", {})
    assert stores(bare) == {"deployed to other": "local", "scripts/dev": "durable-object"}
    assert any("no conversation is kept" in note for note in bare.notes)
    assert any("[env.other] does not inherit vars and durable_objects" in note for note in bare.notes)
    change(
        installed,
        '[env.staging.vars]\nENVIRONMENT = "test"',
        f'{VARS}ENVIRONMENT = "test"'.replace("vars", "env.staging.vars"),
    )
    assert stores(diagnose(installed, "staging", {}))["deployed to staging"] == "memory"
    assert diagnose(installed, "missing", {}).wrong == [
        "wrangler.toml has no [env.missing]; the environments that it has: staging, other"
    ]


def test_the_environment_in_the_guide_is_complete(installed: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    add(installed, example)
    found = diagnose(installed, "staging", {})
    assert stores(found)["deployed to staging"] == "durable-object"
    assert found.wrong == []
    assert len(found.notes) == 1  # that no way to sign in can be seen


def test_the_environment_that_would_be_deployed_is_looked_at(checkout: Path) -> None:
    add(checkout, "[env.staging]\n")
    for finished in (run(checkout, "--env", "staging"), run(checkout, CLOUDFLARE_ENV="staging")):
        assert "deployed to staging: local." in finished.stdout
    assert "deployed: durable-object." in run(checkout, CLOUDFLARE_ENV="").stdout


def test_an_environment_inherits_what_wrangler_lets_it_inherit() -> None:
    whole = {"main": "a", "vars": {"A": "1"}, "env": {"x": {"name": "b"}}}
    assert for_environment(whole, "x") == {"main": "a", "env": whole["env"], "name": "b"}


def test_no_back_end_in_production_is_wrong(installed: Path) -> None:
    change(installed, 'name = "AGENT_CONVERSATIONS_DO"', 'name = "OBJECTS"')
    found = diagnose(installed, None, {})
    assert stores(found)["deployed"] is None
    assert "deployed: No back end is set up" in found.wrong[0]


def test_a_back_end_that_cannot_run_there_is_wrong(installed: Path) -> None:
    change(installed, VARS, VARS + 'AGENT_CONVERSATION_STORE = "sqlite"\nSQLITE_PATH = "x"\n')
    assert "deployed: The back end sqlite cannot run here." in diagnose(installed, None, {}).wrong[0]


def test_names_that_disagree_are_wrong_and_deprecated_ones_are_told(installed: Path) -> None:
    deprecated = "NEXT_PUBLIC_FEATURE_CONVERSATION_DB"
    change(installed, VARS, VARS + f"{deprecated} = true\n")
    found = diagnose(installed, None, {})
    assert any(f"deployed: {deprecated} is deprecated" in note for note in found.notes)
    assert found.wrong == []
    change(installed, f"{deprecated} = true", f"{deprecated} = false")
    assert "are two names of one setting and disagree" in diagnose(installed, None, {}).wrong[0]


def test_what_is_local_counts_for_scripts_dev_only(installed: Path) -> None:
    (installed / ".dev.vars").write_text("RETENTION_DAYS=forever\n")
    found = diagnose(installed, None, {})
    assert stores(found) == {"deployed": "durable-object", "scripts/dev": None}
    assert found.wrong == ["scripts/dev: RETENTION_DAYS is 'forever'; it may be a whole number from 1 to 36500."]
    assert diagnosis.Setting("RETENTION_DAYS", ".dev.vars", "forever") in found.settings
    (installed / ".dev.vars").write_bytes(b"RETENTION_DAYS=\xff")
    assert diagnose(installed, None, {}).wrong == [f"{installed}/.dev.vars is not text in UTF-8"]


def test_a_way_to_sign_in_ends_the_doubt(installed: Path) -> None:
    change(installed, VARS, VARS + f'AUTH_SERVICE_KEYS = "{SECRETS["AUTH_SERVICE_KEYS"]}"\n')
    found = diagnose(installed, None, {})
    assert found.notes == found.wrong == []


def test_postgres_is_found_as_a_binding_and_its_url_as_a_secret_is_believed(installed: Path) -> None:
    change(installed, VARS, VARS + 'AGENT_CONVERSATION_STORE = "postgres"\n')
    found = diagnose(installed, None, {})
    assert (stores(found)["deployed"], found.wrong) == ("postgres", [])
    assert any("has to show DATABASE_URL" in note for note in found.notes)
    add(installed, '[[hyperdrive]]\nbinding = "HYPERDRIVE"\nid = "x"\n')
    found = diagnose(installed, None, {})
    assert (stores(found)["deployed"], found.wrong) == ("postgres", [])
    assert not any("DATABASE_URL" in note for note in found.notes)


def test_a_url_of_postgres_in_wrangler_toml_is_wrong_and_nothing_is_assumed_beside_it(installed: Path) -> None:
    lines = 'AGENT_CONVERSATION_STORE = "postgres"\nPOSTGRES_URL = "postgres://u:p@h/d"\n'
    change(installed, VARS, VARS + lines)
    found = diagnose(installed, None, {})
    assert stores(found)["deployed"] == "postgres"
    assert [line.split()[0] for line in found.wrong] == ["POSTGRES_URL"]


def test_secrets_in_wrangler_toml_are_wrong(installed: Path) -> None:
    lines = "".join(f'{name} = "{value}"\n' for name, value in SECRETS.items())
    change(installed, VARS, VARS + lines)
    wrong = [line.split()[0] for line in diagnose(installed, None, {}).wrong if "is committed" in line]
    assert sorted(wrong) == ["AGENTSTATE_API_KEY", "AUTH_JWT_SECRET", "CLOUDFLARE_API_TOKEN", "DATABASE_URL"]


def test_what_looks_like_a_secret_and_stands_where_it_is_committed_is_told(installed: Path) -> None:
    change(installed, VARS, VARS + 'MAIL_PASSWORD = "a"\nCACHE = "redis://:hunter2@cache"\nKEYBOARD = "b"\n')
    found = diagnose(installed, None, {})
    told = [note.partition(" looks like a secret")[0] for note in found.notes if "looks like a secret" in note]
    assert told == ["MAIL_PASSWORD", "CACHE"]
    assert not any("hunter2" in note for note in found.notes)


@pytest.mark.parametrize("setting", NAMES)
def test_a_setting_with_the_name_of_a_secret_is_not_public(setting: str) -> None:
    if any(looks_secret(name) for name in NAMES[setting]):
        assert DECLARED[setting].privacy != "public", f"{setting} is public, and called like a secret."


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_no_secret_is_shown_wherever_it_stands(checkout: Path, arguments: tuple[str, ...]) -> None:
    everything = {**SECRETS, **dict.fromkeys(NAMES["database_url"], SECRETS["DATABASE_URL"])}
    change(checkout, VARS, VARS + "".join(f'{name} = "{value}"\n' for name, value in everything.items()))
    (checkout / ".dev.vars").write_text("".join(f"{name}={value} wrong\n" for name, value in everything.items()))
    finished = run(checkout, *arguments, **everything)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert not [value for value in (SECRET, *everything.values()) if value in finished.stdout + finished.stderr]
    for name in everything:
        assert name in finished.stdout


@pytest.mark.parametrize("setting", NAMES)
def test_a_setting_is_told_under_each_of_its_names_and_shown_unless_it_is_private(setting: str) -> None:
    value = "set" if DECLARED[setting].privacy == "public" else None
    for name in NAMES[setting]:
        assert diagnosis._settings(NAMES, {"here": {name: "set"}}) == [diagnosis.Setting(name, "here", value)]


def test_a_url_with_a_password_is_not_shown_wherever_it_stands() -> None:
    found = diagnosis._settings(NAMES, {"here": {"SQLITE_PATH": f"file://ada:{SECRET}@host/x"}})
    assert found == [diagnosis.Setting("SQLITE_PATH", "here", None)]


@pytest.mark.parametrize("store", NAMES["store"])
@pytest.mark.parametrize("url", NAMES["database_url"])
def test_postgres_is_asked_for_and_found_under_each_of_its_names(store: str, url: str) -> None:
    on = {"AGENT_CONVERSATION_PERSISTENCE": "true", store: "postgres"}
    believed = choice.answer(on, [])
    assert (believed["store"], believed["secret"]) == ("postgres", "DATABASE_URL")
    seen = choice.answer({**on, url: "postgres://u:p@h/d"}, [])
    assert (seen["store"], seen["secret"]) == ("postgres", None)


def test_what_no_secret_can_mend_is_told() -> None:
    for store, says in (
        ("sqlite", "SQLITE_PATH is not set"),
        ("d1", "there is no D1 binding"),
        ("memory", "production"),
    ):
        answer = choice.answer({"AGENT_CONVERSATION_PERSISTENCE": "true", "AGENT_CONVERSATION_STORE": store}, [])
        assert says in answer["error"]


BROKEN = {
    "vars = 1": "vars has to be a table",
    "[vars": "is not TOML",
    "d1_databases = [1]": "d1_databases[0] has to be a table",
    "[durable_objects]\nbindings = [{}]": "durable_objects.bindings[0] has no name",
    "env = []": "env has to hold tables",
    "[env.x]\nvars = 1": "env.x.vars has to be a table",
    "migrations = 1": "migrations has to be a list: begin each with [[migrations]]",
    '[[d1_databases]]\nbinding = "D"\nmigrations_dir = 1': "d1_databases[0].migrations_dir has to be a text, in quotes",
    "[[d1_databases]]": "d1_databases[0] has no binding",
    "main = 5": "main has to be a text, in quotes",
    'main = "/etc/passwd"': "main has to be a file in src/, such as src/entry.py",
    'main = "src/../wrangler.toml"': "main has to be a file in src/",
    'main = "wrangler.toml"': "main has to be a file in src/",
    '[env.x]\nmain = "../x.py"': "env.x.main has to be a file in src/",
    "[env.x.env.y]": "env.x.env: an environment has none of its own",
    "compatibility_date = 2026-11-01": "compatibility_date is a date or a time: put it in quotes",
    "[vars]\nA = 2026-11-01T10:00:00Z": "vars.A is a date or a time: put it in quotes",
    "[vars]\nA = [1, 10:00:00]": "vars.A[1] is a date or a time: put it in quotes",
    "[vars]\nA = nan": "vars.A is nan, which is no number",
    '[vars]\nA = "\\u0000"': "vars.A has a NUL in it",
    "a = " + "[" * 5_000 + "]" * 5_000: "it is nested without end",
    "a = " + "[" * 30 + "]" * 30: "is nested more than 20 levels deep",
    "a" + ".a" * 5_000 + " = 1": "is nested more than 20 levels deep",
    "[triggers]\ncrons = 5": "triggers.crons has to be a list",
    "[assets]": "assets has no directory",
}


@pytest.mark.parametrize(("text", "message"), BROKEN.items())
def test_a_broken_wrangler_toml_is_told_in_a_line(installed: Path, text: str, message: str) -> None:
    (installed / "wrangler.toml").write_text(text)
    (line,) = diagnose(installed, None, {"AUTH_JWT_SECRET": SECRET}).wrong
    assert message in line
    assert "\n" not in line


def test_a_missing_wrangler_toml_is_told_in_a_line(checkout: Path) -> None:
    (checkout / "wrangler.toml").unlink()
    finished = run(checkout)
    assert finished.returncode == 1
    assert f"there is no {checkout}/wrangler.toml: `git checkout wrangler.toml` brings it back" in finished.stdout
    assert finished.stderr == ""


def test_what_a_deployment_would_refuse_is_wrong(installed: Path) -> None:
    (installed / "wrangler.toml").write_text(
        '[[durable_objects.bindings]]\nname = "AGENT_CONVERSATIONS_DO"\nclass_name = "UserConversations"\n'
    )
    wrong = "\n".join(diagnose(installed, None, {}).wrong)
    assert "names no file as `main`" in wrong
    assert "lacks python_workers" in wrong
    assert "the Durable Object class UserConversations" in wrong


def test_code_that_cannot_be_asked_is_told(installed: Path) -> None:
    (installed / "src/threadkeep/storage/backends.py").write_text("nonsense(")
    found = diagnose(installed, None, {})
    assert "could not be asked which back end it chooses: SyntaxError" in found.wrong[0]
    assert stores(found) == {"deployed": None, "scripts/dev": None}


def test_without_msgspec_the_rest_is_told(installed: Path) -> None:
    (installed / "src/msgspec.py").write_text("raise ModuleNotFoundError(\"No module named 'msgspec'\")")
    found = diagnose(installed, None, {})
    assert found.wrong == [
        "Which back end is chosen cannot be said before msgspec is installed: `scripts/test` installs it."
    ]
    assert [setting.name for setting in found.settings] == ["AGENT_CONVERSATION_PERSISTENCE"]


def test_the_names_of_the_settings_are_those_of_the_worker() -> None:
    assert declared_settings() == {
        field: Setting(setting.names, setting.privacy) for field, setting in DECLARED.items()
    }
    assert diagnosis._variables(tomllib.loads("[vars]\na = true\nb = 3")) == {"a": "true", "b": "3"}
