"""Holds rows on the way into a backup or out of one: in a SQLite file, which goes away with its folder.

It needs what tools/migrations/files.py needs, and threadkeep itself, whose words are indexed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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

_OF_A_THREAD = "EXISTS (SELECT 1 FROM threads AS h WHERE (h.user_id, h.n) = (t.user_id, t.thread))"
STATE = {
    "journals": "t.deleted_at IS NULL",
    "entries": "EXISTS (SELECT 1 FROM journals AS j WHERE (j.user_id, j.n) = (t.user_id, t.journal))",
    "blobs": "t.deleted_at IS NULL",
    "tasks": "t.deleted_at IS NULL",
    "lanes": "t.deleted_at IS NULL",
    "threads": "t.deleted_at IS NULL",
    "checkpoints": _OF_A_THREAD,
    "checkpoint_values": _OF_A_THREAD,
    "checkpoint_writes": _OF_A_THREAD,
}
"""The tables of what agents keep, and which rows of each stay. Others are on their way out, and in no backup."""
IN_PIECES = (
    ("entries", "big"),
    ("blobs", "group_id"),
    ("tasks", "big"),
    ("tasks", "settlement_big"),
    ("checkpoints", "big"),
    ("checkpoint_values", "big"),
    ("checkpoint_writes", "big"),
)
"""Which of them have what is large in `pieces`, each with a column that names a group."""
BASE = ("owners", "conversations", "messages", "forks", "cuts", "drafts", "draft_parts", *STATE, "pieces")
"""What a backup holds, in the order of the tables in a dump. Everything else in the schema is made from it."""
DERIVED = ("search_index_2", "word_lists", "words")
"""What is not in a backup: the index of words, and the first one with its text, which only older databases have."""
_LEFT_OUT = ("padding",)  # that of a new row is empty


_FORGETTING_BRANCHES = (
    """DELETE FROM messages WHERE EXISTS (
      SELECT 1 FROM cuts AS k
      WHERE (k.user_id, k.conversation_id) = (messages.user_id, messages.conversation_id)
        AND messages.seq BETWEEN k.from_seq AND k.to_seq AND k.deleted_at < 0
    )""",
    "UPDATE cuts SET deleted_at = 0 WHERE deleted_at < 0",
    *(
        f"""DELETE FROM {table} WHERE EXISTS (
          SELECT 1 FROM conversations AS c
          WHERE (c.user_id, c.id) = ({table}.user_id, {table}.conversation_id) AND c.deleted_at <= 0
        )"""
        for table in ("forks", "cuts")
    ),
)
"""What a sweep does with deleted branches that are purged: of each stays which `seq` it had."""


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
        for table in self.tables():
            self.run(f"DELETE FROM \"{table}\" WHERE user_id = ''")

    def tables(self) -> list[str]:
        """The tables of a backup that the schema has so far."""
        return [table for table in BASE if self.columns(table)]

    def key(self, table: str) -> list[str]:
        """The columns of a table's key."""
        return [
            str(name) for (name,) in self.run("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", table)
        ]

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
        return self.run(f'SELECT {names} FROM "{table}" ORDER BY {", ".join(self.key(table))}')

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
            *(_FORGETTING_BRANCHES if "cuts" in self.tables() else ()),
            "DELETE FROM conversations WHERE deleted_at <= 0",
        ):
            self.run(statement)
        kept = [table for table in self.tables() if table in STATE]
        for table in kept:
            self.run(f"DELETE FROM {table} AS t WHERE NOT ({STATE[table]})")
        if kept:
            self.run(f"DELETE FROM pieces WHERE (user_id, group_id) NOT IN ({groups(kept)})")
        of_somebody = " UNION ALL ".join(f"SELECT user_id FROM {table}" for table in ("conversations", *kept))
        self.run(f"DELETE FROM owners WHERE user_id NOT IN ({of_somebody})")

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


def groups(tables: Collection[str]) -> str:
    """The query for whatever has pieces, of some tables."""
    return " UNION ALL ".join(
        f"SELECT user_id, {column} FROM {table} WHERE {column} IS NOT NULL"
        for table, column in IN_PIECES
        if table in tables
    )


def last_key(table: str, key: Sequence[str]) -> str:
    """The query for the key of a table's last row of a user, as JSON; it answers nothing where there is none."""
    order = ", ".join(f"{column} DESC" for column in key)
    return f"SELECT json_array({', '.join(key)}) FROM {table} WHERE user_id <> '' ORDER BY {order} LIMIT 1"


def in_words(counts: Mapping[str, int]) -> str:
    """How much there is, by how many rows each table has."""
    state = "".join(f", {counts[table]} {table}" for table in STATE if counts.get(table))
    return (
        f"{counts['conversations']} conversations with {counts['messages']} messages of {counts['owners']} users{state}"
    )
