"""`scripts/deploy`: what it renders from wrangler.toml and the environment, and that the real wrangler takes it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.cloudflare_api import CloudflareApi
from support.scripts import copy_checkout, run_here
from tools.checkout import ROOT, Problem
from tools.cloudflare import account
from tools.cloudflare.deploy import deploy, render
from tools.exit_codes import Code
from tools.local.install import install
from tools.local.runtime import lay_out
from tools.migrations.hashes import record_hashes

ID = "0c1b1f6e-7d7a-4b6e-9d55-0b0f4ad5e001"
OTHER_ID = "0c1b1f6e-7d7a-4b6e-9d55-0b0f4ad5e002"

WRANGLER = """\
name = "small"
main = "src/entry.py"
compatibility_date = "2026-11-01"
compatibility_flags = ["python_workers"]

[vars]
GREETING = "hello"

[env.staging.vars]
GREETING = "hi"
"""

DATABASE = f"""
[[d1_databases]]
binding = "CONVERSATIONS_D1"
database_name = "ours"
database_id = "{ID}"
migrations_dir = "sql"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project, né Müller"
    (folder / "src").mkdir(parents=True)
    (folder / "wrangler.toml").write_text(WRANGLER)
    (folder / "src/entry.py").write_text(
        "from workers import WorkerEntrypoint\n\n\nclass Default(WorkerEntrypoint): ...\n"
    )
    return folder


def append(project: Path, text: str) -> None:
    with (project / "wrangler.toml").open("a") as file:
        file.write(text)


