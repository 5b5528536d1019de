"""How Postgres is opened: by many at once, with few rights, in whatever state it is; and what is refused."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support import stores
from support.postgres import SECRETIVE, ask, new_schema, new_url, server
from support.records import conversation, edit, message, new_message
from threadkeep.conversations.records import SearchQuery
from threadkeep.errors import Unavailable
from threadkeep.storage.postgres import executor as postgres_executor
from threadkeep.storage.postgres import pool
from threadkeep.storage.postgres.connection import PostgresFailed
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.url import parse_url
from threadkeep.storage.sql.migrate import Migration

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PASSWORD = "p@ss/word?#"
TABLES = {
    *("owners", "conversations", "messages", "forks", "cuts", "drafts", "draft_parts"),
    *("words", "search_index_2", "threadkeep_migrations"),
    *("journals", "entries", "pieces", "blobs", "tasks", "lanes"),
    *("threads", "checkpoints", "checkpoint_values", "checkpoint_writes"),
}


async def tables_in(schema: str) -> set[str]:
    return {row["name"] for row in await ask("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1", schema)}


async def everything_about(schema: str) -> list[tuple[Any, ...]]:
    """What there is in a schema, and when each row of its records was written."""
    found = await ask(
        """SELECT c.relname, c.relkind, c.relfilenode FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace($1) ORDER BY 1""",
        schema,
    )
    records = await ask(f"SELECT m.name, m.xmin::text FROM {schema}.threadkeep_migrations AS m ORDER BY 1")
    return [tuple(row) for row in (*found, *records)]


async def new_role(rights: str = "", *, name: str = "", options: str = "") -> tuple[str, str]:
    """A role that may do nothing but this, and the schema that it may do it on."""
    schema = new_schema()
    role = name or f"role_{schema}"
    await ask(f"CREATE SCHEMA {schema}; CREATE ROLE {role} LOGIN {options}; REVOKE ALL ON SCHEMA public FROM PUBLIC")
    if rights:
        await ask(f"GRANT {rights} ON SCHEMA {schema} TO {role}")
    return role, schema


async def opened(url: str) -> PostgresExecutor:
    executor = await stores.open_postgres(url)
    assert isinstance(executor, PostgresExecutor)
    return executor


async def refused(url: str) -> str:
    """Why a database is not opened. That is safe to show."""
    with pytest.raises(Unavailable) as raised:
        await stores.open_postgres(url)
    assert PASSWORD not in raised.value.message
    assert "p%40ss" not in raised.value.message
    return raised.value.message


async def use_everything(executor: PostgresExecutor) -> None:
    """Run what a server runs."""
    store = stores.open_sql(executor, "ada")
    created, _ = await store.create_conversation(conversation(new_message("an aardvark"), title="Armadillo"))
    await store.append_messages(created.id, [message("a badger")])
    await store.update_conversation(created.id, edit(title="Capybara", metadata={"a": 1}))
    await executor.try_to_write()
    assert len((await store.search(SearchQuery(text="badger"))).hits) == 1
    assert len((await store.changes("0")).messages) == 2
    await store.delete_conversation(created.id)
    await store.purge(2**52)
    while await store.sweep():
        pass


STARTING = """
import asyncio, sys
from threadkeep.storage.postgres.migrations import MIGRATIONS
from threadkeep.storage.postgres.url import parse_url

async def main():
    from threadkeep.storage.postgres.pool import open_pool
    print("ready", flush=True)
    sys.stdin.readline()
    executor = await open_pool(parse_url(sys.argv[1]), MIGRATIONS)
    await executor.close()
    print("opened", flush=True)

