"""Fills a database with what agents keep: a few rows as a client makes them, copied as often as it takes."""

from base64 import b64encode
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from threadkeep.agents.journals import service as journals
from threadkeep.agents.journals.models import NewEntries, NewEntry, PutJournal
from threadkeep.agents.store import StateStore
from threadkeep.agents.tasks import service as tasks
from threadkeep.agents.tasks.models import NewTask
from threadkeep.agents.threads import service as threads
from threadkeep.agents.threads.models import NewCheckpoint, NewValue, NewWrite, NewWrites
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.executor import Executor

USER = "bench-user"
SPACE, JOURNAL, QUEUE, THREAD = "bench", "journal", "queue", "thread"
FIRST = 1_000_000
"""Added to a number that is a part of a name, so that all names are as long, and in the order of the numbers."""
_TEXT = "A turn of an agent, with what it was asked and what it has found. " * 8


@dataclass(frozen=True)
class Copies:
    """How the rows of a table are copied: the columns that differ, in SQL, where `i` counts from 1."""

    table: str
    differing: dict[str, str]
    documents: tuple[str, ...] = ()
    """Those of them that are JSON."""


COPIES = (
    Copies("entries", {"seq": "r.seq + i", "id": f"'entry ' || ({FIRST} + i)"}),
    Copies(
        "tasks",
        {"seq": "r.seq + i", "id": f"'task ' || ({FIRST} + i)", "lane": f"'lane ' || ({FIRST} + i)"},
    ),
    Copies(
        "checkpoints",
        {
            "id": f"'' || ({FIRST} + i)",
            "parent": f"'' || ({FIRST} + i - 1)",
            "stored": f"""'[["channel","' || ({FIRST} + i) || '"]]'""",
        },
        documents=("stored",),
    ),
    Copies("checkpoint_values", {"version": f"'' || ({FIRST} + i)"}),
    Copies("checkpoint_writes", {"checkpoint": f"'' || ({FIRST} + i)"}),
)


async def filled(executor: Executor, rows: int) -> StateStore:
    """The state of a user's agents: so many entries in one journal, tasks in one queue, checkpoints in one thread."""
    store = SqlStore(executor, USER).state
    await journals.put_journal(store, SPACE, JOURNAL, PutJournal(), expected=None, request=None)
    await append(store, "the first")
    await tasks.admit_task(store, QUEUE, NewTask(id="task", lane="lane", payload=payload()))
    await put_checkpoint(store, FIRST)
    for copies in COPIES:
        await _copy(executor, copies, rows - 1)
    moving = f"UPDATE {executor.statements.journals} SET next_seq = {rows} WHERE user_id = :user"
    await executor.run(executor.statements.dialect.write(moving)(user=USER))
    return store


async def append(store: StateStore, id_: str) -> None:
    """Append an entry to the journal."""
    new = NewEntries(entries=[NewEntry(id=id_, data=payload())])
    await journals.append_entries(store, SPACE, JOURNAL, new, request=None)


async def put_checkpoint(store: StateStore, number: int) -> None:
    """Put a checkpoint of the thread, with a value and a write."""
    data = b64encode(_TEXT.encode()).decode()
    value = NewValue(channel="channel", version=f"{number}", type="text", data=data)
    checkpoint = NewCheckpoint(
        id=f"{number}",
        parent=f"{number - 1}",
        stored={"channel": value.version},
        type="text",
        data=data,
        values=[value],
    )
    await threads.put_checkpoint(store, THREAD, checkpoint)
    write = NewWrite(idx=0, channel="channel", type="text", data=data)
    await threads.put_writes(store, THREAD, NewWrites(checkpoint=checkpoint.id, task="task", writes=[write]))


def payload() -> Raw:
    """What a row is about."""
    return Raw(msgspec.json.encode({"text": _TEXT}))


async def _copy(executor: Executor, copies: Copies, times: int) -> None:
    dialect = executor.statements.dialect
    table: str = getattr(executor.statements, copies.table)
    first = f"FROM {table} AS r WHERE r.user_id = :user LIMIT 1"
    ((row,),) = await executor.run(dialect.read(f"SELECT r.* {first}")(user=USER))
    columns = [column for column in row if column != "n"]
    differing = copies.differing | {name: dialect.json(copies.differing[name]) for name in copies.documents}
    values = ", ".join(differing.get(column, f"r.{column}") for column in columns)
    counted = f"WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < {times}) SELECT i FROM g"
    await executor.run(
        dialect.write(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {values} FROM (SELECT r.* {first}) AS r CROSS JOIN ({counted}) AS g"
        )(user=USER)
    )
