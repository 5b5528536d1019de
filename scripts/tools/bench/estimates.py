"""Estimates medians and ratios from samples, with confidence intervals."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

_CONFIDENCE = 0.93


class Estimate(NamedTuple):
    """A median over rounds, and the interval that holds the true one with a probability of at least 93 %."""

    median: float
    low: float
    high: float

    def rounded(self) -> dict[str, float]:
        """As it is written down."""
        return {name: float(f"{value:.4g}") for name, value in self._asdict().items()}


def estimate(values: Sequence[float]) -> Estimate:
    """The median of some values. Its interval is between two of them, so that it assumes no distribution.

    Of n values, the median of all that there could be is below the k-th smallest with the probability that at most
    k - 1 of n tosses of a coin come up heads; and so on the other side. Of five, the smallest and the largest hold it
    with 94 %.
    """
    ordered = sorted(values)
    left_out = 0
    while 2 * (left_out + 1) < len(ordered) and _within(len(ordered), left_out + 1) >= _CONFIDENCE:
        left_out += 1
    return Estimate(statistics.median(ordered), ordered[left_out], ordered[-1 - left_out])


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """The ratio of two contestants: that of each round, since both ran next to each other in it."""
    return estimate([one / other for one, other in zip(numerators, denominators, strict=True)])


def _within(count: int, left_out: int) -> float:
    """How probable it is that the true median is within what is left when so many are left out on either side."""
    outside = sum(math.comb(count, heads) for heads in range(left_out + 1))
    return 1 - 2 * float(outside) / float(2**count)
