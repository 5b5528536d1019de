"""The server's clock and the ids made from it."""

import re
import time
from collections.abc import Callable

from ulid import ULIDGenerator

Clock = Callable[[], int]
NewId = Callable[[], str]

CLOCKS_APART_MILLISECONDS = 60_000
"""How far the clocks of servers are apart at the most. What was stamped still later was stamped by a wrong one."""

ID_PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""A ULID as we write it: 26 characters of Crockford base32, upper case. Source: the ULID specification."""

_matches_id = re.compile(ID_PATTERN[:-1]).fullmatch


def now() -> int:
    """The time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


# Draws no entropy until the first id is made: a Worker may not draw any while it is imported.
_generator = ULIDGenerator(now)


def new_id() -> str:
    """A new id. Two that one process makes within a millisecond still sort in the order they were made."""
    return str(_generator.generate())


def is_id(text: str) -> bool:
    """Whether a text has the form of an id. Lower case, white space and lookalike letters do not pass."""
    return _matches_id(text) is not None
