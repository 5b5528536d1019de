"""The columns of either product, by its migrations: what `columns.py` says they are, and the same in both."""

from typing import NamedTuple

import pytest

from support import stores
from support.postgres import ask, new_schema, server
from threadkeep.storage.sql.columns import (
    BLOB,
    CONVERSATION,
    ENTRY,
    JOURNAL,
    LANE,
    MESSAGE,
    PIECE,
    TASK,
    THREAD,
    Column,
)
from threadkeep.storage.sql.executor import read
from threadkeep.storage.sql.statements.threads import KINDS

pytestmark = pytest.mark.anyio

TABLES = {
    "conversations": CONVERSATION,
    "messages": MESSAGE,
    "journals": JOURNAL,
    "entries": ENTRY,
    "pieces": PIECE,
    "blobs": BLOB,
    "tasks": TASK,
    "lanes": LANE,
    "threads": THREAD,
    **KINDS,
}
SQLITE_TYPES = {"text": "TEXT", "json": "TEXT", "integer": "INTEGER", "boolean": "INTEGER"}
ONLY_ON_SQLITE = {
    "conversations.overwritten_seq": "It was for what an earlier version overwrote, and is in no use any more.",
    "conversations.padding": "It was for rows of SQLite that grow, and is in no use any more.",
}
"""Columns that the other product does not have, each with its reason."""


class Found(NamedTuple):
    """A column as a database describes it."""

    type: str
    is_nullable: bool
    default: str | None


async def on_sqlite(table: str) -> dict[str, Found]:
    executor = await stores.open_sqlite(":memory:")
    query = read(f"""SELECT c.name, c.type, c."notnull" AS has, c.dflt_value FROM pragma_table_info('{table}') AS c""")
    (rows,) = await executor.run(query())
    return {row["name"]: Found(row["type"], not row["has"], row["dflt_value"]) for row in rows}


async def on_postgres(table: str) -> dict[str, Found]:
    schema = new_schema()
    await (await stores.open_postgres(server().url(schema=schema))).close()
    rows = await ask(
        "SELECT column_name AS name, data_type AS type, is_nullable, column_default AS value "
        "FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
        schema,
        table,
    )
    types = {"bigint": "integer"}  # whether it has room for more than it needs is of no meaning
    return {
        row["name"]: Found(types.get(row["type"], row["type"]), row["is_nullable"] == "YES", row["value"])
        for row in rows
    }


@pytest.mark.parametrize("table", TABLES)
async def test_every_column_is_in_both_products_and_means_the_same(table: str) -> None:
    sqlite, postgres = await on_sqlite(table), await on_postgres(table)
    only = {name.partition(".")[2] for name in ONLY_ON_SQLITE if name.startswith(f"{table}.")}
    assert set(sqlite) - only == set(postgres), "A migration of each product has to add a column."
    for name, found in postgres.items():
        as_on_sqlite = found._replace(type=SQLITE_TYPES[found.type])
        assert sqlite[name] == as_on_sqlite, f"{table}.{name} differs from product to product."


def type_of(column: Column) -> str:
    return "text" if column.type == "json in text" else column.type


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table in TABLES for column in TABLES[table] if column.name not in ("leaf_seq", "follows")],
)
async def test_a_column_is_what_the_table_of_columns_says(table: str, column: Column) -> None:
    for found, type_ in (
        ((await on_sqlite(table)).get(column.name), SQLITE_TYPES[type_of(column)]),
        ((await on_postgres(table)).get(column.name), type_of(column)),
    ):
        assert found is not None, f"A migration has to add {table}.{column.name}."
        assert (found.type, found.is_nullable) == (type_, column.is_nullable), f"{table}.{column.name}"
