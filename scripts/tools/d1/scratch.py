"""Holds rows on the way into a backup or out of one: in a SQLite file, which goes away with its folder.

It needs what tools/migrations/files.py needs, and threadkeep itself, whose words are indexed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
from msgspec import Raw

from threadkeep.conversations.search import text_of_content
from threadkeep.storage.sql.marks import mark_of
from threadkeep.storage.sqlite.dialect import SQLITE
from threadkeep.tokenizer import words_of
from tools.checkout import Problem
from tools.exit_codes import Code
from tools.migrations.files import Migration, failing_statement

BASE = ("owners", "conversations", "messages")
"""What a backup holds, in the order of the tables in a dump. Everything else in the schema is made from it."""
DERIVED = ("search_index_2", "word_lists", "words")
"""What is not in a backup: the index of words, and the first one with its text, which only older databases have."""
EMPTY = ("journals", "entries", "pieces", "blobs")
"""What is not in a backup, since nothing is ever in it on D1: no route leads there yet."""
_LEFT_OUT = ("padding",)  # that of a new row is empty


class Scratch:
    """Holds rows of users, and none of nobody, which migrations put there once."""

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
        for table in BASE:
            if self.columns(table):
                self.run(f"DELETE FROM \"{table}\" WHERE user_id = ''")

    def columns(self, table: str) -> list[str]:
        """The columns of a table; none where there is no such table."""
        return [str(name) for (name,) in self.run("SELECT name FROM pragma_table_info(?)", table)]

    def kept_columns(self, table: str) -> list[str]:
        """Those of its columns that a backup holds."""
        return [column for column in self.columns(table) if column not in _LEFT_OUT]

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

    def index(self) -> None:
        """Indexes as the service does what messages say, and titles that somebody or something gave.

        The words stay in `word_lists`, for the index does not give them back.
        """
        texts: list[tuple[str, Callable[[str], str]]] = [
            ("SELECT -n, user_id, title FROM conversations WHERE title_source <> 'default'", str),
            ("SELECT n, user_id, content FROM messages", lambda content: text_of_content(Raw(content.encode()))),
        ]
        for query, text in texts:
            listed = (
                (n, user_id, SQLITE.dialect.indexed_words(mark_of(user_id), words_of(text(value))))
                for n, user_id, value in self.run(query)
            )
            self.insert("word_lists", ("n", "user_id", "text"), (row for row in listed if row[-1]))
        self.run("INSERT INTO search_index_2 (rowid, text) SELECT n, text FROM word_lists")
