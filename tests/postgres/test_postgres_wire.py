"""The connection that only awaits: how it signs in, what it sends and hears, and whom it does not believe."""

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from struct import pack
from typing import Any

import asyncpg
import pytest

from support import postgres_stream, stores
from support.postgres import SETTINGS, new_folder, new_schema, server
from support.postgres_tls import AUTHORITY, STRANGER, tls_only
from threadkeep.errors import Unavailable
from threadkeep.storage.postgres import executor as postgres_executor
from threadkeep.storage.postgres.connection import PostgresFailed, sentence_for
from threadkeep.storage.postgres.executor import PostgresExecutor
from threadkeep.storage.postgres.scram import ITERATIONS_MAX, Scram, ScramFailed
from threadkeep.storage.postgres.wire import WireConnection
from threadkeep.storage.sql.executor import read
from tools.local.postgres import LocalPostgres

pytestmark = pytest.mark.anyio

REFUSED = "Postgres refuses the user or the password of DATABASE_URL."
UNREACHABLE = "Postgres could not be reached, or was too busy. Try again."
# Whoever has this in the name signs in in this way.
RULES = """
host all "/plain" 127.0.0.1/32 password
host all "/hashed" 127.0.0.1/32 md5
host all "/proven" 127.0.0.1/32 scram-sha-256
"""
PASSWORDS = {
    "letters": "secret",
    "of an URL": "p@ss/word?#%20",
    "not ASCII": "pässwörd ⅷ",
    "with what SASLprep maps": "a\u00adb\u00a0c",
    "with what SASLprep forbids": "a\u0007b\u0627c",
}


@pytest.fixture(scope="module")
def asking() -> Iterator[LocalPostgres]:
    """A server that asks for passwords."""
    with LocalPostgres(new_folder(), settings=SETTINGS, rules=RULES) as started:
        yield started


@pytest.fixture
def trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=AUTHORITY)


async def new_role(at: LocalPostgres, name: str, password: str, *, hashed: bool = False) -> str:
    connection = await asyncpg.connect(at.url())
    encryption = "md5" if hashed else "scram-sha-256"
    quoted = password.replace("'", "''")
    try:
        await connection.execute(
            f"SET password_encryption = '{encryption}'; DROP ROLE IF EXISTS {name}; "
            f"CREATE ROLE {name} LOGIN PASSWORD '{quoted}'"
        )
    finally:
        await connection.close()
    return name


async def one(connection: WireConnection, text: str, *values: Any) -> Any:
    """The rows of one statement."""
    (rows,) = await connection.run([(text, values)])
    return rows


@pytest.mark.parametrize("how", ["plain", "hashed", "proven"])
@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
async def test_it_signs_in_in_every_way_and_with_every_password(asking: LocalPostgres, how: str, password: str) -> None:
    role = await new_role(asking, f"role_{how}", password, hashed=how == "hashed")
    connection = await postgres_stream.connect(asking.url(user=role, password=password, sslmode="disable"))
    assert await one(connection, "SELECT current_user AS me") == [{"me": role}]
    connection.terminate()
    for wrong in ("wrong", password + "x", ""):
        with pytest.raises(PostgresFailed) as raised:
            await postgres_stream.connect(asking.url(user=role, password=wrong, sslmode="disable"))
        assert sentence_for(raised.value) == REFUSED
        assert password not in str(raised.value)


async def test_it_speaks_tls_with_a_server_whose_certificate_is_good(trusted: ssl.SSLContext) -> None:
    for mode in ("prefer", "require", "verify-ca", "verify-full"):
        async with tls_only(sslmode=mode) as url:
            connection = await postgres_stream.connect(url, trusted)
            text = "x" * 1_000_000
            assert await one(connection, "SELECT CAST($1 AS text) AS text", text) == [{"text": text}]
            connection.terminate()


async def test_a_certificate_that_nobody_vouches_for_is_not_believed() -> None:
    for mode in ("prefer", "require", "verify-full"):
        async with tls_only(sslmode=mode) as url:
            with pytest.raises(PostgresFailed, match="certificate") as raised:
                await postgres_stream.connect(url)
            assert sentence_for(raised.value) == UNREACHABLE


async def test_the_driver_of_servers_speaks_tls_and_checks_certificates_too() -> None:
    async with tls_only(schema=new_schema()) as url:
        for mode in ("prefer", "require"):
            await (await stores.open_postgres(f"{url}&sslmode={mode}")).close()
        for mode in ("require", "verify-ca", "verify-full"):
            await (await stores.open_postgres(f"{url}&sslmode={mode}&sslrootcert={AUTHORITY}")).close()
            with pytest.raises(Unavailable, match="could not be reached"):
                await stores.open_postgres(f"{url}&sslmode={mode}&sslrootcert={STRANGER}")
        elsewhere = f"{url}&sslrootcert={AUTHORITY}&host=127.0.0.1"
        with pytest.raises(Unavailable, match="could not be reached"):
            await stores.open_postgres(f"{elsewhere}&sslmode=verify-full")
        await (await stores.open_postgres(f"{elsewhere}&sslmode=verify-ca")).close()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_refused_where_tls_is_asked_for(mode: str) -> None:
    with pytest.raises(PostgresFailed, match="does not speak TLS"):
        await postgres_stream.connect(server().url(sslmode=mode))
    connection = await postgres_stream.connect(server().url(sslmode="prefer"))
    connection.terminate()


