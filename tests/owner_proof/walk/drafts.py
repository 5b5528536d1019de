"""The part of the walk that is about drafts. Neighbours have those of the same ids, with more parts, and keep them."""

import copy
from typing import Any
from unittest import mock

import msgspec
from msgspec import UNSET

from owner_proof.walk.branches import (
    DRAFTED,
    LINE,
    TREE,
    WHOLE,
    begin,
    delete_branch,
    read_paths,
    restore_branch,
    said,
    say,
)
from owner_proof.walk.conversations import c, delete, follow_after, follow_all, m, read_all
from owner_proof.walk.steps import Step, take
from owner_proof.walk.sweeping import Late, purge, sweep
from threadkeep.conversations.drafts import service
from threadkeep.conversations.drafts.models import DRAFT_BYTES_MAX, OPEN_MAX, DraftEnd, NewParts, Op
from threadkeep.conversations.drafts.records import DraftRecord
from threadkeep.storage.sql import drafts as sql_drafts
from threadkeep.storage.sql.conversations import SqlStore

_LONG = 2**45


def d(number: int) -> str:
    """The id of a draft, and of the message that it becomes."""
    return f"0D{number:024d}"


def start(
    number: int,
    conversation: int,
    parent: int | None = None,
    *,
    lease: int = _LONG,
    model: str = "m",
    open_max: int = OPEN_MAX,
) -> Step:
    """Start a draft behind a message of a conversation of branches, or at the leaf, if so many may be open."""
    record = DraftRecord(
        id=d(number),
        parent_id=None if parent is None else m(said(conversation, parent)),
        role="assistant",
        model=model,
        metadata=UNSET,
        digest=f"{conversation} {parent} {model}",
        lease_ms=lease,
    )

    async def step(store: SqlStore) -> Any:
        with mock.patch.object(sql_drafts, "OPEN_MAX", open_max):
            return await store.start_draft(c(conversation), record)

    return step


