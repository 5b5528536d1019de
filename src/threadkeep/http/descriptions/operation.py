"""What is said of an operation beyond its types."""

from typing import Any

from msgspec import UNSET, Struct


class Operation(Struct, kw_only=True):
    """What is said of an operation, by the name of its handler."""

    tag: str
    answers: dict[int, str]
    """What is in the answer, by status."""
    name: str | None = None
    """The name of the write of its example, by which ids are made that the examples after it have."""
    query: str = ""
    """The query of its example."""
    request: Any = UNSET
    """The body of its example."""
    response: Any = UNSET
    """The answer to that: its JSON, or its text where it is not JSON."""


AGENT_STATE = "Agent state"
"""The tag of all that agents keep."""
