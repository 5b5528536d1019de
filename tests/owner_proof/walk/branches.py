"""The part of the walk that is about branches.

What a path is made of is looked up by `seq`, and often it is the last row before a place that counts. So neighbours
have forks and deleted branches at every place of the conversations that the user walks, and the same messages
elsewhere.
"""

import copy
from collections.abc import Iterable
from typing import Any

from owner_proof.walk.conversations import (
    c,
    count_to,
    delete,
    follow_after,
    follow_all,
    fork,
    m,
    read_all,
    restore,
    search_all,
    take_in,
    update_message,
)
from owner_proof.walk.indexing import LINKED_AT, index_before
from owner_proof.walk.steps import Step, take
from owner_proof.walk.sweeping import Late, purge, sweep, sweep_anything
from support.records import conversation, message_records, new_message
from threadkeep.storage.sql.conversations import SqlStore

TREE, LINE, WHOLE, SHORT = 30, 31, 32, 33
"""Conversations: of branches, without any, created with branches at once, and one that is short for some."""
FORKED = 34
"""And made of a path of another."""
DRAFTED = 38
"""With drafts on branches."""
_FIRST = 300
_UNKNOWN = 29
"""A message that neighbours have, and the user has not."""

# Where the user's counter stands, and that of another.
CUT_AT, FORKED_AT, IMPORTED_AT = 50, 105, 115
# The number of a message of a conversation, and what it says of what it follows.
_Said = tuple[int, dict[str, Any]]


def said(conversation_number: int, number: int) -> int:
    """The number of a message of a conversation, from 1 on."""
    return _FIRST + 50 * (conversation_number - TREE) + number - 1


def _message(conversation_number: int, number: int, **where: Any) -> Any:
    named = {
        name: m(said(conversation_number, value)) if name in ("parentId", "siblingOf") else value
        for name, value in where.items()
    }
    words = "twig" if number % 2 else "twig leaf"
    return new_message(f"{words} {number}", id=m(said(conversation_number, number)), **named)


def say(conversation_number: int, number: int, *, expected_leaf: int | None = None, **where: Any) -> Step:
    """Append a message, which may say by the number of another what it follows."""
    records = message_records([_message(conversation_number, number, **where)])
    leaf_id = None if expected_leaf is None else m(said(conversation_number, expected_leaf))
    return lambda store: store.append_messages(c(conversation_number), records, expected_leaf_id=leaf_id)


def say_all(conversation_number: int, *messages: _Said) -> Step:
    """Append several messages at once."""
    records = message_records([_message(conversation_number, number, **where) for number, where in messages])
    return lambda store: store.append_messages(c(conversation_number), records)


def begin(conversation_number: int, *messages: _Said, **fields: Any) -> Step:
    """Create a conversation of messages, each of which may say what it follows."""
    sent = [_message(conversation_number, number, **where) for number, where in messages]
    return lambda store: store.create_conversation(conversation(*sent, id=c(conversation_number), **fields))


def list_branches(conversation_number: int, number: int) -> Step:
    return lambda store: store.list_branches(c(conversation_number), m(said(conversation_number, number)))


def select_leaf(conversation_number: int, number: int, *, expected: int | None = None, **options: Any) -> Step:
    leaf_id = None if expected is None else m(said(conversation_number, expected))
    return lambda store: store.select_leaf(
        c(conversation_number), m(said(conversation_number, number)), expected_leaf_id=leaf_id, **options
    )


def delete_branch(conversation_number: int, number: int) -> Step:
    return lambda store: store.delete_branch(c(conversation_number), m(said(conversation_number, number)))


def restore_branch(conversation_number: int, number: int) -> Step:
    return lambda store: store.restore_branch(c(conversation_number), m(said(conversation_number, number)))


def get_message(conversation_number: int, number: int) -> Step:
    return lambda store: store.get_message(c(conversation_number), m(said(conversation_number, number)))


