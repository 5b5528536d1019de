"""Reads a statement the way the database does, and tells where it could touch a row of another user.

In every scope, every table needs `alias.user_id = :user` as a condition that no row gets around: one of those that are
joined by AND in WHERE, or in the ON of an inner join. The ON of a LEFT JOIN drops rows of the joined table alone, and
with a RIGHT or FULL JOIN no ON counts. What the reading does not know, it reports.

An index has no user: each of its rows is keyed by a row of a table. It needs a condition, of the same kind, that its
key is that of a row which is tied to the user: `index.rowid = alias.n`. A common table expression may hand the key on,
if it reads the index and nothing else, row by row, or several that do one after the other by UNION ALL; then whoever
reads that needs the condition.

What stands in an index is listed in a table of its own, which has a user, and the same key. So a row of that list names
a row of the index as well, and a new one must bear the key of a row that is tied to the user, or one that no row has.

In Postgres an index is no table, and cannot be named. There is only the list, whose rows bear their user.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlglot import exp, parse

INDEXES = {"search_index_2": "rowid", "words": "rowid"}
"""Tables without a user, each with the column that is its key."""
LISTS = {"word_lists": "n"}
"""Tables of what stands in an index, each with the column that is the key there."""
_MERGES = "It merges what the index is made of, which changes no row."
OF_NO_USER = {
    "users_to_purge": "It finds the users for whom there is something to purge, whoever they are.",
    "users_to_expire": "It finds the users who have something that expires, whoever they are.",
    "users_with_open_drafts": "It finds the users who may have drafts to settle, whoever they are.",
    "index_again_4": "It empties an index of which nothing is listed any more.",
    **dict.fromkeys(("tidying_1", "tidying_2", "tidying_3", "tidying_4"), _MERGES),
}
"""The statements that are about no user in particular, and so name none, each with its reason."""
FIRST_ROWS = {"to_index_again": "The first rows are looked at, whosever they are, and of those the user's are taken."}
"""The statements that read rows of others and let none of them out, each with its reason."""
_KEYS = {
    "messages": ("n", False),
    "conversations": ("n", True),
    "word_lists": ("n", False),
    "words": ("n", False),
    "search_index_2": ("n", False),
}
"""The column by which an index names a row of a table, and whether it is the negative of it."""
_PLACES = {"n", "rowid", "oid", "_rowid_"}
"""What the key of a row is called, in every table."""
_WRITTEN = {"rowid", "text"}
"""The columns of an index that a row may be given. Another may make a command of it."""

Scope = exp.Select | exp.Update | exp.Delete


class Product(NamedTuple):
    """What is particular to a database."""

    name: str
    indexes: dict[str, str]
    lists: dict[str, str]
    functions: set[str]
    """What stands like a table and makes its rows from its argument."""


SQLITE = Product("sqlite", INDEXES, LISTS, {"json_each"})
POSTGRES = Product(
    "postgres", {}, {"search_index_2": "n", "words": "n"}, {"jsonb_array_elements", "jsonb_array_elements_text"}
)


class _Key(NamedTuple):
    """A column that may name a row, or minus that column."""

    alias: str
    column: str
    is_negative: bool


def without_first_rows(text: str) -> str:
    """A statement of `FIRST_ROWS` without its common table expression of that name, which is then a table to it."""
    return re.sub(r"\bfirst_rows AS \([^()]*\),\s*", "", text, count=1)


def violations(text: str, tables: Collection[str], product: Product = SQLITE) -> list[str]:
    """Why a statement could touch a row of another user; nothing if it cannot. `tables` are those of the schema."""
    trees = parse(text, dialect=product.name)
    if len(trees) != 1 or not isinstance(
        trees[0], exp.Select | exp.SetOperation | exp.Insert | exp.Update | exp.Delete
    ):
        return ["It is not one SELECT, INSERT, UPDATE or DELETE."]
    return list(_violations(trees[0], tables, product))


def _violations(tree: exp.Expr, tables: Collection[str], product: Product) -> Iterator[str]:
    names = [cte.alias for cte in tree.find_all(exp.CTE)]
    ctes = set(names)
    if len(ctes) < len(names):
        yield f"Two common table expressions have one name: {', '.join(names)}."
    for name in ctes & {*tables, *product.indexes}:
        yield f"A common table expression hides the table {name}."
    indexes = dict(product.indexes)
    handing_on: list[exp.Expr] = []
    for cte in tree.find_all(exp.CTE):
        key = _handed_on(cte, indexes)
        if key:
            indexes[cte.alias] = key
            handing_on += _halves(cte.this)
    for condition in tree.find_all(exp.In):
        if condition.args.get("field"):
            yield f"It reads a table by IN: {condition.sql()}."
    seen = [_target(insert) for insert in tree.find_all(exp.Insert)]
    for scope in tree.find_all(exp.Select, exp.Update, exp.Delete):
        sources = _sources(scope)
        seen += sources
        guarded = guarded_in(scope) | _keyed_in(scope, indexes)
        if any(scope is one for one in handing_on):
            guarded |= set(_names(scope))
        yield from _source_violations(sources, guarded, ctes - set(indexes), {*tables, *indexes}, product)
    for table in tree.find_all(exp.Table):
        if not any(table is source for source in seen):
            yield f"The table {table.sql()} stands where its guard cannot be read."
    for update in tree.find_all(exp.Update, exp.OnConflict):
        yield from _update_violations(update, product)
    for insert in tree.find_all(exp.Insert):
        yield from _insert_violations(insert, tables, product)


def guarded_in(scope: Scope) -> set[str]:
    """The aliases that a scope ties to the user."""
    return {
        column.table
        for condition, counts_for in _conditions(scope)
        if isinstance(condition, exp.EQ)
        for column, value in _both_ways(condition)
        if _is_user(value) and _is_owner_column(column) and column.table
        if counts_for in (None, column.table)
    }


def _keyed_in(scope: Scope, indexes: dict[str, str]) -> set[str]:
    """The aliases of indexes whose key must be that of a row which a scope ties to the user."""
    names = _names(scope)
    tied = {alias: name for alias, name in names.items() if alias in guarded_in(scope)}
    found = set()
    for condition, counts_for in _conditions(scope):
        for value, others in _equated(condition, tied):
            key = _key(value)
            if key is None or indexes.get(names.get(key.alias, "")) != key.column:
                continue
            if counts_for in (None, key.alias) and all(_names_row(*other, flipped=key.is_negative) for other in others):
                found.add(key.alias)
    return found


def _equated(
    condition: exp.Expr, tied: dict[str, str]
) -> Iterator[tuple[exp.Expr, list[tuple[exp.Expr, dict[str, str]]]]]:
    """What a condition makes equal to one of some values, each with the tables that are tied to the user around it."""
    match condition:
        case exp.EQ():
            for one, other in _both_ways(condition):
                yield one, [(other, tied)]
        case exp.In(this=one) if condition.args.get("query"):
            rows = list(_rows(condition.args["query"].unnest()))
            yield one, [(values[0] if len(values) == 1 else exp.Null(), around) for values, around in rows]


def _key(value: exp.Expr) -> _Key | None:
    """A value as the name of a row, if it may be one."""
    value = value.unalias().unnest()
    column = value.this.unnest() if isinstance(value, exp.Neg) else value
    if not isinstance(column, exp.Column) or len(column.parts) != 2:
        return None
    return _Key(column.table, column.name, isinstance(value, exp.Neg))


def _names_row(value: exp.Expr, tied: dict[str, str], *, flipped: bool = False) -> bool:
    """Whether a value, or minus it where it is flipped, is what an index calls a row that is tied to the user."""
    key = _key(value)
    return key is not None and _KEYS.get(tied.get(key.alias, "")) == (key.column, key.is_negative != flipped)


def _handed_on(cte: exp.CTE, indexes: dict[str, str]) -> str | None:
    """The column in which a common table expression hands on the key of an index, if it reads that row by row."""
    halves = _halves(cte.this)
    found = {_handed_on_by(half, indexes) for half in halves if isinstance(half, exp.Select)}
    if cte.args["alias"].columns or len(found) != 1 or not all(isinstance(half, exp.Select) for half in halves):
        return None
    (handed_on,) = found
    return handed_on and handed_on[0]


def _halves(query: exp.Expr) -> list[exp.Expr]:
    """The queries that UNION ALL puts one after the other; anything else is one."""
    if not isinstance(query, exp.Union) or {name for name, value in query.args.items() if value} != {
        "this",
        "expression",
    }:
        return [query]
    return [*_halves(query.this), *_halves(query.expression)]


def _handed_on_by(select: exp.Select, indexes: dict[str, str]) -> tuple[str, int] | None:
    """The name and the place of the column in which a query hands on the key of an index."""
    if len(_names(select)) != 1:
        return None
    ((alias, name),) = _names(select).items()
    clauses = {clause for clause, value in select.args.items() if value}
    columns = {expression.alias_or_name: _key(expression) for expression in select.expressions}
    keys = [column for column, key in columns.items() if key == _Key(alias, indexes.get(name, ""), is_negative=False)]
    is_plain = all(key and key.alias == alias for key in columns.values()) and len(columns) == len(select.expressions)
    if not clauses <= {"expressions", "from_", "where"} or not is_plain or len(keys) != 1:
        return None
    return keys[0], list(columns).index(keys[0])


def _conditions(scope: Scope) -> Iterator[tuple[exp.Expr, str | None]]:
    """What must hold of every row of a scope, and the one alias that it holds for, if it does not for all."""
    where, joins = scope.args.get("where"), scope.args.get("joins") or []
    if where:
        yield from ((condition, None) for condition in _conjuncts(where.this))
    if not any(join.side in ("RIGHT", "FULL") for join in joins):
        for join in joins:
            counts_for = join.this.alias_or_name if join.side == "LEFT" else None
            yield from ((condition, counts_for) for condition in _conjuncts(join.args.get("on")))


def _conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """The parts of a condition that all hold wherever it does."""
    match condition and condition.unnest():
        case exp.And(this=left, expression=right):
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case exp.Expr() as single:
            yield single


def _both_ways(condition: exp.Expr) -> list[tuple[exp.Expr, exp.Expr]]:
    left, right = condition.this, condition.expression
    return [(left, right), (right, left)]


def _is_user(value: exp.Expr) -> bool:
    return isinstance(value, exp.Placeholder) and value.this == "user"


def _is_owner_column(value: exp.Expr) -> bool:
    return isinstance(value, exp.Column) and value.name == "user_id"


def _name(node: exp.Expr) -> str:
    return str(node.name)


def _target(insert: exp.Insert) -> exp.Expr:
    return insert.this.this if isinstance(insert.this, exp.Schema) else insert.this


def _sources(scope: Scope) -> list[exp.Expr]:
    """What a scope reads from or changes: tables, and queries in their place."""
    found = scope.args.get("from_")
    joins = scope.args.get("joins") or []
    target = [] if isinstance(scope, exp.Select) else [scope.this]
    return [*target, *([found.this] if found else []), *(join.this for join in joins)]


def _names(scope: Scope) -> dict[str, str]:
    """The sources of a scope by their aliases; a query in place of a table has no name of its own."""
    return {source.alias_or_name: source.name if isinstance(source, exp.Table) else "" for source in _sources(scope)}


def _source_violations(
    sources: list[exp.Expr], guarded: set[str], ctes: set[str], tables: Collection[str], product: Product
) -> Iterator[str]:
    aliases = [source.alias_or_name for source in sources]
    if len(set(aliases)) < len(aliases):
        yield f"Two sources have one name: {', '.join(aliases)}."
    for source in sources:
        if not isinstance(source, exp.Table):
            continue  # a query, whose own scope is read
        if isinstance(source.this, exp.Anonymous) and source.this.name in product.functions:
            continue
        if source.args.get("db") or not isinstance(source.this, exp.Identifier):
            yield f"It reads {source.sql()}, and nobody knows what that is."
        elif source.name in ctes:
            continue
        elif source.name not in tables:
            yield f"There is no table {source.name}."
        elif source.alias_or_name not in guarded:
            yield f"The table {source.sql()} is not tied to the user."


def _update_violations(update: exp.Update | exp.OnConflict, product: Product) -> Iterator[str]:
    assigned = [one.this if isinstance(one, exp.EQ) else one for one in update.expressions]
    changed = {_name(column).lower() for one in assigned for column in one.find_all(exp.Column)}
    if "user_id" in changed:
        yield "It gives a row to another user."
    if changed & _PLACES:
        yield "It gives a row another key."
    if isinstance(update, exp.Update) and update.this.name in product.indexes:
        yield f"It changes the index {update.this.name}, where rows are only put and deleted."


def _insert_violations(insert: exp.Insert, tables: Collection[str], product: Product) -> Iterator[str]:
    indexes, lists = product.indexes, product.lists
    table = _target(insert).name
    if table not in {*tables, *indexes} or _target(insert).args.get("db"):
        yield f"There is no table {_target(insert).sql()}."
    owner = indexes.get(table, "user_id")
    what = "key" if table in indexes else "user"
    if insert.args.get("alternative") and table not in indexes:
        yield "INSERT OR … may replace a row that is in the way, whoever's it is."
    columns = [column.name for column in insert.this.expressions] if isinstance(insert.this, exp.Schema) else []
    if columns.count(owner) != 1:
        yield f"It gives the new row no {what}."
        return
    if table in indexes and not set(columns) <= _WRITTEN:
        yield f"It gives the index {table} a command that nobody knows."
    if table not in indexes and table not in lists and {column.lower() for column in columns} & _PLACES:
        yield "It gives the new row a key of its own."
    place = columns.index(owner)
    for values, tied in _rows(insert.expression):
        value = values[place].unalias().unnest() if len(values) == len(columns) else None
        if value is None or any(one.is_star for one in values):
            yield f"Nobody can tell which value becomes the {what} of the new row."
        elif table in indexes and not _names_row(value, tied):
            yield f"It gives the new row the key {value.sql()}."
        elif table not in indexes and not _is_user(value) and not (_is_owner_column(value) and value.table in tied):
            yield f"It gives the new row to {value.sql()}."
    if table in lists:
        yield from _listing_violations(insert, columns, lists[table])
    conflict = insert.args.get("conflict")
    if conflict and owner not in [key.this.name for key in conflict.args.get("conflict_keys") or []]:
        yield f"ON CONFLICT does not name {owner}."


def _listing_violations(insert: exp.Insert, columns: list[str], key: str) -> Iterator[str]:
    if columns.count(key) != 1:
        yield "It lists the new row under no key."
        return
    for values, tied in _rows(insert.expression):
        value = values[columns.index(key)].unalias().unnest() if len(values) == len(columns) else exp.Null()
        if not _names_row(value, tied):
            yield f"It lists the new row under the key {value.sql()}."


def _rows(source: exp.Expr | None) -> Iterator[tuple[list[exp.Expr], dict[str, str]]]:
    """The values of each row that a query makes, and the tables that are tied to the user there, by their aliases."""
    match source:
        case exp.Values():
            yield from ((row.expressions, {}) for row in source.expressions)
        case exp.Select():
            guarded = guarded_in(source)
            names = {alias: name for alias, name in _names(source).items() if alias in guarded}
            yield source.expressions, names | _looked_up(source)
        case exp.SetOperation():
            yield from _rows(source.left)
            yield from _rows(source.right)
        case _:
            yield [], {}


def _looked_up(scope: Scope) -> dict[str, str]:
    """The tables of which a LATERAL gives whole rows, each of the user, by its aliases."""
    found = {}
    for source in _sources(scope):
        query = source.this.unnest() if isinstance(source, exp.Lateral) else None
        if not isinstance(query, exp.Select) or len(_names(query)) != 1:
            continue
        ((alias, name),) = _names(query).items()
        clauses = {clause for clause, value in query.args.items() if value}
        is_whole = [one.sql() for one in query.expressions] == [f"{alias}.*"]
        if clauses <= {"expressions", "from_", "where", "offset"} and is_whole and alias in guarded_in(query):
            found[source.alias_or_name] = name
    return found
