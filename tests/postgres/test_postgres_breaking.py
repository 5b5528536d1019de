"""What happens when Postgres, or the way to it, breaks: nothing acknowledged is lost, and nothing is kept twice."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support import stores
from support.postgres import SETTINGS, ask, new_folder, new_schema, new_url, server
from support.postgres_proxy import proxy
from support.records import all_messages, conversation, edit, message, message_edit, messages, new_message, plain
from threadkeep.conversations.records import SearchQuery
from threadkeep.errors import NotFound, Unavailable
from threadkeep.storage.postgres import executor as postgres_executor
from threadkeep.storage.postgres import pool
from threadkeep.storage.postgres.connection import PostgresFailed, sentence_for
from threadkeep.storage.sql.executor import read
from tools.local.postgres import LocalPostgres

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def test_a_restart_under_load_loses_nothing_that_was_acknowledged_and_doubles_nothing() -> None:
    with LocalPostgres(new_folder(), settings=SETTINGS) as own:
        executor = await stores.open_postgres(own.url(connect_timeout=2, pool_timeout=2))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        acknowledged: dict[str, int] = {}
        failures: list[Unavailable] = []
        defects: list[BaseException] = []
        goes_on, is_lost = True, False
        progress = asyncio.Semaphore(0)

        async def write() -> None:
            while goes_on:
                sent = message("under load")
                while sent.id not in acknowledged and not is_lost:
                    try:
                        answer, _ = await store.append_messages(created.id, [sent])
                        acknowledged[sent.id] = answer.messages[0].seq
                    except Unavailable as error:  # and try again, with the same id
                        failures.append(error)
                        await asyncio.sleep(0.01)
                    except BaseException as error:  # a defect
                        defects.append(error)
                        raise
                    finally:
                        progress.release()

        async def hundred_more() -> None:
            enough = len(acknowledged) + 100
            while len(acknowledged) < enough:
                await progress.acquire()
                assert defects == []

        writers = [asyncio.create_task(write()) for _ in range(16)]
        try:
            for at_once in (True, False):
                await hundred_more()
                await asyncio.to_thread(own.stop, at_once=at_once)
                await asyncio.sleep(0.05)
                await asyncio.to_thread(own.start)
            await hundred_more()
        finally:
            goes_on, is_lost = False, defects != []
            await asyncio.gather(*writers, return_exceptions=True)
        assert defects == []
        kept = await all_messages(store, created.id)
        assert {row.id: row.seq for row in kept} == acknowledged
        assert [row.seq for row in kept] == list(range(1, len(kept) + 1))
        assert failures
        assert {str(error) for error in failures} == {"Postgres could not be reached, or was too busy. Try again."}
        await executor.close()


UNDONE = """
    SET search_path = "{schema}";
    CREATE SEQUENCE times;
    CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('"{schema}".times') <= {times} THEN
            RAISE EXCEPTION 'for another' USING ERRCODE = '{sqlstate}';
        END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER undo BEFORE {event} FOR EACH ROW EXECUTE FUNCTION undo();
"""
"""Lets the first events fail, such as `INSERT ON messages`. A sequence goes on counting whatever is rolled back."""


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_what_the_server_undoes_for_another_writer_is_begun_again_and_given_up_at_the_fifth_time(
    sqlstate: str,
) -> None:
    for times, is_kept in ((4, True), (5, False)):
        url = new_url()
        schema = url.partition("schema=")[2]
        executor = await stores.open_postgres(url)
        await ask(UNDONE.format(schema=schema, times=times, sqlstate=sqlstate, event="INSERT ON messages"))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        sent = message()
        if is_kept:
            await store.append_messages(created.id, [sent])
        else:
            with pytest.raises(Unavailable, match="too busy"):
                await store.append_messages(created.id, [sent])
        assert [row.id for row in await all_messages(store, created.id)] == [sent.id] * is_kept
        await executor.close()


async def test_an_edit_that_reads_first_is_begun_again_and_given_up_at_the_fifth_time() -> None:
    for times, is_kept in ((4, True), (5, False)):
        url = new_url()
        schema = url.partition("schema=")[2]
        executor = await stores.open_postgres(url)
        event = "UPDATE ON conversations"
        await ask(UNDONE.format(schema=schema, times=times, sqlstate="40001", event=event))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        changed = edit(metadata={"color": "red"})
        if is_kept:
            edited = await store.update_conversation(created.id, changed)
            assert plain(edited.metadata) == {"color": "red"}
        else:
            with pytest.raises(Unavailable, match="too busy"):
                await store.update_conversation(created.id, changed)
            assert (await store.get_conversation(created.id)).version == 1
        (tried,) = await ask(f'SELECT last_value FROM "{schema}".times')
        assert tried["last_value"] == 5
        await executor.close()


WRITING = """
import asyncio, json, sys
from support import stores
from support.records import message

