"""The dialect of SQLite: for D1, Durable Objects and files.

Where values are looked up, the join is a CROSS JOIN, which to SQLite means: in this order. Left to itself it may read
all of a user's rows for each value. `NOT INDEXED` leaves it `n`, for the same reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Raw

from threadkeep.conversations.search import Term
from threadkeep.storage.sql.columns import Column
from threadkeep.storage.sql.dialect import Dialect, Tidying
from threadkeep.storage.sql.executor import SQLITE_MARK, Query
from threadkeep.storage.sql.statements import Statements
from threadkeep.storage.sqlite import first_index

# As many pages as take some 30 ms to merge, for which others wait.
_MERGED_PAGES = 500
# On D1 a function takes at most 32 arguments, and an object two for each field.
_FIELDS_MAX = 16
_FIELDS_OF_GROUP = 5


class SqliteDialect(Dialect):
    """See `Dialect`."""

    mark = SQLITE_MARK
    zeros = "CAST(zeroblob(octet_length({column})) AS TEXT)"
    merges_metadata = True
    table_of_index_before = "word_lists"

    def table(self, name: str) -> str:
        return name

    def each(self, parameter: str, alias: str) -> str:
        return f"json_each({parameter}) AS {alias}"

    def look_up(self, table: str, alias: str, condition: str, by: str | None = None) -> str:
        return f"CROSS JOIN {table} AS {alias} ON {condition}"

    def is_among(self, value: str, query: str) -> str:
        return f"{value} IN ({query})"

    def by_key(self, table: str, alias: str) -> str:
        return f"{table} AS {alias} NOT INDEXED"

    def locked(self, alias: str) -> str:  # a batch that writes has the whole database
        return "DO NOTHING"

    def object(self, fields: dict[str, str]) -> str:
        return f"json_object({_pairs(fields)})"

    def document(self, columns: Iterable[Column], alias: str) -> str:
        """See `Dialect`. What has more fields than a function takes is put together as text."""
        columns = tuple(columns)
        if len(columns) <= _FIELDS_MAX:
            return super().document(columns, alias)
        fields = []
        literal = "{"
        for column in columns:
            value = f"coalesce({_as_text(column, self.of(column, alias))}, 'null')"
            fields.append(f"""'{literal}"{column.field}":' || {value}""")
            literal = ","
        # In groups, since each `||` is a level of an expression, of which D1 allows 100.
        starts = range(0, len(fields), _FIELDS_OF_GROUP)
        groups = (f"({' || '.join(fields[start : start + _FIELDS_OF_GROUP])})" for start in starts)
        return f"json({' || '.join(groups)} || '}}')"

    def list_of(self, value: str) -> str:
        return f"json_group_array({value})"

    def subquery(self, query: str) -> str:
        return f"json(({query}))"

    def shown(self, column: Column, value: str) -> str:
        if column.type == "boolean":
            value = _boolean(value)
        return value if column.type in ("text", "integer") else f"json({value})"

    def is_true(self, condition: str) -> str:
        return f"json(CASE WHEN {condition} THEN 'true' ELSE 'false' END)"

    def given(self, column: Column, element: str) -> str:
        return f"{element} {'->' if column.type == 'json' else '->>'} '{column.name}'"

    def order_of_given(self, alias: str) -> str:  # they come in order
        return ""

    def boolean(self, parameter: str) -> str:
        return parameter

    def integer(self, value: str) -> str:
        return value

    def text(self, parameter: str) -> str:
        return parameter

    def json(self, parameter: str) -> str:
        return parameter

    def greatest(self, *values: str) -> str:
        return f"max({', '.join(values)})"

    def least(self, *values: str) -> str:
        return f"min({', '.join(values)})"

    def bytes_of(self, value: str) -> str:
        return f"octet_length({value})"

    def beginning(self, document: str, parameter: str) -> str:
        return f"substr({document}, 1, {parameter})"

    def contains(self, document: str, parameter: str) -> str:
        return f"instr({document}, {parameter}) > 0"

    def is_pinned(self, metadata: str) -> str:
        return f"coalesce(json_type({metadata}, '$.pinned'), '') = 'true'"

    def merged_metadata(self, metadata: str) -> str:
        return f"CASE WHEN :clears_metadata = 1 THEN '{{}}' ELSE json_patch({metadata}, :metadata) END"

    def merged(self, document: str, patch: str) -> str:
        return f"json_patch({document}, {patch})"

    def has_members(self, document: str) -> str:
        found = f"SELECT 1 FROM json_each(coalesce({document}, '{{}}')) AS found WHERE found.key = wanted.key"
        equal = f"EXISTS ({found} AND found.type = wanted.type AND found.value = wanted.value)"
        return f"""NOT EXISTS (
  SELECT 1
  FROM json_each(:wanted) AS wanted
  WHERE CASE WHEN wanted.type = 'null' THEN EXISTS ({found}) ELSE NOT {equal} END
)"""

    def message_rows(
        self, columns: Iterable[Column], alias: str, more: str, others: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """See `Dialect`. To put text together takes SQLite half as long: what is JSON is not read once more.

        What may be NULL is quoted, which makes `null` of it: a NULL would leave the message out, and say nothing. So is
        what users write. Other texts are ids and roles, which have no letters that JSON escapes.
        """
        row: list[str] = []
        literal = "{"
        for column in columns:
            before, value, behind = _piece(column, self.of(column, alias))
            row += [f"'{literal}\"{column.field}\":{before}'", value]
            literal = f"{behind},"
        row.append(f"'{literal.removesuffix(',')}}}'")
        rows = f"coalesce(group_concat({' || '.join(row)}, ','), '')"
        more = f"CASE WHEN {more} THEN 'true' ELSE 'false' END"
        beside = "".join(f"""',"{name}":' || {value} || """ for name, value in others.items())
        return f"""('{{"rows":[' || {rows} || ']') || (',"more":' || {more} || {beside}'}}')"""

    def indexing(self) -> Sequence[Query]:
        return [
            self.write("""
