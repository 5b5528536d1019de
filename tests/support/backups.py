"""Databases to back up and to restore into: filled by the store itself, and read row by row."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw
import msgspec
from msgspec import Raw

from fakes.cloudflare_api import Database, dump
from support.backends import over_sql
from support.records import conversation, edit, message, message_edit, new_message, plain
from threadkeep.conformance.helpers import blobs, journals, tasks, threads
from threadkeep.conversations.drafts.models import NewDraft, NewParts, Op
from threadkeep.conversations.drafts.service import start_draft, write_parts
from threadkeep.conversations.records import ForkRecord, SearchQuery
from threadkeep.conversations.search import text_of_content
from threadkeep.ids import new_id
from threadkeep.storage.sql.agents import base as pieces
from threadkeep.storage.sql.agents import journals as of_journals
from threadkeep.storage.sql.agents import tasks as of_tasks
from threadkeep.storage.sql.agents import threads as of_threads
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.first_index import indexed_words
from threadkeep.tokenizer import words_of
from tools.checkout import ROOT
from tools.d1.migrate import Target
from tools.local.install import Node
from tools.migrations.files import failing_statement, read_migrations

DATABASE = {
    "binding": "CONVERSATIONS_D1",
    "database_name": "letters",
    "migrations_dir": str(ROOT / "migrations/sqlite"),
}

ODD = "a\nb\\nc\r\\r 'quoted' \"twice\"; -- no /* comment */ \0 BEGIN TRANSACTION; COMMIT; 漢字 😀"
"""A text that is easily broken."""
WORDS = ("monad", "漢", "zurich", "tool", "quoted", "gone", "padding", "kept")

_ALONE = ("blobs", "tasks", "lanes", "threads")
_OF_THREADS = ("checkpoints", "checkpoint_values", "checkpoint_writes")
_TABLES = {
    "owners": "SELECT user_id, rev, floor FROM owners ORDER BY user_id",
    "conversations": "SELECT n, user_id, id, * FROM conversations WHERE user_id <> '' ORDER BY n",
    "messages": "SELECT n, user_id, conversation_id, * FROM messages WHERE user_id <> '' ORDER BY n",
    "forks": "SELECT user_id, conversation_id, seq, follows FROM forks ORDER BY user_id, conversation_id, seq",
    "cuts": "SELECT user_id, conversation_id, * FROM cuts ORDER BY user_id, conversation_id, from_seq",
    "journals": "SELECT n, user_id, deleted_at, * FROM journals ORDER BY n",
    "entries": "SELECT n, user_id, journal, * FROM entries ORDER BY n",
    **{table: f"SELECT n, user_id, deleted_at, * FROM {table} ORDER BY n" for table in _ALONE},
    **{table: f"SELECT n, user_id, thread, * FROM {table} ORDER BY n" for table in _OF_THREADS},
    "pieces": "SELECT user_id, group_id, part, data FROM pieces ORDER BY user_id, group_id, part",
    "index": 'SELECT doc, "offset", term FROM temp.vocabulary ORDER BY doc, "offset"',
    "first index": "SELECT id FROM words_docsize ORDER BY id",
    "text of the first index": "SELECT n, user_id, text FROM word_lists ORDER BY n",
}

Rows = dict[str, list[tuple[Any, ...]]]


def everything(file: Path) -> Rows:
    """Every row of every table that belongs to a user, but for the epochs; and every word of the index."""
    with closing(apsw.Connection(str(file))) as database:
        database.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'search_index_2', 'instance')")
        return {table: database.execute(query).fetchall() for table, query in _TABLES.items()}


def to_keep(file: Path) -> Rows:
    """The same without what was erased or purged, and is only still to be removed, as a new database has it."""
    rows = everything(file)
    with closing(apsw.Connection(str(file))) as database:
        columns = [name for (name,) in database.execute("SELECT name FROM pragma_table_info('conversations')")]
        columns_of_journals = [name for (name,) in database.execute("SELECT name FROM pragma_table_info('journals')")]
        marked = set(database.execute("SELECT user_id, id FROM conversations WHERE deleted_at <= 0"))
        purged = set(
            database.execute("""
