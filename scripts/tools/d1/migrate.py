"""Applies the migrations to a D1 database through wrangler: one on this machine, or one at Cloudflare.

It needs what tools/migrations/files.py needs.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tools.checkout import Problem, local_folder, locked, say
from tools.cloudflare import account, wrangler
from tools.local.install import Node, install
from tools.local.state import State
from tools.migrations.files import (
    SCHEMA,
    Migration,
    Statement,
    destructive,
    failing_statement,
    read_migrations,
    rehearse,
    schema_of,
)


@dataclass(frozen=True)
class Target:
    """A database as wrangler reaches it. `folder` is for wrangler's files, `data` for the database on this machine.

    `account_id` is the account that wrangler.toml names; without one, wrangler asks the token.
    """

    database: Mapping[str, Any]
    folder: Path
    data: Path | None = None
    account_id: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.database.get('database_name', self.database['binding'])} {'here' if self.data else 'remote'}"

    def configure(self) -> None:
        """Writes what wrangler reads: this database, and nothing of the Worker."""
        configuration = {"name": "migrations", "d1_databases": [self.database]}
        if self.account_id:
            configuration["account_id"] = self.account_id
        self._file.write_text(json.dumps(configuration, indent=2))

    def call(self, node: Node, *arguments: str, failed: str, is_question: bool = False) -> str:
        """Runs `wrangler d1 …` on the database, and returns what it printed. A question is answered soon, or never."""
        patience = account.ANSWER_SECONDS if is_question else account.WORK_SECONDS
        return self._wrangler(node, [*arguments, *self._options], self.folder, failed, patience)

    def execute(self, node: Node, file: Path, *, failed: str) -> None:
        """Runs a file of SQL, all of it or nothing. It may hold many rows, and takes its time."""
        command = ["execute", self.database["binding"], "--yes", "--file", str(file)]
        self._wrangler(node, [*command, *self._options], self.folder, failed, account.ROWS_SECONDS)

    def export(self, node: Node, tables: Sequence[str], output: Path, *, failed: str) -> None:
        """Runs `wrangler d1 export` for the rows of some tables, as they are at one moment. It fills `output`.

        wrangler's other files go beside that.
        """
        folder = output.parent
        options: list[str | Path] = ["--remote", "--skip-confirmation"]
        if self.data:
            # This command has no --persist-to: it looks in the folder of its configuration.
            (folder / ".wrangler").mkdir(exist_ok=True)
            (folder / ".wrangler" / "state").symlink_to(self.data)
            options = ["--local"]
        configuration = folder / self._file.name
        configuration.write_bytes(self._file.read_bytes())
        options += [f"--table={table}" for table in tables]
        options += ["--no-schema", "--output", output, "--config", configuration, "--env="]
        command = ["export", self.database["binding"], *options]
        self._wrangler(node, command, folder, failed, account.ROWS_SECONDS)

    def _wrangler(
        self, node: Node, arguments: Sequence[str | Path], folder: Path, failed: str, patience_seconds: float
    ) -> str:
        command = ["d1", *arguments]
        if self.data:
            return wrangler.call(node, command, folder=folder, failed=failed)
        return account.call(node, command, folder=folder, failed=failed, patience_seconds=patience_seconds)

    @property
    def _options(self) -> Sequence[str | Path]:
        where = ("--local", "--persist-to", self.data) if self.data else ("--remote",)
        # An empty --env: CLOUDFLARE_ENV means wrangler.toml, and this is not wrangler.toml.
        return (*where, "--config", self._file, "--env=")

    @property
    def _file(self) -> Path:
        return self.folder / "migrations.json"


@contextmanager
def local_target(database: Mapping[str, Any], folder: Path) -> Iterator[Target]:
    """The database that `scripts/dev --store d1` keeps in its state folder, which must not run meanwhile."""
    state = State(folder)
    state.claim()
    try:
        yield Target(database, state.folder, state.data)
    finally:
        state.release()


@contextmanager
def remote_target(database: Mapping[str, Any], project: Path, account_id: str | None) -> Iterator[Target]:
    """The database at Cloudflare."""
    folder = local_folder(project) / "migrate"
    with locked(
        local_folder(project) / "migrate.lock", "waiting for another script of this checkout that is at a database …"
    ):
        folder.mkdir(exist_ok=True)
        yield Target(database, folder, account_id=account_id)


def check(database: Mapping[str, Any]) -> tuple[list[Migration], dict[str, str | None]]:
    """The migrations of a database, and the schema that they make. Raises a Problem for what is wrong with them."""
    migrations = read_migrations(Path(database["migrations_dir"]))
    return migrations, rehearse(migrations)


def migrate(target: Target, *, dry_run: bool = False, allow_destructive: bool = False) -> None:
    """Applies what is pending, each migration whole or not at all, and looks whether the schema is the right one.

    With `dry_run` it only says what is pending, and what of that loses data.
    """
    migrations, expected = check(target.database)
    node = install()
    target.configure()
    pending = _pending(target, node, migrations)
    for name in pending:
        print(f"pending {name}")
    losses = destructive(migrations, set(pending))
    for loss in losses:
        say(f"destructive: {loss}")
    if losses and not allow_destructive:
        where = "--local" if target.data else "--remote"
        raise Problem(
            f"{losses[0]}; nothing was applied: if that is meant, say scripts/migrate {where} --allow-destructive"
        )
    if dry_run:
        say(f"{target.name}: {len(pending)} pending; nothing was applied")
        return
    if pending:
        _apply(target, node, migrations, pending)
    for name in pending:
        print(f"applied {name}")
    _check_schema(target, node, expected)
    say(f"{target.name}: the schema is that of {migrations[-1].name}")


def _pending(target: Target, node: Node, migrations: Sequence[Migration]) -> list[str]:
    binding = target.database["binding"]
    output = target.call(node, "migrations", "list", binding, failed="cannot list the migrations", is_question=True)
    words = set(output.split())
    return [migration.name for migration in migrations if migration.name in words]


def _apply(target: Target, node: Node, migrations: Sequence[Migration], pending: Sequence[str]) -> None:
    binding = target.database["binding"]
    try:
        target.call(node, "migrations", "apply", binding, failed="cannot apply the migrations")
    except wrangler.Failed as failed:
        still = _pending(target, node, migrations)
        if not still:
            raise
        applied = [name for name in pending if name not in still]
        for name in applied:
            print(f"applied {name}")
        (migration,) = (each for each in migrations if each.name == still[0])
        failure = _failure(target, migration, failed.reason)
        raise Problem(f"{failure}. Nothing of {still[0]} was kept; {len(applied)} before it were applied") from None


def _failure(target: Target, migration: Migration, reason: str) -> str:
    """Which statement failed. wrangler tells the reason only."""
    if target.data:
        files = [file for file in target.data.glob("v3/d1/*/*.sqlite") if file.name != "metadata.sqlite"]
        with closing(apsw.Connection(":memory:")) as copy:
            if len(files) == 1:
                with (
                    closing(apsw.Connection(str(files[0]), flags=apsw.SQLITE_OPEN_READONLY)) as database,
                    copy.backup("main", database, "main") as backup,
                ):
                    backup.step()
                if failure := failing_statement(copy, migration):
                    return failure
    suspects = _suspects(migration, reason)
    numbers = " or ".join(str(statement.number) for statement in suspects)
    where = str(suspects[0]) if len(suspects) == 1 else f"{migration.name}, statement {numbers},"
    return f"{where} fails: {reason}"


def _suspects(migration: Migration, reason: str) -> Sequence[Statement]:
    """The statements that SQLite's reason fits, by the names in it; all, where it fits none."""
    if "constraint failed" in reason:
        tables = set(re.findall(r"(\w+)\.\w+", reason))  # but those of a foreign key
        constrained = [each for each in migration.statements if each.constrained]
        fitting = [each for each in constrained if not tables or each.constrained in tables]
    else:
        words = set(re.findall(r"\w+", reason))
        fitting = [each for each in migration.statements if each.names & words]
    return fitting or migration.statements


def _check_schema(target: Target, node: Node, expected: Mapping[str, str | None]) -> None:
    if difference := schema_difference(read_schema(target, node), expected):
        raise Problem(f"{target.name}: every migration is applied, and yet {difference}")


def read_schema(target: Target, node: Node) -> dict[str, str | None]:
    """The schema that the database has, without wrangler's own table."""
    query = ("execute", target.database["binding"], "--json", "--command", SCHEMA)
    output = target.call(node, *query, failed="cannot read the schema", is_question=True)
    own = target.database.get("migrations_table", "d1_migrations")
    return schema_of([row for row in wrangler.json_in(output)[0]["results"] if row["tbl_name"] != own])


def schema_difference(actual: Mapping[str, str | None], expected: Mapping[str, str | None]) -> str | None:
    """The first thing in which a schema is not what the migrations make."""
    for what in sorted({*expected, *actual}):
        if what not in actual:
            return f"the {what} is missing"
        if what not in expected:
            return f"the {what} is there, and no migration makes it"
        if actual[what] != expected[what]:
            return f"the {what} is not as the migrations make it: {actual[what]}"
    return None
