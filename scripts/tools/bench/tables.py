"""Formats figures as tables in Markdown, which are readable in a terminal, too."""

from collections.abc import Iterable, Sequence
from typing import Any

from tools.bench.contestants import JAVASCRIPT, THREADKEEP

Row = dict[str, Any]


def ratio_table(figures: Row) -> str:
    """Medians of both contestants, and the ratio between them with its interval."""
    latencies = {
        (row["operation"], row["store"], row["connections"], row["contestant"]): row["median"]
        for row in figures["latencies"]
    }
    rows = []
    for row in figures["ratios"]:
        cell = (row["operation"], row["store"], row["connections"])
        ours, javascript = latencies[*cell, THREADKEEP], latencies[*cell, JAVASCRIPT]
        rows.append(
            [*cell, milliseconds(ours), milliseconds(javascript), f"{row['ratio']:.2f}", interval(row)],
        )
    heads = ("operation", "store", "connections", "Threadkeep, ms", "JavaScript, ms", "ratio", "interval")
    return table(heads, rows)


def growth_table(figures: Row) -> str:
    """What the most data cost by the fewest."""
    rows = [
        [
            row["operation"],
            row["store"],
            row["contestant"],
            f"{row['from']:,} to {row['to']:,}",
            f"{row['ratio']:.2f}",
            interval(row),
        ]
        for row in figures["growth"]
    ]
    return table(("operation", "store", "contestant", "messages", "ratio", "interval"), rows)


def native_table(figures: Row) -> str:
    """Threadkeep in a SQLite file, and the others."""
    rows = [
        [row["operation"], row["contestant"], milliseconds(row["median"]), interval(row)] for row in figures["native"]
    ]
    return table(("operation", "in a SQLite file", "ms", "interval"), rows)


def state_table(figures: Row) -> str:
    """What agents keep: what the most rows cost by the fewest."""
    rows = [
        [
            *(row["operation"], row["store"], f"{row['from']:,} to {row['to']:,}"),
            *(milliseconds(row["few"]), milliseconds(row["many"]), f"{row['ratio']:.2f}", interval(row)),
        ]
        for row in figures["state"]
    ]
    return table(("operation", "store", "rows", "fewest, ms", "most, ms", "ratio", "interval"), rows)


def first_table(figures: Row) -> str:
    """The first request of a fresh process."""
    rows = [
        [row["operation"], row["store"], row["contestant"], milliseconds(row["median"]), interval(row)]
        for row in figures["first"]
    ]
    return table(("first request", "store", "contestant", "ms", "interval"), rows)


def proxy_line(figures: Row) -> str:
    """What wrangler's proxy takes."""
    parts = [
        f"{row['operation']} of {row['contestant']}: {milliseconds(row['through']['median'])} ms through it, "
        f"{milliseconds(row['around']['median'])} around it ({row['share']['median']:.0%})"
        for row in figures["proxy"]
    ]
    return f"wrangler's proxy is in these figures. {'; '.join(parts)}." if parts else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, its columns aligned."""
    cells = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" if number != 1 else f"|-{line}-|" for number, line in enumerate(lines))


def milliseconds(value: float) -> str:
    """A time with as many digits as mean something."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def interval(row: Row) -> str:
    """What lies around a figure."""
    return f"{row['low']:.2f} to {row['high']:.2f}"