SELECT m.n
FROM messages AS m
JOIN cuts AS k ON (k.user_id, k.conversation_id) = (m.user_id, m.conversation_id)
WHERE m.seq BETWEEN k.from_seq AND k.to_seq AND k.deleted_at < 0
""")
        )
    kept = {table: [row for row in rows[table] if row[1:3] not in marked] for table in ("conversations", "messages")}
    kept["messages"] = [row for row in kept["messages"] if row[:1] not in purged]
    kept["forks"] = [row for row in rows["forks"] if row[:2] not in marked]
    kept["cuts"] = [(*row[:-1], max(row[-1], 0)) for row in rows["cuts"] if row[:2] not in marked]
    padding = 3 + columns.index("padding")
    kept["conversations"] = [(*row[:padding], "", *row[padding + 1 :]) for row in kept["conversations"]]
    numbers = {row[0] for row in kept["messages"]} | {-row[0] for row in kept["conversations"]}
    of_agents = _state_to_keep(rows, columns_of_journals)
    users = {row[1] for row in (*kept["conversations"], *of_agents["journals"])}
    return {
        "owners": [row for row in rows["owners"] if row[0] in users],
        **kept,
        **of_agents,
        "index": [row for row in rows["index"] if row[0] in numbers],
        "first index": [],
        "text of the first index": [],
    }


def _state_to_keep(rows: Rows, columns: list[str]) -> Rows:
    """What agents keep, without what is deleted; a cursor of any journal has expired after a restore."""
    generation = 3 + columns.index("generation")
    journals = [
        (*row[:generation], row[generation] + 1, *row[generation + 1 :]) for row in rows["journals"] if row[2] is None
    ]
    alone = {table: [row for row in rows[table] if row[2] is None] for table in _ALONE}
    kept = {"journals": journals, "entries": _within(journals, rows["entries"]), **alone}
    kept |= {table: _within(alone["threads"], rows[table]) for table in _OF_THREADS}
    named = {(row[1], value) for table in kept.values() for row in table for value in row[2:] if isinstance(value, str)}
    return {**kept, "pieces": [row for row in rows["pieces"] if row[:2] in named]}


def _within(parents: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows of something that is kept."""
    known = {row[:2] for row in parents}
    return [row for row in rows if (row[2], row[1]) in known]


def epochs(file: Path) -> dict[str, str]:
    """The epoch of each owner."""
    with closing(apsw.Connection(str(file))) as database:
        return dict(database.execute("SELECT user_id, epoch FROM owners").fetchall())


def check_index(file: Path) -> None:
    """Fails where an index is not whole, or has anything that is not in its tables."""
    with closing(apsw.Connection(str(file))) as database:
        for index in ("search_index_2", "words"):
            database.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


def hits(file: Path, user_id: str) -> list[Any]:
    """What a user finds, for each of some words."""

    async def search() -> list[Any]:
        with closing(SqliteExecutor(str(file))) as executor:
            store = SqlStore(executor, user_id)
            return [plain(await store.search(SearchQuery(text=word), limit=50)) for word in WORDS]

    return asyncio.run(search())


def exported(file: Path, user_id: str) -> list[str]:
    """All conversations of a user, as the API hands them out."""

    async def export() -> list[str]:
        with closing(SqliteExecutor(str(file))) as executor:
            async with over_sql(executor) as backend, backend.client_of(user_id) as client:
                documents = (await client.get("/api/export")).raise_for_status().text.splitlines()
                return [document.partition('"conversation":')[2] for document in documents]

    return asyncio.run(export())


def fill(file: Path, *, large: int = 99_000, has_branches: bool = True) -> None:
    """Has the store keep what is hard to keep, in a database that is migrated; `large` says how large a text."""
    with closing(SqliteExecutor(str(file))) as executor:
        if has_branches:
            asyncio.run(_fill_branches(SqlStore(executor, "ada")))
        asyncio.run(_fill(executor, large))


