"""Shows the progress of a run: a bar in a terminal, elsewhere a line now and then."""

import sys
import time

_WIDTH = 30
_LINE_SECONDS = 30


class Progress:
    """Counts steps towards a number that may grow."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._began = time.monotonic()
        self._said = 0.0
        self._shows_bar = sys.stderr.isatty()

    def expect(self, steps: int) -> None:
        """There is more to do than was known."""
        self._total += steps

    def step(self, what: str) -> None:
        """One more is done, and `what` is next or just was."""
        self._done += 1
        share = self._done / max(self._total, self._done)
        seconds = time.monotonic() - self._began
        text = f"{share:4.0%}  {self._done}/{self._total}  {seconds:4.0f} s  {what}"
        if self._shows_bar:
            full = round(_WIDTH * share)
            sys.stderr.write(f"\r\x1b[K[{'#' * full}{'.' * (_WIDTH - full)}] {text}")
            sys.stderr.flush()
        elif seconds - self._said >= _LINE_SECONDS or self._done == self._total:
            self._said = seconds
            print(text, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Leaves the line."""
        if self._shows_bar and self._done:
            sys.stderr.write("\n")
