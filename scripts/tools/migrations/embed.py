"""Embeds the migrations in the source, since only what is under `src/` reaches a Worker."""

import sqlite3
from pathlib import Path

from tools.checkout import Problem

_HEADER = '''\
"""The migrations of `migrations/{folder}/`, embedded. Made by `scripts/lock`; a test fails when it is stale."""

from threadkeep.storage.sql.migrate import Migration

MIGRATIONS: tuple[Migration, ...] = (
'''


def statements_of(text: str) -> list[str]:
    """The statements of a migration, each without the comments before it and the semicolon."""
    statements = []
    lines: list[str] = []
    for line in text.splitlines():
        if not lines and (not line.strip() or line.startswith("--")):
            continue
        lines.append(line)
        statement = "\n".join(lines)
        if sqlite3.complete_statement(statement):
            statements.append(statement.rstrip().removesuffix(";"))
            lines = []
    if lines:
        raise Problem(f"a migration ends in the middle of a statement: {lines[0]}")
    return statements


def embedded(migrations: Path) -> str:
    """The module that carries the migrations of a folder."""
    parts = [_HEADER.format(folder=migrations.name)]
    for path in sorted(migrations.glob("*.sql")):
        parts.append(f'    Migration(\n        "{path.name}",\n')
        texts = [f'"""{statement}""",' for statement in statements_of(path.read_text())]
        if len(texts) == 1:  # one element stands on the line of its parentheses: so ruff has it
            parts.append(f"        ({texts[0]}),\n    ),\n")
        else:
            parts += ["        (\n", *(f"            {text}\n" for text in texts), "        ),\n    ),\n"]
    return "".join([*parts, ")\n"])
