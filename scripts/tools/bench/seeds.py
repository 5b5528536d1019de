"""Fills the databases before anything is measured: made once for each shape, and copied for each contestant."""

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Raw

from threadkeep.conversations.models import NewMessage
from threadkeep.conversations.records import ImportRecord, MessageRecord
from threadkeep.conversations.service import message_record
from threadkeep.ids import new_id
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.work import finished
from tools.bench.conversations import BEGIN, MINUTE, Writer
from tools.bench.http_client import USER, Request, send_request
from tools.checkout import ROOT, Problem, files_below, fingerprint, local_folder, locked, say
from tools.local.worker import LocalWorker

_BATCH = 20
_OTHERS_MESSAGES = 100
_SHORT_MESSAGES = 10
_POOL = 40
"""Of the other users, so many differ in what they say; their ids and words in the index are their own."""


@dataclass(frozen=True)
class Shape:
    """How much there is: messages of the one user that is measured, and other users of 100 messages on the same D1.

    Half of the messages are in one long conversation, unless `long` says how many; the rest in conversations of ten.
    """

    messages: int
    others: int = 999
    long: int | None = None

    @property
    def long_messages(self) -> int:
        """How many messages the long conversation has."""
        return self.messages // 2 if self.long is None else self.long


def long_conversation() -> str:
    """The id of the long conversation."""
    return Writer("long").new_id(BEGIN)


def place(shape: Shape, store: str, state: Path, maker: Callable[[Path], LocalWorker]) -> None:
    """Puts the data of a shape into a new state folder. `maker` makes the Worker that lays out an empty database."""
    shutil.copytree(seed(shape, store, maker), state / "data")


def seed(shape: Shape, store: str, maker: Callable[[Path], LocalWorker]) -> Path:
    """The folder with the data of a shape, made when it is not there yet."""
    made_from = [path for _, path in files_below([ROOT / "migrations", ROOT / "src/threadkeep/storage"])]
    code = [Path(__file__), Path(__file__).with_name("conversations.py")]
    key = fingerprint(repr(shape), store, *made_from, *code)[:16]
    folder = local_folder(ROOT) / "bench" / "seeds"
    made = folder / f"{store}-{shape.messages}-{key}"
    with locked(folder / f"{made.name}.lock", "waiting for another run that makes the same data …"):
        if not made.exists():
            say(f"making {shape.messages:,} messages for {store} …")
            unfinished = folder / f"{made.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            with maker(unfinished) as worker:
                touch(worker)
            database = find_database(unfinished / "data")
            asyncio.run(_fill(database, shape, alone=store == "durable-object"))
            (unfinished / "data").rename(made)
            shutil.rmtree(unfinished)
    return made


def touch(worker: LocalWorker) -> None:
    """Lets the Worker make the database of the user."""
    answer = send_request(worker.url, Request("GET", "/api/conversations"))
    if answer.status != 200:
        raise Problem(f"the Worker that makes the data answers {answer.status}: {answer.body[:200]!r}")


def find_database(data: Path) -> Path:
    """The one database below a folder that has messages."""
    for path in sorted(data.rglob("*.sqlite")):
        with closing(sqlite3.connect(path)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
                return path
    raise Problem(f"there is no database of ours below {data}")


async def _fill(database: Path, shape: Shape, *, alone: bool) -> None:
    executor = SqliteExecutor(str(database))
    if not alone:
        pool = [list(_of_other(number)) for number in range(min(_POOL, shape.others))]
        for number in range(shape.others):
            store = SqlStore(executor, f"other-{number}")
            await store.import_conversations(pool[number % len(pool)])  # ids are a user's own, so they may be the same
    store = SqlStore(executor, USER)
    records = _of_user(shape)
    while batch := list(itertools.islice(records, _BATCH)):
        await store.import_conversations(batch)
    executor.close()


def _of_user(shape: Shape) -> Iterator[ImportRecord]:
    writer = Writer(f"user {shape}")
    long = shape.long_messages
    yield _conversation(writer, long_conversation(), long, BEGIN)
    for number in range((shape.messages - long) // _SHORT_MESSAGES):
        time = BEGIN + number * MINUTE
        yield _conversation(writer, writer.new_id(time), _SHORT_MESSAGES, time)


def _of_other(number: int) -> Iterator[ImportRecord]:
    writer = Writer(f"other {number}")
    for index in range(_OTHERS_MESSAGES // 20):
        time = BEGIN + index * MINUTE
        yield _conversation(writer, writer.new_id(time), 20, time)


def _conversation(writer: Writer, conversation_id: str, count: int, time: int) -> ImportRecord:
    messages = [
        _record(writer, message, time + number * 1_000) for number, message in enumerate(writer.messages(count))
    ]
    title = next((message.title for message in messages if message.title), None)
    return ImportRecord(
        id=conversation_id,
        title=title or "New conversation",
        title_source="first_message" if title else "default",
        model=None,
        metadata=Raw(b"{}"),
        is_archived=False,
        created_at=time,
        updated_at=time + (count - 1) * 1_000,
        messages=messages,
        digest=conversation_id,
    )


def _record(writer: Writer, message: dict[str, object], time: int) -> MessageRecord:
    sent = msgspec.json.encode({"id": writer.new_id(time), **message})
    return finished(message_record(msgspec.json.decode(sent, type=NewMessage), "", new_id, time))
