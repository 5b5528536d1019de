"""A device that holds what the server holds by following the changes, and nothing else."""

from typing import Any

from support.records import plain
from threadkeep.conversations.models import Tombstone
from threadkeep.conversations.store import Store
from threadkeep.errors import CursorExpired


class Replica:
    """Conversations and messages by their ids, as plain values."""

    def __init__(self) -> None:
        self.conversations: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self.cursor = "0"

    async def follow(self, store: Store, limit: int = 200) -> int:
        """Apply all changes since the last time; answer how many pages it took."""
        pages = 0
        while True:
            changes = await store.changes(self.cursor, limit=limit)
            pages += 1
            assert len(changes.conversations) + len(changes.messages) <= limit
            for conversation in changes.conversations:
                if isinstance(conversation, Tombstone):
                    self.conversations.pop(conversation.id, None)
                    self.messages = {
                        message_id: message
                        for message_id, message in self.messages.items()
                        if message["conversationId"] != conversation.id
                    }
                else:
                    self.conversations[conversation.id] = plain(conversation)
            for message in changes.messages:
                self.messages[message.id] = plain(message)
            assert changes.next != self.cursor or not changes.has_more
            self.cursor = changes.next
            if not changes.has_more:
                return pages

    async def follow_or_begin_again(self, store: Store, limit: int = 200) -> None:
        """Apply all changes; where the cursor has expired, drop everything and begin at 0, as often as it takes."""
        while True:
            try:
                await self.follow(store, limit)
            except CursorExpired:
                self.conversations, self.messages, self.cursor = {}, {}, "0"
            else:
                return

    def assert_equals(self, conversations: dict[str, Any], messages: dict[str, Any]) -> None:
        """Fail unless it holds exactly these."""
        assert self.conversations == conversations
        assert self.messages == messages


async def everything_in(store: Store) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a store holds, read page by page: conversations and messages by their ids."""
    conversations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for is_archived in (False, True):
        cursor = None
        while True:
            page = await store.list_conversations(is_archived=is_archived, cursor=cursor, limit=100)
            conversations |= {row.id: plain(row) for row in page.conversations}
            cursor = page.next_cursor
            if cursor is None:
                break
    for conversation_id in conversations:
        page_of_messages = await store.list_messages(conversation_id, after=0, limit=200)
        messages |= {row.id: plain(row) for row in page_of_messages.messages}
        while page_of_messages.next_cursor is not None:
            page_of_messages = await store.list_messages(
                conversation_id, cursor=page_of_messages.next_cursor, limit=200
            )
            messages |= {row.id: plain(row) for row in page_of_messages.messages}
    return conversations, messages
