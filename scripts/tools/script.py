"""Runs the main function of a script: with signals, exit codes, and problems told in a line."""

import codecs
import locale
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Never

from tools.checkout import Problem, say
from tools.local.processes import kill_children


def run_script(main: Callable[[], int], *, when_interrupted: int) -> Never:
    """Exits with what `main` returns, or with `when_interrupted` after Ctrl-C or SIGTERM.

    Both raise KeyboardInterrupt, once: whoever started something ends it on the way out, undisturbed.
    """
    _speak_utf_8()
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


def _speak_utf_8() -> None:
    """Begins again in Python's UTF-8 mode where the locale is of another encoding: our files and lines are in UTF-8."""
    if codecs.lookup(locale.getencoding()).name == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"  # for whatever is started, too
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
