"""Dialect: what `SqlStore` runs, in the words of one product. A module of statements is one."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Raw

from threadkeep.search import Term
from threadkeep.sql.alphabet import Alphabet
from threadkeep.sql.executor import Query


class Dialect(Protocol):
    """Statements by name, each with the same parameters and the same answers in every dialect.

    A dialect may leave parameters out. What stands in groups is the dialect's own, in the order in which it is run.
    """

    # Writes.
    ENSURE_OWNER: Query
    BUMP_REV: Query
    INSERT_CONVERSATION: Query
    INSERT_MESSAGES: Query
    COUNT_MESSAGES: Query
    CREATED: Query
    APPENDED: Query
    INDEXING: tuple[Query, ...]
    """Index words of messages and titles."""
    EDIT_VERDICT: Query
    EDIT_CONVERSATION: Query
    METADATA: Query | None
    """The metadata that an edit is merged into by us, where its executor is one that `ReadsFirst`; `metadata` is then
    what was merged. None where the database merges it."""
    UNINDEXING_OF_TITLE: tuple[Query, ...]
    """Take the words of a title out of the index that an edit has replaced."""
    DELETE_CONVERSATION: Query
    TOUCH_MESSAGES_OF_DELETED: Query
    RESTORE_CONVERSATION: Query
    IMPORT_VERDICT: Query
    IMPORT_CONVERSATIONS: Query
    IMPORT_MESSAGES: Query

    # Erasing and purging.
    COUNT_ALL: Query
    BEGIN_EPOCH: Query
    MARK_ALL: Query
    RAISE_FLOOR: Query
    MARK_DUE: Query
    EARLIEST_DELETION: Query
    SWEEPABLE: tuple[Query, ...]
    """Choose a part of what is marked: what is to be overwritten, where the product does that; last what is to be
    removed."""
    OVERWRITING: tuple[Query, ...]
    """Overwrite a part, where the product would leave what is only removed in its file."""
    REMOVE_WORDS: Query
    REMOVE_MESSAGES: Query
    REMOVE_CONVERSATIONS: Query
    REMOVE_OWNER: Query
    IS_MARKED: Query
    FILLING: tuple[Query, ...]
    """Overwrite what the product has left, once all of a user is gone."""
    USERS_TO_PURGE: Query

    # Reads.
    GET_OWNER: Query
    GET_CONVERSATION: Query
    LIST_CONVERSATIONS: Query
    CONVERSATION_EXISTS: Query
    MESSAGE_EXISTS: Query
    LIST_MESSAGES_BEFORE: Query
    LIST_MESSAGES_AFTER: Query
    LIST_LARGE_MESSAGES_BEFORE: Query
    LIST_LARGE_MESSAGES_AFTER: Query
    SEARCH: Query
    CHANGES: Query

    def indexed_words(self, alphabet: Alphabet, words: str) -> str:
        """Words, parted by spaces, as the index is given them; empty where there are none."""

    def sought(self, alphabet: Alphabet, terms: Sequence[Term]) -> dict[str, str]:
        """The parameters of a search that say what must be found."""

    def nested(self, document: Raw) -> Raw | str:
        """A JSON text as it stands in an array of rows, so that the database takes it out again to the digit."""
