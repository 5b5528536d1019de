"""A D1 database and Durable Objects that a newer version has been at: this one goes on beside it."""

from pathlib import Path

import apsw
import pytest

from support.backends import WORKERS, over_http, worker
from support.newer import ON_SQLITE, found
from support.records import conversation, message, new_message
from threadkeep.conversations.models import Erased

pytestmark = pytest.mark.anyio

USER = "ada"


def databases(folder: Path) -> list[apsw.Connection]:
    """The databases in a folder that have conversations."""
    connections = [apsw.Connection(str(path)) for path in folder.rglob("*.sqlite")]
    found = "SELECT 1 FROM sqlite_schema WHERE name = 'search_index_2'"
    return [connection for connection in connections if list(connection.execute(found))]


def index_by_newer(folder: Path) -> None:
    """Do to a database what a newer version would: apply its migration, and move what is indexed to its own index."""
    (database,) = databases(folder)
    with database:
        for statement in ON_SQLITE.statements:
            database.execute(statement)
        database.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT")
        database.execute("INSERT INTO schema_migrations (name) VALUES (?)", (ON_SQLITE.name,))
        database.execute("INSERT INTO search_index_3 (rowid, text) SELECT m.n, 'newer' FROM messages AS m")
        database.execute("INSERT INTO search_index_3 (rowid, text) SELECT -c.n, 'newer' FROM conversations AS c")
        database.execute("DELETE FROM search_index_2")
    database.close()


def rows_of_newer(folder: Path) -> int:
    """How many rows the newer version's index has."""
    count = 0
    for database in databases(folder):
        # An object that has nothing begins anew, without what the newer version had.
        if list(database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'search_index_3'")):
            count += next(database.execute("SELECT count(*) FROM search_index_3_docsize"))[0]
        database.close()
    return count


@pytest.mark.parametrize("name", WORKERS)
async def test_this_version_goes_on_where_a_newer_one_has_indexed(name: str, tmp_path: Path) -> None:
    record = conversation(new_message("a heron"), title="Birds")
    with worker(name, tmp_path / "state") as started:
        async with over_http(name, started.url) as backend:
            await (await backend.store(USER)).create_conversation(record)
    index_by_newer(tmp_path)
    assert rows_of_newer(tmp_path) == 2
    with worker(name, tmp_path / "state") as started:
        async with over_http(name, started.url) as backend:
            store = await backend.store(USER)
            assert [row.id for row in (await store.list_conversations()).conversations] == [record.id]
            assert await found(store, "heron") == []
            added = message("another heron")
            await store.append_messages(record.id, [added])
            assert await found(store, "heron") == [added.id]
            assert await store.erase() == Erased(1, 2)
            assert await found(store, "heron") == []
    assert rows_of_newer(tmp_path) == 0
