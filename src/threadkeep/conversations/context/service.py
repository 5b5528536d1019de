"""Reads what a model is sent out of a store: the newest messages, in pages, as many as the budget allows."""

from itertools import takewhile
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from threadkeep.conversations.context.parts import TOLD, Dialect, Repair
from threadkeep.conversations.context.view import View, view
from threadkeep.conversations.models import MESSAGES_LIMIT_MAX, Message
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, TooLarge
from threadkeep.work import done

BYTES_DEFAULT = 1_000_000
BYTES_MAX = 8 * 1024 * 1024
"""What an answer may have, and what is read for it: it is held in memory, several times."""
MESSAGES_MAX = 5_000
"""How many messages are read at the most: 25 pages."""
_TOLD_MAX = 10
_REPAIRS_TOLD = 100


class Context(Struct, rename="camel", kw_only=True):
    """What a model is sent of a conversation."""

    messages: list[dict[str, Any]]
    """As the dialect has them: `messages` of Anthropic and of chat completions, `input` of Responses."""
    system: list[dict[str, Any]] | UnsetType = UNSET
    """Only of Anthropic: the `system` of a request, which `system` and `developer` messages are. Left out if empty."""
    repairs: list[Repair]
    """Where it is not what is stored. Empty where the history is sent as it is."""
    truncated: bool
    """Whether older messages were left out, so that the rest fits."""


async def context(
    store: Store,
    conversation_id: str,
    dialect: Dialect,
    *,
    branch: str = "active",
    max_bytes: int = BYTES_DEFAULT,
    repair: bool = True,
) -> Context:
    """What a model is sent of a path of a conversation, in at most so many bytes.

    Raises NotFound and Invalid as `Store.list_messages` does; TooLarge where what follows the last message of a user
    has more bytes; Conflict, with the repairs, where there are some and `repair` is false.
    """
    messages, is_rest = await _newest(store, conversation_id, branch, max_bytes)
    if is_rest:
        messages = await _told(store, conversation_id, messages) + messages
    seen = await done(view(messages, dialect, max_bytes, is_rest=is_rest))
    if seen is None:
        raise TooLarge(
            f"maxBytes: What follows the last message of a user has more than {max_bytes} bytes, or more than "
            f"{MESSAGES_MAX} messages. Ask for more, {BYTES_MAX} bytes at most, or go on in a new conversation.",
            {"path": "maxBytes"},
        )
    if seen.repairs and not repair:
        raise _broken(seen)
    system = seen.written.system or UNSET
    return Context(messages=seen.written.messages, system=system, repairs=seen.repairs, truncated=seen.is_cut)


async def _newest(store: Store, conversation_id: str, branch: str, max_bytes: int) -> tuple[list[Message], bool]:
    """The newest messages, in order, until they have so many bytes; and whether there are more."""
    pages: list[list[Message]] = []
    cursor, size, count = None, 0, 0
    while size <= max_bytes and count < MESSAGES_MAX:
        page = await store.list_messages(conversation_id, branch=branch, cursor=cursor, limit=MESSAGES_LIMIT_MAX)
        pages.append(page.messages)
        cursor = page.next_cursor
        if cursor is None:
            break
        size += sum(len(memoryview(message.content)) for message in page.messages)
        count += len(page.messages)
    return [message for page in reversed(pages) for message in page], cursor is not None


async def _told(store: Store, conversation_id: str, newest: list[Message]) -> list[Message]:
    """What is told to the model at the beginning of a path of which only the end was read."""
    page = await store.list_messages(conversation_id, branch=newest[-1].id, after=0, limit=_TOLD_MAX)
    told = takewhile(lambda message: message.role in TOLD and message.seq < newest[0].seq, page.messages)
    return list(told)


def _broken(seen: View) -> Conflict:
    count = len(seen.repairs)
    return Conflict(
        f"The history cannot be sent as it is: it would need {count} {'repair' if count == 1 else 'repairs'}, which "
        "`details.repairs` lists. Ask without `repair=false` to get it repaired.",
        {"repairs": seen.repairs[:_REPAIRS_TOLD], "count": count},
    )
