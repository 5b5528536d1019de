"""How long a script waits for a database before it says so and ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from toolbox.checkout import Problem
from toolbox.codes import Code

QUESTION_SECONDS = 60
FILE_SECONDS = 3600
"""For what depends on how much there is to carry. wrangler itself gives up a single request after five minutes."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raises a Problem in what runs within, where that takes longer. For the main thread, one at a time."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise Problem(f"the database has not answered in {seconds:g} seconds: try again later", Code.NO_ANSWER)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
