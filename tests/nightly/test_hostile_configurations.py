"""Whatever stands in wrangler.toml and in the environment, the scripts say it in a line and end in no traceback."""

import math
import os
import random
import tomllib
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from support.scripts import copy_checkout, run_here
from tools.checkout import ROOT
from tools.local.install import install

CONFIGURATIONS = 300
PATHS = (
    *("name", "main", "account_id", "compatibility_date", "compatibility_flags", "base_dir", "tsconfig", "vars", "env"),
    *("assets", "build", "triggers", "hyperdrive", "migrations", "d1_databases", "durable_objects", "unknown"),
    *("vars.AGENT_CONVERSATION_STORE", "vars.ENVIRONMENT", "vars.RETENTION_DAYS", "vars.DATABASE_URL", "env.x.main"),
    *(
        "assets.directory",
        "build.cwd",
        "triggers.crons",
        "durable_objects.bindings",
        "env.x",
        "env.x.env",
        "env.x.vars",
    ),
    *("vars.UNKNOWN", "env.x.vars.UNKNOWN", "migrations.0.new_sqlite_classes", "migrations.0.tag"),
    *("durable_objects.bindings.0.name", "durable_objects.bindings.0.class_name", "d1_databases.0.binding"),
    *("d1_databases.0.database_id", "d1_databases.0.database_name", "d1_databases.0.migrations_dir"),
)
TEXTS = (
    *("", " ", "x", "src/entry.py", "/etc/passwd", "../..", "src", ".", "~", "$(id)", "`id`", "'; --", "\x00", "\x7f"),
    *(
        "\ud7ff",
        "ü",
        "漢字",
        "\U0001f600",
        "a" * 5_000,
        "../" * 500,
        "CONVERSATIONS_D1",
        "d1",
        "postgres",
        "true",
        "-1",
    ),
    *("2fd1c8a0-51b4-4b07-a3ab-8d0fd1b5c0f2", "00000000-0000-0000-0000-000000000000", "--help", "a\nb", "\\", '"'),
)
OTHERS: tuple[Any, ...] = (
    *(0, -1, 1.5, math.inf, math.nan, True, 2**70, date(2026, 11, 1), time(10), datetime(2026, 11, 1, tzinfo=UTC)),
    *([], {}, [[]], [1, "a"], [{}], {"a": 1}, {"a": {"b": [date(2026, 11, 1)]}}, [time(10)], ["src/entry.py"]),
)
# What is no TOML, or is so deep that nobody could write it as above.
PIECES = (
    "=",
    "[",
    "]",
    '"',
    "'",
    "\x00",
    "[" * 5_000 + "]" * 5_000,
    "{a=" * 5_000 + "1" + "}" * 5_000,
    "x" + ".x" * 5_000,
)
DATABASE = {"binding": "CONVERSATIONS_D1", "database_id": "2fd1c8a0-51b4-4b07-a3ab-8d0fd1b5c0f2"}
COMMANDS = (
    *(("doctor",), ("doctor", "--json"), ("deploy", "--dry-run"), ("deploy", "--env", "x", "--dry-run")),
    *(("setup", "--dry-run"), ("migrate", "--local", "--dry-run"), ("migrate", "--remote", "--env", "x")),
    *(("backup", "--local", "file"), ("restore", "--remote", "file")),
)


def put(place: Any, path: str, value: Any) -> None:
    """Puts a value where a path leads, if it still leads anywhere."""
    step, _, rest = path.partition(".")
    if isinstance(place, list):
        if place and rest:
            put(place[0], rest, value)
    elif isinstance(place, dict):
        if rest:
            put(place.setdefault(step, {}), rest, value)
        else:
            place[step] = value


def hostile(choose: random.Random) -> str:
    """A wrangler.toml of ours, perhaps with a database, in which some values are others."""
    configuration = tomllib.loads((ROOT / "wrangler.toml").read_text())
    if choose.random() < 0.5:
        configuration["d1_databases"] = [{**DATABASE, "migrations_dir": "migrations/sqlite"}]
    configuration["env"] = {"x": {"vars": {"A": "b"}}}
    for path in choose.sample(PATHS, choose.choice((1, 1, 1, 2))):
        put(configuration, path, choose.choice(TEXTS if choose.random() < 0.4 else OTHERS))
    text = tomlkit.dumps(configuration)
    if choose.random() < 0.1:
        lines = text.splitlines(keepends=True)
        lines.insert(choose.randrange(len(lines)), f"a = {choose.choice(PIECES)}\n")
        text = "".join(lines)
    return text


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install()
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


def environment(folder: Path, choose: random.Random) -> dict[str, str]:
    """Nobody is reached from it: what answers at that address is nobody."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("CLOUDFLARE", "AGENT_"))}
    texts = [text for text in TEXTS if "\x00" not in text]
    hostile = {name: choose.choice(texts) for name in choose.sample(("AGENT_CONVERSATION_STORE", "CLOUDFLARE_ENV"), 1)}
    if choose.random() < 0.3:
        hostile["CONVERSATIONS_D1_DATABASE_ID"] = choose.choice(texts)
    return {
        **own,
        "HOME": str(folder / "home"),
        "CLOUDFLARE_API_TOKEN": "nobody's",
        "CLOUDFLARE_API_BASE_URL": "http://127.0.0.1:1/client/v4",
        **(hostile if choose.random() < 0.3 else {}),
    }


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_no_configuration_ends_in_a_traceback(checkout: Path, seed: int) -> None:
    choose = random.Random(seed)
    (checkout / "wrangler.toml").write_bytes(hostile(choose).encode(errors="surrogatepass"))
    for command in (COMMANDS[0], choose.choice(COMMANDS[1:])):
        done: Any = run_here(checkout / "scripts" / command[0], *command[1:], environment=environment(checkout, choose))
        assert isinstance(done.returncode, int)
        assert "Traceback" not in done.stderr + done.stdout
        if done.returncode not in (0, 1) or command[0] != "doctor":
            assert done.returncode == 0 or done.stderr.splitlines()[-1].startswith(("error: ", "deploy: ", "setup: "))
    assert not (checkout / ".local/deploy/src/passwd").exists()