async def _fill(executor: SqliteExecutor, large: int) -> None:
    ada, other, erased = (SqlStore(executor, user_id) for user_id in ("ada", "o'Brien; ö", "erased"))
    await ada.create_conversation(conversation(new_message("The title is the default, kept", role="assistant")))
    first, _ = await ada.create_conversation(conversation(new_message("What is a monad?"), metadata={"a": "b\n\\n"}))
    blocks = [
        {"type": "text", "text": f"{ODD} 東京 漢字"},
        {"type": "tool_use", "id": "t", "name": "x", "input": {"q": "Zürich", "n": 10**30}},
    ]
    await ada.append_messages(first.id, [message(role="assistant", content=blocks, model="m", metadata={"z": ODD})])
    titled, _ = await ada.create_conversation(conversation(new_message("one"), title="Ein 'Titel'; -- 漢字"))
    await ada.append_messages(titled.id, [message("padding 'x' ü " * large, model="gpt", parentId=titled.leaf_id)])
    renamed, _ = await ada.create_conversation(conversation(new_message("two")))
    await ada.update_conversation(renamed.id, edit(title="Generated by hand", is_archived=True, model="m"))
    await ada.update_conversation(first.id, edit(metadata={"c": None, "d": 1.50}))
    (two,) = (await ada.list_messages(renamed.id)).messages
    await ada.update_message(renamed.id, two.id, message_edit({"z": ODD}))
    await _fill_drafts(ada, renamed.id)
    for text, is_purged in (("kept though deleted", False), ("gone for good", True), ("gone and overwritten", True)):
        done, _ = await ada.create_conversation(conversation(new_message(text), title=text))
        await ada.delete_conversation(done.id)
        if is_purged:
            with_kept = "UPDATE conversations SET deleted_at = 1 WHERE id = ?"
            executor._connection.execute(with_kept, (done.id,))
            await ada.purge(1)
            if "overwritten" in text:
                await ada.sweep()
    last, _ = await other.create_conversation(conversation(new_message("Another's monad, in Zurich")))
    await other.append_messages(last.id, [message(f"tool {number}") for number in range(30)])
    with ExitStack() as small:
        for module in (of_journals, of_tasks, of_threads):
            small.enter_context(patch.object(module, "WHOLE_BYTES_MAX", 4_000))
        small.enter_context(patch.object(pieces, "PIECE_BYTES_MAX", 3_001))
        await _fill_state(ada, other, erased)
    await erased.create_conversation(conversation(new_message("gone with everything")))
    await erased.erase()
    # What the API would not let in, and what other hands might.
    executor._connection.execute("UPDATE conversations SET title = ? WHERE title_source = 'default'", (ODD,))
    executor._connection.execute("UPDATE conversations SET model = ? WHERE id = ?", (ODD, titled.id))
    executor._connection.execute("UPDATE messages SET model = ? WHERE model IS NOT NULL AND unicode(model) > 0", (ODD,))


async def _fill_drafts(store: SqlStore, conversation_id: str) -> None:
    """Has a draft kept that is being written."""
    draft, _ = await start_draft(store, conversation_id, NewDraft(id=new_id(), lease_seconds=3_600))
    blocks = [
        [Op(block=0, set=Raw(msgspec.json.encode({"type": "text", "text": ODD})))],
        [Op(block=0, append="Zürich")],
    ]
    await write_parts(store, draft.id, NewParts(fence=1, first=0, parts=blocks))


async def _fill_branches(store: SqlStore) -> None:
    """Has branches kept: one that is chosen, one that is deleted, one that is purged, and one that is half removed."""
    ids = [new_id() for _ in range(4)]
    begun, _ = await store.create_conversation(
        conversation(*(new_message(f"kept {number}", id=id_) for number, id_ in enumerate(ids)))
    )
    for is_swept in (True, False):
        branch = [message("gone for good", siblingOf=ids[2]), message("gone for good, too")]
        await store.append_messages(begun.id, branch)
        await store.append_messages(begun.id, [message("gone for good as well", siblingOf=branch[1].id)])
        await store.delete_branch(begun.id, branch[0].id)
        await store.purge(2**52)
        if is_swept:
            await store.sweep()
    await store.append_messages(begun.id, [message("kept as another root", isRoot=True)])
    await store.select_leaf(begun.id, ids[1], descend=False)
    last = message("kept though deleted", siblingOf=ids[2])
    await store.append_messages(begun.id, [last])
    await store.delete_branch(begun.id, last.id)
    await store.select_leaf(begun.id, ids[2], descend=False)
    forked = ForkRecord(id=new_id(), message_id=ids[3], title="A 'fork'; --", digest="fork")
    await store.fork_conversation(begun.id, forked)


async def _fill_state(ada: SqlStore, agent: SqlStore, erased: SqlStore) -> None:
    """Has journals kept: with what is hard to keep, with pieces, with gaps; and some that are on their way out."""
    long = Raw(b'[\n\r\n"' + ("\\\\n é漢😀 " * 400).encode() + b'", "y"]')
    for store in (ada, agent):
        await journals.put(store.state, 'a "key"; --', head={"odd": ODD}, kind="run", status="open", sort="2026")
        await journals.append(store.state, ("one", ODD), "x", ("3", {"odd": ODD}), key='a "key"; --', remove=["x"])
        await journals.append(store.state, ("x", 1), 2, key='a "key"; --', cut=1)
        await journals.put(store.state, expires_in=3_600)
        await journals.append(store.state, "before", long, "after")
        await blobs.put(store.state, ODD.encode() * 100)
        await tasks.running(store.state, "first", "second", payload={"odd": ODD * 100})
        await tasks.change(store.state, "first", "note", attempt="a1", note={"odd": ODD})
        await tasks.change_lane(store.state, "close", "closed")
        await threads.put(store.state, "1", values={("a", "1"): ODD * 100}, metadata={"odd": ODD, "run_id": "r"})
        await threads.write(store.state, "1", ("a", ODD * 100))
    await agent.state.delete_blob(blobs.SPACE, blobs.KEY)
    await agent.state.delete_thread(threads.THREAD)
    await tasks.change_lane(agent.state, "open", "closed")
    await journals.put(agent.state, "replaced", head="gone")
    await journals.append(agent.state, "gone", long, key="replaced")
    await journals.put(agent.state, "replaced", mode="replace", head="kept")
    await journals.put(erased.state, "erased", head="gone")
    await journals.append(erased.state, "gone", long, key="erased")


