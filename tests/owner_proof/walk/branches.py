"""The part of the walk that is about branches.

What a path is made of is looked up by `seq`, and often it is the last row before a place that counts. So neighbours
have forks and deleted branches at every place of the conversations that the user walks, and the same messages at others.
"""

from typing import Any

from owner_proof.walk.conversations import (
    c,
    create,
    delete,
    follow_after,
    follow_all,
    get,
    m,
    read_all,
    restore,
    search_all,
    update_message,
)
from owner_proof.walk.steps import Step
from support.records import conversation, message_records, new_message

TREE, LINE, WHOLE = 30, 31, 32
"""Conversations: of branches, without any, and created with branches at once."""
_FIRST = 300
_COUNT = 30
"""So many messages neighbours have in each, more than the user."""


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


def say_all(conversation_number: int, *messages: tuple[int, dict[str, Any]]) -> Step:
    """Append several messages at once."""
    records = message_records([_message(conversation_number, number, **where) for number, where in messages])
    return lambda store: store.append_messages(c(conversation_number), records)


def begin(conversation_number: int, *messages: tuple[int, dict[str, Any]], **fields: Any) -> Step:
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
        read_all(number, limit=2, branch="active", after=0),
        read_all(number, limit=1, branch="active", after=1),
        read_all(number, limit=2, branch="all"),
        read_all(number, limit=2, after=0),
        *(read_all(number, limit=limit, branch=id_) for id_ in ids for limit in (2, 50)),
        *(read_all(number, limit=2, branch=id_, after=0) for id_ in ids),
        *(read_all(number, limit=2, cursor=id_) for id_ in ids),
        *(read_all(number, limit=2, branch="all", cursor=id_) for id_ in ids),
        read_all(number, limit=2, branch=m(said(number, 29))),
        read_all(number, limit=2, cursor=m(said(number, 29))),
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


# 1 ── 2 ┬─ 3
#        ├─ 4 ── 5 ── 10
#        └─ 6
# 7 ── 8
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
    say(TREE, 29, siblingOf=28),
    say(TREE, 29, parentId=28),
    say(LINE, 29, parentId=said(TREE, 1) - said(LINE, 1) + 1),
    begin(LINE, *((number, {}) for number in range(1, 7))),
    begin(WHOLE, (1, {}), (2, {}), (3, {"parentId": 1}), (4, {"siblingOf": 1}), (5, {"isRoot": True})),
    begin(33, (1, {"parentId": 29})),
]
READING: list[Step] = [
    *read_paths(TREE, 1, 5, 6, 8),
    *read_paths(LINE, 1, 4),
    *read_paths(WHOLE, 3),
    *(list_branches(TREE, number) for number in (1, 2, 4, 7, 8, 29)),
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
    select_leaf(TREE, 1, expected=11),
    select_leaf(TREE, 4, expected=11),
    select_leaf(TREE, 4, expected=1),
    select_leaf(TREE, 29),
    select_leaf(TREE, 3, expected=29),
    select_leaf(90, 1),
    select_leaf(LINE, 3, descend=False),
    *read_paths(TREE, 10),
    *search_paths("twig", TREE),
    *search_paths("leaf", LINE),
    select_leaf(LINE, 3),
    *search_paths("leaf", LINE),
]
CUTTING: list[Step] = [
    delete_branch(TREE, 4),
    *read_paths(TREE, 5, 6),
    list_branches(TREE, 3),
    list_branches(TREE, 4),
    get_message(TREE, 4),
    get_message(TREE, 5),
    get_message(TREE, 6),
    update_message(TREE, said(TREE, 5), metadata={"cut": 1}),
    update_message(TREE, said(TREE, 6), metadata={"kept": 1}),
    say(TREE, 12, parentId=5),
    say(TREE, 12, siblingOf=5),
    say(TREE, 12, parentId=8),
    select_leaf(TREE, 5),
    *search_paths("twig", TREE),
    delete_branch(TREE, 5),
    delete_branch(TREE, 7),
    delete_branch(TREE, 29),
    delete_branch(90, 1),
    follow_all(3),
    follow_all(500),
    restore_branch(TREE, 5),
    restore_branch(TREE, 3),
    restore_branch(TREE, 29),
    restore_branch(90, 1),
    delete_branch(TREE, 6),
    delete_branch(TREE, 2),
    restore_branch(TREE, 6),
    follow_after(restore_branch(TREE, 2)),
    restore_branch(TREE, 6),
    follow_after(delete_branch(LINE, 5)),
    say(LINE, 7),
    delete_branch(LINE, 7),
    *read_paths(LINE, 4),
    follow_after(restore_branch(LINE, 5)),
    delete_branch(WHOLE, 3),
    delete_branch(WHOLE, 1),
    delete_branch(WHOLE, 4),
    delete_branch(WHOLE, 5),
    read_all(WHOLE, limit=2),
    say(WHOLE, 6),
    read_all(WHOLE, limit=2),
    delete(WHOLE),
    list_branches(WHOLE, 6),
    select_leaf(WHOLE, 6),
    delete_branch(WHOLE, 6),
    restore_branch(WHOLE, 3),
    restore(WHOLE),
    follow_all(4),
    *read_paths(TREE, 10),
    *search_paths("twig", TREE),
]
BRANCHES: list[Step] = [*GROWING, *READING, *CHOOSING, *CUTTING]

_BRANCHED = (TREE, LINE, WHOLE)
# Each message is a root, and deleted: at every place there is a fork, and a deletion, most with a `rev` of their own.
ROOTS: list[Step] = [
    step
    for number in _BRANCHED
    for step in (
        begin(number, *((each, {"isRoot": True}) for each in range(_COUNT, 0, -1))),
        *(delete_branch(number, each) for each in range(_COUNT, 0, -1)),
    )
]
# To each message, there is one that follows it beside the next one.
COMBS: list[Step] = [
    step
    for number in _BRANCHED
    for step in (
        begin(number, *((each, {}) for each in range(11, 22)), *((each, {"parentId": each + 10}) for each in range(1, 11))),
        select_leaf(number, 3),
    )
]
# All follow the first, and go with it.
BUSHES: list[Step] = [
    step
    for number in _BRANCHED
    for step in (
        begin(number, (5, {}), *((each, {"parentId": 5}) for each in range(1, _COUNT) if each != 5)),
        delete_branch(number, 5),
    )
]
DELETED_BRANCHES: list[Step] = [*COMBS, *(delete(number) for number in _BRANCHED)]
