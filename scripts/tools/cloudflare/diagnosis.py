"""Finds out what `scripts/doctor` reports. It looks at files and variables only, and needs nothing installed.

It changes nothing, and no value that may be a secret leaves this module.
"""

import json
import os
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadkeep.storage.sqlite import D1_BINDINGS
from tools.checkout import ROOT, Problem
from tools.cloudflare.secrets import may_be_secret
from tools.local import configuration as project
from tools.local.install import installed_node, node_packages, node_version, python, states
from tools.settings import Setting as DeclaredSetting
from tools.settings import declared_settings

FOR_THE_SCRIPTS = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID")
NOT_INHERITED = ("vars", "d1_databases", "durable_objects")
"""What an environment of wrangler has to say again."""

NEEDED = (".venv", "python_modules", "node_modules")
"""What the Worker cannot be run or deployed without."""


@dataclass(frozen=True)
class Part:
    """Something that is installed, or should be."""

    name: str
    state: str
    """`ready`, `stale` or `missing`."""
    version: str | None = None
    needed: str | None = None


@dataclass(frozen=True)
class BackEnd:
    """What would keep the conversations, and why; no store where there is none."""

    where: str
    store: str | None
    reason: str


@dataclass(frozen=True)
class Setting:
    """A variable that is set in one place. Its value is None where it may be a secret."""

    name: str
    place: str
    value: str | None


@dataclass
class Diagnosis:
    """Everything that was found."""

    parts: list[Part] = field(default_factory=list)
    back_ends: list[BackEnd] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def diagnose(root: Path, environment: str | None, variables: Mapping[str, str]) -> Diagnosis:
    """Looks at a checkout, at one environment of its wrangler.toml, and at this process's variables."""
    diagnosis = Diagnosis()
    _look_at_what_is_installed(root, diagnosis)
    settings = declared_settings(root)
    names = {field: setting.names for field, setting in settings.items()}
    d1_bindings = D1_BINDINGS
    places: dict[str, Mapping[str, str]] = {"the environment": variables}
    try:
        local = project.dev_vars(root)
        places = {".dev.vars": local, **places}
        whole = project.read_configuration(root)
        deployed = for_environment(whole, environment)
    except Problem as problem:
        diagnosis.wrong.append(str(problem))
        diagnosis.settings = _settings(names, places)
        return diagnosis
    diagnosis.settings = _settings(names, {"wrangler.toml": _variables(deployed), **places})
    _look_for_secrets(settings, _variables(deployed), diagnosis)
    _look_at_the_worker(root, deployed, diagnosis)
    _look_at_d1(root, deployed, d1_bindings, _database_ids(names, variables), diagnosis)
    developed = project.local_configuration(whole, root, root, project.DEFAULT_STORE, local)
    where = "deployed" if environment is None else f"deployed to {environment}"
    in_force = _as_deployed(deployed, names, d1_bindings, variables)
    _look_at_back_ends(root, {where: in_force, "scripts/dev": developed}, diagnosis)
    if environment is not None:
        _look_for_what_is_not_inherited(whole, environment, diagnosis)
    return diagnosis


def for_environment(configuration: Mapping[str, Any], environment: str | None) -> dict[str, Any]:
    """What wrangler would deploy to an environment: [env.NAME], with what it inherits."""
    if environment is None:
        return dict(configuration)
    environments = configuration.get("env", {})
    if environment not in environments:
        known = ", ".join(environments) or "none"
        raise Problem(f"wrangler.toml has no [env.{environment}]; the environments that it has: {known}")
    inherited = {key: value for key, value in configuration.items() if key not in NOT_INHERITED}
    return {**inherited, **environments[environment]}


def _as_deployed(
    configuration: Mapping[str, Any],
    names: Mapping[str, Sequence[str]],
    d1_bindings: Sequence[str],
    variables: Mapping[str, str],
) -> dict[str, Any]:
    """The configuration as `scripts/deploy` uploads it: the environment may name the store and the D1 database."""
    stores = {name: variables[name] for name in names["store"] if variables.get(name, "").strip()}
    databases = list(configuration.get("d1_databases", []))
    if _database_ids(names, variables) and not any(each["binding"] in d1_bindings for each in databases):
        databases.append({"binding": d1_bindings[0]})
    return {**configuration, "vars": {**configuration.get("vars", {}), **stores}, "d1_databases": databases}