async def main(url, conversation_id, count):
    executor = await stores.open_postgres(url)
    print("ready", flush=True)
    sys.stdin.readline()
    receipts = []

    async def write():
        for _ in range(5):
            store = stores.open_sql(executor, "ada")
            answer, is_new = await store.append_messages(conversation_id, [message(), message()])
            assert is_new
            receipts.extend([row.id, row.seq] for row in answer.messages)

    await asyncio.gather(*(write() for _ in range(int(count))))
    await executor.close()
    print(json.dumps(receipts), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_64_writers_in_4_processes_leave_no_gap() -> None:
    url = new_url()
    executor = await stores.open_postgres(url)
    store = stores.open_sql(executor, "ada")
    created, _ = await store.create_conversation(conversation())
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests", "scripts"))
    environment = {**os.environ, "PYTHONPATH": paths}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITING, url, created.id, "16", env=environment, **pipes
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    receipts: dict[str, int] = {}
    for said, complaint in await asyncio.gather(*(process.communicate(b"\n") for process in processes)):
        assert complaint == b""
        receipts |= dict(json.loads(said))
    kept = await all_messages(store, created.id)
    assert {row.id: row.seq for row in kept} == receipts
    assert [row.seq for row in kept] == list(range(1, 64 * 5 * 2 + 1))
    assert (await store.get_conversation(created.id)).message_count == 640
    await executor.close()


async def test_a_write_whose_confirmation_is_lost_is_unavailable_and_a_repeat_finds_it_kept() -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema()))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        sent = [message("kept, though nobody heard")]
        between.breaks_after = b"COMMIT\0"
        with pytest.raises(Unavailable, match="could not be reached"):
            await store.append_messages(created.id, sent)
        answer, is_new = await store.append_messages(created.id, sent)
        assert (is_new, answer.messages[0].seq) == (False, 1)
        await executor.close()


async def test_a_write_that_breaks_before_it_is_committed_is_not_kept() -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema()))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        sent = [message("never kept")]
        between.breaks_after = b"BEGIN"
        with pytest.raises(Unavailable, match="could not be reached"):
            await store.append_messages(created.id, sent)
        assert await all_messages(store, created.id) == []
        assert (await store.append_messages(created.id, sent))[1]
        await executor.close()


async def test_a_server_that_stops_answering_is_given_up_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema()))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation(new_message()))
        monkeypatch.setattr(postgres_executor, "BATCH_SECONDS", 0.3)
        executor._connections._seconds = 1  # type: ignore[attr-defined]
        between.flows.clear()
        for attempt in (store.append_messages(created.id, messages(1)), store.get_conversation(created.id)):
            with pytest.raises(Unavailable, match="could not be reached"):
                await attempt
        monkeypatch.undo()
        executor._connections._seconds = 10  # type: ignore[attr-defined]
        between.flows.set()
        assert (await store.get_conversation(created.id)).message_count == 1
        await executor.close()


async def test_a_search_that_nobody_answers_is_given_up_before_anything_else_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema()))
        monkeypatch.setattr(postgres_executor, "SEARCH_SECONDS", 0.3)
        between.flows.clear()
        with pytest.raises(Unavailable, match="The search took too long"):
            await stores.open_sql(executor, "ada").search(SearchQuery(text="word"))
        between.flows.set()
        await executor.close()