def scripts_deploy(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Calls the script with the variables that `environment` names, and none of ours."""
    own = {"PATH": f"{ROOT / '.venv/bin'}:/usr/local/bin:/usr/bin:/bin"}
    return run_here(checkout / "scripts/deploy", *arguments, environment={**own, **environment})


SOURCES = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}


def shipped(bundle: Path) -> set[str]:
    """What of ours is in a bundle."""
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*.py")}
    return {name for name in files if not name.startswith("python_modules/")}


def bindings(output: str) -> set[str]:
    """The bindings that wrangler has printed."""
    return set(re.findall(r"^env\.(\w+)", output, re.MULTILINE))


# As it is in the checkout.


def test_with_an_id_and_a_store_and_without_any(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    bundle = checkout / ".local/deploy/bundle"
    without = scripts_deploy(checkout, "--dry-run")
    assert shipped(bundle) == sources_of("durable-object")
    ids = {"CHM_CLOUD_D1_DATABASE_ID": ID, "CONVERSATIONS_D1_DATABASE_ID": " "}  # an alias, where the name is blank
    with_both = scripts_deploy(checkout, "--dry-run", AGENT_CONVERSATION_STORE="postgres", **ids)
    assert shipped(bundle) == sources_of("durable-object", "d1", "postgres")
    assert bindings(without.stdout) == {"AGENT_CONVERSATIONS_DO", "AGENT_CONVERSATION_PERSISTENCE"}
    assert bindings(with_both.stdout) - bindings(without.stdout) == {"CONVERSATIONS_D1", "AGENT_CONVERSATION_STORE"}
    assert f"the binding CONVERSATIONS_D1 is the D1 database {ID}" in with_both.stderr
    assert "no D1 database: neither CONVERSATIONS_D1_DATABASE_ID nor" in without.stderr
    for done in (with_both, without):
        assert done.returncode == 0
        assert re.match(r"Total Upload: [0-9]{3,}\.[0-9]+ KiB / gzip: ", done.stdout)
        assert "nothing was deployed" in done.stderr
    assert (bundle / "python_modules/msgspec/__init__.py").is_file()
    assert not list(bundle.rglob("*.pyc"))


def test_what_it_builds_is_not_tracked() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".local/deploy/wrangler.json"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


OF_SERVERS = (
    "threadkeep/server/",
    "threadkeep/cli/",
    "threadkeep/client/",
    "threadkeep/adapters/",
    "threadkeep/conformance/",
    "threadkeep/asgi.py",
)
PRODUCTS = ("agentstate", "clickhouse", "memory", "postgres", "sqlite")
OF_SQLITE = ("dialect.py", "first_index.py", "js_values.py", "migrations.py")
OF_STORES = {
    "d1": {f"threadkeep/storage/sqlite/{name}" for name in ("d1.py", *OF_SQLITE)},
    "durable-object": {f"threadkeep/storage/sqlite/{name}" for name in ("durable_object.py", *OF_SQLITE)},
    "memory": {
        *(f"threadkeep/storage/memory/{name}.py" for name in ("store", "branches", "drafts")),
        *(name for name in SOURCES if name.startswith("threadkeep/storage/memory/agents/")),
    },
    "postgres": {
        f"threadkeep/storage/postgres/{name}.py"
        for name in ("connection", "dialect", "executor", "migrations", "scram", "url", "wire", "workers_socket")
    },
    "sqlite": set(),
}


def sources_of(*stores: str) -> set[str]:
    """What of `src/` a Worker has that keeps conversations in these."""
    everywhere = {name for name in SOURCES if not name.startswith(OF_SERVERS)}
    of_products = {
        name for name in everywhere if name.startswith(tuple(f"threadkeep/storage/{it}/" for it in PRODUCTS))
    }
    objects = {f"threadkeep/storage/{product}/__init__.py" for product in PRODUCTS}
    assert objects <= of_products
    return (everywhere - of_products) | objects | {name for store in stores for name in OF_STORES[store]}


@pytest.mark.parametrize(
    "stores", [*([store] for store in OF_STORES), [], ["d1", "durable-object"], ["postgres", "memory"], [*OF_STORES]]
)
def test_a_worker_has_of_a_products_folder_what_it_was_asked_for_and_the_objects(
    tmp_path: Path, stores: list[str]
) -> None:
    assert shipped(lay_out(tmp_path, [ROOT / "src"], stores)) == sources_of(*stores)


@pytest.mark.parametrize(
    ("text", "environ", "stores"),
    [
        ("", {}, set()),
        ("", {"AGENT_CONVERSATION_STORE": "d1", "CONVERSATIONS_D1_DATABASE_ID": ID}, {"d1"}),
        ("", {"CONVERSATION_STORE_BACKEND": "postgres"}, {"postgres"}),
        ('[[hyperdrive]]\nbinding = "HYPERDRIVE"\nid = "x"', {}, {"postgres"}),
        ('[env.staging]\n[[env.staging.hyperdrive]]\nbinding = "HYPERDRIVE"\nid = "x"', {}, set()),
        ("[env.other.vars]\nDATABASE_URL = 'postgres://u@h/d'", {}, set()),
        ('[[durable_objects.bindings]]\nname = "N"\nclass_name = "UserConversations"', {}, {"durable-object"}),
    ],
)
def test_a_deployment_knows_which_back_ends_it_can_use(
    project: Path, text: str, environ: dict[str, str], stores: set[str]
) -> None:
    append(project, text)
    assert render(project, None, environ).stores == stores


@pytest.mark.parametrize(
    "name",
    [
        "CONVERSATIONS_D1_DATABASE_ID",
        "AGENT_CONVERSATIONS_D1_DATABASE_ID",
        "CHM_CLOUD_D1_DATABASE_ID",
        "AGENT_CHM_CLOUD_D1_DATABASE_ID",
    ],
)
def test_every_name_of_the_id_binds_the_same(project: Path, name: str) -> None:
    assert render(project, None, {name: ID}).configuration["d1_databases"] == [
        {
            "binding": "CONVERSATIONS_D1",
            "database_name": "threadkeep",
            "database_id": ID,
            "migrations_dir": str(project / "migrations/sqlite"),
        }
    ]
    assert render(project, None, {}).configuration["d1_databases"] == []


def test_two_names_that_disagree_are_refused(project: Path) -> None:
    both = {"CONVERSATIONS_D1_DATABASE_ID": ID, "CHM_CLOUD_D1_DATABASE_ID": OTHER_ID}
    with pytest.raises(Problem, match="CONVERSATIONS_D1_DATABASE_ID and CHM_CLOUD_D1_DATABASE_ID are two names"):
        render(project, None, both)
    assert render(project, None, {**both, "CHM_CLOUD_D1_DATABASE_ID": ID}).database


def test_what_is_no_uuid_is_refused(project: Path) -> None:
    for name in ("CONVERSATIONS_D1_DATABASE_ID", "CHM_CLOUD_D1_DATABASE_ID"):
        with pytest.raises(Problem, match=f"{name} is 'threadkeep', which is no UUID"):
            render(project, None, {name: "threadkeep"})
    append(project, DATABASE.replace(ID, "<yours>"))
    with pytest.raises(Problem, match=r"database_id in wrangler.toml is '<yours>', which is no UUID"):
        render(project, None, {})


def test_the_store_d1_needs_a_database(project: Path) -> None:
    with pytest.raises(Problem, match="AGENT_CONVERSATION_STORE is d1, and there is no database"):
        render(project, None, {"AGENT_CONVERSATION_STORE": "d1"})
    deployment = render(project, None, {"CONVERSATION_STORE_BACKEND": "d1", "CONVERSATIONS_D1_DATABASE_ID": ID})
    assert deployment.configuration["vars"] == {"GREETING": "hello", "CONVERSATION_STORE_BACKEND": "d1"}
    text = (project / "wrangler.toml").read_text()
    (project / "wrangler.toml").write_text(text.replace("[vars]", '[vars]\nAGENT_CONVERSATION_STORE = "d1"'))
    with pytest.raises(Problem, match="AGENT_CONVERSATION_STORE is d1, and there is no database"):
        render(project, None, {})
    with pytest.raises(Problem, match="AGENT_CONVERSATION_STORE and CONVERSATION_STORE_BACKEND are two names"):
        render(project, None, {"CONVERSATION_STORE_BACKEND": "memory"})
    assert render(project, None, {"AGENT_CONVERSATION_STORE": "durable-object"}).database is None
    assert render(project, None, {"CHM_CLOUD_D1_DATABASE_ID": ID}).database


def test_a_setting_that_the_worker_would_refuse_is_refused(project: Path) -> None:
    with pytest.raises(Problem, match="AGENT_CONVERSATION_STORE is 'd2'; it may be one of"):
        render(project, None, {"AGENT_CONVERSATION_STORE": "d2"})


# What wrangler.toml says itself.


def test_the_id_of_wrangler_toml_holds_until_the_environment_has_another(project: Path) -> None:
    append(project, DATABASE + '[[d1_databases]]\nbinding = "OTHER"\n')
    own = render(project, None, {})
    assert own.database == {
        "binding": "CONVERSATIONS_D1",
        "database_name": "ours",
        "database_id": ID,
        "migrations_dir": str(project / "sql"),
    }
    assert [each["binding"] for each in own.configuration["d1_databases"]] == ["OTHER", "CONVERSATIONS_D1"]
    other = render(project, None, {"CONVERSATIONS_D1_DATABASE_ID": OTHER_ID})
    assert other.database == {**own.database, "database_id": OTHER_ID}
    assert other.notes == [
        f"the binding CONVERSATIONS_D1 is the D1 database {OTHER_ID}, and not {ID} as in wrangler.toml"
    ]


def test_a_binding_without_an_id_is_left_out(project: Path) -> None:
    append(project, '[[d1_databases]]\nbinding = "CHM_CLOUD_D1"\ndatabase_name = "ours"\n')
    assert render(project, None, {}).configuration["d1_databases"] == []
    database = render(project, None, {"CONVERSATIONS_D1_DATABASE_ID": ID}).database
    assert database
    assert (database["binding"], database["database_name"], database["database_id"]) == ("CHM_CLOUD_D1", "ours", ID)


def test_an_environment_has_its_own(project: Path) -> None:
    append(project, DATABASE)
    assert render(project, "staging", {}).database is None
    deployment = render(
        project, "staging", {"CONVERSATIONS_D1_DATABASE_ID": OTHER_ID, "AGENT_CONVERSATION_STORE": "d1"}
    )
    staging = deployment.configuration["env"]["staging"]
    assert [each["database_id"] for each in staging["d1_databases"]] == [OTHER_ID]
    assert staging["vars"] == {"GREETING": "hi", "AGENT_CONVERSATION_STORE": "d1"}
    assert [each["database_id"] for each in deployment.configuration["d1_databases"]] == [ID]
    assert deployment.configuration["vars"] == {"GREETING": "hello"}
    with pytest.raises(Problem, match=r"wrangler.toml has no \[env.nope\]; there are: staging"):
        render(project, "nope", {})


def test_paths_lead_where_they_did(project: Path) -> None:
    append(
        project, '[assets]\ndirectory = "public"\n[build]\ncommand = "make"\n[env.staging.assets]\ndirectory = "x"\n'
    )
    configuration = render(project, None, {}).configuration
    assert configuration["main"] == str(project / "src/entry.py")
    assert configuration["assets"] == {"directory": str(project / "public")}
    assert configuration["build"] == {"command": "make", "cwd": str(project)}
    assert configuration["env"]["staging"]["assets"] == {"directory": str(project / "x")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('d1_databases = "none"\n' + WRANGLER, "d1_databases has to be a list: begin each with"),
        (WRANGLER + DATABASE + DATABASE.replace("CONVERSATIONS_D1", "CHM_CLOUD_D1"), "binds two databases"),
        ('vars = "none"\n', "vars has to be a table"),
        ("name =", "is not TOML"),
    ],
)
def test_a_broken_wrangler_toml_is_named(project: Path, text: str, message: str) -> None:
    (project / "wrangler.toml").write_text(text)
    with pytest.raises(Problem, match=message):
        render(project, None, {})


# As a whole.


def rendered(project: Path) -> Any:
    return json.loads((project / ".local/deploy/wrangler.json").read_text())


def test_an_environment_is_bundled_as_itself(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(project, DATABASE + '[[queues.producers]]\nbinding = "LETTERS"\nqueue = "letters"\n')
    deploy(project, "staging", {"CHM_CLOUD_D1_DATABASE_ID": OTHER_ID}, dry_run=True, skip_migrate=True)
    output, progress = capsys.readouterr()
    assert bindings(output) == {"CONVERSATIONS_D1", "GREETING"}
    assert '"queues" exists at the top level, but not on "env.staging"' in progress  # as wrangler warns
    assert 'env.GREETING ("hi")' in output
    assert rendered(project)["env"]["staging"]["d1_databases"][0]["database_id"] == OTHER_ID


def test_what_may_be_a_secret_is_hidden_in_what_is_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {
        "AUTH_JWT_SECRET": "kept-from-everybody-0123456789-abcdef",
        "AUTH_SERVICE_KEYS": "0123456789abcdef" * 4,
        "DATABASE_URL": "postgres://ada@db.example/x",
        "CACHE": "redis://:hunter2@cache.example",
        "SIGNING_KEY": '-----BEGIN KEY-----\nline "two") \\ here\n-----END KEY-----',
    }
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in secrets.items())
    file = project / "wrangler.toml"
    file.write_text(
        file.read_text().replace('GREETING = "hello"\n', f'{lines}GREETING = "hello"\nKEYBOARD = "qwerty"\n')
    )
    deploy(project, None, {}, dry_run=True)
    output, progress = capsys.readouterr()
    assert bindings(output) == {*secrets, "GREETING", "KEYBOARD"}
    for name in secrets:
        assert f"env.{name} (hidden)" in output
    for shown in ("kept", "0123456789abcdef", "db.example", "hunter2", "BEGIN KEY", "two", "END KEY"):
        assert shown not in output + progress
    assert 'env.KEYBOARD ("qwerty")' in output


def test_the_migrations_are_read_first(project: Path) -> None:
    (project / "sql").mkdir()
    (project / "sql/0001_note.sql").write_text("VACUUM;\n")
    append(project, DATABASE)
    with pytest.raises(Problem, match=r"0001_note.sql has no hash"):
        deploy(project, None, {}, dry_run=True)


def test_what_cannot_be_bundled_says_why(project: Path) -> None:
    (project / "src/entry.py").unlink()
    with pytest.raises(Problem, match=r"could not bundle: The entry-point file at .*src/entry.py.* was not found"):
        deploy(project, None, {}, dry_run=True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--nope"], 2, "unrecognized arguments: --nope"),
        (["--env", "nope", "--dry-run"], 2, "error: wrangler.toml has no [env.nope]; there are: none"),
        ([], 10, "error: CLOUDFLARE_API_TOKEN is not set"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(arguments: list[str], code: int, message: str) -> None:
    done = scripts_deploy(ROOT, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]


def test_it_migrates_and_then_uploads(cloudflare_api: CloudflareApi, tmp_path: Path) -> None:
    database = cloudflare_api.add_database("letters")
    environment = {**cloudflare_api.environment, "CONVERSATIONS_D1_DATABASE_ID": database.uuid}
    folder = tmp_path / "my folder é"
    folder.mkdir()
    done = scripts_deploy(copy_checkout(folder), **environment)
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert "applied 0001_conversations.sql" in output
    assert database.rows("SELECT count(*) FROM search_index_2") == [(0,)]
    assert "https://threadkeep." in output
    script = cloudflare_api.scripts["threadkeep"]
    bound = {binding["name"]: binding for binding in script.metadata["bindings"]}
    assert bound["CONVERSATIONS_D1"] == {"name": "CONVERSATIONS_D1", "type": "d1", "id": database.uuid}
    assert script.metadata["main_module"] == "entry.py"
    assert {"threadkeep/conversations/service.py", "python_modules/msgspec/__init__.py"} <= script.modules.keys()
    assert script.crons == ["*/10 * * * *"]
    calls = [call for call in cloudflare_api.calls if call.startswith(("POST", "PUT"))]
    uploads = [number for number, call in enumerate(calls) if "/workers/scripts/threadkeep" in call]
    assert uploads
    assert uploads[0] > max(number for number, call in enumerate(calls) if call.endswith("/query"))


def test_a_migration_that_fails_keeps_the_old_code_running(
    project: Path, cloudflare_api: CloudflareApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = cloudflare_api.add_database("letters")
    database.rows("CREATE TABLE note (x)")
    environment = {**cloudflare_api.environment, "CONVERSATIONS_D1_DATABASE_ID": database.uuid}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    folder = project / "migrations/sqlite"
    folder.mkdir(parents=True)
    (folder / "0001_note.sql").write_text("CREATE TABLE letter (x);\nCREATE TABLE note (x);\n")
    record_hashes(folder)
    with pytest.raises(Problem, match=r"0001_note.sql, statement 2 .*table note already exists.*Nothing of 0001"):
        deploy(project, None, environment)
    assert cloudflare_api.scripts == {}
    assert database.rows("SELECT name FROM sqlite_schema WHERE name = 'letter'") == []
    deploy(project, None, environment, skip_migrate=True)
    assert list(cloudflare_api.scripts) == ["small"]


@pytest.mark.parametrize(
    "case",
    [
        (lambda api, _: api.rights.remove("workers"), Code.TOKEN_REFUSED, "give it the permission it lacks"),
        (lambda _, worker: worker["d1_databases"][0].update(database_id=OTHER_ID), Code.REQUEST_REFUSED, "refuses"),
        (lambda api, _: api.misbehave("html"), Code.NOT_CLOUDFLARE, "is not Cloudflare's API"),
        (lambda api, _: api.misbehave("hang"), Code.NO_ANSWER, "has not answered in 2 seconds"),
    ],
    ids=["a token without the right", "an id that the account does not have", "HTML", "an API that hangs"],
)
def test_an_upload_that_is_refused_is_told_of_in_a_line(
    cloudflare_api: CloudflareApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Callable[[CloudflareApi, Any], object], Code, str],
) -> None:
    """What deploy() calls last, without a bundle; test_scripts_bad_input.py has the script run into a 500 there."""
    prepare, code, message = case
    for name, value in cloudflare_api.environment.items():
        monkeypatch.setenv(name, value)
    databases = [{"binding": "D1", "database_name": "l", "database_id": cloudflare_api.add_database("l").uuid}]
    worker = {"name": "small", "main": "main.mjs", "no_bundle": True, "compatibility_date": "2026-11-01"}
    worker["d1_databases"] = databases
    prepare(cloudflare_api, worker)
    (tmp_path / "main.mjs").write_text("export default {};")
    (tmp_path / "wrangler.json").write_text(json.dumps(worker))
    command: list[str | Path] = ["deploy", "--config", tmp_path / "wrangler.json", "--env="]
    patience = 2 if code == Code.NO_ANSWER else 60
    with pytest.raises(Problem) as raised:
        account.call(install(), command, folder=tmp_path, failed="could not deploy", patience_seconds=patience)
    assert (raised.value.code, message in str(raised.value)) == (code, True), str(raised.value)
    assert "\n" not in str(raised.value)
    assert cloudflare_api.scripts == {}
