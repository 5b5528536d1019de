"""The client for agents: whom it asks, as whom, and that a file does without a server."""

from pathlib import Path

import apsw
import httpx
import pytest

from support.in_process import SERVICE_KEY, over_memory
from threadkeep.client import AsyncClient, RemoteState, open_state
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, put
from threadkeep.errors import Invalid, NotFound, Unavailable
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.storage.sqlite import migrations
from threadkeep.storage.sqlite.file import SqliteFile

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "USER"):
        monkeypatch.delenv(f"THREADKEEP_{name}", raising=False)


def client_over(database: MemoryDatabase, user: str) -> AsyncClient:
    return AsyncClient("http://threadkeep", key=SERVICE_KEY, user=user, transport=over_memory(database))


@pytest.mark.parametrize("user", ["ada", "Ada Lovelace", "名前"])
async def test_a_client_asks_as_its_user(user: str) -> None:
    database = MemoryDatabase()
    async with client_over(database, user) as client:
        await put(client.state, head={"n": 1})
        await append(client.state, 1, 2)
        assert await contents(client.state) == [1, 2]
        assert (await client.store.list_conversations()).conversations == []
        assert client.state.bookmark is client.store.bookmark is None
    assert await contents(database.open_store(user).state) == [1, 2]
    async with client_over(database, "somebody else") as other:
        with pytest.raises(NotFound):
            await other.state.get_journal(SPACE, KEY)


async def test_an_erasure_confirms_the_user_of_the_client() -> None:
    database = MemoryDatabase()
    async with client_over(database, "ada") as client:
        await put(client.state)
        assert (await client.store.erase()).journals == 1


async def test_the_bookmark_of_one_kind_is_that_of_the_other() -> None:
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("X-D1-Bookmark"))
        return httpx.Response(200, json={"journals": [], "nextCursor": None}, headers={"X-D1-Bookmark": "later"})

    async with AsyncClient("http://threadkeep", transport=httpx.MockTransport(answer)) as client:
        for _ in range(2):
            await client.state.list_journals(SPACE)
        assert client.store.bookmark == client.state.bookmark == "later"
    assert sent == [None, "later"]


async def test_what_is_not_said_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="Say which server to ask: by its URL, or set THREADKEEP_URL"):
        AsyncClient()
    monkeypatch.setenv("THREADKEEP_URL", "https://kept.example/below")
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"journals": [], "nextCursor": None})

    transport = httpx.MockTransport(answer)
    await AsyncClient(transport=transport).state.list_journals("a/b")
    monkeypatch.setenv("THREADKEEP_KEY", "tk_set")
    monkeypatch.setenv("THREADKEEP_USER", "ada")
    await AsyncClient(transport=transport).state.list_journals("s")
    await AsyncClient("https://other.example", key="tk_given", user="bob", transport=transport).state.list_journals("s")
    assert [str(request.url).partition("?")[0] for request in asked] == [
        "https://kept.example/below/api/journals/a%2Fb",
        "https://kept.example/below/api/journals/s",
        "https://other.example/api/journals/s",
    ]
    who = [(request.headers.get("Authorization"), request.headers.get("X-User-Id")) for request in asked]
    assert who == [(None, None), ("Bearer tk_set", "ada"), ("Bearer tk_given", "bob")]


async def test_a_url_opens_the_state_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_state("https://kept.example", key="tk_key", user="ada") as state:
        assert isinstance(state, RemoteState)
    monkeypatch.setenv("THREADKEEP_URL", "https://kept.example")
    async with open_state() as state:
        assert isinstance(state, RemoteState)


async def test_a_file_needs_no_server_and_keeps_each_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "agents.sqlite"
    async with open_state(file) as state:
        await put(state)
        await append(state, 1)
    async with open_state(str(file), user="local") as state:
        assert await contents(state) == [1]
    monkeypatch.setenv("THREADKEEP_USER", "ada")
    async with open_state(file) as state:
        with pytest.raises(NotFound):
            await contents(state)


async def test_what_was_deleted_is_gone_from_the_file_when_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "agents.sqlite"
    async with open_state(file) as state:
        await put(state)
        await append(state, "a-word-that-nobody-else-says")
        await state.delete_journal(SPACE, KEY)
    assert b"a-word-that-nobody-else-says" not in file.read_bytes()
    connection = apsw.Connection(str(file))
    assert connection.execute("SELECT count(*) FROM journals").fetchall() == [(0,)]
    connection.close()


async def test_a_file_that_a_server_has_too_is_the_same_database(tmp_path: Path) -> None:
    file = tmp_path / "agents.sqlite"
    executor = await SqliteFile.open(str(file), migrations.MIGRATIONS)
    async with open_state(file, user="ada") as state:
        await put(state)
    (rows,) = await executor.run(executor.statements.count_all(user="ada"))
    assert '"journals":1' in rows[0]["answer"]
    await executor.close()


async def test_memory_is_kept_as_long_as_it_is_open() -> None:
    async with open_state(":memory:") as state:
        await put(state)
        await append(state, 1)
        assert await contents(state) == [1]
    async with open_state(":memory:") as state:
        assert (await state.list_journals(SPACE)).journals == []


async def test_what_is_no_file_of_ours_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"no database, but a text that is long enough to be one" * 20)
    with pytest.raises(Unavailable):
        async with open_state(tmp_path / "other"):
            raise AssertionError("it was opened")


async def test_a_blob_that_was_damaged_on_its_way_is_not_taken_for_what_was_put() -> None:
    digest = "sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:"  # of foo
    headers = {"Content-Digest": digest, "X-Meta": "{}", "X-Created-At": "1", "Content-Type": "a/b"}
    bodies = iter([b"foo", b"fou"])
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=next(bodies), headers=headers))
    async with AsyncClient("http://threadkeep", transport=transport) as client:
        blob, content = await client.state.get_blob(SPACE, KEY)
        assert (blob.size, blob.created_at, blob.expires_at, content) == (3, 1, None, b"foo")
        with pytest.raises(Unavailable, match="damaged on their way"):
            await client.state.get_blob(SPACE, KEY)


async def test_where_something_else_answers_there_is_no_blob() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="Welcome!"))
    async with AsyncClient("http://threadkeep", transport=transport) as client:
        for call in (client.state.get_blob(SPACE, KEY), client.state.find_blob(SPACE, KEY)):
            with pytest.raises(Unavailable, match="not Threadkeep answered 200"):
                await call
