"""Sessions in a table of a D1 database: `id`, `data` and `updated_at`, as Flue keeps them on Cloudflare.

It needs what tools/d1/backup.py needs.
"""

import re
from collections.abc import Iterable, Iterator

from tools.checkout import Problem
from tools.d1.backup import ask
from tools.d1.chunks import files_of, literal
from tools.d1.migrate import Target
from tools.exit_codes import Code
from tools.local.install import Node
from tools.moving import Digests, Report, Row, digests_of, newer

_ROWS_AT_ONCE = 200
_BYTES_AT_ONCE = 4_000_000
_ROW_BYTES_MAX = 1_900_000  # D1 keeps rows of up to 2 MB
_PIECE_CHARACTERS = 11_000  # of up to four bytes, each two digits: a statement has up to 100 kB

_PAGE = """
WITH
  listed AS (
    SELECT id, data, updated_at
    FROM {table}
    WHERE (updated_at, id) > ({time}, {id})
    ORDER BY updated_at, id
    LIMIT {limit}
  ),
  sized AS (
    SELECT
      id,
      data,
      updated_at,
      row_number() OVER reading AS position,
      sum(octet_length(data)) OVER reading AS size
    FROM listed
    WINDOW reading AS (ORDER BY updated_at, id)
  )
SELECT id, data, updated_at, (SELECT count(*) FROM listed) AS row_count
FROM sized
WHERE position = 1 OR size <= {size}
ORDER BY updated_at, id
"""


class SessionTable:
    """A table of sessions."""

    def __init__(self, target: Target, node: Node, table: str) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", table):
            raise Problem(f"{table!r} is no name of a table", Code.WRONG_VALUE)
        self._target = target
        self._node = node
        self._table = table
        self._known: Digests | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self._target.name} {self._table}"

    def rows(self) -> Iterator[Row]:
        """See `End`."""
        time, last = -1, ""
        while True:
            (answer,) = ask(
                self._target,
                self._node,
                _PAGE.format(table=self._table, time=time, id=literal(last), limit=_ROWS_AT_ONCE, size=_BYTES_AT_ONCE),
            )
            for each in answer:
                yield Row(each["id"], each["data"], each["updated_at"])
            if not answer or len(answer) == answer[-1]["row_count"] < _ROWS_AT_ONCE:
                return
            time, last = answer[-1]["updated_at"], answer[-1]["id"]

    def keep(self, rows: Iterable[Row]) -> Report:
        """See `End`. Files of statements are run all or none; a row of which a part is missing is written again."""
        if self._known is None:
            self._begin()
            self._known = digests_of(self.rows())
        chosen, report = newer(rows, self._known)
        fitting = [row for row in chosen if len(row.data.encode()) <= _ROW_BYTES_MAX]
        report.refused = [f"{row.id}: a row of D1 has up to 2 MB" for row in chosen if row not in fitting]
        report.kept = len(fitting)
        for text in files_of(statement for row in fitting for statement in self._statements(row)):
            self._run(text)
        self._known = {**self._known, **digests_of(fitting)}
        return report

    def _begin(self) -> None:
        self._run(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            "(id TEXT PRIMARY KEY, data TEXT NOT NULL, updated_at INTEGER NOT NULL);\n"
        )

    def _run(self, text: str) -> None:
        part = self._target.folder / "sessions.sql"
        try:
            part.touch(mode=0o600)
            part.write_text(text)
            self._target.execute(self._node, part, failed="cannot write the sessions")
        finally:
            part.unlink(missing_ok=True)

    def _statements(self, row: Row) -> Iterator[str]:
        """Statements that write a row, however often they are run in this order."""
        id_ = literal(row.id)
        starts = range(0, len(row.data) or 1, _PIECE_CHARACTERS)
        first, *others = [row.data[start : start + _PIECE_CHARACTERS] for start in starts]
        yield f"DELETE FROM {self._table} WHERE id = {id_};\n"
        yield (
            f"INSERT INTO {self._table} (id, data, updated_at) VALUES ({id_}, {literal(first)}, {row.updated_at});\n"
        )
        for piece in others:
            yield f"UPDATE {self._table} SET data = data || {literal(piece)} WHERE id = {id_};\n"
