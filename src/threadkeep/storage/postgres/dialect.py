"""The dialect of Postgres.

A write is run with the owner's row locked, so that of two writers one waits for the other: each statement then sees
what the other has written.

Where values are looked up, be they given or found, that stands in a LATERAL with OFFSET 0, which to Postgres means: one
after the other, by the key. Left to itself it may read all of a user's rows instead, and where it takes what is found
for a single row, all of them for each: so it did once a connection had run a search five times.

Rows come in as `jsonb`, which is taken apart fast. What is to stay as it was written stands in it as text, and is kept
as `json`, which Postgres leaves alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import msgspec
from msgspec import Raw

from threadkeep.conversations.search import Term
from threadkeep.storage.sql.columns import Column
from threadkeep.storage.sql.dialect import Dialect
from threadkeep.storage.sql.executor import POSTGRES_MARK, Query, answer
from threadkeep.storage.sql.statements import Statements

# No lexeme may be as long as a word can be. What is cut off here is looked up in the text.
_LEXEME_CHARACTERS_MAX = 500


class PostgresDialect(Dialect):
    """See `Dialect`."""

    mark = POSTGRES_MARK
    zeros = None
    merges_metadata = False

    def __init__(self, schema: str) -> None:
        """`schema` is an identifier that is quoted already, and has the tables."""
        self._schema = schema
        self.table_of_index_before = self.table("words")

    def table(self, name: str) -> str:
        return f"{self._schema}.{name}"

    def each(self, parameter: str, alias: str) -> str:
        return f"jsonb_array_elements(CAST({parameter} AS jsonb)) WITH ORDINALITY AS {alias} (value, key)"

    def look_up(self, table: str, alias: str, condition: str, by: str | None = None) -> str:
        """See `Dialect`. Where it cannot tell two indexes apart yet, it takes the one that has the order."""
        order = f"\n      ORDER BY {by}" if by else ""
        return f"""CROSS JOIN LATERAL (
      SELECT {alias}.*
      FROM {self.table(table)} AS {alias}
      WHERE {condition}{order}
      OFFSET 0
    ) AS {alias}"""

    def is_among(self, value: str, query: str) -> str:
        """See `Dialect`. With IN, all that a user has may be read to be joined."""
        return f"{value} = ANY (ARRAY({query}))"

    def by_key(self, table: str, alias: str) -> str:
        return f"{self.table(table)} AS {alias}"

    def locked(self, alias: str) -> str:
        """See `Dialect`. It changes a row that is there to what it was, since only that locks it."""
        return f"DO UPDATE SET rev = {alias}.rev"

    def object(self, fields: dict[str, str]) -> str:
        pairs = ", ".join(f"'{name}', {value}" for name, value in fields.items())
        return f"json_build_object({pairs})"

    def list_of(self, value: str) -> str:
        return f"coalesce(json_agg({value}), '[]')"

    def subquery(self, query: str) -> str:
        return f"({query})"

    def shown(self, column: Column, value: str) -> str:
        return f"CAST({value} AS json)" if column.type == "json in text" else value

    def is_true(self, condition: str) -> str:
        return f"({condition})"

    def given(self, column: Column, element: str) -> str:
        value = f"{element} ->> '{column.name}'"
        return {
            "text": value,
            "json in text": value,
            "integer": self.integer(value),
            "boolean": f"CAST({value} AS boolean)",
            "json": f"CAST({value} AS json)",
        }[column.type]

    def order_of_given(self, alias: str) -> str:
        return f"ORDER BY {alias}.key"

    def boolean(self, parameter: str) -> str:
        return f"({parameter} = 1)"

    def integer(self, value: str) -> str:
        return f"CAST({value} AS bigint)"

    def text(self, parameter: str) -> str:
        return f"CAST({parameter} AS text)"

    def json(self, parameter: str) -> str:
        return f"CAST({self.text(parameter)} AS json)"

    def greatest(self, *values: str) -> str:
        return f"greatest({', '.join(values)})"

    def least(self, *values: str) -> str:
        return f"least({', '.join(values)})"

    def bytes_of(self, value: str) -> str:
        return f"octet_length(CAST({value} AS text))"

    def beginning(self, document: str, parameter: str) -> str:
        return f"left(CAST({document} AS text), CAST({parameter} AS integer))"

    def contains(self, document: str, parameter: str) -> str:
        return f"strpos(CAST({document} AS text), {self.text(parameter)}) > 0"

    def is_pinned(self, metadata: str) -> str:
        """See `Dialect`. Postgres would refuse an escaped NUL in what it takes apart, so it gets another sign."""
        readable = f"CAST(replace(CAST({metadata} AS text), '\\u0000', '\\u0020') AS json)"
        return f"coalesce(CAST({readable} -> 'pinned' AS text), '') = 'true'"

    def merged_metadata(self, metadata: str) -> str:
        """See `Dialect`. Postgres cannot merge a patch into text and leave the digits of its numbers alone."""
        return self.json(":metadata")

    def merged(self, document: str, patch: str) -> str:
        return self.json(patch)

    def has_members(self, document: str) -> str:
        return "(:has_wanted = 1)"

    def message_rows(
        self, columns: Iterable[Column], alias: str, more: str, others: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        return self.object({"rows": self.list_of(self.document(columns, alias)), "more": more, **others})

    def indexing(self) -> Sequence[Query]:
        return [
            self.write(f"""
