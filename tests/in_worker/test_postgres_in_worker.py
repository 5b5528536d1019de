"""Postgres from inside workerd: what breaks there, and what a Worker says of it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from support.backends import REQUEST_SECONDS, worker
from support.in_process import VARIABLES, as_user
from support.postgres import SECRETIVE, SETTINGS, ask, new_folder, new_schema, new_url, server
from support.postgres_proxy import proxy
from support.postgres_tls import AUTHORITY, tls_only
from support.records import all_messages, conversation, message
from threadkeep.client import RemoteStore
from threadkeep.client.conversations import _new_message
from threadkeep.conversations.models import NewMessages
from threadkeep.errors import Unavailable
from tools.checkout import ROOT, Problem
from tools.local.postgres import LocalPostgres
from tools.local.worker import LocalWorker

pytestmark = pytest.mark.anyio

CONVERSATIONS = "/api/conversations"
UNREACHABLE = "Postgres could not be reached, or was too busy. Try again."
PASSWORD = "p@ss/word?#"


@pytest.fixture
def anywhere(postgres_worker: LocalWorker) -> LocalWorker:
    """A Worker that each request tells which database to use."""
    return postgres_worker


def client_of(worker: LocalWorker, url: str) -> httpx.AsyncClient:
    """A client of a Worker that uses this database."""
    headers = {**as_user("ada"), "X-Database-Url": url}
    return httpx.AsyncClient(base_url=worker.url, headers=headers, timeout=REQUEST_SECONDS)


@asynccontextmanager
async def running(state: Path, url: str | None = None, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a Worker whose DATABASE_URL this is."""
    variables = VARIABLES if url is None else {**VARIABLES, "DATABASE_URL": url}
    worker = LocalWorker(state, store="postgres", variables=variables, **options)
    await asyncio.to_thread(worker.start)  # meanwhile, what stands before Postgres has to go on
    try:
        async with client_of(worker, "") as client:
            yield client
    finally:
        await asyncio.to_thread(worker.stop)


async def test_a_restart_under_load_loses_nothing_that_was_acknowledged_and_doubles_nothing(
    anywhere: LocalWorker,
) -> None:
    with LocalPostgres(new_folder(), settings=SETTINGS) as own:
        async with client_of(anywhere, own.url(connect_timeout=5)) as client:
            store = RemoteStore(client, "ada")
            created, _ = await store.create_conversation(conversation())
            acknowledged: dict[str, int] = {}
            failures: list[Unavailable] = []
            goes_on = True
            progress = asyncio.Semaphore(0)

            async def write() -> None:
                try:
                    while goes_on:
                        sent = message("under load")
                        while sent.id not in acknowledged:
                            try:
                                answer, _ = await store.append_messages(created.id, [sent])
                                acknowledged[sent.id] = answer.messages[0].seq
                            except Unavailable as error:  # and try again, with the same id
                                failures.append(error)
                                await asyncio.sleep(0.05)
                            progress.release()
                finally:  # a defect as well, which is found out at the end
                    progress.release()

            async def until(is_enough: Callable[[], bool]) -> None:
                while not is_enough() and not any(writer.done() for writer in writers):
                    await progress.acquire()

            writers = [asyncio.create_task(write()) for _ in range(8)]
            try:
                for at_once in (True, False):
                    done = len(acknowledged)
                    await until(lambda enough=done + 30: len(acknowledged) >= enough)  # type: ignore[misc]
                    failed = len(failures)
                    await asyncio.to_thread(own.stop, at_once=at_once)
                    await until(lambda seen=failed: len(failures) > seen)  # type: ignore[misc]
                    await asyncio.to_thread(own.start)
                done = len(acknowledged)
                await until(lambda: len(acknowledged) >= done + 30)
            finally:
                goes_on = False
                await asyncio.gather(*writers)
            kept = await all_messages(store, created.id)
            assert {row.id: row.seq for row in kept} == acknowledged
            assert [row.seq for row in kept] == list(range(1, len(kept) + 1))
            assert {failure.message for failure in failures} == {UNREACHABLE}


async def refusal(client: httpx.AsyncClient) -> str:
    """What a Worker says that cannot use its database. It is safe to show."""
    response = await client.get(CONVERSATIONS)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    said: str = response.json()["error"]["message"]
    assert PASSWORD not in response.text
    assert "p%40ss" not in response.text
    return said


