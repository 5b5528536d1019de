"""The server's clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]

CLOCKS_APART_MILLISECONDS = 60_000
"""How far the clocks of servers are apart at the most. What was stamped still later was stamped by a wrong one."""


def now() -> int:
    """The time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
