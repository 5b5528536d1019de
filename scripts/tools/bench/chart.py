"""Draws the chart of latency against size, as SVG: readable in light and in dark, and by screen readers."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP
from tools.bench.tables import milliseconds

Row = dict[str, Any]

_LINES = {THREADKEEP: ("Threadkeep", "ours", ""), JAVASCRIPT: ("JavaScript", "other", ' stroke-dasharray="6 4"')}
_WIDTH, _HEIGHT, _LEFT, _TOP = 180, 130, 52, 70
_ACROSS, _DOWN, _COLUMNS = 250, 200, 3
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d0d7de }
  .ours { stroke: #0550ae; fill: #0550ae }
  .other { stroke: #bc4c00; fill: #bc4c00 }
  polyline { fill: none !important; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #3d444d }
    .ours { stroke: #79c0ff; fill: #79c0ff }
    .other { stroke: #ffa657; fill: #ffa657 }
  }
"""


def chart(store: str, rows: Sequence[Row]) -> str:
    """A panel for each operation: median latency with one connection, by the number of messages."""
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    width = _LEFT + _ACROSS * min(len(operations), _COLUMNS)
    height = _TOP + _DOWN * math.ceil(len(operations) / _COLUMNS)
    panels = [
        _panel(number, name, [row for row in rows if row["operation"] == name])
        for number, name in enumerate(operations)
    ]
    title = f"Latency against size on {store}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(title)}</title>',
            f'<desc id="d">{escape(_description(rows))}</desc>',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="{_LEFT - 32}" y="24">{escape(title)}: median of one connection, ms</text>',
            *_legend(),
            *(line for panel in panels for line in panel),
            "</svg>",
            "",
        ]
    )


def _legend() -> Iterable[str]:
    for place, (name, kind, dashes) in enumerate(_LINES.values()):
        x = _LEFT - 32 + 130 * place
        yield f'<polyline class="{kind}" points="{x},42 {x + 28},42"{dashes}/>'
        yield f'<text x="{x + 36}" y="46">{name}</text>'


def _panel(number: int, operation: str, rows: Sequence[Row]) -> list[str]:
    left = _LEFT + _ACROSS * (number % _COLUMNS)
    top = _TOP + _DOWN * (number // _COLUMNS)
    sizes = sorted({row["messages"] for row in rows})
    highest = _round_up(max(row["high"] for row in rows))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(messages: int) -> float:
        return left + _WIDTH * (math.log10(messages) - first) / (last - first or 1)

    def y(value: float) -> float:
        return top + 14 + _HEIGHT * (1 - value / highest)

    lines = [f'<text x="{left}" y="{top + 4}">{operation}</text>']
    for value in (0, highest / 2, highest):
        lines.append(f'<line class="grid" x1="{left}" x2="{left + _WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        lines.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    lines.extend(f'<text x="{x(size):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{size:,}</text>' for size in sizes)
    for contestant, (_, kind, dashes) in _LINES.items():
        of_one = sorted(
            (row["messages"], row["median"], row["low"], row["high"]) for row in rows if row["contestant"] == contestant
        )
        points = " ".join(f"{x(size):.1f},{y(median):.1f}" for size, median, _, _ in of_one)
        lines.append(f'<polyline class="{kind}" points="{points}"{dashes}/>')
        for size, median, low, high in of_one:
            lines.append(f'<circle class="{kind}" cx="{x(size):.1f}" cy="{y(median):.1f}" r="3"/>')
            lines.append(
                f'<line class="{kind}" x1="{x(size):.1f}" x2="{x(size):.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>'
            )
    return lines


def _description(rows: Sequence[Row]) -> str:
    parts = []
    for operation in dict.fromkeys(row["operation"] for row in rows):
        for contestant, (name, _, _) in _LINES.items():
            of_one = sorted(
                (row["messages"], row["median"])
                for row in rows
                if (row["operation"], row["contestant"]) == (operation, contestant)
            )
            values = ", ".join(f"{milliseconds(median)} ms at {size:,}" for size, median in of_one)
            parts.append(f"{operation}, {name}: {values}.")
    return " ".join(parts)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8, 10, 20, 40 …"""
    step: float = 10 ** math.floor(math.log10(value))
    return next(step * factor for factor in (1, 2, 4, 6, 8, 10) if step * factor >= value)