def _look_at_what_is_installed(root: Path, diagnosis: Diagnosis) -> None:
    package = json.loads((root / "package.json").read_text())
    states_now = states(root)
    diagnosis.parts.append(Part("Python", "ready", platform.python_version(), ">=3.11"))
    node = installed_node(root)
    diagnosis.parts.append(
        Part("Node", "ready", node_version(node.program), package["engines"]["node"])
        if node
        else Part("Node", "missing", None, package["engines"]["node"])
    )
    diagnosis.parts.append(_npm_part(root, "npm", node.npm.parents[1] if node else None, None))
    for name in ("wrangler", "pyodide"):
        diagnosis.parts.append(_npm_part(root, name, node_packages(root) / name, package["dependencies"][name]))
    diagnosis.parts += [Part(name, state) for name, state in states_now.items()]
    lacking = [name for name in NEEDED if states_now[name] != "ready"]
    lacking += [part.name for part in diagnosis.parts if part.name not in states_now and part.state != "ready"]
    if lacking:
        diagnosis.wrong.append(
            f"Not installed, or not as the lock files have it: {', '.join(lacking)}. "
            "`scripts/test` installs everything; `scripts/dev` what it needs itself."
        )


def _npm_part(root: Path, name: str, folder: Path | None, needed: str | None) -> Part:
    """A package from npm, of exactly the version that is needed."""
    file = folder / "package.json" if folder else None
    if file is None or not file.is_file():
        return Part(name, "missing", None, needed)
    version = json.loads(file.read_text())["version"]
    return Part(name, "ready" if needed in (None, version) else "stale", version, needed)