def read_paths(number: int, *named: int) -> list[Step]:
    """Read pages of a conversation in every way, and of the paths to these messages."""
    ids = [m(said(number, one)) for one in named]
    return [
        read_all(number, limit=50),
        read_all(number, limit=2),
        read_all(number, limit=50, branch="active", after=0),
        read_all(number, limit=1, branch="active", after=1),
        read_all(number, limit=2, branch="all"),
        read_all(number, limit=2, after=0),
        *(read_all(number, limit=limit, branch=id_) for id_ in ids for limit in (2, 50)),
        *(read_all(number, limit=2, branch=id_, after=0) for id_ in ids),
        *(read_all(number, limit=2, cursor=id_) for id_ in ids),
        *(read_all(number, limit=2, branch="all", cursor=id_) for id_ in ids),
        read_all(number, limit=2, branch=m(said(number, _UNKNOWN))),
        read_all(number, limit=2, cursor=m(said(number, _UNKNOWN))),
    ]


def search_paths(text: str, number: int) -> list[Step]:
    """Search everywhere, in a conversation, and on active paths."""
    return [
        search_all(text),
        search_all(text, limit=2, conversation_id=c(number)),
        search_all(text, limit=2, only_active=True),
        search_all(text, conversation_id=c(number), only_active=True, role="user"),
        search_all(text, conversation_id=c(90)),
        search_all(text, conversation_id=c(90), only_active=True),
    ]


# 1 ── 2 ┬─ 3                    13 ── 14 ┬─ 15
#        ├─ 4 ── 5 ── 10                  ├─ 16 ── 17
#        ├─ 6                             └─ 18 ── 19
#        └─ 11 ── 12
# 7 ── 8 ── 13
# 9
GROWING: list[Step] = [
    begin(TREE, (1, {}), (2, {}), (3, {}), title="Twigs"),
    say(TREE, 4, siblingOf=3),
    say(TREE, 5, expected_leaf=4),
    say(TREE, 6, parentId=2),
    say(TREE, 7, isRoot=True),
    say(TREE, 8, expected_leaf=6),
    say(TREE, 8),
    say(TREE, 9, siblingOf=1),
    say(TREE, _UNKNOWN, siblingOf=28),
    say(TREE, _UNKNOWN, parentId=28),
    say_all(TREE, (20, {"parentId": 1}), (21, {"parentId": 20}), (28, {"parentId": _UNKNOWN})),
    begin(LINE, *((number, {}) for number in range(1, 6)), (6, {"parentId": 5})),
    begin(WHOLE, (1, {}), (2, {}), (3, {"parentId": 1}), (4, {"siblingOf": 1}), (5, {"isRoot": True})),
    begin(SHORT, (1, {"parentId": _UNKNOWN})),
    begin(SHORT, *((number, {}) for number in range(1, 5))),
    say(SHORT, 5),
]
READING: list[Step] = [
    *read_paths(TREE, 1, 5, 6, 8),
    *read_paths(LINE, 1, 4),
    *read_paths(WHOLE, 3),
    *(list_branches(TREE, number) for number in (1, 2, 4, 7, 8, _UNKNOWN)),
    list_branches(LINE, 1),
    list_branches(LINE, 3),
    list_branches(90, 1),
]
CHOOSING: list[Step] = [
    select_leaf(TREE, 2),
    select_leaf(TREE, 4),
    say(TREE, 10),
    select_leaf(TREE, 2, descend=False),
    say(TREE, 11, expected_leaf=2),
    say(TREE, 12),
    say_all(TREE, (13, {"parentId": 8}), (14, {}), (15, {}), (16, {"siblingOf": 15}), (17, {}), (18, {"parentId": 14})),
    say(TREE, 19),
    list_branches(TREE, 1),
    list_branches(TREE, 15),
    select_leaf(TREE, 1, expected=19),
    select_leaf(TREE, 7),
    select_leaf(TREE, 4, expected=19),
    select_leaf(TREE, 4, expected=1),
    select_leaf(TREE, _UNKNOWN),
    select_leaf(TREE, 3, expected=_UNKNOWN),
    select_leaf(90, 1),
    select_leaf(LINE, 3, descend=False),
    *read_paths(TREE, 10, 19),
    *search_paths("twig", TREE),
    *search_paths("leaf", LINE),
    select_leaf(LINE, 3),
    *search_paths("leaf", LINE),
]


