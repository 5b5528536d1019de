"""What has changed, for devices that stay in step."""

from collections.abc import AsyncIterator

from msgspec import Raw, Struct, json

from threadkeep.client.api.events import events
from threadkeep.client.models import Changes, ConversationData, DraftChange, Message, Removed, Tombstone
from threadkeep.client.transport import BrokenOff, Transport, read
from threadkeep.client.waiting import sleep
from threadkeep.errors import CursorExpired

_PATH = "/api/conversations/changes"
_PAUSE_SECONDS = 1.0
"""Before a connection that broke is made again."""


class _Changes(Struct, rename="camel"):
    conversations: list[Raw]
    messages: list[Message]
    next: str
    has_more: bool
    removed: list[Removed] = []
    drafts: list[DraftChange] = []


class _Expired(Struct):
    message: str


class AsyncFollowing:
    """What a client can follow."""

    _transport: Transport

    async def changes(
        self, since: str | None = None, *, limit: int = 200, follow: bool = False
    ) -> AsyncIterator[Changes]:
        """What has changed since a cursor, page by page, until everything that is there by now has come.

        `since="0"` brings everything, and None only where to go on from. With `follow` it never ends: whatever changes
        comes as it happens.
        Raises CursorExpired where the cursor is too old: forget what the server had, and begin with "0".
        """
        has_more = True
        while has_more:
            query = {"since": since, "limit": limit}
            page = read(await self._transport.send("GET", _PATH, query=query), _Changes)
            if page.next != since:
                yield _changes(page)
            since, has_more = page.next, page.has_more
        while follow:
            try:
                async for event in events(self._transport, f"{_PATH}/stream", {"since": since, "limit": limit}):
                    if event.name == "expired":
                        raise CursorExpired(json.decode(event.data, type=_Expired).message)
                    page = json.decode(event.data, type=_Changes)
                    yield _changes(page)
                    since = page.next
            except BrokenOff:
                await sleep(_PAUSE_SECONDS)


def _changes(page: _Changes) -> Changes:
    changes = Changes(
        messages=page.messages, removed=page.removed, drafts=page.drafts, next=page.next, has_more=page.has_more
    )
    for row in page.conversations:
        if "title" in json.decode(row, type=dict[str, Raw]):
            changes.conversations.append(json.decode(row, type=ConversationData))
        else:
            changes.deleted.append(json.decode(row, type=Tombstone))
    return changes
