"""Sessions of the OpenAI Agents SDK that keep ciphertext alone. It needs `openai-agents[encrypt]`."""

from typing import Any

from agents.extensions.memory.encrypt_session import EncryptedSession
from agents.run_context import RunContextWrapper

from threadkeep.adapters.openai_agents import Item, ThreadkeepSession


class EncryptedThreadkeepSession(EncryptedSession):
    """The SDK's `EncryptedSession`, whose `pop_item` removes nothing that its key does not open.

    That one looks before it removes where it is over the SDK's `SQLiteSession`, and over nothing else.
    """

    async def pop_item(self, *, wrapper: RunContextWrapper[Any] | None = None) -> Item | None:
        """Remove the newest item that can be read, with what has expired after it. Raises InvalidToken."""
        session = self.underlying_session
        if not isinstance(session, ThreadkeepSession) or session.has_own_ways:
            return await super().pop_item(wrapper=wrapper)
        while True:
            popped = await session._pop_item_with_validation(self._authenticate)  # noqa: SLF001 as the SDK calls it
            if popped is None:
                return None
            item = self._unwrap(popped)
            if item is not None:
                return item

    def _authenticate(self, item: Any) -> None:
        """Raise InvalidToken where an item is encrypted, but not by this key; that it has expired is no matter."""
        if isinstance(item, dict) and item.get("__enc__") == 1 and "payload" in item:
            self.cipher.extract_timestamp(item["payload"].encode())
