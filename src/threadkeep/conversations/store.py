"""The contract of every back end. Read this first.

`Store` is what a user does with their conversations, and `Upkeep` what a platform does for them: on a timer, by an
alarm, or after an erasure. A back end that keeps the conversations itself offers both, as a `DatabaseStore`; a client
of a server offers the first.

A store is opened for one user, so no method takes a user and none can forget one: whatever belongs to somebody else
does not exist here. Every method is all or nothing, and what it has returned is kept, whatever happens next. Calls may
come at the same time, from many processes.

A method is one round trip to the database. The exceptions: a page of messages that are too large together takes two;
`fork_conversation` takes two, and one for each page of the path;
`sweep` takes up to twelve, and `tidy` up to three. On Postgres a write takes two, since it locks the user's row first,
and one more where the user has nothing yet; and over a driver that cannot send a batch, each statement takes one.

Every write stamps what it touched with the next `rev` of the user's change counter.
Any method raises Unavailable when the back end cannot be reached; then nothing was done, or all of it was.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from threadkeep.conversations.drafts.store import DraftStore
from threadkeep.conversations.models import (
    Appended,
    BranchList,
    Changes,
    Conversation,
    ConversationPage,
    Deleted,
    DeletedBranch,
    Erased,
    HitPage,
    Message,
    MessagePage,
)
from threadkeep.conversations.records import (
    ConversationEdit,
    ConversationFilter,
    ConversationRecord,
    ForkRecord,
    ImportRecord,
    MessageEdit,
    MessageRecord,
    SearchQuery,
)
from threadkeep.errors import Conflict, CursorExpired, NotFound, Stale, ThreadkeepError

if TYPE_CHECKING:
    from threadkeep.agents.store import StateStore


class Store(DraftStore, Protocol):
    """The conversations of one user, as that user has them."""

    @property
    def bookmark(self) -> str | None:
        """Where a later read must begin to see what this store has seen; None where there is only one copy.

        Source: D1's read replication, https://developers.cloudflare.com/d1/best-practices/read-replication/
        """

    async def create_conversation(self, record: ConversationRecord) -> tuple[Conversation, bool]:
        """Keep a new conversation with its first messages; answer it, and whether it is new.

        A known id with the same digest is a repeat: the conversation as it is now, and False.
        Without a title it takes one as in `append_messages`; `titleSource` tells which it was.

        Raises Conflict for a known id with another digest, for a deleted one, and where a message's id is taken.
        """

    async def put_conversation(
        self, record: ConversationRecord, *, expected_message_count: int | None = None
    ) -> tuple[Appended, bool]:
        """Create a conversation with its messages, or append these to the one there is; answer whether it is new.

        A new one is the same as `create_conversation` makes. To one that is there `messages` are appended as by
        `append_messages`, and all else that it has stays. Answers a receipt for each message, and the conversation.

        Raises, in this order: Conflict for a deleted conversation, with `deleted` in `details["reason"]`; Conflict
        where an id belongs to another message, with those ids in `details["ids"]`; Stale as `append_messages` does: one
        that is not there has 0 messages, and is not created where another count is expected.
        """

    async def get_conversation(self, conversation_id: str) -> Conversation:
        """The conversation. Raises NotFound where it never was, is deleted, or is not this user's."""

    async def list_conversations(
        self,
        *,
        is_archived: bool | None = False,
        cursor: str | None = None,
        limit: int = 20,
        only: ConversationFilter | None = None,
    ) -> ConversationPage:
        """Conversations that are archived, that are not, or, with None, both; latest `updatedAt` first, ties by id,
        descending.

        `cursor` is a `nextCursor`, or the id of a conversation after which to go on; `cursors.py` tells them apart.
        Rows that no append moved while somebody pages come exactly once.
        A page has at most `limit` rows (1 to 100), and fewer where they are large. With a filter, a page looks at 1,000
        conversations at most, and goes on from there: it may be short, or empty, and not be the last.

        Raises Invalid for a cursor that leads nowhere.
        """

    async def update_conversation(
        self, conversation_id: str, edit: ConversationEdit, *, expected_version: int | None = None
    ) -> Conversation:
        """Edit title, archiving, model or metadata, and answer the conversation as it is now.

        With `expected_version` the edit applies to that version or not at all.
        Without, the last edit of each field wins: by `edited_at` where it is given, which counts as now if it is
        later, and else by arrival; a title that was never edited gives way to any edit. So does a field whose last edit
        lies more than a minute after now, since the clock was wrong by which it got that time.
        A cleared title is the default one again, with `titleSource` `default`; cleared metadata is `{}`, and a cleared
        `isArchived` is false. `version` goes up by one if any field was applied.

        Raises NotFound as `get_conversation` does; Stale, with the conversation as it is now in
        `details["conversation"]`, where the version is not the expected one; TooLarge where metadata that applies would
        be over 16 KiB when it is merged, and then nothing of the edit applies.
        """

    async def delete_conversation(self, conversation_id: str, *, expected_version: int | None = None) -> None:
        """Delete the conversation so that it can be restored. Doing so again changes nothing, whatever is expected.

        It can be restored until it is purged.

        Raises NotFound where it never was; Stale, as `update_conversation` does, where the version is not the expected.
        """

    async def delete_conversations(self, before: int, *, is_archived: bool | None = False) -> Deleted:
        """Delete those whose `updatedAt` is before a time, in Unix milliseconds, as `delete_conversation` does.

        `is_archived` is as in `list_conversations`. It deletes the oldest, as many as may be at once; so whoever wants
        all of them deleted calls it until it is complete. Then it finds none.
        """

    async def restore_conversation(self, conversation_id: str) -> Conversation:
        """Undo a delete, and answer the conversation. One that is not deleted is answered as it is.

        Its messages count as changed, since whoever follows the changes has dropped them.

        Raises NotFound where it never was, or was purged.
        """

    async def append_messages(
        self,
        conversation_id: str,
        messages: list[MessageRecord],
        *,
        expected_message_count: int | None = None,
        expected_leaf_id: str | None = None,
        interrupts: bool = False,
    ) -> tuple[Appended, bool]:
        """Append messages, all or none, in the order given; answer a receipt for each, and whether any is new.

        `seq` goes on from the last message without a gap. Of two writers at once both succeed, one after the other.
        Messages that are known already, by id and digest, are repeats: they are not stored again, and get the receipt
        of the first time. `updatedAt` moves to `max(itself, now)`.
        A message may say what it follows: the parent or the sibling that it names, or nothing, as a root. Of those that
        do not say it, the first new one follows the leaf of the active path, and each other one the message before it.
        The path then ends with the last new one that is to be selected.
        A conversation whose title is the default takes the first title among the records (the first words of a user);
        that is not an edit: `version` stays.

        Raises, in this order: NotFound as `get_conversation` does; Conflict where an id belongs to another message,
        with those ids in `details["ids"]`; Invalid, with the path, where a message follows one that is not there; Stale
        where `expected_message_count` is given and is not the count now, with the count in `details["messageCount"]`,
        or `expected_leaf_id` is not the leaf, with that in `details["leafId"]`, unless all messages are repeats.
        """

    async def list_messages(
        self,
        conversation_id: str,
        *,
        branch: str | None = None,
        cursor: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> MessagePage:
        """A page of messages, in order of `seq`: the newest, or those that the cursor or `after` leads to.

        `branch` is `active` for the active path, `all` for all branches, or the id of the message with which a path
        ends. Without it, the page is of the active path, or, with `after`, of all branches, so that who follows by
        `seq` misses nothing. What is deleted is not among them.
        `cursor` is a `nextCursor`, which goes on along the same path, or the id of a message before which to read.
        `after` reads forward from the message that follows this `seq`; 0 begins at the first. Not both.
        A page has at most `limit` rows (1 to 200), and fewer where they are large, but always one if there is any.

        Raises, in this order: Invalid for a text that is no cursor; NotFound as `get_conversation` does; Invalid for an
        id of no message of this conversation.
        """

    async def list_branches(self, conversation_id: str, message_id: str) -> BranchList:
        """The messages that follow what this one follows, itself among them, and what there is below each.

        Raises NotFound as `get_conversation` does, and where there is no such message, or it is deleted.
        """

    async def select_leaf(
        self, conversation_id: str, message_id: str, *, descend: bool = True, expected_leaf_id: str | None = None
    ) -> Conversation:
        """Have the active path end with a message, or with what was said last below it; answer the conversation.

        Neither `updatedAt` nor `version` moves. To choose what is chosen already changes nothing.

        Raises NotFound as `list_branches` does; Stale, with the leaf in `details["leafId"]`, where that is not the
        expected one.
        """

    async def delete_branch(self, conversation_id: str, message_id: str) -> DeletedBranch:
        """Delete a message and all below it so that they can be restored; answer how many, 0 where it is deleted.

        Where the active path led through it, it then leads to what was said last below the message before it.

        Raises NotFound as `get_conversation` does, and where there never was such a message.
        """

    async def restore_branch(self, conversation_id: str, message_id: str) -> Conversation:
        """Undo the deletion in which a message went, and answer the conversation. One that is there stays as it is.

        Its messages count as changed. Where the active path ends with what the branch follows, it goes on into it.

        Raises NotFound as `delete_branch` does; Conflict, with `parent_deleted` in `details["reason"]`, where what the
        branch follows is deleted itself.
        """

    async def fork_conversation(self, conversation_id: str, fork: ForkRecord) -> tuple[Conversation, bool]:
        """Make a conversation of the path that ends with a message; return it, and whether it is new.

        The messages are copied as they are, with new ids; so are model and metadata, and the title unless another is
        given. Each follows the one before it, and they are found by their words as if they had been appended. The
        original stays as it is. The same fork again, by id and digest, is a repeat, even where the original is gone.

        Raises, in this order: Conflict where the id is taken by anything else; NotFound as `get_conversation` does, and
        where there is no such message, or it is deleted; Invalid where there is nothing to copy; TooLarge for a path of
        more messages or words than are written at once.
        """

    async def get_message(self, conversation_id: str, message_id: str) -> Message:
        """A message. Raises NotFound as `get_conversation` does, and for an id of no message of this conversation."""

    async def update_message(
        self, conversation_id: str, message_id: str, edit: MessageEdit, *, expected_version: int | None = None
    ) -> Message:
        """Edit the metadata of a message, and answer the message as it is now.

        Which edit applies is decided as in `update_conversation`. If it does, `version` goes up by one, and the message
        counts as changed, though the conversation does not. Cleared metadata is null.
        The digest stays that of the append: the message as it was sent then is a repeat.

        Raises NotFound as `get_message` does; Stale, with the message as it is now in `details["message"]`, where the
        version is not the expected one; TooLarge where the metadata would be over 16 KiB when it is merged, or the
        message over what one may have.
        """

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        """Messages and titles that hold every word and phrase of the query, best first, then newest.

        Case and diacritics do not matter; `tokenizer.py` says what a word is, and `search.py` what is searched. The
        last word may be the beginning of one, unless it stands in quotes. What is deleted is not found. Messages are
        found on all branches; a hit says whether it is on the active path.

        A page has at most `limit` hits (1 to 100), and fewer where they are large, but always one if there is any.

        Raises Invalid for a query without a word or with more than 32, and for a cursor that leads nowhere; NotFound
        for a conversation to search in that is not there.
        """

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        """What has changed since a cursor: a `next`, or "0" for the beginning. None answers a cursor and nothing else.

        Whoever applies every page in order, and goes on from `next`, holds what the store holds: a conversation as it
        is now, or its tombstone, which takes its messages with it; and every message of those that are not deleted.
        A message may come before its conversation, since a conversation that changes again moves to the end.
        Within one write, conversations come before messages. Nothing is left out between pages, whoever writes.

        A page has at most `limit` rows (1 to 500), and fewer where they are large, but always one if there is any.

        Raises CursorExpired where the cursor is of another epoch, or from before the floor, below which tombstones are
        no longer kept, or not from this store; Invalid for a text that is no cursor.
        """

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        """Keep conversations with the times that they bring, all of them in one round trip.

        Answers for each why it was refused, or None: a Conflict where its id is known with another digest, or deleted.
        A known id with the same digest is a repeat, and is not kept again. Those that are not refused are all kept, or
        none is. There may be as many as are handed over at once; at some 50 conversations, or 4 MB, begin another.
        """

    async def erase(self) -> Erased:
        """Erase everything, the state of agents as well; answer how much it was, with what was deleted before.

        Nothing of it can be read, found, restored or followed from then on, and a new epoch begins: every cursor of the
        changes has expired. What another writer keeps at the same time comes before that, and is erased, or after it,
        and is kept. `Upkeep.sweep` removes what is left in the database.
        """


class Upkeep(Protocol):
    """What has to be done for one user now and then, so that what is old goes, and what is gone is gone."""

    async def expire(self, before: int, spares: Collection[str] = ()) -> bool:
        """Delete some of those last appended to before a time, in Unix milliseconds; answer whether there may be more.

        They can be restored until they are purged. What was imported or restored since that time stays, and so does
        what is spared: `archived` conversations, and those that are `pinned` by `metadata.pinned`, which is then true.
        An append at the same time comes before that, and is kept, or after it, and finds no conversation.
        """

    async def oldest_append(self, spares: Collection[str] = ()) -> int | None:
        """When messages were last appended to the oldest conversation that is not spared; None where there is none."""

    async def settle_overdue_drafts(self) -> int | None:
        """Settle some of the drafts past their deadline as interrupted; answer the earliest deadline of those left."""

    async def purge(self, until: int) -> int | None:
        """Remove for good what was deleted then or before, in Unix milliseconds; answer the earliest deletion after it.

        A journal or a blob that expires counts as deleted so long before that it is due then.
        It can no longer be restored, and its tombstones are forgotten: the floor rises past them, so that a cursor from
        before them has expired. `sweep` removes what is left in the database.
        """

    async def sweep(self) -> bool:
        """Overwrite and remove a part of what was erased or purged; answer whether there may be more to do.

        Once there is no more, ids are free again, and of a user who has nothing there is nothing: an epoch ends. What
        an earlier version has indexed is brought into the index of this one by the same calls. One takes up to twelve
        round trips, and may be cut off between any two: whoever calls next goes on.
        """

    async def tidy(self) -> bool:
        """Remove from the index for good a part of what was taken out of it; answer whether there may be more.

        In a database that many share that is what was anybody's. Nothing finds it any more, and no id waits for it.
        """


class UsersToExpire(Struct):
    """Those of some users for whom `Upkeep.expire` has something to do."""

    users: list[str]
    last: str | None
    """The last who was looked at; None where there is none."""


class DatabaseStore(Store, Upkeep, Protocol):
    """A store in the database that keeps the conversations."""

    @property
    def state(self) -> "StateStore":
        """What the agents of the same user keep, in the same database, seen from the same bookmark."""


# The words in which every back end refuses.


def cursor_expired() -> CursorExpired:
    """A cursor of the changes cannot be followed."""
    return CursorExpired(
        "This cursor has expired: it is too old, or everything was erased since. Start again with since=0."
    )


def no_conversation(conversation_id: str) -> NotFound:
    """There is none under this id, or it is deleted, or somebody else's."""
    return NotFound(f"There is no conversation {conversation_id}.")


def no_message(conversation_id: str, message_id: str) -> NotFound:
    """There is none under this id in the conversation."""
    return NotFound(f"There is no message {message_id} in the conversation {conversation_id}.")


def conversation_conflict(conversation_id: str, taken_by: Conversation | None) -> Conflict:
    """The id of a conversation to create is taken, by one of the same user: None where that is being erased or purged.

    Ids are per user, so this tells nothing of anybody else's.
    """
    if taken_by is None:
        reason = "purging"
        what = "is being removed for good, and its id is free after that. Try again later"
    elif taken_by.deleted_at is not None:
        reason = "deleted"
        what = "is deleted. Restore it"
    else:
        reason = "exists"
        what = (
            "exists already, and was created with other content. Append to it what is new, or send all of it by PUT, "
            "which appends what is new"
        )
    return Conflict(
        f"The conversation {conversation_id} {what}, or create another one under a new id.", {"reason": reason}
    )


def import_conflict() -> Conflict:
    """The id of a conversation to import is taken."""
    return Conflict(
        "This Idempotency-Key was used before: for another document at this place, or for this one, which was deleted "
        "since. Send it under another key."
    )


def message_conflict(ids: list[str]) -> Conflict:
    """Ids of messages to store are taken."""
    return Conflict(
        "These ids are taken by other messages, with other content or in another conversation. "
        "Send each message under an id of its own.",
        {"ids": sorted(ids)},
    )


def version_stale(expected_version: int | None, conversation: Conversation) -> Stale:
    """An edit was meant for another version."""
    return Stale(
        f"The conversation is at version {conversation.version}, not {expected_version}. "
        "Read it again, then repeat the request.",
        {"conversation": conversation},
    )


def message_stale(expected_version: int | None, message: Message) -> Stale:
    """An edit was meant for another version of a message."""
    return Stale(
        f"The message is at version {message.version}, not {expected_version}. Read it again, then repeat the request.",
        {"message": message},
    )


def count_stale(expected_message_count: int | None, message_count: int) -> Stale:
    """An append was meant to follow another message than the last."""
    return Stale(
        f"The conversation has {message_count} messages, not {expected_message_count}. "
        "Read it again, then repeat the request.",
        {"messageCount": message_count},
    )
