"""Finds the small mistakes that somebody could make in a source: in its Python, and in the SQL of its statements."""

import ast
import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

_SWAPPED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
}
_SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_COMPARED = r":?[\w.]+ (?:[<>=]+|IS(?: NOT)?) [:\w.]+(?: (?:[+-]|->>?) [:'\w.]+)?"
_IN_SQL = {
    r"(?<= )<(?= )": "<=",
    r"(?<= )<=(?= )": "<",
    r"(?<= )>(?= )": ">=",
    r"(?<= )>=(?= )": ">",
    r"(?<= )=(?= )": "<>",
    r"(?<= )<>(?= )": "=",
    r"\bAND\b": "OR",
    rf"\s+AND {_COMPARED}": "",
    rf"(?<![\w.:]){_COMPARED} AND\s+": "",
    r"\bDESC\b": "ASC",
    r"\bASC\b": "DESC",
    r"\bNOT (?=EXISTS|IN\b)": "",
    r"(?<!NOT )\bEXISTS\b": "NOT EXISTS",
    r"\bIS NULL\b": "IS NOT NULL",
    r"\bIS NOT\b": "IS",
    r"\bmin\(": "max(",
    r"\bmax\(": "min(",
}
_NUMBER_IN_SQL = re.compile(r"(?<![\w.:$'\"])(?<!SELECT )\d+(?![\w.'])")
_LOOKS_LIKE_SQL = re.compile(r"\b[A-Z]{2,}\b|(?<![\w:]):[a-z_]+|\b[a-z]\.[a-z_]+ \S")
_PARAMETER_IN_SQL = re.compile(r"(?<![\w:'\"]):[a-z_]+")


class Mutant(NamedTuple):
    """A source with one mistake: what stands between two places, which count bytes, is another text."""

    path: str
    line: int
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """The source with the mistake."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def difference(self, source: bytes) -> str:
        """The mistake within its line, as in `if seq [-<-]{+<=+} last:`."""
        before = source[source.rfind(b"\n", 0, self.start) + 1 : self.start].decode()
        after = source[self.end :].decode().partition("\n")[0]
        removed = shorten(source[self.start : self.end].decode(), 80, placeholder=" …")
        added = shorten(self.text, 80, placeholder=" …")
        return " ".join(f"{before}[-{removed}-]{{+{added}+}}{after}".split())


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of a source, by its places."""
    starts = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]
    finder = _Finder(source, starts, has_sql=_has_sql(Path(path)))
    changes = sorted(set(finder.visit(ast.parse(source))))
    return [Mutant(path, source.count(b"\n", 0, start) + 1, start, end, text) for start, end, text in changes]


def _has_sql(path: Path) -> bool:
    """Whether texts of a source are SQL: it is one of the statements, or a dialect."""
    return path.parent.name == "statements" or path.name.endswith("_dialect.py")


Change = tuple[int, int, str]


