"""Pairs calls of tools with their results, and puts what an assistant says into turns that end where results come."""

import re
from bisect import bisect_left
from collections import defaultdict

from threadkeep.conversations.context.parts import INTERRUPTED, Call, Findings, Native, Part, Result, Thinking, Turn

_PREFIX = re.compile(r"^[A-Za-z]+[_-]")


def paired(parts: list[Part], findings: Findings) -> list[Turn]:
    """The turns of a history, in which every call has its result, and no result stands alone.

    Whatever has to change for that is a finding.
    """
    turns = _turns(parts)
    calls = [part for part in parts if isinstance(part, Call)]
    found = _matched(calls, [part for part in parts if isinstance(part, Result)], findings)
    dropped = _natives_alone(parts, findings)
    for call in calls:
        results = found[call.place]
        if call.is_unfinished:
            dropped.add(call.place)
            for part in (call, *results):
                findings.add(part, "call_unfinished")
        else:
            call.result = _chosen(call, results, findings)
    for turn in turns:
        turn.parts = [part for part in turn.parts if part.place not in dropped]
    return [turn for turn in turns if turn.parts]


def _turns(parts: list[Part]) -> list[Turn]:
    """The turns without the results. Each call knows its turn, and each result behind which one it stood."""
    turns: list[Turn] = []
    before: Part | None = None
    for place, part in enumerate(parts):
        part.place = place
        if not isinstance(part, Result):
            role = "user" if part.role == "tool" else part.role  # what comes beside results, as Anthropic has it
            if isinstance(part, Call | Thinking):
                role = "assistant"  # whoever keeps it
            if not (turns and turns[-1].role == role and _goes_on(part, role, before)):
                turns.append(Turn(role, []))
            turns[-1].parts.append(part)
        if isinstance(part, Call | Result):
            part.turn = len(turns) - 1
        before = part
    return turns


def _goes_on(part: Part, role: str, before: Part | None) -> bool:
    """Whether a part belongs to the turn before it, which has the same role."""
    if isinstance(before, Result):
        return before.is_within and isinstance(part, Call) and not part.begins_step
    return role == "assistant" or (before is not None and before.seq == part.seq)


class _Calls:
    """Calls by an id of theirs, in order."""

    def __init__(self) -> None:
        self._by_key: dict[str, list[Call]] = defaultdict(list)

    def add(self, key: str, call: Call) -> None:
        """Add one. They come in order."""
        if key:
            self._by_key[key].append(call)

    def nearest(self, key: str, place: int) -> Call | None:
        """The last call before a place, or else the first after it."""
        calls = self._by_key.get(key)
        return calls[max(bisect_left(calls, place, key=lambda call: call.place) - 1, 0)] if calls else None


def _matched(calls: list[Call], results: list[Result], findings: Findings) -> dict[int, list[Result]]:
    """The results of each call, by its place. A result without a call is a finding.

    A result names its call by the id of the call, by that of its item, or by one that differs in its prefix alone, in
    this order. Calls that were cut off come after all others.
    """
    ranks = [_Calls() for _ in range(6)]
    for call in calls:
        for rank, key in enumerate((call.id, call.item_id, _without_prefix(call.id))):
            ranks[rank + (3 if call.is_unfinished else 0)].add(key, call)
    found: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        keys = (result.call_id, result.call_id, _without_prefix(result.call_id)) * 2
        nearest = [rank.nearest(key, result.place) for rank, key in zip(ranks, keys, strict=True)]
        near = [call for call in nearest if call is not None]
        if near:
            found[near[0].place].append(result)
        else:
            findings.add(result, "call_missing")
    return found


def _without_prefix(id_: str) -> str:
    """An id by which two are the same that differ in their prefix: `call_1`, `fc_1`, and `call_1|fc_1`."""
    return _PREFIX.sub("", id_.partition("|")[0])


def _chosen(call: Call, results: list[Result], findings: Findings) -> Result:
    """The result of a call: the last that is no error, or else the last; one that says so where there is none."""
    if not results:
        findings.add(call, "result_missing")
        return Result(call_id=call.id, content=INTERRUPTED, is_error=True)
    chosen = next((result for result in reversed(results) if not result.is_error), results[-1])
    for result in results:
        if result is not chosen:
            findings.add(result, "result_repeated")
    if chosen.turn != call.turn:
        findings.add(chosen, "result_moved")
    return chosen


def _natives_alone(parts: list[Part], findings: Findings) -> set[int]:
    """The places of calls and results of a provider's own tools that lack the other half.

    Anthropic has both in one message.
    """
    alone = set()
    waiting: dict[tuple[str, int], Native] = {}
    for part in parts:
        if isinstance(part, Native) and part.pair:
            key = (part.pair, part.seq if part.of == "anthropic" else 0)
            before = waiting.pop(key, None)
            if not part.is_result:
                waiting[key] = part
            elif before is None:
                alone.add(part.place)
                findings.add(part, "call_missing")
            if before is not None and not part.is_result:
                waiting[key] = part
                alone.add(before.place)
                findings.add(before, "result_missing")
    for part in waiting.values():
        alone.add(part.place)
        findings.add(part, "result_missing")
    return alone
