"""One connection for the agents of many users."""

from pathlib import Path

import httpx
import pytest

from support.in_process import SERVICE_KEY, over_memory
from threadkeep.client import states
from threadkeep.client.states import connect
from threadkeep.conformance.helpers.journals import KEY, SPACE, put
from threadkeep.errors import NotFound
from threadkeep.storage.memory.store import MemoryDatabase

pytestmark = pytest.mark.anyio

URL = "http://threadkeep"


async def test_each_user_sees_their_own_over_one_connection() -> None:
    connected = await connect(URL, key=SERVICE_KEY, transport=over_memory(MemoryDatabase()))
    for user in ("ada", "名前"):
        await put(connected.of(user), kind=user)
    for user in ("ada", "名前"):
        assert (await connected.of(user).get_journal(SPACE, KEY)).kind == user
    with pytest.raises(NotFound):
        await connected.of("eve").get_journal(SPACE, KEY)
    await connected.sweep("ada")
    await connected.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await connected.of("ada").get_journal(SPACE, KEY)


async def test_the_bookmarks_of_the_last_users_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "USERS_MAX", 2)
    sent: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        user = request.headers["X-User-Id"]
        sent.append((user, request.headers.get("X-D1-Bookmark")))
        return httpx.Response(200, json={"journals": [], "nextCursor": None}, headers={"X-D1-Bookmark": f"of {user}"})

    connected = await connect(URL, key="tk_key", transport=httpx.MockTransport(answer))
    for user in ("ada", "bob", "ada", "eve", "ada", "bob"):
        await connected.of(user).list_journals(SPACE)
    assert sent == [
        ("ada", None),
        ("bob", None),
        ("ada", "of ada"),
        ("eve", None),
        ("ada", "of ada"),
        ("bob", None),
    ]


async def test_what_anybody_has_deleted_in_a_file_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "agents.sqlite"

    def kept(word: bytes) -> bool:
        return any(word in path.read_bytes() for path in tmp_path.iterdir())

    connected = await connect(file)
    for user in ("ada", "bob", "eve"):
        await put(connected.of(user), head=f"secret of {user}")
        if user != "eve":
            await connected.of(user).delete_journal(SPACE, KEY)
    await connected.sweep("ada")
    await connected.aclose()
    assert [kept(f"secret of {user}".encode()) for user in ("ada", "bob", "eve")] == [False, False, True]
