"""Ids: what a caller may bring, and how a new one is made.

See docs/decisions/0034-ids-of-callers.md for the reasons.
"""

import re
from collections.abc import Callable

from ulid import ULIDGenerator

from threadkeep.clock import now

NewId = Callable[[], str]

ID_CHARACTERS_MAX = 128

RESERVED_FOR_ROUTES = ("changes", "export", "messages", "restore", "search", "status")
"""The words in our paths that stand where an id could, and some that stand behind one. A test looks at the routes."""
RESERVED_FOR_VALUES = ("active", "all", "archived", "deleted", "events", "import", "latest", "new")
"""Words that stand for no single conversation or message, or may be the name of an address later."""
RESERVED = (".", "..", *RESERVED_FOR_ROUTES, *RESERVED_FOR_VALUES)
"""What is no id. The first two are steps in a path: clients and proxies take them out before they send it."""

# Python and JSON Schema read it alike: `$` alone would let a final line break pass in Python.
ID_PATTERN = rf"^(?!(?:{'|'.join(map(re.escape, RESERVED))})$)[A-Za-z0-9._:@-]{{1,{ID_CHARACTERS_MAX}}}(?!\n)$"

ID_IN_WORDS = (
    f"an id: 1 to {ID_CHARACTERS_MAX} characters, each a letter from A to Z or a to z, a digit or one of . _ : @ -, "
    "and no word that this API uses itself, such as `search`"
)
"""What belongs where something else was sent."""

_matches_id = re.compile(ID_PATTERN).match

# Draws no entropy until the first id is made: a Worker may not draw any while it is imported.
_generator = ULIDGenerator(now)


def new_id() -> str:
    """A new id, which is a ULID. Two that one process makes within a millisecond still sort in the order made."""
    return str(_generator.generate())


def is_id(text: str) -> bool:
    """Whether a text may be an id."""
    return _matches_id(text) is not None
