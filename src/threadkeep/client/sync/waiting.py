"""How the client that blocks waits: what `waiting.py` is to the one that does not."""

import time
from contextlib import AbstractContextManager, nullcontext

sleep = time.sleep


def shielded(seconds: float) -> AbstractContextManager[object]:
    """Nobody cancels what blocks. The timeouts of the requests end it."""
    return nullcontext()
