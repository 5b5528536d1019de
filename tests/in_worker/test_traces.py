"""What an erasure leaves of what was erased: no word.

In a file of SQLite, and where a Durable Object kept it, that is read byte by byte. D1 does not let anybody overwrite
what is in no use, so there it holds for everything that a query can read, what the index is made of included.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from support.backends import NATIVE, WORKERS, Backend, over_http, worker
from support.records import conversation, edit, message_records, new_message
from support.replica import everything_in
from threadkeep.conversations.models import NewMessage
from threadkeep.conversations.store import Store
from threadkeep.errors import NotFound, ThreadkeepError

pytestmark = pytest.mark.anyio

# Words that stand nowhere but in what is erased: in texts, tool calls, titles, metadata and models.
TEXT, TOOL, TITLE, METADATA, MODEL, LARGE = (
    f"{name}finch" for name in ("zebra", "green", "gold", "bull", "snow", "haw")
)
SECRETS = (TEXT, TOOL, TITLE, METADATA, MODEL, LARGE)
OTHERS = "ordinarysparrow"

CONVERSATIONS = 6
MESSAGES = 400


def messages(words: dict[str, str], number: int, chance: random.Random) -> list[NewMessage]:
    """A turn with these words in all places that hold any; now and then a large one."""
    if number % 20 == 7:
        return [new_message(f"{words['large']} " * 12_000)]
    text = " ".join(chance.choice([words["text"], f"word{chance.randrange(99)}"]) for _ in range(chance.randrange(90)))
    tool = {"type": "tool_use", "id": "t", "name": words["tool"], "input": {"for": words["tool"]}}
    content = [{"type": "text", "text": text or "nothing"}, tool]
    return [new_message(role="assistant", content=content, model=words["model"], metadata={"m": words["metadata"]})]


async def write(store: Store, words: dict[str, str], chance: random.Random) -> None:
    """Create conversations and append to them."""
    for number in range(12):
        record = conversation(
            *messages(words, number, chance),
            title=chance.choice([None, f"{words['title']} {number}"]),
            model=words["model"],
            metadata={"m": words["metadata"]},
        )
        await store.create_conversation(record)
        for _ in range(4):
            await store.append_messages(record.id, message_records(messages(words, number, chance)))


async def edit_much(store: Store, words: dict[str, str], chance: random.Random) -> None:
    """Rename, delete and restore what is there, at random."""
    ids = [row.id for row in (await store.list_conversations(limit=100)).conversations]
    for number in range(60):
        chosen = chance.choice(ids)
        try:
            match chance.randrange(3):
                case 0:
                    metadata = {"n": words["metadata"] * (number % 5)}
                    changes = edit(title=f"{words['title']} {'x' * number}", metadata=metadata)
                    await store.update_conversation(chosen, changes)
                case 1:
                    await store.delete_conversation(chosen)
                case 2:
                    await store.restore_conversation(chosen)
        except NotFound:  # it is deleted
            continue


@asynccontextmanager
async def running(name: str, folder: Path) -> AsyncIterator[Backend]:
    """A back end whose files are in a folder, and are closed at the end."""
    if name == "sqlite":
        async with NATIVE["sqlite"](folder) as backend:
            yield backend
    else:
        with worker(name, folder) as started:
            async with over_http(name, started.url) as backend:
                yield backend


def databases(folder: Path) -> list[bytes]:
    """Every database of ours in a folder, with what was still beside it in a log of its own."""
    found = []
    for path in folder.rglob("*.sqlite"):
        connection = apsw.Connection(str(path))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        if "search_index_2" in tables:
            found.append(path.read_bytes())
    return found


def readable(folder: Path) -> bytes:
    """Every value that a query can read in the databases of ours in a folder."""
    values: list[Any] = []
    for path in folder.rglob("*.sqlite"):
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if "search_index_2" in tables:
                for table in set(tables) - {"words", "search_index_2"}:  # which are made of other tables
                    values += [value for row in connection.execute(f'SELECT * FROM "{table}"') for value in row]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def count(name: str, folder: Path, word: str) -> int:
    data = [readable(folder)] if name == "d1" else databases(folder)
    return sum(each.count(word.encode()) for each in data)


@pytest.mark.parametrize("name", ["sqlite", "durable-object", "d1"])
async def test_no_word_of_what_was_erased_is_left(name: str, tmp_path: Path) -> None:
    secrets = dict(zip(("text", "tool", "title", "metadata", "model", "large"), SECRETS, strict=True))
    async with running(name, tmp_path) as backend:
        ada, bob = await backend.store("ada"), await backend.store("bob")
        for store, words in ((bob, dict.fromkeys(secrets, OTHERS)), (ada, secrets)):
            await write(store, words, random.Random(1))
            await edit_much(store, words, random.Random(1))
        before = await everything_in(bob)
    written = {word: count(name, tmp_path, word) for word in SECRETS}
    assert min(written.values()) > 10
    async with running(name, tmp_path) as backend:
        ada, bob = await backend.store("ada"), await backend.store("bob")
        assert (await ada.erase()).messages == 60
        await backend.sweep(ada)
        assert await everything_in(bob) == before
        await backend.check("bob")
    left = {word: count(name, tmp_path, word) for word in SECRETS}
    assert count(name, tmp_path, OTHERS) > 20
    assert left == dict.fromkeys(SECRETS, 0)


async def messages_of(store: Store) -> int:
    conversations, messages = await everything_in(store)
    assert (conversations == {}) == (messages == {})
    return len(messages)


def wait_until_hidden(folder: Path) -> None:
    """Until an erasure has begun in a D1 database. Fails where it has not, or was over before anybody saw it."""
    deadline = time.monotonic() + 60
    (file,) = [path for path in folder.rglob("*.sqlite") if b"search_index_2" in path.read_bytes()]
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        while not connection.execute("SELECT 1 FROM conversations WHERE deleted_at <= 0").fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        connection.close()


@pytest.mark.parametrize("name", WORKERS)
async def test_an_erasure_that_is_killed_in_the_middle_hides_everything_or_nothing_and_is_finished_by_the_next(
    name: str, tmp_path: Path
) -> None:
    started = worker(name, tmp_path)
    started.start()
    try:
        async with over_http(name, started.url) as backend:
            ada, bob = await backend.store("ada"), await backend.store("bob")
            for store, word in ((ada, TEXT), (bob, OTHERS)):
                for _ in range(CONVERSATIONS):
                    record = conversation()
                    await store.create_conversation(record)
                    sent = [new_message(f"{word} {number} " * 20) for number in range(MESSAGES)]
                    await store.append_messages(record.id, message_records(sent))
            cursor = (await ada.changes()).next
            before = await everything_in(bob)

            async def erase() -> None:
                with pytest.raises((ThreadkeepError, RuntimeError)):
                    await ada.erase()

            erasing = asyncio.create_task(erase())
            if name == "d1":
                # The first statement hides it all; then it is killed among the parts. Only the file tells in time:
                # here D1 is in the same thread, and while it is kept busy nobody else is answered.
                await asyncio.to_thread(wait_until_hidden, tmp_path)
            await asyncio.to_thread(started.kill)
            await erasing
        started.start()
        async with over_http(name, started.url) as backend:
            ada, bob = await backend.store("ada"), await backend.store("bob")
            left = await messages_of(ada)
            assert left == 0 if name == "d1" else left in (0, CONVERSATIONS * MESSAGES)
            if left == 0:
                with pytest.raises(ThreadkeepError, match="too old"):
                    await ada.changes(cursor)
            erased = (await backend.client_of("ada").delete("/api/me", params={"confirm": "ada"})).json()
            assert erased["isComplete"]
            assert erased["messages"] > 0 or name == "durable-object"
            assert await messages_of(ada) == 0
            assert await everything_in(bob) == before
            await backend.check("bob")
    finally:
        started.stop()
    assert count(name, tmp_path, TEXT) == 0
