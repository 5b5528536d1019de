"""`threadkeep serve` over a Postgres that is wrong, refuses, breaks or hangs: what is said, and what never is."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support.backends import server
from support.in_process import as_user
from support.postgres import SECRETIVE, ask, new_schema
from support.postgres import server as postgres
from support.postgres_proxy import proxy
from support.serving import ready_line, refusal, serving

API = "/api/conversations"
PASSWORD = "p@ss/wo:rd?#%41&x=y ü\\'\""
NEVER_SAID = (PASSWORD, quote(PASSWORD, safe=""), "wo:rd", "wo%3Ard")


def told(text: str, *values: Any) -> list[tuple[Any, ...]]:
    """What Postgres answers to whoever may do everything."""
    return [tuple(row) for row in asyncio.run(ask(text, *values))]


def secretive_role() -> tuple[str, str]:
    """A role that has to know PASSWORD, and a schema for it."""
    schema = new_schema()
    role = f"{SECRETIVE}_{schema}"
    literal = PASSWORD.replace("'", "''")
    told(f"CREATE SCHEMA {schema}; CREATE ROLE {role} LOGIN PASSWORD '{literal}'")
    told(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};")
    return role, schema


def url_of_a_wrong_password() -> str:
    role, schema = secretive_role()
    return postgres().url(user=role, password=f"{PASSWORD}x", schema=schema)


def url_without_rights() -> str:
    role, schema = secretive_role()
    told(f"REVOKE ALL ON SCHEMA {schema} FROM {role};")
    return postgres().url(user=role, password=PASSWORD, schema=schema)


def url_of_no_database() -> str:
    role, _ = secretive_role()
    return postgres().url("not_there", user=role, password=PASSWORD)


def url_of_nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"postgresql://ada:{quote(PASSWORD, safe='')}@127.0.0.1:{free.getsockname()[1]}/kept"


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "another product": (lambda: f"mysql://ada:{quote(PASSWORD, safe='')}@db/kept", "DATABASE_URL must begin with"),
    "a password as it is": (lambda: "postgresql://ada:wo:rd/x#@db/kept", "DATABASE_URL is no URL; a password"),
    "a wrong password": (url_of_a_wrong_password, "refuses the user or the password of DATABASE_URL"),
    "no rights": (url_without_rights, "does not let the user of DATABASE_URL do this. Grant it USAGE and CREATE"),
    "no such database": (url_of_no_database, "no such database in Postgres. Create it, or correct DATABASE_URL"),
    "a port where nobody listens": (url_of_nobody, "Postgres could not be reached"),
    "a name that nobody knows": (lambda: "postgresql://ada@not-there.invalid/kept", "Postgres could not be reached"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("url", "says"), [pytest.param(*row, id=case) for case, row in REFUSED.items()])
def test_it_does_not_start_takes_no_file_instead_and_never_says_the_password(
    url: Callable[[], str], says: str, workers: int, tmp_path: Path
) -> None:
    message = refusal(tmp_path, f"--workers={workers}", variables={"DATABASE_URL": url()})
    assert says in message
    assert "DATABASE_URL" in message
    assert [secret for secret in NEVER_SAID if secret in message] == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_it_does_not_start_where_nobody_answers(mode: str, deaf: int, tmp_path: Path) -> None:
    url = f"postgresql://ada@127.0.0.1:{deaf}/kept?connect_timeout=1&sslmode={mode}"
    assert "Postgres could not be reached" in refusal(tmp_path, variables={"DATABASE_URL": url})


def test_a_schema_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    schema = new_schema()
    variables = {"DATABASE_URL": postgres().url(schema=schema)}
    with serving(tmp_path, variables=variables) as process:
        assert ready_line(process)["store"] == "postgres"
    told(f"INSERT INTO {schema}.threadkeep_migrations (name) VALUES ('9999_of_tomorrow.sql')")
    everything = """SELECT c.relname, c.relfilenode, c.xmin::text FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace($1) ORDER BY 1"""
    before = told(everything, schema)
    assert "of a newer version of Threadkeep, and are left as they are" in refusal(tmp_path, variables=variables)
    assert told(everything, schema) == before != []


def test_a_postgres_that_refuses_or_is_broken_is_told_without_a_word_of_what_it_said(tmp_path: Path) -> None:
    role, schema = secretive_role()
    url = postgres().url(user=role, password=PASSWORD, schema=schema)
    answers: list[httpx.Response] = []

    def asked(path: str = API) -> tuple[int, str | None]:
        answers.append(httpx.get(f"{running.url}{path}", headers=as_user("ada"), timeout=60))
        return answers[-1].status_code, answers[-1].json().get("error", {}).get("code")

    with server(tmp_path, store="postgres", variables={"DATABASE_URL": url}) as running:
        assert asked() == (200, None)
        told(f"ALTER ROLE {role} NOLOGIN;")
        told("SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.usename = $1", role)
        assert (asked(), asked("/api/ready"), asked("/api/health")) == (
            *((503, "unavailable"), (503, "unavailable")),
            (200, None),
        )
        told(f"ALTER ROLE {role} LOGIN;")
        assert (asked(), asked("/api/ready")) == ((200, None), (200, None))
        told(f"ALTER TABLE {schema}.conversations RENAME COLUMN title TO heading;")
        assert asked() == (500, "internal")
        log = running.log_path.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    *unheard, defect = [line for line in lines if "exception" in line]
    assert {line["message"].partition(" just now")[0] for line in unheard} <= {
        "what other processes write is not heard"
    }
    assert "UndefinedColumnError" in defect["exception"]
    assert answers[-1].headers["x-request-id"] in defect["message"]
    for text in ("Traceback", "asyncpg", "UndefinedColumn", "SELECT", "heading", role, schema):
        assert [answer.text for answer in answers if text in answer.text] == []
    for text in NEVER_SAID:
        assert [said for said in (log, *(answer.text for answer in answers)) if text in said] == []


@pytest.mark.anyio
async def test_a_postgres_that_hangs_is_told_to_whoever_asks_whether_it_is_ready(tmp_path: Path) -> None:
    async with proxy() as between, httpx.AsyncClient(headers=as_user("ada"), timeout=60) as client:
        running = server(tmp_path, store="postgres", variables={"DATABASE_URL": between.url(new_schema())})
        await asyncio.to_thread(running.start)
        try:
            between.flows.clear()
            ready = await client.get(f"{running.url}/api/ready")
            assert (ready.status_code, ready.json()["error"]["code"]) == (503, "unavailable")
            assert ready.json()["error"]["message"] == "The database has not answered for 5 seconds."
            assert (await client.get(f"{running.url}/api/health")).status_code == 200
            between.flows.set()
            assert (await client.get(f"{running.url}/api/ready")).status_code == 200
            assert (await client.post(f"{running.url}{API}", json={})).status_code == 201
        finally:
            await asyncio.to_thread(running.stop)
