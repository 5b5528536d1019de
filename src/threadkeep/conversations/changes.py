"""Following the changes: where a user's counter stands, and whether a cursor can still be followed."""

from msgspec import Struct

from threadkeep.conversations.cursors import END_OF_REV, AfterChange
from threadkeep.conversations.models import INTEGER_MAX, Conversation, Tombstone
from threadkeep.conversations.store import cursor_expired


class Owner(Struct):
    """Where the changes of a user stand."""

    epoch: str
    """Which history this is. Erasing everything, and restoring a backup, begin another."""
    rev: int
    """The last change."""
    floor: int
    """Tombstones up to here may be gone."""


def follow(cursor: AfterChange, owner: Owner) -> int:
    """The floor that a reader at this cursor has to mind from now on. Raises CursorExpired where it missed something.

    Who begins at 0 holds nothing, so nothing of what is already gone can be missed: until the reader is past the floor
    at which it began, only a floor that has risen since then matters.
    """
    begins = cursor.rev == 0 and cursor.epoch in ("", owner.epoch)
    if begins:
        return owner.floor
    if cursor.epoch != owner.epoch or cursor.rev > owner.rev:
        raise cursor_expired()
    if cursor.rev < owner.floor and cursor.floor != owner.floor:
        raise cursor_expired()
    return cursor.floor


def end_of(owner: Owner) -> AfterChange:
    """The cursor of a reader who has seen everything up to now."""
    return AfterChange(owner.epoch, owner.rev, END_OF_REV, INTEGER_MAX - 1, owner.floor)


def as_change(conversation: Conversation) -> Conversation | Tombstone:
    """A conversation as those see it who follow the changes."""
    if conversation.deleted_at is None:
        return conversation
    return Tombstone(conversation.id, conversation.deleted_at)
