"""Messages that are sent again as they are now.

What an id is known by is the append. Whoever sends all that they have, after an edit, sends messages that are not what
was appended, and yet nothing new: they are looked up, and left out.
"""

from collections.abc import Awaitable, Callable

from msgspec import Raw, UnsetType

from threadkeep.conversations.content import canonical, digest
from threadkeep.conversations.models import Appended, Message, MessageFields, Receipt
from threadkeep.conversations.records import MessageRecord
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound

RESENT_MAX = 100
"""How many messages of a request are looked up, each in a round trip."""

Append = Callable[[list[MessageRecord]], Awaitable[tuple[Appended, bool]]]

_COMPARED = [name for name in MessageFields.__struct_fields__ if name != "id"]


async def append_all(
    store: Store, conversation_id: str, records: list[MessageRecord], append: Append
) -> tuple[Appended, bool]:
    """Append messages, of which those are repeats as well that are what an edit has made of them.

    Returns and raises as `append` does.
    """
    try:
        return await append(records)
    except Conflict as conflict:
        known = await _known(store, conversation_id, records, conflict)
    rest = [record for record in records if record.id not in known]
    if rest:
        appended, is_new = await append(rest)
    else:
        appended, is_new = Appended([], await store.get_conversation(conversation_id)), False
    receipts = known | {receipt.id: receipt for receipt in appended.messages}
    return Appended([receipts[record.id] for record in records], appended.conversation), is_new


async def _known(
    store: Store, conversation_id: str, records: list[MessageRecord], conflict: Conflict
) -> dict[str, Receipt]:
    """The receipts of those in conflict, by their ids. Raises the conflict where one is not what its message is now."""
    ids = (conflict.details or {}).get("ids", [])
    if not 0 < len(ids) <= RESENT_MAX:
        raise conflict
    sent = {record.id: record for record in records}
    known = {}
    for id_ in ids:
        try:
            message = await store.get_message(conversation_id, id_)
        except NotFound:  # it is in another conversation
            raise conflict from None
        record = sent[id_]
        # Of what a message follows, only `parentId` is shown as it was sent: whoever says more, says something else.
        says_more = record.is_root or record.sibling_of is not None
        if says_more or _compared(message) != _compared(record.message):
            raise conflict
        known[id_] = Receipt(id_, message.seq, message.created_at)
    return known


def _compared(said: Message | MessageFields) -> str:
    """What two messages have in common if they say the same. What a kept one does not show is not there."""
    values = [getattr(said, name, None) for name in _COMPARED]
    return digest(*(canonical(value) if isinstance(value, Raw | UnsetType) else value for value in values))
