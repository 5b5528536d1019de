"""What `PostgresExecutor` needs of a driver, and how the failures of a driver are reported."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from threadkeep.storage.sql.executor import Row, Value

Prepared = tuple[str, Sequence[Value]]
"""A text of SQL with numbered parameters, and their values."""
CANCELED = "57014"
"""The SQLSTATE of what was ended because it took too long, by the server or by us."""


class PostgresFailed(Exception):
    """Postgres refused something, or could not be spoken with.

    Its text is that of the server or the network, and not for everybody. The cause tells how it came about.
    """

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        """The server's five characters (Appendix A of its manual); None if the failure is not from the server."""


class Connection(Protocol):
    """A connection to one database. One at a time uses it. Raises PostgresFailed."""

    async def run(
        self, statements: Sequence[Prepared], *, begin: Sequence[str] = (), commits: bool = False
    ) -> list[list[Row]]:
        """Run statements in order, and return the rows of each.

        `begin` are texts without parameters that begin a transaction before them; with `commits`, it ends after them.
        Where anything fails, what comes after it is not run, and a transaction that has begun is not committed.
        """

    def terminate(self) -> None:
        """Close it at once. The server undoes what was begun on it."""


class Connections(Protocol):
    """Where connections come from."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for as long as the context lasts. Raises PostgresFailed where none can be had."""

    async def close(self) -> None:
        """Close them all, once what is running on them is done, or has taken too long."""


def sentence_for(failure: PostgresFailed) -> str | None:
    """What may be told about a failure; None where it is a defect of ours."""
    if failure.sqlstate is None:
        return _UNREACHABLE
    return _SENTENCES.get(failure.sqlstate) or _SENTENCES.get(failure.sqlstate[:2])


_UNREACHABLE = "Postgres could not be reached, or was too busy. Try again."
_WHERE_THE_TABLES_ARE_NOT = "The Postgres database lacks its tables. Restart: they are created at the start."
_TABLES_OF_OTHERS = (
    "The schema has other tables under Threadkeep's names. Name another in DATABASE_URL: ?schema=threadkeep"
)
_POOLER = "A pooler in front of Postgres keeps no prepared statements. Add pgbouncer=true to DATABASE_URL."
_SENTENCES = {
    "28": "Postgres refuses the user or the password of DATABASE_URL.",
    "3D000": "There is no such database in Postgres. Create it, or correct DATABASE_URL.",
    "42501": "Postgres does not let the user of DATABASE_URL do this. Grant it USAGE and CREATE on the schema.",
    "42P07": _TABLES_OF_OTHERS,
    "42710": _TABLES_OF_OTHERS,
    "42P01": _WHERE_THE_TABLES_ARE_NOT,
    "3F000": _WHERE_THE_TABLES_ARE_NOT,
    "42939": "Postgres reserves names that begin with pg_. Name another schema in DATABASE_URL.",
    "26000": _POOLER,
    "42P05": _POOLER,
    "53100": "The disk of Postgres is full. Make room, and try again.",
    "25006": "Postgres takes no writes now. Try again, or name the primary.",
    "53300": "Postgres has too many connections. Try again, or lower connection_limit.",
    "08": _UNREACHABLE,  # the connection
    "25": _UNREACHABLE,  # the transaction: it has lain idle for too long
    "40": _UNREACHABLE,  # it was undone, for the sake of another
    "53": _UNREACHABLE,  # resources
    "55": _UNREACHABLE,  # a lock was not given in time
    "57": _UNREACHABLE,  # the server is shut down, or starts, or a statement took too long
    "58": _UNREACHABLE,  # the system beneath it
}
"""By SQLSTATE, or by its class, which is its first two characters."""