def as_before(file: Path, older: Path) -> None:
    """Makes one of before the second index of a database without branches: the same rows, with words in the first."""
    with closing(new_database(older, 4)) as database:
        database.execute("ATTACH ? AS newer", (str(file),))
        database.execute("INSERT INTO owners SELECT user_id, epoch, rev, floor FROM newer.owners")
        for table in ("conversations", "messages"):
            columns = [name for (name,) in database.execute(f"SELECT name FROM pragma_table_info('{table}', 'main')")]
            # The first two numbers are those of rows of nobody.
            values = {name: name for name in columns} | {"n": "n + 2", "padding": "printf('%0250d', 0)"}
            selected = ", ".join(values[name] for name in columns)
            database.execute(f"INSERT INTO {table} SELECT {selected} FROM newer.{table}")
        for query in (
            "SELECT -n, user_id, title FROM conversations WHERE user_id <> '' AND title_source <> 'default'",
            "SELECT n, user_id, content FROM messages WHERE user_id <> ''",
        ):
            for n, user_id, text in database.execute(query).fetchall():
                words = words_of(text if n < 0 else text_of_content(Raw(text.encode())))
                row = (n, user_id, indexed_words(user_id, words))
                database.execute("INSERT INTO word_lists VALUES (?, ?, ?)", row)
                database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row[0], row[2]))


def bring_up_to_date(file: Path) -> None:
    """Applies the migrations that a database of before the second index has not had."""
    with closing(apsw.Connection(str(file))) as database:
        for migration in read_migrations(ROOT / "migrations/sqlite")[4:]:
            assert failing_statement(database, migration) is None


def new_database(file: Path | str, count: int | None = None) -> apsw.Connection:
    """A database with our migrations, or with the first of them."""
    database = apsw.Connection(str(file))
    for migration in read_migrations(ROOT / "migrations/sqlite")[:count]:
        assert failing_statement(database, migration) is None
    return database


@dataclass(frozen=True)
class Direct(Target):
    """A database that is reached without wrangler, to try many things in little time. It runs what D1 would."""

    inner: Database = field(default_factory=lambda: Database("direct"))
    files: list[str] = field(default_factory=list)
    """What has been run from files."""
    interrupt: dict[str, Any] = field(default_factory=dict)
    """`at` is the number of the file that an interruption comes at, `after` how many of its statements are done."""

    def configure(self) -> None:
        """Nothing: there is no wrangler."""

    def call(self, node: Node, *arguments: str, failed: str, is_question: bool = False) -> str:
        """What wrangler would print."""
        assert is_question
        return json.dumps(self.inner.run(arguments[-1], []))

    def execute(self, node: Node, file: Path, *, failed: str) -> None:
        """As D1 does it."""
        text = file.read_text()
        self.files.append(text)
        if self.interrupt.get("at") == len(self.files):
            self.interrupt.pop("at")
            done = [part + ";\n" for part in text.split(";\n") if part.strip()][: self.interrupt["after"]]
            if done:
                self.inner.run("".join(done), [])
            raise KeyboardInterrupt
        self.inner.run(text, [])

    def export(self, node: Node, tables: Sequence[str], output: Path, *, failed: str) -> None:
        """As wrangler does it."""
        output.write_text(dump(self.inner, False, True, list(tables)))


def reached(tmp_path: Path, connection: apsw.Connection | None = None, **fields: Any) -> Direct:
    """A database, empty unless it is given, that is reached without wrangler."""
    inner = Database("direct")
    with inner.connection.backup("main", connection or new_database(":memory:"), "main") as copy:
        copy.step()
    return Direct(DATABASE, tmp_path, inner=inner, **fields)


def saved(target: Direct, file: Path) -> Path:
    """The database as a file."""
    file.unlink(missing_ok=True)
    with closing(apsw.Connection(str(file))) as copy, copy.backup("main", target.inner.connection, "main") as backup:
        backup.step()
    return file