def _variables(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The variables as the Worker reads them, whatever their type in wrangler.toml."""
    variables = configuration.get("vars", {})
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in variables.items()}


def _hyperdrive(configuration: Mapping[str, Any]) -> dict[str, str]:
    """A URL of Postgres that is not in the variables, but in a binding."""
    return {"HYPERDRIVE": "a binding"} if configuration.get("hyperdrive") else {}


def _settings(names: Mapping[str, Sequence[str]], places: Mapping[str, Mapping[str, str]]) -> list[Setting]:
    """What is set, and where; what may be a secret, without its value."""
    return [
        Setting(name, place, None if name in FOR_THE_SCRIPTS or may_be_secret(name, value) else value)
        for name in (*(name for aliases in names.values() for name in aliases), *FOR_THE_SCRIPTS)
        for place, variables in places.items()
        if (value := variables.get(name, "").strip())
    ]


def _look_for_secrets(
    settings: Mapping[str, DeclaredSetting], variables: Mapping[str, str], diagnosis: Diagnosis
) -> None:
    secrets = [name for setting in settings.values() if setting.privacy == "secret" for name in setting.names]
    diagnosis.wrong += [
        f"{name} is a secret, and stands in wrangler.toml, which is committed. Replace the secret, and give the "
        f"new one to `npx wrangler secret put {name}`, or for scripts/dev to .dev.vars."
        for name in (*secrets, FOR_THE_SCRIPTS[0])
        if variables.get(name, "").strip()
    ]
    known = {*FOR_THE_SCRIPTS, *(name for setting in settings.values() for name in setting.names)}
    diagnosis.notes += [
        f"{name} looks like a secret, and stands in wrangler.toml, which is committed. If it is one, replace it, and "
        f"give the new one to `npx wrangler secret put {name}`."
        for name, value in variables.items()
        if name not in known and may_be_secret(name, value)
    ]


def _look_at_the_worker(root: Path, configuration: Mapping[str, Any], diagnosis: Diagnosis) -> None:
    if not isinstance(configuration.get("main"), str) or not (root / configuration["main"]).is_file():
        diagnosis.wrong.append("wrangler.toml names no file as `main`; it is src/entry.py.")
    if "python_workers" not in configuration.get("compatibility_flags", []):
        diagnosis.wrong.append("wrangler.toml lacks python_workers among its compatibility_flags.")
    migrations = configuration.get("migrations", [])
    made = {name for migration in migrations for name in migration.get("new_sqlite_classes", [])}
    diagnosis.wrong += [
        f"wrangler.toml binds the Durable Object class {name}, and none of its migrations has it in new_sqlite_classes."
        for name in project.object_classes(configuration)
        if name not in made
    ]


def _database_ids(names: Mapping[str, Sequence[str]], variables: Mapping[str, str]) -> dict[str, str]:
    """The ids of the D1 database that this process's variables give, by name."""
    return {name: value for name in names["d1_database_id"] if (value := variables.get(name, "").strip())}


def _look_at_d1(
    root: Path,
    configuration: Mapping[str, Any],
    d1_bindings: Sequence[str],
    given: Mapping[str, str],
    diagnosis: Diagnosis,
) -> None:
    databases = configuration.get("d1_databases", [])
    for name, value in given.items():
        if not _is_id(value):
            diagnosis.wrong.append(f"{name} is {value!r}, which is not the id of a D1 database: a UUID is.")
    if len(set(given.values())) > 1:
        diagnosis.wrong.append(f"{' and '.join(given)} are names of one setting, and disagree. Set one of them.")
    try:
        project.our_database(configuration)
    except Problem as problem:
        diagnosis.wrong.append(f"{problem}.")
    for database in databases:
        binding, written = database["binding"], str(database.get("database_id", ""))
        if binding not in d1_bindings:
            diagnosis.notes.append(f"The D1 binding {binding} is not used here; {d1_bindings[0]} is.")
            continue
        if not _is_id(written) and not given:
            diagnosis.wrong.append(
                f"The D1 binding {binding} has no database_id. `scripts/setup` finds or creates the database."
            )
        diagnosis.notes += [
            f"{name} is {value}, and wrangler.toml has the database_id {written}: `scripts/deploy` takes the former."
            for name, value in given.items()
            if _is_id(written) and value != written
        ]
        if not project.migrations_folder(root, database).is_dir():
            diagnosis.wrong.append(
                f"The D1 binding {binding} has a migrations_dir that is no folder: it is migrations/sqlite."
            )
        if not configuration.get("triggers", {}).get("crons"):
            diagnosis.notes.append(
                "On D1 a cron trigger purges what was deleted, and wrangler.toml has none: nothing is purged."
            )
    if given and not any(database["binding"] in d1_bindings for database in databases):
        diagnosis.notes.append(
            f"{next(iter(given))} is set: `scripts/deploy` binds that D1 database, as {d1_bindings[0]}."
        )


def _is_id(text: str) -> bool:
    """Whether it can be the id of a D1 database: a UUID that is not all zeros."""
    try:
        return uuid.UUID(text).int != 0
    except ValueError:
        return False


def _look_at_back_ends(root: Path, configurations: Mapping[str, Mapping[str, Any]], diagnosis: Diagnosis) -> None:
    """Which back end the Worker would choose, and whether anybody could get in. The first one is that deployed."""
    questions = [
        {
            "variables": {**_variables(configuration), **_hyperdrive(configuration)},
            "bindings": [
                *(database["binding"] for database in configuration.get("d1_databases", [])),
                *(each["name"] for each in configuration.get("durable_objects", {}).get("bindings", [])),
            ],
        }
        for configuration in configurations.values()
    ]
    answers = _ask(root, questions)
    if isinstance(answers, str):
        diagnosis.back_ends = [BackEnd(where, None, "Not known.") for where in configurations]
        diagnosis.wrong.append(answers)
        return
    for where, answer in zip(configurations, answers, strict=True):
        if "error" in answer:
            diagnosis.back_ends.append(BackEnd(where, None, answer["error"]))
            diagnosis.wrong.append(f"{where}: {answer['error']}")
            continue
        diagnosis.back_ends.append(BackEnd(where, answer["store"], answer["reason"]))
        diagnosis.notes += [f"{where}: {warning}" for warning in answer["warnings"]]
        if not answer["persistence"]:
            diagnosis.notes.append(f"{where}: no conversation is kept. Set AGENT_CONVERSATION_PERSISTENCE to true.")
        if answer["secret"] is not None:
            diagnosis.notes.append(
                f"{where}: wrangler.toml does not set {answer['secret']}. A secret cannot be seen from here: "
                f"`npx wrangler secret list` has to show {answer['secret']}. "
                f"`npx wrangler secret put {answer['secret']}` sets it."
            )
        if not answer["signIn"]:
            diagnosis.notes.append(
                f"{where}: wrangler.toml sets no way to sign in. Secrets cannot be seen from here: unless "
                "`npx wrangler secret list` shows AUTH_JWT_SECRET or AUTH_SERVICE_KEYS, nobody gets in. "
                "`npx wrangler secret put AUTH_JWT_SECRET` sets one."
            )


def _ask(root: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]] | str:
    """The answers of the Worker's own code, or why there are none."""
    paths = [str(root / "src"), str(ROOT / "scripts")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    missing = ""
    for program in (str(python(root)), sys.executable):
        try:
            process = subprocess.run(
                [program, "-m", "tools.cloudflare.choice"],
                input=json.dumps(questions),
                env=environment,
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:  # there is no such Python
            continue
        if process.returncode == 0:
            answers: list[dict[str, Any]] = json.loads(process.stdout)
            return answers
        last = process.stderr.strip().rpartition("\n")[2]
        found = re.fullmatch(r"ModuleNotFoundError: No module named '(\w+)'", last)
        if not found:
            return f"The Worker's code could not be asked which back end it chooses: {last}"
        missing = missing or found[1]
    return f"Which back end is chosen cannot be said before {missing} is installed: `scripts/test` installs it."


def _look_for_what_is_not_inherited(whole: Mapping[str, Any], environment: str, diagnosis: Diagnosis) -> None:
    missing = [key for key in NOT_INHERITED if key in whole and key not in whole["env"][environment]]
    if missing:
        diagnosis.notes.append(
            f"[env.{environment}] does not inherit {' and '.join(missing)}: what it needs, it has to say itself."
        )
