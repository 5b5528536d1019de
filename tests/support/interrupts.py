"""What pytest does when it is interrupted, beyond what it does by itself."""

import signal


def pytest_keyboard_interrupt() -> None:
    """Stop in peace: a second Ctrl-C, or the one that scripts/test hands on, must not cut short what fixtures stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
