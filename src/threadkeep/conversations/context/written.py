"""What the three dialects write alike: ids and names that a provider takes, and what a result says."""

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from threadkeep.conversations.context.parts import (
    Call,
    Findings,
    Media,
    Native,
    Part,
    Read,
    Result,
    Text,
    Thinking,
    Turn,
    json_text,
)

Fragment = dict[str, Any]

_OTHER = re.compile(r"[^A-Za-z0-9_-]")


class Written(Struct):
    """A history in a dialect, and where the dialect wants it apart, what is told to the model."""

    messages: list[Fragment]
    system: list[Fragment]


class Ids:
    """The ids of calls as they are written: each once, and of a form that the provider takes."""

    def __init__(self, findings: Findings, most: int) -> None:
        self._findings = findings
        self._most = most
        self._taken: set[str] = set()

    def of(self, call: Call) -> str:
        """The id of a call, which is asked for once."""
        id_ = base = _OTHER.sub("_", call.id)[: self._most] or "call"
        count = 1
        while id_ in self._taken:
            count += 1
            id_ = f"{base[: self._most - len(str(count)) - 1]}_{count}"
        if count > 1:
            self._findings.add(call, "id_repeated")
        self._taken.add(id_)
        return id_


def name_of(call: Call, most: int) -> str:
    """The name of a tool, of the characters that a provider takes."""
    return _OTHER.sub("_", call.name)[:most] or "tool"


def fragments(
    turn: Turn, write: Callable[[Part, str], Fragment | None], findings: Findings
) -> list[tuple[Part, Fragment]]:
    """The parts of a turn as they are written. What a provider does not take is left out, and is a finding.

    So are thoughts that nothing follows: they were cut off, and providers refuse them.
    """
    written = []
    for part in turn.parts:
        fragment = write(part, turn.role)
        if fragment is None:
            findings.add(part, "left_out")
        else:
            written.append((part, fragment))
    while written and isinstance(written[-1][0], Thinking):
        findings.add(written.pop()[0], "left_out")
    return written


def output_of(
    result: Result, write: Callable[[Part], Fragment | None], findings: Findings, read: Read
) -> str | list[Fragment]:
    """What a result says: a text, or blocks where it has some and a provider takes these."""
    content = result.content
    if isinstance(content, str) or content is None:
        return content or ""
    if not (isinstance(content, list) and all(isinstance(each, dict) and each.get("type") for each in content)):
        return json_text(content)
    parts = read(content)
    if not all(isinstance(part, Text | Media | Native) for part in parts):
        return json_text(content)
    written = [write(part) for part in parts]
    if None in written:
        findings.add(result, "left_out")
    return [fragment for fragment in written if fragment is not None]
