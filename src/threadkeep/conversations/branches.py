"""Branches: what a message follows, where a request says so, and what comes of it.

A message follows the one before it. An edit is a sibling of a question, a regeneration one of an answer: both follow
what the other follows. The active path leads from the leaf that is selected up to a root. See decision 0049.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from threadkeep.conversations.models import Branches, Message
from threadkeep.conversations.records import MessageRecord
from threadkeep.errors import Conflict, Invalid, Stale
from threadkeep.validation import join

ACTIVE = "active"
ALL = "all"
SIBLINGS_MAX = 100
PREVIEWED_CHARACTERS_MAX = 2_000
"""How much of a message's content is read to tell what it begins with."""
PREVIEW_CHARACTERS_MAX = 200

_half_a_character = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_begins_text = re.compile(r'"(?:text|thinking)"\s*:\s*"((?:[^"\\]|\\(?:[^u]|u[0-9a-fA-F]{4}))*)')


class Link(Struct):
    """What a message of a request follows, where it says so."""

    id: str
    """Of the message."""
    how: Literal["parent", "sibling", "root"]
    of: str | None = None
    """The parent or the sibling that it names."""
    where: Literal["here", "elsewhere"] = "here"
    """Whether that stands before it in the same request."""


def links_of(records: Iterable[MessageRecord]) -> list[Link]:
    """What messages that are sent together say of what they follow. Those that say nothing follow one another."""
    links: dict[str, Link | None] = {}
    for record in records:
        sibling = None if record.sibling_of is None else links.get(record.sibling_of)
        if record.is_root:
            link = Link(record.id, "root")
        elif (parent_id := record.message.parent_id or record.follows_id) is not None:
            link = Link(record.id, "parent", parent_id, _where(parent_id, links))
        elif sibling is not None:
            link = Link(record.id, sibling.how, sibling.of, sibling.where)
        elif record.sibling_of is not None:
            link = Link(record.id, "sibling", record.sibling_of, _where(record.sibling_of, links))
        else:
            links[record.id] = None
            continue
        links[record.id] = link
    return [link for link in links.values() if link is not None]


def follows_leaf(records: Sequence[MessageRecord]) -> bool:
    """Whether the first of messages that are sent together follows the leaf of the active path."""
    return bool(records) and not any(link.id == records[0].id for link in links_of(records[:1]))


def _where(message_id: str, before: Mapping[str, Link | None]) -> Literal["here", "elsewhere"]:
    return "here" if message_id in before else "elsewhere"


def check_links(records: Sequence[MessageRecord]) -> None:
    """Check what messages that are sent together say of each other. Raises Invalid with the path of what is wrong."""
    places = {record.id: index for index, record in enumerate(records)}
    for index, record in enumerate(records):
        said = {"parentId": record.message.parent_id, "siblingOf": record.sibling_of, "isRoot": record.is_root or None}
        named = [name for name, value in said.items() if value is not None]
        if len(named) > 1:
            raise Invalid(
                f"{join(record.path, named[1])}: A message has one of `parentId`, `siblingOf` and `isRoot`.",
                join(record.path, named[1]),
            )
        other = record.message.parent_id or record.sibling_of
        if other is not None and places.get(other, -1) >= index:
            what = "is the message itself" if other == record.id else "comes later in this request"
            path = join(record.path, named[0])
            raise Invalid(f"{path}: {other} {what}. A message follows one that is there before it.", path)


def check_links_of_new(records: Iterable[MessageRecord]) -> None:
    """Check the first messages of a conversation, which can follow nothing but each other. Raises Invalid."""
    unknown = [link.id for link in links_of(records) if link.where == "elsewhere"]
    if unknown:
        raise link_invalid(records, unknown)


def link_invalid(records: Iterable[MessageRecord], ids: Iterable[str]) -> Invalid:
    """The error for messages that follow what is not there: the first of these ids in the request."""
    first = next(record for record in records if record.id in set(ids))
    name = "parentId" if first.sibling_of is None else "siblingOf"
    other = first.message.parent_id or first.sibling_of or first.follows_id
    path = join(first.path, name)
    return Invalid(f"{path}: There is no message {other} in this conversation, or it is deleted.", path)


def leaf_stale(expected_leaf_id: str, leaf_id: str | None) -> Stale:
    """An append, or a choice, was meant for another leaf."""
    return Stale(
        f"The active path ends with {leaf_id or 'nothing'}, not with {expected_leaf_id}. "
        "Read the conversation again, then repeat the request.",
        {"leafId": leaf_id},
    )


def no_branch(branch: str) -> Invalid:
    """The error for a `branch` that leads nowhere."""
    return Invalid(
        f"branch: There is no message {branch} in this conversation. Send `active`, `all` or the id of a message.",
        "branch",
    )


def parent_is_deleted() -> Conflict:
    """A branch cannot be restored to where nothing is."""
    return Conflict("What this branch follows is deleted as well. Restore that first.", {"reason": "parent_deleted"})


def branches_of(page: Iterable[Message], children: Iterable[tuple[int, int]]) -> list[Branches]:
    """Those of the messages on a page of a path that have siblings, with these.

    `children` are pairs of a parent and one of its children; what stands on the page may be left out.
    """
    by_parent: dict[int, set[int]] = {}
    for parent, child in children:
        by_parent.setdefault(parent, set()).add(child)
    if not by_parent:
        return []
    siblings = ((message, by_parent.get(message.follows, set()) | {message.seq}) for message in page)
    return [Branches(message.follows, sorted(seqs), message.seq) for message, seqs in siblings if len(seqs) > 1]


def preview_of(content: str) -> str:
    """What a message begins with, out of the beginning of its content as JSON."""
    found = _begins_text.search(content)
    if found is None:
        return ""
    # A character may have been cut in two.
    text = msgspec.json.decode(f'"{_half_a_character.sub("", found[1])}"', type=str)
    return " ".join(text.split())[:PREVIEW_CHARACTERS_MAX]