def cut_and_restore(first: int) -> list[Step]:
    """Delete and restore branches of six messages, of which the first two have those behind them as children."""
    second, fourth, fifth, sixth = (first + further for further in (1, 3, 4, 5))
    return [
        # What follows the one before it, and then what does not.
        select_leaf(TREE, fifth, descend=False),
        delete_branch(TREE, fifth),
        follow_after(restore_branch(TREE, fifth)),
        select_leaf(TREE, fifth),
        delete_branch(TREE, fourth),
        delete_branch(TREE, sixth),
        follow_after(restore_branch(TREE, sixth)),
        follow_after(restore_branch(TREE, fourth)),
        # To what is deleted as well, nothing is restored.
        delete_branch(TREE, fifth),
        delete_branch(TREE, fourth),
        restore_branch(TREE, fifth),
        follow_after(restore_branch(TREE, fourth)),
        restore_branch(TREE, fifth),
        delete_branch(TREE, sixth),
        delete_branch(TREE, second),
        restore_branch(TREE, sixth),
        follow_after(restore_branch(TREE, second)),
        restore_branch(TREE, sixth),
        # The active path goes on into what is restored.
        select_leaf(TREE, second, descend=False),
        delete_branch(TREE, sixth),
        follow_after(restore_branch(TREE, sixth)),
    ]


def fork_late(number: int, to: int, *steps: Step) -> Step:
    """Fork the path to a message of `TREE`, and take these steps when it is read and not yet copied."""

    async def step(store: SqlStore) -> Any:
        answers: list[Any] = []

        async def before() -> None:
            answers.append(await take(store, list(steps)))

        late = copy.copy(store)
        late._executor = Late(store._executor, before)
        return [await take(late, [fork(TREE, said(TREE, number), to)]), answers]

    return step


CUTTING: list[Step] = [
    count_to(CUT_AT, SHORT),
    delete_branch(TREE, 3),
    *cut_and_restore(13),
    restore_branch(TREE, 3),
    *cut_and_restore(1),
    delete_branch(TREE, 4),
    *read_paths(TREE, 5, 6),
    list_branches(TREE, 3),
    list_branches(TREE, 4),
    get_message(TREE, 4),
    get_message(TREE, 5),
    get_message(TREE, 6),
    update_message(TREE, said(TREE, 5), metadata={"cut": 1}),
    update_message(TREE, said(TREE, 6), metadata={"kept": 1}),
    say(TREE, 20, parentId=5),
    say(TREE, 20, siblingOf=5),
    say(TREE, 20, parentId=8),
    select_leaf(TREE, 5),
    fork(TREE, said(TREE, 5), FORKED),
    fork(TREE, said(TREE, _UNKNOWN), FORKED),
    fork(90, said(TREE, 1), FORKED),
    count_to(FORKED_AT, SHORT),
    fork(TREE, said(TREE, 11), FORKED, title="Mine, forked"),
    fork(TREE, said(TREE, 11), FORKED, title="Mine, forked"),
    fork_late(12, FORKED + 3, delete(TREE)),
    restore(TREE),
    fork_late(12, FORKED + 3, delete_branch(TREE, 12)),
    restore_branch(TREE, 12),
    count_to(IMPORTED_AT, SHORT),
    take_in(39, title="twig imported"),
    fork(TREE, said(TREE, 10), FORKED),
    fork(TREE, None, FORKED + 1),
    read_all(FORKED, limit=2),
    *search_paths("twig", TREE),
    delete_branch(TREE, 5),
    delete_branch(TREE, 7),
    delete_branch(TREE, _UNKNOWN),
    delete_branch(90, 1),
    follow_all(3),
    follow_all(500),
    restore_branch(TREE, 3),
    restore_branch(TREE, _UNKNOWN),
    restore_branch(90, 1),
    delete_branch(LINE, 5),
    say(LINE, 7),
    delete_branch(LINE, 7),
    *read_paths(LINE, 4),
    follow_after(restore_branch(LINE, 5)),
    *(delete_branch(WHOLE, number) for number in (3, 1, 4, 5)),
    read_all(WHOLE, limit=2),
    say(WHOLE, 6),
    read_all(WHOLE, limit=2),
    # Where the conversation is deleted, nothing of it is.
    delete_branch(SHORT, 5),
    delete_branch(SHORT, 4),
    delete(SHORT),
    list_branches(SHORT, 3),
    select_leaf(SHORT, 2),
    delete_branch(SHORT, 3),
    restore_branch(SHORT, 4),
    fork(SHORT, said(SHORT, 3), FORKED + 2),
    restore(SHORT),
    restore_branch(SHORT, 4),
    follow_all(4),
    *read_paths(TREE, 10),
    *search_paths("twig", TREE),
]
BRANCHES: list[Step] = [*GROWING, *READING, *CHOOSING, *CUTTING]

