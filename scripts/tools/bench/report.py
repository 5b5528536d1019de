"""Writes docs/benchmarks.md: what was measured, on what, and how to measure it again."""

import textwrap
from collections.abc import Sequence
from typing import Any

from tools.bench.agents_report import agents_section
from tools.bench.contestants import FLOOR
from tools.bench.live_report import live_section
from tools.bench.operations import OPERATIONS
from tools.bench.tables import first_table, growth_table, interval, milliseconds, ratio_table, state_table, table

Row = dict[str, Any]
_NAMES = {"threadkeep": "Threadkeep", "hono": "JavaScript", "floor": "the floor"}
_MODULES = 20
_TIMES = ("first", "then")

_INTRODUCTION = """\
# Benchmarks

Written by `scripts/bench`, from one run on one machine. Two runs on the same machine differ; the ratios differ least,
since the contestants take turns.

- **Threadkeep**: the Worker of this repository, as it is deployed.
- **JavaScript**: [bench/hono-d1](../bench/hono-d1), the same service in Hono and zod: the same schema and indexes, the
  same checks, digests, repeats and conflicts, the same answers. It reads rows and makes JSON of them; an append is one
  batch. On Durable Objects it is called by RPC.
- **The floor**: the statements that Threadkeep sends to D1, sent by a Worker that does nothing else.

All of them run in workerd under wrangler, with their data on the disk, behind wrangler's development proxy, on the same
machine as what sends the requests. These are not the latencies of Cloudflare's network: they show what the code costs.
"""

_METHOD = """\
## How it is measured

- One user has {messages:,} messages, half of them in one conversation, beside 999 users of 100 messages in the same D1
  database; a Durable Object has the one user alone. The texts are made up, always the same ones.
- Before anything is measured, and after it, the contestants are sent the same requests and their answers compared. If
  one differs, in anything but the time of day, the run ends without a figure.
- A round is a fixed number of requests, the same to the letter for each contestant, sent by autocannon over 1 or 16
  connections. Contestants take turns, A B A B …, over {rounds} rounds; one before them warms up and is not counted.
- The figure of a round is the median of its latencies, from the first byte sent to the last received. The table has the
  median over rounds. A ratio is that of Threadkeep to JavaScript within each round, then the median over rounds.
- An interval holds the true median with a probability of at least 93 %: with five rounds it is the lowest to the
  highest.
"""


def report(figures: Row) -> str:
    """The whole document."""
    return "\n".join(
        [
            _INTRODUCTION,
            "## Where and with what\n",
            *(f"- {name}: {value}" for name, value in figures["machine"].items()),
            _wrapped(f"- versions: {', '.join(f'{name} {version}' for name, version in figures['versions'].items())}"),
            f"- date: {figures['date']}\n",
            "The command, and the one for the main figures in a few minutes:\n",
            f"    {figures['command']}",
            "    scripts/bench --quick\n",
            "## Threadkeep and JavaScript\n",
            "Latencies in milliseconds; a ratio below 1 means that Threadkeep is faster.\n",
            ratio_table(figures),
            "",
            *(f"- `{operation.name}`: {operation.title}" for operation in OPERATIONS),
            "",
            *_floor(figures),
            *_growth(figures),
            *_native(figures),
            *_proxy(figures),
            *_startup(figures),
            *_memory(figures),
            *_state(figures),
            agents_section(figures),
            live_section(figures),
            _METHOD.format(messages=figures["messages"], rounds=figures["rounds"]),
        ]
    )


def _wrapped(text: str) -> str:
    """An entry of a list, in lines as long as those of every document here."""
    return textwrap.fill(text, 120, subsequent_indent="  ", break_on_hyphens=False)


def _floor(figures: Row) -> list[str]:
    rows = [
        [row["operation"], row["connections"], milliseconds(row["median"]), interval(row)]
        for row in figures["latencies"]
        if row["contestant"] == FLOOR
    ]
    heads = ("operation", "connections", "the floor, ms", "interval")
    return ["## The floor on D1\n", "The statements alone, with no service around them.\n", table(heads, rows), ""]


def _growth(figures: Row) -> list[str]:
    charts = [
        f"![Latency against size on {store}]({chart_name(store)})\n"
        for store in dict.fromkeys(row["store"] for row in figures["growth"])
    ]
    about = "With one connection: the latency over the most messages, by that over the fewest.\n"
    return ["## With more data\n", about, growth_table(figures), "", *charts]


def chart_name(store: str) -> str:
    """The file of the chart of a store, in docs/."""
    return f"benchmarks-{store}.svg"


