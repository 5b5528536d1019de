"""Executor for the SQLite database of a Durable Object. Runs only inside workerd."""

from typing import Any

from pyodide.ffi import JsException

from threadkeep.errors import Unavailable
from threadkeep.storage.base import Place
from threadkeep.storage.sql.database import SqlDatabase
from threadkeep.storage.sql.executor import Row, Statement
from threadkeep.storage.sql.migrate import migrate
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.storage.sqlite.js_values import answers_of, bound, rows_of
from threadkeep.storage.sqlite.migrations import MIGRATIONS


class DurableObjectExecutor:
    """The database of one object. It is in the object's own process: there is nothing to reach, and no replica."""

    statements = SQLITE
    bookmark: str | None = None

    def __init__(self, storage: Any) -> None:
        """`storage` is `ctx.storage`, as JavaScript has it."""
        self._storage = storage
        self._exec = self._storage.sql.exec

    async def run(self, *statements: Statement) -> list[list[Row]]:
        try:
            if len(statements) == 1:
                return [self._run(statements[0])]  # one alone needs no transaction
            # A plain function on purpose: an `async def` would run outside of it, and nothing would say so.
            return self._storage.transactionSync(  # type: ignore[no-any-return]
                lambda: [self._run(statement) for statement in statements]
            )
        except JsException as error:
            if "SQLITE_FULL" in str(error.message):
                raise Unavailable("This user's database is full. Delete something, and try again.") from error
            raise

    def _run(self, statement: Statement) -> list[Row]:
        query, values = statement
        cursor = self._exec(query.numbered, *bound(values))
        if query.writes:
            return []  # it gives no rows, and so it has ended
        # To its end: a cursor that is not keeps a lock.
        return answers_of(cursor.raw().toArray()) if query.answers else rows_of(query, cursor.toArray())

    async def clear(self, *statements: Statement) -> list[list[Row]]:
        rows = await self.run(*statements)
        # The file goes at once; what there is to wait for is the disk. Nobody else runs before the first real wait.
        deleted = self._storage.deleteAll()
        await self.open()
        await deleted
        return rows

    async def open(self) -> None:
        """Bring the database to the newest schema."""
        await migrate(self, MIGRATIONS)


async def connect(place: Place) -> SqlDatabase:
    """The database of the object that this is, as long as the object lives. See `Backend.connect`."""
    executor = DurableObjectExecutor(place.storage)
    await executor.open()
    return SqlDatabase(executor)
