"""What every store of a user has in common over SQL: whose it is, and how values go in and come out."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from threadkeep.clock import CLOCKS_APART_MILLISECONDS, Clock, now
from threadkeep.conversations.content import merged_metadata
from threadkeep.conversations.models import INTEGER_MAX
from threadkeep.ids import NewId, new_id
from threadkeep.storage.sql.executor import Executor, ReadsFirst, Row, Statement

T = TypeVar("T")

BEYOND = INTEGER_MAX - 1
"""Beyond every time, seq and version there can be, and still an integer that D1 lets through."""


class SqlOfUser:
    """What one user has, over an executor."""

    def __init__(self, executor: Executor, user_id: str, clock: Clock = now, new_id: NewId = new_id) -> None:
        self._executor = executor
        self._sql = executor.statements
        self._user_id = user_id
        self._clock = clock
        self._new_id = new_id

    @property
    def bookmark(self) -> str | None:
        return self._executor.bookmark

    async def _run_merging(
        self, metadata: Statement, patch: Raw | None, writes: Callable[[Raw], list[Statement]]
    ) -> list[list[Row]]:
        """Run statements that merge a patch, if there is one, into the metadata that another reads.

        `writes` is given the patch, or the result where the database does not merge. Where there is nothing to merge
        into, nothing may be run, and the list is empty.
        """
        if patch is None or self._sql.dialect.merges_metadata:
            return await self._executor.run(*writes(patch or Raw(b"{}")))
        assert isinstance(self._executor, ReadsFirst)  # noqa: S101 see the dialect

        def merged(rows: list[Row]) -> list[Statement]:
            before = Raw((rows[0]["answer"] or "null").encode())
            return writes(merged_metadata(before, patch))

        return await self._executor.run_on(metadata, merged)


def times_of_edit(edited_at: int | None, time: int, *, wins: bool) -> dict[str, int]:
    """What decides which fields an edit applies to; `wins` where that is all of them. See `statements/writing.py`."""
    at = time if edited_at is None else min(edited_at, time)
    return {
        "edited_at": at,
        # By arrival it wins whatever the clocks say that others were edited by.
        "loses_from": BEYOND if wins or edited_at is None else at + 1,
        "loses_until": time + CLOCKS_APART_MILLISECONDS,
    }


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
