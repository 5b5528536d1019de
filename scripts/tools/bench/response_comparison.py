"""Compares the responses of the contestants. Only the same work is measured."""

from collections.abc import Sequence
from typing import Any

from tools.bench.contestants import Contestant
from tools.bench.http_client import Response, send_request
from tools.bench.operations import Operation, Target
from tools.checkout import Problem

_TIMES = ("createdAt", "updatedAt", "exportedAt")
_PLACES = (0, 1, 7)
_TOLERANCE_MILLISECONDS = 600_000


def compare(contestants: Sequence[Contestant], operation: Operation, target: Target, seed: str) -> None:
    """Sends some requests of an operation to each. Raises a Problem where one fails or answers otherwise."""
    requests = operation.requests(target, f"compare {seed}", 1 if operation.is_slow else max(_PLACES) + 1)
    for request in [requests[place] for place in _PLACES if place < len(requests)]:
        answers = [send_request(contestant.worker.url, request) for contestant in contestants]
        for contestant, answer in zip(contestants, answers, strict=True):
            if not 200 <= answer.status < 300:
                raise Problem(f"{contestant} answers {answer.status} to {operation.title}: {answer.body[:300]!r}")
            difference = differs(answers[0], answer)
            if difference is not None:
                raise Problem(f"{contestant} answers {operation.title} as {contestants[0]} does not: {difference}")


def differs(one: Response, other: Response) -> str | None:
    """Where two answers differ, but for times of just now; None where they do not."""
    if one.status != other.status:
        return f"status {one.status} and {other.status}"
    types = [answer.headers.get("content-type", "").partition(";")[0] for answer in (one, other)]
    if types[0] != types[1]:
        return f"content-type {types[0]} and {types[1]}"
    return _first_difference(one.json(), other.json(), "$")


def _first_difference(one: Any, other: Any, path: str) -> str | None:
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return f"the keys of {path}: {list(one)} and {list(other)}"
        found = (_first_difference(one[name], other[name], f"{path}.{name}") for name in one)
        return next((difference for difference in found if difference is not None), None)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        places = (
            _first_difference(*pair, f"{path}[{place}]") for place, pair in enumerate(zip(one, other, strict=True))
        )
        return next((difference for difference in places if difference is not None), None)
    if type(one) is type(other) and (one == other or _are_both_now(one, other, path)):
        return None
    return f"{path}: {str(one)[:200]} and {str(other)[:200]}"


def _are_both_now(one: Any, other: Any, path: str) -> bool:
    """Whether these are times of the same few minutes."""
    if not path.endswith(_TIMES):
        return False
    if isinstance(one, str):
        return len(one) == len(other)
    return isinstance(one, int) and abs(one - other) < _TOLERANCE_MILLISECONDS
