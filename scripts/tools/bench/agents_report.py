"""Writes the part of docs/benchmarks.md about what agents keep beside frameworks' own stores."""

import re
import textwrap
from typing import Any

from tools.bench.agents_contestants import SERVED_FILE, SERVED_POSTGRES
from tools.bench.tables import interval, milliseconds, table
from tools.checkout import Problem

Row = dict[str, Any]
SERVED = (SERVED_FILE, SERVED_POSTGRES)
HEADING = "## The state of agents\n"
_BEFORE = "## How it is measured\n"
_ABOUT = """\
Threadkeep's adapters beside the stores that frameworks bring: LangGraph's `AsyncSqliteSaver` and `AsyncPostgresSaver`,
`SQLiteSession` of OpenAI's Agents SDK, and Flue's `sqlite()`. These run in the process of the agent. Over HTTP,
Threadkeep is a plain server on the same machine, with one process. All are given the same {messages:,} messages
first, and wait for the disk when they write. A ratio below 1 means that Threadkeep is faster.
"""
_WHY = """\
A call in the process is faster than a request, which takes some milliseconds before anything is kept; what is served is
there for any number of processes and machines instead. A call of ours in the process does more than theirs: it checks
what it is given, keeps a write once that is sent twice, and refuses a writer whose claim somebody else has taken. What
LangGraph serializes is kept as base64, so it is a third larger.
"""
_OPERATIONS = """\
- `agents-langgraph-put`: put the checkpoint of a step, whose state is all messages and a turn of 4 more. There is a
  checkpoint for each turn before.
- `agents-langgraph-load`: get the latest checkpoint, with all messages
- `agents-openai-append`: add the items of a turn
- `agents-openai-load`: get the newest 50 items
- `agents-flue-append`: append a turn as one batch of records to a conversation stream
- `agents-flue-read`: read the stream from the start
"""
_WHEN = "By `{command}`, on {date}, over {rounds} rounds, with {versions}.\n"
_PACKAGES = (
    *("langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres", "psycopg", "asyncpg", "openai-agents"),
    "@flue/runtime",
)


def agents_table(figures: Row) -> str:
    """The latency of each store, and the ratio of Threadkeep's to that of the framework beside it."""
    found = {_key(row): row for row in figures["agents_ratios"]}
    rows = []
    for row in figures["agents"]:
        cells = [row["operation"], row["contestant"], row["place"], milliseconds(row["median"]), interval(row)]
        beside = found.get(_key(row))
        rows.append([*cells, *([f"{beside['ratio']:.2f}", interval(beside)] if beside else ["", ""])])
    heads = ("operation", "store", "where", "ms", "interval", "ratio to the framework's own", "interval of the ratio")
    return table(heads, rows)


def agents_section(figures: Row) -> str:
    """The section, from its heading to an empty line."""
    versions = ", ".join(f"{name} {figures['versions'][name]}" for name in _PACKAGES if name in figures["versions"])
    when = _WHEN.format(**{name: figures[name] for name in ("command", "date", "rounds")}, versions=versions)
    about = _ABOUT.format(messages=figures["agents"][0]["messages"])
    return "\n".join(
        [
            HEADING,
            about,
            agents_table(figures),
            "",
            _verdict(figures),
            _WHY,
            _OPERATIONS,
            textwrap.fill(when, 120, break_on_hyphens=False) + "\n",
        ]
    )


def _verdict(figures: Row) -> str:
    """How often Threadkeep is slower or faster than what it stands beside: where the whole interval says so."""
    lines = []
    for where, is_served in (("In the process", False), ("Over HTTP", True)):
        rows = [row for row in figures["agents_ratios"] if (row["place"] in SERVED) == is_served]
        slower, faster = sum(row["low"] > 1 for row in rows), sum(row["high"] < 1 for row in rows)
        lines.append(
            f"- {where}: of {len(rows)} comparisons, Threadkeep is slower in {slower} and faster in {faster}; in "
            f"{len(rows) - slower - faster}, the interval has 1 in it."
        )
    return "\n".join([*lines, ""])


def with_section(document: str, section: str) -> str:
    """The document with this section in the place of what it had; without one, before how everything is measured."""
    own = section.partition("\n")[0]
    kept = re.sub(rf"^{re.escape(own)}\n.*?(?=^## )", "", document, flags=re.MULTILINE | re.DOTALL)
    before, heading, after = kept.partition(_BEFORE)
    if not heading:
        raise Problem(f"docs/benchmarks.md has no section {_BEFORE.strip()!r}, before which this one belongs")
    return f"{before}{section}\n{heading}{after}"


def _key(row: Row) -> tuple[str, str, str]:
    return row["operation"], row["contestant"], row["place"]