class _Finder:
    def __init__(self, source: bytes, line_starts: list[int], *, has_sql: bool) -> None:
        self._source = source
        self._line_starts = line_starts
        self._has_sql = has_sql

    def visit(self, node: ast.AST) -> Iterator[Change]:
        """The changes to a node, and to what it is made of."""
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        yield from self._operators(node)
        yield from self._conditions(node)
        yield from self._values(node)
        yield from self._statements(node)
        if isinstance(node, ast.JoinedStr):
            return  # Python 3.11 does not know the places of what is in it
        for child in ast.iter_child_nodes(node):
            yield from self.visit(child)

    def _operators(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Compare):
            for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                yield from self._between(left, operator, right)
        elif isinstance(node, ast.BoolOp):
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._between(left, node.op, right)
        elif isinstance(node, ast.BinOp):
            yield from self._between(node.left, node.op, node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            start, _ = self._span(node)
            yield start, start + len("not"), ""

    def _between(self, left: ast.expr, operator: ast.AST, right: ast.expr) -> Iterator[Change]:
        if type(operator) in _SWAPPED:
            old, new = _SWAPPED[type(operator)]
            start = self._span(left)[1]
            gap = self._source[start : self._span(right)[0]].decode()
            found = re.search(re.escape(old).replace(r"\ ", r"\s+"), gap)
            if found and "#" not in gap:  # a comment may have the word, too
                yield start + len(gap[: found.start()].encode()), start + len(gap[: found.end()].encode()), new

    def _conditions(self, node: ast.AST) -> Iterator[Change]:
        """Turns round what has no operator that could be swapped."""
        tests = [node.test] if isinstance(node, ast.If | ast.While | ast.IfExp) else []
        tests += node.ifs if isinstance(node, ast.comprehension) else []
        for test in tests:
            if not isinstance(test, ast.Compare | ast.UnaryOp):
                start, end = self._span(test)
                yield start, end, f"not ({self._source[start:end].decode()})"

    def _values(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
            value = not node.value if isinstance(node.value, bool) else node.value + 1
            yield *self._span(node), str(value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SWAPPED_NAMES:
            yield *self._span(node.func), _SWAPPED_NAMES[node.func.id]
        elif self._has_sql and isinstance(node, ast.Constant | ast.JoinedStr):
            start, end = self._span(node)
            text = self._source[start:end].decode()
            if isinstance(node, ast.JoinedStr):
                text = _masked(text)
            if _LOOKS_LIKE_SQL.search(text):
                for first, last, instead in _in_sql(text):
                    yield start + len(text[:first].encode()), start + len(text[:last].encode()), instead

    def _statements(self, node: ast.AST) -> Iterator[Change]:
        """Leaves out what a statement does."""
        if isinstance(node, ast.Raise | ast.AugAssign) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
        ):
            yield *self._span(node), "pass"
        elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
            yield *self._span(node), "return None"
        elif isinstance(node, ast.Break | ast.Continue):
            yield *self._span(node), "continue" if isinstance(node, ast.Break) else "break"

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None  # noqa: S101 the parser sets both
        assert node.end_col_offset is not None  # noqa: S101
        return (
            self._line_starts[node.lineno - 1] + node.col_offset,
            self._line_starts[node.end_lineno - 1] + node.end_col_offset,
        )


def _in_sql(text: str) -> Iterator[Change]:
    """The changes to a text of SQL, as it stands in a source."""
    for pattern, instead in _IN_SQL.items():
        for found in re.finditer(pattern, text):
            yield *found.span(), instead
    for found in _NUMBER_IN_SQL.finditer(text):
        yield *found.span(), str(int(found[0]) + 1)
    names = list(dict.fromkeys(_PARAMETER_IN_SQL.findall(text)))
    for found in _PARAMETER_IN_SQL.finditer(text):
        if len(names) > 1:
            yield *found.span(), names[(names.index(found[0]) + 1) % len(names)]


def _masked(text: str) -> str:
    """The source of an f-string with letters, as many, for what it puts in; but SQL that is handed over there stays."""
    masked = ""
    place = 0
    for first, last in _fields(text):
        masked += text[place:first] + _masked_field(text[first:last])
        place = last
    return masked + text[place:]


def _masked_field(field: str) -> str:
    kept = [
        (found.start() + 1, found.end() - 1)
        for found in re.finditer(r"""'[^']*'|"[^"]*\"""", field)
        if " " in found[0] and _LOOKS_LIKE_SQL.search(found[0])
    ]
    if not kept:
        return "_" * len(field)
    masked = ""
    for first, last in kept:
        masked += "\0" * (first - len(masked)) + _masked(field[first:last])  # no comparison goes beyond it
    return masked + "\0" * (len(field) - len(masked))


def _fields(text: str) -> Iterator[tuple[int, int]]:
    """Where an f-string puts something in, with the brackets around it."""
    start = depth = place = 0
    while place < len(text):
        if depth == 0 and text[place : place + 2] in ("{{", "}}"):
            place += 1
        elif text[place] == "{":
            start = start if depth else place
            depth += 1
        elif text[place] == "}" and depth:
            depth -= 1
            if depth == 0:
                yield start, place + 1
        place += 1
