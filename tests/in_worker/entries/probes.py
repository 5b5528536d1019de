"""What a store can do, found out by having it done: one probe for each capability that a back end may claim.

They run in this process and inside workerd, over stores that nobody stands before: what a back end does not claim is
refused before its store is asked.
"""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Raw

from threadkeep.agents.journals import service as journals
from threadkeep.agents.journals.models import NewEntries, NewEntry
from threadkeep.agents.journals.records import EntryQuery
from threadkeep.conversations import export_v1, service
from threadkeep.conversations.models import NewConversation, NewMessage
from threadkeep.conversations.records import ConversationRecord, SearchQuery
from threadkeep.conversations.store import DatabaseStore, Store
from threadkeep.errors import Conflict, Unsupported
from threadkeep.ids import new_id
from threadkeep.storage.base import CAPABILITIES, Capability
from threadkeep.work import finished


def _message(text: str, message_id: str) -> NewMessage:
    fields = {"id": message_id, "role": "user", "content": [{"type": "text", "text": text}]}
    return msgspec.json.decode(msgspec.json.encode(fields), type=NewMessage)


def _conversation(*messages: NewMessage) -> ConversationRecord:
    return finished(service.conversation_record(NewConversation(id=new_id(), messages=list(messages))))


async def _searches(store: Store) -> bool:
    record = _conversation(_message("a capybara", new_id()))
    await store.create_conversation(record)
    page = await store.search(SearchQuery(text="capybara"))
    return record.id in [hit.conversation.id for hit in page.hits]


async def _tells_changes(store: Store) -> bool:
    cursor = (await store.changes()).next
    record = _conversation()
    await store.create_conversation(record)
    page = await store.changes(cursor)
    return [conversation.id for conversation in page.conversations] == [record.id]


async def _imports(store: Store) -> bool:
    document = b'{"version": 1, "conversation": {"title": "Old", "createdAt": "2001-02-03T04:05:06Z", "messages": []}}'
    record = finished(export_v1.import_record(document, None, 0))
    if await store.import_conversations([record]) != [None]:
        return False
    return (await store.get_conversation(record.id)).created_at == record.created_at


async def _has_transactions(store: Store) -> bool:
    taken, record = new_id(), _conversation()
    await store.create_conversation(_conversation(_message("first", taken)))
    await store.create_conversation(record)
    both = finished(service.message_records([_message("new", new_id()), _message("other", taken)]))
    try:
        await store.append_messages(record.id, both)
    except Conflict:
        return (await store.list_messages(record.id)).messages == []
    return False


async def _keeps_state(store: DatabaseStore) -> bool:
    place = ("probes", new_id())
    append = NewEntries(entries=[NewEntry(data=Raw(b"1"))], create=True)
    await journals.append_entries(store.state, *place, append, request=None)
    page = await journals.read_entries(store.state, *place, EntryQuery())
    return [bytes(entry.data) for entry in page.entries] == [b"1"]


PROBES: dict[Capability, Callable[[DatabaseStore], Awaitable[bool]]] = {
    "search": _searches,
    "changes": _tells_changes,
    "import": _imports,
    "transactions": _has_transactions,
    "agents": _keeps_state,
}


async def able(store: DatabaseStore) -> list[Capability]:
    """What the store of a user can do."""
    found: list[Capability] = []
    for capability in CAPABILITIES:
        try:
            if await PROBES[capability](store):
                found.append(capability)
        except Unsupported:
            continue
    return found