@pytest.fixture
async def connection() -> AsyncIterator[WireConnection]:
    connection = await postgres_stream.connect(server().url(sslmode="disable"))
    yield connection
    connection.terminate()


async def test_values_go_and_come_as_they_are(connection: WireConnection) -> None:
    text = """SELECT CAST($1 AS bigint) AS number, CAST($2 AS text) AS word, CAST($3 AS boolean) AS truth,
      CAST($4 AS text) AS nothing, CAST($5 AS smallint) AS small, CAST($6 AS json) AS json, NOT $3 AS lie,
      CAST($7 AS text) AS empty"""
    sent = (-(2**53), "naïve 🦔\n'\"\\", 1, None, 7, '{"a": 1e400}', "")
    assert await one(connection, text, *sent) == [
        {
            "number": -(2**53),
            "word": "naïve 🦔\n'\"\\",
            "truth": True,
            "nothing": None,
            "small": 7,
            "json": '{"a": 1e400}',
            "lie": False,
            "empty": "",
        }
    ]


async def test_many_statements_are_answered_in_order_each_with_its_rows(connection: WireConnection) -> None:
    answers = await connection.run(
        [
            ("CREATE TEMPORARY TABLE kept (x bigint, y text)", ()),
            ("INSERT INTO kept SELECT n, 'row ' || n FROM generate_series(1, 3) AS n", ()),
            ("SELECT k.x FROM kept AS k WHERE FALSE", ()),
            ("", ()),
            ("SELECT k.y, k.x FROM kept AS k WHERE k.x >= $1 ORDER BY k.x", (2,)),
            ("DELETE FROM kept WHERE x = $1 RETURNING y", (1,)),
        ],
        begin=("BEGIN", "SET LOCAL statement_timeout = '9s'"),
        commits=True,
    )
    assert answers == [[], [], [], [], [{"y": "row 2", "x": 2}, {"y": "row 3", "x": 3}], [{"y": "row 1"}]]
    assert await connection.run([]) == []
    assert await one(connection, "SELECT count(*) AS n FROM kept") == [{"n": 2}]


async def test_megabytes_go_both_ways_at_once(connection: WireConnection) -> None:
    texts = [str(number) * 1_000_000 for number in range(8)]
    answers = await connection.run([("SELECT CAST($1 AS text) AS text", (text,)) for text in texts])
    assert answers == [[{"text": text}] for text in texts]


@pytest.mark.parametrize("begin", [(), ("BEGIN",)])
async def test_after_a_failure_nothing_more_is_run_and_nothing_is_kept(
    connection: WireConnection, begin: tuple[str, ...]
) -> None:
    name = f"kept_{len(begin)}"
    created = (f"CREATE TABLE {name} (x bigint)", ())
    for failing in (("INSERT INTO not_there VALUES (1)", ()), ("SELECT 1 / $1", (0,)), ("SELECT FROM WHERE", ())):
        again = await postgres_stream.connect(server().url(sslmode="disable"))
        with pytest.raises(PostgresFailed) as raised:
            await again.run([created, failing, (f"INSERT INTO {name} VALUES (1)", ())], begin=begin, commits=True)
        assert raised.value.sqlstate in ("42P01", "22012", "42601")
        again.terminate()
    assert await one(connection, "SELECT 1 FROM pg_tables WHERE tablename = $1", name) == []


async def test_what_the_server_says_before_it_ends_a_connection_is_what_is_raised(connection: WireConnection) -> None:
    with pytest.raises(PostgresFailed) as raised:
        await one(connection, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert raised.value.sqlstate == "57P01"
    with pytest.raises(PostgresFailed) as raised:
        await one(connection, "SELECT 1")
    assert sentence_for(raised.value) == UNREACHABLE


async def test_what_takes_too_long_is_given_up_and_its_connection_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_executor, "BATCH_SECONDS", 0.5)
    executor = PostgresExecutor(postgres_stream.OneEach(server().url(sslmode="disable")), "public")
    with pytest.raises(Unavailable, match="could not be reached, or was too busy"):
        await executor.run(read("SELECT pg_sleep(60)", mark="$")())
    (row,) = (await executor.run(read("SELECT 1 AS one", mark="$")()))[0]
    assert row == {"one": 1}
    await executor.close()


