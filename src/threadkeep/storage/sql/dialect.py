"""Dialect: how a database says what the statements have in common. One class for each product.

The statements stand in `statements/`, once for all. What differs from product to product is a method here: it is handed
pieces of SQL, and gives back a piece of SQL.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Raw

from threadkeep.conversations.search import Term
from threadkeep.storage.sql.columns import Column
from threadkeep.storage.sql.executor import Query, answer, read, write


class Tidying(NamedTuple):
    """What removes from an index what was taken out of it: by merging what it is made of, a part at a time."""

    is_due: Query
    """Whether there is anything to remove, as `value`."""
    changes: Query
    """How many rows this connection has changed so far, as `value`."""
    go_on: Query
    """Goes on with a merge that has begun. It changes less than two rows where none has."""
    begin: Query
    """Begins to merge everything."""


class Dialect(ABC):
    """The words of one product."""

    mark: str
    """What stands before the number of a parameter."""
    zeros: str | None
    """As many bytes as `{column}` has, all zero, or NULL: what it is overwritten with before it is deleted.

    None where to overwrite would leave as much behind as to delete.
    """
    table_of_index_before: str
    """Where the rows are listed that only the index of the version before has, by their `n`."""
    merges_metadata: bool
    """Whether the database merges a patch into JSON. Where it does not, we do, with the owner locked."""

    def read(self, text: str) -> Query:
        """A query that gives rows."""
        return read(text, mark=self.mark)

    def answer(self, text: str) -> Query:
        """A query that gives one JSON text."""
        return answer(text, mark=self.mark)

    def write(self, text: str) -> Query:
        """A query that changes something."""
        return write(text, mark=self.mark)

    def document(self, columns: Iterable[Column], alias: str) -> str:
        """A row as a JSON object."""
        return self.object({column.field: self.shown(column, self.of(column, alias)) for column in columns})

    def of(self, column: Column, alias: str) -> str:
        """What readers get of a column from a row."""
        tables = {name: self.table(name) for name in ("messages", "forks", "draft_parts")}
        return column.shown_as.format(alias=alias, name=column.name, table=tables)

    def parameter(self, column: Column) -> str:
        """The value of a column, out of the parameter that has its name."""
        of_type = {"integer": self.integer, "boolean": self.boolean, "json": self.json}
        return of_type.get(column.type, self.text)(f":{column.name}")

    # Where rows come from.

    @abstractmethod
    def table(self, name: str) -> str:
        """A table of ours, by its whole name."""

    @abstractmethod
    def each(self, parameter: str, alias: str) -> str:
        """The elements of an array in JSON as rows: `alias.value`, and `alias.key` for their order."""

    @abstractmethod
    def look_up(self, table: str, alias: str, condition: str, by: str | None = None) -> str:
        """A join that looks rows up by a key, one after the other, for each row before it.

        Left to itself, a planner may read all that a user has for each row instead. `by` is the column that the key
        ends with, where another key begins alike.
        """

    @abstractmethod
    def is_among(self, value: str, query: str) -> str:
        """Whether a value that leads an index is among those that a query gives, each of which is looked up by it."""

    @abstractmethod
    def by_key(self, table: str, alias: str) -> str:
        """A table to change rows of, which are named by their `n`."""

    @abstractmethod
    def locked(self, alias: str) -> str:
        """What ON CONFLICT does with a row of an owner that is there, so that no other writer gets between."""

    # Values.

    @abstractmethod
    def object(self, fields: dict[str, str]) -> str:
        """A JSON object of these values."""

    @abstractmethod
    def list_of(self, value: str) -> str:
        """A JSON array of a value of all rows: an aggregate, and `[]` where there are none."""

    @abstractmethod
    def subquery(self, query: str) -> str:
        """The JSON that a query in brackets gives, which stays JSON where it is put into other JSON."""

    @abstractmethod
    def shown(self, column: Column, value: str) -> str:
        """A value of a column as it stands in JSON."""

    @abstractmethod
    def is_true(self, condition: str) -> str:
        """A condition as it stands in JSON."""

    @abstractmethod
    def given(self, column: Column, element: str) -> str:
        """The value of a column, out of a JSON object that was handed over."""

    @abstractmethod
    def order_of_given(self, alias: str) -> str:
        """What has rows inserted in the order of the array that they come from."""

    @abstractmethod
    def boolean(self, parameter: str) -> str:
        """A parameter that is 0 or 1, for a column that is a boolean."""

    @abstractmethod
    def integer(self, value: str) -> str:
        """An integer, or NULL: of a parameter, or of JSON."""

    @abstractmethod
    def text(self, parameter: str) -> str:
        """A parameter that is a text or NULL."""

    @abstractmethod
    def json(self, parameter: str) -> str:
        """A parameter that is JSON."""

    @abstractmethod
    def greatest(self, *values: str) -> str:
        """The greatest of these, none of which is NULL."""

    @abstractmethod
    def least(self, *values: str) -> str:
        """The least of these, none of which is NULL."""

    @abstractmethod
    def bytes_of(self, value: str) -> str:
        """How many bytes a text has."""

    @abstractmethod
    def beginning(self, document: str, parameter: str) -> str:
        """The first characters of a JSON text, as it is written."""

    @abstractmethod
    def contains(self, document: str, parameter: str) -> str:
        """Whether a JSON text has this in it, as it is written."""

    @abstractmethod
    def is_pinned(self, metadata: str) -> str:
        """Whether `pinned` is true in metadata."""

    @abstractmethod
    def merged_metadata(self, metadata: str) -> str:
        """Metadata with `:metadata` merged into it."""

    @abstractmethod
    def merged(self, document: str, patch: str) -> str:
        """A JSON document with a patch merged into it; where the database does not merge, the patch is the result."""

    @abstractmethod
    def has_members(self, document: str) -> str:
        """Whether a JSON object, or nothing, has what `:wanted` has, where absent counts as null.

        Where the database does not merge, we have compared them, and `:has_wanted` says it.
        """

    @abstractmethod
    def message_rows(
        self, columns: Iterable[Column], alias: str, more: str, others: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """A page of messages or entries as JSON, `{"rows": […], "more": …}`, with others beside: an aggregate."""

    # The index of words.

    @abstractmethod
    def indexing(self) -> Sequence[Query]:
        """Index the words of messages and titles that bear the next rev.

        `:words` is an array of [id, words], `:titles` one of [id, title, words].
        """

    @abstractmethod
    def indexing_again(self) -> Sequence[Query]:
        """Index words that stand in the index of the version before, and take `:places` out of that."""

    @abstractmethod
    def indexing_messages(self) -> Query:
        """Index messages that are not indexed. `:words` is an array of [id, words], where the words may be empty."""

    def among(self, rows: str) -> str:
        """A condition on a number: that it is one of those that a query selects."""
        return f"IN ({rows})"

    @abstractmethod
    def unindexing(self, places: str) -> Sequence[Query]:
        """Take places out of the index, of this version and the one before. `places` is a query of them."""

    @abstractmethod
    def found(self) -> str:
        """Common table expressions. `scored` has the `n` and `score` of what a search finds: less is better."""

    @abstractmethod
    def tidying(self) -> "Tidying | None":
        """How what was taken out of the index is removed for good; None where the product does so by itself."""

    @abstractmethod
    def indexed_words(self, mark: str, words: str) -> str:
        """Words, parted by spaces, as the index is given them; empty where there are none."""

    @abstractmethod
    def sought(self, user_id: str, mark: str, terms: Sequence[Term], terms_before: Sequence[Term]) -> dict[str, str]:
        """The parameters of a search that say what must be found, in the index and in the one before."""

    @abstractmethod
    def nested(self, document: Raw) -> Raw | str:
        """A JSON text as it stands in an array of rows, so that the database takes it out again to the digit."""
