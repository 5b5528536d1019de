"""How the client waits. `sync/waiting.py` is the same for the one that blocks."""

from contextlib import AbstractContextManager

import anyio

sleep = anyio.sleep


def shielded(seconds: float) -> AbstractContextManager[object]:
    """Let what is asked within it come to an end although the task is being cancelled, but for no longer than this."""
    return anyio.move_on_after(seconds, shield=True)