INSERT OR REPLACE INTO search_index_2 (rowid, text)
SELECT m.n, given.value ->> 1
FROM owners AS o
CROSS JOIN json_each(:words) AS given
CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE o.user_id = :user AND m.rev = o.rev + 1
UNION ALL
SELECT -c.n, given.value ->> 2
FROM owners AS o
CROSS JOIN json_each(:titles) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 0
WHERE o.user_id = :user
  AND c.rev = o.rev + 1
  AND c.title = given.value ->> 1
  AND c.title_source <> 'default'
  AND NOT EXISTS (SELECT 1 FROM word_lists AS l WHERE l.user_id = :user AND l.n = -c.n)
""")
        ]

    def indexing_again(self) -> Sequence[Query]:
        return [
            # What is listed no more was brought over by somebody else, or is gone.
            self.write("""
INSERT OR REPLACE INTO search_index_2 (rowid, text)
SELECT m.n, given.value ->> 1
FROM json_each(:words) AS given
CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
CROSS JOIN word_lists AS l ON l.user_id = :user AND l.n = m.n
UNION ALL
SELECT -c.n, given.value ->> 2
FROM json_each(:titles) AS given
CROSS JOIN conversations AS c ON c.user_id = :user AND c.id = given.value ->> 0
CROSS JOIN word_lists AS l ON l.user_id = :user AND l.n = -c.n
WHERE c.title = given.value ->> 1
"""),
            *self._removal_from_first_index("SELECT given.value FROM json_each(:places) AS given"),
            self.write("""
INSERT INTO words (words)
SELECT 'delete-all'
WHERE NOT EXISTS (SELECT 1 FROM word_lists)
"""),
        ]

    def indexing_messages(self) -> Query:
        return self.write("""
INSERT OR REPLACE INTO search_index_2 (rowid, text)
SELECT m.n, given.value ->> 1
FROM json_each(:words) AS given
CROSS JOIN messages AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE given.value ->> 1 <> ''
""")

    def unindexing(self, places: str) -> Sequence[Query]:
        return [
            self.write(f"""
DELETE FROM search_index_2
WHERE search_index_2.rowid IN ({places})
"""),
            *self._removal_from_first_index(places),
        ]

    def found(self) -> str:
        return """scored AS MATERIALIZED (
    SELECT w.rowid AS n, w.rank AS score
    FROM search_index_2 AS w
    WHERE w.search_index_2 MATCH :match
    UNION ALL
    SELECT w.rowid AS n, w.rank AS score
    FROM words AS w
    WHERE w.words MATCH :match_before
  )"""

    def tidying(self) -> Tidying:
        """See `Dialect`. Pages that say which rows were taken out stand behind all others (`FTS5_TOMBSTONE_ROWID`)."""
        return Tidying(
            is_due=self.read("""
SELECT EXISTS (SELECT 1 FROM search_index_2_data AS d WHERE d.id >= 9007199254740992) AS value
"""),
            changes=self.read("SELECT total_changes() AS value"),
            go_on=self.write(f"INSERT INTO search_index_2 (search_index_2, rank) VALUES ('merge', {_MERGED_PAGES})"),
            begin=self.write(f"INSERT INTO search_index_2 (search_index_2, rank) VALUES ('merge', -{_MERGED_PAGES})"),
        )

    def indexed_words(self, mark: str, words: str) -> str:
        return f"{mark}{words.replace(' ', f' {mark}')}" if words else ""

    def sought(self, user_id: str, mark: str, terms: Sequence[Term], terms_before: Sequence[Term]) -> dict[str, str]:
        """See `Dialect`. Words have no quotes in them, so nothing else is syntax of FTS5."""
        match = " ".join(
            f'"{self.indexed_words(mark, " ".join(term.tokens))}"{"*" if term.is_prefix else ""}' for term in terms
        )
        return {"match": match, "match_before": first_index.match(user_id, terms_before)}

    def nested(self, document: Raw) -> Raw:
        """See `Dialect`. SQLite takes a value out of an array as it was written."""
        return document

    def _removal_from_first_index(self, places: str) -> list[Query]:
        """The index takes out what is listed, so it comes first."""
        listed = f"SELECT l.n FROM word_lists AS l WHERE l.user_id = :user AND l.n IN ({places})"
        return [
            self.write(f"""
DELETE FROM words
WHERE words.rowid IN ({listed})
"""),
            self.write(f"""
DELETE FROM word_lists
WHERE word_lists.user_id = :user AND word_lists.n IN ({places})
"""),
        ]


def _pairs(fields: dict[str, str]) -> str:
    return ", ".join(f"'{name}', {value}" for name, value in fields.items())


def _boolean(value: str) -> str:
    return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"


def _as_text(column: Column, value: str) -> str:
    """A value as the text of its JSON; NULL where it is that, unless it is a text."""
    if column.type == "text":
        return f"json_quote({value})"
    return _boolean(value) if column.type == "boolean" else value


def _piece(column: Column, value: str) -> tuple[str, str, str]:
    """A value as text, with what stands before and behind it."""
    if column.type == "text":
        is_plain = not (column.is_nullable or column.is_private)
        return ('"', value, '"') if is_plain else ("", f"json_quote({value})", "")
    if column.type == "boolean":
        value = _boolean(value)
    return "", f"coalesce({value}, 'null')" if column.is_nullable else value, ""


SQLITE = Statements(SqliteDialect())
"""The statements that D1, Durable Objects and files are given."""
