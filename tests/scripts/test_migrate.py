"""`scripts/migrate`: what it refuses to apply, what it applies and what it leaves, with the real wrangler."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from fakes.cloudflare_api import ACCOUNT, CloudflareApi
from support.scripts import run_here
from tools.checkout import ROOT, Problem
from tools.cloudflare.deploy import local_database, reach_database
from tools.d1 import migrate as migrate_module
from tools.d1.migrate import Target, local_target, migrate, schema_difference
from tools.exit_codes import Code
from tools.migrations.files import destructive, read_migrations, rehearse
from tools.migrations.hashes import record_hashes

NOTE = "CREATE TABLE note (body TEXT NOT NULL UNIQUE) STRICT;\n"
DATABASE_ID = "0c1b1f6e-7d7a-4b6e-9d55-0b0f4ad5e001"

Migrations = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "migrations/sqlite").mkdir(parents=True)
    (folder / "wrangler.toml").write_text('name = "small"\n')
    return folder


@pytest.fixture
def migrations(project: Path) -> Migrations:
    """Writes migrations, numbered from 0001, and records their hashes."""

    def write(*texts: str) -> Path:
        folder = project / "migrations/sqlite"
        for number, text in enumerate(texts, start=1):
            (folder / f"{number:04}_step.sql").write_text(text)
        record_hashes(folder)
        return folder

    return write


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def rows(state: Path, sql: str) -> list[Any]:
    """What is in the database of a state folder, which nobody serves."""
    (file,) = (file for file in state.glob("data/v3/d1/*/*.sqlite") if file.name != "metadata.sqlite")
    with closing(apsw.Connection(str(file))) as database:
        return [row[0] if len(row) == 1 else row for row in database.execute(sql)]


def tables(state: Path) -> list[Any]:
    return rows(
        state, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%\\_%' ESCAPE '\\' ORDER BY name"
    )


# What is read before any database is touched.


def refusal(folder: Path) -> str:
    """What reading and rehearsing the migrations ends with."""
    with pytest.raises(Problem) as raised:
        rehearse(read_migrations(folder))
    return str(raised.value)


def test_our_own_pass_and_lose_nothing() -> None:
    migrations = read_migrations(ROOT / "migrations/sqlite")
    schema = rehearse(migrations)
    assert {"table words", "table messages", "index conversations_by_deletion"} <= schema.keys()
    assert destructive(migrations, {migration.name for migration in migrations}) == []


def test_there_are_some(project: Path) -> None:
    assert "holds no migrations" in refusal(project / "migrations/sqlite")


def test_a_gap_is_refused(migrations: Migrations) -> None:
    folder = migrations(NOTE, NOTE.replace("note", "letter"))
    (folder / "0002_step.sql").rename(folder / "0003_step.sql")
    assert "0003_step.sql stands where 0002_….sql should" in refusal(folder)


def test_two_of_one_number_are_refused(migrations: Migrations) -> None:
    folder = migrations(NOTE)
    (folder / "0001_two.sql").write_text(NOTE)
    assert "0001_two.sql stands where 0002_….sql should" in refusal(folder)


def test_what_has_landed_must_not_change(migrations: Migrations) -> None:
    folder = migrations(NOTE)
    (folder / "0001_step.sql").write_text(NOTE + "-- only a comment\n")
    assert "0001_step.sql has changed since it landed" in refusal(folder)
    with pytest.raises(Problem, match="has changed since it landed"):
        record_hashes(folder)  # never silently
    (folder / "0001_step.sql").write_text(NOTE)
    (folder / "0002_step.sql").write_text("DROP INDEX i;\n")
    assert "0002_step.sql has no hash" in refusal(folder)
    record_hashes(folder)
    (folder / "0002_step.sql").unlink()
    assert "0002_step.sql is gone" in refusal(folder)


def test_a_broken_record_is_refused(migrations: Migrations) -> None:
    folder = migrations(NOTE)
    (folder / "hashes.txt").write_text("nonsense\n")
    assert "a line that is no hash and name: nonsense" in refusal(folder)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("BEGIN", "D1 refuses BEGIN: each migration is one transaction already"),
        ("begin transaction", "D1 refuses BEGIN"),
        ("COMMIT", "D1 refuses COMMIT"),
        ("END TRANSACTION", "D1 refuses END"),
        ("ROLLBACK", "D1 refuses ROLLBACK"),
        ("SAVEPOINT s", "D1 refuses SAVEPOINT"),
        ("RELEASE s", "D1 refuses RELEASE"),
        ("ATTACH ':memory:' AS y", "D1 refuses ATTACH"),
        ("DETACH y", "D1 refuses DETACH"),
        ("VACUUM", "D1 refuses VACUUM"),
        ("/* hidden */ VACUUM", "sqlglot cannot read it"),
        ("PRAGMA journal_mode = WAL", "D1 refuses PRAGMA journal_mode"),
        ("PRAGMA main.user_version", "D1 refuses PRAGMA user_version"),
        ("PRAGMA integrity_check", "D1 refuses PRAGMA integrity_check"),
        ("PRAGMA writable_schema(1)", "D1 refuses PRAGMA writable_schema"),
        ("CREATE TEMP TABLE t (x)", "D1 refuses temporary tables"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", "D1 refuses temporary tables and views"),
        ("CREATE TABLE _cf_own (x)", "D1 refuses names that begin with _cf_"),
        ("SELECT load_extension('x')", "D1 refuses load_extension"),
        ("CREATE VIRTUAL TABLE v USING rtree(a, b, c)", "only those USING fts5 can be read"),
        ("CREATE VIRTUAL TABLE r USING fts4(text)", "only those USING fts5 can be read"),
        ("SELEC 1", "sqlglot cannot read it"),
        ("CREATE TRIGGER t AFTER INSERT ON note BEGIN DELETE FROM note; END", "sqlglot cannot read it"),
        ("REINDEX note", "sqlglot cannot read it"),
        ("INSERT INTO nowhere VALUES (1)", "fails: no such table: nowhere; nothing was applied"),
    ],
)
def test_what_d1_refuses_or_nobody_can_read_is_refused(migrations: Migrations, statement: str, reason: str) -> None:
    message = refusal(migrations(NOTE, f"-- A comment.\n{NOTE.replace('note', 'letter')}\n{statement};\n"))
    assert "0002_step.sql, statement 2 (" in message
    assert reason in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA foreign_keys = off",
        "PRAGMA defer_foreign_keys = on",
        "PRAGMA optimize",
        "CREATE TABLE t (x TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
        "CREATE TABLE t (x TEXT PRIMARY KEY) WITHOUT ROWID, STRICT",
        "CREATE VIRTUAL TABLE IF NOT EXISTS t USING fts5(x, tokenize = 'ascii')",
        "CREATE VIEW v AS SELECT body FROM note",
        "CREATE UNIQUE INDEX i ON note (body) WHERE body <> ''",
        "ALTER TABLE note ADD COLUMN x INTEGER NOT NULL DEFAULT 0",
        "ANALYZE",
    ],
)
def test_what_d1_takes_passes(migrations: Migrations, statement: str) -> None:
    rehearse(read_migrations(migrations(NOTE, f"{statement};\n")))


PART, BOX, LATER = (
    "INSERT INTO part VALUES (1);\n",
    "INSERT INTO box VALUES (1);\n",
    "PRAGMA defer_foreign_keys = on;\n",
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PART + BOX, "0001_step.sql, statement 3 (INSERT INTO part VALUES (1)) fails: FOREIGN KEY constraint failed"),
        (LATER + PART, "0001_step.sql fails: FOREIGN KEY constraint failed"),
        (LATER + PART + BOX, None),
    ],
)
def test_constraints_hold_as_on_d1(migrations: Migrations, text: str, reason: str | None) -> None:
    tables = "CREATE TABLE box (id INTEGER PRIMARY KEY);\nCREATE TABLE part (box INTEGER REFERENCES box (id));\n"
    folder = migrations(tables + text)
    if reason:
        assert refusal(folder) == f"{reason}; nothing was applied"
    else:
        rehearse(read_migrations(folder))


def test_a_migration_that_ends_in_the_middle_is_refused(migrations: Migrations) -> None:
    assert "0001_step.sql cannot be read: a migration ends in the middle" in refusal(migrations("SELECT 1;\nSELECT 'a"))


@pytest.mark.parametrize(
    ("statement", "loss"),
    [
        ("DROP TABLE note", "drops a table"),
        ("DROP TABLE IF EXISTS note", "drops a table"),
        ("ALTER TABLE note DROP COLUMN extra", "drops a column"),
        ("DELETE FROM note", "deletes every row"),
        ("DELETE FROM note WHERE true", "deletes every row"),
        ("DELETE FROM note WHERE 1 = 1", "deletes every row"),
        ("WITH q AS (SELECT 1) DELETE FROM note", "deletes every row"),
        ("UPDATE note SET body = 'x'", "overwrites every row"),
        ("UPDATE note SET body = 'x' WHERE 1", "overwrites every row"),
        ("INSERT OR REPLACE INTO note (body) VALUES ('x')", "replaces rows"),
        ("DROP TABLE found", "drops a table"),
        ("DELETE FROM note WHERE body = 'x'", None),
        ("DROP INDEX by_body", None),
        ("DROP TABLE found;\nCREATE VIRTUAL TABLE found USING fts5(text)", None),
    ],
)
def test_what_loses_data_is_named(migrations: Migrations, statement: str, loss: str | None) -> None:
    first = "CREATE TABLE note (body TEXT, extra TEXT);\nCREATE INDEX by_body ON note (body);\n"
    first += "CREATE VIRTUAL TABLE found USING fts5(text);\n"
    read = read_migrations(migrations(first, f"{statement};\n"))
    expected = [f"0002_step.sql, statement 1 ({' '.join(statement.split())}) {loss}"] if loss else []
    assert destructive(read, {"0002_step.sql"}) == expected
    assert destructive(read, {"0001_step.sql"}) == []  # what is applied already is nobody's worry


@pytest.mark.parametrize(
    ("reason", "where"),
    [
        (
            "UNIQUE constraint failed: note.body: SQLITE_CONSTRAINT",
            "0001_step.sql, statement 3 (INSERT",
        ),
        ("NOT NULL constraint failed: letter.to: SQLITE_CONSTRAINT", "0001_step.sql, statement 4 or 5,"),
        ("index by_body already exists at offset 13: SQLITE_ERROR", "0001_step.sql, statement 2 (CREATE INDEX by_body"),
        ("no such column: kind at offset 7: SQLITE_ERROR", "0001_step.sql, statement 5 (UPDATE letter"),
        ("FOREIGN KEY constraint failed: SQLITE_CONSTRAINT", "0001_step.sql, statement 3 or 4 or 5,"),
        ("too many of something", "0001_step.sql, statement 1 or 2 or 3 or 4 or 5 or 6,"),
    ],
)
def test_what_fails_at_cloudflare_is_what_its_reason_fits(migrations: Migrations, reason: str, where: str) -> None:
    text = 'CREATE TABLE letter ("to" TEXT);\nCREATE INDEX by_body ON note (body);\n'
    text += "INSERT INTO note (body) VALUES ('x');\n"
    text += "INSERT INTO letter SELECT body FROM note;\nUPDATE letter SET \"to\" = 'x' WHERE kind = 1;\n"
    text += "DROP VIEW v;\n"
    (migration,) = read_migrations(migrations(text))
    remote = Target({"binding": "D1"}, Path("/nowhere"))
    assert migrate_module._failure(remote, migration, reason).startswith(where)


# On this machine.


def test_it_migrates_the_database_of_scripts_dev_and_looks_at_it(
    project: Path, migrations: Migrations, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what fails on the data leaves what was before it."""
    migrations(NOTE)
    with local_target(local_database(project, None), state) as target:
        migrate(target, dry_run=True)
        assert tables(state) == []
        said = capsys.readouterr()
        assert said.out == "pending 0001_step.sql\n"
        assert said.err.endswith("threadkeep here: 1 pending; nothing was applied\n")
        migrate(target)
        assert tables(state) == ["note"]
        said = capsys.readouterr()
        assert said.out == "pending 0001_step.sql\napplied 0001_step.sql\n"
        assert said.err.endswith("threadkeep here: the schema is that of 0001_step.sql\n")

        rows(state, "INSERT INTO note VALUES ('one')")
        kept = "CREATE TABLE kept (x TEXT);\n"
        folder = migrations(
            NOTE, kept, "CREATE TABLE lost (x TEXT);\nINSERT INTO note VALUES ('one');\nCREATE TABLE never (x TEXT);\n"
        )
        with pytest.raises(Problem) as raised:
            migrate(target)
        assert str(raised.value) == (
            "0003_step.sql, statement 2 (INSERT INTO note VALUES ('one')) fails: UNIQUE constraint failed: note.body. "
            "Nothing of 0003_step.sql was kept; 1 before it were applied"
        )
        assert raised.value.code == 1
        assert "applied 0002_step.sql" in capsys.readouterr().out
        assert tables(state) == ["kept", "note"]
        # So what is tried next is 0003 again, in whatever way it was put right.
        assert rows(state, "SELECT name FROM d1_migrations ORDER BY id") == ["0001_step.sql", "0002_step.sql"]

        for name in ("0003_step.sql", "hashes.txt"):
            (folder / name).unlink()
        migrations(NOTE, kept)
        rows(state, "CREATE TABLE more (x TEXT)")
        with pytest.raises(Problem, match="every migration is applied, and yet the table more is there, and no migr"):
            migrate(target)
        assert capsys.readouterr().out == ""  # nothing was pending