asyncio.run(main())
"""


async def test_ten_processes_that_start_at_once_make_one_schema() -> None:
    schema = new_schema()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    url = server().url(schema=schema)
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", STARTING, url, env=environment, **pipes)
        for _ in range(10)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    said = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert said == [(b"opened\n", b"")] * 10
    assert await tables_in(schema) == TABLES
    applied = await ask(f"SELECT m.name FROM {schema}.threadkeep_migrations AS m")
    assert [row["name"] for row in applied] == [migration.name for migration in MIGRATIONS]


async def test_opening_again_changes_nothing_and_keeps_what_is_there() -> None:
    schema = new_schema()
    record = conversation(new_message())
    before = None
    for is_new in (True, False):
        executor = await opened(server().url(schema=schema))
        assert (await stores.open_sql(executor, "ada").create_conversation(record))[1] is is_new
        assert executor.bookmark is None
        await executor.close()
        assert before in (None, await everything_about(schema))
        before = await everything_about(schema)


async def test_only_what_is_pending_is_applied_and_all_of_it_or_nothing() -> None:
    schema = new_schema()
    url = parse_url(server().url(schema=schema))
    await (await pool.open_pool(url, MIGRATIONS)).close()
    later = Migration("9998_later.sql", ("CREATE TABLE later (x bigint)", "INSERT INTO later (x) VALUES (1)"))
    broken = Migration("9999_broken.sql", ("CREATE TABLE broken (x bigint)", "INSERT INTO broken (y) VALUES (1)"))
    with pytest.raises(PostgresFailed, match='column "y"'):
        await pool.open_pool(url, (*MIGRATIONS, later, broken))
    assert await tables_in(schema) == TABLES
    for _ in range(2):
        await (await pool.open_pool(url, (*MIGRATIONS, later))).close()
    assert await tables_in(schema) == {*TABLES, "later"}
    assert len(await ask(f"SELECT l.x FROM {schema}.later AS l")) == 1


COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"


async def test_what_statistics_knew_of_users_is_forgotten_and_no_large_index_is_made_anew() -> None:
    schema, newest = new_schema(), new_schema()
    url = parse_url(server().url(schema=schema))
    await (await pool.open_pool(url, MIGRATIONS[:1])).close()
    executor = await opened(server().url(schema=newest))
    await use_everything(executor)
    await stores.open_sql(executor, "bob").create_conversation(conversation(new_message("a badger")))
    await executor.close()
    kept = {"owners": "owners", "conversations": "conversations", "messages": "messages", "words": "search_index_2"}
    for table, source in kept.items():
        columns = ", ".join(row["column_name"] for row in await ask(COLUMNS, schema, table))
        await ask(
            f"INSERT INTO {schema}.{table} ({columns}) OVERRIDING SYSTEM VALUE "
            f"SELECT {columns} FROM {newest}.{source} AS t"
        )
    known = "SELECT s.tablename AS of FROM pg_stats AS s WHERE s.schemaname = $1 AND s.attname = 'user_id' ORDER BY 1"
    indexes = "SELECT i.indexname, pg_relation_filenode(to_regclass($1 || '.' || i.indexname)) FROM pg_indexes AS i"
    indexes += " WHERE i.schemaname = $1 AND i.tablename IN ('messages', 'words') ORDER BY 1"
    tables = sorted(kept)
    analyze = "; ".join(f"ANALYZE {schema}.{table}" for table in tables)
    await ask(analyze)
    assert [row["of"] for row in await ask(known, schema)] == tables
    before = await ask(indexes, schema)
    await (await pool.open_pool(url, MIGRATIONS)).close()
    assert await ask(indexes, schema) == before
    for _ in range(2):
        assert [row["of"] for row in await ask(known, schema)] == ["owners"]  # where a user is one row
        await ask(analyze)


async def test_a_role_needs_no_rights_but_on_its_schema() -> None:
    role, schema = await new_role("USAGE, CREATE", options="NOSUPERUSER NOCREATEDB NOCREATEROLE")
    executor = await opened(server().url(schema=schema, user=role))
    await use_everything(executor)
    await executor.close()
    assert await tables_in(schema) == TABLES
    assert await tables_in("public") == set()


async def test_a_role_needs_no_right_to_create_where_the_tables_are_there() -> None:
    role, schema = await new_role("USAGE")
    await (await opened(server().url(schema=schema))).close()
    await ask(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
    executor = await opened(server().url(schema=schema, user=role))
    await use_everything(executor)
    await executor.close()


@pytest.mark.parametrize("name", ["public", "Chats & Co; \"x'"])
async def test_a_schema_may_have_any_name_and_is_made_where_there_is_none(name: str) -> None:
    database = f"db_{new_schema()}"
    await ask(f"CREATE DATABASE {database}")
    executor = await opened(server().url(database, schema=name))
    await use_everything(executor)
    async with executor.connection() as connection:
        text = "SELECT t.schemaname FROM pg_tables AS t WHERE t.tablename = 'messages'"
        assert await connection.run([(text, ())]) == [[{"schemaname": name}]]
    await executor.close()


@pytest.mark.parametrize("rights", ["", "USAGE"])
async def test_a_role_that_may_not_create_tables_is_refused(rights: str) -> None:
    role, schema = await new_role(rights)
    assert "Grant it USAGE and CREATE on the schema" in await refused(server().url(schema=schema, user=role))
    assert await tables_in(schema) == set()


async def test_a_schema_that_a_role_may_not_make_is_refused() -> None:
    role, _ = await new_role()
    assert "Grant it USAGE and CREATE" in await refused(server().url(schema="not_there", user=role))


async def test_a_schema_of_a_newer_version_is_refused_and_left_as_it_is() -> None:
    schema = new_schema()
    url = server().url(schema=schema)
    await (await opened(url)).close()
    await ask(f"INSERT INTO {schema}.threadkeep_migrations (name) VALUES ('9999_later.sql')")
    before = await everything_about(schema)
    assert "newer version" in await refused(url)
    assert await everything_about(schema) == before


async def test_a_newer_version_that_comes_first_is_noticed_by_who_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = new_schema()
    found = iter([set(), {"9999_later.sql"}])

    async def applied(*_: Any) -> set[str]:
        return next(found)

    monkeypatch.setattr(postgres_executor, "_applied", applied)
    assert "newer version" in await refused(server().url(schema=schema))
    assert await tables_in(schema) == set()


async def test_who_waits_too_long_for_another_to_migrate_is_told_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = new_schema()
    other = await asyncpg.connect(server().url())
    await other.fetchval("SELECT pg_advisory_lock($1)", postgres_executor._LOCK_OF_MIGRATIONS)
    monkeypatch.setattr(postgres_executor, "BATCH_SECONDS", 0.5)
    async with asyncio.timeout(60):
        assert "could not be reached, or was too busy" in await refused(server().url(schema=schema))
    assert await tables_in(schema) == set()
    await other.close()
    monkeypatch.undo()
    await (await opened(server().url(schema=schema))).close()
    assert await tables_in(schema) == TABLES


async def test_tables_of_something_else_are_left_alone() -> None:
    schema = new_schema()
    await ask(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.messages (subject text)")
    assert "?schema=threadkeep" in await refused(server().url(schema=schema))
    assert await tables_in(schema) == {"messages"}


async def test_a_wrong_password_is_refused_and_the_right_one_is_not() -> None:
    role, schema = await new_role("USAGE, CREATE", name=f"{SECRETIVE}_ada", options=f"PASSWORD '{PASSWORD}'")
    for password in (PASSWORD + "x", "", "p"):
        sentence = await refused(server().url(schema=schema, user=role, password=password))
        assert sentence == "Postgres refuses the user or the password of DATABASE_URL."
    await (await opened(server().url(schema=schema, user=role, password=PASSWORD))).close()


async def test_a_user_whom_nobody_knows_is_refused() -> None:
    assert "refuses the user" in await refused(server().url(user="nobody_knows", password=PASSWORD))


async def test_a_database_that_is_not_there_is_refused() -> None:
    assert "no such database" in await refused(server().url("not_there", password=PASSWORD))


async def test_a_database_in_another_encoding_is_refused() -> None:
    database = f"db_{new_schema()}"
    await ask(f"CREATE DATABASE {database} ENCODING 'SQL_ASCII' TEMPLATE template0")
    assert "not in UTF8" in await refused(server().url(database))


async def test_a_name_that_postgres_keeps_is_refused() -> None:
    assert "names that begin with pg_" in await refused(new_url(schema="pg_kept"))


async def test_a_role_without_a_connection_left_is_unavailable() -> None:
    role, schema = await new_role("USAGE, CREATE", options="CONNECTION LIMIT 0")
    assert "too many connections" in await refused(server().url(schema=schema, user=role))


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where somebody listens and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_a_server_that_never_answers_is_given_up(deaf: int) -> None:
    url = f"postgresql://ada:p%40ss@127.0.0.1:{deaf}/kept?connect_timeout=1"
    assert "could not be reached" in await refused(url)


@pytest.mark.parametrize(
    ("mode", "answer"),
    [("require", b"S"), ("verify-full", b"S"), ("disable", b"R\0\0\0\x08\0\0\0\0")],
    ids=["in the middle of TLS", "in the middle of checked TLS", "once it has let us in"],
)
async def test_a_server_that_falls_silent_is_given_up(mode: str, answer: bytes) -> None:
    is_given_up = asyncio.Event()

    async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):  # it is not the politest end
            writer.write(answer)
            await reader.read()  # until the other end is closed
            writer.close()
            await writer.wait_closed()
        is_given_up.set()

    listener = await asyncio.start_server(fall_silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(60):
        url = f"postgresql://ada:p%40ss@127.0.0.1:{port}/kept?connect_timeout=1&sslmode={mode}"
        assert "could not be reached" in await refused(url)
        await is_given_up.wait()
    listener.close()


async def test_a_port_where_nobody_listens_is_unavailable(deaf: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "could not be reached" in await refused(f"postgresql://ada:p%40ss@127.0.0.1:{port}/kept")


async def test_a_host_that_is_not_there_is_unavailable() -> None:
    assert "could not be reached" in await refused("postgresql://ada:p%40ss@not-there.invalid/kept?connect_timeout=5")


async def test_parameters_that_are_ignored_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await (await opened(new_url(work_mem="secret", channel_binding="secret"))).close()
    assert [record.getMessage() for record in caplog.records if record.name == "threadkeep"] == [
        "DATABASE_URL: the parameter 'work_mem' is ignored.",
        "DATABASE_URL: the parameter 'channel_binding' is ignored.",
    ]


async def test_what_is_no_postgres_is_unavailable() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    for mode in ("disable", "require"):
        assert "could not be reached" in await refused(f"postgresql://ada@127.0.0.1:{port}/kept?sslmode={mode}")
    listener.close()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_unavailable_where_tls_is_asked_for(mode: str) -> None:
    assert "could not be reached" in await refused(new_url(sslmode=mode))


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.crt").touch()
    for file in ("not-there.crt", "empty.crt"):
        sentence = await refused(new_url(sslmode="require", sslrootcert=str(tmp_path / file)))
        assert "the file of sslrootcert cannot be read" in sentence
