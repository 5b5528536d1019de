"""Arrays: how rows are handed to a database, as JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from threadkeep.conversations.models import VALUE_BYTES_MAX


def arrays(values: Iterable[Any]) -> Iterator[str]:
    """JSON arrays of these values in order: as many as it takes to keep each small enough to cross."""
    part: list[bytes] = []
    size = 2
    for value in values:
        document = msgspec.json.encode(value)
        if part and size + len(document) + 1 > VALUE_BYTES_MAX:
            yield f"[{b','.join(part).decode()}]"
            part, size = [], 2
        part.append(document)
        size += len(document) + 1
    if part:
        yield f"[{b','.join(part).decode()}]"
