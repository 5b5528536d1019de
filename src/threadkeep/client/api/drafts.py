"""Drafts: messages that are kept while they are written."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec
from msgspec import Struct

from threadkeep.client.models import Appended, ConversationData, DraftData, Receipt
from threadkeep.client.transport import Transport, read
from threadkeep.errors import ThreadkeepError
from threadkeep.ids import new_id

FLUSH_SECONDS = 0.25
"""How long what is written waits, at the most, for more that is written after it."""
FLUSH_BYTES = 8_000
"""What is as much as this does not wait."""
_ERROR_CHARACTERS_MAX = 1_000
_NOTHING_CAME = 204


class _Written(Struct):
    next: int
    stop: bool


class AsyncDraft:
    """A message while it is written.

        async with conversation.draft(role="assistant") as draft:
            async for token in model:
                await draft.write(token)

    What is written is sent several times a second, so that others can read it, and nothing is lost if this process
    ends. Left as above, the draft is settled: it is a message. Left by an exception, it is `failed`, and by anything
    that is not an error, such as a cancellation, `interrupted`: what came is a message all the same.
    """

    def __init__(
        self,
        transport: Transport,
        conversation_id: str,
        new: dict[str, Any],
        became: Callable[[ConversationData], None],
    ) -> None:
        """`new` is what the server is sent to start it; `became` is told what it says of the conversation."""
        self.conversation_id = conversation_id
        self.id: str = new.get("id") or new_id()
        self.fence = 0
        self.stop = False
        """Whether somebody has asked to stop. Known when something was sent; leave the draft then."""
        self.receipt: Receipt | None = None
        """What the message was given, once the draft is settled; None where nothing had come."""
        self._transport = transport
        self._became = became
        self._new = {**new, "id": self.id}
        self._next = 0
        self._parts: list[list[dict[str, Any]]] = []  # those of which it is not known whether the server has them
        self._ops: list[dict[str, Any]] = []
        self._size = 0
        self._sent_at = 0.0
        self._blocks: list[str] = []  # the type of each
        self._is_settled = False

    async def __aenter__(self) -> "AsyncDraft":
        """Start it. Raises as the server refuses it, such as NotFound and Conflict."""
        path = f"/api/conversations/{self.conversation_id}/drafts"
        draft = read(await self._transport.send("POST", path, self._new, is_repeatable=True), DraftData)
        self.fence, self._next = draft.fence, draft.next
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Settle it, unless that was done."""
        if self._is_settled:
            return
        if error is None:
            await self.settle("interrupted" if self.stop else "complete")
            return
        try:
            if isinstance(error, Exception):
                await self.settle("failed", error=str(error)[:_ERROR_CHARACTERS_MAX])
            else:
                await self.settle("interrupted")
        except ThreadkeepError:  # what went wrong first is what the caller is to hear of
            return

    async def write(self, text: str) -> None:
        """Write what comes next of the text."""
        await self._append("text", "text", text)

    async def think(self, text: str) -> None:
        """Write what comes next of what the model thinks."""
        await self._append("thinking", "thinking", text)

    async def add(self, block: dict[str, Any]) -> None:
        """Write a whole block, such as a call of a tool. Text that is written after it begins a block of its own."""
        self._take({"block": len(self._blocks), "set": block})
        self._blocks.append("")
        await self._flush_if_due()

    async def event(self, event: dict[str, Any]) -> None:
        """Tell readers something that does not become part of the message."""
        self._take({"event": event})
        await self._flush_if_due()

    async def flush(self) -> None:
        """Send what was written since the last time. It also renews the lease."""
        self._parts.append(self._ops)  # and it stays this one, whatever comes of it
        self._ops, self._size = [], 0
        body = {"fence": self.fence, "from": self._next, "parts": self._parts}
        response = await self._transport.send("POST", f"/api/drafts/{self.id}/parts", body, is_repeatable=True)
        written = read(response, _Written)
        self._next, self.stop = written.next, written.stop
        self._parts, self._sent_at = [], time.monotonic()

    async def settle(
        self,
        state: str = "complete",
        *,
        content: str | list[dict[str, Any]] | None = None,
        token_count: int | None = None,
        usage: dict[str, Any] | None = None,
        error: str | None = None,
    ) -> Receipt | None:
        """Make it a message: `complete`, `interrupted` or `failed`. `content` wins over what was written.

        Returns what the message was given, or None where nothing had come.
        """
        if self._ops or self._parts:
            await self.flush()
        end = {"fence": self.fence, "state": state, "content": content, "tokenCount": token_count}
        end |= {"usage": usage, "error": error}
        response = await self._transport.send("PUT", f"/api/drafts/{self.id}", end, is_repeatable=True)
        self._is_settled = True
        if response.status_code != _NOTHING_CAME:
            appended = read(response, Appended)
            self._became(appended.conversation)
            (self.receipt,) = appended.messages
        return self.receipt

    async def _append(self, kind: str, field: str, text: str) -> None:
        if not self._blocks or self._blocks[-1] != kind:
            self._take({"block": len(self._blocks), "set": {"type": kind, field: ""}})
            self._blocks.append(kind)
        last, block = self._ops[-1] if self._ops else {}, len(self._blocks) - 1
        if "append" in last and last["block"] == block:
            last["append"] += text
            self._size += len(text)
        else:
            self._take({"block": block, "append": text})
        await self._flush_if_due()

    def _take(self, op: dict[str, Any]) -> None:
        self._ops.append(op)
        self._size += len(msgspec.json.encode(op))

    async def _flush_if_due(self) -> None:
        if self._size >= FLUSH_BYTES or time.monotonic() - self._sent_at >= FLUSH_SECONDS:
            await self.flush()