def block_of(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": "text", "text": text}))


def write_ops(number: int, first: int, *parts: Op, fence: int = 1, bytes_max: int = DRAFT_BYTES_MAX) -> Step:
    """Write parts of one change each, while a draft may have so many bytes."""
    new = NewParts(fence=fence, first=first, parts=[[op] for op in parts])

    async def step(store: SqlStore) -> Any:
        with mock.patch.object(sql_drafts, "DRAFT_BYTES_MAX", bytes_max):
            return await service.write_parts(store, d(number), new)

    return step


def write(number: int, first: int, *texts: str, fence: int = 1, bytes_max: int = DRAFT_BYTES_MAX) -> Step:
    """Write parts, of which the very first begins a block."""
    ops = [
        Op(block=0, set=block_of("twig")) if place == 0 else Op(block=0, append=text)
        for place, text in enumerate(texts, first)
    ]
    return write_ops(number, first, *ops, fence=fence, bytes_max=bytes_max)


def settle(number: int, state: Any = "complete", fence: int = 1, **fields: Any) -> Step:
    return lambda store: service.settle_draft(store, d(number), DraftEnd(fence=fence, state=state, **fields))


def settle_late(number: int, *steps: Step, fence: int = 1) -> Step:
    """Settle a draft, and take these steps when it is read and not yet settled."""

    async def step(store: SqlStore) -> Any:
        answers: list[Any] = []

        async def before() -> None:
            answers.append(await take(store, list(steps)))

        late = copy.copy(store)
        late._executor = Late(store._executor, before)
        return [await take(late, [settle(number, fence=fence)]), answers]

    return step


def get_draft(number: int) -> Step:
    return lambda store: store.get_draft(d(number), limit=2)


def list_drafts(conversation: int) -> Step:
    return lambda store: store.list_drafts(c(conversation))


def take_draft(number: int) -> Step:
    return lambda store: store.take_draft(d(number))


def stop_draft(number: int) -> Step:
    return lambda store: store.stop_draft(d(number))


def settle_overdue(store: SqlStore) -> Any:
    return store.settle_overdue_drafts()


# Of these, neighbours have more parts, another block, and more bytes.
_PARTS = ("", *(f"held {number}" * 20 for number in range(1, 9)))

DRAFTS: list[Step] = [
    restore_branch(LINE, 1),
    start(1, LINE),
    start(1, LINE),
    start(1, LINE, model="n"),
    start(2, LINE, 3, open_max=5),
    start(3, LINE, 7),
    start(3, LINE, 29),
    start(3, 90),
    write(1, 0, "", "1"),
    write(1, 0, "", "1", "2"),
    write(1, 1, "changed"),
    write(1, 5, "5"),
    write(1, 3, "3", fence=2),
    write(9, 0, ""),
    get_draft(1),
    get_draft(2),
    get_draft(9),
    list_drafts(LINE),
    list_drafts(90),
    *read_paths(LINE, 3),
    say(LINE, 8),
    delete_branch(LINE, 3),
    follow_all(500),
    stop_draft(2),
    take_draft(2),
    stop_draft(9),
    write(2, 0, "", fence=2),
    settle(2, fence=1),
    settle(2, fence=2),
    settle(2, fence=2),
    settle_late(1, take_draft(1)),
    settle_late(1, write(1, 3, "3", fence=2), fence=2),
    settle(9),
    # A draft of which nothing has come leaves none.
    start(4, LINE),
    settle(4, "interrupted"),
    follow_after(start(4, LINE)),
    start(6, LINE),
    settle_late(6, take_draft(6)),
    # To a block that is not there, nothing is appended.
    write_ops(6, 0, Op(block=0, append="nothing"), fence=2),
    write_ops(6, 0, Op(block=1, set=block_of("twig")), fence=2),
    # A part keeps a draft open.
    start(5, LINE, 1, lease=7),
    *[get_draft(5)] * 4,
    write(5, 0, "", bytes_max=500),
    *[get_draft(5)] * 4,
    write(5, 1, "1", bytes_max=500),
    get_draft(5),
    get_draft(5),
    stop_draft(5),
    take_draft(5),
    write(5, 2, "2", fence=2),
    *[get_draft(5)] * 9,
    write(5, 3, "3", fence=2),
    settle_overdue,
    read_all(LINE, limit=50),
    follow_all(3),
    # Too many are open, of which one is so for what was written to it.
    start(20, TREE, 1),
    start(40, TREE, 1, lease=9),
    *[list_drafts(TREE)] * 5,
    write(40, 0, ""),
    *[list_drafts(TREE)] * 5,
    start(41, TREE, 2, open_max=2),
    settle(20, "failed"),
    start(41, TREE, 2, open_max=2),
    # With a branch, none is deleted that is open in it.
    begin(DRAFTED, (1, {}), (2, {}), (3, {}), (4, {"parentId": 1}), (5, {})),
    start(50, DRAFTED, 3),
    start(51, DRAFTED, 5),
    delete_branch(DRAFTED, 2),
    delete_branch(DRAFTED, 1),
]
# What is left of them goes with their conversations, and after their time.
SWEPT: list[Step] = [
    start(7, LINE, 2),
    write(7, 0, "", "1"),
    start(10, LINE, 2),
    write(10, 0, ""),
    start(11, LINE, 2),
    start(8, WHOLE),
    write(8, 0, "", "1"),
    delete(WHOLE),
    get_draft(8),
    stop_draft(8),
    take_draft(8),
    start(9, WHOLE),
    purge(),
    settle(11),
    sweep(),
    get_draft(7),
    get_draft(8),
    purge(ago=0),
    follow_all(500),
]
DRAFTS_HELD: list[Step] = [
    *(start(number, LINE, 10 + number) for number in range(1, 9)),
    *(start(number, TREE, 11) for number in (20, 40, 41)),
    *(
        step
        for number in (*range(1, 9), 20, 40, 41)
        for step in (write(number, 0, *_PARTS), write_ops(number, 9, Op(block=1, set=block_of("held"))))
    ),
    begin(DRAFTED, (1, {}), (2, {}), (3, {}), (4, {"parentId": 2}), (5, {"parentId": 3})),
    delete_branch(DRAFTED, 4),
    delete_branch(DRAFTED, 5),
]
# Of others, that are deleted, or settled.
DRAFTS_LEFT: list[Step] = [
    start(1, LINE, 11),
    write(1, 0, *_PARTS[:3]),
    start(7, WHOLE, 11),
    write(7, 0, *_PARTS),
    start(2, LINE, 12),
    write(2, 0, *_PARTS[:2]),
    settle(2),
    start(10, WHOLE, 12),
    settle(10),
]