def test_a_schema_that_is_another_is_named() -> None:
    expected = {"table note": "(body)", "index by_body": None}
    for actual, reason in (
        (expected, None),
        ({**expected, "table more": "(x)"}, "the table more is there, and no migration makes it"),
        ({**expected, "table note": "(body, x)"}, "the table note is not as the migrations make it: (body, x)"),
        ({"index by_body": None}, "the table note is missing"),
    ):
        assert schema_difference(actual, expected) == reason


# At Cloudflare.


@pytest.fixture
def remote(project: Path, cloudflare_api: CloudflareApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """An empty database of the account."""
    (project / "wrangler.toml").write_text(f'name = "small"\naccount_id = "{ACCOUNT}"\n')
    environment = {
        **cloudflare_api.environment,
        "CONVERSATIONS_D1_DATABASE_ID": cloudflare_api.add_database("letters").uuid,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with reach_database(project, None, environment) as target:
        yield target


def test_it_migrates_the_database_of_the_account_and_loses_data_only_where_that_is_meant(
    migrations: Migrations, cloudflare_api: CloudflareApi, remote: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    database = cloudflare_api.database("letters")

    def names(sql: str) -> list[str]:
        return [row[0] for row in database.rows(sql)]

    first = (NOTE, "CREATE TABLE letter (x TEXT);\n")
    migrations(*first)
    migrate(remote)
    assert capsys.readouterr().err.endswith("remote: the schema is that of 0002_step.sql\n")
    database.rows("INSERT INTO note VALUES ('one')")
    then = ("DROP TABLE letter;\n", "CREATE TABLE lost (x TEXT);\nINSERT INTO note VALUES ('one');\n")
    migrations(*first, *then)
    with pytest.raises(Problem, match=r"0003_step.sql, statement 1 \(DROP TABLE letter\) drops a table; nothing was"):
        migrate(remote)
    assert names("SELECT name FROM d1_migrations ORDER BY id") == ["0001_step.sql", "0002_step.sql"]
    with pytest.raises(Problem, match=r"statement 2 \(INSERT INTO note .*UNIQUE constraint failed.*Nothing of 0004"):
        migrate(remote, allow_destructive=True)
    assert "applied 0003_step.sql" in capsys.readouterr().out
    assert names("SELECT name FROM d1_migrations ORDER BY id") == ["0001_step.sql", "0002_step.sql", "0003_step.sql"]
    assert names("SELECT name FROM sqlite_schema WHERE name IN ('note', 'letter', 'lost')") == ["note"]
    assert not [call for call in cloudflare_api.calls if "/d1/" not in call]  # the account is known


def test_it_migrates_the_database_of_an_environment(
    project: Path, migrations: Migrations, cloudflare_api: CloudflareApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = cloudflare_api.add_database("staged")
    (project / "wrangler.toml").write_text(
        f'[[env.staging.d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_id = "{database.uuid}"\n'
    )
    for name, value in {**cloudflare_api.environment, "CLOUDFLARE_ENV": "staging"}.items():
        monkeypatch.setenv(name, value)
    migrations(NOTE)
    with reach_database(project, "staging", cloudflare_api.environment) as target:
        migrate(target, dry_run=True)
    assert {call for call in cloudflare_api.calls if "/d1/" in call} == {f"POST /d1/database/{database.uuid}/query"}


def test_a_remote_database_needs_an_id_and_a_token(project: Path) -> None:
    def refusal(env: str | None, **environ: str) -> tuple[str, int]:
        with pytest.raises(Problem) as raised:
            reach_database(project, env, environ)
        return str(raised.value), raised.value.code

    nowhere = "there is no database at Cloudflare: put its database_id {}, or set CONVERSATIONS_D1_DATABASE_ID"
    assert refusal(None, CLOUDFLARE_API_TOKEN="t") == (nowhere.format("in wrangler.toml"), 1)
    (project / "wrangler.toml").write_text(
        f'[[env.staging.d1_databases]]\nbinding = "CONVERSATIONS_D1"\ndatabase_id = "{DATABASE_ID}"\n[env.other]\n'
    )
    assert refusal(None, CLOUDFLARE_API_TOKEN="t") == (nowhere.format("in wrangler.toml"), 1)
    assert refusal("other", CLOUDFLARE_API_TOKEN="t") == (nowhere.format("under [env.other] in wrangler.toml"), 1)
    message, code = refusal("staging", CLOUDFLARE_API_TOKEN=" ")
    assert message.startswith("CLOUDFLARE_API_TOKEN is not set")
    assert code == Code.NO_TOKEN
    message, code = refusal("nope")
    assert message == "wrangler.toml has no [env.nope]; there are: other, staging"
    assert code == Code.WRONG_VALUE
    with reach_database(project, "staging", {"CLOUDFLARE_API_TOKEN": "t"}) as target:
        assert target.database["database_id"] == DATABASE_ID
        assert target.database["migrations_dir"] == str(project / "migrations/sqlite")


# As it is called.


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--nope"], 2, "unrecognized arguments: --nope"),
        (["--local", "--remote"], 2, "not allowed with argument"),
        (["--remote"], 1, "error: there is no database at Cloudflare"),
        (["--env=nope"], 2, "error: wrangler.toml has no [env.nope]"),
        ([f"--state={ROOT / 'wrangler.toml'}"], 1, "error: cannot keep data in"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(arguments: list[str], code: int, message: str) -> None:
    done = run_here(ROOT / "scripts/migrate", *arguments, environment={"PATH": os.defpath})
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]
