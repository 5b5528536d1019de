"""How much of what could be tried is tried: all of it by night, and a part of it on a push."""

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")
_PART_IN_A_WORKER = 3  # each takes ten times as long there as in this process


def examples(nightly: int, *, in_a_worker: bool = False) -> int:
    """So many by night, and as much fewer otherwise as the profile has it; in a Worker, a third of these."""
    otherwise = nightly * _percent() // 100
    return nightly if is_night() else max(1, otherwise // _PART_IN_A_WORKER if in_a_worker else otherwise)


def some(values: Iterable[T], *, in_a_worker: bool) -> list[T]:
    """All of them; in a Worker, every third on a push. It runs the same Python as whoever is asked for all of them."""
    return list(values)[:: _PART_IN_A_WORKER if in_a_worker and not is_night() else 1]


def is_night() -> bool:
    """Whether all is tried that could be."""
    return _percent() >= 100


def _percent() -> int:
    percent: int = settings.default.max_examples  # type: ignore[union-attr]
    return percent
