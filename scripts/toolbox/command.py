"""What every script does around its work: signals, exit codes, and problems said in a line."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Never

from toolbox.checkout import Problem, say
from toolbox.processes import kill_children


def run_command(main: Callable[[], int], *, when_interrupted: int) -> Never:
    """Exits with what `main` returns, or with `when_interrupted` after Ctrl-C or SIGTERM.

    Both raise KeyboardInterrupt, once: whoever started something ends it on the way out, undisturbed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        code = exit_code(main, when_interrupted=when_interrupted)
    finally:
        kill_children()  # whatever was being started as the signal came
    sys.exit(code)


def exit_code(main: Callable[[], int], *, when_interrupted: int) -> int:
    """Runs `main`, says a problem in a line, and returns what the script exits with."""
    try:
        return main()
    except KeyboardInterrupt:
        return when_interrupted
    except Problem as problem:
        say(f"error: {problem}")
        return problem.code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