def _native(figures: Row) -> list[str]:
    about = f"""\
Threadkeep's store on a SQLite file beside what else keeps conversations in SQLite in Python: the OpenAI Agents SDK's
`SQLiteSession`, which keeps items as they come, and LangGraph's `AsyncSqliteSaver`, which keeps all messages after each
step. Threadkeep validates, recognizes repeats and indexes every word, which neither of them does. The conversation has
{figures["native"][0]["messages"]:,} messages, and an append is a turn of 4. All of them write to SQLite's write-ahead
log, and wait for the disk at each append.
"""
    rows = [
        [row["operation"], row["contestant"], milliseconds(row["median"]), interval(row), _ratio_to(figures, row)]
        for row in figures["native"]
    ]
    heads = ("operation", "", "ms", "interval", "Threadkeep's ratio to it")
    return ["## In a SQLite file\n", about, table(heads, rows), ""]


def _ratio_to(figures: Row, row: Row) -> str:
    found = [
        one
        for one in figures["native_ratios"]
        if (one["operation"], one["to"]) == (row["operation"], row["contestant"])
    ]
    return f"{found[0]['ratio']:.2f} ({interval(found[0])})" if found else ""


def _proxy(figures: Row) -> list[str]:
    rows = [
        [
            _NAMES[row["contestant"]],
            row["operation"],
            milliseconds(row["through"]["median"]),
            milliseconds(row["around"]["median"]),
            f"{row['share']['median']:.0%}",
        ]
        for row in figures["proxy"]
    ]
    about = "It is in every latency above, of both contestants. `health` is an answer without any work.\n"
    heads = ("", "request, on D1", "through the proxy, ms", "around it, ms", "its share")
    return ["## wrangler's development proxy\n", about, table(heads, rows), ""]


def _startup(figures: Row) -> list[str]:
    starts = [
        [_NAMES[row["contestant"]], row["store"], f"{row['median']:.2f}", interval(row)] for row in figures["startup"]
    ]
    modules = [
        [f"`{row['module']}`", f"{row['own']:.1f}", f"{row['whole']:.1f}"] for row in figures["imports"][:_MODULES]
    ]
    whole = next((row["whole"] for row in figures["imports"] if row["module"] == "entry"), 0.0)
    return [
        "## Starting\n",
        "From the start of wrangler to the first answer. Threadkeep starts from a deploy's snapshot of its imports.\n",
        table(("", "store", "seconds", "interval"), starts),
        "",
        "The first request of a process that has answered nothing before but that it is up, in milliseconds:\n",
        first_table(figures),
        "",
        f"Importing the Worker's Python takes {whole:.0f} ms in Pyodide, outside of workerd. What takes most of it:\n",
        table(("module", "alone, ms", "with what it imports, ms"), modules),
        "",
    ]


def _memory(figures: Row) -> list[str]:
    rows = [[_NAMES[row["contestant"]], row["store"], *_some(row["after"])] for row in figures["memory"]]
    exports = [
        [_NAMES[row["contestant"]], row["store"], f"{row['bytes'] / 2**20:.0f}", f"{row['added']:.0f}"]
        for row in figures["exports"]
    ]
    return [
        "## Memory\n",
        "Of the process of workerd, in MiB: pages, lists, searches and appends, over 16 connections.\n",
        table(("", "store", "after the start", "after 1,000", "after 5,000", "after 10,000 requests"), rows),
        "",
        "A streamed export of one conversation of 100,000 messages:\n",
        table(("", "store", "its size, MiB", "adds at the most, MiB"), exports),
        "",
    ]


def _state(figures: Row) -> list[str]:
    about = """\
Journals, tasks and threads on a SQLite file and on Postgres, in one process, without HTTP: one journal with so many
entries, a queue with so many open tasks, and a thread with so many checkpoints.
"""
    sessions = [
        [row["store"], f"{row['bytes'] / 10**6:.0f}", *(f"{size:.0f}" for size in [*row["server"], *row["client"]])]
        for row in figures["sessions"]
    ]
    heads = ("", "its size, MB", *(f"the {who} adds, {time}" for who in ("server", "client") for time in _TIMES))
    return [
        "## What agents keep\n",
        about,
        state_table(figures),
        "",
        "A session read in pages, by the Python client, twice: what is added to the memory at the most, in MiB.",
        "workerd has no limit here, and collects what is left over only when that has come to some hundreds of MiB.\n",
        table(heads, sessions),
        "",
    ]


def _some(after: Sequence[float]) -> list[str]:
    return [f"{after[place]:.0f}" for place in (0, 1, 5, 10)]