async def wrong_urls() -> dict[str, tuple[str, str]]:
    """The URLs that a Worker cannot use, each with what it says."""
    role = f"{SECRETIVE}_in_worker"
    newer, forbidden, reader = new_schema(), new_schema(), f"role_{new_schema()}"
    await ask(
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE {reader} LOGIN; CREATE SCHEMA {forbidden}; "
        f"CREATE SCHEMA {newer}; CREATE TABLE {newer}.threadkeep_migrations (name text PRIMARY KEY); "
        f"INSERT INTO {newer}.threadkeep_migrations (name) VALUES ('9999_later.sql')"
    )
    url = server().url
    return {
        "a wrong password": (url(user=role, password=PASSWORD + "x"), "refuses the user or the password"),
        "no password": (url(user=role), "refuses the user or the password"),
        "a user whom nobody knows": (url(user="nobody_knows"), "refuses the user or the password"),
        "a database that is not there": (url("not_there"), "There is no such database"),
        "no rights": (url(user=reader, schema=forbidden), "Grant it USAGE and CREATE"),
        "a newer schema": (url(schema=newer), "of a newer version of Threadkeep"),
        "TLS that is not there": (url(sslmode="require"), UNREACHABLE),
        "nobody there": ("postgres://ada@127.0.0.1:9/x", UNREACHABLE),
        "a host that is not there": ("postgres://ada@nowhere.invalid/x", UNREACHABLE),
        "no URL": (f"mysql://ada:{PASSWORD}@127.0.0.1/x", "DATABASE_URL must begin with postgresql://"),
        "the folder of a socket": ("postgres://ada@x/y?host=/run/postgres", "which a Worker cannot open"),
        "a file of certificates": (url(sslrootcert="/ca.pem"), "a Worker has no files"),
    }


async def test_what_cannot_be_used_is_unavailable_and_says_why_without_the_password(anywhere: LocalWorker) -> None:
    for case, (url, says) in (await wrong_urls()).items():
        async with client_of(anywhere, url) as client:
            assert says in await refusal(client), case
            assert (await client.get("/api/health")).status_code == 200
    log = anywhere.log_path.read_text()
    assert PASSWORD not in log
    assert "p%40ss" not in log