async def test_who_waits_too_long_for_a_connection_is_told() -> None:
    executor = await stores.open_postgres(new_url(connection_limit=1))
    async with executor.connection():  # type: ignore[attr-defined]
        executor._connections._seconds = 0.1  # type: ignore[attr-defined]
        with pytest.raises(Unavailable, match="could not be reached, or was too busy"):
            await stores.open_sql(executor, "ada").list_conversations()
    await executor.close()


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CLOSE_SECONDS", 0.1)
    executor = await stores.open_postgres(new_url())
    with pytest.raises(Unavailable):  # noqa: PT012 it is the end of the connection that tells
        async with executor.connection() as connection:  # type: ignore[attr-defined]
            await executor.close()  # type: ignore[attr-defined]
            await connection.run([("SELECT 1", ())])


async def test_who_gives_up_leaves_nothing_half_done() -> None:
    executor = await stores.open_postgres(new_url(connection_limit=2, sslmode="disable"))
    store = stores.open_sql(executor, "ada")
    created, _ = await store.create_conversation(conversation())
    for delay in range(40):
        task = asyncio.create_task(store.append_messages(created.id, messages(3)))
        await asyncio.sleep(delay / 10_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    kept = await all_messages(store, created.id)
    assert [row.seq for row in kept] == list(range(1, len(kept) + 1))
    assert len(kept) % 3 == 0
    assert (await store.get_conversation(created.id)).message_count == len(kept)
    await executor.close()


async def test_behind_a_pooler_that_parts_transactions_everything_works_and_no_statement_is_prepared() -> None:
    async with proxy(parts_transactions=True) as between:
        executor = await stores.open_postgres(between.url(new_schema(), pgbouncer="true", connection_limit=1))
        store = stores.open_sql(executor, "ada")
        record = conversation(new_message("one"))
        for is_new in (True, False, False):
            assert (await store.create_conversation(record))[1] is is_new
            assert len((await store.list_conversations()).conversations) == 1
            assert len((await store.list_conversations(cursor=record.id)).conversations) == 0
            assert len(await all_messages(store, record.id)) == 1
        async with executor.connection() as connection:  # type: ignore[attr-defined]
            count = "SELECT count(*) AS count FROM pg_prepared_statements"
            assert await connection.run([(count, ())]) == [[{"count": 0}]]
        await executor.close()


@pytest.mark.parametrize(("pgbouncer", "more"), [("false", 0), ("true", 2)])
async def test_a_read_is_one_round_trip_a_search_three_and_a_write_a_few_more_than_it_has_statements(
    pgbouncer: str, more: int
) -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema(), pgbouncer=pgbouncer, connection_limit=1))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        for _ in range(2):  # the first time, the connection learns its statements
            other, _ = await store.create_conversation(conversation())
            counts = []
            for operation in (
                store.get_conversation(created.id),
                store.search(SearchQuery(text="word")),
                store.list_conversations(cursor=created.id),
                store.create_conversation(conversation(new_message())),
                store.append_messages(created.id, messages(100)),
                store.update_conversation(created.id, edit(metadata={"a": 1})),
                store.delete_conversation(other.id),
            ):
                before = between.round_trips
                await operation
                counts.append(between.round_trips - before)
        assert counts == [1 + more, 3, 4, 9, 9, 8, 6]
        await executor.close()


async def test_an_edit_of_a_message_is_as_many_round_trips_as_one_of_a_conversation() -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema(), pgbouncer="true", connection_limit=1))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation(sent := new_message()))
        counts = []
        for attempt in (
            store.update_conversation(created.id, edit(metadata={"a": 1})),
            store.update_message(created.id, str(sent.id), message_edit({"a": 1})),
        ):
            before = between.round_trips
            await attempt
            counts.append(between.round_trips - before)
        assert counts == [8, 8]
        await executor.close()


