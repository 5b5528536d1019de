"""The contract of drafts, which every store of conversations has. See `conversations/store.py` for what holds of all.

A draft past its deadline is `interrupted`: nothing is written to it any more, and the next who writes to its
conversation, or `Upkeep`, settles it with what came.
"""

from typing import Protocol

from threadkeep.conversations.drafts.models import DRAFT_BYTES_MAX, OPEN_MAX, DraftPage, PartsWritten
from threadkeep.conversations.drafts.records import DraftRecord, EndRecord, KeptDraft, PartsRecord
from threadkeep.conversations.models import Appended, Draft
from threadkeep.errors import Conflict, Invalid, NotFound, Stale, TooLarge, Unavailable


class DraftStore(Protocol):
    """The drafts of one user."""

    async def start_draft(self, conversation_id: str, record: DraftRecord) -> tuple[Draft, bool]:
        """Start a draft that follows a message, or the leaf of the active path; answer it, and whether it is new.

        A known id with the same digest is a repeat. Raises NotFound without the conversation; Conflict where the id is
        taken, or too many drafts are open; Invalid where what it follows is not there.
        """

    async def write_parts(self, draft_id: str, record: PartsRecord) -> PartsWritten:
        """Write parts to a draft, all or none. Those that are there already, by number and digest, are repeats.

        Raises, in this order: NotFound; Conflict where it is settled, with its `state`; Stale for an old fence, with
        the `fence`; Conflict where a part is missing before these, with `next`, or where another is there; Invalid for
        a change that does not fit the blocks; TooLarge.
        """

    async def settle_draft(self, draft_id: str, record: EndRecord) -> tuple[Appended | None, bool]:
        """Make the message of a draft, which is appended, and remove its parts; answer as `append_messages` does.

        None where nothing came: there is no message then. To settle it again in the same way is a repeat.
        Raises NotFound; Conflict where it ended otherwise, with its `state`; Stale for an old fence, with the `fence`.
        """

    async def take_draft(self, draft_id: str) -> Draft:
        """Become its producer: the fence goes up by one, and the lease begins anew. Raises NotFound and Conflict."""

    async def stop_draft(self, draft_id: str) -> Draft:
        """Ask its producer to stop. Raises NotFound, and Conflict where it is settled."""

    async def get_draft(self, draft_id: str, *, start: int = 0, limit: int = 500) -> DraftPage:
        """A draft, and its parts from a number on. One that is settled has none. Raises NotFound."""

    async def list_drafts(self, conversation_id: str) -> list[Draft]:
        """The drafts of a conversation that are not settled, oldest first. Raises NotFound."""


def no_draft(draft_id: str) -> NotFound:
    """There is none under this id, or it is forgotten, or somebody else's."""
    return NotFound(f"There is no draft {draft_id}.")


def draft_settled(state: str) -> Conflict:
    """Nothing can be written to a draft that has ended."""
    return Conflict(
        f"This draft has ended, and is {state}. Start another for what is still to come.",
        {"reason": "settled", "state": state},
    )


def fence_stale(fence: int) -> Stale:
    """Another producer has taken the draft."""
    return Stale(
        f"Another producer has taken this draft: its fence is {fence}. Stop writing, or take it yourself.",
        {"reason": "stale", "fence": fence},
    )


def part_gap(first: int, next_part: int) -> Conflict:
    """Parts are missing before these."""
    return Conflict(
        f"The next part is {next_part}, not {first}. Send from there.", {"reason": "gap", "next": next_part}
    )


def part_conflict(part: int, next_part: int) -> Conflict:
    """A part is there already, and says something else."""
    return Conflict(
        f"Part {part} is there already, and says something else. Send from {next_part}, or take the draft.",
        {"reason": "part", "next": next_part},
    )


def draft_conflict(draft_id: str) -> Conflict:
    """The id of a draft to start is taken."""
    return Conflict(f"The id {draft_id} is taken by another draft or message. Choose another.", {"ids": [draft_id]})


def too_many_drafts() -> Conflict:
    """A conversation has as many open drafts as it may have."""
    return Conflict(
        f"There are {OPEN_MAX} drafts open in this conversation, which is the most. Settle one first.",
        {"reason": "drafts"},
    )


def draft_open(draft_ids: list[str]) -> Conflict:
    """An append would follow what an open draft follows."""
    return Conflict(
        "An answer is being written here. Stop it, wait for it, say what this message follows by `parentId`, or send "
        "it with `interrupts=true`.",
        {"reason": "draft_open", "drafts": draft_ids},
    )


def branch_has_drafts(draft_ids: list[str]) -> Conflict:
    """A branch cannot be deleted while drafts are open in it."""
    return Conflict(
        "An answer is being written in this branch. Stop it, or wait for it, and then delete the branch.",
        {"reason": "draft_open", "drafts": draft_ids},
    )


def drafts_are_busy() -> Unavailable:
    """Others have written to the same drafts at the same time, each time."""
    return Unavailable("Others wrote to this draft at the same time, again and again. Try again.")


def op_invalid(path: str) -> Invalid:
    """A change that does not fit the blocks of the draft."""
    return Invalid(
        f"{path}: There is no such block to change, or it is of another type. Set a block before appending to it; the "
        "first block is 0, and the next has the next number.",
        path,
    )


def draft_too_large() -> TooLarge:
    """A draft would be larger than a message may be."""
    return TooLarge(
        f"parts: A draft may have {DRAFT_BYTES_MAX} bytes. Settle this one, and go on in another.", {"path": "parts"}
    )


def parent_not_there(parent_id: str) -> Invalid:
    """What a draft is to follow is not in the conversation."""
    return Invalid(f"parentId: There is no message {parent_id} in this conversation, or it is deleted.", "parentId")


def check_open(draft: KeptDraft, time: int) -> None:
    """Raise Conflict for a draft that has ended, or is past its deadline."""
    if draft.settled_at is not None:
        raise draft_settled(draft.state)
    if draft.is_over(time):
        raise draft_settled("interrupted")


def check_parts(draft: KeptDraft, record: PartsRecord, digests: dict[int, str], time: int) -> bool:
    """Whether any of parts is new to a draft as it was before. Raises as `DraftStore.write_parts` does."""
    check_open(draft, time)
    if draft.fence != record.fence:
        raise fence_stale(draft.fence)
    if record.first > draft.next:
        raise part_gap(record.first, draft.next)
    for part in record.parts:
        if digests.get(part.part, part.digest) != part.digest:
            raise part_conflict(part.part, draft.next)
    if record.first + len(record.parts) <= draft.next:
        return False
    problem = record.effect.problem(draft.blocks or "")
    if problem is not None:
        raise op_invalid(problem)
    if (draft.bytes or 0) + record.size > DRAFT_BYTES_MAX:
        raise draft_too_large()
    return True