INSERT INTO {self.table("search_index_2")} (n, user_id, text, lexemes)
SELECT m.n, :user, given.value ->> 1, {_lexemes("given.value ->> 1")}
FROM {self.table("owners")} AS o
CROSS JOIN {self.each(":words", "given")}
JOIN {self.table("messages")} AS m ON m.user_id = :user AND m.id = given.value ->> 0
WHERE o.user_id = :user AND m.rev = o.rev + 1
UNION ALL
SELECT -c.n, :user, given.value ->> 2, {_lexemes("given.value ->> 2")}
FROM {self.table("owners")} AS o
CROSS JOIN {self.each(":titles", "given")}
JOIN {self.table("conversations")} AS c ON c.user_id = :user AND c.id = given.value ->> 0
WHERE o.user_id = :user
  AND c.rev = o.rev + 1
  AND c.title = given.value ->> 1
  AND c.title_source <> 'default'
  AND NOT EXISTS (SELECT 1 FROM {self.table("search_index_2")} AS i WHERE i.user_id = :user AND i.n = -c.n)
  AND NOT EXISTS (SELECT 1 FROM {self.table("words")} AS l WHERE l.user_id = :user AND l.n = -c.n)
""")
        ]

    def indexing_again(self) -> Sequence[Query]:
        index, before = self.table("search_index_2"), self.table("words")
        missing = f"NOT EXISTS (SELECT 1 FROM {index} AS i WHERE i.user_id = :user AND i.n = l.n)"
        return [
            self.write(f"""
INSERT INTO {index} (n, user_id, text, lexemes)
SELECT m.n, :user, given.value ->> 1, {_lexemes("given.value ->> 1")}
FROM {self.each(":words", "given")}
{self.look_up("messages", "m", "m.user_id = :user AND m.id = given.value ->> 0")}
{self.look_up("words", "l", "l.user_id = :user AND l.n = m.n")}
WHERE {missing}
UNION ALL
SELECT -c.n, :user, given.value ->> 2, {_lexemes("given.value ->> 2")}
FROM {self.each(":titles", "given")}
{self.look_up("conversations", "c", "c.user_id = :user AND c.id = given.value ->> 0")}
{self.look_up("words", "l", "l.user_id = :user AND l.n = -c.n")}
WHERE c.title = given.value ->> 1 AND {missing}
"""),
            self.write(f"""
DELETE FROM {before} AS l
WHERE l.user_id = :user AND l.n IN (
  SELECT {self.integer("given.value")} FROM {self.each(":places", "given")}
)
"""),
        ]

    def indexing_messages(self) -> Query:
        return self.write(f"""
INSERT INTO {self.table("search_index_2")} (n, user_id, text, lexemes)
SELECT m.n, :user, given.value ->> 1, {_lexemes("given.value ->> 1")}
FROM {self.each(":words", "given")}
{self.look_up("messages", "m", "m.user_id = :user AND m.id = given.value ->> 0")}
WHERE given.value ->> 1 <> ''
""")

    def among(self, rows: str) -> str:
        # An array is made once. As `IN`, without statistics of the tables yet, it was asked anew for each row.
        return f"= ANY (ARRAY({rows}))"

    def unindexing(self, places: str) -> Sequence[Query]:
        return [
            self.write(f"""
