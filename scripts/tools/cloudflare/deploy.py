"""Deploys the Worker: wrangler.toml with what the environment adds to it, the migrations, and the upload.

It needs threadkeep itself, whose settings it reads, and so a script that went on in the checkout's environment.
"""

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from threadkeep.errors import Unavailable
from threadkeep.settings import HYPERDRIVE_BINDING, NAMES, Settings
from threadkeep.storage.backends import AUTO, built_for, named
from threadkeep.storage.sqlite import D1, D1_BINDINGS
from tools.checkout import Problem, local_folder, locked, remove, say
from tools.cloudflare import account, wrangler
from tools.cloudflare.secrets import may_be_secret
from tools.d1.migrate import Target, check, migrate, remote_target
from tools.exit_codes import Code
from tools.local.configuration import LOCAL_DATABASE, migrations_folder, our_database, read_configuration
from tools.local.install import install
from tools.local.runtime import lay_out

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Deployment:
    """What is to be deployed: wrangler's configuration, with absolute paths, and the D1 database in it."""

    configuration: dict[str, Any]
    database: dict[str, Any] | None
    account_id: str | None
    notes: list[str]
    """What the person should know about how it came to be."""
    stores: set[str]
    """The back ends that the Worker can use, and so is shipped with."""
    secrets: list[str]
    """The variables that nobody is to see, although they stand in wrangler.toml."""


def render(project: Path, env: str | None, environ: Mapping[str, str]) -> Deployment:
    """What wrangler.toml and the environment say together; the environment wins.

    The environment may name the D1 database and the store. A setting that the Worker would refuse is a Problem here.
    """
    configuration = _with_absolute_paths(read_configuration(project), project)
    section = _section(configuration, env)
    added = {
        name: environ[name]
        for name in (*NAMES["d1_database_id"], *NAMES["store"])
        if name in environ and environ[name].strip()
    }
    variables = {**section.get("vars", {}), **added}
    try:
        settings = Settings.read(lambda name: None if name not in variables else str(variables[name]))
    except Unavailable as error:
        raise Problem(str(error)) from None
    notes: list[str] = []
    name = next((name for name in NAMES["d1_database_id"] if variables.get(name)), "database_id in wrangler.toml")
    database = _database(section, settings.d1_database_id, name, project, notes)
    asked_for = None if settings.store == AUTO else named(settings.store)
    if isinstance(asked_for, D1) and database is None:
        raise Problem(
            f"{NAMES['store'][0]} is {settings.store}, and there is no database: set {NAMES['d1_database_id'][0]}, "
            "or put its database_id in wrangler.toml"
        )
    others = [each for each in section.get("d1_databases", []) if each["binding"] not in D1_BINDINGS]
    section["d1_databases"] = [*others, *([database] if database else [])]
    chosen = {name: value for name, value in added.items() if name in NAMES["store"]}
    if chosen:
        section["vars"] = {**section.get("vars", {}), **chosen}
    account_id = section.get("account_id") or configuration.get("account_id")
    stores = _usable(section, settings)
    if asked_for is not None:
        stores.add(asked_for.name)
    secrets = [name for name, value in section.get("vars", {}).items() if may_be_secret(name, value)]
    return Deployment(configuration, database, account_id, notes, stores, secrets)


def _usable(section: Mapping[str, Any], settings: Settings) -> set[str]:
    """The back ends that are set up in the part of the configuration that is deployed, whichever is chosen."""
    if section.get("hyperdrive"):  # whatever its URL is
        settings = replace(settings, database_url=HYPERDRIVE_BINDING)
    bindings = {each["binding"] for each in section.get("d1_databases", [])}
    if section.get("durable_objects", {}).get("bindings"):  # under whatever name: objects wake up by their own alarms
        bindings.add(settings.durable_object_binding)
    usable = [backend for backend in built_for("worker") if backend.missing(settings, bindings) is None]
    return {backend.name for backend in usable if backend.keeps_conversations}


def _section(configuration: dict[str, Any], env: str | None) -> dict[str, Any]:
    """The part of the configuration that is deployed."""
    if not env:
        return configuration
    environments: dict[str, dict[str, Any]] = configuration.get("env", {})
    if env not in environments:
        known = ", ".join(sorted(environments)) or "none"
        raise Problem(f"wrangler.toml has no [env.{env}]; there are: {known}", Code.WRONG_VALUE)
    return environments[env]


def _database(
    section: dict[str, Any], database_id: str | None, name: str, project: Path, notes: list[str]
) -> dict[str, Any] | None:
    """The binding of the database, with `database_id` or the one in wrangler.toml; None without either.

    `name` is what the id is called, for people.
    """
    database = our_database(section) or {}
    written = database.get("database_id")
    chosen = database_id or written
    if not chosen:
        notes.append(
            f"no D1 database: neither {NAMES['d1_database_id'][0]} nor a database_id in wrangler.toml is set; "
            "the binding is left out"
        )
        return None
    if not isinstance(chosen, str) or not _UUID.fullmatch(chosen):
        raise Problem(f"{name} is {chosen!r}, which is no UUID: `npx wrangler d1 list` shows it", Code.WRONG_VALUE)
    binding = {**_made_up(project), **database, "database_id": chosen}
    instead = f", and not {written} as in wrangler.toml" if written and written != chosen else ""
    notes.append(f"the binding {binding['binding']} is the D1 database {chosen}{instead}")
    return binding