async def test_edits_of_metadata_at_once_wait_for_each_other_and_none_begins_again() -> None:
    async with proxy() as between:
        executor = await stores.open_postgres(between.url(new_schema(), connection_limit=8))
        store = stores.open_sql(executor, "ada")
        created, _ = await store.create_conversation(conversation())
        edits = [edit(metadata={f"key {number}": number}) for number in range(32)]
        before = between.round_trips
        await asyncio.gather(*(store.update_conversation(created.id, each) for each in edits))
        connecting = 2 * 7  # one connection is there already, and asyncpg takes this to open another
        assert between.round_trips - before <= 32 * 8 + connecting
        assert len(plain((await store.get_conversation(created.id)).metadata)) == 32
        await executor.close()


async def test_a_pooler_that_was_not_named_is_found_out() -> None:
    async with proxy(parts_transactions=True) as between:
        schema = new_schema()
        await (await stores.open_postgres(between.url(schema, pgbouncer="true"))).close()  # type: ignore[attr-defined]
        with pytest.raises(Unavailable, match=r"Add pgbouncer=true to DATABASE_URL\."):  # noqa: PT012 whichever is first
            executor = await stores.open_postgres(between.url(schema, connection_limit=1))
            for _ in range(9):
                await stores.open_sql(executor, "ada").list_conversations()


async def test_a_database_that_takes_no_writes_is_unavailable_and_can_be_read() -> None:
    schema = new_schema()
    role = f"reader_{schema}"
    await (await stores.open_postgres(server().url(schema=schema))).close()  # type: ignore[attr-defined]
    await ask(f"CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET default_transaction_read_only = on")
    executor = await stores.open_postgres(server().url(schema=schema, user=role))
    store = stores.open_sql(executor, "ada")
    assert (await store.list_conversations()).conversations == []
    for write in (store.create_conversation(conversation()), executor.try_to_write()):
        with pytest.raises(Unavailable, match="takes no writes now"):
            await write
    await executor.close()


