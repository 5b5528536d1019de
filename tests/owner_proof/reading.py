"""Reads a statement the way SQLite does, and tells where it could touch a row of another user.

In every scope, every table needs `alias.user_id = :user` as a condition that no row gets around: one of those that are
joined by AND in WHERE, or in the ON of an inner join. The ON of a LEFT JOIN drops rows of the joined table alone, and
with a RIGHT or FULL JOIN no ON counts. What the reading does not know, it reports.
"""

from collections.abc import Collection, Iterator

from sqlglot import exp, parse

_TABLE_FUNCTIONS = {"json_each"}
"""What stands like a table and makes its rows from its argument."""

Scope = exp.Select | exp.Update | exp.Delete


def violations(text: str, tables: Collection[str]) -> list[str]:
    """Why a statement could touch a row of another user; nothing if it cannot. `tables` are those of the schema."""
    trees = parse(text, dialect="sqlite")
    if len(trees) != 1 or not isinstance(
        trees[0], exp.Select | exp.SetOperation | exp.Insert | exp.Update | exp.Delete
    ):
        return ["It is not one SELECT, INSERT, UPDATE or DELETE."]
    return list(_violations(trees[0], tables))


def _violations(tree: exp.Expr, tables: Collection[str]) -> Iterator[str]:
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for name in ctes & set(tables):
        yield f"A common table expression hides the table {name}."
    for condition in tree.find_all(exp.In):
        if condition.args.get("field"):
            yield f"It reads a table by IN: {condition.sql()}."
    seen = [_target(insert) for insert in tree.find_all(exp.Insert)]
    for scope in tree.find_all(exp.Select, exp.Update, exp.Delete):
        sources = _sources(scope)
        seen += sources
        yield from _source_violations(sources, guarded_in(scope), ctes, tables)
    for table in tree.find_all(exp.Table):
        if not any(table is source for source in seen):
            yield f"The table {table.sql()} stands where its guard cannot be read."
    for update in tree.find_all(exp.Update, exp.OnConflict):
        if any("user_id" in map(_name, assignment.this.find_all(exp.Column)) for assignment in update.expressions):
            yield "It gives a row to another user."
    for insert in tree.find_all(exp.Insert):
        yield from _insert_violations(insert)


def guarded_in(scope: Scope) -> set[str]:
    """The aliases that a scope ties to the user."""
    where, joins = scope.args.get("where"), scope.args.get("joins") or []
    guarded = _tied(where.this) if where else set()
    if any(join.side in ("RIGHT", "FULL") for join in joins):
        return guarded
    for join in joins:
        tied = _tied(join.args.get("on"))
        guarded |= tied & {join.this.alias_or_name} if join.side == "LEFT" else tied
    return guarded


def _tied(condition: exp.Expr | None) -> set[str]:
    """The aliases whose `user_id` must be the user wherever this condition holds."""
    match condition and condition.unnest():
        case exp.And(this=left, expression=right):
            return _tied(left) | _tied(right)
        case exp.EQ(this=left, expression=right):
            columns = [one for one, other in ((left, right), (right, left)) if _is_user(other)]
            return {column.table for column in columns if _is_owner_column(column) and column.table}
    return set()


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


def _source_violations(
    sources: list[exp.Expr], guarded: set[str], ctes: set[str], tables: Collection[str]
) -> Iterator[str]:
    aliases = [source.alias_or_name for source in sources]
    if len(set(aliases)) < len(aliases):
        yield f"Two sources have one name: {', '.join(aliases)}."
    for source in sources:
        if not isinstance(source, exp.Table):
            continue  # a query, whose own scope is read
        if isinstance(source.this, exp.Anonymous) and source.this.name in _TABLE_FUNCTIONS:
            continue
        if source.args.get("db") or not isinstance(source.this, exp.Identifier):
            yield f"It reads {source.sql()}, and nobody knows what that is."
        elif source.name in ctes:
            continue
        elif source.name not in tables:
            yield f"There is no table {source.name}."
        elif source.alias_or_name not in guarded:
            yield f"The table {source.sql()} is not tied to the user."


def _insert_violations(insert: exp.Insert) -> Iterator[str]:
    if insert.args.get("alternative"):
        yield "INSERT OR … may replace a row that is in the way, whoever's it is."
    columns = [column.name for column in insert.this.expressions] if isinstance(insert.this, exp.Schema) else []
    if "user_id" not in columns:
        yield "It gives the new row no user."
        return
    place = columns.index("user_id")
    for values, guarded in _rows(insert.expression):
        value = values[place].unalias().unnest() if len(values) == len(columns) else None
        if value is None or any(one.is_star for one in values):
            yield "Nobody can tell which value becomes the user of the new row."
        elif not _is_user(value) and not (_is_owner_column(value) and value.table in guarded):
            yield f"It gives the new row to {value.sql()}."
    conflict = insert.args.get("conflict")
    if conflict and "user_id" not in [key.this.name for key in conflict.args.get("conflict_keys") or []]:
        yield "ON CONFLICT does not name user_id."


def _rows(source: exp.Expr | None) -> Iterator[tuple[list[exp.Expr], set[str]]]:
    """The values of each row to insert, and the aliases that are tied to the user where they are made."""
    match source:
        case exp.Values():
            yield from ((row.expressions, set()) for row in source.expressions)
        case exp.Select():
            yield source.expressions, guarded_in(source)
        case exp.SetOperation():
            yield from _rows(source.left)
            yield from _rows(source.right)
        case _:
            yield [], set()
