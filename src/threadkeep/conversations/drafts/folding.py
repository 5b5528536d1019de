"""What the parts of a draft come to, and which parts may follow which."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from threadkeep.conversations.drafts.models import Ops

_TEXT_OF = {"text": "text", "thinking": "thinking", "tool_use": "input"}
"""What is appended to, by the type of a block."""
KINDS = {"text": "t", "thinking": "k", "tool_use": "u"}
OTHER = "o"
NOT_THERE = "-"
_APPENDABLE = "".join(KINDS.values())


def fold(parts: Iterable[Ops]) -> Raw:
    """The content that parts come to, as JSON: blocks in order, each as it was set last, with what was appended."""
    blocks: dict[int, Raw] = {}
    texts: dict[int, list[str]] = {}
    for op in (op for ops in parts for op in ops):
        if isinstance(op.block, int) and isinstance(op.set, Raw):
            blocks[op.block], texts[op.block] = op.set, []
        elif isinstance(op.block, int) and isinstance(op.append, str):
            texts[op.block].append(op.append)
    return Raw(msgspec.json.encode([_with_text(blocks[place], texts[place]) for place in sorted(blocks)]))


def _with_text(block: Raw, texts: list[str]) -> Any:
    if not texts:
        return block
    fields = msgspec.json.decode(block, type=dict[str, Raw])
    name = _TEXT_OF[msgspec.json.decode(fields["type"])]
    before = msgspec.json.decode(fields[name]) if name in fields else ""
    # The input of a call begins as an object that is empty, and comes as text.
    fields[name] = Raw(msgspec.json.encode((before if isinstance(before, str) else "") + "".join(texts)))
    return fields


class Effect(Struct):
    """What parts do to the blocks of a draft, whatever these are. `blocks` has a letter for each block, by its type."""

    checks: list[tuple[int, str, str]]
    """A place, the letters of which one has to stand there (or none, where `-` is among them), and where it says so."""
    base: int
    """How many blocks there have to be before, at least."""
    letters: str
    """What stands at `base` and behind it afterwards; what is there already stays."""

    def problem(self, blocks: str) -> str | None:
        """Where the first change stands that does not fit blocks; None where all fit."""
        for place, allowed, path in self.checks:
            if (blocks[place : place + 1] or NOT_THERE) not in allowed:
                return path
        return None if len(blocks) >= self.base else self.checks[0][2]

    def after(self, blocks: str) -> str:
        """The blocks afterwards."""
        return blocks + self.letters[len(blocks) - self.base :]


def effect_of(parts: Iterable[tuple[str, Ops]]) -> Effect:
    """What parts do, each with the path where it stands. They are checked: each op is of one kind."""
    checks: list[tuple[int, str, str]] = []
    put: dict[int, str] = {}
    for path, ops in parts:
        for index, op in enumerate(ops):
            if not isinstance(op.block, int):
                continue
            here, known = f"{path}[{index}]", put.get(op.block)
            if isinstance(op.set, Raw):
                letter = letter_of(op.set)
                checks.append((op.block, letter + NOT_THERE if known in (None, letter) else "", here))
                put.setdefault(op.block, letter)
            elif known is None:
                checks.append((op.block, _APPENDABLE, here))
            elif known == OTHER:
                checks.append((op.block, "", here))
    top = max(put, default=-1)
    base = top + 1
    while base - 1 in put:
        base -= 1
    return Effect(checks, base if put else 0, "".join(put[place] for place in range(base, top + 1)))


def letter_of(block: Raw) -> str:
    """The letter of a block's type."""
    return KINDS.get(msgspec.json.decode(block).get("type"), OTHER)
