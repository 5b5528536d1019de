"""The contract of every back end that keeps journals.

A journal is a head and an ordered list of entries, under a key in a space; both are names that the client chose. It is
written by one batch at a time, and each that changes anything raises its `version` by one. Each write has a name, its
`request`: if one of the last writes of a journal, eight at least, had the same name, this one is a repeat, changes
nothing, and is answered as the first was. A claim is a repeat only if nobody has claimed the journal since.

A refusal is Conflict or Stale, with `details["reason"]`. A journal that has expired is one that was deleted.
"""

from typing import Protocol

from threadkeep.agents.journals.models import AppendedEntries, Entry, EntryPage, Journal, JournalPage, Order
from threadkeep.agents.journals.records import AppendRecord, EntryQuery, JournalEdit, JournalRecord
from threadkeep.errors import Conflict, CursorExpired, NotFound, Stale, TooLarge

HEAD_TOO_LARGE = "head: It would have more than 1,000,000 bytes when it is merged. Keep more of it in entries."


class JournalStore(Protocol):
    """The journals of one user."""

    async def put_journal(self, record: JournalRecord) -> tuple[Journal, bool]:
        """Keep a journal; return it as it is now, and whether it is new.

        `create` keeps one that is there as it is. `save` sets its head, lane, kind, status and sort, and its expiry
        where that is given, and keeps its entries. `replace` begins a new one: another incarnation, without entries and
        without a producer, so that whoever wrote to the one before is refused.

        Raises Conflict `conflict` where `create` finds one of another identity; Stale `stale`, with the `version` now,
        0 for none, where it is not the expected one.
        """

    async def patch_journal(self, space: str, key: str, edit: JournalEdit) -> Journal:
        """Merge a patch into the head, or set status or sort; return the journal as it is now.

        Raises, in this order: NotFound; Stale `stale` where the version is not the expected one; Stale `status` where
        the status is another than `status_is`, with the `status` now; TooLarge where the head would be.
        """

    async def get_journal(self, space: str, key: str) -> Journal:
        """The journal, with its head. Raises NotFound."""

    async def list_journals(
        self,
        space: str,
        *,
        status: str | None = None,
        order: Order = "sort",
        cursor: str | None = None,
        limit: int = 100,
    ) -> JournalPage:
        """Journals of a space with their heads, of one status or all, by sort and key, both descending.

        With the order `updated`, all of them, by when they were last written and by key, both ascending: whoever
        follows that meets again what is written meanwhile.

        A page has at most `limit` rows (1 to 1,000), and fewer where they are large, but always one if there is any.
        Raises Invalid for a text that is no cursor.
        """

    async def delete_journal(self, space: str, key: str, *, expected: int | None = None) -> None:
        """Delete a journal with its entries. Where there is none, nothing is to be done.

        Its key is free at once; `sweep` removes the rest. Raises Stale `stale` where the version is not the expected.
        """

    async def acquire_producer(self, space: str, key: str, producer: str, *, request: str) -> Journal:
        """Let only this producer append from now on; return the journal, whose epoch is the next one.

        Its appends are counted from 0, and all that claimed it before are fenced. Raises NotFound.
        """

    async def append_entries(self, space: str, key: str, record: AppendRecord) -> tuple[AppendedEntries, bool]:
        """Remove, append, and set head and labels, in this order, all or none; return what was kept, and whether now.

        `seq` goes on from the last entry there ever was. A repeat is answered as the first time. What is decided, in
        this order:

        1. There is no journal, and it is not to be created: NotFound; where another version than 0 is expected: Stale.
        2. It is one of the last writes again: a repeat.
        3. It was written later than at the `updated_at` that is given, and is to be kept: Stale `older`, with
           `updatedAt`.
        4. Somebody is its producer, or one is given, and id, epoch or incarnation differ: Stale `fenced`.
        5. The producer's append of this seq is kept: a repeat, or Conflict `conflict` where it was another one.
        6. The producer's seq is not the next: Stale `gap`, with `nextProducerSeq`.
        7. Its place is taken: a repeat, or Conflict `conflict` where something else is there.
        8. Entries of its ids are kept, other than those that it removes: a repeat if it is all of them and they are the
           same, else Conflict `conflict`.
        9. It is closed: Conflict `closed`.
        10. Its guard is not at work, or in another lane than the journal's: Conflict `unauthorized`.
        11. It has another version than the expected one: Stale `stale`, with the `version`.
        """

    async def read_entries(self, space: str, key: str, query: EntryQuery) -> EntryPage:
        """A page of entries, in order of `seq`: the first that fit the query, or the newest.

        A page has at most `limit` rows (1 to 1,000), and fewer where they are large, but always one if there is any.

        Raises, in this order: Invalid for a text that is no cursor; NotFound; CursorExpired for a cursor of another
        incarnation or generation.
        """

    async def pop_entry(self, space: str, key: str) -> Entry | None:
        """Remove the last entry and return it, or None where there is none. Do not repeat it blindly.

        Raises NotFound; Stale `fenced` where there is a producer; Conflict `closed` where it is closed.
        """


# The words in which every back end refuses.


def no_journal(space: str, key: str) -> NotFound:
    """There is none under this key, or it is somebody else's."""
    return NotFound(f"There is no journal {key[:80]} in {space[:80]}. Create it first, or append with `create`.")


def identity_conflict(key: str) -> Conflict:
    """A journal to create is there already, and was created as something else."""
    return Conflict(
        f"The journal {key[:80]} exists already, and was created with other content. "
        "Take another key, or send it with the mode `save` or `replace`.",
        {"reason": "conflict"},
    )


def stale(expected: int | None, version: int) -> Stale:
    """A write was meant for another version."""
    return Stale(
        f"The journal is at version {version}, not {expected}. Read it again, then repeat the request.",
        {"reason": "stale", "version": version},
    )


def other_status(expected: str | None, status: str | None) -> Stale:
    """A write was meant for a journal of another status."""
    return Stale(
        f"The journal has the status {status!r}, not {expected!r}. Read it again, then repeat the request.",
        {"reason": "status", "status": status},
    )


def head_too_large() -> TooLarge:
    """A head would be too large when it is merged."""
    return TooLarge(HEAD_TOO_LARGE, {"path": "head"})


def cursor_expired() -> CursorExpired:
    """A cursor of entries cannot be followed."""
    return CursorExpired("This cursor has expired: entries were removed since. Read the journal again from the start.")


def refusal(  # noqa: PLR0911 one for each reason
    reason: str, record: AppendRecord, version: int, next_producer_seq: int, updated_at: int
) -> Conflict | Stale:
    """Why an append was refused."""
    if reason == "older":
        return Stale(
            "The journal was written later than this. It is left as it is.",
            {"reason": "older", "updatedAt": updated_at},
        )
    if reason == "stale":
        return stale(record.expected, version)
    if reason == "fenced":
        return Stale(
            "Another producer has claimed this journal, or it was replaced since. Claim it again, and read it first.",
            {"reason": "fenced"},
        )
    if reason == "gap":
        return Stale(
            f"The next append of this producer has the seq {next_producer_seq}. Send those that are missing first.",
            {"reason": "gap", "nextProducerSeq": next_producer_seq},
        )
    if reason == "closed":
        return Conflict("The journal is closed. Begin another one.", {"reason": "closed"})
    if reason == "unauthorized":
        return Conflict(
            "The task that guards this append is not at work on it any more. Read the task, and leave it to others.",
            {"reason": "unauthorized"},
        )
    return Conflict(
        "Some of these ids or places are taken by other entries. Read the journal, and send what is new.",
        {"reason": "conflict"},
    )
