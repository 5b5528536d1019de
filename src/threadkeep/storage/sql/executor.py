"""Executor: what a database must offer to keep conversations, and the statements it is given."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from threadkeep.conversations.models import VALUE_BYTES_MAX
from threadkeep.errors import TooLarge

if TYPE_CHECKING:
    from threadkeep.storage.sql.statements import Statements

Value = str | int | None
Row = dict[str, Any]

SQLITE_MARK = "+?"
"""What stands before the number of a parameter."""
POSTGRES_MARK = "$"

_CHARACTERS_THAT_FIT = VALUE_BYTES_MAX // 4  # whatever they are
_PARAMETER = re.compile(r":([a-z_][a-z0-9_]*)")


class Query:
    """A text of SQL with named parameters, `:user`; made by `read`, `answer` or `write`.

    `numbered` is for the drivers that know no names. SQLite is given `+?1`: where a column is compared with a parameter
    alone, it (3.54) looks at its value to plan a join or an order, and prepares the statement anew whenever it is given
    another. That takes several times as long as to run it.
    """

    def __init__(self, text: str, *, writes: bool, answers: bool, has_parameters: bool, mark: str) -> None:
        self.text = text.strip()
        self.names = tuple(dict.fromkeys(_PARAMETER.findall(self.text))) if has_parameters else ()
        self.numbered = self.text
        for number, name in enumerate(self.names, start=1):
            self.numbered = re.sub(rf":{name}\b", f"{mark}{number}", self.numbered)
        self.writes = writes
        self.answers = answers
        """Whether it gives one row at most, with one column `answer`: JSON, as text or as UTF-8, or NULL."""

    def __call__(self, **values: Value) -> "Statement":
        """The query with a value for each of its parameters. Others may be given, and are left out."""
        bound = [values[name] for name in self.names]
        for place, value in enumerate(bound):
            if not (type(value) is int or (type(value) is str and len(value) <= _CHARACTERS_THAT_FIT)):
                bound[place] = _checked(value)
        return Statement(self, tuple(bound))


def read(text: str, *, mark: str = SQLITE_MARK) -> Query:
    """A query that gives rows, and changes nothing."""
    return Query(text, writes=False, answers=False, has_parameters=True, mark=mark)


def answer(text: str, *, mark: str = SQLITE_MARK) -> Query:
    """A query that changes nothing and gives one row at most, whose one column `answer` is JSON, or NULL."""
    return Query(text, writes=False, answers=True, has_parameters=True, mark=mark)


def write(text: str, *, mark: str = SQLITE_MARK, has_parameters: bool = True) -> Query:
    """A query that changes something, and gives no rows."""
    return Query(text, writes=True, answers=False, has_parameters=has_parameters, mark=mark)


class Statement(NamedTuple):
    """A query and its values, in the order of its parameters."""

    query: Query
    values: tuple[Value, ...]


class Executor(Protocol):
    """Runs statements together. Drivers differ; this is all that the rest of the code sees of them."""

    @property
    def statements(self) -> "Statements":
        """The statements, in the words of the database."""

    @property
    def bookmark(self) -> str | None:
        """See `Store.bookmark`."""

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run the statements in order, all or none, in one round trip, and return the rows of each.

        Raises Unavailable where the database could not be reached.
        """

    async def clear(self, *statements: Statement) -> list[list[Row]] | None:
        """Run the statements and, with nothing in between, begin with an empty database, at the newest schema.

        Returns the rows of each; or None, and does nothing, where the database is not of one user alone.
        Raises Unavailable where the database could not be reached.
        """


class SharedExecutor(Executor, Protocol):
    """An executor that a server opens once, for all users."""

    async def try_to_write(self) -> None:
        """Write something to the disk of the database that changes nothing and leaves nothing.

        Raises Unavailable where the database takes no writes, or has no room for any.
        """

    async def close(self) -> None:
        """Finish what is running, and let go of the database."""


@runtime_checkable
class ReadsFirst(Protocol):
    """An executor that can write what depends on what it has read, with nobody in between."""

    async def run_on(self, read: Statement, write: Callable[[list[Row]], Sequence[Statement]]) -> list[list[Row]]:
        """Run a statement, and those that are made of its rows, all or none; return the rows of the latter.

        Nobody else writes for this user between them. Where there are no rows, nothing is written, and the list is
        empty. `write` may be called again, where the database has undone all of it.
        Raises Unavailable where the database could not be reached.
        """


@runtime_checkable
class KeepsLog(Protocol):
    """An executor whose database has a log of writes, in which what was erased still stands."""

    async def empty_log(self) -> None:
        """Empty the log, unless somebody is at it just now. Raises Unavailable where the database cannot be written."""


def _checked(value: Value) -> Value:
    """What every driver binds alike. They disagree on everything else, and some of them silently."""
    if value is None or type(value) is int:
        return value
    if type(value) is bool:
        return int(value)
    if type(value) is str:
        if len(value) > _CHARACTERS_THAT_FIT and len(value.encode()) > VALUE_BYTES_MAX:
            raise TooLarge(f"A value in the database may have at most {VALUE_BYTES_MAX} bytes. Send less at once.")
        return value
    raise TypeError(f"{type(value).__name__} cannot be bound; text, integers and None can")