# Servers that are none.

Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NONCE = b"x" * 9


def said(kind: bytes, body: bytes) -> bytes:
    """A message of a server."""
    return kind + pack("!i", 4 + len(body)) + body


def challenge(first: bytes, **changes: bytes) -> bytes:
    """What a server says to the first message of SCRAM."""
    fields = {"r": first.partition(b"r=")[2] + NONCE, "s": b64encode(b"salt"), "i": b"4096", **changes}
    return b",".join(name.encode() + b"=" + value for name, value in fields.items())


@contextlib.asynccontextmanager
async def impostor(say: Say) -> AsyncIterator[str]:
    """The URL of a server that says what it is told to."""
    done: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # whoever was deceived has gone
            await say(reader, writer)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"postgres://ada:secret@127.0.0.1:{listener.sockets[0].getsockname()[1]}/x"
    listener.close()
    await asyncio.gather(*done, return_exceptions=True)


async def begun(reader: asyncio.StreamReader) -> None:
    """Hear how a connection begins."""
    await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Hear one message."""
    head = await reader.readexactly(5)
    return await reader.readexactly(int.from_bytes(head[1:]) - 4)


ANSWERS = {
    "nothing": (b"", "gone"),
    "a page of HTML": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Postgres"),
    "half a message": (said(b"R", pack("!i", 0))[:-2], "gone"),
    "a message of no length": (b"R\0\0\0\0", "no Postgres"),
    "a way of its own to sign in": (said(b"R", pack("!i", 7)), "a way of its own"),
    "no way that we know": (said(b"R", pack("!i", 10) + b"SCRAM-SHA-512\0\0"), "a way of its own"),
    "that the password was proven, when it was not": (said(b"R", pack("!i", 12) + b"v=x"), "knows the password"),
    "an error without a code": (said(b"E", b"Mno\0\0"), "no"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_server_that_is_none_is_given_up(answer: tuple[bytes, str]) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begun(reader)
        writer.write(answer[0])

    async with impostor(say) as url:
        with pytest.raises(PostgresFailed, match=answer[1]):
            await postgres_stream.connect(f"{url}?sslmode=disable")


async def test_what_comes_before_tls_is_not_taken_for_what_comes_by_tls() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begun(reader)
        writer.write(b"S" + said(b"R", pack("!i", 0)) + said(b"Z", b"I"))

    async with impostor(say) as url:
        with pytest.raises(PostgresFailed, match="more than the answer"):
            await postgres_stream.connect(url)


@pytest.mark.parametrize("method", [3, 5, 10])
async def test_nobody_gets_a_password_that_was_not_set(method: int) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begun(reader)
        writer.write(said(b"R", pack("!i", method) + b"SCRAM-SHA-256\0\0"))
        assert await reader.read() == b""

    async with impostor(say) as url:
        with pytest.raises(PostgresFailed, match="asks for a password"):
            await postgres_stream.connect(url.replace(":secret", "") + "?sslmode=disable")


async def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begun(reader)
        writer.write(said(b"R", pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        writer.write(said(b"R", pack("!i", 11) + challenge(await heard(reader))))
        assert b"secret" not in await heard(reader)
        writer.write(said(b"R", pack("!i", 12) + b"v=" + b64encode(b"x" * 32)))
        writer.write(said(b"R", pack("!i", 0)) + said(b"Z", b"I"))

    async with impostor(say) as url:
        with pytest.raises(PostgresFailed, match="does not show that it knows the password"):
            await postgres_stream.connect(f"{url}?sslmode=disable")


CHALLENGES: dict[str, dict[str, bytes]] = {
    "another's nonce": {"r": b"another"},
    "our nonce and nothing more": {"r": b"nonce"},
    "a salt that is no base64": {"s": b"!"},
    "no iterations": {"i": b"0"},
    "iterations that are no number": {"i": b"many"},
    "iterations without end": {"i": str(ITERATIONS_MAX + 1).encode()},
}


@pytest.mark.parametrize("changes", CHALLENGES.values(), ids=CHALLENGES)
async def test_a_challenge_that_is_not_one_to_answer_is_not_answered(changes: dict[str, bytes]) -> None:
    scram = Scram("secret", "nonce", postgres_stream.derive_key)
    with pytest.raises(ScramFailed, match="challenge is"):
        await scram.final(challenge(scram.first, **changes))
    with pytest.raises(ScramFailed, match="malformed"):
        await scram.final(b"e=other-error")


async def test_a_challenge_that_is_not_one_to_answer_ends_the_connection() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begun(reader)
        writer.write(said(b"R", pack("!i", 11) + b"e=no"))

    async with impostor(say) as url:
        with pytest.raises(PostgresFailed, match="malformed"):
            await postgres_stream.connect(f"{url}?sslmode=disable")
