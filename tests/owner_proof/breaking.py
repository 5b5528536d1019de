"""Statements without one of their guards, for the owner proof that runs them."""

import re
from collections.abc import Collection, Iterable

from threadkeep.storage.sql.executor import POSTGRES_MARK, SQLITE_MARK, Query
from threadkeep.storage.sql.statements import Statements

GUARD = re.compile(r"\b\w+\.user_id = :user\b")


class Broken(dict[str, str]):
    """The text of each statement without one of its guards, by its name, the alias and the number of the guard."""

    def __init__(self, queries: dict[str, Query], instead: str) -> None:
        """`instead` is a condition that always holds, and names the user as well."""
        super().__init__()
        self._queries = queries
        self._names: dict[str, str] = {}
        for name, query in queries.items():
            for number, guard in enumerate(GUARD.finditer(query.text), 1):
                broken = f"{name}-{guard.group().partition('.')[0]}-{number}"
                self[broken] = f"{query.text[: guard.start()]}{instead}{query.text[guard.end() :]}"
                self._names[broken] = name

    def query(self, broken: str) -> Query:
        """The query that it becomes."""
        whole = self._queries[self._names[broken]]
        mark = POSTGRES_MARK if POSTGRES_MARK in whole.numbered else SQLITE_MARK
        return Query(self[broken], writes=whole.writes, answers=whole.answers, has_parameters=True, mark=mark)

    def put_into(self, statements: Statements, broken: Iterable[str]) -> None:
        """Have these be run instead of what they were made of."""
        for each in broken:
            name = self._names[each]
            several, _, place = name.rpartition("_")
            if hasattr(type(statements), name):
                setattr(statements, name, self.query(each))
            else:
                queries = list(getattr(statements, several))
                queries[int(place) - 1] = self.query(each)
                setattr(statements, several, tuple(queries))

    def together(self, superfluous: Collection[str]) -> list[list[str]]:
        """Guards that are to be missed by nobody, in groups that have one of each statement.

        If a walk beside which all of a group are missing goes as it should, then so does one without any of them: up to
        the first difference, each statement finds what it would have found, and there is none.
        """
        groups: list[list[str]] = []
        for each in superfluous:
            with_room = (group for group in groups if self._names[each] not in map(self._names.get, group))
            group = next(with_room, None)
            if group is None:
                groups.append(group := [])
            group.append(each)
        return groups
