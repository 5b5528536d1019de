"""Keeps the table of what passes where, in a document, between two marks."""

import re
from collections.abc import Mapping
from pathlib import Path

from tools.checkout import Problem, write_atomically
from tools.exit_codes import Code
from tools.suites.suite import STORES, Outcome, Suite

BEGIN, END = "<!-- suites: written by scripts/suites --write -->", "<!-- /suites -->"
NOT_RUN, NOT_OFFERED = "", "-"
Results = Mapping[tuple[str, str], Outcome]
"""By the names of suite and store."""

_HEADING = ("Suite", "Tests", *STORES)


def check(document: Path) -> None:
    """Raises a Problem where the document has no place for the table."""
    _parts(document)


def write(document: Path, offered: Mapping[str, Suite], results: Results) -> None:
    """Put the results into the table; what was not run this time stays as it is."""
    before, written, after = _parts(document)
    text = f"{before}{BEGIN}\n{table(offered, results, _cells(written))}{END}{after}"
    write_atomically(document, text.encode())


def table(offered: Mapping[str, Suite], results: Results, kept: Mapping[tuple[str, str], str]) -> str:
    """A row for each suite, a column for each store."""
    rows = [_row(_HEADING), _row(["---"] * len(_HEADING))]
    for suite in offered.values():
        cells = {store: kept.get((suite.name, store), NOT_RUN) for store in STORES}
        cells |= {store: NOT_OFFERED for store in STORES if store not in suite.stores}
        cells |= {store: str(outcome) for (name, store), outcome in results.items() if name == suite.name}
        totals = [outcome.total for (name, _), outcome in results.items() if name == suite.name]
        tests = str(totals[0]) if totals else kept.get((suite.name, "Tests"), NOT_RUN)
        rows.append(_row([f"`{suite.name}`: {suite.title}", tests, *cells.values()]))
    return "".join(rows)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cells(written: str) -> dict[tuple[str, str], str]:
    """What a table says, by suite and column."""
    found: dict[tuple[str, str], str] = {}
    for line in written.splitlines():
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        name = re.match("`(.+?)`", first)
        if name:
            found |= {(name[1], column): cell for column, cell in zip(_HEADING[1:], cells, strict=False)}
    return found


def _parts(document: Path) -> tuple[str, str, str]:
    text = document.read_text() if document.exists() else ""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    written, end, after = rest.partition(END)
    if not begin or not end:
        raise Problem(f"{document} has no place for the table: put {BEGIN} and {END} into it", Code.WRONG_VALUE)
    return before, written, after