async def test_a_password_is_proven(anywhere: LocalWorker) -> None:
    role, schema = f"{SECRETIVE}_known", new_schema()
    await ask(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; CREATE SCHEMA {schema} AUTHORIZATION {role}")
    async with client_of(anywhere, server().url(user=role, password=PASSWORD, schema=schema)) as client:
        assert (await client.get(CONVERSATIONS)).json()["conversations"] == []


async def test_a_database_that_stops_answering_is_given_up_and_comes_back(anywhere: LocalWorker) -> None:
    async with proxy() as between:
        schema = new_schema()
        url, soon = between.url(schema), between.url(schema, connect_timeout=1)
        async with client_of(anywhere, url) as client, client_of(anywhere, soon) as hasty:
            assert (await client.get(CONVERSATIONS)).status_code == 200
            between.flows.clear()
            assert await refusal(hasty) == UNREACHABLE
            between.flows.set()
            assert (await client.get(CONVERSATIONS)).status_code == 200


@pytest.mark.parametrize(("breaks_after", "is_kept"), [(b"BEGIN", False), (b"COMMIT\0", True)])
async def test_a_write_that_nobody_hears_of_is_unavailable_and_can_be_repeated(
    anywhere: LocalWorker, breaks_after: bytes, is_kept: bool
) -> None:
    async with proxy() as between, client_of(anywhere, between.url(new_schema())) as client:
        store = RemoteStore(client, "ada")
        created, _ = await store.create_conversation(conversation())
        sent = [message("perhaps")]
        between.breaks_after = breaks_after
        # The store itself would send it again.
        body = msgspec.json.encode(NewMessages(messages=[_new_message(each) for each in sent]))
        headers = {"Content-Type": "application/json"}
        refused = await client.post(f"/api/conversations/{created.id}/messages", content=body, headers=headers)
        assert refused.status_code == 503
        assert "could not be reached" in refused.text
        assert len(await all_messages(store, created.id)) == is_kept
        answer, is_new = await store.append_messages(created.id, sent)
        assert (is_new, answer.messages[0].seq) == (not is_kept, 1)


async def test_a_request_is_a_few_round_trips_however_many_statements_it_has(anywhere: LocalWorker) -> None:
    async with proxy() as between, client_of(anywhere, between.url(new_schema())) as client:
        store = RemoteStore(client, "ada")
        created, _ = await store.create_conversation(conversation())

        async def counted(operation: Any) -> int:
            before = between.round_trips
            await operation
            return between.round_trips - before

        connecting = 1
        assert await counted(store.get_conversation(created.id)) == connecting + 1
        assert await counted(store.list_conversations(cursor=created.id)) == connecting + 1
        assert await counted(store.create_conversation(conversation())) == connecting + 1
        assert await counted(store.append_messages(created.id, [message() for _ in range(100)])) == connecting + 2
        assert await counted(store.delete_conversation(created.id)) == connecting + 2


async def test_a_connection_ends_with_its_request(anywhere: LocalWorker) -> None:
    database = f"db_{new_schema()}"
    await ask(f"CREATE DATABASE {database}")
    count = "SELECT count(*) AS count FROM pg_stat_activity AS a WHERE a.datname = $1"
    async with client_of(anywhere, server().url(database)) as client:
        await asyncio.gather(*(client.get(CONVERSATIONS) for _ in range(20)))
        for _ in range(600):
            left = (await ask(count, database))[0]["count"]
            if left == 0:
                break
            await asyncio.sleep(0.05)
        assert left == 0


async def test_more_requests_than_the_server_has_connections_wait_for_one(anywhere: LocalWorker) -> None:
    database, role = f"db_{new_schema()}", f"role_{new_schema()}"
    await ask(f"CREATE DATABASE {database}")
    await ask(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 3; GRANT ALL ON DATABASE {database} TO {role}")
    async with client_of(anywhere, server().url(database, user=role, schema="kept", pool_timeout=50)) as client:
        store = RemoteStore(client, "ada")
        created, _ = await store.create_conversation(conversation())
        await asyncio.gather(*(store.append_messages(created.id, [message()]) for _ in range(24)))
        assert [row.seq for row in await all_messages(store, created.id)] == list(range(1, 25))


async def test_it_speaks_tls_with_a_server_whose_certificate_is_good_and_with_no_other(
    anywhere: LocalWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_only(schema=new_schema(), sslmode="require") as url:
        async with client_of(anywhere, url) as client:
            assert await refusal(client) == UNREACHABLE
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(AUTHORITY))  # the local runtime trusts it then
        with worker("postgres", tmp_path) as trusting:
            async with client_of(trusting, url) as client:
                created = await client.post(CONVERSATIONS, json={"title": "T"})
                assert created.status_code == 201
            async with client_of(trusting, url.replace("@localhost:", "@127.0.0.1:")) as client:
                assert await refusal(client) == UNREACHABLE


async def test_hyperdrive_is_a_url_like_any_other_and_the_cron_trigger_purges_over_it(tmp_path: Path) -> None:
    project, role, database = tmp_path / "project", f"{SECRETIVE}_hyperdrive", f"db_{new_schema()}"
    await ask(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    await ask(f"CREATE DATABASE {database} OWNER {role}")
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "migrations", project / "migrations")
    url = server().url(database, user=role, password=PASSWORD)
    binding = f'[[hyperdrive]]\nbinding = "HYPERDRIVE"\nid = "local"\nlocalConnectionString = "{url}"\n'
    (project / "wrangler.toml").write_text((ROOT / "wrangler.toml").read_text() + binding)
    async with running(tmp_path / "state", project=project) as client:
        conversations = [(await client.post(CONVERSATIONS, json={"title": "T"})).json()["id"] for _ in range(2)]
        status = (await client.get(f"{CONVERSATIONS}/status")).json()
        assert (status["store"], status["persistent"]) == ("postgres", True)
        for conversation_id in conversations:
            await client.delete(f"{CONVERSATIONS}/{conversation_id}")
        old, new = conversations
        await ask(f"UPDATE conversations SET deleted_at = 1 WHERE id = '{old}';", database=database)
        response = await client.get("/cdn-cgi/handler/scheduled")
        assert response.status_code == 200, response.text
        left = await ask("SELECT c.id FROM conversations AS c", database=database)
        assert [row["id"] for row in left] == [new]
    with pytest.raises(Problem, match="DATABASE_URL and HYPERDRIVE are two names of one setting and have different"):
        async with running(tmp_path / "both", new_url(), project=project):
            pass
