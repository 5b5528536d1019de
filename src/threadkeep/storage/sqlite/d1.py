"""Executor for Cloudflare D1. Runs only inside workerd."""

from typing import Any

from pyodide.ffi import JsException, to_js

from threadkeep.errors import Unavailable
from threadkeep.storage.base import Place
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.database import SqlDatabase
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sqlite import D1_BINDINGS
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.js_values import answers_of, bound, rows_of


class D1Executor:
    """A D1 database as one request sees it.

    What reads without a bookmark is answered by the primary. What writes begins a session, in which the request sees
    its own writes on any replica, and so does the next one that brings the bookmark.
    """

    statements = SQLITE

    def __init__(self, database: Any, bookmark: str | None = None) -> None:
        """`database` is the binding, as JavaScript has it; `bookmark` is where the caller's last session ended."""
        self._database = database
        self._session = self._database.withSession(bookmark) if bookmark else None

    @property
    def bookmark(self) -> str | None:
        if self._session is None:
            return None
        bookmark = self._session.getBookmark()
        return bookmark if isinstance(bookmark, str) else None  # null, where nothing was asked yet

    async def run(self, *statements: Statement) -> list[list[Row]]:
        try:
            # Not for reading alone: locally, where it ends costs D1 as much to say as to run a statement.
            if self._session is None and any(statement.query.writes for statement in statements):
                self._session = self._database.withSession("first-primary")
            database = self._database if self._session is None else self._session
            prepare = database.prepare
            prepared = [prepare(query.numbered).bind(*bound(values)) for query, values in statements]
            # One alone needs no transaction, and D1 is faster without.
            if len(prepared) == 1 and statements[0].query.answers:
                return [answers_of(await prepared[0].raw())]
            results = await database.batch(to_js(prepared)) if len(prepared) > 1 else [await prepared[0].all()]
            return [rows_of(query, results[number].results) for number, (query, _) in enumerate(statements)]
        except JsException as error:
            raise _translated(error) from error

    async def clear(self, *statements: Statement) -> None:
        """See `Executor.clear`: everybody is in one database."""


class D1Database(SqlDatabase):
    """A D1 database, whose stores go on from where the client's last request ended."""

    def __init__(self, binding: Any) -> None:
        super().__init__(D1Executor(binding))
        self._binding = binding

    def open_store(self, user_id: str, bookmark: str | None = None) -> SqlStore:
        return SqlStore(D1Executor(self._binding, bookmark), user_id)


async def connect(place: Place) -> D1Database:
    """The database that is bound, for one request. See `Backend.connect`."""
    return D1Database(next(binding for name in D1_BINDINGS if (binding := place.binding(name)) is not None))


# A statement of ours is wrong, or has made something wrong before.
_DEFECTS = ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_CORRUPT", "D1_TYPE_ERROR")


def _translated(error: Any) -> Exception:
    """D1 puts everything into one class of error; the text tells."""
    text = str(error.message)
    if "no such table" in text:
        return Unavailable("The D1 database lacks its tables. Run scripts/migrate.")
    if "SQLITE_FULL" in text or "maximum DB size" in text:
        return Unavailable("The D1 database is full. Delete something, or move to one with more room.")
    if any(defect in text for defect in _DEFECTS):
        return RuntimeError(text)
    return Unavailable("D1 could not be reached or was too busy. Try again.")