DELETE FROM {self.table(index)} AS l
WHERE l.user_id = :user AND l.n {self.among(places)}
""")
            for index in ("search_index_2", "words")
        ]

    def found(self) -> str:
        """See `Dialect`.

        `:sought` is what must stand in the text: an array of words, or of several that follow each other. A hit is the
        better the more often they do, and the shorter the text is; the formula is that of BM25, without the part that
        tells rare words from frequent ones.
        """
        return f"""found AS MATERIALIZED (
    SELECT w.n, w.text, {self.text(":sought")} AS sought
    FROM {self.table("search_index_2")} AS w
    WHERE w.user_id = :user AND w.lexemes @@ CAST(CAST(:match AS text) AS tsquery)
  ),
  found_before AS MATERIALIZED (
    SELECT w.n, w.text, {self.text(":sought_before")} AS sought
    FROM {self.table("words")} AS w
    WHERE w.user_id = :user AND w.lexemes @@ CAST(CAST(:match_before AS text) AS tsquery)
  ),
  found_at_all AS (
    SELECT a.n, a.text, a.sought FROM found AS a
    UNION ALL
    SELECT b.n, b.text, b.sought FROM found_before AS b
  ),
  counted AS (
    SELECT
      f.n,
      length(f.text) / avg(length(f.text)) OVER () AS length,
      given.value,
      (length(f.text) - length(replace(f.text, given.value, ''))) / length(given.value) AS count
    FROM found_at_all AS f
    CROSS JOIN jsonb_array_elements_text(CAST(f.sought AS jsonb)) AS given (value)
  ),
  scored AS (
    SELECT k.n, -sum(k.count * 2.2 / (k.count + 0.3 + 0.9 * k.length)) AS score
    FROM counted AS k
    GROUP BY k.n
    HAVING min(k.count) > 0
  )"""

    def tidying(self) -> None:
        """See `Dialect`. Postgres does so by itself."""

    def indexed_words(self, mark: str, words: str) -> str:
        """See `Dialect`. Words stand between spaces of their own, so that all of them can be counted."""
        return _spaced(words) if words else ""

    def sought(self, user_id: str, mark: str, terms: Sequence[Term], terms_before: Sequence[Term]) -> dict[str, str]:
        """See `Dialect`. Words have neither quotes nor backslashes in them, so nothing else is syntax of a query."""
        match, texts = _sought(mark, terms)
        match_before, texts_before = _sought(mark, terms_before)
        return {"match": match, "sought": texts, "match_before": match_before, "sought_before": texts_before}

    def nested(self, document: Raw) -> str:
        """See `Dialect`. Postgres would refuse an escaped NUL in what it takes apart, so all is escaped once more."""
        return bytes(document).decode()


@cache  # in a Worker, an executor lives no longer than a request
def statements_of(schema: str) -> Statements:
    """The statements for the tables in a schema, whose name is quoted already."""
    return Statements(PostgresDialect(schema))


@cache
def lock_owner_of(schema: str) -> Query:
    """Locks the owner's row: the first statement of a transaction that cannot create it."""
    return answer(
        f"""
SELECT o.rev AS answer
FROM {schema}.owners AS o
WHERE o.user_id = :user
FOR UPDATE
""",
        mark=POSTGRES_MARK,
    )


def _lexemes(text: str) -> str:
    return f"""array_to_tsvector(ARRAY(
    SELECT CAST(:mark AS text) || left(word, {_LEXEME_CHARACTERS_MAX})
    FROM unnest(string_to_array(btrim({text}), '  ')) AS word
  ))"""


def _sought(mark: str, terms: Sequence[Term]) -> tuple[str, str]:
    """A `tsquery`, and the texts that must stand in what it finds, as JSON."""
    lexemes = []
    texts = []
    for term in terms:
        of_term = [f"'{mark}{token[:_LEXEME_CHARACTERS_MAX]}'" for token in term.tokens]
        lexemes.append(" & ".join(of_term) + (":*" if term.is_prefix else ""))
        texts.append(_spaced(" ".join(term.tokens))[: -1 if term.is_prefix else None])
    return " & ".join(lexemes), msgspec.json.encode(texts).decode()


def _spaced(words: str) -> str:
    return f" {words.replace(' ', '  ')} "
