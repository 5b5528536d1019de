"""A database that a newer version has been at, and what must hold while this version still runs on it.

There is no newer version. Its migration is made up here, by the recipe of docs/decisions/0033-versions-of-the-index.md:
a table for its index, and triggers that take out of it what a version removes that knows nothing of it.
"""

from collections.abc import Awaitable, Callable

from support.records import conversation, edit, message, new_message
from threadkeep.conversations import retention
from threadkeep.conversations.models import Erased
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import DatabaseStore, Store
from threadkeep.storage.sql.migrate import Migration

ON_SQLITE = Migration(
    "9999_search_index_3.sql",
    (
        """CREATE VIRTUAL TABLE search_index_3 USING fts5(
  text, content = '', contentless_delete = 1, tokenize = 'ascii'
)""",
        """CREATE TRIGGER messages_leave_search_index_3 AFTER DELETE ON messages BEGIN
  DELETE FROM search_index_3 WHERE rowid = OLD.n;
END""",
        """CREATE TRIGGER conversations_leave_search_index_3 AFTER DELETE ON conversations BEGIN
  DELETE FROM search_index_3 WHERE rowid = -OLD.n;
END""",
        """CREATE TRIGGER titles_leave_search_index_3 AFTER UPDATE OF title ON conversations
WHEN OLD.title <> NEW.title BEGIN
  DELETE FROM search_index_3 WHERE rowid = -OLD.n;
END""",
    ),
)
ON_POSTGRES = Migration(
    "9999_search_index_3.sql",
    (
        "CREATE TABLE search_index_3 (LIKE search_index_2 INCLUDING ALL)",
        """CREATE FUNCTION message_leaves_search_index_3() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS 'BEGIN DELETE FROM search_index_3 AS l WHERE l.n = OLD.n; RETURN NULL; END'""",
        """CREATE FUNCTION title_leaves_search_index_3() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS 'BEGIN DELETE FROM search_index_3 AS l WHERE l.n = -OLD.n; RETURN NULL; END'""",
        """CREATE TRIGGER messages_leave_search_index_3 AFTER DELETE ON messages
FOR EACH ROW EXECUTE FUNCTION message_leaves_search_index_3()""",
        """CREATE TRIGGER conversations_leave_search_index_3 AFTER DELETE ON conversations
FOR EACH ROW EXECUTE FUNCTION title_leaves_search_index_3()""",
        """CREATE TRIGGER titles_leave_search_index_3 AFTER UPDATE OF title ON conversations
FOR EACH ROW WHEN (OLD.title <> NEW.title) EXECUTE FUNCTION title_leaves_search_index_3()""",
    ),
)


async def found(store: Store, text: str) -> list[str]:
    """What a search finds, by the ids of messages, or of conversations that are found by their titles."""
    hits = (await store.search(SearchQuery(text=text))).hits
    return sorted(hit.conversation.id if hit.message is None else hit.message.id for hit in hits)


async def works_beside_a_newer_version(
    store: DatabaseStore, index_by_newer: Callable[[], Awaitable[None]], count: Callable[[], Awaitable[int]]
) -> None:
    """Fail unless this version does right by everything that a newer one has indexed.

    `index_by_newer` moves what is indexed to where the newer version has it, and `count` says how much is there.
    """
    first, second = conversation(new_message("a heron"), title="Birds"), conversation(new_message("a sparrow"))
    for record in (first, second):
        await store.create_conversation(record)
    await index_by_newer()
    assert await count() == 4  # two messages, and two titles
    # It is all there, and what was indexed by words that this version does not know is only not found.
    assert [row.id for row in (await store.list_conversations()).conversations] == [second.id, first.id]
    assert await found(store, "heron") == await found(store, "sparrow") == []
    # To send again what the newer version has stored is still a retry.
    assert (await store.append_messages(first.id, first.messages))[1] is False
    assert await count() == 4
    added = message("another heron")
    await store.append_messages(first.id, [added])
    assert await found(store, "heron") == [added.id]
    # A title that is changed is found by its new words, and by its old ones nowhere.
    await store.update_conversation(first.id, edit(title="Kestrels"))
    assert await count() == 3
    assert await found(store, "kestrels") == [first.id]
    # What is purged or erased leaves no word behind.
    await store.delete_conversation(second.id)
    await retention.purge(store, 0)
    assert await count() == 1
    assert await retention.erase(store) == (Erased(1, 2), True)
    assert await count() == 0
    # Nor does what comes after it, in the same places.
    assert (await store.create_conversation(first))[1]
    assert await found(store, "heron") == [first.messages[0].id]
    assert await count() == 0
