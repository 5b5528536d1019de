"""A database on the way into a backup or out of one: SQLite, in a file of this machine that goes away with its folder.

It needs what toolbox/migrations.py needs, and threadkeep itself, whose words are indexed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
from msgspec import Raw

from threadkeep.content import canonical
from threadkeep.errors import ThreadkeepError
from threadkeep.search import text_of
from threadkeep.sql.alphabet import alphabet_of
from threadkeep.sql.statements import NEW_PADDING, indexed_words
from threadkeep.tokens import words_of
from toolbox.checkout import Problem
from toolbox.codes import Code
from toolbox.migrations import Migration, failing_statement

BASE = ("owners", "conversations", "messages")
"""What a backup holds, in the order of the tables in a dump. Everything else in the schema is made from it."""
DERIVED = ("word_lists", "words")
"""What is not in a backup: the words of titles and messages, and their index."""
_MADE_ANEW = ("padding",)

_NUMBERED = ("conversations", "messages")  # by `n`


class Scratch:
    """Holds rows of users, and none of the ballast that a migration puts there."""

    def __init__(self, file: Path, migrations: Sequence[Migration]) -> None:
        self._folder = file.parent
        self._database = apsw.Connection(str(file))
        try:
            # If this is interrupted, it begins anew.
            self._database.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            self._applied: list[Migration] = []
            self.migrate(migrations)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, apsw.FullError | apsw.IOError):
            raise Problem(f"cannot write in {self._folder}: {error}", Code.FILE_UNUSABLE) from error

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def migrate(self, migrations: Sequence[Migration]) -> None:
        """Applies those of the migrations that it does not have yet."""
        for migration in migrations[len(self._applied) :]:
            if failure := failing_statement(self._database, migration):
                raise Problem(failure)
            self._applied.append(migration)
        for table in (*BASE, "word_lists"):
            if self.columns(table):
                self.run(f"DELETE FROM \"{table}\" WHERE user_id = ''")

    def columns(self, table: str) -> list[str]:
        """The columns of a table; none where there is no such table."""
        return [str(name) for (name,) in self.run("SELECT name FROM pragma_table_info(?)", table)]

    def kept_columns(self, table: str) -> list[str]:
        """Those of its columns that a backup holds."""
        return [column for column in self.columns(table) if column not in _MADE_ANEW]

    def run(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows that a statement answers."""
        return iter(self._database.execute(sql, values))

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Adds rows. Raises apsw.Error for one that the schema does not allow."""
        names = ", ".join(f'"{column}"' for column in columns)
        marks = ", ".join("?" * len(columns))
        self._database.execute("BEGIN")
        self._database.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)
        self._database.execute("COMMIT")

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """All rows of a table, in the order of its key."""
        names = ", ".join(f'"{column}"' for column in columns)
        key = "n" if "n" in columns else "user_id"
        return self.run(f'SELECT {names} FROM "{table}" ORDER BY "{key}"')

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ((count,),) = self.run(f'SELECT count(*) FROM "{table}"')
        return int(count)

    def forget_what_is_erased(self) -> None:
        """Drops what is marked for removal, as a sweep would, and the owners that have nothing else."""
        for statement in (
            """DELETE FROM messages WHERE EXISTS (
              SELECT 1 FROM conversations AS c
              WHERE c.user_id = messages.user_id AND c.id = messages.conversation_id AND c.deleted_at <= 0
            )""",
            "DELETE FROM conversations WHERE deleted_at <= 0",
            """DELETE FROM owners WHERE NOT EXISTS (
              SELECT 1 FROM conversations AS c WHERE c.user_id = owners.user_id
            )""",
        ):
            self.run(statement)

    def make_room_for_ballast(self) -> None:
        """Renumbers a table's rows if any has the `n` of a row that each new database has.

        A database that is older than those rows may have given their `n` to others.
        """
        with closing(apsw.Connection(":memory:")) as new:
            for migration in self._applied:
                failing_statement(new, migration)
            for table in _NUMBERED:
                ((reserved,),) = new.execute(f'SELECT coalesce(max(n), 0) FROM "{table}"').fetchall()
                ((lowest,),) = self.run(f'SELECT coalesce(min(n), 0) FROM "{table}"')
                if 0 < lowest <= reserved:
                    self.run(f'UPDATE "{table}" SET n = -n')
                    self.run(f'UPDATE "{table}" SET n = ? - n', reserved)

    def make_room(self) -> None:
        """Gives conversations the room that new ones have, which those of an older database have not."""
        self.run(f"UPDATE conversations SET padding = {NEW_PADDING}")

    def list_words(self) -> None:
        """Fills `word_lists` as the service does: what a message says, and titles that somebody or something gave."""
        texts: list[tuple[str, Callable[[str], str]]] = [
            ("SELECT -n, user_id, title FROM conversations WHERE title_source <> 'default'", str),
            ("SELECT n, user_id, content FROM messages", _said),
        ]
        for query, text in texts:
            listed = (
                (n, user_id, indexed_words(alphabet_of(user_id), words_of(text(value))))
                for n, user_id, value in self.run(query)
            )
            self.insert("word_lists", ("n", "user_id", "text"), (row for row in listed if row[-1]))


def _said(content: str) -> str:
    """What of a content is searched: nothing, where somebody has put there what the service cannot read."""
    try:
        return text_of(canonical(Raw(content.encode())))
    except (ThreadkeepError, LookupError, TypeError):
        return ""
