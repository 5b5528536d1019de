"""The names of the last writes of a journal, by which they are known if they are sent again.

They are kept as one text, the newest first, each after a number: `17=name 15=other `. Of a claim that is its epoch, of
any other write the `seq` that its first entry got. What does not fit is forgotten, the oldest first.
"""

import re

NAMES_CHARACTERS_MAX = 700
"""Eight of the longest names fit, and some twenty of those that are made here."""


def remembered(names: str, request: str, number: int) -> str:
    """The names, with one more."""
    return f"{number}={request} {names}"[:NAMES_CHARACTERS_MAX]


def number_of(names: str, request: str) -> int | None:
    """The number of a name, which is that of its last write; None where it is not among these."""
    found = re.search(rf"(?:^| )(\d+)={re.escape(request)} ", names)
    return None if found is None else int(found[1])
