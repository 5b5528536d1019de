"""Finding the users who have something that expires, among many who have not, in every product."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.postgres import new_url
from support.records import conversation, edit, new_message
from support.stores import ProcessPlace
from threadkeep.conversations import retention
from threadkeep.conversations.store import UsersToExpire
from threadkeep.settings import Settings
from threadkeep.storage import backends
from threadkeep.storage.base import Database

pytestmark = pytest.mark.anyio

EVER = 2**53 - 2


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Six users, each with a conversation."""
    variables = {"SQLITE_PATH": str(tmp_path / "kept.sqlite"), "DATABASE_URL": new_url()}
    backend = next(backend for backend in backends.BACKENDS if backend.name == request.param)
    opened = await backend.connect(ProcessPlace(variables))
    for name in ("archived", "both", "deleted", "fresh", "old", "pinned"):
        store = opened.open_store(name)
        made, _ = await store.create_conversation(conversation(new_message(), metadata={"pinned": name != "old"}))
        if name in ("archived", "both"):
            await store.update_conversation(made.id, edit(is_archived=True, metadata={"pinned": name == "both"}))
        if name in ("deleted", "fresh"):
            await store.delete_conversation(made.id)
        if name == "fresh":
            await store.restore_conversation(made.id)
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("spares", "due"),
    [
        ((), ["archived", "both", "fresh", "old", "pinned"]),
        (("archived",), ["fresh", "old", "pinned"]),
        (("pinned",), ["archived", "old"]),
        (("archived", "pinned"), ["old"]),
    ],
)
async def test_those_are_found_who_have_something_that_expires(
    database: Database, spares: tuple[str, ...], due: list[str]
) -> None:
    assert await database.users_to_expire(EVER, spares, "", 9) == UsersToExpire(due, "pinned")
    assert await database.users_to_expire(1, spares, "", 9) == UsersToExpire([], "pinned")


async def test_users_are_looked_at_in_parts(database: Database) -> None:
    assert await database.users_to_expire(EVER, ("pinned",), "", 2) == UsersToExpire(["archived"], "both")
    assert await database.users_to_expire(EVER, ("pinned",), "both", 2) == UsersToExpire([], "fresh")
    assert await database.users_to_expire(EVER, ("pinned",), "fresh", 2) == UsersToExpire(["old"], "pinned")
    assert await database.users_to_expire(EVER, ("pinned",), "pinned", 2) == UsersToExpire([], None)


async def test_the_upkeep_deletes_what_is_old_of_all_of_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)
    settings = Settings(expire_days=1, expire_spares=frozenset({"pinned"}))
    monkeypatch.setattr(retention, "DAY_MILLISECONDS", -3_600_000)  # what is not older than an hour from now
    assert await retention.expire_database(database, 1, settings.expire_spares)
    left = {}
    for name in ("archived", "both", "deleted", "fresh", "old", "pinned"):
        page = await database.open_store(name).list_conversations(is_archived=None)
        left[name] = len(page.conversations)
    assert left == {"archived": 0, "both": 1, "deleted": 0, "fresh": 1, "old": 0, "pinned": 1}
