"""One real Postgres for all tests of a process, and a schema of its own for each that asks for one."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from tools.local.postgres import LocalPostgres

# Nothing here outlives the machine, so nothing waits for the disk.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum_naptime": "5s",
}
# Whose name begins so has to know the password.
SECRETIVE = "secretive"
RULES = f'host all "/^{SECRETIVE}" 127.0.0.1/32 scram-sha-256'
_numbers = count()


@cache
def server() -> LocalPostgres:
    """The server, started by the first test that needs it."""
    started = LocalPostgres(new_folder(), settings=SETTINGS, rules=RULES)
    started.start()
    atexit.register(started.stop)
    return started


def new_folder() -> Path:
    """A folder that whoever the server runs as can get to, and that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="threadkeep-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def new_schema() -> str:
    """A name that no schema has."""
    return f"s{next(_numbers)}"


def new_url(**parameters: Any) -> str:
    """The URL of an empty schema."""
    return server().url(**{"schema": new_schema(), **parameters})


async def ask(text: str, *values: Any, database: str = "postgres") -> Sequence[Any]:
    """Run a statement behind everybody's back, or several that answer nothing."""
    connection = await asyncpg.connect(server().url(database))
    try:
        if ";" in text:
            await connection.execute(text)
            return []
        rows: Sequence[Any] = await connection.fetch(text, *values)
        return rows
    finally:
        await connection.close()