# What is deleted goes for good, in parts.
SWEEPING: list[Step] = [
    purge(),
    restore_branch(TREE, 4),
    sweep(1, messages=2),
    index_before(SHORT),
    *read_paths(TREE, 6),
    follow_all(500),
    sweep_anything,
    sweep(1, messages=1),
    say(LINE, 8),
    sweep(),
    say(SHORT, 6),
    read_all(SHORT, limit=50),
    delete_branch(LINE, 6),
    purge(ago=9),
    follow_all(500),
]

BRANCHED = (TREE, LINE, WHOLE)
"""Conversations that are deleted where all is."""


def _roots(conversation_number: int, numbers: Iterable[int], *, counts: bool = False) -> list[Step]:
    """Messages of which each is a root, and which are deleted one after the other; some when the user's are."""
    numbers = list(numbers)
    return [
        begin(conversation_number, *((number, {"isRoot": True}) for number in numbers)),
        *(count_to(CUT_AT, conversation_number) for _ in range(counts)),
        # One of those in the middle comes first, so that what the user then deletes may be before it, or behind.
        *(delete_branch(conversation_number, number) for number in (*numbers[11:12], *numbers[:11], *numbers[12:])),
    ]


# At every place there is a fork, and a deletion, each of another `rev`.
ROOTS: list[Step] = [
    *_roots(TREE, (*range(10, 41), *range(1, 10)), counts=True),
    *_roots(LINE, (*range(8, 0, -1), _UNKNOWN)),
    *_roots(WHOLE, (*range(8, 0, -1), _UNKNOWN)),
    begin(SHORT, (1, {})),
    begin(FORKED, (1, {})),
    begin(DRAFTED, (1, {})),
    count_to(LINKED_AT, SHORT),
    say_all(SHORT, (8, {}), (9, {"parentId": 1})),
]
# To each message, there is one that follows it beside the next one. Of a branch that was deleted, nothing is left.
_TEETH: list[_Said] = [
    *((number, {}) for number in range(11, 22)),
    *((number, {"parentId": number + 10}) for number in range(1, 11)),
]
COMBS: list[Step] = [
    *(step for number in BRANCHED for step in (begin(number, *_TEETH), select_leaf(number, 3))),
    begin(SHORT, *((number, {}) for number in range(1, 5))),
    select_leaf(SHORT, 1, descend=False),
    delete_branch(WHOLE, 5),
    purge(),
    sweep(),
    count_to(FORKED_AT, SHORT),
]
# All follow the first, and go with it.
BUSHES: list[Step] = [
    *(
        step
        for number in BRANCHED
        for step in (
            begin(number, (5, {}), *((each, {"parentId": 5}) for each in range(1, 20) if each != 5)),
            delete_branch(number, 5),
        )
    ),
    begin(SHORT, (1, {})),
    count_to(IMPORTED_AT, SHORT),
]
# Of what is deleted, and purged by some.
WITHERED: list[Step] = [
    *(begin(number, *_TEETH) for number in BRANCHED),
    begin(SHORT, *((number, {}) for number in range(1, 8))),
    begin(FORKED, (1, {}), (2, {})),
    delete_branch(TREE, 3),
    delete_branch(SHORT, 3),
]
