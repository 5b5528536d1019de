"""A draft that is written as one stream of lines. Each part that is kept has what came since the one before."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from msgspec import UNSET, Struct

from threadkeep.conversations.drafts.models import DraftEnd, NewParts, Op, Ops, PartsWritten, StreamEnd
from threadkeep.conversations.drafts.service import settle_draft, write_parts
from threadkeep.conversations.drafts.store import DraftStore, part_gap
from threadkeep.conversations.export_v1 import DOCUMENT_BYTES_MAX, lines
from threadkeep.conversations.models import Appended
from threadkeep.errors import Invalid, ThreadkeepError, TooLarge
from threadkeep.validation import BODY, checking, parse, parse_one_of
from threadkeep.work import done

FLUSH_BYTES = 8_000
"""What has come is kept when it is as much as this, however short the time."""

_place_of_op = re.compile(r"parts\[0\]\[([0-9]+)\]").match


class Pace(Struct):
    """How often what has come is kept: the first line at once, and what comes after it after so many seconds."""

    seconds: float
    growth: float = 1.0
    """By how much the time from one part to the next grows, where a request may ask the database only so often."""


LIVELY = Pace(0.25)
SPARING = Pace(1.0, 1.1)
"""For a request of 12 minutes, this makes 45 parts."""


class _Batch(Struct):
    """What has come."""

    ops: Ops = []
    lines: int = 0
    size: int = 0

    def add(self, ops: Ops, size: int) -> None:
        """Put changes behind others. What is appended to the same block as before goes with that."""
        self.lines, self.size = self.lines + 1, self.size + size
        for op in ops:
            before = _appended_by(self.ops[-1]) if self.ops else None
            text = _appended_by(op)
            if before is not None and text is not None and self.ops[-1].block == op.block:
                self.ops[-1] = Op(block=op.block, append=before + text)
            else:
                self.ops.append(op)


def _appended_by(op: Op) -> str | None:
    """What a change appends, if it does nothing else."""
    return op.append if isinstance(op.append, str) and op.set is UNSET and op.event is UNSET else None


async def receive(
    store: DraftStore,
    draft_id: str,
    pieces: AsyncIterator[bytes],
    *,
    fence: int,
    first: int | None,
    pace: Pace,
    kept: Callable[[], None],
) -> tuple[PartsWritten | Appended | None, bool]:
    """Write a draft as its lines come, and settle it with the last one, if that says so.

    `kept` is called for each part. Where somebody has asked to stop, the draft is interrupted with what came. Answers
    as `settle_draft` does, or as `write_parts` where the lines end before. Raises as both do, and keeps what came
    before whatever is wrong.
    """
    written = await write_parts(store, draft_id, NewParts(fence=fence, first=first or 0, parts=[]))
    if first not in (None, written.next):
        raise part_gap(first or 0, written.next)
    async with aclosing(_batches(lines(pieces), pace)) as batches:
        async for batch, end in batches:
            if batch.lines:
                written = await _write(store, draft_id, fence, written.next, batch.ops)
                kept()
            if end is not None:
                fields = {name: getattr(end, name) for name in StreamEnd.__struct_fields__ if name != "settle"}
                return await settle_draft(store, draft_id, DraftEnd(fence=fence, state=end.settle, **fields))
            if written.stop:
                return await settle_draft(store, draft_id, DraftEnd(fence=fence, state="interrupted"))
    return written, False


async def _write(store: DraftStore, draft_id: str, fence: int, first: int, ops: Ops) -> PartsWritten:
    """Write a part. Where one of its changes is wrong, those before it are written. Raises Invalid for that one."""
    try:
        return await write_parts(store, draft_id, NewParts(fence=fence, first=first, parts=[ops]))
    except Invalid as error:
        place = _place_of_op(error.path)
        if place is not None and int(place[1]):
            await write_parts(store, draft_id, NewParts(fence=fence, first=first, parts=[ops[: int(place[1])]]))
        raise Invalid(f"lines: {error.message.removeprefix(f'{error.path}: ')}", "lines") from error


async def _batches(
    entries: AsyncIterator[bytes | ThreadkeepError], pace: Pace
) -> AsyncGenerator[tuple[_Batch, StreamEnd | None]]:
    """What has come of lines, each time that it is to be kept, and how the draft is to end. Raises as `_read` does."""
    import asyncio

    loop = asyncio.get_running_loop()
    batch, number, due, factor = _Batch(), 0, loop.time(), 1.0
    coming: asyncio.Task[Any] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(entries, None))
            await asyncio.wait((coming,), timeout=max(0.0, due - loop.time()) if batch.lines else None)
            if coming.done():
                number += 1
                try:
                    entry, coming = coming.result(), None
                    line = None if entry is None else await _read(entry, number)
                except BaseException:  # that the connection was cut is one of these
                    yield batch, None
                    raise
                if line is None or isinstance(line, StreamEnd):
                    yield batch, line
                    return
                batch.add(line, len(entry))
            if batch.lines and (loop.time() >= due or batch.size >= FLUSH_BYTES * factor):
                yield batch, None
                batch, due, factor = _Batch(), loop.time() + pace.seconds * factor, factor * pace.growth
    finally:
        if coming is not None:
            coming.cancel()


async def _read(line: bytes | ThreadkeepError, number: int) -> Ops | StreamEnd:
    """A line: a change, an array of them, or the end. Raises Invalid with its number, and TooLarge."""
    place = f"lines[{number - 1}]"
    if isinstance(line, ThreadkeepError):
        raise TooLarge(f"{place}: A line may have {DOCUMENT_BYTES_MAX} bytes, and this one has more.", {"path": place})
    try:
        await done(checking(line))
        if line.lstrip()[:1] == b"[":
            return parse(line, Ops)
        found: Op | StreamEnd = parse_one_of(line, Op, StreamEnd)
    except Invalid as error:
        path = place if error.path == BODY else f"{place}.{error.path}"
        raise Invalid(f"{path}: {error.message.removeprefix(f'{error.path}: ')}", path) from error
    return found if isinstance(found, StreamEnd) else [found]
