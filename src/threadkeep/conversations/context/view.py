"""A history as a model is sent it, cut to a budget."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from threadkeep.conversations.context import anthropic, openai_chat, openai_responses
from threadkeep.conversations.context.pairing import paired
from threadkeep.conversations.context.parts import TOLD, Dialect, Findings, Part, Repair, Turn, Unknown
from threadkeep.conversations.context.reading import parts_of, read
from threadkeep.conversations.context.written import Written
from threadkeep.conversations.models import Message
from threadkeep.work import Work

_WRITE = {"anthropic": anthropic.write, "openai-chat": openai_chat.write, "openai-responses": openai_responses.write}
_MESSAGE_SIZE = 1_000  # as much work as so many bytes, however small it is


class View(Struct):
    """What a model is sent, and what was repaired in it."""

    written: Written
    repairs: list[Repair]
    is_cut: bool
    """Whether older messages were left away."""


def view(messages: Sequence[Message], dialect: Dialect, most: int, *, is_rest: bool = False) -> Work[View | None]:
    """The view of messages, in order, in at most so many bytes of JSON; None where the last exchange has more.

    What is told to the model before anybody speaks stays, whatever is cut. With `is_rest`, other messages came between
    that and these, which therefore begin with a message of a user.
    """
    findings = Findings()
    parts: list[Part] = []
    for message in messages:
        yield max(_MESSAGE_SIZE, len(memoryview(message.content)))
        said = parts_of(message)
        if not said:
            findings.add(Unknown(message=message.id, seq=message.seq), "empty", whole=True)
        parts += said
    yield _MESSAGE_SIZE * len(parts)
    turns = paired(parts, findings)
    told = next((index for index, turn in enumerate(turns) if turn.role not in TOLD), len(turns))
    head, turns = turns[:told], turns[told:]
    start = 0
    if is_rest or _size(head + turns, dialect) > most:
        starts = [index for index, turn in enumerate(turns) if turn.is_question or not (index or is_rest)]
        start = _start(turns, starts, most - _size(head, dialect), dialect)
        if start == len(turns):
            return None
    is_cut = is_rest or start > 0
    written = _WRITE[dialect](head + turns[start:], findings, read)
    kept = {part.seq for turn in head for part in turn.parts}
    since = turns[start].parts[0].seq if is_cut and turns else 0
    return View(written, findings.listed(kept, since), is_cut)


def _start(turns: list[Turn], starts: list[int], budget: int, dialect: Dialect) -> int:
    """Where the newest exchanges begin that fit; the number of turns where none does."""
    kept = len(turns)
    for start in reversed(starts):
        budget -= _size(turns[start:kept], dialect)
        if budget < 0:
            break
        kept = start
    return kept


def _size(turns: list[Turn], dialect: Dialect) -> int:
    """Bytes of turns as they are written."""
    written = _WRITE[dialect](turns, Findings(), read)
    return len(msgspec.json.encode(written.messages)) + len(msgspec.json.encode(written.system))
