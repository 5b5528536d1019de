"""What every kind of agents' state has in common over SQL: what statements are given, and large values in pieces."""

from collections.abc import Iterator
from typing import Any

from threadkeep.agents.values import PIECE_BYTES_MAX
from threadkeep.storage.sql.base import SqlOfUser


class SqlState(SqlOfUser):
    """The state of one user's agents over an executor, whatever kind it is."""

    def _values_of(self, **values: Any) -> dict[str, Any]:
        """What every statement is given, and these. No other batch has the same `stamp`."""
        return {"user": self._user_id, "now": self._clock(), "stamp": self._new_id(), **values}


def pieces_of(data: bytes) -> Iterator[str]:
    """Parts of a text in UTF-8, each small enough to be kept, cut between characters."""
    start = 0
    while start < len(data):
        end = min(start + PIECE_BYTES_MAX, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end].decode()
        start = end
