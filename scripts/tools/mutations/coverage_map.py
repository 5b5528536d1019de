"""Says which tests could notice that a line has changed, by what tools/mutations/coverage_plugin.py wrote down.

A line of a function is reached by the tests that run it. A constant is read when its module is imported, and no test
runs it: it is reached by the tests that run a line which names it, or names what is made from it. What a file of tests
runs as it is imported itself, all of its tests reach.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef


class _Place(NamedTuple):
    """A statement, without those inside it."""

    path: str
    lines: range
    top: frozenset[str]
    """The names that its outermost statement binds."""
    names: frozenset[str]
    """The names that it reads."""
    runs: bool
    """Whether it is in a function, and so not run by an import."""


class CoverageMap:
    """What the tests reach of the sources in a folder."""

    def __init__(self, source: Path, test_files: Mapping[str, str], recorded: dict[str, Any]) -> None:
        """`test_files` are their texts by the names that pytest knows them by."""
        self._source = source
        self._test_files = test_files
        self._tests: list[tuple[str, float]] = [(test, seconds) for test, seconds in recorded["tests"]]
        self._imports = {number for number, (test, _) in enumerate(self._tests) if "::" not in test}
        """What is no test, but the import of a file of tests, or of what is imported before any."""
        self._lines: dict[str, dict[str, list[int]]] = recorded["lines"]

    def tests_of(self, path: str, line: int) -> dict[str, float]:
        """The tests that reach a line, and the seconds that each took: file by file, the quickest first."""
        found: set[int] = set()
        for place in self._places:
            if place.path == path and line in place.lines:
                reached = self._reaching(path, {line, *place.lines})
                if not place.runs:
                    found |= self._naming(path, place.top)
                elif reached and reached <= self._imports:
                    found |= reached | self._naming(path, place.top)
                else:
                    found |= reached
        files = {self._tests[number][0] for number in found & self._imports}
        found |= {number for number, (test, _) in enumerate(self._tests) if _file(test) in files}
        tests = [self._tests[number] for number in found - self._imports]
        of_file: dict[str, float] = defaultdict(float)
        for test, seconds in tests:
            of_file[_file(test)] += seconds
        return dict(sorted(tests, key=lambda test: (of_file[_file(test[0])], _file(test[0]), test[1])))

    def _reaching(self, path: str, lines: Iterable[int]) -> set[int]:
        known = self._lines.get(path, {})
        return {number for line in lines for number in known.get(str(line), ())}

    def _naming(self, path: str, names: Iterable[str]) -> set[int]:
        """The tests that run a line which names one of these, of a module, or what is made from them."""
        importing = self._importing(path)
        tests: set[int] = set()
        wanted, done = list(names), set(names)
        while wanted:
            name = wanted.pop()
            for place in self._places:
                if name not in place.names or (name.startswith("_") and place.path != path):
                    continue
                reached = self._reaching(place.path, place.lines)
                if place.runs:
                    tests |= reached if place.path == path else reached & importing
                if not place.runs or (reached and reached <= self._imports):
                    wanted += place.top - done
                    done |= place.top
        return tests | self._in_files_that_import(path, done)

    def _importing(self, path: str) -> set[int]:
        """The tests that run anything of a source that imports this one: only they have to do with it."""
        word = re.compile(rf"^(?:from|import) .*\b{Path(path).stem}\b", re.MULTILINE)
        sources = [other for other in self._lines if word.search((self._source / other).read_text())]
        return {
            number
            for other in [path, *sources]
            for place in self._places
            if place.path == other and place.runs
            for number in self._reaching(other, place.lines)
        }

    def _in_files_that_import(self, path: str, names: set[str]) -> set[int]:
        """The tests in files that import the whole module, and name one of these, or read all there is."""
        module = re.compile(rf"^(?:from [\w.]+ )?import .*\b{Path(path).stem}\b", re.MULTILINE)
        name = re.compile(rf"\b(?:vars\(|(?:{'|'.join(names)})\b)")
        files = {file for file, text in self._test_files.items() if module.search(text) and name.search(text)}
        return {number for number, (test, _) in enumerate(self._tests) if _file(test) in files}

    @cached_property
    def _places(self) -> list[_Place]:
        places: list[_Place] = []
        for path in sorted(self._source.rglob("*.py")):
            for top in ast.parse(path.read_bytes()).body:
                names = frozenset(_bound(top))
                places += _places(path.relative_to(self._source).as_posix(), top, names, runs=False)
        return places


def _file(test: str) -> str:
    return test.partition("::")[0]


def _places(path: str, statement: ast.stmt, top: frozenset[str], *, runs: bool) -> Iterator[_Place]:
    head, inside = _parts(statement)
    if isinstance(statement, _DEFINITIONS):  # what it is annotated with is not read
        arguments = statement.args
        head = [*statement.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults)]
    last = min(part.lineno for part in inside) - 1 if inside else statement.end_lineno or 0
    names = frozenset(name for part in head for node in ast.walk(part) for name in _read(node))
    yield _Place(path, range(statement.lineno, max(last, statement.lineno) + 1), top, names, runs)
    for part in inside:
        yield from _places(path, part, top, runs=runs or isinstance(statement, _DEFINITIONS))


def _parts(node: ast.AST) -> tuple[list[ast.AST], list[ast.stmt]]:
    """What a statement is made of, and the statements inside it."""
    head: list[ast.AST] = []
    inside: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            inside.append(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            more, deeper = _parts(child)
            head += more
            inside += deeper
        else:
            head.append(child)
    return head, inside


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module gives a value to."""
    if isinstance(statement, ast.ClassDef | _DEFINITIONS):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _read(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield node.attr