async def test_a_write_is_tried_on_the_disk_and_leaves_nothing_there() -> None:
    schema = new_schema()
    role = f"frugal_{schema}"
    executor = await stores.open_postgres(server().url(schema=schema))

    async def kept() -> list[Any]:
        text = "SELECT c.oid, pg_relation_size(c.oid) FROM pg_class AS c WHERE c.relnamespace = $1::regnamespace"
        versions = f"SELECT a.ctid::text, a.name FROM {schema}.threadkeep_migrations AS a"
        return [*map(tuple, await ask(text, schema)), *map(tuple, await ask(versions))]

    before = await kept()
    await asyncio.gather(*(executor.try_to_write() for _ in range(50)))
    assert await kept() == before
    await executor.close()
    await ask(f"CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET temp_file_limit = 0")
    executor = await stores.open_postgres(server().url(schema=schema, user=role))
    with pytest.raises(Unavailable) as raised:
        await executor.try_to_write()
    assert "temp_file_limit" in str(raised.value.__cause__)
    await executor.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own, with room for a database and little more."""
    folder = new_folder()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root alone")
    try:
        shutil.chown(folder, "nobody")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_disk_without_room_is_noticed_before_anybody_writes_and_so_is_room(small_disk: Path) -> None:
    name = f"t{new_schema()}"
    await ask(f"CREATE TABLESPACE {name} LOCATION '{small_disk}'")
    await ask(f"CREATE DATABASE {name} TABLESPACE {name}")
    executor = await stores.open_postgres(server().url(name))
    store = stores.open_sql(executor, "ada")
    created, _ = await store.create_conversation(conversation())
    await executor.try_to_write()
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(Unavailable, match="The disk of Postgres is full"):
        await executor.try_to_write()
    with pytest.raises(Unavailable, match="The disk of Postgres is full"):
        await store.append_messages(created.id, [message("x" * 100_000)])
    assert (await store.get_conversation(created.id)).message_count == 0
    filler.unlink()
    await executor.try_to_write()
    await executor.close()
    await ask(f"DROP DATABASE {name}")
    await ask(f"DROP TABLESPACE {name}")


async def test_tables_that_are_gone_are_unavailable_and_come_back_with_the_next_start() -> None:
    schema = new_schema()
    executor = await stores.open_postgres(server().url(schema=schema))
    await ask(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(Unavailable, match="lacks its tables"):
        await stores.open_sql(executor, "ada").list_conversations()
    await executor.close()
    executor = await stores.open_postgres(server().url(schema=schema))
    assert (await stores.open_sql(executor, "ada").list_conversations()).conversations == []
    await executor.close()


async def test_a_statement_of_ours_that_is_wrong_is_a_defect() -> None:
    executor = await stores.open_postgres(new_url())
    with pytest.raises(PostgresFailed, match="syntax error"):
        await executor.run(read("SELECT FROM WHERE", mark="$")())
    with pytest.raises(PostgresFailed):
        await executor.run(read("SELECT CAST(:a AS integer)", mark="$")(a="x"))
    await executor.close()


async def test_a_user_who_comes_into_being_meanwhile_is_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that found no owner to lock looks again, at one moment, and so does nothing or all of it."""
    executor = await stores.open_postgres(new_url())
    store = stores.open_sql(executor, "ada")
    record = conversation(new_message())
    assert isinstance(executor, postgres_executor.PostgresExecutor)
    lock = executor._lock_owner
    looked: list[str] = []

    class Late:
        """The statement that locks, before which the user is created, the first time."""

        def __call__(self, **values: Any) -> Any:
            looked.append(values["user"])
            return read("SELECT 1 AS answer WHERE CAST(:user AS text) IS NULL", mark="$")(**values)

    monkeypatch.setattr(executor, "_lock_owner", Late())
    with pytest.raises(NotFound):
        await store.append_messages(record.id, messages(1))
    assert looked == ["ada"]
    await store.create_conversation(record)
    with pytest.raises(NotFound):
        await store.update_conversation(record.id, edit(metadata={"a": 1}))
    assert plain((await store.get_conversation(record.id)).metadata) == {}
    appended, is_new = await store.append_messages(record.id, messages(1))
    assert (is_new, appended.messages[0].seq) == (True, 2)
    monkeypatch.setattr(executor, "_lock_owner", lock)
    assert len(await all_messages(store, record.id)) == 2
    await executor.close()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (asyncpg.DiskFullError("x"), "The disk of Postgres is full."),
        (asyncpg.OutOfMemoryError("x"), "could not be reached, or was too busy"),
        (asyncpg.TooManyConnectionsError("x"), "too many connections"),
        (asyncpg.ReadOnlySQLTransactionError("x"), "takes no writes"),
        (asyncpg.AdminShutdownError("x"), "could not be reached"),
        (asyncpg.CrashShutdownError("x"), "could not be reached"),
        (asyncpg.CannotConnectNowError("x"), "could not be reached"),
        (asyncpg.QueryCanceledError("x"), "could not be reached"),
        (asyncpg.SerializationError("x"), "could not be reached"),
        (asyncpg.DeadlockDetectedError("x"), "could not be reached"),
        (asyncpg.LockNotAvailableError("x"), "could not be reached"),
        (asyncpg.IdleInTransactionSessionTimeoutError("x"), "could not be reached"),
        (asyncpg.PostgresIOError("x"), "could not be reached"),
        (asyncpg.ConnectionDoesNotExistError("x"), "could not be reached"),
        (asyncpg.InterfaceError("connection is closed"), "could not be reached"),
        (asyncpg.InternalClientError("another operation is in progress"), "could not be reached"),
        (ConnectionResetError("x"), "could not be reached"),
        (TimeoutError("x"), "could not be reached"),
        (asyncpg.DuplicatePreparedStatementError("x"), "Add pgbouncer=true"),
        (asyncpg.UniqueViolationError("x"), None),
        (asyncpg.CheckViolationError("x"), None),
        (asyncpg.PostgresSyntaxError("x"), None),
        (asyncpg.exceptions.DataError("x"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_out_of_reach_is_told_from_what_is_a_defect(error: Exception, sentence: str | None) -> None:
    said = sentence_for(pool.translated(error))
    assert (said is None) == (sentence is None)
    assert (sentence or "") in (said or "")
