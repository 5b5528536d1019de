"""What readers of a draft get: its content, and what it has become."""

from contextlib import suppress

from msgspec import Raw

from threadkeep.conversations.drafts.models import DraftContent, DraftSettled
from threadkeep.conversations.drafts.settling import INTERRUPTED, folded
from threadkeep.conversations.drafts.store import DraftStore
from threadkeep.conversations.models import Draft
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, NotFound

_PARTS_AT_ONCE = 1_000
_NOTHING = Raw(b"[]")


def is_overdue(draft: Draft) -> bool:
    """Whether a draft is past its deadline, and nobody has settled it."""
    return draft.settled_at is None and draft.state == "interrupted"


async def settle_overdue(store: DraftStore, draft_id: str) -> None:
    """Settle a draft past its deadline, unless somebody else does so just now."""
    with suppress(Conflict, NotFound):
        await store.settle_draft(draft_id, INTERRUPTED)


async def read_folded(store: Store, draft_id: str) -> tuple[Draft, DraftContent]:
    """A draft, and what has come of it as content; of one that is settled, the content of its message.

    Raises NotFound.
    """
    parts: list[Raw] = []
    while True:
        page = await store.get_draft(draft_id, start=len(parts), limit=_PARTS_AT_ONCE)
        parts += [part.ops for part in page.parts]
        if page.draft.settled_at is not None:
            message = (await outcome_of(store, page.draft)).message
            return page.draft, DraftContent(_NOTHING if message is None else message.content, page.draft.next)
        if not page.more:
            return page.draft, DraftContent(folded(parts), len(parts))


async def outcome_of(store: Store, draft: Draft) -> DraftSettled:
    """What a draft has become that is settled."""
    try:
        message = await store.get_message(draft.conversation_id, draft.id)
    except NotFound:
        message = None
    return DraftSettled(draft, message)
