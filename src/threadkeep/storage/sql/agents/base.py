"""What every kind of agents' state has in common over SQL: whose it is, large values in pieces, and answers."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from threadkeep.agents.values import PIECE_BYTES_MAX
from threadkeep.clock import Clock, now
from threadkeep.conversations.models import INTEGER_MAX
from threadkeep.ids import NewId, new_id
from threadkeep.storage.sql.executor import Executor, Row

T = TypeVar("T")

BEYOND = INTEGER_MAX - 1
"""Beyond every seq and version there can be, and still an integer that D1 lets through."""


class SqlState:
    """The state of one user's agents over an executor, whatever kind it is."""

    def __init__(self, executor: Executor, user_id: str, clock: Clock = now, new_id: NewId = new_id) -> None:
        self._executor = executor
        self._sql = executor.statements
        self._user_id = user_id
        self._clock = clock
        self._new_id = new_id

    @property
    def bookmark(self) -> str | None:
        return self._executor.bookmark

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


def bounded(value: int | None) -> int | None:
    """A number of a client, which no seq and no version is beyond."""
    return None if value is None else min(value, BEYOND)


def text_of_json(raw: Raw) -> str:
    """JSON as text, as it is bound."""
    return bytes(raw).decode()


def as_json(value: Any) -> str:
    """A value as the text of its JSON."""
    return msgspec.json.encode(value).decode()


def decode_answer(rows: list[Row], into: type[T]) -> T:
    """The one answer of a statement."""
    return msgspec.json.decode(rows[0]["answer"], type=into)
