"""Writes the part of docs/benchmarks.md about changes that are followed as they happen."""

import textwrap
from typing import Any

from tools.bench.live import LISTENERS
from tools.bench.tables import interval, milliseconds, table

Row = dict[str, Any]
HEADING = "## Live changes\n"
_ABOUT = f"""\
From when a message is sent until each of {LISTENERS} devices of the same user has it, which follow
`GET /api/conversations/changes/stream`. Messages come one after the other, 0.2 to 1.2 seconds apart; the devices and
whoever sends are one program in Python. A server and an object wake them. D1 has no signal: each stream asks it once a
second while nothing comes, so that on average half a second passes before a message is found.
"""


def live_table(figures: Row) -> str:
    """How long it took over each store."""
    rows = [[row["store"], row["where"], milliseconds(row["median"]), interval(row)] for row in figures["live"]]
    return table(("store", "in", "until it has arrived, ms", "interval"), rows)


def live_section(figures: Row) -> str:
    """The section, from its heading to an empty line."""
    when = f"By `{figures['command']}`, on {figures['date']}, over {figures['rounds']} rounds."
    return "\n".join([HEADING, _ABOUT, live_table(figures), "", textwrap.fill(when, 120) + "\n"])
