# Made by `scripts/lock` of client/api/changes.py; a test fails when it is stale.

"""What has changed, for devices that stay in step."""

from collections.abc import Iterator

from msgspec import Raw, Struct, json

from threadkeep.client.models import Changes, ConversationData, Message, Removed, Tombstone
from threadkeep.client.sync.transport import Transport, read
from threadkeep.client.sync.waiting import sleep


class _Changes(Struct, rename="camel"):
    conversations: list[Raw]
    messages: list[Message]
    next: str
    has_more: bool
    removed: list[Removed] = []


class Following:
    """What a client can follow."""

    _transport: Transport

    def changes(
        self, since: str | None = None, *, limit: int = 200, poll_seconds: float | None = None
    ) -> Iterator[Changes]:
        """What has changed since a cursor, page by page, until everything that is there by now has come.

        `since="0"` brings everything, and None only where to go on from. With `poll_seconds` it never ends: it asks
        again after so long, whenever there is no more.
        Raises CursorExpired where the cursor is too old: forget what the server had, and begin with "0".
        """
        while True:
            query = {"since": since, "limit": limit}
            page = _changes(read(self._transport.send("GET", "/api/conversations/changes", query=query), _Changes))
            if page.next != since:
                yield page
            since = page.next
            if not page.has_more:
                if poll_seconds is None:
                    return
                sleep(poll_seconds)


def _changes(page: _Changes) -> Changes:
    changes = Changes(messages=page.messages, removed=page.removed, next=page.next, has_more=page.has_more)
    for row in page.conversations:
        if "title" in json.decode(row, type=dict[str, Raw]):
            changes.conversations.append(json.decode(row, type=ConversationData))
        else:
            changes.deleted.append(json.decode(row, type=Tombstone))
    return changes