def _made_up(project: Path) -> dict[str, Any]:
    """The binding where wrangler.toml has none."""
    return {**LOCAL_DATABASE, "migrations_dir": str(migrations_folder(project, LOCAL_DATABASE))}


def _with_absolute_paths(configuration: dict[str, Any], project: Path) -> dict[str, Any]:
    """The configuration as it can be read from any folder."""
    absolute = dict(configuration)
    for name in ("main", "base_dir", "tsconfig"):
        if isinstance(absolute.get(name), str):
            absolute[name] = str(project / absolute[name])
    if isinstance(absolute.get("assets"), dict) and "directory" in absolute["assets"]:
        absolute["assets"] = {**absolute["assets"], "directory": str(project / absolute["assets"]["directory"])}
    if isinstance(absolute.get("build"), dict):
        absolute["build"] = {**absolute["build"], "cwd": str(project / absolute["build"].get("cwd", "."))}
    absolute["d1_databases"] = [
        {**each, "migrations_dir": str(migrations_folder(project, each))} for each in absolute.get("d1_databases", [])
    ]
    environments = {name: _with_absolute_paths(each, project) for name, each in absolute.get("env", {}).items()}
    return {**absolute, **({"env": environments} if environments else {})}


def local_database(project: Path, env: str | None) -> dict[str, Any]:
    """The D1 database of this machine: the one that `scripts/dev --store d1` uses."""
    section = _section(_with_absolute_paths(read_configuration(project), project), env)
    return our_database(section) or _made_up(project)


def reach_database(project: Path, env: str | None, environ: Mapping[str, str]) -> AbstractContextManager[Target]:
    """The D1 database at Cloudflare, with a token to reach it."""
    deployment = render(project, env, environ)
    if deployment.database is None:
        place = f"under [env.{env}] in wrangler.toml" if env else "in wrangler.toml"
        raise Problem(
            f"there is no database at Cloudflare: put its database_id {place}, or set {NAMES['d1_database_id'][0]}"
        )
    require_token(environ)
    return remote_target(deployment.database, project, deployment.account_id)


def deploy(
    project: Path, env: str | None, environ: Mapping[str, str], *, dry_run: bool = False, skip_migrate: bool = False
) -> None:
    """Bundles, migrates and uploads, in this order: what cannot be bundled never touches the database.

    With `dry_run` it does what needs no network: it reads the migrations, and bundles.

    wrangler uploads the tree as our own installation has prepared it. `pywrangler deploy` would do the same after
    filling python_modules/ anew, from hosts other than the registries; here that folder is filled already, with what
    requirements/worker.txt pins.
    """
    deployment = render(project, env, environ)
    for note in deployment.notes:
        say(note)
    if not dry_run:
        require_token(environ)
    migrates = deployment.database is not None and not skip_migrate
    if deployment.database and migrates:
        check(deployment.database)
    node = install()
    with locked(local_folder(project) / "deploy.lock", "waiting for another deployment in this checkout …"):
        folder = _lay_out(deployment, project)
        say("bundling …")
        command: list[str | Path] = ["deploy", "--config", folder / "wrangler.json", f"--env={env or ''}"]
        bundle = [*command, "--dry-run", f"--outdir={folder / 'bundle'}"]
        bundled = wrangler.call(node, bundle, folder=folder, failed="could not bundle")
        for warning in wrangler.warnings_in(bundled):
            say(f"wrangler warns: {warning}")
        print(_summary(bundled, deployment.secrets))
        if dry_run:
            say("nothing was deployed")
            return
        if deployment.database and migrates:
            say("migrating …")
            with remote_target(deployment.database, project, deployment.account_id) as target:
                migrate(target)
        say("deploying …")
        patience = account.WORK_SECONDS
        uploaded = account.call(node, command, folder=folder, failed="could not deploy", patience_seconds=patience)
        print(_summary(uploaded, deployment.secrets))


def require_token(environ: Mapping[str, str]) -> None:
    """Raises a Problem where there is no token for Cloudflare."""
    if not environ.get("CLOUDFLARE_API_TOKEN", "").strip():
        raise Problem(
            "CLOUDFLARE_API_TOKEN is not set: make a token that may edit Workers and D1, and set it", Code.NO_TOKEN
        )


def _lay_out(deployment: Deployment, project: Path) -> Path:
    """Fills `.local/deploy`, which git ignores, with what wrangler reads."""
    folder = local_folder(project) / "deploy"
    remove(folder)
    folder.mkdir(parents=True)
    configuration = dict(deployment.configuration)
    main = Path(configuration.get("main", ""))
    if main.is_file() and "base_dir" not in configuration and "build" not in configuration:
        configuration["main"] = str(lay_out(folder, [main.parent], deployment.stores) / main.name)
    (folder / "wrangler.json").write_text(json.dumps(configuration, indent=2))
    return folder


def _summary(output: str, secrets: list[str]) -> str:
    """The end of what wrangler prints: the size of the upload, the bindings, and where it answers; but no secret."""
    for name in secrets:
        row = rf"(^env\.{re.escape(name)} )\(.*?\)(?= +Environment Variable *$)"
        output = re.sub(row, r"\1(hidden)", output, flags=re.MULTILINE | re.DOTALL)
    _, size, rest = output.partition("Total Upload")
    return "".join([size, rest]).replace("--dry-run: exiting now.", "").rstrip() or output.rstrip()
