"""The clock."""

import time

from threadkeep.clock import now


def test_now_is_unix_time_in_milliseconds() -> None:
    assert abs(now() - time.time() * 1000) < 1000
